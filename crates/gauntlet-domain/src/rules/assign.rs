//! Assigning: initialization, and making one goal active or inactive.

use crate::{
    Effects, GoalIndex, GoalNumber, GoalState, JournalKind, Player,
    player::CycleMark,
    rules::{Context, GoalView, Reply, call::journal, unclaimed::roll_over_goals, view_goal},
};

/// Assigns every default goal that the player lacks, starts new cycles, and lists what is active.
pub(super) fn initialize(player: &mut Player, context: &Context<'_>, effects: &mut Effects) -> Reply {
    let numbers: Vec<GoalNumber> = player.goals().map(|goal| goal.number).collect();
    roll_over_goals(player, numbers, context, effects);
    player.settle(context.catalogue);
    let missing: Vec<GoalIndex> = context
        .catalogue
        .default_goals()
        .iter()
        .copied()
        .filter(|index| player.goal(context.catalogue.goal(*index).number).is_none())
        .collect();
    let assigned: Vec<(GoalNumber, CycleMark)> =
        missing.iter().filter_map(|index| activate(player, *index, context)).collect();
    let new_assignments = i32::try_from(assigned.len()).unwrap_or(i32::MAX);
    journal(player, effects, context.now, JournalKind::Assigned, assigned);
    Reply::Initialized { assigned: active_goals(player, context), new_assignments }
}

/// The player's active goals in the order of the catalogue.
fn active_goals(player: &Player, context: &Context<'_>) -> Vec<(GoalIndex, GoalView)> {
    let mut active: Vec<GoalIndex> = player
        .goals()
        .filter(|goal| goal.active)
        .filter_map(|goal| context.catalogue.find_number(goal.number))
        .collect();
    active.sort_unstable();
    let view = |index| view_goal(Some(player), context.catalogue, index, context.now);
    active.into_iter().map(|index| (index, view(index))).collect()
}

/// Makes a goal active or inactive; a claim under way keeps it as it is.
pub(super) fn set_active(
    player: &mut Player,
    index: GoalIndex,
    active: bool,
    context: &Context<'_>,
    effects: &mut Effects,
) -> Reply {
    roll_over_goals(player, [context.catalogue.goal(index).number], context, effects);
    if active {
        let assigned = activate(player, index, context);
        journal(player, effects, context.now, JournalKind::Assigned, assigned.into_iter().collect());
    } else {
        deactivate(player, index, context);
    }
    player.settle(context.catalogue);
    let view = view_goal(Some(player), context.catalogue, index, context.now);
    Reply::ActiveSet { goal: index, view }
}

/// Makes a goal active, adding it when the player lacks it. Answers its number and cycle when it was
/// not active before. Rollover came first.
pub(super) fn activate(
    player: &mut Player,
    index: GoalIndex,
    context: &Context<'_>,
) -> Option<(GoalNumber, CycleMark)> {
    let state = ensure(player, index, context);
    if state.active {
        return None;
    }
    state.activate(context.now);
    if state.cycle == CycleMark::default()
        && let Some(first) = context.catalogue.goal(index).cycles.next(state, context.now)
    {
        // A cycle of the player's own begins with the first assignment.
        state.cycle = first;
    }
    Some((state.number, state.cycle))
}

/// Makes a goal inactive, adding it when the player lacks it, so that a default goal which was
/// put away before initialization stays away. Answers whether it was active. Rollover came first.
pub(super) fn deactivate(player: &mut Player, index: GoalIndex, context: &Context<'_>) -> bool {
    let state = player.goal(context.catalogue.goal(index).number);
    if state.is_some_and(|state| player.is_claiming(state)) {
        return false;
    }
    std::mem::take(&mut ensure(player, index, context).active)
}

fn ensure<'a>(player: &'a mut Player, index: GoalIndex, context: &Context<'_>) -> &'a mut GoalState {
    let goal = context.catalogue.goal(index);
    if player.goal(goal.number).is_none_or(|state| !state.active) {
        // What begins now begins under the terms of today.
        player.is_now_as_of(context.catalogue.version());
    }
    player.goal_or_insert(GoalState::new(goal.number, goal.cycles.of_nobody(context.now)))
}

#[cfg(test)]
mod tests;
