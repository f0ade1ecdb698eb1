//! Selecting by name and by lot.

use std::collections::{HashMap, HashSet};

use crate::{
    Command, GoalView, GrantEnd, JournalKind, Refusal, Reply, Status,
    catalogue::{EventSource, GoalDefinition},
    rules::fixtures::{INCREMENT, World, catalogue, daily, goal, goal_of, needs, one},
};

/// What a selection answered, with ids for indexes.
#[derive(Debug, PartialEq)]
struct Selected {
    goals: Vec<String>,
    views: Vec<GoalView>,
    total_active: i32,
    replaced: Vec<String>,
}

fn run(world: &mut World, command: &Command) -> Result<Selected, Refusal> {
    let Reply::Selected { selected, total_active, replaced } = world.call(command)? else {
        panic!("not a selection: {command:?}");
    };
    let id = |index| world.catalogue.goal(index).id().to_owned();
    Ok(Selected {
        goals: selected.iter().map(|(index, _)| id(*index)).collect(),
        views: selected.into_iter().map(|(_, view)| view).collect(),
        total_active,
        replaced: replaced.into_iter().map(id).collect(),
    })
}

fn batch(world: &mut World, goals: &[&str], replace_existing: bool) -> Result<Selected, Refusal> {
    let command = Command::BatchSelect { challenge: "c".to_owned(), goals: ids(goals), replace_existing };
    run(world, &command)
}

fn random(
    world: &mut World,
    count: i32,
    replace_existing: bool,
    exclude_active: bool,
) -> Result<Selected, Refusal> {
    let challenge = "c".to_owned();
    run(world, &Command::RandomSelect { challenge, count, replace_existing, exclude_active })
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort_unstable();
    ids
}

fn increment(id: &str) -> GoalDefinition {
    goal_of(id, INCREMENT, EventSource::Statistic, 10)
}

