//! From a definition back to the text of a catalogue file, in the newer spelling.

use chrono::SecondsFormat;
use chrono_tz::Tz;
use serde::Serialize;

use super::{
    definition::{
        ChallengeDefinition, ChangePolicy, Definition, GoalDefinition, GoalKind, ProgressMode, Requirement,
        Reward, Rotation, RotationKind, Schedule,
    },
    names::{CHANGE_POLICIES, EVENT_SOURCES, OPERATORS, PROGRESS_MODES, REWARD_KINDS, WEEKDAYS, name_of},
};
use crate::Timestamp;

/// Writes a definition as the text of a catalogue file, indented, with a line break at the end.
/// What has its default value is left out. Reading the text gives the same definition.
#[must_use]
pub fn to_json(definition: &Definition) -> String {
    let file = File { challenges: definition.challenges.iter().map(Challenge::new).collect() };
    // Texts, numbers and lists cannot fail to be written to memory.
    let mut text = serde_json::to_string_pretty(&file).unwrap_or_default();
    text.push('\n');
    text
}

#[derive(Serialize)]
struct File<'a> {
    challenges: Vec<Challenge<'a>>,
}

#[derive(Serialize)]
struct Challenge<'a> {
    #[serde(rename = "challengeId")]
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    goals: Vec<Goal<'a>>,
}

impl<'a> Challenge<'a> {
    fn new(challenge: &'a ChallengeDefinition) -> Self {
        Self {
            id: &challenge.id,
            name: &challenge.name,
            description: &challenge.description,
            goals: challenge.goals.iter().map(Goal::new).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Goal<'a> {
    #[serde(rename = "goalId")]
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    event_source: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    daily: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default_assigned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<&'static str>,
    requirement: RequirementFields<'a>,
    reward: RewardFields<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    prerequisites: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<RotationFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_change: Option<&'static str>,
}

impl<'a> Goal<'a> {
    fn new(goal: &'a GoalDefinition) -> Self {
        let (kind, daily) = match goal.kind {
            GoalKind::Absolute => ("absolute", false),
            GoalKind::Increment { daily } => ("increment", daily),
            GoalKind::Daily => ("daily", false),
        };
        Self {
            id: &goal.id,
            name: &goal.name,
            description: &goal.description,
            kind,
            event_source: name_of(EVENT_SOURCES, goal.event_source),
            daily,
            default_assigned: goal.default_assigned,
            time_zone: (goal.time_zone != Tz::UTC).then(|| goal.time_zone.name()),
            requirement: RequirementFields::new(&goal.requirement),
            reward: RewardFields::new(&goal.reward),
            prerequisites: &goal.prerequisites,
            rotation: goal.rotation.as_ref().map(RotationFields::new),
            on_change: (goal.on_change != ChangePolicy::Keep)
                .then(|| name_of(CHANGE_POLICIES, goal.on_change)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequirementFields<'a> {
    stat_code: &'a str,
    operator: &'static str,
    target_value: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress_mode: Option<&'static str>,
}

impl<'a> RequirementFields<'a> {
    fn new(requirement: &'a Requirement) -> Self {
        let written = requirement.mode != ProgressMode::Absolute;
        Self {
            stat_code: &requirement.stat_code,
            operator: name_of(OPERATORS, requirement.operator),
            target_value: requirement.target_value,
            progress_mode: written.then(|| name_of(PROGRESS_MODES, requirement.mode)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RewardFields<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    reward_id: &'a str,
    quantity: i32,
}

impl<'a> RewardFields<'a> {
    fn new(reward: &'a Reward) -> Self {
        Self { kind: name_of(REWARD_KINDS, reward.kind), reward_id: &reward.id, quantity: reward.quantity }
    }
}

/// A rotation. Its time zone is always written: its default is the goal's, not UTC.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RotationFields<'a> {
    enabled: bool,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<ScheduleField<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u32>,
    time_zone: &'static str,
    week_start: &'static str,
    on_expiry: OnExpiryFields,
}

impl<'a> RotationFields<'a> {
    fn new(rotation: &'a Rotation) -> Self {
        let (kind, schedule, duration) = match &rotation.kind {
            RotationKind::Global(schedule) => ("global", Some(ScheduleField::new(schedule)), None),
            RotationKind::PerUser { duration_seconds } => ("per_user", None, Some(*duration_seconds)),
        };
        Self {
            enabled: rotation.enabled,
            kind,
            schedule,
            duration,
            time_zone: rotation.time_zone.name(),
            week_start: name_of(WEEKDAYS, rotation.week_start),
            on_expiry: OnExpiryFields {
                reset_progress: rotation.on_expiry.reset_progress,
                allow_reselection: rotation.on_expiry.allow_reselection,
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OnExpiryFields {
    reset_progress: bool,
    allow_reselection: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ScheduleField<'a> {
    Line(&'a str),
    Window { start: String, end: String },
}

impl<'a> ScheduleField<'a> {
    fn new(schedule: &'a Schedule) -> Self {
        match schedule {
            Schedule::Daily => Self::Line("daily"),
            Schedule::Weekly => Self::Line("weekly"),
            Schedule::Monthly => Self::Line("monthly"),
            Schedule::Cron(line) => Self::Line(line),
            Schedule::Window { start, end } => {
                Self::Window { start: exact_time(*start), end: exact_time(*end) }
            }
        }
    }
}

/// With milliseconds when there are any: what is written must read back the same.
fn exact_time(time: Timestamp) -> String {
    time.utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
