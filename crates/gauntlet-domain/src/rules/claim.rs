//! Claims: from a completed goal to an ordered grant, and from its end to a claimed goal.

use crate::{
    ClaimState, Effects, GoalIndex, GrantEnd, GrantKey, GrantResult, JournalKind, Player, Status,
    player::{CycleMark, KeptReward, PendingClaim},
    rules::{
        Context, Refusal, Reply,
        call::journal,
        rollover::{claimable_until, current},
        unclaimed::{self, claimable, open_at, roll_over_goals},
        view::open_prerequisites,
    },
};

/// Checks a claim, records it as pending and orders its grant.
pub(super) fn begin(
    player: &mut Player,
    index: GoalIndex,
    context: &Context<'_>,
    effects: &mut Effects,
) -> Result<Reply, Refusal> {
    let number = context.catalogue.goal(index).number;
    // A refusal changes nothing, so that what comes first is done to a copy.
    let mut rolled = (player.clone(), Effects::default());
    roll_over_goals(&mut rolled.0, [number], context, &mut rolled.1);
    // What would be lost first is claimed first.
    let kept = claimable(&rolled.0, index, context);
    if kept.is_none() {
        check(&rolled.0, index, context)?;
    }
    *player = rolled.0;
    effects.append(rolled.1);
    let order = if let Some(kept) = kept {
        unclaimed::order(player, index, &kept, context, effects)
    } else {
        let cycle = player.goal(number).map_or(0, |state| state.cycle.number);
        let goal = player.terms(context.catalogue, index, context.now);
        unclaimed::order_grant(player, goal, cycle, context, effects)
    };
    player.settle(context.catalogue);
    Ok(Reply::ClaimBegun { goal: index, order })
}

/// The checks of a claim, in the order in which callers see them.
fn check(player: &Player, index: GoalIndex, context: &Context<'_>) -> Result<(), Refusal> {
    let goal = player.terms(context.catalogue, index, context.now);
    let id = || goal.id().to_owned();
    let not_completed = |progress| Refusal::GoalNotCompleted { goal: id(), progress, target: goal.target() };
    let Some(stored) = player.goal(goal.number) else { return Err(not_completed(0)) };
    let terms = player.terms_of(stored, context.catalogue, index);
    let state = current(player, stored, terms, context.now);
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
    let name = |index: GoalIndex| context.catalogue.goal(index).id().to_owned();
    if let Some(previous) = earlier.filter(|previous| previous.status == Status::Completed) {
        let kept =
            KeptReward { goal: goal.number, cycle: previous.cycle, completed_at: previous.completed_at };
        let promised = player.terms_in(context.catalogue, index, kept.cycle.number);
        let waits = claimable_until(&kept, promised).is_some_and(|until| context.now < until);
        if waits && player.head.kept.contains(&kept) {
            let open = open_at(player, promised, &kept, context);
            if !open.is_empty() {
                let open = open.into_iter().map(name).collect();
                return Err(Refusal::PrerequisitesNotMet { goal: id(), open });
            }
        }
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
            let cycle = mark_claimed(player, &claim);
            journal(player, effects, context.now, JournalKind::Claimed, vec![(claim.goal, cycle)]);
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

/// Answers the cycle that was claimed, as far as it is known.
fn mark_claimed(player: &mut Player, claim: &PendingClaim) -> CycleMark {
    let unknown = CycleMark { number: claim.cycle, end: None };
    let Some(state) = player.goal_mut(claim.goal) else { return unknown };
    if state.cycle.number == claim.cycle {
        state.status = Status::Claimed;
        state.claimed_at = Some(claim.claimed_at);
        return state.cycle;
    }
    match &mut state.previous {
        Some(previous) if previous.cycle.number == claim.cycle => {
            previous.status = Status::Claimed;
            previous.cycle
        }
        _ => unknown,
    }
}

#[cfg(test)]
mod tests;
