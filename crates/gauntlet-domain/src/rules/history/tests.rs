//! What players are told of past cycles.

use super::*;
use crate::{
    GrantEnd,
    catalogue::{EventSource, GoalDefinition, Unclaimed},
    rules::fixtures::{INCREMENT, MIDNIGHTS, World, at, catalogue, daily, goal_of, keeping, rotating},
};

const DAY: i64 = 86_400;

fn nightly(id: &str, unclaimed: Unclaimed) -> GoalDefinition {
    let goal = goal_of(id, INCREMENT, EventSource::Statistic, 1);
    keeping(rotating(goal, MIDNIGHTS, true, true), unclaimed)
}

fn world() -> World {
    let grace = Unclaimed::Grace { seconds: 100_000 };
    let mut world = World::new(catalogue(vec![
        (
            "c",
            vec![
                nightly("forfeits", Unclaimed::Forfeit),
                nightly("grants", Unclaimed::Grant),
                nightly("waits", grace),
            ],
        ),
        ("d", vec![daily("other")]),
    ]));
    for goal in ["forfeits", "grants", "waits", "other"] {
        world.set_active(goal, true);
    }
    world
}

/// The history of challenge `c`, as end, and goals with their outcomes.
fn told(world: &World) -> Vec<(String, Vec<(String, &'static str)>)> {
    let challenge = world.catalogue.find_challenge("c").expect("it is there");
    let player = Some(&world.player);
    let cycles = past_cycles(&world.journal, player, &world.catalogue, challenge, world.now);
    let id = |past: &PastGoal| world.catalogue.goal(past.goal).id().to_owned();
    let goals =
        |cycle: &PastCycle| cycle.goals.iter().map(|past| (id(past), past.outcome.as_str())).collect();
    cycles.iter().map(|cycle| (cycle.end.to_rfc3339(), goals(cycle))).collect()
}

fn row(end: &str, goals: &[(&str, &'static str)]) -> (String, Vec<(String, &'static str)>) {
    (end.to_owned(), goals.iter().map(|(goal, outcome)| ((*goal).to_owned(), *outcome)).collect())
}

#[test]
fn a_cycle_is_told_when_it_has_ended() {
    let mut world = world();
    world.kills(0.0, 1.0);
    world.claim_granted("waits");
    assert_eq!(told(&world), [], "it is running");
    world.wait(DAY);
    // Nobody has looked since: the document tells what the journal does not yet.
    let end = "2026-11-25T00:00:00Z";
    let first = row(end, &[("forfeits", "lost"), ("grants", "completed"), ("waits", "claimed")]);
    assert_eq!(told(&world), std::slice::from_ref(&first));
    world.initialize();
    assert_eq!(told(&world), [first]);
    let granted = world.grant_unclaimed();
    world.settle(&granted[0].1, GrantEnd::Granted);
    let first = row(end, &[("forfeits", "lost"), ("grants", "claimed"), ("waits", "claimed")]);
    assert_eq!(told(&world), std::slice::from_ref(&first));
    // The next day nothing is claimed.
    world.kills(0.0, 1.0);
    world.wait(DAY);
    world.initialize();
    let end = "2026-11-26T00:00:00Z";
    let second = row(end, &[("forfeits", "lost"), ("grants", "completed"), ("waits", "completed")]);
    assert_eq!(told(&world), [second, first.clone()], "the newest comes first");
    world.wait(2 * DAY);
    world.initialize();
    assert_eq!(told(&world)[0].1[2], ("waits".to_owned(), "lost"), "its time is over");
}

#[test]
fn times_and_numbers_come_with_it() {
    let mut world = world();
    let completed = at("2026-11-24T12:00:00Z");
    world.kills(0.0, 1.0);
    world.wait(60);
    let key = world.claim("waits").expect("it is done");
    world.wait(60);
    world.settle(&key, GrantEnd::Granted);
    world.wait(DAY);
    let challenge = world.catalogue.find_challenge("c").expect("it is there");
    let cycles = past_cycles(&world.journal, Some(&world.player), &world.catalogue, challenge, world.now);
    let past = cycles[0].goals[2];
    assert_eq!((past.cycle, past.outcome), (key.cycle, Outcome::Claimed));
    assert_eq!(past.completed_at, Some(completed));
    assert_eq!(past.claimed_at, Some(completed.plus_millis(120_000)), "when it was granted");
}

#[test]
fn rows_without_cycles_and_goals_that_are_gone_are_passed_over() {
    let mut world = world();
    world.kills(0.0, 1.0);
    world.wait(DAY);
    for entry in &mut world.journal {
        entry.cycles.clear();
    }
    assert_eq!(told(&world), []);
    let mut world = self::world();
    world.kills(0.0, 1.0);
    world.wait(DAY);
    world.catalogue = catalogue(vec![("c", vec![nightly("forfeits", Unclaimed::Forfeit)])]);
    assert_eq!(told(&world).len(), 1);
    assert_eq!(told(&world)[0].1, [("forfeits".to_owned(), "lost")]);
}
