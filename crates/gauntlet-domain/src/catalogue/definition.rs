//! What a catalogue file says, after it was checked.

use chrono_tz::Tz;

/// A whole catalogue as written: at least one challenge is not required, ids are unique,
/// prerequisites exist and have no cycle.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Definition {
    /// In the order of the file.
    pub challenges: Vec<ChallengeDefinition>,
}

impl Definition {
    /// The ids of all goals, in the order of the file.
    pub fn goal_ids(&self) -> impl Iterator<Item = &str> {
        self.challenges.iter().flat_map(|c| &c.goals).map(|goal| goal.id.as_str())
    }
}

/// A challenge as written.
#[derive(Debug, Clone, PartialEq)]
pub struct ChallengeDefinition {
    /// 1 to 100 characters, unique.
    pub id: String,
    /// Not empty.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// At least one.
    pub goals: Vec<GoalDefinition>,
}

/// A goal as written.
#[derive(Debug, Clone, PartialEq)]
pub struct GoalDefinition {
    /// 1 to 100 characters, unique in the whole catalogue.
    pub id: String,
    /// Not empty.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// How events change progress.
    pub kind: GoalKind,
    /// Which events count.
    pub event_source: EventSource,
    /// Given to every player at initialization.
    pub default_assigned: bool,
    /// The calendar that decides what a day is.
    pub time_zone: Tz,
    /// What completes the goal.
    pub requirement: Requirement,
    /// What a claim grants.
    pub reward: Reward,
    /// Ids of goals that must be completed before this one can be claimed.
    pub prerequisites: Vec<String>,
    /// When the goal starts anew; `None`: never. A challenge's rotation is copied to its goals
    /// that have none of their own.
    pub rotation: Option<Rotation>,
    /// What becomes of a completion that nobody claimed when its cycle ends.
    pub unclaimed: Unclaimed,
    /// What a version of the catalogue that changes the goal means for players who have it.
    pub on_change: ChangePolicy,
}

/// What a change of a goal's terms means for players who have the goal and have not completed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChangePolicy {
    /// They go on under the terms that they began with.
    #[default]
    Keep,
    /// They get the new terms when these ask for no more and give no less, and go on under the
    /// old ones otherwise.
    UpgradeIfEasier,
    /// They get the new terms and begin at zero.
    Restart,
}

impl GoalDefinition {
    /// What happens at the end of a cycle. A daily goal begins anew, claimed or not.
    #[must_use]
    pub fn on_expiry(&self) -> OnExpiry {
        let anew = OnExpiry { reset_progress: true, allow_reselection: true };
        let never = OnExpiry { reset_progress: false, allow_reselection: false };
        match (self.kind, &self.rotation) {
            (GoalKind::Daily, _) => anew,
            (_, Some(rotation)) if rotation.enabled => rotation.on_expiry,
            _ => never,
        }
    }

    /// Whether each event adds to the progress, so that an event counted twice would show.
    /// Absolute goals show a statistic's value, but count logins one by one. Daily goals do not
    /// add up: an event completes the day it belongs to, however often it comes.
    #[must_use]
    pub const fn adds_up(&self) -> bool {
        match self.kind {
            GoalKind::Increment { .. } => true,
            GoalKind::Absolute => matches!(self.event_source, EventSource::Login),
            GoalKind::Daily => false,
        }
    }
}

/// How events change a goal's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoalKind {
    /// Progress follows the statistic's value.
    Absolute,
    /// Progress adds up; `daily`: at most once a day.
    Increment {
        /// Count at most one event a day.
        daily: bool,
    },
    /// One event completes the goal for today; it can be done again tomorrow.
    Daily,
}

/// Which kind of event counts for a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSource {
    /// Logins.
    Login,
    /// Updates of the statistic that the requirement names.
    Statistic,
}

/// What completes a goal.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    /// The statistic, 1 to 100 characters. For login goals it is shown and not used.
    pub stat_code: String,
    /// How progress is compared with the target.
    pub operator: Operator,
    /// Greater than zero.
    pub target_value: i32,
    /// Whether progress is the value or its growth within the cycle.
    pub mode: ProgressMode,
}

/// How progress is compared with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `>=`
    AtLeast,
}

impl Operator {
    /// As the API and the file write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
        }
    }
}

/// Whether an absolute goal shows the statistic's value or its growth within the cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressMode {
    /// The value itself.
    Absolute,
    /// The value less what it was when the cycle's first event came.
    Relative,
}

/// What a claim grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reward {
    /// Item or currency.
    pub kind: RewardKind,
    /// The platform's id of the item or the currency code; not empty.
    pub id: String,
    /// Greater than zero.
    pub quantity: i32,
}

/// What sort of thing a reward is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewardKind {
    /// An item or entitlement.
    Item,
    /// An amount of a currency.
    Wallet,
}

impl RewardKind {
    /// As the API and the file write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Item => "ITEM",
            Self::Wallet => "WALLET",
        }
    }
}

/// When a goal starts anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    /// A rotation that is written but off.
    pub enabled: bool,
    /// For everybody at once, or for each player from the first assignment.
    pub kind: RotationKind,
    /// What happens at the end of a cycle.
    pub on_expiry: OnExpiry,
    /// The calendar of the schedule.
    pub time_zone: Tz,
    /// The first day of a week.
    pub week_start: Weekday,
}

/// Whose cycles end when.
#[derive(Debug, Clone, PartialEq)]
pub enum RotationKind {
    /// Every player's cycle ends at the same boundary of the schedule.
    Global(Schedule),
    /// Each player's first cycle begins at the first assignment; each lasts this many seconds
    /// (greater than zero).
    PerUser {
        /// Length of a cycle in seconds.
        duration_seconds: u32,
    },
}

/// The boundaries of global cycles.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Midnight.
    Daily,
    /// Midnight at the start of the week.
    Weekly,
    /// Midnight of the first day of the month.
    Monthly,
    /// Whenever this line of five fields matches; it has at least one date in the future.
    Cron(String),
    /// One cycle between two times.
    Window {
        /// Start, inclusive.
        start: crate::Timestamp,
        /// End, exclusive, after the start.
        end: crate::Timestamp,
    },
}

/// What happens to a goal when its cycle ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnExpiry {
    /// Progress begins again at zero.
    pub reset_progress: bool,
    /// A claimed goal can be done and claimed again.
    pub allow_reselection: bool,
}

/// What becomes of a completion that was not claimed when its cycle ends and progress begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unclaimed {
    /// It is lost.
    #[default]
    Forfeit,
    /// It can still be claimed for this many seconds (greater than zero), then it is lost.
    Grace {
        /// How long after the cycle's end.
        seconds: u32,
    },
    /// The reward is granted without being asked for.
    Grant,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weekday {
    /// Monday, the default start of a week.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}
