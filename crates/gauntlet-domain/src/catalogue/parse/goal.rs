//! Goals, with their requirement and reward.

use chrono_tz::Tz;

use super::{
    fault::{Message, Report},
    links::{self, Links},
    object::{Entry, Field, Fields},
    rotation::{self, WrittenRotation},
    values,
};
use crate::catalogue::{
    definition::{
        ChangePolicy, GoalDefinition, GoalKind, ProgressMode, Requirement, Reward, Rotation, Unclaimed,
    },
    names::{CHANGE_POLICIES, EVENT_SOURCES, GOAL_TYPES, GoalType, OPERATORS, PROGRESS_MODES, REWARD_KINDS},
};

pub(in crate::catalogue) const ID: Field = &["goalId", "id"];
pub(in crate::catalogue) const NAME: Field = super::NAME;
pub(in crate::catalogue) const DESCRIPTION: Field = super::DESCRIPTION;
pub(in crate::catalogue) const TYPE: Field = &["type"];
pub(in crate::catalogue) const EVENT_SOURCE: Field = &["eventSource", "event_source"];
pub(in crate::catalogue) const DAILY: Field = &["daily"];
pub(in crate::catalogue) const DEFAULT_ASSIGNED: Field = &["defaultAssigned", "default_assigned"];
pub(in crate::catalogue) const TIME_ZONE: Field = super::TIME_ZONE;
pub(in crate::catalogue) const REQUIREMENT: Field = &["requirement"];
pub(in crate::catalogue) const REWARD: Field = &["reward"];
pub(in crate::catalogue) const PREREQUISITES: Field = &["prerequisites"];
pub(in crate::catalogue) const ROTATION: Field = super::ROTATION;
pub(in crate::catalogue) const ON_CHANGE: Field = &["onChange", "on_change"];
pub(in crate::catalogue) const UNCLAIMED: Field = &["unclaimed"];

pub(in crate::catalogue) const STAT_CODE: Field = &["statCode", "stat_code"];
pub(in crate::catalogue) const OPERATOR: Field = &["operator"];
pub(in crate::catalogue) const TARGET_VALUE: Field = &["targetValue", "target_value"];
pub(in crate::catalogue) const PROGRESS_MODE: Field = &["progressMode", "progress_mode"];

pub(in crate::catalogue) const REWARD_ID: Field = &["rewardId", "reward_id"];
pub(in crate::catalogue) const QUANTITY: Field = &["quantity"];

/// The rotation of the challenge that a goal belongs to.
pub(super) struct Inherited {
    /// Where it stands.
    pub(super) line: usize,
    /// What it says, unless that is faulty.
    pub(super) rotation: Option<WrittenRotation>,
}

/// Reads a goal, and notes its id and prerequisites; `None` after a fault.
pub(super) fn read(
    entry: &Entry<'_>,
    place: (usize, usize),
    inherited: Option<&Inherited>,
    links: &mut Links,
    report: &mut Report<'_>,
) -> Option<GoalDefinition> {
    let known = [
        ID,
        NAME,
        DESCRIPTION,
        TYPE,
        EVENT_SOURCE,
        DAILY,
        DEFAULT_ASSIGNED,
        TIME_ZONE,
        REQUIREMENT,
        REWARD,
        PREREQUISITES,
        ROTATION,
        UNCLAIMED,
        ON_CHANGE,
    ];
    let fields = Fields::open(*entry, &known, report)?;
    let id = fields.required(ID, report, values::id);
    let name = fields.required(NAME, report, values::filled_text);
    let description = fields.optional(DESCRIPTION, String::new(), report, values::text);
    let kind = read_kind(&fields, report);
    let event_source =
        fields.required(EVENT_SOURCE, report, |source, report| values::choice(source, EVENT_SOURCES, report));
    let default_assigned = fields.optional(DEFAULT_ASSIGNED, false, report, values::flag);
    let time_zone = fields.optional(TIME_ZONE, Tz::UTC, report, values::time_zone);
    let requirement =
        fields.required(REQUIREMENT, report, |entry, report| read_requirement(entry, kind, report));
    let reward = fields.required(REWARD, report, read_reward);
    let prerequisites = fields.optional(PREREQUISITES, Vec::new(), report, links::read_prerequisites);
    let own_rotation =
        fields.optional(ROTATION, None, report, |entry, report| rotation::read(entry, report).map(Some));
    let unclaimed = fields.optional(UNCLAIMED, Unclaimed::Forfeit, report, rotation::read_unclaimed);
    let on_change = fields.optional(ON_CHANGE, ChangePolicy::Keep, report, |policy, report| {
        values::choice(policy, CHANGE_POLICIES, report)
    });
    check_calendar(&fields, kind, inherited, report);

    let prerequisites = prerequisites.unwrap_or_default();
    let needed = prerequisites.iter().map(|needed| needed.id.clone()).collect();
    if let (Some(id), Some(entry)) = (&id, fields.get(ID)) {
        links.add_goal(id, &entry, place, prerequisites, report);
    }
    let time_zone = time_zone?;
    let rotation = own_rotation?.or_else(|| inherited.and_then(|challenge| challenge.rotation.clone()));
    let rotation = rotation.map(|rotation| rotation.in_zone(time_zone));
    if inherited.is_none_or(|challenge| challenge.rotation.is_some()) {
        let keeps = unclaimed.is_some_and(|unclaimed| unclaimed != Unclaimed::Forfeit);
        if keeps {
            check_unclaimed(&fields, kind, rotation.as_ref(), report);
        }
    }
    Some(GoalDefinition {
        id: id?,
        name: name?,
        description: description?,
        kind: kind?,
        event_source: event_source?,
        default_assigned: default_assigned?,
        time_zone,
        requirement: requirement?,
        reward: reward?,
        prerequisites: needed,
        rotation,
        unclaimed: unclaimed?,
        on_change: on_change?,
    })
}

