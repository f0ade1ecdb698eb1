//! Events: what a login or a changed statistic does to a player's goals.

use crate::{
    Catalogue, Effects, Goal, GoalState, JournalKind, Player, ReceiptKey, Status, Timestamp,
    catalogue::{GoalKind, ProgressMode, Trigger},
    cycle::{cycle_at, day_number},
    player::{Baseline, DayMark, EventMark, PreviousCycle},
    rules::{Context, call::journal, rollover::roll_over, terms::follow_catalogue},
};

/// How far ahead of our clock an event's time is believed, in milliseconds.
const FUTURE_MS: i64 = 60_000;
/// How much earlier than its assignment an event may be and still count for a goal, in
/// milliseconds: clocks differ.
const ASSIGNMENT_TOLERANCE_MS: i64 = 5_000;

/// An event of one player, checked: ids are ids and numbers are finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened.
    pub what: EventWhat,
    /// Names the event. The id may be empty when the sender gave none; such an event cannot
    /// count for goals that add up.
    pub key: ReceiptKey,
    /// When it happened.
    pub at: Timestamp,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum EventWhat {
    /// The player logged in.
    Login,
    /// A statistic of the player changed.
    Stat {
        /// Which.
        code: String,
        /// Its value now.
        value: f64,
        /// By how much it grew; 0 when the sender does not say.
        increment: f64,
    },
}

impl EventWhat {
    /// Which goals the event concerns; `None` when the catalogue has none.
    #[must_use]
    pub fn trigger(&self, catalogue: &Catalogue) -> Option<Trigger> {
        match self {
            Self::Login => catalogue.uses_logins().then_some(Trigger::Login),
            Self::Stat { code, .. } => catalogue.find_stat(code).map(Trigger::Stat),
        }
    }
}

/// What an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOutcome {
    /// The document changed and has to be stored.
    Counted,
    /// Nothing changed: no active goal, nothing new, or counted before.
    Unchanged,
    /// It would add to a goal, and has no id to tell it from a second delivery. The event changed
    /// nothing.
    NeedsId,
}

/// Whether the event's receipt has to be looked up before [`count_event`].
#[must_use]
pub fn needs_receipts(event: &Event, catalogue: &Catalogue) -> bool {
    event.what.trigger(catalogue).is_some_and(|trigger| catalogue.adds_up(trigger))
}

/// Counts an event for the player's active, unclaimed goals. `seen`: its receipt exists.
pub fn count_event(
    player: &mut Player,
    event: &Event,
    seen: bool,
    context: &Context<'_>,
    effects: &mut Effects,
) -> EventOutcome {
    let Some(trigger) = event.what.trigger(context.catalogue) else { return EventOutcome::Unchanged };
    let followed = follow_catalogue(player, context, effects);
    let timing = Timing::of(event, context);
    let mut changes: Vec<Change> = Vec::new();
    let mut added_up = false;
    for (at, state) in player.live().iter().enumerate() {
        let Some(index) = context.catalogue.find_number(state.number) else { continue };
        let goal = player.terms(context.catalogue, index, timing.rollover());
        if goal.trigger != trigger || (seen && goal.definition.adds_up()) {
            continue;
        }
        if let Some(change) = apply(player, at, goal, &event.what, &timing) {
            added_up |= goal.definition.adds_up();
            changes.push(change);
        }
    }
    if changes.is_empty() {
        return if followed { EventOutcome::Counted } else { EventOutcome::Unchanged };
    }
    if added_up {
        if event.key.id.is_empty() {
            return EventOutcome::NeedsId;
        }
        effects.receipts.push(event.key.clone());
    }
    store(player, changes, &timing, effects);
    EventOutcome::Counted
}

/// What an event does to one goal.
struct Change {
    /// Where the goal stands among the live ones.
    at: usize,
    state: GoalState,
    /// It was completed, in this cycle or, by a late event, in the one before.
    completed: bool,
    /// A completion that nobody asked to be rewarded was lost with the cycle that ended.
    expired: bool,
}

fn store(player: &mut Player, changes: Vec<Change>, timing: &Timing, effects: &mut Effects) {
    let (mut completed, mut expired) = (Vec::new(), Vec::new());
    for change in changes {
        if change.completed {
            completed.push(change.state.number);
        }
        if change.expired {
            expired.push(change.state.number);
        }
        player.live_mut()[change.at] = change.state;
    }
    journal(player, effects, timing.now, JournalKind::Expired, expired);
    journal(player, effects, timing.mark.at, JournalKind::Completed, completed);
}

