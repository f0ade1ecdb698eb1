//! Unclaimed rewards: completions that outlive their cycle, by the goal's policy.
//!
//! A completion that would be lost with its cycle is kept in the document when the goal's policy
//! says so. One with a grace period waits for its player; one that is granted by itself waits for
//! whoever looks first: the player's claim, or the worker, which [`due`] tells when to look.

use crate::{
    Catalogue, Effects, Goal, GoalIndex, GoalNumber, GoalState, GrantKey, GrantOrder, JournalKind, Player,
    Status, Timestamp,
    catalogue::Unclaimed,
    player::{ClaimState, CycleMark, KeptReward, PendingClaim},
    rules::{
        Context, Reply,
        call::journal,
        rollover::{claimable_until, roll_over},
        view::current_state,
    },
};

/// Keeps a completion that outlives its cycle, under the terms of that cycle; answers whether its goal
/// wants that.
pub(super) fn keep(player: &mut Player, index: GoalIndex, lost: KeptReward, catalogue: &Catalogue) -> bool {
    let promised = player.terms_in(catalogue, index, lost.cycle.number);
    if !keep_under(player, promised, lost) {
        return false;
    }
    player.pin_terms(lost.goal, lost.cycle.number);
    true
}

/// The same under terms that the caller remembers.
pub(super) fn keep_under(player: &mut Player, promised: &Goal, lost: KeptReward) -> bool {
    if promised.unclaimed() == Unclaimed::Forfeit {
        return false;
    }
    let there = |kept: &KeptReward| kept.goal == lost.goal && kept.cycle.number == lost.cycle.number;
    if !player.head.kept.iter().any(there) {
        player.head.kept.push(lost);
    }
    true
}

/// Starts the current cycle of those of the goals whose cycle has ended, and tells the journal
/// which completions were lost. A claim under way keeps its goal as it is.
pub(super) fn roll_over_goals(
    player: &mut Player,
    numbers: impl IntoIterator<Item = GoalNumber>,
    context: &Context<'_>,
    effects: &mut Effects,
) {
    let mut lost = drop_overdue(player, context);
    for number in numbers {
        let Some(index) = context.catalogue.find_number(number) else { continue };
        let Some(state) = player.goal(number) else { continue };
        if player.is_claiming(state) {
            continue;
        }
        let asked = player.claim(number, state.cycle.number).is_some();
        let terms = player.terms_of(state, context.catalogue, index);
        let before = state.cycle.number;
        let Some(state) = player.goal_mut(number) else { continue };
        let completion = roll_over(state, terms, context.now, asked);
        let after = state.cycle.number;
        if terms.are_old() && std::ptr::eq(terms.of_following(asked), terms.now) {
            player.carry_terms(number, before, after);
        }
        if let Some(completion) = completion
            && !keep(player, index, completion, context.catalogue)
        {
            lost.push((number, completion.cycle));
        }
    }
    journal(player, effects, context.now, JournalKind::Expired, lost);
}

/// Forgets kept completions that nobody can claim any more.
fn drop_overdue(player: &mut Player, context: &Context<'_>) -> Vec<(GoalNumber, CycleMark)> {
    if player.head.kept.is_empty() {
        return Vec::new();
    }
    let overdue = |kept: &KeptReward| {
        // A goal that has left the catalogue may come back.
        context.catalogue.find_number(kept.goal).is_some_and(|index| {
            let goal = player.terms_in(context.catalogue, index, kept.cycle.number);
            claimable_until(kept, goal).is_none_or(|until| until <= context.now)
        })
    };
    let (lost, left): (Vec<_>, Vec<_>) = player.head.kept.iter().copied().partition(overdue);
    player.head.kept = left;
    lost.into_iter().map(|kept| (kept.goal, kept.cycle)).collect()
}

/// The kept completion of a goal that a claim takes: the oldest that can still be claimed and whose
/// prerequisites were met.
pub(super) fn claimable(player: &Player, index: GoalIndex, context: &Context<'_>) -> Option<KeptReward> {
    let number = context.catalogue.goal(index).number;
    let of_goal = player.head.kept.iter().filter(|kept| kept.goal == number);
    let promised = |kept: &KeptReward| player.terms_in(context.catalogue, index, kept.cycle.number);
    of_goal
        .filter(|kept| claimable_until(kept, promised(kept)).is_some_and(|until| context.now < until))
        .find(|kept| open_at(player, promised(kept), kept, context).is_empty())
        .copied()
}

/// The prerequisites of a kept completion that are neither done now nor were in a cycle that ended
/// no earlier than its own.
pub(super) fn open_at(
    player: &Player,
    goal: &Goal,
    kept: &KeptReward,
    context: &Context<'_>,
) -> Vec<GoalIndex> {
    let done = |index: GoalIndex| {
        current_state(player, context.catalogue, index, context.now).is_some_and(|state| {
            let before = state.previous.filter(|previous| previous.cycle.end >= kept.cycle.end);
            state.status.is_done() || before.is_some_and(|previous| previous.status.is_done())
        })
    };
    goal.prerequisites.iter().copied().filter(|index| !done(*index)).collect()
}

