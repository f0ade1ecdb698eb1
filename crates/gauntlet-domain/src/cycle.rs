//! Cycles: the spans of time in which a goal can be done and claimed once.
//!
//! A daily goal's cycle is a calendar day of its time zone. Every other goal has one cycle that
//! never ends; rotations are read and checked by the catalogue, and their cycles will be worked
//! out here.

use chrono::{Datelike, Days, LocalResult, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;

use crate::{Goal, Timestamp, catalogue::GoalKind, player::CycleMark};

/// The cycle of a goal at a time.
#[must_use]
pub fn cycle_at(goal: &Goal, at: Timestamp) -> CycleMark {
    match goal.definition.kind {
        GoalKind::Daily => day_cycle(goal.definition.time_zone, at),
        GoalKind::Absolute | GoalKind::Increment { .. } => CycleMark::default(),
    }
}

/// The number of the calendar day in a time zone: days since 1970-01-01 there.
#[must_use]
pub fn day_number(zone: Tz, at: Timestamp) -> i32 {
    days_since_epoch(zone.from_utc_datetime(&at.utc().naive_utc()).date_naive())
}

/// The day as a cycle. Days before 1970 share number 0: no player lives there.
fn day_cycle(zone: Tz, at: Timestamp) -> CycleMark {
    let date = zone.from_utc_datetime(&at.utc().naive_utc()).date_naive();
    let number = u32::try_from(days_since_epoch(date)).unwrap_or(0);
    let next = date.checked_add_days(Days::new(1)).unwrap_or(date);
    CycleMark { number, end: Some(start_of_day(zone, next)) }
}

fn days_since_epoch(date: NaiveDate) -> i32 {
    const EPOCH_FROM_CE: i32 = 719_163;
    date.num_days_from_ce() - EPOCH_FROM_CE
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect(text)
    }

    #[test]
    fn a_day_is_a_calendar_day_of_the_zone() {
        for (zone, time, day, end) in [
            (Tz::UTC, "2026-11-24T00:00:00Z", 20_781, "2026-11-25T00:00:00Z"),
            (Tz::UTC, "2026-11-24T23:59:59.999Z", 20_781, "2026-11-25T00:00:00Z"),
            (Tz::Pacific__Kiritimati, "2026-11-24T10:00:00Z", 20_782, "2026-11-25T10:00:00Z"),
            (Tz::Etc__GMTPlus12, "2026-11-24T11:59:59Z", 20_780, "2026-11-24T12:00:00Z"),
            // Spring forward in New York: the day has 23 hours.
            (Tz::America__New_York, "2026-03-08T05:00:00Z", 20_520, "2026-03-09T04:00:00Z"),
            // Midnight of 6 September 2026 does not exist in Santiago: the day begins at 1:00.
            (Tz::America__Santiago, "2026-09-05T12:00:00Z", 20_701, "2026-09-06T04:00:00Z"),
            // Midnight comes twice in Havana on 1 November 2026: the first one counts.
            (Tz::America__Havana, "2026-10-31T12:00:00Z", 20_757, "2026-11-01T04:00:00Z"),
        ] {
            let cycle = day_cycle(zone, at(time));
            assert_eq!((cycle.number, cycle.end), (day, Some(at(end))), "{zone} {time}");
            assert_eq!(day_number(zone, at(time)), i32::try_from(day).unwrap(), "{zone} {time}");
        }
    }

    #[test]
    fn the_end_of_a_day_is_the_start_of_the_next() {
        for zone in [Tz::UTC, Tz::America__Santiago, Tz::America__Havana, Tz::Asia__Tokyo, Tz::Europe__Berlin]
        {
            let mut time = at("2026-01-01T12:00:00Z");
            for _ in 0..400 {
                let cycle = day_cycle(zone, time);
                let end = cycle.end.expect("days end");
                assert_eq!(day_cycle(zone, end).number, cycle.number + 1, "{zone} {time}");
                assert_eq!(day_cycle(zone, end.plus_millis(-1)).number, cycle.number, "{zone} {time}");
                time = end.plus_millis(43_200_000);
            }
        }
    }
}
