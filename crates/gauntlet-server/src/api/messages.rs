//! Replies of the domain as messages of the public contract.

use gauntlet_domain::{Catalogue, Goal, GoalIndex, GoalView, Reply, Timestamp, catalogue::Reward};
use gauntlet_proto::service as proto;

use crate::{catalogue::Standing, rewards::Claimed};

/// A goal as browsing shows it.
pub(crate) fn goal_message(goal: &Goal, view: GoalView, now: Timestamp) -> proto::Goal {
    let definition = &goal.definition;
    proto::Goal {
        goal_id: definition.id.clone(),
        name: definition.name.clone(),
        description: definition.description.clone(),
        requirement: Some(requirement(goal)),
        reward: Some(reward(&definition.reward)),
        prerequisites: definition.prerequisites.clone(),
        progress: view.progress,
        status: view.status.as_str().into(),
        locked: view.locked,
        completed_at: time(view.completed_at),
        claimed_at: time(view.claimed_at),
        is_active: view.is_active,
        expires_at: time(view.expires_at),
        expires_in_seconds: seconds_until(view.expires_at, now),
        claim_state: view.claim.map_or("", |claim| claim.as_str()).into(),
        claimable_until: time(view.claimable_until),
    }
}

/// The goal under the terms that hold for the player whom a view shows.
pub(crate) fn under_terms<'a>(catalogue: &'a Catalogue, index: GoalIndex, view: &GoalView) -> &'a Goal {
    view.terms.map_or_else(|| catalogue.goal(index), |version| catalogue.goal_as_of(index, version))
}

/// Whole seconds until a time, never negative; 0 when there is none.
pub(crate) fn seconds_until(end: Option<Timestamp>, now: Timestamp) -> i32 {
    end.map_or(0, |end| i32::try_from((end.since(now) / 1000).max(0)).unwrap_or(i32::MAX))
}

pub(crate) fn initialized(catalogue: &Catalogue, reply: Reply) -> proto::InitializeResponse {
    let Reply::Initialized { assigned, new_assignments } = reply else {
        return proto::InitializeResponse::default();
    };
    let assigned_goals: Vec<_> =
        assigned.into_iter().map(|(index, view)| assigned_goal(catalogue, index, view)).collect();
    proto::InitializeResponse { new_assignments, total_active: count(assigned_goals.len()), assigned_goals }
}

/// A goal as the start of a session shows it.
pub(crate) fn assigned_goal(catalogue: &Catalogue, index: GoalIndex, view: GoalView) -> proto::AssignedGoal {
    let goal = under_terms(catalogue, index, &view);
    proto::AssignedGoal {
        challenge_id: catalogue.challenge(goal.challenge).id.clone(),
        goal_id: goal.definition.id.clone(),
        name: goal.definition.name.clone(),
        description: goal.definition.description.clone(),
        is_active: view.is_active,
        assigned_at: time(view.assigned_at),
        expires_at: time(view.expires_at),
        progress: view.progress,
        target: goal.target(),
        status: view.status.as_str().into(),
        requirement: Some(requirement(goal)),
        reward: Some(reward(&goal.definition.reward)),
    }
}

pub(super) fn active_set(catalogue: &Catalogue, reply: &Reply) -> proto::SetGoalActiveResponse {
    let Reply::ActiveSet { goal: index, view } = reply else {
        return proto::SetGoalActiveResponse::default();
    };
    let goal = catalogue.goal(*index);
    let message = if view.is_active { "Goal activated" } else { "Goal deactivated" };
    proto::SetGoalActiveResponse {
        challenge_id: catalogue.challenge(goal.challenge).id.clone(),
        goal_id: goal.definition.id.clone(),
        is_active: view.is_active,
        assigned_at: time(view.assigned_at),
        message: message.into(),
    }
}

pub(super) fn selected(
    catalogue: &Catalogue,
    challenge_id: String,
    reply: Reply,
) -> proto::GoalSelectionResponse {
    let Reply::Selected { selected, total_active, replaced } = reply else {
        return proto::GoalSelectionResponse::default();
    };
    proto::GoalSelectionResponse {
        selected_goals: selected
            .into_iter()
            .map(|(index, view)| selected_goal(catalogue, index, view))
            .collect(),
        challenge_id,
        total_active_goals: total_active,
        replaced_goals: replaced
            .into_iter()
            .map(|index| catalogue.goal(index).definition.id.clone())
            .collect(),
    }
}

fn selected_goal(catalogue: &Catalogue, index: GoalIndex, view: GoalView) -> proto::SelectedGoal {
    let goal = under_terms(catalogue, index, &view);
    proto::SelectedGoal {
        goal_id: goal.definition.id.clone(),
        name: goal.definition.name.clone(),
        description: goal.definition.description.clone(),
        requirement: Some(requirement(goal)),
        reward: Some(reward(&goal.definition.reward)),
        status: view.status.as_str().into(),
        progress: view.progress,
        target: goal.target(),
        is_active: view.is_active,
        assigned_at: time(view.assigned_at),
        expires_at: time(view.expires_at),
    }
}

pub(super) fn claimed(claimed: &Claimed) -> proto::ClaimRewardResponse {
    proto::ClaimRewardResponse {
        goal_id: claimed.goal_id.clone(),
        status: gauntlet_domain::Status::Claimed.as_str().into(),
        reward: Some(reward(&claimed.reward)),
        claimed_at: claimed.claimed_at.to_rfc3339(),
    }
}

pub(super) fn catalogue_status(standing: Standing) -> proto::CatalogueStatus {
    let number = |version: u32| i32::try_from(version).unwrap_or(i32::MAX);
    proto::CatalogueStatus {
        version: number(standing.version),
        newest_version: number(standing.newest),
        waiting_for: standing.waiting_for,
    }
}

fn requirement(goal: &Goal) -> proto::Requirement {
    let requirement = &goal.definition.requirement;
    proto::Requirement {
        stat_code: requirement.stat_code.clone(),
        operator: requirement.operator.as_str().into(),
        target_value: requirement.target_value,
    }
}

pub(super) fn reward(reward: &Reward) -> proto::Reward {
    proto::Reward {
        r#type: reward.kind.as_str().into(),
        reward_id: reward.id.clone(),
        quantity: reward.quantity,
    }
}

pub(super) fn time(time: Option<Timestamp>) -> String {
    time.map(Timestamp::to_rfc3339).unwrap_or_default()
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
