//! Policies for unclaimed rewards: forfeit, grace, grant.

use crate::{
    EventOutcome, GrantEnd, JournalKind, Refusal, Status,
    catalogue::{EventSource, GoalDefinition, Unclaimed},
    rules::fixtures::{
        INCREMENT, MIDNIGHTS, WINDOW_MS, World, at, daily, goal_of, keeping, needs, one, rotating,
    },
};

use Status::{Claimed, Completed, InProgress, NotStarted};

const DAY: i64 = 86_400;
const MIDNIGHT: &str = "2026-11-25T00:00:00Z";

fn grace(days: u32) -> Unclaimed {
    Unclaimed::Grace { seconds: days * 86_400 }
}

/// A goal that begins anew each midnight.
fn nightly(id: &str, unclaimed: Unclaimed) -> GoalDefinition {
    let goal = goal_of(id, INCREMENT, EventSource::Statistic, 1);
    keeping(rotating(goal, MIDNIGHTS, true, true), unclaimed)
}

fn done(unclaimed: Unclaimed) -> World {
    let mut world = World::active(vec![nightly("g", unclaimed)]);
    world.kills(0.0, 1.0);
    world
}

fn kinds(world: &World, since: usize) -> Vec<JournalKind> {
    world.journal_since(since).into_iter().map(|(kind, _)| kind).collect()
}

#[test]
fn within_the_grace_period_the_earlier_cycle_is_claimed_first() {
    let mut world = done(grace(2));
    let first = world.player.live()[0].cycle.number;
    let until = Some(at("2026-11-27T00:00:00Z"));
    assert_eq!(world.view("g").claimable_until, None, "its cycle is running");
    world.wait(DAY);
    let view = world.view("g");
    assert_eq!((view.status, view.claimable_until), (NotStarted, until), "shown before it is stored");
    // Claimed as it is found, without anybody having rolled it over.
    let mut other = done(grace(2));
    other.now = world.now;
    assert_eq!(other.claim("g").map(|key| key.cycle), Ok(first));
    // Today is done, too: yesterday's is claimed first, then today's.
    world.kills(0.0, 1.0);
    assert_eq!(world.view("g").claimable_until, until);
    let keys = [world.claim("g"), world.claim("g")].map(|key| key.expect("both can be claimed"));
    assert_eq!(keys.each_ref().map(|key| key.cycle), [first, first + 1]);
    assert_eq!(world.view("g").claimable_until, None);
    for key in &keys {
        world.settle(key, GrantEnd::Granted);
    }
    assert_eq!(world.progress("g"), (1, Claimed));
    assert!(matches!(world.claim("g"), Err(Refusal::GoalAlreadyClaimed { .. })));
    assert!(!kinds(&world, 0).contains(&JournalKind::Expired));
}

#[test]
fn after_the_grace_period_it_is_lost_and_told_once() {
    let mut world = done(grace(1));
    let rows = world.journal.len();
    world.wait(DAY);
    world.initialize();
    assert_eq!(kinds(&world, rows), []);
    world.now = at("2026-11-26T00:00:00Z");
    assert_eq!(world.view("g").claimable_until, None);
    assert_eq!(world.claim("g"), Err(Refusal::GoalRotated("g".into())));
    world.initialize();
    world.initialize();
    assert_eq!(kinds(&world, rows), [JournalKind::Expired]);
    assert!(world.player.head.kept.is_empty());
}

#[test]
fn several_cycles_can_wait_at_once() {
    let mut world = done(grace(5));
    for _ in 0..3 {
        world.wait(DAY);
        world.kills(0.0, 1.0);
    }
    let cycles: Vec<u32> = (0..4).map(|_| world.claim("g").expect("four days are done").cycle).collect();
    assert!(cycles.windows(2).all(|two| two[0] < two[1]), "{cycles:?}");
    assert_eq!(world.player.head.claims.len(), 4);
}

#[test]
fn a_late_event_that_completes_yesterday_is_kept_too() {
    for (unclaimed, granted) in [(grace(1), false), (Unclaimed::Grant, true)] {
        let mut world = World::active(vec![nightly("g", unclaimed), keeping(daily("d"), unclaimed)]);
        world.now = at("2026-11-25T00:05:00Z");
        let late = at("2026-11-24T23:58:00Z");
        assert_eq!(world.kills_at(0.0, 1.0, late), EventOutcome::Counted);
        assert_eq!(world.login_at(late), EventOutcome::Counted);
        assert_eq!(world.due().is_some(), granted);
        if granted {
            assert_eq!(world.grant_unclaimed().len(), 2);
            assert_eq!(world.due(), None);
        } else {
            assert!(world.claim("g").is_ok() && world.claim("d").is_ok());
        }
    }
}

