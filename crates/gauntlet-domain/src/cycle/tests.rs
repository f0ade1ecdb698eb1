//! Calendars in every sort of night, and cycles of players' own.

use proptest::{prelude::*, sample::select};

use super::*;
use crate::{
    GoalNumber,
    catalogue::{Schedule, Weekday},
};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

fn calendar(schedule: &Schedule, zone: Tz, week_start: Weekday) -> Calendar {
    Calendar::of(schedule, zone, week_start).expect("a good cron line")
}

/// Checks the cycle that a time lies in.
fn check(calendar: &Calendar, time: &str, start: &str, end: &str) {
    let span = calendar.span_at(at(time));
    assert_eq!((span.start, span.end), (at(start), Some(at(end))), "{calendar:?} {time}");
}

#[test]
fn a_day_is_a_calendar_day_of_the_zone() {
    for (zone, time, day, end) in [
        (Tz::UTC, "2026-11-24T00:00:00Z", 20_781, "2026-11-25T00:00:00Z"),
        (Tz::UTC, "2026-11-24T23:59:59.999Z", 20_781, "2026-11-25T00:00:00Z"),
        (Tz::Pacific__Kiritimati, "2026-11-24T10:00:00Z", 20_782, "2026-11-25T10:00:00Z"),
        (Tz::Etc__GMTPlus12, "2026-11-24T11:59:59Z", 20_780, "2026-11-24T12:00:00Z"),
        // Spring forward in New York: the day has 23 hours; and back: 25.
        (Tz::America__New_York, "2026-03-08T05:00:00Z", 20_520, "2026-03-09T04:00:00Z"),
        (Tz::America__New_York, "2026-11-01T04:00:00Z", 20_758, "2026-11-02T05:00:00Z"),
        // Midnight of 6 September 2026 does not exist in Santiago: the day begins at 1:00.
        (Tz::America__Santiago, "2026-09-05T12:00:00Z", 20_701, "2026-09-06T04:00:00Z"),
        // Midnight comes twice in Havana on 1 November 2026: the first one counts.
        (Tz::America__Havana, "2026-10-31T12:00:00Z", 20_757, "2026-11-01T04:00:00Z"),
        (Tz::America__Havana, "2026-11-01T04:59:59Z", 20_758, "2026-11-02T05:00:00Z"),
        // Leap day, and the day that Samoa never had.
        (Tz::UTC, "2028-02-29T12:00:00Z", 21_243, "2028-03-01T00:00:00Z"),
        (Tz::Pacific__Apia, "2011-12-30T09:59:59Z", 15_337, "2011-12-30T10:00:00Z"),
        // Clocks went back over midnight at one minute past it: the new day stays.
        (Tz::America__St_Johns, "2010-11-07T02:40:00Z", 14_920, "2010-11-08T03:30:00Z"),
    ] {
        let span = Calendar::days(zone).span_at(at(time));
        assert_eq!((span.number, span.end), (day, Some(at(end))), "{zone} {time}");
    }
}

