//! Definitions in words that a player would use.

use super::{FieldChange, note};
use crate::catalogue::{
    definition::{
        EventSource, GoalDefinition, GoalKind, ProgressMode, Reward, Rotation, RotationKind, Schedule,
    },
    names::{CHANGE_POLICIES, WEEKDAYS, name_of},
};

/// What a goal asks for and gives.
pub(super) fn terms(goal: &GoalDefinition) -> Vec<FieldChange> {
    lines(goal).into_iter().map(|(field, new)| FieldChange { field, old: String::new(), new }).collect()
}

/// What is different in what a goal asks for and gives. Where the words are the same and the terms are
/// not, the definitions themselves are shown.
pub(super) fn changed_terms(old: &GoalDefinition, new: &GoalDefinition) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    for ((field, old), (_, new)) in lines(old).into_iter().zip(lines(new)) {
        note(&mut fields, field, &old, &new);
    }
    if fields.is_empty() && !new.has_terms_of(old) {
        let shown = |goal: &GoalDefinition| format!("{:?} {:?}", goal.requirement, goal.rotation);
        note(&mut fields, "terms", &shown(old), &shown(new));
    }
    fields
}

fn lines(goal: &GoalDefinition) -> [(&'static str, String); 5] {
    let needs = if goal.prerequisites.is_empty() { "nothing".into() } else { goal.prerequisites.join(", ") };
    [
        ("target", goal.requirement.target_value.to_string()),
        ("counts", counts(goal)),
        ("reward", reward(&goal.reward)),
        ("needs first", needs),
        ("begins anew", begins_anew(goal)),
    ]
}

fn counts(goal: &GoalDefinition) -> String {
    let stat = &goal.requirement.stat_code;
    match (goal.kind, goal.event_source) {
        (GoalKind::Daily, EventSource::Login) => "a login on the day".into(),
        (GoalKind::Daily, EventSource::Statistic) => format!("any change of {stat} on the day"),
        (GoalKind::Increment { daily: true }, EventSource::Login) => "days with a login".into(),
        (GoalKind::Increment { daily: true }, EventSource::Statistic) => {
            format!("days with a change of {stat}")
        }
        (GoalKind::Increment { daily: false } | GoalKind::Absolute, EventSource::Login) => "logins".into(),
        (GoalKind::Increment { daily: false }, EventSource::Statistic) => format!("what {stat} grows by"),
        (GoalKind::Absolute, EventSource::Statistic) => match goal.requirement.mode {
            ProgressMode::Absolute => format!("the value of {stat}"),
            ProgressMode::Relative => format!("the growth of {stat} within a cycle"),
        },
    }
}

fn reward(reward: &Reward) -> String {
    format!("{} {} ({})", reward.quantity, reward.id, reward.kind.as_str())
}

fn begins_anew(goal: &GoalDefinition) -> String {
    match (goal.kind, &goal.rotation) {
        (GoalKind::Daily, _) => format!("every day ({})", goal.time_zone.name()),
        (GoalKind::Increment { daily: true }, _) => {
            format!("never; its days are days in {}", goal.time_zone.name())
        }
        (_, Some(rotation)) if rotation.enabled => cycle(rotation),
        _ => "never".into(),
    }
}

fn cycle(rotation: &Rotation) -> String {
    let zone = rotation.time_zone.name();
    let when = match &rotation.kind {
        RotationKind::PerUser { duration_seconds } => {
            format!("every {duration_seconds} s after the player got it")
        }
        RotationKind::Global(Schedule::Daily) => format!("every day ({zone})"),
        RotationKind::Global(Schedule::Weekly) => {
            format!("every {} ({zone})", name_of(WEEKDAYS, rotation.week_start))
        }
        RotationKind::Global(Schedule::Monthly) => format!("every first of the month ({zone})"),
        RotationKind::Global(Schedule::Cron(line)) => format!("at {line} ({zone})"),
        RotationKind::Global(Schedule::Window { start, end }) => format!("once, from {start} to {end}"),
    };
    let expiry = rotation.on_expiry;
    let progress = if expiry.reset_progress { "from zero" } else { "progress stays" };
    let again = if expiry.allow_reselection { "can be claimed again" } else { "is claimed once" };
    format!("{when}, {progress}, {again}")
}

/// Who gets the goal.
pub(super) const fn given(goal: &GoalDefinition) -> &'static str {
    if goal.default_assigned { "every player" } else { "who picks or draws it" }
}

/// What a change means.
pub(super) fn policy(goal: &GoalDefinition) -> &'static str {
    name_of(CHANGE_POLICIES, goal.on_change)
}
