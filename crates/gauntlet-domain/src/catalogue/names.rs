//! The words that catalogue files use for the values of the definition.

use super::definition::{ChangePolicy, EventSource, Operator, ProgressMode, RewardKind, Unclaimed, Weekday};

/// The words of one field, in the order in which messages list them.
pub(super) type Names<T> = [(&'static str, T)];

/// What the field `type` of a goal says; with `daily` it makes a goal's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GoalType {
    Absolute,
    Increment,
    Daily,
}

/// What the field `type` of a rotation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RotationType {
    Global,
    PerUser,
}

/// The policies for unclaimed rewards that are written as a word.
pub(super) const UNCLAIMED: &Names<Unclaimed> =
    &[("forfeit", Unclaimed::Forfeit), ("grant", Unclaimed::Grant)];

pub(super) const GOAL_TYPES: &Names<GoalType> =
    &[("absolute", GoalType::Absolute), ("increment", GoalType::Increment), ("daily", GoalType::Daily)];

pub(super) const EVENT_SOURCES: &Names<EventSource> =
    &[("login", EventSource::Login), ("statistic", EventSource::Statistic)];

pub(super) const OPERATORS: &Names<Operator> = &[(Operator::AtLeast.as_str(), Operator::AtLeast)];

pub(super) const PROGRESS_MODES: &Names<ProgressMode> =
    &[("absolute", ProgressMode::Absolute), ("relative", ProgressMode::Relative)];

pub(super) const REWARD_KINDS: &Names<RewardKind> =
    &[(RewardKind::Item.as_str(), RewardKind::Item), (RewardKind::Wallet.as_str(), RewardKind::Wallet)];

pub(super) const ROTATION_TYPES: &Names<RotationType> =
    &[("global", RotationType::Global), ("per_user", RotationType::PerUser)];

pub(super) const CHANGE_POLICIES: &Names<ChangePolicy> = &[
    ("keep", ChangePolicy::Keep),
    ("upgrade_if_easier", ChangePolicy::UpgradeIfEasier),
    ("restart", ChangePolicy::Restart),
];

pub(super) const WEEKDAYS: &Names<Weekday> = &[
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// The word for a value; every value stands in its table.
pub(super) fn name_of<T: Copy + PartialEq>(names: &Names<T>, value: T) -> &'static str {
    names.iter().find(|(_, named)| *named == value).map_or("", |(name, _)| name)
}