#[test]
fn weeks_begin_where_they_are_said_to() {
    let (weekly, berlin) = (Schedule::Weekly, Tz::Europe__Berlin);
    let monday = calendar(&weekly, Tz::UTC, Weekday::Monday);
    check(&monday, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z");
    check(&monday, "2026-11-22T23:59:59Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z");
    let sunday = calendar(&weekly, Tz::UTC, Weekday::Sunday);
    check(&sunday, "2026-11-28T23:59:59Z", "2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z");
    check(&sunday, "2026-11-29T00:00:00Z", "2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z");
    // The week in which clocks go forward has an hour less.
    let spring = calendar(&weekly, berlin, Weekday::Monday);
    check(&spring, "2026-03-29T12:00:00Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z");
    // Over the end of a year.
    check(&monday, "2027-01-01T00:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z");
}

#[test]
fn months_end_with_their_last_day() {
    let utc = calendar(&Schedule::Monthly, Tz::UTC, Weekday::Monday);
    check(&utc, "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z");
    check(&utc, "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
    check(&utc, "2026-12-31T00:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z");
    let samoa = calendar(&Schedule::Monthly, Tz::Pacific__Kiritimati, Weekday::Monday);
    check(&samoa, "2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z", "2026-02-28T10:00:00Z");
}

#[test]
fn a_cron_line_s_matches_are_boundaries() {
    let of = |line: &str, zone| calendar(&Schedule::Cron(line.to_owned()), zone, Weekday::Monday);
    let friday = of("0 18 * * 5", Tz::UTC);
    check(&friday, "2026-11-27T18:00:00Z", "2026-11-27T18:00:00Z", "2026-12-04T18:00:00Z");
    check(&friday, "2026-11-27T17:59:59.999Z", "2026-11-20T18:00:00Z", "2026-11-27T18:00:00Z");
    // Half past two does not exist on 29 March 2026 in Berlin, and comes twice on 25 October.
    let night = of("30 2 * * *", Tz::Europe__Berlin);
    let spring = night.span_at(at("2026-03-29T12:00:00Z"));
    assert!(spring.start >= at("2026-03-29T01:00:00Z") && spring.start <= at("2026-03-29T01:30:00Z"));
    assert_eq!(spring.end, Some(at("2026-03-30T00:30:00Z")));
    let autumn = night.span_at(at("2026-10-25T12:00:00Z"));
    assert_eq!(autumn.end, Some(at("2026-10-26T01:30:00Z")));
    // A leap day every four years, and every minute.
    check(&of("0 0 29 2 *", Tz::UTC), "2026-11-24T00:00:00Z", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z");
    check(&of("* * * * *", Tz::UTC), "2026-11-24T00:00:30Z", "2026-11-24T00:00:00Z", "2026-11-24T00:01:00Z");
}

#[test]
fn a_schedule_with_a_start_and_an_end_is_open_in_between_only() {
    let (start, end) = (at("2026-11-01T00:00:00Z"), at("2027-02-01T00:00:00Z"));
    let season = calendar(&Schedule::Window { start, end }, Tz::UTC, Weekday::Monday);
    let told = |time: Timestamp| {
        let span = season.span_at(time);
        (span.number, span.open, span.end)
    };
    assert_eq!(told(start.plus_millis(-1)), (0, false, Some(start)));
    assert_eq!(told(start), (1, true, Some(end)));
    assert_eq!(told(end.plus_millis(-1)), (1, true, Some(end)));
    assert_eq!(told(end), (2, false, None));
}

#[test]
fn a_player_s_own_cycles_follow_each_other_without_a_gap() {
    let cycles = Cycles::PerUser { length_ms: 3_600_000 };
    let mut state = GoalState::new(GoalNumber(1), cycles.of_nobody(at("2026-11-24T12:00:00Z")));
    assert_eq!(cycles.next(&state, at("2026-11-24T12:00:00Z")), None, "nobody assigned it");
    state.activate(at("2026-11-24T12:00:00.7Z"));
    let next = |state: &GoalState, time| cycles.next(state, at(time));
    let mark = |number, end| Some(CycleMark { number, end: Some(at(end)) });
    let first = next(&state, "2026-11-24T12:00:00Z");
    assert_eq!(first, mark(1, "2026-11-24T13:00:00Z"));
    state.cycle = first.expect("it begins");
    assert_eq!(next(&state, "2026-11-24T12:59:59.999Z"), None);
    assert_eq!(next(&state, "2026-11-24T13:00:00Z"), mark(2, "2026-11-24T14:00:00Z"));
    assert_eq!(next(&state, "2026-11-24T15:59:59Z"), mark(4, "2026-11-24T16:00:00Z"));
    // A clock that steps back changes nothing.
    assert_eq!(next(&state, "2026-11-24T11:00:00Z"), None);
    // Putting it away and taking it again moves neither number nor end.
    state.activate(at("2026-11-24T12:30:00Z"));
    assert_eq!(next(&state, "2026-11-24T12:30:00Z"), None);
}

#[test]
fn numbers_are_never_used_twice_when_the_schedule_changes() {
    let cron = calendar(&Schedule::Cron("0 * * * *".into()), Tz::UTC, Weekday::Monday);
    let (hourly, daily) = (Cycles::Global(Arc::new(cron)), Cycles::Global(Arc::new(Calendar::days(Tz::UTC))));
    let now = at("2026-11-24T12:30:00Z");
    let mut state = GoalState::new(GoalNumber(1), hourly.of_nobody(now));
    let before = state.cycle;
    // The cycle that it has lasts until its end.
    assert_eq!(daily.next(&state, now), None);
    let next = daily.next(&state, at("2026-11-24T13:00:00Z")).expect("it has ended");
    assert_eq!(next, CycleMark { number: before.number + 1, end: Some(at("2026-11-25T00:00:00Z")) });
    state.cycle = next;
    let own = Cycles::PerUser { length_ms: 1_000 };
    let next = own.next(&state, at("2026-11-25T00:00:00Z")).expect("it has ended");
    assert_eq!(next, CycleMark { number: before.number + 2, end: Some(at("2026-11-25T00:00:01Z")) });
    assert_eq!(Cycles::One.next(&state, at("2030-01-01T00:00:00Z")), None);
}

/// Zones with every sort of clock change, and the two ends of the world.
fn zone() -> impl Strategy<Value = Tz> {
    prop_oneof![
        select(vec![
            Tz::UTC,
            Tz::Europe__Berlin,
            Tz::America__New_York,
            Tz::America__Santiago,
            Tz::America__Havana,
            Tz::America__St_Johns,
            Tz::Australia__Lord_Howe,
            Tz::Asia__Kathmandu,
            Tz::Africa__Casablanca,
            Tz::Pacific__Apia,
            Tz::Pacific__Kiritimati,
            Tz::Etc__GMTPlus12,
            Tz::Asia__Gaza,
        ]),
        select(chrono_tz::TZ_VARIANTS.to_vec()),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let cron = select(vec![
        "0 0 * * *",
        "30 2 * * *",
        "15 3 * * 0",
        "0 0 1 * *",
        "0 12 31 * *",
        "*/20 * * * *",
        "0 0 29 2 *",
        "59 23 * * 1-5",
        "0 1-3 * * *",
    ]);
    prop_oneof![
        Just(Schedule::Daily),
        Just(Schedule::Weekly),
        Just(Schedule::Monthly),
        cron.prop_map(|line| Schedule::Cron(line.into())),
    ]
}

fn weekday() -> impl Strategy<Value = Weekday> {
    select(vec![Weekday::Monday, Weekday::Tuesday, Weekday::Saturday, Weekday::Sunday])
}

/// Times from 2008 to 2035, many of them near the nights in which clocks change.
fn time() -> impl Strategy<Value = Timestamp> {
    let night = select(vec![
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-03-08T07:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-09-06T04:00:00Z",
        "2026-04-05T03:00:00Z",
        "2010-11-07T02:31:00Z",
        "2011-12-30T10:00:00Z",
        "2028-02-29T12:00:00Z",
        "2026-12-31T23:59:59Z",
    ]);
    prop_oneof![
        (1_199_145_600_000..2_051_222_400_000_i64).prop_map(Timestamp::from_millis),
        (night, -7_200_000..7_200_000_i64).prop_map(|(night, ms)| at(night).plus_millis(ms)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn cycles_follow_each_other_without_gap_or_overlap(
        schedule in schedule(), zone in zone(), first in weekday(), time in time(), other in time(),
    ) {
        let made = || calendar(&schedule, zone, first);
        let calendar = made();
        let span = calendar.span_at(time);
        let end = span.end.expect("it ends");
        prop_assert!(span.has(time) && span.start < end, "{:?}", span);
        // From anywhere in it, and whoever asked before, the answer is the same.
        prop_assert_eq!(made().span_at(span.start), span);
        prop_assert_eq!(made().span_at(end.plus_millis(-1)), span);
        let next = made().span_at(end);
        prop_assert_eq!(next.start, end);
        prop_assert!(next.number > span.number);
        if let Some(before) = (span.start.millis() > 0).then(|| made().span_at(span.start.plus_millis(-1))) {
            prop_assert_eq!(before.end, Some(span.start));
        }
        let there = calendar.span_at(other);
        prop_assert_eq!(made().span_at(other), there);
        prop_assert_eq!(calendar.span_at(time), span);
        prop_assert_eq!((other >= end, other < span.start), (there.number > span.number, there.number < span.number));
    }

    #[test]
    fn two_threads_that_share_a_calendar_read_no_mixture(times in proptest::collection::vec(time(), 2..20)) {
        let calendar = Calendar::days(Tz::Europe__Berlin);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for time in &times {
                        assert_eq!(calendar.span_at(*time), Calendar::days(Tz::Europe__Berlin).span_at(*time));
                    }
                });
            }
        });
    }

    #[test]
    fn a_player_s_cycle_is_the_same_whoever_looked_meanwhile(
        length in 1..100_000_i64, steps in proptest::collection::vec(-2_000..50_000_i64, 1..20),
    ) {
        let cycles = Cycles::PerUser { length_ms: length * 1_000 };
        let begin = at("2026-11-24T12:00:00Z");
        let mut looked = GoalState::new(GoalNumber(1), CycleMark::default());
        looked.activate(begin);
        looked.cycle = cycles.next(&looked, begin).expect("it begins");
        let unseen = looked.clone();
        let (mut now, mut latest) = (begin, begin);
        for step in steps {
            now = now.plus_millis(step * 1_000);
            latest = latest.max(now);
            looked.cycle = cycles.next(&looked, now).unwrap_or(looked.cycle);
        }
        prop_assert_eq!(cycles.next(&unseen, latest).unwrap_or(unseen.cycle), looked.cycle);
        prop_assert!(looked.cycle.end.expect("it ends") > latest);
    }
}
