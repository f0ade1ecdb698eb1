//! Calendars: the boundaries of global cycles.

use chrono::{DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use super::{days_since_epoch, memo::Memo};
use crate::{
    Timestamp,
    catalogue::{Schedule, Weekday},
    player::CycleMark,
};

/// The boundaries of global cycles. A pure function of time that remembers its last answers.
#[derive(Debug)]
pub struct Calendar {
    rule: Rule,
    zone: Tz,
    memo: Memo,
}

#[derive(Debug, PartialEq)]
enum Rule {
    Days,
    /// The first day of a week, in days from Monday.
    Weeks(u32),
    Months,
    Cron(Box<CronLine>),
    Window {
        start: Timestamp,
        end: Timestamp,
    },
}

/// A cron line, compared by its text.
#[derive(Debug)]
struct CronLine {
    text: String,
    cron: Cron,
}

impl PartialEq for CronLine {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Two calendars with the same boundaries.
impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        self.zone == other.zone && self.rule == other.rule
    }
}

/// One cycle of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it begins (inclusive).
    pub start: Timestamp,
    /// When it ends (exclusive); `None`: never.
    pub end: Option<Timestamp>,
    /// Counts up with time.
    pub number: u32,
    /// Whether events count in it: false before and after a schedule with a start and an end.
    pub open: bool,
}

impl Span {
    /// Whether a time lies in it.
    #[must_use]
    pub fn has(&self, at: Timestamp) -> bool {
        self.start <= at && self.end.is_none_or(|end| at < end)
    }

    /// As it is stored with a goal.
    #[must_use]
    pub const fn mark(&self) -> CycleMark {
        CycleMark { number: self.number, end: self.end }
    }
}

impl Calendar {
    /// Days of a time zone.
    #[must_use]
    pub(crate) fn days(zone: Tz) -> Self {
        Self { rule: Rule::Days, zone, memo: Memo::default() }
    }

    /// A schedule in a time zone. `None` for a cron line that is none: the catalogue has checked it.
    pub(crate) fn of(schedule: &Schedule, zone: Tz, week_start: Weekday) -> Option<Self> {
        let rule = match schedule {
            Schedule::Daily => Rule::Days,
            Schedule::Weekly => Rule::Weeks(days_from_monday(week_start)),
            Schedule::Monthly => Rule::Months,
            Schedule::Cron(line) => {
                Rule::Cron(Box::new(CronLine { text: line.clone(), cron: parse_cron(line).ok()? }))
            }
            Schedule::Window { start, end } => {
                Rule::Window { start: start.whole_seconds(), end: end.whole_seconds() }
            }
        };
        Some(Self { rule, zone, memo: Memo::default() })
    }

    /// The cycle that a time lies in.
    #[must_use]
    pub fn span_at(&self, at: Timestamp) -> Span {
        if let Some(known) = self.memo.find(at) {
            return known;
        }
        let span = self.work_out(at);
        self.memo.keep(&span);
        span
    }

    fn work_out(&self, at: Timestamp) -> Span {
        match &self.rule {
            Rule::Days => self.dates(at, |date| date, |date| plus_days(date, 1)),
            Rule::Weeks(first) => self.dates(
                at,
                |date| minus_days(date, (date.weekday().num_days_from_monday() + 7 - first) % 7),
                |date| plus_days(date, 7),
            ),
            Rule::Months => self.dates(
                at,
                |date| date.with_day(1).unwrap_or(date),
                |date| date.checked_add_months(Months::new(1)).unwrap_or(date),
            ),
            Rule::Cron(line) => self.matches(&line.cron, at),
            Rule::Window { start, end } => window(*start, *end, at),
        }
    }

    /// The cycle between two dates: `first` finds the first date of a date's cycle, `next` the first
    /// date of the cycle after it.
    fn dates(
        &self,
        at: Timestamp,
        first: impl Fn(NaiveDate) -> NaiveDate,
        next: impl Fn(NaiveDate) -> NaiveDate,
    ) -> Span {
        let mut date = first(self.local(at).date_naive());
        // Clocks that go back over midnight show the old date again; the new day has begun.
        if start_of_day(self.zone, next(date)) <= at {
            date = next(date);
        }
        let number = u32::try_from(days_since_epoch(date)).unwrap_or(0);
        let (start, end) = (start_of_day(self.zone, date), start_of_day(self.zone, next(date)));
        Span { start, end: Some(end), number, open: true }
    }

