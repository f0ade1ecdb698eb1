//! Initialization, and making goals active and inactive.

use crate::{
    GrantEnd, JournalKind, Status,
    catalogue::EventSource,
    rules::fixtures::{INCREMENT, World, catalogue, daily, default_goal, goal, goal_of, needs, one},
};

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

fn defaults() -> World {
    World::new(catalogue(vec![
        ("c", vec![goal("a"), default_goal(goal("b"))]),
        ("d", vec![default_goal(daily("d")), default_goal(needs(goal("x"), &["a"]))]),
    ]))
}

#[test]
fn initialize_assigns_default_goals_once() {
    let mut world = defaults();
    assert_eq!(world.initialize(), (ids(&["b", "d", "x"]), 3));
    assert_eq!(world.journal_since(0), [(JournalKind::Assigned, ids(&["b", "d", "x"]))]);
    assert_eq!(world.view("b").assigned_at, Some(world.now));
    let before = world.player.clone();
    for seconds in [0, 60, 3600] {
        world.wait(seconds);
        assert_eq!(world.initialize(), (ids(&["b", "d", "x"]), 0));
        assert_eq!(world.player, before, "nothing to write for a player who comes back");
    }
    assert_eq!(world.journal.len(), 1);
}

#[test]
fn initialize_assigns_goals_that_became_default_later() {
    let mut world = defaults();
    world.initialize();
    world.set_active("a", true);
    world.set_active("a", false);
    world.wait(60);
    let more = vec![
        ("c", vec![default_goal(goal("a")), default_goal(goal("b"))]),
        ("d", vec![default_goal(daily("d")), needs(goal("x"), &["a"]), default_goal(goal("y"))]),
    ];
    world.catalogue = catalogue(more);
    // `a` was put away by the player; `x`, no longer a default, stays.
    assert_eq!(world.initialize(), (ids(&["b", "d", "x", "y"]), 1));
    assert_eq!(world.view("y").assigned_at, Some(world.now));
}

#[test]
fn a_default_goal_put_away_before_initialization_stays_away() {
    let mut world = defaults();
    let view = world.set_active("b", false);
    assert_eq!((view.is_active, view.assigned_at), (false, None));
    assert!(world.is_settled("b"));
    assert!(world.journal.is_empty(), "nothing was assigned");
    assert_eq!(world.initialize(), (ids(&["d", "x"]), 2));
    assert!(!world.view("b").is_active);
    world.wait(5);
    assert_eq!(world.set_active("b", true).assigned_at, Some(world.now));
    assert_eq!(world.initialize(), (ids(&["b", "d", "x"]), 0));
}

#[test]
fn initialize_starts_the_cycles_that_ended() {
    let mut world = defaults();
    world.initialize();
    world.login();
    world.wait(86_400);
    let rows = world.journal.len();
    world.initialize();
    let number = world.number("d");
    let state = world.player.goal(number).unwrap();
    assert_eq!((state.progress, state.status, state.active), (0, Status::NotStarted, true));
    assert_eq!(world.journal_since(rows), [(JournalKind::Expired, ids(&["d"]))]);
    let before = world.player.clone();
    world.initialize();
    assert_eq!(world.player, before);
}

#[test]
fn initialize_leaves_a_pending_claim_of_yesterday_alone() {
    let mut world = defaults();
    world.initialize();
    world.login();
    let key = world.claim("d").unwrap();
    world.wait(86_400);
    let before = world.player.clone();
    world.initialize();
    assert_eq!(world.player, before);
    world.settle(&key, GrantEnd::Granted);
    world.initialize();
    assert_eq!(world.progress("d"), (0, Status::NotStarted));
    assert!(world.journal.iter().all(|row| row.kind != JournalKind::Expired), "nothing was lost");
}

#[test]
fn assigned_at_moves_only_when_a_goal_is_activated() {
    let mut world = World::new(one(vec![goal_of("g", INCREMENT, EventSource::Statistic, 100)]));
    let first = world.now;
    assert_eq!(world.set_active("g", true).assigned_at, Some(first));
    assert_eq!(world.journal_since(0), [(JournalKind::Assigned, ids(&["g"]))]);
    world.wait(60);
    assert_eq!(world.set_active("g", true).assigned_at, Some(first), "it was active");
    world.kills(0.0, 7.0);
    let view = world.set_active("g", false);
    assert_eq!((view.progress, view.is_active, view.assigned_at), (7, false, Some(first)));
    world.wait(60);
    world.set_active("g", false);
    let view = world.set_active("g", true);
    assert_eq!((view.progress, view.status), (7, Status::InProgress), "progress is kept");
    assert_eq!(view.assigned_at, Some(world.now));
    assert_eq!(world.journal.len(), 2, "one row for each time it became active");
    world.kills(0.0, 1.0);
    assert_eq!(world.progress("g"), (8, Status::InProgress));
}

#[test]
fn assigned_at_is_in_whole_seconds() {
    let mut world = World::new(one(vec![goal("g")]));
    world.now = world.now.plus_millis(999);
    let assigned = world.set_active("g", true).assigned_at;
    assert_eq!(assigned, Some(world.now.whole_seconds()));
}

#[test]
fn activating_a_done_goal_keeps_its_state() {
    let mut world = World::active(vec![goal("g")]);
    world.kills(10.0, 0.0);
    world.set_active("g", false);
    let view = world.set_active("g", true);
    assert_eq!((view.status, view.progress, view.is_active), (Status::Completed, 10, true));
    world.claim_granted("g");
    world.set_active("g", false);
    world.wait(60);
    let view = world.set_active("g", true);
    assert_eq!((view.status, view.is_active, view.assigned_at), (Status::Claimed, true, Some(world.now)));
    assert!(world.is_settled("g"), "claimed for good");
    assert_eq!(world.initialize(), (ids(&["g"]), 0));
}

#[test]
fn parts_follow_what_an_event_can_touch() {
    let mut world = World::active(vec![goal("g"), daily("d")]);
    assert!(world.is_live("g") && world.is_live("d"));
    world.kills(10.0, 0.0);
    world.login();
    assert!(world.is_live("g") && world.is_live("d"), "completed and unclaimed");
    let keys = [world.claim("g").unwrap(), world.claim("d").unwrap()];
    assert!(world.is_live("g") && world.is_live("d"), "being claimed");
    for key in &keys {
        world.settle(key, GrantEnd::Granted);
    }
    assert!(world.is_settled("g"), "claimed for good");
    assert!(world.is_live("d"), "opens again tomorrow");
    world.set_active("d", false);
    assert!(world.is_settled("d"), "inactive");
    world.set_active("d", true);
    assert!(world.is_live("d"));
}
