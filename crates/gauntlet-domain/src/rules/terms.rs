//! New versions of the catalogue: what becomes of goals that a player has when their terms change.
//! It comes before rollover on every touch, so it makes no difference who was touched when.

use std::collections::BTreeMap;

use crate::{
    Catalogue, Effects, Goal, GoalIndex, GoalNumber, GoalState, JournalEntry, JournalKind, Player, Status,
    Timestamp,
    catalogue::ChangePolicy,
    player::{CycleMark, HeldTerms, Terms},
    rules::{Context, call::append, rollover::roll_over, unclaimed::keep_under},
};

/// Brings the document up to the catalogue of the operation. Answers whether that has changed it.
pub(super) fn follow_catalogue(player: &mut Player, context: &Context<'_>, effects: &mut Effects) -> bool {
    let before = player.head.catalogue_version;
    let Some(told) = follow(player, context.catalogue) else { return false };
    if player.has_settled() {
        player.settle(context.catalogue);
    }
    for entry in told.rows(context.now) {
        append(player, effects, entry);
    }
    player.head.catalogue_version != before
}

/// Shows a player who was read, and will not be written, as the catalogue has it. Answers the rows, not
/// numbered, that the journal will have once the player is written.
pub fn show_under(player: &mut Player, catalogue: &Catalogue, now: Timestamp) -> Vec<JournalEntry> {
    follow(player, catalogue).map(|told| told.rows(now).collect()).unwrap_or_default()
}

/// What became of goals, by what it was and when. `None`: when somebody looks.
#[derive(Debug, Default)]
struct Told(BTreeMap<(JournalKind, Option<Timestamp>), Vec<Touched>>);

/// A goal, its cycle and its progress.
type Touched = (GoalNumber, CycleMark, i32);

impl Told {
    fn add(&mut self, kind: JournalKind, at: Option<Timestamp>, goal: &GoalState, cycle: CycleMark) {
        self.0.entry((kind, at)).or_default().push((goal.number, cycle, goal.progress));
    }

    /// As rows of the journal that have no number yet.
    fn rows(self, now: Timestamp) -> impl Iterator<Item = JournalEntry> {
        self.0.into_iter().map(move |((kind, at), goals)| JournalEntry {
            sequence: 0,
            at: at.unwrap_or(now),
            kind,
            goals: goals.iter().map(|(goal, ..)| *goal).collect(),
            cycles: goals.iter().map(|(_, cycle, _)| *cycle).collect(),
            progress: match kind {
                JournalKind::Restarted => goals.iter().map(|(.., progress)| *progress).collect(),
                _ => Vec::new(),
            },
        })
    }
}

/// Applies to each goal, in their order, the changes of its terms since the document was written.
/// `None`: there were none.
///
/// A change reaches the cycle that the goal was in when the new version came into use, whoever looked
/// at the player since: what had ended before is as it was. What is completed stays so under the terms
/// that it was completed under, whatever a change means.
fn follow(player: &mut Player, catalogue: &Catalogue) -> Option<Told> {
    let (live, settled) = (player.head.catalogue_version, player.settled_as_of());
    let last = catalogue.last_change();
    if live >= last && (settled >= last || !player.has_settled()) {
        return None;
    }
    // Those of goals that have left stay: they may come back.
    let known = player.held_terms().iter().map(|terms| ((terms.goal, terms.cycle), terms.version));
    let held: BTreeMap<(GoalNumber, u32), u32> = known.collect();
    let mut walk = Walk { player, catalogue, held, told: Told::default(), concerned: false };
    walk.pin_ended_cycles(live);
    for at in 0..walk.player.live().len() {
        let next = walk.take(walk.player.live()[at].clone(), live);
        walk.player.live_mut()[at] = next;
    }
    for at in 0..walk.player.settled().len() {
        let next = walk.take(walk.player.settled()[at].clone(), settled);
        walk.player.settled_mut()[at] = GoalState { late: None, ..next };
    }
    let Walk { held, told, concerned, .. } = walk;
    if !concerned {
        return None;
    }
    let there = |goal| catalogue.find_number(goal).is_some();
    let old = held
        .into_iter()
        .filter(|((goal, _), version)| !there(*goal) || !catalogue.has_terms_of_today(*goal, *version));
    player.hold_terms(old.map(|((goal, cycle), version)| HeldTerms { goal, version, cycle }).collect());
    // Who looks a second time must not take what happens from now on for what was before.
    player.is_now_as_of(catalogue.version());
    Some(told)
}

/// A player on the way from one version of the catalogue to another.
struct Walk<'a> {
    player: &'a mut Player,
    catalogue: &'a Catalogue,
    /// Which version's terms hold, by goal and cycle.
    held: BTreeMap<(GoalNumber, u32), u32>,
    told: Told,
    /// Some goal of the player has changed.
    concerned: bool,
}

