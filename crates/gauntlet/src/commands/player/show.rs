//! Replies of the player API for people.
#![expect(clippy::struct_field_names, reason = "the names are those of the replies")]

use std::fmt::Write as _;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    cli::PlayerCommand,
    output::{Failure, columns},
};

/// What is shown of a goal, in whichever reply it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Goal {
    challenge_id: String,
    goal_id: String,
    name: String,
    requirement: Requirement,
    reward: Reward,
    progress: i32,
    status: String,
    locked: bool,
    is_active: bool,
    expires_at: String,
    claim_state: String,
    claimable_until: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Requirement {
    target_value: i32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Reward {
    reward_id: String,
    quantity: i32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Challenge {
    challenge_id: String,
    name: String,
    goals: Vec<Goal>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Challenges {
    challenges: Vec<Challenge>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Initialized {
    assigned_goals: Vec<Goal>,
    new_assignments: i32,
    total_active: i32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selected {
    selected_goals: Vec<Goal>,
    total_active_goals: i32,
    replaced_goals: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Activated {
    goal_id: String,
    is_active: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Claimed {
    goal_id: String,
    reward: Reward,
    claimed_at: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct History {
    cycles: Vec<PastCycle>,
    next_page_token: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PastCycle {
    end_time: String,
    goals: Vec<PastGoal>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PastGoal {
    goal_id: String,
    name: String,
    outcome: String,
    completed_at: String,
    claimed_at: String,
    reward: Reward,
    lost_progress: i32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rotated {
    rotation: Rotation,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rotation {
    enabled: bool,
    r#type: String,
    schedule: String,
    current_period: Period,
    next_period: Period,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Period {
    start_time: String,
    end_time: String,
}

/// The reply to a command, as text that ends with a line break.
pub(super) fn reply(command: &PlayerCommand, reply: Value) -> Result<String, Failure> {
    Ok(match command {
        PlayerCommand::Init => initialized(&read(reply)?),
        PlayerCommand::List { challenge: None, active } => list(&read(reply)?, *active),
        PlayerCommand::List { challenge: Some(_), .. } => challenge(&read(reply)?),
        PlayerCommand::Select { .. } | PlayerCommand::Draw { .. } => selected(&read(reply)?),
        PlayerCommand::Activate { .. } => {
            let Activated { goal_id, is_active } = read(reply)?;
            format!("{goal_id} is {}\n", if is_active { "active" } else { "not active" })
        }
        PlayerCommand::History { .. } => history(&read(reply)?),
        PlayerCommand::Rotation { .. } => rotation(&read::<Rotated>(reply)?.rotation),
        PlayerCommand::Claim { .. } => {
            let Claimed { goal_id, reward, claimed_at } = read(reply)?;
            format!("{goal_id} claimed at {claimed_at}: {}\n", reward_text(&reward))
        }
    })
}

fn read<T: DeserializeOwned>(reply: Value) -> Result<T, Failure> {
    serde_json::from_value(reply).map_err(|error| {
        Failure::caused("the server's reply is not of the player API", &error)
            .hint("--json shows the reply as it is")
    })
}

/// All challenges, or only those that have something to show.
fn list(reply: &Challenges, only_some: bool) -> String {
    let shown = reply.challenges.iter().filter(|challenge| !only_some || !challenge.goals.is_empty());
    let shown: Vec<String> = shown.map(challenge).collect();
    if shown.is_empty() { NO_GOALS.to_owned() } else { shown.join("\n") }
}

fn challenge(challenge: &Challenge) -> String {
    format!("{}  {}\n{}", challenge.challenge_id, challenge.name, goals(&challenge.goals))
}

fn initialized(reply: &Initialized) -> String {
    let Initialized { assigned_goals, new_assignments, total_active } = reply;
    format!("newly assigned: {new_assignments}, active: {total_active}\n{}", goals(assigned_goals))
}

fn selected(reply: &Selected) -> String {
    let Selected { selected_goals, total_active_goals, replaced_goals } = reply;
    let mut text =
        format!("selected: {}, active in this challenge: {total_active_goals}\n", selected_goals.len());
    text.push_str(&goals(selected_goals));
    if !replaced_goals.is_empty() {
        _ = writeln!(text, "replaced: {}", replaced_goals.join(", "));
    }
    text
}

/// What stands in the place of goals.
const NO_GOALS: &str = "  (no goals)\n";

/// One line for each goal; a star in front of those that events count for.
fn goals(goals: &[Goal]) -> String {
    if goals.is_empty() {
        return NO_GOALS.to_owned();
    }
    let rows: Vec<[String; 6]> = goals.iter().map(row).collect();
    columns(&rows)
}

fn row(goal: &Goal) -> [String; 6] {
    let id = if goal.challenge_id.is_empty() {
        goal.goal_id.clone()
    } else {
        format!("{} {}", goal.challenge_id, goal.goal_id)
    };
    let mut status = goal.status.replace('_', " ");
    if goal.locked {
        status.push_str(", locked");
    }
    if !goal.claim_state.is_empty() {
        status = format!("{status}, reward {}", goal.claim_state);
    }
    if !goal.expires_at.is_empty() {
        status = format!("{status}, ends {}", goal.expires_at);
    }
    if !goal.claimable_until.is_empty() {
        status = format!("{status}, earlier one claimable until {}", goal.claimable_until);
    }
    [
        format!("  {}", if goal.is_active { "*" } else { " " }),
        id,
        format!("{}/{}", goal.progress, goal.requirement.target_value),
        reward_text(&goal.reward),
        status,
        goal.name.clone(),
    ]
}

fn history(reply: &History) -> String {
    if reply.cycles.is_empty() {
        return "nothing was completed in a cycle that has ended, and no goal was restarted\n".to_owned();
    }
    let mut text = String::new();
    for cycle in &reply.cycles {
        _ = writeln!(text, "ended {}", cycle.end_time);
        let rows: Vec<[String; 5]> = cycle.goals.iter().map(past_row).collect();
        text.push_str(&columns(&rows));
    }
    if !reply.next_page_token.is_empty() {
        _ = writeln!(text, "earlier ones: --page {}", reply.next_page_token);
    }
    text
}

fn past_row(goal: &PastGoal) -> [String; 5] {
    let when = if goal.outcome == "restarted" {
        format!("lost progress {}", goal.lost_progress)
    } else if goal.claimed_at.is_empty() {
        format!("completed {}", goal.completed_at)
    } else {
        format!("granted {}", goal.claimed_at)
    };
    [format!("  {}", goal.goal_id), goal.outcome.clone(), reward_text(&goal.reward), when, goal.name.clone()]
}

fn rotation(rotation: &Rotation) -> String {
    if !rotation.enabled {
        return "this challenge does not rotate\n".to_owned();
    }
    let mut text = format!("{} {}\n", rotation.r#type, rotation.schedule);
    for (name, period) in [("now", &rotation.current_period), ("next", &rotation.next_period)] {
        let span = if period.start_time.is_empty() {
            "no cycle".to_owned()
        } else {
            format!("{} to {}", period.start_time, period.end_time)
        };
        _ = writeln!(text, "  {name:<5}{span}");
    }
    text
}

fn reward_text(reward: &Reward) -> String {
    format!("{} {}", reward.quantity, reward.reward_id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_shows_what_matters_in_columns() {
        let goals = json!([
            { "goalId": "kills", "name": "Ten kills", "requirement": { "targetValue": 10 }, "progress": 3,
              "reward": { "rewardId": "GOLD", "quantity": 50 }, "status": "in_progress", "isActive": true,
              "expiresAt": "2026-02-01T00:00:00Z" },
            { "goalId": "first-win", "name": "Win", "requirement": { "targetValue": 1 }, "progress": 1,
              "reward": { "rewardId": "SWORD", "quantity": 1 }, "status": "completed", "locked": true,
              "claimState": "pending" },
        ]);
        let list = json!({ "challenges": [
            { "challengeId": "daily", "name": "Daily", "goals": goals },
            { "challengeId": "empty", "name": "Nothing", "goals": [] },
        ]});
        let active = PlayerCommand::List { challenge: None, active: true };
        assert!(!reply(&active, list.clone()).unwrap().contains("Nothing"));
        assert_eq!(reply(&active, json!({ "challenges": [] })).unwrap(), "  (no goals)\n");
        let command = PlayerCommand::List { challenge: None, active: false };
        assert_eq!(
            reply(&command, list).unwrap(),
            "daily  Daily
  *  kills      3/10  50 GOLD  in progress, ends 2026-02-01T00:00:00Z  Ten kills
     first-win  1/1   1 SWORD  completed, locked, reward pending       Win

empty  Nothing
  (no goals)
"
        );
    }

    #[test]
    fn history_and_rotation_are_told_in_words() {
        let history = PlayerCommand::History { challenge: String::new(), size: 20, page: String::new() };
        let goal = |outcome: &str, claimed: &str| {
            json!({ "goalId": "win", "name": "Win", "outcome": outcome, "claimedAt": claimed,
                    "completedAt": "2026-02-01T10:00:00Z", "reward": { "rewardId": "GOLD", "quantity": 5 } })
        };
        let told = json!({ "nextPageToken": "17", "cycles": [
            { "endTime": "2026-02-04T09:30:00Z", "goals": [
                { "goalId": "win", "name": "Win", "outcome": "restarted", "lostProgress": 6,
                  "reward": { "rewardId": "GOLD", "quantity": 5 } }] },
            { "endTime": "2026-02-03T00:00:00Z", "goals": [goal("lost", "")] },
            { "endTime": "2026-02-02T00:00:00Z", "goals": [goal("claimed", "2026-02-01T11:00:00Z")] } ] });
        assert_eq!(
            reply(&history, told).unwrap(),
            "ended 2026-02-04T09:30:00Z
  win  restarted  5 GOLD  lost progress 6  Win
ended 2026-02-03T00:00:00Z
  win  lost  5 GOLD  completed 2026-02-01T10:00:00Z  Win
ended 2026-02-02T00:00:00Z
  win  claimed  5 GOLD  granted 2026-02-01T11:00:00Z  Win
earlier ones: --page 17
"
        );
        let rotation = PlayerCommand::Rotation { challenge: String::new() };
        let told = json!({ "rotation": { "enabled": true, "type": "global", "schedule": "daily",
            "currentPeriod": { "startTime": "2026-02-01T00:00:00Z", "endTime": "2026-02-02T00:00:00Z" } } });
        let shown = "global daily\n  now  2026-02-01T00:00:00Z to 2026-02-02T00:00:00Z\n  next no cycle\n";
        assert_eq!(reply(&rotation, told).unwrap(), shown);
        let still = json!({ "rotation": {} });
        assert_eq!(reply(&rotation, still).unwrap(), "this challenge does not rotate\n");
    }

    #[test]
    fn selections_and_claims_are_one_glance() {
        let draw =
            PlayerCommand::Draw { challenge: String::new(), count: 1, replace: true, exclude_active: false };
        let drawn = json!({ "selectedGoals": [], "totalActiveGoals": 4, "replacedGoals": ["a", "b"] });
        assert_eq!(
            reply(&draw, drawn).unwrap(),
            "selected: 0, active in this challenge: 4\n  (no goals)\nreplaced: a, b\n"
        );
        let claim = PlayerCommand::Claim { challenge: String::new(), goal: String::new() };
        let claimed = json!({ "goalId": "kills", "status": "claimed", "claimedAt": "2026-02-01T00:00:00Z",
                              "reward": { "rewardId": "GOLD", "quantity": 50 } });
        assert_eq!(reply(&claim, claimed).unwrap(), "kills claimed at 2026-02-01T00:00:00Z: 50 GOLD\n");
        assert!(reply(&claim, json!("another API")).is_err());
    }
}