/// The event's place in time, as the rules see it.
struct Timing {
    now: Timestamp,
    /// The time and id that order it among the events of a goal.
    mark: EventMark,
    /// When it happened, however late it comes.
    happened: Timestamp,
    /// It is older than the late window.
    stale: bool,
}

impl Timing {
    fn of(event: &Event, context: &Context<'_>) -> Self {
        let now = context.now;
        let happened = if event.at.since(now) > FUTURE_MS { now } else { event.at };
        let stale = now.since(happened) > context.late_window_ms;
        let at = if stale { now } else { happened };
        Self { now, mark: EventMark { at, tie: tie_of(&event.key.id) }, happened, stale }
    }

    /// The time at which a goal's cycle is decided: an event from the near future brings its
    /// cycle with it.
    fn rollover(&self) -> Timestamp {
        self.now.max(self.mark.at)
    }
}

/// What the event does to a live goal, or `None` when nothing changes.
fn apply(player: &Player, at: usize, goal: &Goal, what: &EventWhat, timing: &Timing) -> Option<Change> {
    let state = &player.live()[at];
    let assigned = state.assigned_at.unwrap_or_default();
    if !state.active || assigned.since(timing.happened) > ASSIGNMENT_TOLERANCE_MS {
        return None;
    }
    let mut next = state.clone();
    // What is being claimed stays as it is, unless the event belongs to a later cycle: the claim
    // knows its own.
    let moves = !player.is_claiming(state) || cycle_at(goal, timing.happened).number > state.cycle.number;
    let lost = moves && roll_over(&mut next, goal, timing.rollover());
    if next.status == Status::Claimed && goal.definition.kind != GoalKind::Daily {
        return None;
    }
    let (status, previous) = (next.status, next.previous);
    let changed = match (goal.definition.kind, what) {
        (GoalKind::Daily, _) => count_daily(&mut next, goal, timing),
        (GoalKind::Increment { daily: true }, _) => count_day(&mut next, goal, timing),
        (GoalKind::Increment { daily: false }, EventWhat::Stat { increment, .. }) => {
            add(&mut next, goal, steps(*increment), timing)
        }
        (GoalKind::Increment { daily: false } | GoalKind::Absolute, EventWhat::Login) => {
            add(&mut next, goal, 1, timing)
        }
        (GoalKind::Absolute, EventWhat::Stat { value, increment, .. }) => {
            !timing.stale
                && match goal.definition.requirement.mode {
                    ProgressMode::Absolute => set_value(&mut next, goal, *value, timing),
                    ProgressMode::Relative => set_growth(&mut next, goal, *value, *increment, timing),
                }
        }
    };
    if !changed || next == *state {
        return None;
    }
    let late = next.previous != previous && next.previous.is_some_and(|cycle| cycle.status.is_done());
    let completed = late || (next.status.is_done() && !status.is_done());
    let expired = lost && player.claim(state.number, state.cycle.number).is_none();
    Some(Change { at, state: next, completed, expired })
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

/// Completes the day that the event belongs to: today, or the day before as long as it is late by
/// no more than the window. It is the event's own day even when it comes later, so that an event
/// delivered again on another day changes nothing and needs no receipt.
fn count_daily(state: &mut GoalState, goal: &Goal, timing: &Timing) -> bool {
    let at = timing.happened;
    let cycle = cycle_at(goal, at);
    if cycle.number == state.cycle.number {
        if state.status == Status::Claimed {
            return false;
        }
        state.progress = 1;
        complete(state, at, true);
        return true;
    }
    if timing.stale || cycle.number.checked_add(1) != Some(state.cycle.number) {
        return false;
    }
    let known = state.previous.filter(|previous| previous.cycle.number == cycle.number);
    if known.is_some_and(|previous| previous.status.is_done()) {
        return false;
    }
    let completed_at = Some(at.whole_seconds());
    state.previous = Some(PreviousCycle { cycle, status: Status::Completed, progress: 1, completed_at });
    true
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

/// Orders events of the same millisecond: a hash of the id, since a document that kept whole ids
/// would be three times as large.
fn tie_of(id: &str) -> u16 {
    let hash =
        id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_le_bytes();
    u16::from_le_bytes([a ^ c, b ^ d])
}

#[cfg(test)]
mod tests;