#[test]
fn what_is_granted_by_itself_is_granted_once_to_a_player_who_never_comes_back() {
    let mut world = done(Unclaimed::Grant);
    let first = world.player.live()[0].cycle.number;
    assert_eq!(world.due(), Some(at(MIDNIGHT)));
    assert_eq!(world.grant_unclaimed(), [], "not before the cycle has ended");
    world.now = at(MIDNIGHT);
    let granted = world.grant_unclaimed();
    assert_eq!(granted.len(), 1);
    assert_eq!((granted[0].0.as_str(), granted[0].1.cycle), ("g", first));
    assert_eq!(world.due(), None);
    assert_eq!(world.grant_unclaimed(), [], "never twice");
    world.settle(&granted[0].1, GrantEnd::Granted);
    assert_eq!(world.grant_unclaimed(), []);
    assert_eq!(world.progress("g"), (0, NotStarted));
    assert_eq!(kinds(&world, 1), [JournalKind::Completed, JournalKind::Claimed]);
    assert_eq!(world.orders.len(), 1);
}

#[test]
fn whoever_looks_first_grants_it() {
    // An event finds the cycle ended, and keeps what it finds for the worker.
    let mut world = done(Unclaimed::Grant);
    world.wait(DAY);
    world.kills(0.0, 1.0);
    assert_eq!(world.due(), Some(at(MIDNIGHT)), "at once");
    let key = world.grant_unclaimed().remove(0).1;
    assert_eq!(world.due(), Some(at("2026-11-26T00:00:00Z")));
    world.settle(&key, GrantEnd::Granted);
    assert_eq!(world.progress("g"), (1, Completed), "today is its own");
    // The player may be quicker.
    let mut world = done(Unclaimed::Grant);
    world.wait(DAY);
    let key = world.claim("g").expect("nobody has looked yet");
    assert_eq!((world.due(), world.grant_unclaimed()), (None, Vec::new()));
    world.settle(&key, GrantEnd::Granted);
    // Claimed in time, nothing is left to grant.
    let mut world = done(Unclaimed::Grant);
    world.claim_granted("g");
    assert_eq!(world.due(), None);
    world.wait(DAY);
    assert_eq!(world.grant_unclaimed(), []);
}

#[test]
fn a_goal_that_was_put_away_after_it_was_done_is_granted_all_the_same() {
    let mut world = done(Unclaimed::Grant);
    world.set_active("g", false);
    assert!(world.is_live("g"), "the live part tells who is due");
    assert_eq!(world.due(), Some(at(MIDNIGHT)));
    world.now = at(MIDNIGHT);
    assert_eq!(world.grant_unclaimed().len(), 1);
}

#[test]
fn open_prerequisites_are_waited_for_as_long_as_late_events_may_come() {
    let world = || {
        let goals =
            vec![needs(nightly("g", Unclaimed::Grant), &["d"]), keeping(daily("d"), Unclaimed::Forfeit)];
        let mut world = World::active(goals);
        world.kills(0.0, 1.0);
        world.now = at(MIDNIGHT);
        assert_eq!(world.grant_unclaimed(), []);
        assert_eq!(world.due(), Some(at(MIDNIGHT).plus_millis(WINDOW_MS)));
        world
    };
    // The prerequisite's login comes late.
    let mut one = world();
    one.now = at("2026-11-25T00:05:00Z");
    assert_eq!(
        one.claim("g"),
        Err(Refusal::PrerequisitesNotMet { goal: "g".into(), open: vec!["d".into()] })
    );
    one.login_at(at("2026-11-24T23:58:00Z"));
    one.now = at("2026-11-25T00:10:00Z");
    assert_eq!(one.grant_unclaimed().len(), 1);
    // It does not come.
    let mut other = world();
    other.now = at("2026-11-25T00:10:00Z");
    let rows = other.journal.len();
    assert_eq!(other.grant_unclaimed(), []);
    assert_eq!((kinds(&other, rows), other.due()), (vec![JournalKind::Expired], None));
}

#[test]
fn a_policy_that_is_changed_holds_from_then_on() {
    let mut world = done(Unclaimed::Forfeit);
    assert_eq!(world.due(), None);
    world.catalogue = one(vec![nightly("g", Unclaimed::Grant)]);
    world.wait(DAY);
    assert_eq!(world.grant_unclaimed().len(), 1);
    let mut world = done(grace(9));
    world.wait(DAY);
    world.initialize();
    world.catalogue = one(vec![nightly("g", Unclaimed::Forfeit)]);
    let rows = world.journal.len();
    world.initialize();
    assert_eq!(kinds(&world, rows), [JournalKind::Expired]);
}

#[test]
fn a_goal_whose_progress_is_carried_on_loses_nothing_and_keeps_nothing() {
    let goal = goal_of("g", INCREMENT, EventSource::Statistic, 1);
    let mut world = World::active(vec![keeping(rotating(goal, MIDNIGHTS, false, true), Unclaimed::Grant)]);
    world.kills(0.0, 1.0);
    world.wait(DAY);
    assert_eq!(world.due(), None);
    world.initialize();
    assert!(world.player.head.kept.is_empty());
    assert_eq!(world.progress("g"), (1, Completed));
    world.claim_granted("g");
    world.wait(DAY);
    assert_eq!(world.progress("g"), (1, InProgress));
}
