//! Events: what a login or a changed statistic does to a player's goals.

use crate::{
    Catalogue, ClaimState, Effects, Goal, GoalIndex, GoalState, JournalKind, Player, Receipt, ReceiptKey,
    Status, Timestamp,
    catalogue::{GoalKind, Trigger},
    cycle::Place,
    player::{CycleMark, EventMark, KeptReward, PreviousCycle},
    rules::{
        Context,
        call::journal,
        rollover::{late_of, roll_over},
        terms::follow_catalogue,
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
    /// It would add to a goal, and has no id to tell it from a second delivery. The event changed
    /// nothing.
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
    let followed = follow_catalogue(player, context, effects);
    let receipt =
        (context.catalogue.adds_up(trigger) && !event.key.id.is_empty()).then(|| event.key.receipt());
    let seen =
        receipt.is_some_and(|receipt| player.head.receipts.contains(&receipt) || older.contains(&receipt));
    let timing = Timing::of(event, context);
    let arrival = Arrival { what: &event.what, trigger, seen, timing: &timing, catalogue: context.catalogue };
    let mut changes: Vec<Change> = Vec::new();
    for (at, state) in player.live().iter().enumerate() {
        let Some(index) = context.catalogue.find_number(state.number) else { continue };
        if arrival.counts_for(context.catalogue.goal(index)) || player.holds_terms_of(state.number) {
            changes.extend(apply(player, at, index, &arrival));
        }
    }
    let added_up = changes.iter().any(|change| change.adds_up);
    if changes.is_empty() {
        return if followed { EventOutcome::Counted } else { EventOutcome::Unchanged };
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
    /// The event was added to progress.
    adds_up: bool,
    /// The cycle has ended, and progress goes on under its terms.
    carries_terms: bool,
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
        let (number, cycle) = (change.state.number, change.state.cycle.number);
        completed.extend(change.completed.map(|cycle| (number, cycle)));
        let before = std::mem::replace(&mut player.live_mut()[change.at], change.state);
        if change.carries_terms {
            player.carry_terms(number, before.cycle.number, cycle);
        }
        if change.lost.is_none() && change.late.is_none() {
            continue;
        }
        let Some(index) = context.catalogue.find_number(number) else { continue };
        if let Some(lost) = change.lost
            && !keep(player, index, lost, context.catalogue)
        {
            expired.push((number, lost.cycle));
        }
        if let Some(late) = change.late {
            keep(player, index, late, context.catalogue);
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

/// An event, and what has to be known to count it for a goal.
struct Arrival<'a> {
    what: &'a EventWhat,
    trigger: Trigger,
    /// It was counted before.
    seen: bool,
    timing: &'a Timing,
    catalogue: &'a Catalogue,
}

impl Arrival<'_> {
    fn counts_for(&self, goal: &Goal) -> bool {
        goal.trigger == self.trigger && !(self.seen && goal.definition.adds_up())
    }
}

/// What the event does to a live goal, or `None` when nothing changes.
fn apply(player: &Player, at: usize, index: GoalIndex, event: &Arrival<'_>) -> Option<Change> {
    let (state, timing, catalogue) = (&player.live()[at], event.timing, event.catalogue);
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
    let terms = player.terms_of(state, catalogue, index);
    let lost = if moves { roll_over(&mut next, terms, timing.rollover(), claim.is_some()) } else { None };
    let rolled = next.cycle != state.cycle;
    let goal = if rolled { terms.of_following(claim.is_some()) } else { terms.now };
    let carries_terms = rolled && terms.are_old() && std::ptr::eq(goal, terms.now);
    let under = |cycle: CycleMark| player.terms_in(catalogue, index, cycle.number);
    // A daily goal goes by the event's own day, however late it comes.
    let own = if goal.definition.kind == GoalKind::Daily { timing.happened } else { timing.mark.at };
    let done = next.status.is_done();
    let (completed, late, counted) = match goal.cycles.place(&next, own, timing.now) {
        Place::Before(cycle) if under(cycle).on_expiry.reset_progress => {
            let past = under(cycle);
            let completion = count_late(&mut next, past, cycle, event)?;
            (completion.map(|kept| kept.cycle), completion, past)
        }
        // Where progress is carried on, the cycle before matters only if it was claimed.
        Place::Before(cycle) if next.previous.is_some_and(|previous| previous.cycle == cycle) => return None,
        Place::Current | Place::Before(_) => {
            let open = next.status != Status::Claimed && event.counts_for(goal);
            if !open || !progress::count(&mut next, goal, event.what, timing) {
                return None;
            }
            ((next.status.is_done() && !done).then_some(next.cycle), None, goal)
        }
        Place::Nowhere => return None,
    };
    let adds_up = counted.definition.adds_up();
    (next != *state).then_some(Change { at, state: next, completed, lost, late, adds_up, carries_terms })
}

/// Counts an event for a cycle that has ended. `None`: nothing changes; else the completion, if the
/// event completed it. What was completed takes no more.
#[expect(clippy::option_option, reason = "no change, a change, a change that completes")]
fn count_late(
    state: &mut GoalState,
    goal: &Goal,
    cycle: CycleMark,
    event: &Arrival<'_>,
) -> Option<Option<KeptReward>> {
    if event.timing.stale || !event.counts_for(goal) {
        return None;
    }
    let mut past = GoalState::new(state.number, cycle);
    if let Some(known) = state.previous.filter(|known| known.cycle == cycle) {
        let late = state.late.as_deref().copied().unwrap_or_default();
        past.status = known.status;
        past.progress = known.progress;
        past.completed_at = known.completed_at;
        past.applied = late.applied;
        past.baseline = late.baseline;
    }
    if past.status.is_done() || !progress::count(&mut past, goal, event.what, event.timing) {
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
