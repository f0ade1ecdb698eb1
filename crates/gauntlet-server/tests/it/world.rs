//! What the reference model talks about: goals, events, and what is shown. No rule stands here but
//! what a day is.

use chrono::{DateTime, Datelike as _, SecondsFormat};
use chrono_tz::Tz;

/// One goal of the catalogue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Def {
    pub(crate) challenge: &'static str,
    pub(crate) id: &'static str,
    pub(crate) kind: Kind,
    /// `None`: logins count.
    pub(crate) stat: Option<&'static str>,
    pub(crate) target: i32,
    pub(crate) zone: Tz,
    pub(crate) default: bool,
    pub(crate) needs: &'static [&'static str],
    pub(crate) turn: Turn,
    /// Whether progress begins again, and whether a claimed goal opens again.
    pub(crate) reset: bool,
    pub(crate) reselect: bool,
    pub(crate) unclaimed: Unclaimed,
}

/// When a goal's cycles end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Never.
    Never,
    /// Every midnight of its zone; daily goals are among these.
    Nightly,
    /// So many milliseconds after they began, the first with the first assignment.
    Every(i64),
}

/// What becomes of what was not claimed when its cycle ends and progress begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unclaimed {
    Forfeit,
    /// For so many milliseconds it can still be claimed.
    Grace(i64),
    Grant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Absolute,
    Relative,
    Increment,
    DailyIncrement,
    Daily,
}

/// Times are milliseconds since 1970, as everywhere in here.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Source, type and id in one; empty: it has no id.
    pub(crate) key: String,
    pub(crate) at: i64,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Login,
    Stat { code: &'static str, value: f64, increment: f64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    Pending,
    Uncertain,
    Refused,
}

/// What browsing shows of a goal, and a selection too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) goal: String,
    pub(crate) progress: i32,
    pub(crate) status: String,
    pub(crate) locked: bool,
    pub(crate) active: bool,
    pub(crate) assigned_at: String,
    pub(crate) completed_at: String,
    pub(crate) claimed_at: String,
    pub(crate) expires_at: String,
    pub(crate) expires_in: i32,
    pub(crate) claim: String,
    pub(crate) claimable_until: String,
}

impl Def {
    /// Whether an event counted twice would show.
    pub(crate) fn adds_up(&self) -> bool {
        match self.kind {
            Kind::Increment | Kind::DailyIncrement => true,
            Kind::Absolute | Kind::Relative => self.stat.is_none(),
            Kind::Daily => false,
        }
    }

    pub(crate) fn takes(&self, what: &What) -> bool {
        match what {
            What::Login => self.stat.is_none(),
            What::Stat { code, .. } => self.stat == Some(code),
        }
    }

    /// The calendar day in the goal's zone.
    pub(crate) fn day(&self, at: i64) -> i64 {
        let utc = DateTime::from_timestamp_millis(at).expect("a time");
        i64::from(utc.with_timezone(&self.zone).date_naive().num_days_from_ce())
    }

    /// The cycle at a time. `begun`: when the player got the goal first.
    pub(crate) fn cycle(&self, at: i64, begun: Option<i64>) -> i64 {
        match (self.turn, begun) {
            (Turn::Nightly, _) => self.day(at),
            // Clocks differ: what happens a little before the first cycle belongs to it.
            (Turn::Every(length), Some(begun)) => (at - begun).div_euclid(length).max(0) + 1,
            (Turn::Every(_), None) | (Turn::Never, _) => 0,
        }
    }

    /// When a cycle ends.
    pub(crate) fn end_of(&self, cycle: i64, begun: Option<i64>) -> Option<i64> {
        match (self.turn, begun) {
            (Turn::Nightly, _) => self.midnight_after(cycle),
            (Turn::Every(length), Some(begun)) => Some(begun + cycle * length),
            (Turn::Every(_), None) | (Turn::Never, _) => None,
        }
    }

    /// The first quarter of an hour that belongs to a later day.
    pub(crate) fn midnight_after(&self, day: i64) -> Option<i64> {
        const QUARTER: i64 = 900_000;
        // 1970-01-01 is day 719,163, and zones differ by less than two days.
        let start = (day - 719_163 - 2) * 96 * QUARTER;
        (0..96 * 6).map(|at| start + at * QUARTER).find(|at| self.day(*at) > day)
    }
}

/// Without what is below a second: that is how times are kept and shown.
pub(crate) fn seconds(at: i64) -> i64 {
    at.div_euclid(1000) * 1000
}

pub(crate) fn text(at: Option<i64>) -> String {
    let utc = at.map(|at| DateTime::from_timestamp_millis(at).expect("a time"));
    utc.map_or_else(String::new, |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