fn refused_field(answer: Result<Selected, Refusal>) -> &'static str {
    match answer {
        Err(Refusal::InvalidInput { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn batch_selects_all_or_nothing() {
    let mut world = World::new(catalogue(vec![
        ("c", vec![increment("a"), increment("b"), needs(increment("e"), &["a"])]),
        ("d", vec![increment("x")]),
    ]));
    for goals in [["a", "nope"], ["nope", "a"], ["a", "x"], ["a", ""]] {
        let answer = batch(&mut world, &goals, true);
        assert!(matches!(answer, Err(Refusal::GoalNotFound { .. })), "{goals:?}: {answer:?}");
        assert_eq!(world.player.goals().count(), 0);
    }
    // In the order asked for; a locked goal may be selected.
    let answer = batch(&mut world, &["e", "a"], false).unwrap();
    assert_eq!((answer.goals, answer.total_active), (ids(&["e", "a"]), 2));
    assert!(answer.views[0].locked && !answer.views[1].locked);
    assert!(answer.views.iter().all(|view| view.is_active && view.assigned_at == Some(world.now)));
    assert_eq!(world.journal_since(0), [(JournalKind::Assigned, ids(&["e", "a"]))]);
    // Again: what is active stays as it is, and the reply shows the stored state.
    world.kills(0.0, 7.0);
    let first = world.now;
    world.wait(60);
    let answer = batch(&mut world, &["a", "b"], false).unwrap();
    assert_eq!((answer.views[0].progress, answer.views[0].assigned_at), (7, Some(first)));
    assert_eq!(answer.views[1].assigned_at, Some(world.now));
    assert_eq!((answer.total_active, answer.replaced), (3, vec![]));
    assert_eq!(world.journal_since(1), [(JournalKind::Assigned, ids(&["b"]))]);
    // Nothing to do changes nothing.
    let before = world.player.clone();
    batch(&mut world, &["a", "b"], false).unwrap();
    assert_eq!(world.player, before);
}

#[test]
fn batch_refuses_bad_lists() {
    let mut world = World::new(one((0..102).map(|at| increment(&format!("g{at:03}"))).collect()));
    assert_eq!(refused_field(batch(&mut world, &[], false)), "goal_ids");
    assert_eq!(refused_field(batch(&mut world, &["g000", "g001", "g000"], false)), "goal_ids");
    let names: Vec<String> = (0..101).map(|at| format!("g{at:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(refused_field(batch(&mut world, &names, false)), "goal_ids");
    assert_eq!(world.player.goals().count(), 0);
    assert_eq!(batch(&mut world, &names[..100], false).unwrap().total_active, 100);
}

#[test]
fn replacing_deactivates_what_is_neither_selected_nor_waiting_to_be_claimed() {
    let mut world = World::new(catalogue(vec![
        ("c", ["a", "b", "done", "claimed", "held", "new"].map(increment).to_vec()),
        ("d", vec![increment("x")]),
    ]));
    batch(&mut world, &["a", "b"], false).unwrap();
    world.set_active("x", true);
    world.kills(0.0, 3.0);
    batch(&mut world, &["done", "claimed", "held"], false).unwrap();
    for goal in ["a", "b", "x"] {
        world.set_active(goal, false);
    }
    world.kills(0.0, 10.0);
    for goal in ["a", "b", "x"] {
        world.set_active(goal, true);
    }
    world.claim_granted("claimed");
    let key = world.claim("held").unwrap();
    let answer = batch(&mut world, &["b", "new"], true).unwrap();
    assert_eq!(sorted(answer.replaced), ids(&["a", "claimed"]));
    // b, new, done, held; x is of another challenge.
    assert_eq!(answer.total_active, 4);
    for (goal, active) in [
        ("a", false),
        ("b", true),
        ("done", true),
        ("claimed", false),
        ("held", true),
        ("new", true),
        ("x", true),
    ] {
        assert_eq!(world.view(goal).is_active, active, "{goal}");
    }
    assert_eq!(world.progress("a"), (3, Status::InProgress), "progress is kept");
    world.settle(&key, GrantEnd::Granted);
    assert_eq!(world.progress("held"), (10, Status::Claimed));
    // Claimed goals are active and do not count.
    assert_eq!(batch(&mut world, &["b"], false).unwrap().total_active, 3);
}

#[test]
fn replacing_rolls_over_first() {
    let mut world = World::new(one(vec![daily("d"), goal("g"), goal("h")]));
    batch(&mut world, &["d", "g"], false).unwrap();
    world.login();
    world.wait(86_400);
    let rows = world.journal.len();
    let answer = batch(&mut world, &["h"], true).unwrap();
    assert_eq!(answer.replaced, ids(&["d", "g"]), "yesterday's completion is gone");
    let rows = world.journal_since(rows);
    assert_eq!(rows, [(JournalKind::Expired, ids(&["d"])), (JournalKind::Assigned, ids(&["h"]))]);
}

#[test]
fn selecting_a_done_goal_keeps_its_state() {
    let mut world = World::active(vec![increment("a"), increment("b")]);
    world.kills(0.0, 12.0);
    world.claim_granted("b");
    world.set_active("a", false);
    world.set_active("b", false);
    let answer = batch(&mut world, &["a", "b"], true).unwrap();
    assert_eq!(
        answer.views.iter().map(|view| view.status).collect::<Vec<_>>(),
        [Status::Completed, Status::Claimed]
    );
    assert_eq!(answer.total_active, 1);
    assert!(world.is_live("a") && world.is_settled("b"));
}

/// A player with goals in every state; `active` and `locked` count what never happens.
fn mixed() -> World {
    let mut active = increment("active");
    "deaths".clone_into(&mut active.requirement.stat_code);
    let mut world = World::active(vec![
        active,
        increment("claimed"),
        increment("completed"),
        increment("inactive"),
        increment("new"),
        needs(increment("open"), &["completed"]),
        needs(increment("locked"), &["new"]),
        increment("away"),
    ]);
    for goal in ["inactive", "new", "open", "locked"] {
        world.set_active(goal, false);
    }
    world.kills(0.0, 10.0);
    world.claim_granted("claimed");
    world.set_active("away", false);
    world
}

#[test]
fn the_pool_is_what_is_open_and_unlocked() {
    for (replace, exclude, expected) in [
        (false, false, ids(&["active", "inactive", "new", "open"])),
        (false, true, ids(&["inactive", "new", "open"])),
        (true, false, ids(&["inactive", "new", "open"])),
        (true, true, ids(&["inactive", "new", "open"])),
    ] {
        let mut world = mixed();
        let answer = random(&mut world, 100, replace, exclude).unwrap();
        assert_eq!(sorted(answer.goals), expected, "a partial answer: {replace} {exclude}");
        // What is claimed and active makes room too.
        let replaced = if replace { ids(&["active", "claimed"]) } else { vec![] };
        assert_eq!(answer.replaced, replaced);
        assert!(answer.views.iter().all(|view| view.is_active));
        assert_eq!(answer.total_active, if replace { 4 } else { 5 });
    }
}

#[test]
fn random_counts_are_checked() {
    let mut world = World::new(one((0..120).map(|at| increment(&format!("g{at:03}"))).collect()));
    for count in [i32::MIN, -1, 0, 101, i32::MAX] {
        assert_eq!(refused_field(random(&mut world, count, false, false)), "count", "{count}");
    }
    assert_eq!(random(&mut world, 100, false, false).unwrap().goals.len(), 100);
    // 20 are left.
    assert_eq!(random(&mut world, 50, false, true).unwrap().goals.len(), 20);
    let none = Refusal::InsufficientGoals { challenge: "c".to_owned(), available: 0, requested: 5 };
    assert!(none.to_string().contains("INSUFFICIENT_GOALS"));
    assert_eq!(random(&mut world, 5, false, true), Err(none));
    assert!(random(&mut world, 5, true, false).is_err(), "nothing is replaced by nothing");
    assert_eq!(random(&mut world, 5, false, false).unwrap().total_active, 120, "active ones may be drawn");
}

#[test]
fn a_draw_follows_its_seed_and_is_fair() {
    let goals: Vec<_> = (0..10).map(|at| increment(&format!("g{at}"))).collect();
    let mut drawn: HashMap<String, i32> = HashMap::new();
    let mut first: HashMap<String, i32> = HashMap::new();
    let mut world = World::new(one(goals));
    for seed in 0..2000 {
        world.seed = seed;
        world.player = crate::Player::new();
        world.journal.clear();
        let answer = random(&mut world, 3, false, false).unwrap();
        assert_eq!(answer.goals.iter().collect::<HashSet<_>>().len(), 3, "without replacement");
        *first.entry(answer.goals[0].clone()).or_default() += 1;
        for goal in &answer.goals {
            *drawn.entry(goal.clone()).or_default() += 1;
        }
        world.player = crate::Player::new();
        world.journal.clear();
        assert_eq!(random(&mut world, 3, false, false).unwrap().goals, answer.goals);
    }
    // 600 and 200 are expected; these are five standard deviations.
    assert!(drawn.len() == 10 && drawn.values().all(|times| (498..702).contains(times)), "{drawn:?}");
    assert!(first.len() == 10 && first.values().all(|times| (132..268).contains(times)), "{first:?}");
}

#[test]
fn a_daily_goal_can_be_drawn_again_tomorrow() {
    let mut world = World::active(vec![daily("d")]);
    world.login();
    assert!(random(&mut world, 1, false, false).is_err());
    world.wait(86_400);
    assert_eq!(random(&mut world, 1, false, false).unwrap().goals, ids(&["d"]));
}