/// Records the claim of a kept completion and makes its order; adds to `effects`.
pub(super) fn order(
    player: &mut Player,
    index: GoalIndex,
    kept: &KeptReward,
    context: &Context<'_>,
    effects: &mut Effects,
) -> GrantOrder {
    let goal = player.terms_in(context.catalogue, index, kept.cycle.number);
    player.head.kept.retain(|other| other != kept);
    order_grant(player, goal, kept.cycle.number, context, effects)
}

/// Records a claim as pending and orders its grant.
pub(super) fn order_grant(
    player: &mut Player,
    goal: &Goal,
    cycle: u32,
    context: &Context<'_>,
    effects: &mut Effects,
) -> GrantOrder {
    let claimed_at = context.now.whole_seconds();
    player.head.claims.push(PendingClaim {
        goal: goal.number,
        cycle,
        claimed_at,
        state: ClaimState::Pending,
    });
    let order = GrantOrder {
        key: GrantKey { goal: goal.number, cycle, epoch: player.head.epoch },
        challenge_id: context.catalogue.challenge(goal.challenge).id.clone(),
        goal_id: goal.id().to_owned(),
        reward: goal.definition.reward.clone(),
        claimed_at,
    };
    effects.orders.push(order.clone());
    order
}

/// Starts new cycles, and orders the grants of completions that are rewarded without being asked
/// for. One whose prerequisites are open is given the time in which late events can still come,
/// and then is lost.
pub(super) fn grant_unclaimed(player: &mut Player, context: &Context<'_>, effects: &mut Effects) -> Reply {
    let numbers: Vec<GoalNumber> = player.goals().map(|goal| goal.number).collect();
    roll_over_goals(player, numbers, context, effects);
    let mut orders = Vec::new();
    let mut lost = Vec::new();
    for kept in player.head.kept.clone() {
        let Some(index) = context.catalogue.find_number(kept.goal) else { continue };
        let goal = player.terms_in(context.catalogue, index, kept.cycle.number);
        let is_due = due_of(&kept, goal, context.late_window_ms).is_some_and(|due| due <= context.now);
        if !is_due {
            continue;
        }
        if open_at(player, goal, &kept, context).is_empty() {
            orders.push(order(player, index, &kept, context, effects));
        } else {
            player.head.kept.retain(|other| *other != kept);
            lost.push((kept.goal, kept.cycle));
        }
    }
    journal(player, effects, context.now, JournalKind::Expired, lost);
    player.settle(context.catalogue);
    Reply::UnclaimedGranted { orders }
}

/// Whether a completion of a cycle that has ended is not lost: it was asked for, or the goal's policy
/// keeps it.
pub(super) fn is_claimable(player: &Player, goal: &Goal, cycle: CycleMark, now: Timestamp) -> bool {
    if player.claim(goal.number, cycle.number).is_some() {
        return true;
    }
    let kept = KeptReward { goal: goal.number, cycle, completed_at: None };
    let there = |kept: &KeptReward| kept.goal == goal.number && kept.cycle == cycle;
    let unmoved = |state: &GoalState| state.cycle == cycle && state.status == Status::Completed;
    let waits = player.head.kept.iter().any(there) || player.goal(goal.number).is_some_and(unmoved);
    waits && claimable_until(&kept, goal).is_some_and(|until| now < until)
}

/// When a kept completion is to be granted by itself; `None`: never.
fn due_of(kept: &KeptReward, goal: &Goal, late_window_ms: i64) -> Option<Timestamp> {
    if goal.unclaimed() != Unclaimed::Grant {
        return None;
    }
    // A prerequisite may be completed by an event that comes late.
    let wait = if goal.prerequisites.is_empty() { 0 } else { late_window_ms };
    kept.cycle.end.map(|end| end.plus_millis(wait))
}

/// When somebody has to look after a player whom nobody asks for, with
/// [`Command::GrantUnclaimed`](crate::Command::GrantUnclaimed): at the end of the first cycle with
/// a completion whose reward is granted by itself. A function of the live part alone, whichever
/// version of the catalogue wrote it.
#[must_use]
pub fn due(player: &Player, catalogue: &Catalogue, late_window_ms: i64) -> Option<Timestamp> {
    if !catalogue.grants_unclaimed() {
        return None;
    }
    let kept = player.head.kept.iter().filter_map(|kept| {
        let goal = player.terms_in(catalogue, catalogue.find_number(kept.goal)?, kept.cycle.number);
        due_of(kept, goal, late_window_ms)
    });
    let running = player.live().iter().filter(|state| state.status == Status::Completed);
    let running = running.filter_map(|state| {
        let goal = player.terms_of(state, catalogue, catalogue.find_number(state.number)?).now;
        let asked = player.claim(state.number, state.cycle.number).is_some();
        (goal.unclaimed() == Unclaimed::Grant && !asked).then_some(state.cycle.end?)
    });
    kept.chain(running).min()
}

#[cfg(test)]
mod tests;
