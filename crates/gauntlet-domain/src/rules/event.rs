//! Events: what a login or a changed statistic does to a player's goals.

use crate::{
    Catalogue, ClaimState, Effects, Goal, GoalState, JournalKind, Player, Receipt, ReceiptKey, Status,
    Timestamp,
    catalogue::{GoalKind, Trigger},
    cycle::Place,
    player::{CycleMark, EventMark, KeptReward, PreviousCycle},
    rules::{
        Context,
        call::journal,
        rollover::{late_of, roll_over},
        unclaimed::keep,
    },
};

mod progress;

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
    /// It would add to a goal, and has no id to tell it from a second delivery. Nothing changed.
    NeedsId,
}

/// Whether the receipts that have left the document have to be at hand for [`count_event`].
#[must_use]
pub fn needs_receipts(event: &Event, catalogue: &Catalogue) -> bool {
    event.what.trigger(catalogue).is_some_and(|trigger| catalogue.adds_up(trigger))
}

/// Counts an event for the player's active, unclaimed goals. `older`: receipts that have left the
/// document.
pub fn count_event(
    player: &mut Player,
    event: &Event,
    older: &[Receipt],
    context: &Context<'_>,
    effects: &mut Effects,
) -> EventOutcome {
    let Some(trigger) = event.what.trigger(context.catalogue) else { return EventOutcome::Unchanged };
    let receipt =
        (context.catalogue.adds_up(trigger) && !event.key.id.is_empty()).then(|| event.key.receipt());
    let seen =
        receipt.is_some_and(|receipt| player.head.receipts.contains(&receipt) || older.contains(&receipt));
    let timing = Timing::of(event, context);
    let mut changes: Vec<Change> = Vec::new();
    let mut added_up = false;
    for (at, state) in player.live().iter().enumerate() {
        let Some(index) = context.catalogue.find_number(state.number) else { continue };
        let goal = context.catalogue.goal(index);
        if goal.trigger != trigger || (seen && goal.definition.adds_up()) {
            continue;
        }
        if let Some(change) = apply(player, at, goal, &event.what, &timing) {
            added_up |= goal.definition.adds_up();
            changes.push(change);
        }
    }
    if changes.is_empty() {
        return EventOutcome::Unchanged;
    }
    if added_up {
        let Some(receipt) = receipt else { return EventOutcome::NeedsId };
        player.head.receipts.push(receipt);
    }
    store(player, changes, &timing, context, effects);
    EventOutcome::Counted
}

/// What an event does to one goal.
struct Change {
    /// Where the goal stands among the live ones.
    at: usize,
    state: GoalState,
    /// The cycle that it completed.
    completed: Option<CycleMark>,
    /// A completion that nobody asked to be rewarded, and whose cycle has ended.
    lost: Option<KeptReward>,
    /// A completion of the cycle before, which came late.
    late: Option<KeptReward>,
}

fn store(
    player: &mut Player,
    changes: Vec<Change>,
    timing: &Timing,
    context: &Context<'_>,
    effects: &mut Effects,
) {
    let (mut completed, mut expired) = (Vec::new(), Vec::new());
    for change in changes {
        let number = change.state.number;
        completed.extend(change.completed.map(|cycle| (number, cycle)));
        player.live_mut()[change.at] = change.state;
        if change.lost.is_none() && change.late.is_none() {
            continue;
        }
        let Some(index) = context.catalogue.find_number(number) else { continue };
        let goal = context.catalogue.goal(index);
        if let Some(lost) = change.lost
            && !keep(player, goal, lost)
        {
            expired.push((number, lost.cycle));
        }
        if let Some(late) = change.late {
            keep(player, goal, late);
        }
    }
    journal(player, effects, context.now, JournalKind::Expired, expired);
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
    let claim = player.claim(state.number, state.cycle.number);
    // What is being claimed stays as it is, unless the event belongs to a later cycle: the claim
    // knows its own.
    let pending = claim.is_some_and(|claim| claim.state == ClaimState::Pending);
    let moves = !pending || state.cycle.end.is_some_and(|end| end <= timing.happened);
    let lost = if moves { roll_over(&mut next, goal, timing.rollover(), claim.is_some()) } else { None };
    // A daily goal goes by the event's own day, however late it comes.
    let own = if goal.definition.kind == GoalKind::Daily { timing.happened } else { timing.mark.at };
    let done = next.status.is_done();
    let (completed, late) = match goal.cycles.place(&next, own, timing.now) {
        Place::Before(cycle) if goal.on_expiry.reset_progress => {
            let completion = count_late(&mut next, goal, cycle, what, timing)?;
            (completion.map(|kept| kept.cycle), completion)
        }
        // Where progress is carried on, the cycle before matters only if it was claimed.
        Place::Before(cycle) if next.previous.is_some_and(|previous| previous.cycle == cycle) => return None,
        Place::Current | Place::Before(_) => {
            if next.status == Status::Claimed || !progress::count(&mut next, goal, what, timing) {
                return None;
            }
            ((next.status.is_done() && !done).then_some(next.cycle), None)
        }
        Place::Nowhere => return None,
    };
    (next != *state).then_some(Change { at, state: next, completed, lost, late })
}

/// Counts an event for a cycle that has ended. `None`: nothing changes; else the completion, if the
/// event completed it. What was completed takes no more.
#[expect(clippy::option_option, reason = "no change, a change, a change that completes")]
fn count_late(
    state: &mut GoalState,
    goal: &Goal,
    cycle: CycleMark,
    what: &EventWhat,
    timing: &Timing,
) -> Option<Option<KeptReward>> {
    let mut past = GoalState::new(state.number, cycle);
    if let Some(known) = state.previous.filter(|known| known.cycle == cycle) {
        let late = state.late.as_deref().copied().unwrap_or_default();
        past.status = known.status;
        past.progress = known.progress;
        past.completed_at = known.completed_at;
        past.applied = late.applied;
        past.baseline = late.baseline;
    }
    if timing.stale || past.status.is_done() || !progress::count(&mut past, goal, what, timing) {
        return None;
    }
    let (status, progress, completed_at) = (past.status, past.progress, past.completed_at);
    state.previous = Some(PreviousCycle { cycle, status, progress, completed_at });
    state.late = late_of(&past, goal);
    Some(status.is_done().then_some(KeptReward { goal: state.number, cycle, completed_at }))
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
