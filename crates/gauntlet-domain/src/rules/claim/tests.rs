//! Claims: which refusal wins, and what becomes of a claim.

use crate::{
    ClaimState, GrantEnd, GrantKey, JournalKind, Refusal, Status,
    catalogue::EventSource,
    rules::fixtures::{INCREMENT, World, at, catalogue, daily, goal, goal_of, needs, one},
};

fn refused() -> GrantEnd {
    GrantEnd::Refused("no such item".to_owned())
}

fn uncertain() -> GrantEnd {
    GrantEnd::Uncertain("lost".to_owned())
}

fn not_completed(goal: &str, progress: i32, target: i32) -> Refusal {
    Refusal::GoalNotCompleted { goal: goal.to_owned(), progress, target }
}

#[test]
fn a_claim_orders_its_grant_and_is_settled_once() {
    let mut world = World::active(vec![goal("g")]);
    world.kills(10.0, 0.0);
    world.now = world.now.plus_millis(90_500);
    let key = world.claim("g").unwrap();
    let claimed_at = world.now.whole_seconds();
    let order = &world.orders[0];
    assert_eq!((&order.key, &order.claimed_at), (&key, &claimed_at));
    assert_eq!((order.challenge_id.as_str(), order.goal_id.as_str()), ("c", "g"));
    assert_eq!(order.reward.id, "g-reward");
    let view = world.view("g");
    assert_eq!(
        (view.status, view.claim, view.claimed_at),
        (Status::Completed, Some(ClaimState::Pending), None)
    );
    world.wait(60);
    let rows = world.journal.len();
    world.settle(&key, GrantEnd::Granted);
    let view = world.view("g");
    assert_eq!((view.status, view.claim, view.claimed_at), (Status::Claimed, None, Some(claimed_at)));
    let told = [(JournalKind::Claimed, vec!["g".to_owned()])];
    assert_eq!(world.journal_since(rows), told);
    // Whatever comes later about the same grant changes nothing.
    let before = world.player.clone();
    for end in [GrantEnd::Granted, refused(), uncertain()] {
        world.settle(&key, end);
        assert_eq!((&world.player, world.journal_since(rows).len()), (&before, 1));
    }
    let again = Refusal::GoalAlreadyClaimed { goal: "g".to_owned(), claimed_at };
    assert_eq!(world.claim("g"), Err(again));
    assert_eq!(world.orders.len(), 1);
}

#[test]
fn a_claim_before_completion_is_refused() {
    let mut world = World::new(one(vec![goal_of("g", INCREMENT, EventSource::Statistic, 10)]));
    assert_eq!(world.claim("g"), Err(not_completed("g", 0, 10)), "no row");
    world.set_active("g", true);
    assert_eq!(world.claim("g"), Err(not_completed("g", 0, 10)));
    world.kills(0.0, 9.0);
    assert_eq!(world.claim("g"), Err(not_completed("g", 9, 10)));
    world.kills(0.0, 1.0);
    assert!(world.claim("g").is_ok());
}

#[test]
fn the_first_check_that_fails_is_the_answer() {
    // Already claimed wins over inactive and over open prerequisites.
    let mut world = World::new(one(vec![daily("d"), needs(daily("g"), &["d"])]));
    for goal in ["d", "g"] {
        world.set_active(goal, true);
    }
    world.login();
    world.claim_granted("g");
    world.set_active("g", false);
    assert!(matches!(world.claim("g"), Err(Refusal::GoalAlreadyClaimed { .. })));

    // Pending wins over not completed in the new cycle, and over rotated.
    let mut world = World::active(vec![daily("d")]);
    world.login();
    let key = world.claim("d").unwrap();
    for seconds in [0, 86_400, 86_400] {
        world.wait(seconds);
        let pending = Refusal::ClaimPending { goal: "d".to_owned(), key: key.clone() };
        assert_eq!(world.claim("d"), Err(pending));
    }

    // Rotated wins over inactive and over not completed.
    let mut world = World::active(vec![daily("d")]);
    world.login();
    world.set_active("d", false);
    world.wait(86_400);
    assert_eq!(world.claim("d"), Err(Refusal::GoalRotated("d".to_owned())));

    // Inactive wins over not completed, and over prerequisites.
    let mut world = World::active(vec![goal("a"), needs(goal("g"), &["a"])]);
    world.set_active("a", false);
    world.set_active("g", false);
    assert_eq!(world.claim("g"), Err(Refusal::GoalNotActive("g".to_owned())));
    world.set_active("g", true);
    // Not completed wins over prerequisites.
    assert_eq!(world.claim("g"), Err(not_completed("g", 0, 10)));
    world.kills(10.0, 0.0);
    let open = Refusal::PrerequisitesNotMet { goal: "g".to_owned(), open: vec!["a".to_owned()] };
    assert_eq!(world.claim("g"), Err(open));
    world.set_active("g", false);
    assert_eq!(world.claim("g"), Err(Refusal::GoalNotActive("g".to_owned())));
}

#[test]
fn prerequisites_may_stand_anywhere_and_are_listed() {
    let mut world = World::new(catalogue(vec![
        ("c", vec![needs(goal("g"), &["x", "a", "d"]), goal("a")]),
        ("d", vec![goal("x"), daily("d")]),
    ]));
    world.set_active("g", true);
    world.kills(10.0, 0.0);
    let open = |world: &mut World| match world.claim("g") {
        Err(Refusal::PrerequisitesNotMet { open, .. }) => open,
        other => panic!("{other:?}"),
    };
    assert_eq!(open(&mut world), ["x", "a", "d"]);
    for goal in ["x", "a", "d"] {
        world.set_active(goal, true);
    }
    world.login();
    assert_eq!(open(&mut world), ["x", "a"]);
    world.wait(1);
    world.kills(10.0, 0.0);
    world.claim_granted("x");
    world.wait(86_400);
    assert_eq!(open(&mut world), ["d"], "yesterday's is open again");
    world.login();
    assert!(world.claim("g").is_ok());
}

