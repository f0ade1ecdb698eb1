//! Event time: late, early, stale and repeated events.

use crate::{
    EventOutcome, EventWhat, Status,
    catalogue::{EventSource, GoalKind},
    rules::fixtures::{INCREMENT, NOON, World, at, event, goal, goal_of, kills, relative},
};

use EventOutcome::{Counted, Unchanged};
use Status::{Completed, InProgress, NotStarted};

#[test]
fn a_late_event_does_not_replace_but_may_complete() {
    let mut world = World::active(vec![goal("g")]);
    world.wait(300);
    let start = at(NOON);
    world.kills_at(5.0, 0.0, start.plus_millis(200_000));
    assert_eq!(world.kills_at(9.0, 0.0, start.plus_millis(100_000)), Unchanged);
    assert_eq!(world.progress("g"), (5, InProgress));
    assert_eq!(world.kills_at(11.0, 0.0, start.plus_millis(150_500)), Counted);
    assert_eq!(world.progress("g"), (5, Completed));
    assert_eq!(world.view("g").completed_at, Some(start.plus_millis(150_000)), "whole seconds");
    // An earlier completing event moves the completion back, a later one does not move it.
    world.kills_at(10.0, 0.0, start.plus_millis(50_000));
    assert_eq!(world.view("g").completed_at, Some(start.plus_millis(50_000)));
    world.kills_at(30.0, 0.0, start.plus_millis(250_000));
    assert_eq!(world.progress("g"), (30, Completed));
    assert_eq!(world.view("g").completed_at, Some(start.plus_millis(50_000)));
}

#[test]
fn late_is_up_to_the_window_and_older_is_stale() {
    for (age_ms, absolute, increment) in
        [(0, Counted, 1), (599_999, Counted, 1), (600_000, Counted, 1), (600_001, Unchanged, 1)]
    {
        let goals = vec![goal("a"), relative("r")];
        let mut world = World::active(goals);
        world.wait(3600);
        assert_eq!(world.kills_at(20.0, 20.0, world.now.plus_millis(-age_ms)), absolute, "{age_ms}");
        let mut world = World::active(vec![goal_of("i", INCREMENT, EventSource::Statistic, 1)]);
        world.wait(3600);
        let now = world.now;
        assert_eq!(world.kills_at(20.0, 1.0, now.plus_millis(-age_ms)), Counted, "{age_ms}");
        assert_eq!(world.progress("i"), (increment, Completed));
        // As if it had just happened.
        let completed = if age_ms > 600_000 { now } else { now.plus_millis(-age_ms).whole_seconds() };
        assert_eq!(world.view("i").completed_at, Some(completed), "{age_ms}");
    }
}

#[test]
fn more_than_a_minute_ahead_counts_as_now() {
    for (ahead_ms, completed_ms) in [(59_000, 59_000), (60_000, 60_000), (60_001, 0), (86_400_000, 0)] {
        let mut world = World::active(vec![goal("g")]);
        world.kills_at(10.0, 0.0, world.now.plus_millis(ahead_ms));
        let expected = at(NOON).plus_millis(completed_ms);
        assert_eq!(world.view("g").completed_at, Some(expected), "{ahead_ms}");
    }
    // Far ahead, it does not block what comes after it.
    let mut world = World::active(vec![goal("g")]);
    world.kills_at(3.0, 0.0, at("2030-01-01T00:00:00Z"));
    world.wait(1);
    world.kills(4.0, 1.0);
    assert_eq!(world.progress("g"), (4, InProgress));
}

#[test]
fn before_the_assignment_nothing_counts_but_for_five_seconds() {
    for (before_ms, outcome) in [(0, Counted), (5_000, Counted), (5_001, Unchanged), (900_000, Unchanged)] {
        for goal in [goal("g"), relative("g"), goal_of("g", INCREMENT, EventSource::Statistic, 5)] {
            let mut world = World::active(vec![goal]);
            let time = world.now.plus_millis(-before_ms);
            world.wait(60);
            assert_eq!(world.kills_at(3.0, 3.0, time), outcome, "{before_ms}");
        }
        let mut world = World::active(vec![goal_of("g", GoalKind::Daily, EventSource::Login, 1)]);
        let time = world.now.plus_millis(-before_ms);
        assert_eq!(world.login_at(time), outcome, "{before_ms}");
    }
    // Activating again is a new assignment.
    let mut world = World::active(vec![goal("g")]);
    world.wait(60);
    let away = world.now;
    world.set_active("g", false);
    world.wait(60);
    world.set_active("g", true);
    assert_eq!(world.kills_at(3.0, 3.0, away), Unchanged);
}

