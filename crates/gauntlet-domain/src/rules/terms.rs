//! New versions of the catalogue: what becomes of goals that a player has when their terms change.
//! It comes before rollover on every touch, so it makes no difference who was touched when.

use crate::{
    Catalogue, Effects, GoalIndex, GoalNumber, GoalState, JournalKind, Player, Status, Timestamp,
    catalogue::ChangePolicy,
    player::HeldTerms,
    rules::{Context, call::journal},
};

/// Brings the document up to the catalogue of the operation. Answers whether that has changed it.
pub(super) fn follow_catalogue(player: &mut Player, context: &Context<'_>, effects: &mut Effects) -> bool {
    let before = player.head.catalogue_version;
    let completed = follow(player, context.catalogue, context.now);
    journal(player, effects, context.now, JournalKind::Completed, completed);
    player.head.catalogue_version != before
}

/// Shows a player who was read, and will not be written, as the catalogue has it.
pub fn show_under(player: &mut Player, catalogue: &Catalogue, now: Timestamp) {
    let _completed = follow(player, catalogue, now);
}

/// Applies to each goal, in their order, the changes of its terms since the document was written.
/// Answers the goals that are completed by it.
///
/// What is completed stays so under the terms that it was completed under, whatever a change means.
fn follow(player: &mut Player, catalogue: &Catalogue, now: Timestamp) -> Vec<GoalNumber> {
    let (live, settled) = (player.head.catalogue_version, player.settled_as_of());
    let last = catalogue.last_change();
    if live >= last && (settled >= last || !player.has_settled()) {
        return Vec::new();
    }
    let (mut held, mut completed, mut concerned) = (Vec::new(), Vec::new(), false);
    for at in 0..player.live().len() {
        let state = &player.live()[at];
        let known = player.held_terms().iter().find(|terms| terms.goal == state.number).copied();
        let Some(index) = catalogue.find_number(state.number) else {
            // It may come back.
            held.extend(known);
            continue;
        };
        concerned |= catalogue.changes_after(index, live).next().is_some();
        let before = player.terms_version(state, now).unwrap_or(live);
        let mut next = state.clone();
        let version = walk(&mut next, catalogue, index, live, before);
        if next.status == Status::Completed && !state.status.is_done() {
            completed.push(next.number);
        }
        if next.active
            && next.status != Status::Claimed
            && !catalogue.has_terms_of_today(next.number, version)
        {
            held.push(HeldTerms { goal: next.number, version, cycle: next.cycle.number });
        }
        player.live_mut()[at] = next;
    }
    for state in player.settled_mut() {
        let restarts = !state.status.is_done()
            && state.status != Status::NotStarted
            && catalogue.find_number(state.number).is_some_and(|index| {
                catalogue.changes_after(index, settled).any(|change| change.policy == ChangePolicy::Restart)
            });
        if restarts {
            restart(state);
            concerned = true;
        }
    }
    if concerned {
        player.hold_terms(held);
        // Who looks a second time must not take what happens from now on for what was before.
        player.is_now_as_of(catalogue.version());
    }
    completed
}

/// Takes a goal through the changes after a version; answers a version with the terms that it has then.
fn walk(state: &mut GoalState, catalogue: &Catalogue, index: GoalIndex, as_of: u32, version: u32) -> u32 {
    if state.status.is_done() {
        return version;
    }
    let (mut version, mut easier) = (version, false);
    for change in catalogue.changes_after(index, as_of) {
        let held = &catalogue.goal_as_of(index, version).definition;
        match change.policy {
            ChangePolicy::Restart => {
                restart(state);
                easier = false;
            }
            // Nobody is doing it: whoever takes it up again does so under the terms of that day.
            _ if !state.active => {}
            ChangePolicy::UpgradeIfEasier if change.goal.definition.is_no_harder_than(held) => easier = true,
            ChangePolicy::Keep | ChangePolicy::UpgradeIfEasier => continue,
        }
        version = change.version;
    }
    let target = catalogue.goal_as_of(index, version).target();
    if easier && state.active && state.progress >= target {
        state.status = Status::Completed;
        // The last event that counted has reached what is asked for now.
        let since = state.applied.map(|mark| mark.at).or(state.assigned_at).unwrap_or_default();
        state.completed_at = Some(since.whole_seconds());
    }
    version
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
