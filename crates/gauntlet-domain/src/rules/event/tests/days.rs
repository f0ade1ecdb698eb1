//! Days: daily goals and daily increments over midnight, late, stale, and in time zones.

use chrono_tz::Tz;

use crate::{
    EventOutcome, JournalKind, Refusal, Status,
    catalogue::{EventSource, GoalDefinition},
    rules::fixtures::{DAILY_INCREMENT, World, at, daily, goal_of},
};

use EventOutcome::{Counted, Unchanged};
use Status::{Claimed, Completed, InProgress, NotStarted};

fn streak(target: i32) -> GoalDefinition {
    goal_of("g", DAILY_INCREMENT, EventSource::Login, target)
}

/// A player who has had the goal for a month.
fn world(goal: GoalDefinition, now: &str) -> World {
    let mut world = World::new(crate::rules::fixtures::one(vec![goal]));
    world.now = at(now).plus_millis(-30 * 86_400_000);
    world.set_active("g", true);
    world.now = at(now);
    world
}

#[test]
fn a_daily_goal_begins_anew_at_midnight() {
    let mut world = world(daily("g"), "2026-11-24T23:59:50Z");
    assert_eq!(world.login(), Counted);
    assert_eq!(world.progress("g"), (1, Completed));
    assert_eq!(world.view("g").expires_at, Some(at("2026-11-25T00:00:00Z")));
    world.claim_granted("g");
    assert_eq!(world.progress("g"), (1, Claimed));
    assert!(world.is_live("g"), "tomorrow's event must find it");
    world.wait(10);
    let view = world.view("g");
    assert_eq!((view.progress, view.status, view.claimed_at, view.completed_at), (0, NotStarted, None, None));
    assert_eq!(view.expires_at, Some(at("2026-11-26T00:00:00Z")));
    assert_eq!(world.login(), Counted);
    world.claim_granted("g");
    assert_eq!(world.progress("g"), (1, Claimed));
    assert_eq!(world.orders[1].key.cycle, world.orders[0].key.cycle + 1);
}

#[test]
fn what_was_not_claimed_is_gone_tomorrow() {
    let mut world = world(daily("g"), "2026-11-24T12:00:00Z");
    world.login();
    let rows = world.journal.len();
    world.now = at("2026-11-25T00:00:00Z");
    assert_eq!(world.progress("g"), (0, NotStarted));
    assert_eq!(world.claim("g"), Err(Refusal::GoalRotated("g".to_owned())));
    // It stays told, looked at or not, until the goal is done again.
    for day in ["2026-11-26T08:00:00Z", "2026-11-27T08:00:00Z"] {
        world.now = at(day);
        world.initialize();
        assert_eq!(world.claim("g"), Err(Refusal::GoalRotated("g".to_owned())), "{day}");
    }
    assert_eq!(world.journal_since(rows), [(JournalKind::Expired, vec!["g".to_owned()])]);
    world.login();
    world.claim_granted("g");
}

#[test]
fn an_event_that_finds_an_unclaimed_day_tells_the_journal() {
    let mut world = world(daily("g"), "2026-11-24T12:00:00Z");
    world.login();
    let rows = world.journal.len();
    world.now = at("2026-11-25T06:00:00Z");
    world.login();
    let goals = || vec!["g".to_owned()];
    assert_eq!(
        world.journal_since(rows),
        [(JournalKind::Expired, goals()), (JournalKind::Completed, goals())]
    );
    assert_eq!(world.view("g").completed_at, Some(world.now));
}

#[test]
fn a_late_login_counts_for_yesterday() {
    let mut world = world(daily("g"), "2026-11-25T00:05:00Z");
    let yesterday = at("2026-11-24T23:58:00Z");
    let rows = world.journal.len();
    let late = world.make(crate::EventWhat::Login, yesterday);
    assert_eq!(world.event(&late), Counted);
    assert_eq!(world.progress("g"), (0, NotStarted), "today is another day");
    assert_eq!(world.claim("g"), Err(Refusal::GoalRotated("g".to_owned())));
    assert_eq!(world.journal_since(rows), [(JournalKind::Completed, vec!["g".to_owned()])]);
    assert_eq!(world.event(&late), Unchanged);
    // With today done, and claimed, yesterday changes nothing for it.
    assert_eq!(world.login(), Counted);
    world.claim_granted("g");
    assert_eq!(world.login_at(yesterday), Unchanged);
    assert_eq!(world.progress("g"), (1, Claimed));
    // Yesterday comes late to a claimed today.
    let mut world = self::world(daily("g"), "2026-11-25T00:05:00Z");
    world.login();
    world.claim_granted("g");
    assert_eq!(world.login_at(yesterday), Counted);
    assert_eq!(world.progress("g"), (1, Claimed));
}

#[test]
fn a_stale_login_counts_for_its_own_day_only() {
    let mut world = world(daily("g"), "2026-11-25T15:00:00Z");
    assert_eq!(world.login_at(at("2026-11-24T23:59:00Z")), Unchanged);
    assert_eq!(world.login_at(at("2026-11-25T08:00:00.5Z")), Counted);
    assert_eq!(world.view("g").completed_at, Some(at("2026-11-25T08:00:00Z")));
    assert_eq!(world.login_at(at("2026-11-25T07:00:00Z")), Counted);
    assert_eq!(world.view("g").completed_at, Some(at("2026-11-25T07:00:00Z")), "the first time");
    assert_eq!(world.login_at(at("2026-11-25T09:00:00Z")), Unchanged, "no write for a day that is done");
}

