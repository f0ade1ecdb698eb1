//! Claims: from a completed goal to an ordered grant, and from its end to a claimed goal.

use crate::{
    ClaimState, Effects, GoalIndex, GrantEnd, GrantKey, GrantOrder, GrantResult, JournalKind, Player, Status,
    player::PendingClaim,
    rules::{Context, Refusal, Reply, call::journal, rollover::current, view::open_prerequisites},
};

/// Checks a claim, records it as pending and orders its grant.
pub(super) fn begin(
    player: &mut Player,
    index: GoalIndex,
    context: &Context<'_>,
    effects: &mut Effects,
) -> Result<Reply, Refusal> {
    check(player, index, context)?;
    let goal = player.terms(context.catalogue, index, context.now);
    let cycle = player.goal(goal.number).map_or(0, |state| state.cycle.number);
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
    Ok(Reply::ClaimBegun { goal: index, order })
}

/// The checks of a claim, in the order in which callers see them.
fn check(player: &Player, index: GoalIndex, context: &Context<'_>) -> Result<(), Refusal> {
    let goal = player.terms(context.catalogue, index, context.now);
    let id = || goal.id().to_owned();
    let not_completed = |progress| Refusal::GoalNotCompleted { goal: id(), progress, target: goal.target() };
    let Some(stored) = player.goal(goal.number) else { return Err(not_completed(0)) };
    let state = current(player, stored, goal, context.now);
    if state.status == Status::Claimed {
        let claimed_at = state.claimed_at.unwrap_or_default();
        return Err(Refusal::GoalAlreadyClaimed { goal: id(), claimed_at });
    }
    // A claim of the cycle before is still what the player asks about, until the goal is done again.
    let earlier = state.previous.filter(|_| !state.status.is_done());
    let claim = player
        .claim(goal.number, state.cycle.number)
        .or_else(|| player.claim(goal.number, earlier?.cycle.number));
    if let Some(claim) = claim {
        let key = GrantKey { goal: goal.number, cycle: claim.cycle, epoch: player.head.epoch };
        return Err(match claim.state {
            ClaimState::Pending => Refusal::ClaimPending { goal: id(), key },
            ClaimState::Uncertain => Refusal::ClaimUncertain(id()),
            ClaimState::Refused => Refusal::ClaimRefused(id()),
        });
    }
    if earlier.is_some_and(|previous| previous.status == Status::Completed) {
        return Err(Refusal::GoalRotated(id()));
    }
    if !state.active {
        return Err(Refusal::GoalNotActive(id()));
    }
    if state.status != Status::Completed {
        return Err(not_completed(state.progress));
    }
    let open = open_prerequisites(Some(player), context.catalogue, goal, context.now);
    if !open.is_empty() {
        let name = |index: GoalIndex| context.catalogue.goal(index).id().to_owned();
        return Err(Refusal::PrerequisitesNotMet { goal: id(), open: open.into_iter().map(name).collect() });
    }
    Ok(())
}

/// Records how a grant ended, for exactly that claim of that cycle. A result that comes twice
/// changes nothing.
pub(super) fn settle(
    player: &mut Player,
    key: &GrantKey,
    end: &GrantEnd,
    context: &Context<'_>,
    effects: &mut Effects,
) {
    effects.results.push(GrantResult { key: key.clone(), end: end.clone() });
    let this = |claim: &PendingClaim| claim.goal == key.goal && claim.cycle == key.cycle;
    let Some(at) = player.head.claims.iter().position(this) else { return };
    if player.head.epoch != key.epoch {
        return;
    }
    let state = match end {
        GrantEnd::Granted => {
            let claim = player.head.claims.remove(at);
            mark_claimed(player, &claim);
            journal(player, effects, context.now, JournalKind::Claimed, vec![claim.goal]);
            player.settle(context.catalogue);
            return;
        }
        GrantEnd::Refused(_) => ClaimState::Refused,
        // A sender that knows less than the one before it.
        GrantEnd::Uncertain(_) if player.head.claims[at].state == ClaimState::Refused => return,
        GrantEnd::Uncertain(_) => ClaimState::Uncertain,
    };
    player.head.claims[at].state = state;
}

fn mark_claimed(player: &mut Player, claim: &PendingClaim) {
    let Some(state) = player.goal_mut(claim.goal) else { return };
    if state.cycle.number == claim.cycle {
        state.status = Status::Claimed;
        state.claimed_at = Some(claim.claimed_at);
    } else if let Some(previous) = &mut state.previous
        && previous.cycle.number == claim.cycle
    {
        previous.status = Status::Claimed;
    }
}

#[cfg(test)]
mod tests;
