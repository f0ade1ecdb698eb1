//! Rotations: when a goal starts anew.

use chrono_tz::Tz;
use jsonc_parser::ast::Value;

use super::{
    fault::{Message, Report},
    object::{Entry, Field, Fields},
    suggest::nearest,
    values,
};
use crate::{
    Timestamp,
    catalogue::{
        definition::{OnExpiry, Rotation, RotationKind, Schedule, Unclaimed, Weekday},
        names::{ROTATION_TYPES, RotationType, UNCLAIMED, WEEKDAYS},
    },
    cycle::parse_cron,
};

pub(in crate::catalogue) const ENABLED: Field = &["enabled"];
pub(in crate::catalogue) const TYPE: Field = &["type"];
pub(in crate::catalogue) const SCHEDULE: Field = &["schedule"];
pub(in crate::catalogue) const DURATION: Field = &["duration", "duration_seconds", "durationSeconds"];
pub(in crate::catalogue) const TIME_ZONE: Field = super::TIME_ZONE;
pub(in crate::catalogue) const WEEK_START: Field = &["weekStart", "week_start"];
pub(in crate::catalogue) const ON_EXPIRY: Field = &["onExpiry", "on_expiry"];
pub(in crate::catalogue) const RESET_PROGRESS: Field = &["resetProgress", "reset_progress"];
pub(in crate::catalogue) const ALLOW_RESELECTION: Field = &["allowReselection", "allow_reselection"];
pub(in crate::catalogue) const START: Field = &["start"];
pub(in crate::catalogue) const END: Field = &["end"];
pub(in crate::catalogue) const GRACE: Field = &["grace"];

/// Longest cron line: far above any real one.
const MAX_CRON_CHARS: usize = 200;

/// Where the search for a cron line's next date begins. Fixed, so that the same file is good or bad
/// on every day; a line of five fields names no year, so the answer is the same from anywhere.
const CRON_REFERENCE_SECONDS: i64 = 1_767_225_600; // 2026-01-01T00:00:00Z

/// A rotation as written. Its time zone is decided for each goal that it applies to.
#[derive(Debug, Clone)]
pub(super) struct WrittenRotation {
    enabled: bool,
    kind: RotationKind,
    on_expiry: OnExpiry,
    time_zone: Option<Tz>,
    week_start: Weekday,
}

impl WrittenRotation {
    /// The rotation of a goal: in its own time zone, else in the goal's.
    pub(super) fn in_zone(self, goal_zone: Tz) -> Rotation {
        Rotation {
            enabled: self.enabled,
            kind: self.kind,
            on_expiry: self.on_expiry,
            time_zone: self.time_zone.unwrap_or(goal_zone),
            week_start: self.week_start,
        }
    }
}