#[test]
fn events_of_one_millisecond_are_ordered_by_id() {
    let time = at(NOON);
    let mut ends = Vec::new();
    for order in [["one", "two"], ["two", "one"]] {
        let mut world = World::active(vec![goal("g")]);
        for id in order {
            let value = if id == "one" { 4.0 } else { 6.0 };
            world.event(&event(kills(value, 0.0), time, id));
        }
        ends.push(world.player);
    }
    assert_eq!(ends[0], ends[1]);
    // Two events that cannot be told apart: the greater value wins, whichever comes first.
    for values in [[4.0, 6.0], [6.0, 4.0]] {
        let mut world = World::active(vec![goal("g")]);
        for value in values {
            world.event(&event(kills(value, 0.0), time, "same"));
        }
        assert_eq!(world.progress("g"), (6, InProgress));
    }
}

#[test]
fn an_earlier_first_event_moves_the_baseline() {
    let start = at(NOON);
    let mut world = World::active(vec![relative("g")]);
    world.wait(300);
    world.kills_at(108.0, 4.0, start.plus_millis(100_000));
    world.kills_at(106.0, 0.0, start.plus_millis(200_000));
    assert_eq!(world.progress("g"), (2, InProgress));
    // The cycle began at 95: 11 now, and 13 at the peak.
    world.kills_at(100.0, 5.0, start.plus_millis(50_000));
    assert_eq!(world.progress("g"), (11, Completed));
    assert_eq!(world.view("g").completed_at, Some(start.plus_millis(100_000)), "the peak came first");
    // A late event with a value in between changes nothing that shows.
    world.kills_at(101.0, 0.0, start.plus_millis(150_000));
    assert_eq!(world.progress("g"), (11, Completed));
    // A late event that completes on its own is the first time.
    world.kills_at(105.0, 0.0, start.plus_millis(60_000));
    assert_eq!(world.view("g").completed_at, Some(start.plus_millis(60_000)));
}

#[test]
fn the_same_event_again_changes_nothing() {
    let goals = vec![
        goal("a"),
        relative("r"),
        goal_of("i", INCREMENT, EventSource::Statistic, 100),
        goal_of("l", GoalKind::Absolute, EventSource::Login, 100),
        goal_of("d", GoalKind::Daily, EventSource::Login, 1),
    ];
    let mut world = World::active(goals);
    world.wait(60);
    let stat = world.make(kills(7.0, 2.0), world.now);
    let login = world.make(EventWhat::Login, world.now);
    assert_eq!((world.event(&stat), world.event(&login)), (Counted, Counted));
    for seconds in [0, 1, 500, 3600, 86_000] {
        world.wait(seconds);
        assert_eq!((world.event(&stat), world.event(&login)), (Unchanged, Unchanged), "{seconds}");
    }
    for (goal, shown) in [("a", 7), ("r", 2), ("i", 2), ("l", 1)] {
        assert_eq!(world.progress(goal), (shown, InProgress), "{goal}");
    }
    assert_eq!(world.progress("d"), (0, NotStarted), "tomorrow the old login does not count");
}

#[test]
fn what_cannot_grow_any_more_takes_nothing() {
    let mut world = World::active(vec![goal_of("i", INCREMENT, EventSource::Statistic, 100)]);
    world.wait(3600);
    assert_eq!(world.kills(0.0, f64::MAX), Counted);
    let late = world.make(kills(0.0, 5.0), world.now.plus_millis(-500_000));
    assert_eq!(world.event(&late), Unchanged);
    world.wait(200);
    assert_eq!(world.event(&late), Unchanged, "stale by now, and without a receipt");
}

#[test]
fn a_seen_event_still_counts_where_nothing_adds_up() {
    // The receipt says that `i` took it; `a` may be new to it.
    let mut world = World::active(vec![goal("a"), goal_of("i", INCREMENT, EventSource::Statistic, 100)]);
    let stat = world.make(kills(7.0, 2.0), world.now);
    world.pages.push(stat.key.receipt());
    assert_eq!(world.event(&stat), Counted);
    assert_eq!((world.progress("a"), world.progress("i")), ((7, InProgress), (0, NotStarted)));
}
