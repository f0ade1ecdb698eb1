//! Cycles: the spans of time in which a goal can be done and claimed once.
//!
//! A **global** cycle ends for everybody at the same boundary of a [`Calendar`]: every midnight of
//! a zone, every week, every month, whenever a cron line matches, or once. A daily goal's cycle is
//! a calendar day. A **per-user** cycle begins at the player's first assignment and lasts a fixed
//! time. A goal without a rotation has one cycle that never ends.
//!
//! What is stored with a goal is the cycle's number and end ([`CycleMark`]). They change only when
//! the cycle has ended, so a schedule that is changed takes effect with the next cycle.

mod calendar;
mod memo;

use std::sync::Arc;

pub(crate) use calendar::parse_cron;
pub use calendar::{Calendar, Span};

use chrono::{Datelike, NaiveDate, TimeZone};
use chrono_tz::Tz;

use crate::{
    GoalState, Timestamp,
    catalogue::{GoalDefinition, GoalKind, RotationKind, Schedule},
    player::CycleMark,
};

/// How a goal's cycles follow each other.
#[derive(Debug, Clone)]
pub enum Cycles {
    /// One that never ends.
    One,
    /// Everybody's end at the same time.
    Global(Arc<Calendar>),
    /// Each player's own, which last this many milliseconds (greater than zero).
    PerUser {
        /// Length of a cycle in milliseconds.
        length_ms: i64,
    },
}

/// Where a time lies, seen from the cycle that a goal is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In that cycle.
    Current,
    /// In the one before it.
    Before(CycleMark),
    /// In none that is kept, or in none at all.
    Nowhere,
}

impl Cycles {
    /// The cycles that a definition asks for; `calendar` makes calendars, so that equal ones can be
    /// shared.
    pub(crate) fn of(definition: &GoalDefinition, calendar: impl FnOnce(Calendar) -> Arc<Calendar>) -> Self {
        if definition.kind == GoalKind::Daily {
            return Self::Global(calendar(Calendar::days(definition.time_zone)));
        }
        let Some(rotation) = definition.rotation.as_ref().filter(|rotation| rotation.enabled) else {
            return Self::One;
        };
        match &rotation.kind {
            RotationKind::Global(Schedule::Daily) => {
                Self::Global(calendar(Calendar::days(rotation.time_zone)))
            }
            RotationKind::Global(schedule) => {
                let made = Calendar::of(schedule, rotation.time_zone, rotation.week_start);
                made.map_or(Self::One, |made| Self::Global(calendar(made)))
            }
            RotationKind::PerUser { duration_seconds } => {
                Self::PerUser { length_ms: i64::from(*duration_seconds) * 1_000 }
            }
        }
    }

    /// The cycle of a player who does not have the goal, at a time.
    #[must_use]
    pub fn of_nobody(&self, at: Timestamp) -> CycleMark {
        match self {
            Self::One | Self::PerUser { .. } => CycleMark::default(),
            Self::Global(calendar) => calendar.span_at(at).mark(),
        }
    }

    /// The cycle that a goal has to go over to at a time; `None` while the one it is in lasts.
    /// Cycles only move forward: a clock that steps back changes nothing. Numbers are never used
    /// twice, also when a schedule was changed.
    pub(crate) fn next(&self, state: &GoalState, at: Timestamp) -> Option<CycleMark> {
        let stored = state.cycle;
        if stored.end.is_some_and(|end| at < end) {
            return None;
        }
        let fresh = stored == CycleMark::default();
        match self {
            Self::One => None,
            Self::Global(calendar) => {
                let span = calendar.span_at(at);
                if stored.end.is_none() && span.end.is_none() && !fresh {
                    return None;
                }
                let least = if fresh { 0 } else { stored.number.saturating_add(1) };
                Some(CycleMark { number: span.number.max(least), end: span.end })
            }
            Self::PerUser { length_ms } => {
                // A goal that had no cycles when it was last written began its first one when it
                // was assigned; one that was never assigned has none yet.
                let (from, number) = match stored.end {
                    Some(end) => (end, stored.number.saturating_add(1)),
                    None => (state.assigned_at?, stored.number.saturating_add(1)),
                };
                let passed = at.since(from).max(0) / length_ms;
                let number = number.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
                let end = from.plus_millis((passed + 1).saturating_mul(*length_ms));
                Some(CycleMark { number, end: Some(end) })
            }
        }
    }

    /// Where an event's time lies, seen from the cycle of a goal. `now` is not before the cycle's
    /// start.
    pub(crate) fn place(&self, state: &GoalState, at: Timestamp, now: Timestamp) -> Place {
        match self {
            Self::One => Place::Current,
            Self::Global(calendar) => place_in(calendar, state, at, now),
            Self::PerUser { length_ms } => {
                let Some(end) = state.cycle.end else { return Place::Current };
                let start = end.plus_millis(-length_ms);
                if at >= start || state.cycle.number <= 1 {
                    return Place::Current;
                }
                if at < start.plus_millis(-length_ms) {
                    return Place::Nowhere;
                }
                before(state, state.cycle.number - 1, start)
            }
        }
    }

    /// When the cycle before the goal's current one ended, which is when the current one began;
    /// `None`: it has no beginning that is known.
    #[must_use]
    pub fn start(&self, cycle: CycleMark) -> Option<Timestamp> {
        match self {
            Self::One => None,
            Self::Global(calendar) => {
                let start = calendar.span_at(cycle.end?.plus_millis(-1)).start;
                (start > Timestamp::from_seconds(i64::MIN)).then_some(start)
            }
            Self::PerUser { length_ms } => Some(cycle.end?.plus_millis(-length_ms)),
        }
    }
}

fn place_in(calendar: &Calendar, state: &GoalState, at: Timestamp, now: Timestamp) -> Place {
    let span = calendar.span_at(at);
    if !span.open {
        return Place::Nowhere;
    }
    if span.end == state.cycle.end {
        return Place::Current;
    }
    let inside = state.cycle.end.map_or(now, |end| end.plus_millis(-1));
    let start = calendar.span_at(inside).start;
    if at >= start {
        Place::Current
    } else if span.end == Some(start) {
        before(state, span.number, start)
    } else {
        Place::Nowhere
    }
}

/// The cycle that ended at `end`, just before the goal's current one: as it is known, or, when
/// nothing happened in it so far, with a number between its neighbours'.
fn before(state: &GoalState, number: u32, end: Timestamp) -> Place {
    let known = state.previous.map(|previous| previous.cycle);
    match known {
        Some(cycle) if cycle.end == Some(end) => Place::Before(cycle),
        _ => {
            let number = number.min(state.cycle.number.saturating_sub(1));
            let free = known.is_none_or(|cycle| cycle.number < number) && number < state.cycle.number;
            if free { Place::Before(CycleMark { number, end: Some(end) }) } else { Place::Nowhere }
        }
    }
}

/// The number of the calendar day in a time zone: days since 1970-01-01 there.
#[must_use]
pub fn day_number(zone: Tz, at: Timestamp) -> i32 {
    days_since_epoch(zone.from_utc_datetime(&at.utc().naive_utc()).date_naive())
}

fn days_since_epoch(date: NaiveDate) -> i32 {
    const EPOCH_FROM_CE: i32 = 719_163;
    date.num_days_from_ce() - EPOCH_FROM_CE
}

#[cfg(test)]
mod tests;
