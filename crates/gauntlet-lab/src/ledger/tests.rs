use gauntlet_domain::catalogue::{GeneratePlan, generate};

use super::*;
use crate::{
    book::{Book, Op, What},
    receiver::{Arrived, Grants, Handed},
};

const WALL: i64 = 1_795_500_000_000;

fn wall(micros: u64) -> i64 {
    WALL + i64::try_from(micros / 1000).unwrap()
}

fn catalogue() -> Catalogue {
    let plan =
        GeneratePlan { challenges: 0, default_goals: 0, daily_challenge_goals: 3, ..GeneratePlan::default() };
    number(generate(&plan).unwrap()).unwrap()
}

fn op(begin: u64, end: u64, what: What) -> Op {
    Op { begin, end, sure: true, what }
}

/// One player who picks the goal of 10 kills at second 1, and an event at second 2.
fn book(more: impl FnOnce(&Book)) -> Closed {
    let book = Book::new("t", 1);
    let kills = book.goal("daily-10-kills");
    book.write(0, op(1_000_000, 1_010_000, What::Activate(Box::new([kills]))));
    let stat = book.stat("enemy_kills");
    book.write(0, op(2_000_000, 2_010_000, What::Stat { stat, value: 4, number: 7 }));
    more(&book);
    book.close()
}

fn shown(status: &str, progress: i32) -> HashMap<usize, Shown> {
    let goal = pages::GoalShown { status: status.to_owned(), progress };
    HashMap::from([(0, Shown::from([("daily-10-kills".to_owned(), goal)]))])
}

fn compare(book: &Closed, shown: &HashMap<usize, Shown>) -> StatesFound {
    compare_states(book, &catalogue(), shown, &wall, WALL + 60_000)
}

#[test]
fn what_was_acknowledged_must_be_there() {
    let found = compare(&book(|_| {}), &shown("in_progress", 4));
    assert_eq!((found.players, found.goals, found.differing_goals), (1, 1, 0));
    assert_eq!(found.events_acknowledged, 1);
}

#[test]
fn a_lost_event_is_named() {
    let found = compare(&book(|_| {}), &shown("not_started", 0));
    assert_eq!((found.differing_players, found.lost_events, found.unexplained_players), (1, 1, 0));
    let difference = &found.examples[0];
    assert_eq!(difference.predicted, "in_progress, progress 4");
    assert_eq!(difference.shown, "not_started, progress 0");
    assert_eq!(difference.explanation, "acknowledged and not counted: t-e00000007 (enemy_kills = 4)");
}

#[test]
fn a_state_that_no_lost_event_explains_is_still_a_difference() {
    let found = compare(&book(|_| {}), &shown("in_progress", 5));
    assert_eq!((found.differing_goals, found.lost_events, found.unexplained_players), (1, 0, 1));
}

#[test]
fn an_event_beside_the_call_may_have_come_first() {
    // The second event overlaps the call that makes the goal active.
    let overlapping = |book: &Book| {
        let stat = book.stat("enemy_kills");
        book.write(0, op(1_005_000, 1_020_000, What::Stat { stat, value: 50, number: 1 }));
    };
    for (status, progress) in [("in_progress", 4), ("completed", 4)] {
        assert_eq!(compare(&book(overlapping), &shown(status, progress)).differing_goals, 0, "{status}");
    }
    assert_eq!(compare(&book(overlapping), &shown("completed", 50)).differing_goals, 1);
}

#[test]
fn an_event_without_an_answer_may_count_or_not() {
    let doubtful = |book: &Book| {
        let stat = book.stat("enemy_kills");
        let what = What::Stat { stat, value: 12, number: 9 };
        book.write(0, Op { begin: 3_000_000, end: 33_000_000, sure: false, what });
    };
    for (status, progress) in [("in_progress", 4), ("completed", 12)] {
        assert_eq!(compare(&book(doubtful), &shown(status, progress)).differing_goals, 0, "{status}");
    }
    assert_eq!(compare(&book(doubtful), &shown("completed", 4)).differing_goals, 1);
}

#[test]
fn a_claim_that_the_rules_refuse_was_acknowledged_wrongly() {
    let claimed = |book: &Book| {
        let kills = book.goal("daily-10-kills");
        book.write(0, op(4_000_000, 4_010_000, What::Claim(kills)));
    };
    let found = compare(&book(claimed), &shown("claimed", 4));
    assert_eq!(found.differing_players, 1);
    assert!(found.examples[0].predicted.contains("is not completed"), "{:?}", found.examples);
}

fn handed(keys: &[&str], calls: u64) -> Handed {
    Handed { keys: keys.iter().map(|key| (*key).to_owned()).collect(), calls }
}

#[test]
fn grants_are_claims_one_for_one() {
    let book = Book::new("t", 4);
    for player in 0..3 {
        let goal = book.goal("g");
        book.write(player, op(1, 2, What::Claim(goal)));
    }
    let goal = book.goal("g");
    book.write(3, Op { begin: 1, end: 2, sure: false, what: What::Claim(goal) });
    let book = book.close();
    let place = |player: usize| (book.player(player), "g".to_owned());
    let clean = Grants::from([
        (place(0), handed(&["a"], 1)),
        (place(1), handed(&["b"], 3)),
        (place(2), handed(&["c"], 1)),
        (place(3), handed(&["d"], 1)),
    ]);
    let found = compare_grants(&book, &Arrived { grants: clean, ..Arrived::default() });
    assert!(found.is_clean());
    assert_eq!((found.claims_ok, found.settled_later, found.grants, found.repeated_calls), (3, 1, 4, 2));

    let broken = Grants::from([
        (place(0), handed(&["a", "a2"], 2)),
        (place(1), handed(&["b"], 1)),
        (("stranger".to_owned(), "g".to_owned()), handed(&["x"], 1)),
    ]);
    let found = compare_grants(&book, &Arrived { grants: broken, ..Arrived::default() });
    assert_eq!((found.doubled, found.missing, found.unasked), (1, 1, 1));
    assert_eq!(found.examples.len(), 3);
}
