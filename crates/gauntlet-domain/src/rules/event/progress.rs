//! What one event does to the progress of one cycle.

use super::{EventWhat, Timing};
use crate::{
    Goal, GoalState, Status, Timestamp,
    catalogue::{GoalKind, ProgressMode},
    cycle::day_number,
    player::{Baseline, DayMark},
};

/// Counts an event for the cycle that a state shows; answers whether anything may have changed.
pub(super) fn count(state: &mut GoalState, goal: &Goal, what: &EventWhat, timing: &Timing) -> bool {
    match (goal.definition.kind, what) {
        (GoalKind::Daily, _) => {
            // The event's own day even when it comes later, so that an event delivered again on
            // another day changes nothing and needs no receipt.
            state.progress = 1;
            complete(state, timing.happened, true);
            true
        }
        (GoalKind::Increment { daily: true }, _) => count_day(state, goal, timing),
        (GoalKind::Increment { daily: false }, EventWhat::Stat { increment, .. }) => {
            add(state, goal, steps(*increment), timing)
        }
        (GoalKind::Increment { daily: false } | GoalKind::Absolute, EventWhat::Login) => {
            add(state, goal, 1, timing)
        }
        (GoalKind::Absolute, EventWhat::Stat { value, increment, .. }) => {
            !timing.stale
                && match goal.definition.requirement.mode {
                    ProgressMode::Absolute => set_value(state, goal, *value, timing),
                    ProgressMode::Relative => set_growth(state, goal, *value, *increment, timing),
                }
        }
    }
}

/// How much one update of a statistic adds: its growth without fractions; an update that does
/// not say how much counts once; a decrease adds nothing.
fn steps(increment: f64) -> i32 {
    if increment > 0.0 { truncate(increment) } else { i32::from(increment >= 0.0) }
}

fn add(state: &mut GoalState, goal: &Goal, amount: i32, timing: &Timing) -> bool {
    let progress = state.progress.saturating_add(amount);
    if amount == 0 || (progress == state.progress && state.status.is_done()) {
        // Nothing is added, nor to the greatest number that there is.
        return false;
    }
    state.progress = progress;
    state.applied = state.applied.max(Some(timing.mark));
    started(state);
    if state.progress >= goal.target() {
        complete(state, timing.mark.at, false);
    }
    true
}

/// Adds one for the event's day, unless that day was counted. Today and yesterday are remembered;
/// a stale event of one of them belongs to it, so that an event delivered again on another day
/// does not count for that day. Other stale events count for today.
fn count_day(state: &mut GoalState, goal: &Goal, timing: &Timing) -> bool {
    let zone = goal.definition.time_zone;
    let own = day_number(zone, timing.happened);
    let remembered = state.days.is_some_and(|last| (0..=1).contains(&last.day.saturating_sub(own)));
    let day = if remembered { own } else { day_number(zone, timing.mark.at) };
    let days = match state.days {
        None => DayMark { day, day_before: false },
        Some(last) if day > last.day => DayMark { day, day_before: last.day.checked_add(1) == Some(day) },
        Some(last) if day.checked_add(1) == Some(last.day) && !last.day_before => {
            DayMark { day: last.day, day_before: true }
        }
        Some(_) => return false,
    };
    state.days = Some(days);
    add(state, goal, 1, timing)
}

/// Follows the statistic's value. A late event does not replace what a newer one showed, but may
/// complete the goal.
fn set_value(state: &mut GoalState, goal: &Goal, value: f64, timing: &Timing) -> bool {
    if value < 0.0 {
        return false;
    }
    let value = truncate(value);
    match state.applied {
        Some(applied) if timing.mark < applied => {}
        // The same place in the order is the same event, or two ids with one hash: the greater
        // value wins whichever comes first.
        Some(applied) if timing.mark == applied => state.progress = state.progress.max(value),
        _ => {
            state.progress = value;
            state.applied = Some(timing.mark);
        }
    }
    started(state);
    if value >= goal.target() {
        complete(state, timing.mark.at, true);
    }
    true
}

/// Follows the growth of the statistic since the cycle's earliest event.
///
/// Of the values between the first and the newest only the peak is kept: when an earlier first
/// event completes the goal in hindsight, it was completed when the peak was reached, or when an
/// event that comes later, or again, says so.
fn set_growth(state: &mut GoalState, goal: &Goal, value: f64, increment: f64, timing: &Timing) -> bool {
    let before = if increment > 0.0 { value - increment } else { value };
    let at = timing.mark.at.whole_seconds();
    let first = Baseline { value: before, mark: timing.mark, latest: value, peak: value, peak_at: at };
    let mut baseline = state.baseline.unwrap_or(first);
    if timing.mark < baseline.mark {
        baseline.value = before;
        baseline.mark = timing.mark;
    }
    if state.applied.is_none_or(|applied| timing.mark > applied) {
        baseline.latest = value;
        state.applied = Some(timing.mark);
    }
    if value > baseline.peak {
        baseline.peak = value;
        baseline.peak_at = at;
    } else if value >= baseline.peak {
        baseline.peak_at = baseline.peak_at.min(at);
    }
    state.baseline = Some(baseline);
    state.progress = truncate(baseline.latest - baseline.value);
    started(state);
    if truncate(value - baseline.value) >= goal.target() {
        complete(state, timing.mark.at, true);
    } else if truncate(baseline.peak - baseline.value) >= goal.target() {
        complete(state, baseline.peak_at, true);
    }
    true
}

fn started(state: &mut GoalState) {
    if state.status == Status::NotStarted {
        state.status = Status::InProgress;
    }
}

/// Completes the goal, or, where events say on their own whether they complete it (`earliest`),
/// moves the completion to an earlier event.
fn complete(state: &mut GoalState, at: Timestamp, earliest: bool) {
    let at = at.whole_seconds();
    if !state.status.is_done() {
        state.status = Status::Completed;
        state.completed_at = Some(at);
    } else if earliest && state.status == Status::Completed {
        state.completed_at = state.completed_at.map(|before| before.min(at));
    }
}

/// Toward zero, within 32 bits (that is what `as` does with floats; NaN never gets here).
#[expect(clippy::cast_possible_truncation, reason = "saturating is what the rules ask for")]
const fn truncate(value: f64) -> i32 {
    value as i32
}