fn read_kind(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<GoalKind> {
    let kind = fields
        .optional(TYPE, GoalType::Absolute, report, |kind, report| values::choice(kind, GOAL_TYPES, report));
    let daily = fields.optional(DAILY, false, report, values::flag);
    match (kind?, daily?) {
        (GoalType::Increment, daily) => Some(GoalKind::Increment { daily }),
        (GoalType::Absolute, false) => Some(GoalKind::Absolute),
        (GoalType::Daily, false) => Some(GoalKind::Daily),
        (GoalType::Absolute | GoalType::Daily, true) => {
            if let Some(entry) = fields.get(DAILY) {
                entry.reject(report, "allowed: true only with type increment");
            }
            None
        }
    }
}

/// Checks what needs a calendar against what has one: a daily goal begins anew each day by itself,
/// so it takes no rotation; a time zone means something only with one of the two.
fn check_calendar(
    fields: &Fields<'_>,
    kind: Option<GoalKind>,
    inherited: Option<&Inherited>,
    report: &mut Report<'_>,
) {
    let Some(kind) = kind else { return };
    let daily = match kind {
        GoalKind::Daily => fields.get(TYPE),
        GoalKind::Increment { daily: true } => fields.get(DAILY),
        GoalKind::Increment { daily: false } | GoalKind::Absolute => None,
    };
    let own = fields.get(ROTATION);
    match (&daily, &own, inherited) {
        (Some(_), Some(rotation), _) => {
            let problem = "a daily goal begins anew each day by itself and takes no rotation";
            rotation.fault(report, Message::new(problem));
        }
        (Some(daily), None, Some(challenge)) => {
            let line = challenge.line;
            daily.reject(
                report,
                format!("a daily goal takes no rotation, and its challenge has one on line {line}"),
            );
        }
        (None, None, None) => {
            if let Some(zone) = fields.get(TIME_ZONE) {
                zone.reject(report, "allowed only with type daily, daily true or a rotation");
            }
        }
        _ => {}
    }
}

/// A policy for unclaimed rewards needs something that would be lost.
fn check_unclaimed(
    fields: &Fields<'_>,
    kind: Option<GoalKind>,
    rotation: Option<&Rotation>,
    report: &mut Report<'_>,
) {
    let Some(entry) = fields.get(UNCLAIMED) else { return };
    let loses = rotation.is_some_and(|rotation| rotation.on_expiry.reset_progress);
    if kind.is_some_and(|kind| kind != GoalKind::Daily) && !loses {
        entry.reject(
            report,
            "allowed only with type daily, or with a rotation whose onExpiry.resetProgress is true: \
             otherwise nothing is lost at the end of a cycle",
        );
    }
}

fn read_requirement(
    entry: &Entry<'_>,
    kind: Option<GoalKind>,
    report: &mut Report<'_>,
) -> Option<Requirement> {
    let known = [STAT_CODE, OPERATOR, TARGET_VALUE, PROGRESS_MODE];
    let fields = Fields::open(*entry, &known, report)?;
    let stat_code = fields.required(STAT_CODE, report, values::id);
    let operator =
        fields.required(OPERATOR, report, |operator, report| values::choice(operator, OPERATORS, report));
    let target_value = fields.required(TARGET_VALUE, report, values::positive);
    let mode = fields.optional(PROGRESS_MODE, ProgressMode::Absolute, report, |mode, report| {
        let read = values::choice(mode, PROGRESS_MODES, report)?;
        if read == ProgressMode::Relative && kind.is_some_and(|kind| kind != GoalKind::Absolute) {
            mode.reject(report, "allowed: relative only with type absolute");
            return None;
        }
        Some(read)
    });
    Some(Requirement { stat_code: stat_code?, operator: operator?, target_value: target_value?, mode: mode? })
}

fn read_reward(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<Reward> {
    let fields = Fields::open(*entry, &[TYPE, REWARD_ID, QUANTITY], report)?;
    let kind = fields.required(TYPE, report, |kind, report| values::choice(kind, REWARD_KINDS, report));
    let id = fields.required(REWARD_ID, report, values::filled_text);
    let quantity = fields.required(QUANTITY, report, values::positive);
    Some(Reward { kind: kind?, id: id?, quantity: quantity? })
}
