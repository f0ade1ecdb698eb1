//! Selecting: goals that a player picks by name or draws.

use std::collections::HashSet;

use crate::{
    ChallengeIndex, Effects, GoalIndex, JournalKind, Player, Status,
    limits::MAX_SELECTION,
    rules::{
        Context, Refusal, Reply,
        assign::{activate, deactivate},
        call::{find_goal, journal},
        unclaimed::roll_over_goals,
        view::{current_state, open_prerequisites},
        view_goal,
    },
};

/// What a draw asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    pub(super) count: i32,
    pub(super) replace_existing: bool,
    pub(super) exclude_active: bool,
}

/// Activates the named goals: all of them or none.
pub(super) fn batch(
    player: &mut Player,
    challenge: &str,
    goals: &[String],
    replace_existing: bool,
    context: &Context<'_>,
    effects: &mut Effects,
) -> Result<Reply, Refusal> {
    let parent = find_challenge(context, challenge)?;
    if goals.is_empty() {
        return Err(invalid("goal_ids", "is empty; name at least one goal"));
    }
    if goals.len() > MAX_SELECTION {
        return Err(invalid(
            "goal_ids",
            format!("has {} ids; at most {MAX_SELECTION} are allowed", goals.len()),
        ));
    }
    let mut seen = HashSet::with_capacity(goals.len());
    let mut selected = Vec::with_capacity(goals.len());
    for id in goals {
        if !seen.insert(id.as_str()) {
            return Err(invalid("goal_ids", format!("names {id:?} twice")));
        }
        selected.push(find_goal(context.catalogue, challenge, id)?);
    }
    Ok(select(player, parent, &selected, replace_existing, context, effects))
}

/// Activates goals drawn from those that can be drawn, each with the same chance.
pub(super) fn random(
    player: &mut Player,
    challenge: &str,
    draw: Draw,
    context: &Context<'_>,
    effects: &mut Effects,
) -> Result<Reply, Refusal> {
    let parent = find_challenge(context, challenge)?;
    let count = usize::try_from(draw.count).unwrap_or(0);
    if count == 0 || count > MAX_SELECTION {
        return Err(invalid("count", format!("is {}; allowed are 1 to {MAX_SELECTION}", draw.count)));
    }
    let only_inactive = draw.exclude_active || draw.replace_existing;
    let pool: Vec<GoalIndex> = context
        .catalogue
        .goals_of(parent)
        .map(|(index, _)| index)
        .filter(|index| can_draw(player, *index, only_inactive, context))
        .collect();
    if pool.is_empty() {
        return Err(Refusal::InsufficientGoals {
            challenge: challenge.to_owned(),
            available: 0,
            requested: draw.count,
        });
    }
    let selected = sample(pool, count, context.seed);
    Ok(select(player, parent, &selected, draw.replace_existing, context, effects))
}

fn can_draw(player: &Player, index: GoalIndex, only_inactive: bool, context: &Context<'_>) -> bool {
    let goal = player.terms(context.catalogue, index, context.now);
    let free = current_state(player, context.catalogue, index, context.now)
        .is_none_or(|state| !(state.status.is_done() || only_inactive && state.active));
    free && open_prerequisites(Some(player), context.catalogue, goal, context.now).is_empty()
}

/// `count` of the pool, or all of it, in random order (the first steps of a Fisher-Yates shuffle).
fn sample(mut pool: Vec<GoalIndex>, count: usize, seed: u64) -> Vec<GoalIndex> {
    let mut random = fastrand::Rng::with_seed(seed);
    let count = count.min(pool.len());
    for at in 0..count {
        let other = random.usize(at..pool.len());
        pool.swap(at, other);
    }
    pool.truncate(count);
    pool
}

fn select(
    player: &mut Player,
    parent: ChallengeIndex,
    selected: &[GoalIndex],
    replace_existing: bool,
    context: &Context<'_>,
    effects: &mut Effects,
) -> Reply {
    let leaving = if replace_existing { leaving(player, parent, selected, context) } else { Vec::new() };
    let touched = selected.iter().chain(&leaving).map(|index| context.catalogue.goal(*index).number);
    roll_over_goals(player, touched, context, effects);
    let replaced = leaving.into_iter().filter(|index| deactivate(player, *index, context)).collect();
    let assigned = selected.iter().filter_map(|index| activate(player, *index, context)).collect();
    journal(player, effects, context.now, JournalKind::Assigned, assigned);
    player.settle(context.catalogue);
    let view = |index| view_goal(Some(player), context.catalogue, index, context.now);
    let open = context.catalogue.goals_of(parent).map(|(index, _)| view(index));
    let total = open.filter(|view| view.is_active && view.status != Status::Claimed).count();
    Reply::Selected {
        selected: selected.iter().map(|index| (*index, view(*index))).collect(),
        total_active: i32::try_from(total).unwrap_or(i32::MAX),
        replaced,
    }
}

/// The challenge's active goals that are neither selected nor waiting to be claimed.
fn leaving(
    player: &Player,
    parent: ChallengeIndex,
    selected: &[GoalIndex],
    context: &Context<'_>,
) -> Vec<GoalIndex> {
    context
        .catalogue
        .goals_of(parent)
        .map(|(index, _)| index)
        .filter(|index| !selected.contains(index))
        .filter(|index| {
            current_state(player, context.catalogue, *index, context.now)
                .is_some_and(|state| state.active && state.status != Status::Completed)
        })
        .collect()
}

fn find_challenge(context: &Context<'_>, id: &str) -> Result<ChallengeIndex, Refusal> {
    context.catalogue.find_challenge(id).ok_or_else(|| Refusal::ChallengeNotFound(id.to_owned()))
}

fn invalid(field: &'static str, problem: impl Into<String>) -> Refusal {
    Refusal::InvalidInput { field, problem: problem.into() }
}

#[cfg(test)]
mod tests;
