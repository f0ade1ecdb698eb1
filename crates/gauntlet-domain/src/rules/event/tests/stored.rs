//! What an event wants stored: receipts, journal rows, and nothing of the settled part.

use crate::{
    EventOutcome, EventWhat, JournalKind, Status,
    catalogue::{EventSource, GoalKind},
    rules::fixtures::{INCREMENT, World, at, daily, goal, goal_of, kills},
};

#[test]
fn receipts_are_for_events_that_added_up() {
    let mut world = World::active(vec![
        goal("a"),
        daily("d"),
        goal_of("i", INCREMENT, EventSource::Statistic, 3),
        goal_of("l", GoalKind::Absolute, EventSource::Login, 3),
    ]);
    let stat = world.make(kills(4.0, 1.0), world.now);
    world.event(&stat);
    assert!(world.has_receipt(&stat));
    let login = world.make(EventWhat::Login, world.now);
    world.event(&login);
    assert!(world.has_receipt(&login));
    // A decrease shows on `a` and adds nothing.
    world.wait(1);
    assert_eq!(world.kills(3.0, -1.0), EventOutcome::Counted);
    assert_eq!(world.receipts(), 2);
}

#[test]
fn one_row_tells_all_completions_at_the_time_of_the_event() {
    let mut world = World::active(vec![
        goal("a"),
        goal_of("b", GoalKind::Absolute, EventSource::Statistic, 20),
        goal_of("c", INCREMENT, EventSource::Statistic, 5),
    ]);
    let rows = world.journal.len();
    world.wait(100);
    let time = world.now.plus_millis(-42_500);
    world.kills_at(9.0, 1.0, time.plus_millis(-1));
    assert_eq!(world.journal.len(), rows, "progress is no row");
    world.kills_at(10.0, 5.0, time);
    let goals = vec!["a".to_owned(), "c".to_owned()];
    assert_eq!(world.journal_since(rows), [(JournalKind::Completed, goals)]);
    assert_eq!(world.journal[rows].at, time);
    world.kills(15.0, 5.0);
    assert_eq!(world.journal.len(), rows + 1, "completed once");
    world.kills(25.0, 5.0);
    assert_eq!(world.journal_since(rows + 1), [(JournalKind::Completed, vec!["b".to_owned()])]);
}

#[test]
fn an_event_of_a_later_day_counts_while_the_claim_of_the_day_before_is_pending() {
    let mut world = World::new(crate::rules::fixtures::one(vec![daily("g")]));
    world.now = at("2026-11-24T10:00:00Z");
    world.set_active("g", true);
    world.now = at("2026-11-24T23:59:50Z");
    world.login();
    let first = world.claim("g").unwrap();
    world.now = at("2026-11-25T00:00:30Z");
    let rows = world.journal.len();
    assert_eq!(world.progress("g"), (1, Status::Completed), "rollover leaves the claim alone");
    assert_eq!(world.login(), EventOutcome::Counted);
    let view = world.view("g");
    assert_eq!((view.status, view.completed_at, view.claim), (Status::Completed, Some(world.now), None));
    // Nothing was lost: it is being granted.
    assert_eq!(world.journal_since(rows), [(JournalKind::Completed, vec!["g".to_owned()])]);
    let second = world.claim("g").unwrap();
    assert_eq!((second.cycle, world.player.head.claims.len()), (first.cycle + 1, 2));
    world.settle(&first, crate::GrantEnd::Granted);
    assert_eq!(world.progress("g"), (1, Status::Completed));
    world.settle(&second, crate::GrantEnd::Granted);
    assert_eq!(world.progress("g"), (1, Status::Claimed));
    assert!(world.player.head.claims.is_empty());
}
