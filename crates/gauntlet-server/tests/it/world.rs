//! What the reference model talks about: goals, events, and what is shown. No rule stands here but
//! what a day is.

use std::{cell::RefCell, collections::HashMap};

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat, Timelike as _};
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
    /// How many of its reward there are.
    pub(crate) quantity: i32,
    /// What a change of the goal means for players who have it.
    pub(crate) policy: Policy,
}

/// What a change of a goal means for players who have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Keep,
    UpgradeIfEasier,
    Restart,
}

/// When a goal's cycles end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Never.
    Never,
    /// Every midnight of its zone; daily goals are among these.
    Nightly,
    /// Every midnight at the start of a week, which begins so many days after Monday.
    Weekly(i64),
    /// Every first of the month.
    Monthly,
    /// Every day at so many quarters of an hour after midnight: a cron line.
    DailyAt(i64),
    /// The same once a week, so many days after Monday.
    WeeklyAt(i64, i64),
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
    /// What is asked for, and how much is given.
    pub(crate) terms: (i32, i32),
}

const QUARTER: i64 = 900_000;

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

    /// The cycle at a time: a number, one more for each cycle. `begun`: when the player got the goal
    /// first.
    pub(crate) fn cycle(&self, at: i64, begun: Option<i64>) -> i64 {
        let day = self.day(at);
        match (self.turn, begun) {
            (Turn::Nightly, _) => day,
            (Turn::Weekly(first), _) => week(day, first),
            (Turn::Monthly, _) => self.month(at),
            (Turn::DailyAt(quarters), _) => {
                if at < self.time_of(day, quarters) {
                    day - 1
                } else {
                    day
                }
            }
            (Turn::WeeklyAt(first, quarters), _) => {
                let week = week(day, first);
                if at < self.time_of(first_day(week, first), quarters) { week - 1 } else { week }
            }
            // Clocks differ: what happens a little before the first cycle belongs to it.
            (Turn::Every(length), Some(begun)) => (at - begun).div_euclid(length).max(0) + 1,
            (Turn::Every(_), None) | (Turn::Never, _) => 0,
        }
    }

    /// When a cycle ends.
    pub(crate) fn end_of(&self, cycle: i64, begun: Option<i64>) -> Option<i64> {
        match (self.turn, begun) {
            (Turn::Nightly, _) => Some(self.midnight_after(cycle)),
            (Turn::Weekly(first), _) => Some(self.midnight_after(first_day(cycle + 1, first) - 1)),
            (Turn::Monthly, _) => {
                let (year, month) = ((cycle + 1).div_euclid(12), (cycle + 1).rem_euclid(12) + 1);
                let (year, month) = (i32::try_from(year), u32::try_from(month));
                let first = NaiveDate::from_ymd_opt(year.expect("a year"), month.expect("a month"), 1);
                Some(self.midnight_after(i64::from(first.expect("a date").num_days_from_ce()) - 1))
            }
            (Turn::DailyAt(quarters), _) => Some(self.time_of(cycle + 1, quarters)),
            (Turn::WeeklyAt(first, quarters), _) => Some(self.time_of(first_day(cycle + 1, first), quarters)),
            (Turn::Every(length), Some(begun)) => Some(begun + cycle * length),
            (Turn::Every(_), None) | (Turn::Never, _) => None,
        }
    }

    fn month(&self, at: i64) -> i64 {
        let utc = DateTime::from_timestamp_millis(at).expect("a time");
        let date = utc.with_timezone(&self.zone).date_naive();
        i64::from(date.year()) * 12 + i64::from(date.month0())
    }

    /// The first quarter of an hour that belongs to a later day.
    fn midnight_after(&self, day: i64) -> i64 {
        // The same as the first quarter of the day after.
        self.time_of(day + 1, 0)
    }

    /// When a clock on the wall first shows a time of a day, or a later one.
    fn time_of(&self, day: i64, quarters: i64) -> i64 {
        thread_local! {
            /// What was looked up before: each is a walk over some hundred quarters of an hour.
            static KNOWN: RefCell<HashMap<(Tz, i64, i64), i64>> = RefCell::default();
        }
        let found = KNOWN.with_borrow(|known| known.get(&(self.zone, day, quarters)).copied());
        found.unwrap_or_else(|| {
            let found = self.find_time(day, quarters);
            KNOWN.with_borrow_mut(|known| known.insert((self.zone, day, quarters), found));
            found
        })
    }

    fn find_time(&self, day: i64, quarters: i64) -> i64 {
        let shown = |at: i64| {
            let utc = DateTime::from_timestamp_millis(at).expect("a time");
            i64::from(utc.with_timezone(&self.zone).num_seconds_from_midnight()) * 1_000 / QUARTER
        };
        let reached = |at: &i64| (self.day(*at), shown(*at)) >= (day, quarters);
        // 1970-01-01 is day 719,163, and zones differ by less than two days.
        let start = (day - 719_163 - 2) * 96 * QUARTER;
        (0..96 * 6).map(|at| start + at * QUARTER).find(reached).expect("days have hours")
    }

    /// Whether the definitions ask for the same and give the same.
    pub(crate) fn has_terms_of(&self, other: &Self) -> bool {
        let ours = (self.stat, self.target, self.needs, self.unclaimed, self.quantity);
        ours == (other.stat, other.target, other.needs, other.unclaimed, other.quantity)
    }

    /// Whether nobody would choose the other one.
    pub(crate) fn is_no_harder_than(&self, other: &Self) -> bool {
        let keeps = match (self.unclaimed, other.unclaimed) {
            (_, Unclaimed::Forfeit) | (Unclaimed::Grant, Unclaimed::Grant) => true,
            (Unclaimed::Grace(ours), Unclaimed::Grace(theirs)) => ours >= theirs,
            _ => false,
        };
        self.stat == other.stat
            && self.target <= other.target
            && self.quantity >= other.quantity
            && self.needs.iter().all(|need| other.needs.contains(need))
            && keeps
    }
}

/// The week of a day; day 1 was a Monday.
fn week(day: i64, first: i64) -> i64 {
    (day - 1 - first).div_euclid(7)
}

fn first_day(week: i64, first: i64) -> i64 {
    week * 7 + 1 + first
}

/// Without what is below a second: that is how times are kept and shown.
pub(crate) fn seconds(at: i64) -> i64 {
    at.div_euclid(1000) * 1000
}

pub(crate) fn text(at: Option<i64>) -> String {
    let utc = at.map(|at| DateTime::from_timestamp_millis(at).expect("a time"));
    utc.map_or_else(String::new, |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