#[test]
fn uncertain_and_refused_claims_wait_for_an_operator() {
    for (end, state, refusal) in [
        (uncertain(), ClaimState::Uncertain, Refusal::ClaimUncertain("g".to_owned())),
        (refused(), ClaimState::Refused, Refusal::ClaimRefused("g".to_owned())),
    ] {
        let mut world = World::active(vec![goal("g")]);
        world.kills(10.0, 0.0);
        let key = world.claim("g").unwrap();
        world.settle(&key, end.clone());
        let view = world.view("g");
        assert_eq!((view.status, view.claim), (Status::Completed, Some(state)));
        assert_eq!(world.claim("g"), Err(refusal), "no second order");
        assert_eq!(world.results.last().map(|result| &result.end), Some(&end));
        world.set_active("g", false);
        assert!(world.is_live("g"), "a claim under way keeps it live");
        world.settle(&key, GrantEnd::Granted);
        assert_eq!(world.progress("g"), (10, Status::Claimed));
        assert!(world.player.head.claims.is_empty() && world.is_settled("g"));
    }
    // Who knows less does not overrule who knows more.
    let mut world = World::active(vec![goal("g")]);
    world.kills(10.0, 0.0);
    let key = world.claim("g").unwrap();
    for (end, state) in [
        (uncertain(), ClaimState::Uncertain),
        (refused(), ClaimState::Refused),
        (uncertain(), ClaimState::Refused),
    ] {
        world.settle(&key, end);
        assert_eq!(world.view("g").claim, Some(state));
    }
}

#[test]
fn a_pending_claim_is_left_alone() {
    let mut world = World::active(vec![goal("a"), goal("g")]);
    world.kills(10.0, 0.0);
    let key = world.claim("g").unwrap();
    let before = world.player.clone();
    assert!(world.set_active("g", false).is_active);
    assert_eq!(world.player, before);
    world.initialize();
    assert_eq!(world.player, before);
    // Progress may still show; completion stays.
    world.wait(1);
    world.kills(4.0, 0.0);
    assert_eq!(world.progress("g"), (4, Status::Completed));
    world.settle(&key, GrantEnd::Granted);
    assert_eq!(world.progress("g"), (4, Status::Claimed));
}

#[test]
fn the_grant_of_an_older_cycle_settles_that_cycle() {
    let yesterday = "2026-11-24T12:00:00Z";
    for done_today in [false, true] {
        let mut world = World::active(vec![daily("g")]);
        world.now = at(yesterday);
        world.login();
        let key = world.claim("g").unwrap();
        world.settle(&key, uncertain());
        world.wait(86_400);
        let rows = world.journal.len();
        world.initialize();
        assert_eq!(world.journal.len(), rows, "what is uncertain is not lost");
        assert_eq!(world.view("g").claim, None);
        assert_eq!(world.claim("g"), Err(Refusal::ClaimUncertain("g".to_owned())), "not rotated");
        if done_today {
            world.login();
        }
        let shown = world.view("g");
        world.settle(&key, GrantEnd::Granted);
        assert_eq!(world.view("g"), shown, "today is untouched");
        assert!(world.player.head.claims.is_empty());
        if done_today {
            assert_eq!(world.claim("g").map(|key| key.cycle), Ok(key.cycle + 1));
        } else {
            assert_eq!(world.claim("g"), Err(not_completed("g", 0, 1)), "nothing was lost");
        }
    }
    // Long forgotten cycles end as well.
    let mut world = World::active(vec![daily("g")]);
    world.login();
    let key = world.claim("g").unwrap();
    world.settle(&key, uncertain());
    for _ in 0..3 {
        world.wait(86_400);
        world.login();
        world.claim_granted("g");
    }
    let shown = world.view("g");
    world.settle(&key, GrantEnd::Granted);
    assert_eq!((world.view("g"), world.player.head.claims.len()), (shown, 0));
}

#[test]
fn a_result_for_another_epoch_or_goal_changes_nothing() {
    let mut world = World::active(vec![goal("g")]);
    world.kills(10.0, 0.0);
    let key = world.claim("g").unwrap();
    let before = world.player.clone();
    for other in [
        GrantKey { epoch: key.epoch + 1, ..key.clone() },
        GrantKey { cycle: key.cycle + 1, ..key.clone() },
        GrantKey { goal: crate::GoalNumber(99), ..key.clone() },
    ] {
        for end in [GrantEnd::Granted, refused(), uncertain()] {
            world.settle(&other, end);
            assert_eq!(world.player, before);
        }
    }
    // The grant's own row is told all the same.
    assert_eq!(world.results.len(), 9);
}

#[test]
fn keys_differ_whatever_ids_contain() {
    let key = GrantKey { goal: crate::GoalNumber(1), cycle: 20_781, epoch: 2 };
    assert_eq!(key.idempotency_key("ns", "p:1", "c", "g"), "2:ns/3:p:1/1:c/1:g/cycle:20781/epoch:2");
    assert_ne!(key.idempotency_key("n", "p/1:c", "g", ""), key.idempotency_key("n", "p", "c/1:g", ""));
    let lengths = key.idempotency_key("ü", "p", "c", "g");
    assert!(lengths.starts_with("2:ü/"), "in bytes: {lengths}");
}
