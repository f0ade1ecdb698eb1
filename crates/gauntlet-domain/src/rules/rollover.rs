//! Rollover: what becomes of a goal when its cycle has ended. It comes first on every touch.

use std::borrow::Cow;

use crate::{
    Goal, GoalState, Player, Status, Timestamp,
    catalogue::GoalKind,
    cycle::cycle_at,
    player::{CycleMark, PreviousCycle},
};

/// Starts the cycle that `at` belongs to, when the goal is in an older one. Answers whether a
/// completion that nobody claimed was lost.
///
/// Cycles only move forward: a clock that steps back changes nothing.
pub(super) fn roll_over(state: &mut GoalState, goal: &Goal, at: Timestamp) -> bool {
    if state.cycle.end.is_some_and(|end| at < end) {
        return false;
    }
    let next = cycle_at(goal, at);
    if next.end.is_none() || next.number <= state.cycle.number {
        return false;
    }
    if state.cycle == CycleMark::default() {
        // The goal had no cycles when it was last written.
        state.cycle = next;
        return false;
    }
    let lost = state.status == Status::Completed;
    if state.status != Status::NotStarted {
        // Cycles in which nothing happened leave no trace, so that it makes no difference
        // whether anybody looked at the goal meanwhile.
        state.previous = Some(PreviousCycle {
            cycle: state.cycle,
            status: state.status,
            progress: state.progress,
            completed_at: state.completed_at,
        });
    }
    state.cycle = next;
    // Daily goals are the only ones with cycles, and every day starts from nothing.
    state.status = Status::NotStarted;
    state.progress = 0;
    state.completed_at = None;
    state.claimed_at = None;
    state.applied = None;
    state.days = None;
    state.baseline = None;
    lost
}

/// The goal as it is at a time: rolled over, unless a claim of it is being granted.
pub(super) fn current<'a>(
    player: &Player,
    state: &'a GoalState,
    goal: &Goal,
    at: Timestamp,
) -> Cow<'a, GoalState> {
    let over = goal.definition.kind == GoalKind::Daily && state.cycle.end.is_none_or(|end| end <= at);
    if !over || player.is_claiming(state) {
        return Cow::Borrowed(state);
    }
    let mut rolled = state.clone();
    roll_over(&mut rolled, goal, at);
    Cow::Owned(rolled)
}
