//! Rollover: what becomes of a goal when its cycle has ended. It comes first on every touch.

use std::borrow::Cow;

use crate::{
    Goal, GoalState, Player, Status, Timestamp,
    catalogue::{GoalKind, Unclaimed},
    cycle::Cycles,
    player::{CycleMark, KeptReward, LateState, PreviousCycle, Terms},
};

/// Starts the cycle that `at` belongs to, when the goal is in an older one. Answers the completion
/// of the old one that nobody had asked to be rewarded, if there was one and progress began again.
///
/// `asked`: a claim of the old cycle was made, however its grant ends. It is as good as claimed
/// then: what one completion earns must not be asked for in two cycles.
///
/// The cycle ends by the terms that it was done under; the one that begins is the catalogue's.
pub(super) fn roll_over(
    state: &mut GoalState,
    terms: Terms<'_>,
    at: Timestamp,
    asked: bool,
) -> Option<KeptReward> {
    let ends = terms.now.cycles.next(state, at)?;
    let taken = asked || state.status == Status::Claimed;
    let (goal, following) = (terms.of_end(taken), terms.of_following(taken));
    let next = if std::ptr::eq(following, terms.now) {
        ends
    } else {
        // A goal that has no cycles any more begins one that never ends.
        let for_good = CycleMark { number: state.cycle.number.saturating_add(1), end: None };
        following.cycles.next(state, at).unwrap_or(for_good)
    };
    if taken && !goal.on_expiry.allow_reselection {
        // For good.
        return None;
    }
    if taken && next.end.is_none() {
        // The only cycle that there is, is over.
        return None;
    }
    let ended = std::mem::replace(&mut state.cycle, next);
    if ended == CycleMark::default() {
        // The goal had no cycles when it was last written.
        return None;
    }
    let anew = goal.on_expiry.reset_progress;
    if (anew && state.status != Status::NotStarted) || taken {
        // Cycles in which nothing happened leave no trace, so that it makes no difference
        // whether anybody looked at the goal meanwhile.
        state.previous = Some(PreviousCycle {
            cycle: ended,
            status: state.status,
            progress: state.progress,
            completed_at: state.completed_at,
        });
        state.late = anew.then(|| late_of(state, goal)).flatten();
    }
    let lost = (anew && !taken && state.status == Status::Completed).then_some(KeptReward {
        goal: state.number,
        cycle: ended,
        completed_at: state.completed_at,
    });
    if anew {
        begin_anew(state);
    } else if taken {
        open_again(state);
    }
    lost
}

/// What late events will need of the cycle that ends. A daily goal's need nothing: any of them
/// completes it.
pub(super) fn late_of(state: &GoalState, goal: &Goal) -> Option<Box<LateState>> {
    let open = goal.definition.kind != GoalKind::Daily && !state.status.is_done();
    let late = LateState { applied: state.applied, baseline: state.baseline };
    (open && late != LateState::default()).then(|| Box::new(late))
}

fn begin_anew(state: &mut GoalState) {
    state.status = Status::NotStarted;
    state.progress = 0;
    state.completed_at = None;
    state.claimed_at = None;
    state.applied = None;
    state.days = None;
    state.baseline = None;
}

/// A claimed goal whose progress is carried on: its next event may complete it again.
fn open_again(state: &mut GoalState) {
    state.status = Status::InProgress;
    state.completed_at = None;
    state.claimed_at = None;
    if let Some(baseline) = &mut state.baseline {
        // The peaks of the old cycle complete nothing in the new one.
        baseline.peak = f64::NEG_INFINITY;
    }
}

/// The goal as it is at a time: rolled over, unless a claim of it is being granted.
pub(super) fn current<'a>(
    player: &Player,
    state: &'a GoalState,
    terms: Terms<'_>,
    at: Timestamp,
) -> Cow<'a, GoalState> {
    let over = !matches!(terms.now.cycles, Cycles::One) && state.cycle.end.is_none_or(|end| end <= at);
    if !over || player.is_claiming(state) {
        return Cow::Borrowed(state);
    }
    let asked = player.claim(state.number, state.cycle.number).is_some();
    let mut rolled = state.clone();
    roll_over(&mut rolled, terms, at, asked);
    Cow::Owned(rolled)
}

/// When a goal as it is shown at a time expires: at the end of its cycle; never, when it has no
/// cycles or was claimed for good.
pub(super) fn expires_at(state: &GoalState, goal: &Goal, at: Timestamp) -> Option<Timestamp> {
    let over = state.cycle.end.is_some_and(|end| end <= at);
    let for_good = state.status == Status::Claimed && (over || !goal.on_expiry.allow_reselection);
    if matches!(goal.cycles, Cycles::One) || for_good { None } else { state.cycle.end }
}

/// Until when a completion of a cycle that has ended can still be claimed; `None`: it cannot.
pub(super) fn claimable_until(kept: &KeptReward, goal: &Goal) -> Option<Timestamp> {
    match goal.unclaimed() {
        Unclaimed::Forfeit => None,
        Unclaimed::Grace { seconds } => Some(kept.cycle.end?.plus_millis(i64::from(seconds) * 1_000)),
        // Until it is granted by itself.
        Unclaimed::Grant => Some(Timestamp::from_seconds(i64::MAX)),
    }
}

#[cfg(test)]
mod tests;