#[test]
fn a_login_from_the_near_future_brings_its_day_with_it() {
    let mut world = world(daily("g"), "2026-11-24T23:59:30Z");
    world.login();
    assert_eq!(world.login_at(at("2026-11-25T00:00:10Z")), Counted);
    assert_eq!(world.view("g").expires_at, Some(at("2026-11-26T00:00:00Z")));
    assert_eq!(world.progress("g"), (1, Completed));
    // A clock that steps back does not open the old day again.
    world.now = at("2026-11-24T23:50:00Z");
    assert_eq!(world.view("g").expires_at, Some(at("2026-11-26T00:00:00Z")));
    world.claim_granted("g");
}

#[test]
fn daily_increments_count_each_day_once() {
    let mut world = world(streak(4), "2026-11-24T10:00:00Z");
    assert_eq!(world.login(), Counted);
    world.wait(60);
    assert_eq!(world.login(), Unchanged);
    world.now = at("2026-11-25T00:05:00Z");
    assert_eq!(world.login_at(at("2026-11-24T23:59:00Z")), Unchanged, "yesterday is remembered");
    assert_eq!(world.login(), Counted);
    assert_eq!(world.login_at(at("2026-11-24T23:59:30Z")), Unchanged);
    // A day is left out, and comes late.
    world.now = at("2026-11-27T00:05:00Z");
    assert_eq!(world.login(), Counted);
    assert_eq!(world.progress("g"), (3, InProgress));
    assert_eq!(world.login_at(at("2026-11-26T23:59:00Z")), Counted);
    assert_eq!(world.login_at(at("2026-11-26T23:58:00Z")), Unchanged);
    assert_eq!(world.progress("g"), (4, Completed));
    assert_eq!(world.view("g").completed_at, Some(at("2026-11-26T23:59:00Z")));
    // Beyond the target.
    world.wait(86_400);
    assert_eq!(world.login(), Counted);
    assert_eq!(world.progress("g"), (5, Completed));
}

#[test]
fn a_stale_daily_increment_counts_for_today() {
    let mut world = world(streak(5), "2026-11-25T15:00:00Z");
    assert_eq!(world.login_at(at("2026-11-23T15:00:00Z")), Counted);
    assert_eq!(world.login(), Unchanged, "today is counted");
    assert_eq!(world.login_at(at("2026-11-22T15:00:00Z")), Unchanged);
    // Yesterday is remembered, and was not counted.
    assert_eq!(world.login_at(at("2026-11-24T15:00:00Z")), Counted);
    assert_eq!(world.login_at(at("2026-11-24T16:00:00Z")), Unchanged);
    assert_eq!(world.progress("g"), (2, InProgress));
}

#[test]
fn a_second_login_of_a_day_does_not_count_when_it_is_delivered_again_tomorrow() {
    let mut world = world(streak(5), "2026-11-24T15:00:00Z");
    world.login();
    world.wait(3600);
    let second = world.make(crate::EventWhat::Login, world.now);
    assert_eq!(world.event(&second), Unchanged, "and it leaves no receipt");
    for seconds in [3600, 10 * 3600, 86_400] {
        world.wait(seconds);
        assert_eq!(world.event(&second), Unchanged, "{seconds}");
    }
    assert_eq!(world.login(), Counted);
}

#[test]
fn days_are_those_of_the_goal_s_zone() {
    for (zone, before, after) in [
        (Tz::UTC, "2026-11-24T23:59:59Z", "2026-11-25T00:00:00Z"),
        (Tz::Asia__Tokyo, "2026-11-24T14:59:59Z", "2026-11-24T15:00:00Z"),
        (Tz::America__Los_Angeles, "2026-11-25T07:59:59Z", "2026-11-25T08:00:00Z"),
        (Tz::Asia__Kathmandu, "2026-11-24T18:14:59Z", "2026-11-24T18:15:00Z"),
        // The night in which clocks go back, and the one in which midnight is skipped.
        (Tz::Europe__Berlin, "2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z"),
        (Tz::Europe__Berlin, "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"),
        (Tz::America__Santiago, "2026-09-06T03:59:59Z", "2026-09-06T04:00:00Z"),
    ] {
        for kind in [daily("g"), streak(10)] {
            let mut world = world(GoalDefinition { time_zone: zone, ..kind.clone() }, before);
            assert_eq!(world.login(), Counted);
            // The whole day before belongs to it, up to the last moment.
            assert_eq!(world.login_at(at(before).plus_millis(999)), Unchanged, "{zone} {before}");
            world.now = at(after);
            assert_eq!(world.login(), Counted, "{zone} {after}");
            world.wait(80_000);
            assert_eq!(world.login(), Unchanged, "{zone} {after}");
        }
    }
}

#[test]
fn an_inactive_daily_goal_takes_nothing_and_rolls_over_unseen() {
    let mut world = world(daily("g"), "2026-11-24T12:00:00Z");
    world.login();
    world.set_active("g", false);
    assert!(world.is_settled("g"));
    assert_eq!(world.progress("g"), (1, Completed));
    world.wait(86_400);
    assert_eq!(world.login(), Unchanged);
    assert_eq!(world.progress("g"), (0, NotStarted));
    let rows = world.journal.len();
    let view = world.set_active("g", true);
    assert_eq!((view.progress, view.status, view.assigned_at), (0, NotStarted, Some(world.now)));
    let goals = || vec!["g".to_owned()];
    assert_eq!(
        world.journal_since(rows),
        [(JournalKind::Expired, goals()), (JournalKind::Assigned, goals())]
    );
}