/// Reads the rotation of a challenge or of a goal.
pub(super) fn read(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<WrittenRotation> {
    let known = [ENABLED, TYPE, SCHEDULE, DURATION, ON_EXPIRY, TIME_ZONE, WEEK_START];
    let fields = Fields::open(*entry, &known, report)?;
    let enabled = fields.optional(ENABLED, true, report, values::flag);
    let kind = read_kind(&fields, report);
    let never = OnExpiry { reset_progress: false, allow_reselection: false };
    let on_expiry = fields.optional(ON_EXPIRY, never, report, read_on_expiry);
    let time_zone =
        fields.optional(TIME_ZONE, None, report, |zone, report| values::time_zone(zone, report).map(Some));
    let week_start = fields.optional(WEEK_START, Weekday::Monday, report, |day, report| {
        values::choice_in_any_case(day, WEEKDAYS, report)
    });
    Some(WrittenRotation {
        enabled: enabled?,
        kind: kind?,
        on_expiry: on_expiry?,
        time_zone: time_zone?,
        week_start: week_start?,
    })
}

fn read_kind(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<RotationKind> {
    let kind = fields.required(TYPE, report, |kind, report| values::choice(kind, ROTATION_TYPES, report));
    match kind {
        Some(RotationType::Global) => {
            refuse(fields, DURATION, "allowed only with type per_user; global takes a schedule", report);
            fields.required(SCHEDULE, report, read_schedule).map(RotationKind::Global)
        }
        Some(RotationType::PerUser) => {
            refuse(fields, SCHEDULE, "allowed only with type global; per_user takes a duration", report);
            let duration_seconds = fields.required(DURATION, report, values::seconds)?;
            Some(RotationKind::PerUser { duration_seconds })
        }
        None => {
            // What is there is checked, so that its faults need no second run.
            fields.optional(SCHEDULE, None, report, |entry, report| read_schedule(entry, report).map(Some));
            fields.optional(DURATION, 0, report, values::seconds);
            None
        }
    }
}

fn refuse(fields: &Fields<'_>, field: Field, problem: &str, report: &mut Report<'_>) {
    if let Some(entry) = fields.get(field) {
        entry.reject(report, problem);
    }
}

fn read_on_expiry(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<OnExpiry> {
    let fields = Fields::open(*entry, &[RESET_PROGRESS, ALLOW_RESELECTION], report)?;
    let reset_progress = fields.optional(RESET_PROGRESS, false, report, values::flag);
    let allow_reselection = fields.optional(ALLOW_RESELECTION, false, report, values::flag);
    Some(OnExpiry { reset_progress: reset_progress?, allow_reselection: allow_reselection? })
}

/// Reads what becomes of unclaimed rewards: a word, or an object with the length of a grace period.
pub(super) fn read_unclaimed(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<Unclaimed> {
    match entry.value {
        Value::StringLit(_) => return values::choice(entry, UNCLAIMED, report),
        Value::Object(_) => {}
        _ => {
            entry.reject(report, "allowed: forfeit, grant, or an object with grace");
            return None;
        }
    }
    let fields = Fields::open(*entry, &[GRACE], report)?;
    let seconds = fields.required(GRACE, report, values::seconds)?;
    Some(Unclaimed::Grace { seconds })
}

fn read_schedule(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<Schedule> {
    match entry.value {
        Value::StringLit(text) => match text.value.as_ref() {
            "daily" => Some(Schedule::Daily),
            "weekly" => Some(Schedule::Weekly),
            "monthly" => Some(Schedule::Monthly),
            line if line.trim().contains(char::is_whitespace) => read_cron(entry, line, report),
            word => {
                let suggestion = nearest(word.trim_start_matches('@'), ["daily", "weekly", "monthly"]);
                let message = Message::new(schedules()).found(values::describe(entry.value));
                entry.fault(report, message.suggest(suggestion));
                None
            }
        },
        Value::Object(_) => read_window(entry, report),
        _ => {
            entry.reject(report, schedules());
            None
        }
    }
}

fn schedules() -> &'static str {
    "allowed: daily, weekly, monthly, a cron line of five fields, or an object with start and end"
}

fn read_window(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<Schedule> {
    let fields = Fields::open(*entry, &[START, END], report)?;
    let start = fields.required(START, report, read_time);
    let end = fields.required(END, report, read_time);
    let (start, end) = (start?, end?);
    if end <= start {
        refuse(&fields, END, "allowed: a time after start", report);
        return None;
    }
    Some(Schedule::Window { start, end })
}

fn read_time(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<Timestamp> {
    let time = match entry.value {
        Value::StringLit(text) => Timestamp::parse(&text.value).ok(),
        _ => None,
    };
    if time.is_none() {
        entry.reject(report, "allowed: an RFC 3339 time, such as \"2026-11-24T08:00:00Z\"");
    }
    time
}

fn read_cron(entry: &Entry<'_>, line: &str, report: &mut Report<'_>) -> Option<Schedule> {
    match check_cron(line) {
        Ok(()) => Some(Schedule::Cron(line.to_owned())),
        Err(problem) => {
            entry.reject(report, problem);
            None
        }
    }
}

/// Checks that a cron line has five good fields and a date to come.
fn check_cron(line: &str) -> Result<(), String> {
    let fields = line.split_whitespace().count();
    if fields != 5 {
        return Err(format!(
            "this cron line has {fields} fields; allowed: five (minute, hour, day of month, month, day of week)"
        ));
    }
    if line.len() > MAX_CRON_CHARS || !line.is_ascii() {
        return Err(format!("allowed: a cron line of up to {MAX_CRON_CHARS} ASCII characters"));
    }
    let cron = parse_cron(line).map_err(|error| format!("not a cron line: {error}"))?;
    let reference = Timestamp::from_seconds(CRON_REFERENCE_SECONDS).utc();
    cron.find_next_occurrence(&reference, false)
        .map(|_| ())
        .map_err(|_| "this cron line has no date: no month has such a day".to_owned())
}