    /// The cycle between two matches of a cron line. All boundaries are found by looking forward,
    /// so that the end of one cycle is the start of the next whatever clocks do.
    fn matches(&self, cron: &Cron, at: Timestamp) -> Span {
        /// Matches between the anchor and `at`: two, and some for nights in which clocks change.
        const MOST: usize = 200;
        let endless = Span { start: Timestamp::default(), end: None, number: 0, open: true };
        let back = |from: Timestamp| {
            let found = cron.find_previous_occurrence(&self.local(from), true);
            found.map(|time| Timestamp::from(time.to_utc())).ok()
        };
        let search = |from: Timestamp, inclusive: bool| {
            let found = cron.find_next_occurrence(&self.local(from), inclusive);
            found.map(|time| Timestamp::from(time.to_utc())).ok()
        };
        let forward = |from: Timestamp| {
            // Where a whole day is skipped (it has happened), the search ends there; it goes on from
            // where clocks land.
            let landed = |quarters: i64| Timestamp::from_seconds((from.seconds() / 900 + quarters) * 900);
            let beyond = || (1..=2 * 96).find_map(|quarters| search(landed(quarters), true));
            search(from, false).filter(|found| *found > from).or_else(beyond)
        };
        // The anchor lies before the match that begins the cycle.
        let anchor = back(at).map(|begun| back(begun.plus_millis(-1_000)).unwrap_or(begun.plus_millis(-1)));
        let mut start = anchor.unwrap_or(at);
        for _ in 0..MOST {
            match forward(start) {
                None => return endless,
                Some(end) if end > at => {
                    let number = u32::try_from(start.seconds() / 60).unwrap_or(0);
                    return Span { start, end: Some(end), number, open: true };
                }
                Some(match_before) => start = match_before,
            }
        }
        endless
    }

    fn local(&self, at: Timestamp) -> DateTime<Tz> {
        self.zone.from_utc_datetime(&at.utc().naive_utc())
    }
}

/// Reads a cron line of five fields.
pub(crate) fn parse_cron(line: &str) -> Result<Cron, croner::errors::CronError> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(line)
}

fn window(start: Timestamp, end: Timestamp, at: Timestamp) -> Span {
    let ever = Timestamp::from_seconds(i64::MIN);
    if at < start {
        Span { start: ever, end: Some(start), number: 0, open: false }
    } else if at < end {
        Span { start, end: Some(end), number: 1, open: true }
    } else {
        Span { start: end, end: None, number: 2, open: false }
    }
}

const fn days_from_monday(day: Weekday) -> u32 {
    match day {
        Weekday::Monday => 0,
        Weekday::Tuesday => 1,
        Weekday::Wednesday => 2,
        Weekday::Thursday => 3,
        Weekday::Friday => 4,
        Weekday::Saturday => 5,
        Weekday::Sunday => 6,
    }
}

fn plus_days(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_add_days(Days::new(days)).unwrap_or(date)
}

fn minus_days(date: NaiveDate, days: u32) -> NaiveDate {
    date.checked_sub_days(Days::new(days.into())).unwrap_or(date)
}

/// The first moment of a date in a time zone. Where clocks skip midnight (some zones change at
/// 0:00) the day begins when they land; where midnight comes twice it begins with the first.
fn start_of_day(zone: Tz, date: NaiveDate) -> Timestamp {
    let midnight = date.and_time(NaiveTime::MIN);
    match zone.from_local_datetime(&midnight) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.to_utc().into(),
        LocalResult::None => {
            // No zone has ever skipped more than a day; look for the first wall time that exists.
            (1..=48 * 4)
                .find_map(|quarter| {
                    let later = midnight + chrono::Duration::minutes(15 * quarter);
                    zone.from_local_datetime(&later).earliest()
                })
                .map_or_else(|| midnight.and_utc().into(), |time| time.to_utc().into())
        }
    }
}