impl Walk<'_> {
    /// Writes down the terms of cycles that are over and still matter: late events can count for them,
    /// or their reward waits.
    fn pin_ended_cycles(&mut self, live: u32) {
        let open = self.player.live().iter().filter(|goal| goal.active);
        let late = open.filter_map(|goal| Some((goal.number, goal.previous?.cycle.number)));
        let kept = self.player.head.kept.iter().map(|kept| (kept.goal, kept.cycle.number));
        let ended: Vec<(GoalNumber, u32)> = late.chain(kept).collect();
        for (number, cycle) in ended {
            let Some(index) = self.catalogue.find_number(number) else { continue };
            self.concerned |= self.catalogue.changes_after(index, live).next().is_some();
            let version = self.player.version_in(number, cycle);
            self.held.entry((number, cycle)).or_insert(version);
        }
    }

    /// Takes a goal through the changes after a version.
    fn take(&mut self, mut state: GoalState, as_of: u32) -> GoalState {
        let (number, catalogue) = (state.number, self.catalogue);
        let Some(index) = catalogue.find_number(number) else { return state };
        let stored = self.held.range((number, state.cycle.number)..=(number, u32::MAX)).next();
        // The version whose terms hold for the goal, and the one that the catalogue was at.
        let mut version = stored.filter(|_| state.is_promised()).map_or(as_of, |(_, version)| *version);
        let mut before = as_of;
        for change in catalogue.changes_after(index, as_of) {
            self.concerned = true;
            if let Some(at) = change.at {
                version = self.roll_over(&mut state, index, version, before, at);
            }
            self.pin_cycle_before(&state, version);
            before = change.version;
            let held = catalogue.goal_as_of(index, version);
            let takes_over = match change.policy {
                _ if state.status.is_done() => state.status == Status::Claimed,
                ChangePolicy::Restart => {
                    self.restart(&mut state, change.at);
                    true
                }
                // Nobody is doing it: whoever takes it up again does so under the terms of that day.
                _ if !state.active => true,
                ChangePolicy::UpgradeIfEasier
                    if change.goal.definition.is_no_harder_than(&held.definition) =>
                {
                    self.complete(&mut state, change.goal);
                    true
                }
                ChangePolicy::Keep | ChangePolicy::UpgradeIfEasier => false,
            };
            version = if takes_over { change.version } else { version };
        }
        if state.is_promised() {
            self.held.insert((number, state.cycle.number), version);
        } else {
            self.held.remove(&(number, state.cycle.number));
        }
        state
    }

    /// Brings a goal into the cycle of a time at which the catalogue was at a version; answers the
    /// version whose terms hold for it then.
    fn roll_over(
        &mut self,
        state: &mut GoalState,
        index: GoalIndex,
        version: u32,
        catalogue_was_at: u32,
        at: Timestamp,
    ) -> u32 {
        if self.player.is_claiming(state) {
            return version;
        }
        let (number, ended) = (state.number, state.cycle);
        let next = self.catalogue.goal_as_of(index, catalogue_was_at);
        let now = if state.is_promised() { self.catalogue.goal_as_of(index, version) } else { next };
        let terms = Terms { now, next };
        let asked = self.player.claim(number, ended.number).is_some();
        let completion = roll_over(state, terms, at, asked);
        if state.cycle == ended {
            return version;
        }
        self.held.insert((number, ended.number), version);
        if let Some(completion) = completion
            && !keep_under(self.player, now, completion)
        {
            self.told.add(JournalKind::Expired, None, state, completion.cycle);
        }
        let carried = terms.are_old() && std::ptr::eq(terms.of_following(asked), now);
        if carried { version } else { catalogue_was_at }
    }

    /// Writes down the terms of the cycle before the one that a goal is in, of which nothing may be
    /// known so far: events can still come late for it.
    fn pin_cycle_before(&mut self, state: &GoalState, version: u32) {
        if let Some(cycle) = state.cycle.number.checked_sub(1).filter(|_| state.active) {
            self.held.entry((state.number, cycle)).or_insert(version);
        }
    }

    /// Completes a goal that has what easier terms ask for.
    fn complete(&mut self, state: &mut GoalState, under: &Goal) {
        if state.progress < under.target() {
            return;
        }
        state.status = Status::Completed;
        // The last event that counted has reached what is asked for now.
        let since = state.applied.map(|mark| mark.at).or(state.assigned_at).unwrap_or_default();
        state.completed_at = Some(since.whole_seconds());
        self.told.add(JournalKind::Completed, state.completed_at, state, state.cycle);
    }

    fn restart(&mut self, state: &mut GoalState, at: Option<Timestamp>) {
        if state.status != Status::NotStarted {
            self.told.add(JournalKind::Restarted, at, state, state.cycle);
        }
        restart(state);
    }
}

/// Begins the goal at zero, in the cycle that it is in.
fn restart(state: &mut GoalState) {
    state.status = Status::NotStarted;
    state.progress = 0;
    state.completed_at = None;
    state.applied = None;
    state.days = None;
    state.baseline = None;
}

#[cfg(test)]
mod tests;
