//! Terms that change around the end of a cycle.

use super::*;
use crate::{
    EventOutcome,
    catalogue::{EventSource, RotationKind, Schedule, Unclaimed},
    rules::fixtures::{MIDNIGHTS, at, keeping, rotating},
};

const BEFORE: &str = "2026-11-24T23:59:00Z";
const LATE: &str = "2026-11-24T23:59:58Z";
const AFTER: &str = "2026-11-25T00:02:00Z";
const DAY: i64 = 86_400;
const GRACE: Unclaimed = Unclaimed::Grace { seconds: 86_400 };

/// A goal that asks for so many kills a day and gives so much.
fn nightly(target: i32, quantity: i32, unclaimed: Unclaimed) -> GoalDefinition {
    let mut goal = goal_of("g", INCREMENT, EventSource::Statistic, target);
    goal.reward.quantity = quantity;
    keeping(rotating(goal, MIDNIGHTS, true, true), unclaimed)
}

/// A player of a minute before midnight with so many kills, whose goal changes then.
fn changed(first: GoalDefinition, kills: f64, second: GoalDefinition) -> World {
    let mut world = World::active(vec![first]);
    world.now = at(BEFORE);
    world.kills(0.0, kills);
    world.change(vec![second]);
    world
}

/// The world as it is, and as it is when somebody looked at the player and wrote it.
fn seen_or_not(world: impl Fn() -> World) -> [World; 2] {
    let mut seen = world();
    seen.initialize();
    seen.written();
    [world(), seen]
}

fn quantities(world: &World) -> Vec<i32> {
    world.orders.iter().map(|order| order.reward.quantity).collect()
}

#[test]
fn an_earned_reward_waits_as_it_was_promised_whatever_the_new_terms_say() {
    let after = nightly(5, 99, Unclaimed::Forfeit);
    for mut world in seen_or_not(|| changed(nightly(2, 1, GRACE), 2.0, after.clone())) {
        world.now = at(AFTER);
        assert!(world.view("g").claimable_until.is_some(), "shown before it is stored");
        world.initialize();
        world.written();
        assert_eq!(world.seen(), (0, 5, Status::NotStarted), "the new cycle has the new terms");
        world.wait(3_600);
        // Long after the late window the reward still waits, with its terms.
        world.kills(0.0, 1.0);
        world.written();
        assert!(world.view("g").claimable_until.is_some());
        world.claim_granted("g");
        world.written();
        assert_eq!(quantities(&world), [1]);
        assert_eq!(world.player.held_terms(), [], "nothing is kept of what is over");
    }
}

#[test]
fn what_is_granted_by_itself_is_granted_as_it_was_promised() {
    let after = nightly(5, 99, Unclaimed::Forfeit);
    for mut world in seen_or_not(|| changed(nightly(2, 1, Unclaimed::Grant), 2.0, after.clone())) {
        let midnight = at("2026-11-25T00:00:00Z");
        assert_eq!(world.due(), Some(midnight), "also before anybody has brought it up to date");
        world.now = at(AFTER);
        assert_eq!(world.grant_unclaimed().len(), 1);
        assert_eq!(quantities(&world), [1]);
    }
    // And the other way about: what was never promised is not granted.
    let after = nightly(5, 99, Unclaimed::Grant);
    for mut world in seen_or_not(|| changed(nightly(2, 1, Unclaimed::Forfeit), 2.0, after.clone())) {
        assert_eq!(world.due(), None);
        world.now = at(AFTER);
        assert_eq!(world.grant_unclaimed(), []);
        assert!(matches!(world.claim("g"), Err(Refusal::GoalRotated(_))));
    }
}

#[test]
fn a_late_event_counts_under_the_terms_of_its_cycle() {
    let mut after = nightly(5, 99, Unclaimed::Forfeit);
    after.requirement.stat_code = "wins".to_owned();
    for mut world in seen_or_not(|| changed(nightly(2, 1, GRACE), 1.0, after.clone())) {
        world.now = at(AFTER);
        world.initialize();
        world.written();
        assert_eq!(world.kills_at(0.0, 1.0, at(LATE)), EventOutcome::Counted);
        world.written();
        assert_eq!(world.kills(0.0, 1.0), EventOutcome::Unchanged, "today's cycle counts something else");
        assert_eq!(world.seen(), (0, 5, Status::NotStarted));
        world.claim_granted("g");
        assert_eq!(quantities(&world), [1]);
    }
}

#[test]
fn a_change_after_midnight_leaves_the_day_before_as_it_was() {
    let mut world = World::active(vec![nightly(2, 1, GRACE)]);
    world.now = at(BEFORE);
    world.kills(0.0, 1.0);
    world.now = at(AFTER);
    world.initialize();
    world.written();
    world.change(vec![GoalDefinition { on_change: ChangePolicy::Restart, ..nightly(1, 99, GRACE) }]);
    assert_eq!(world.kills_at(0.0, 1.0, at(LATE)), EventOutcome::Counted);
    world.written();
    assert_eq!(world.seen(), (0, 1, Status::NotStarted));
    world.claim_granted("g");
    assert_eq!(quantities(&world), [1]);
}

#[test]
fn a_change_after_midnight_leaves_the_day_before_alone_whoever_looked_since() {
    for seen in [false, true] {
        let mut world = World::active(vec![nightly(2, 1, GRACE)]);
        world.now = at(BEFORE);
        world.kills(0.0, 1.0);
        world.written();
        world.now = at(AFTER);
        if seen {
            world.initialize();
            world.written();
        }
        world.change_now(vec![GoalDefinition { on_change: ChangePolicy::Restart, ..nightly(1, 99, GRACE) }]);
        world.wait(60);
        assert_eq!(world.kills_at(0.0, 1.0, at(LATE)), EventOutcome::Counted);
        world.written();
        assert_eq!(world.seen(), (0, 1, Status::NotStarted), "seen {seen}");
        world.claim_granted("g");
        assert_eq!(quantities(&world), [1], "yesterday was two kills for one");
        let restarts = world.journal.iter().filter(|row| row.kind == JournalKind::Restarted);
        assert_eq!(restarts.count(), 0, "the new day had nothing to lose");
    }
}

#[test]
fn a_restart_before_midnight_takes_the_day_that_it_was_made_on() {
    for seen in [false, true] {
        let mut world = World::active(vec![nightly(2, 1, GRACE)]);
        world.now = at(BEFORE);
        world.kills(0.0, 1.0);
        world.written();
        world.change_now(vec![GoalDefinition { on_change: ChangePolicy::Restart, ..nightly(2, 99, GRACE) }]);
        if seen {
            world.initialize();
            world.written();
        }
        world.now = at(AFTER);
        assert_eq!(world.kills_at(0.0, 1.0, at(LATE)), EventOutcome::Counted);
        assert!(matches!(world.claim("g"), Err(Refusal::GoalNotCompleted { .. })), "one of two: seen {seen}");
        let restart = world.journal.iter().find(|row| row.kind == JournalKind::Restarted);
        let restart = restart.expect("it is told");
        assert_eq!((restart.at, &restart.progress[..]), (at(BEFORE), &[1][..]));
    }
}

/// One step of a history that is the same whoever looks at the player between its steps.
enum Step {
    Change(GoalDefinition),
    Kills(f64),
    /// Kills of so many seconds ago.
    Late(f64, i64),
    To(&'static str),
}

#[test]
fn it_makes_no_difference_when_a_player_is_touched_around_midnights() {
    use Step::{Change, Kills, Late, To};
    let with = |goal: GoalDefinition, on_change| GoalDefinition { on_change, ..goal };
    let grace = Unclaimed::Grace { seconds: 864_000 };
    let nightly = |target, quantity| nightly(target, quantity, grace);
    let steps = [
        Kills(1.0),
        Change(with(nightly(5, 2), ChangePolicy::Keep)),
        To("2026-11-25T00:00:05Z"),
        Change(with(nightly(2, 3), ChangePolicy::UpgradeIfEasier)),
        Late(2.0, 10),
        Kills(1.0),
        Change(with(nightly(9, 4), ChangePolicy::Restart)),
        Kills(1.0),
        To("2026-11-27T12:00:00Z"),
        Change(with(nightly(1, 5), ChangePolicy::Keep)),
        Kills(1.0),
        Change(with(nightly(8, 6), ChangePolicy::Restart)),
        To("2026-11-28T00:01:00Z"),
        Late(8.0, 120),
    ];
    let play = |touched: u32| {
        let mut world = World::active(vec![nightly(3, 1)]);
        world.now = at(BEFORE);
        let mut seen = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let outcome = match step {
                Change(goal) => {
                    world.change_now(vec![goal.clone()]);
                    EventOutcome::Unchanged
                }
                Kills(kills) => world.kills(0.0, *kills),
                Late(kills, ago) => world.kills_at(0.0, *kills, world.now.plus_millis(-1_000 * ago)),
                To(time) => {
                    world.now = at(time);
                    EventOutcome::Unchanged
                }
            };
            if outcome == EventOutcome::Counted {
                world.written();
            }
            world.wait(1);
            if touched & 1 << number != 0 {
                world.initialize();
                world.written();
            }
            let claimable = world.view("g").claimable_until;
            seen.push((number, world.seen(), claimable));
        }
        while world.claim("g").map(|key| world.settle(&key, crate::GrantEnd::Granted)).is_ok() {}
        let restarts = world.journal.iter().filter(|row| row.kind == JournalKind::Restarted);
        let restarts: Vec<_> =
            restarts.map(|row| (row.at, row.cycles.clone(), row.progress.clone())).collect();
        (seen, quantities(&world), restarts)
    };
    let expected = play(u32::MAX);
    assert_eq!(expected.1, [1, 6], "yesterday's three kills, and eight of the last day");
    for touched in 0..1 << steps.len() {
        assert_eq!(play(touched), expected, "touched {touched:b}");
    }
}

#[test]
fn the_terms_of_the_day_before_are_forgotten_with_the_late_window() {
    let mut world = changed(nightly(2, 1, Unclaimed::Forfeit), 1.0, nightly(5, 1, Unclaimed::Forfeit));
    world.now = at(AFTER);
    world.initialize();
    world.written();
    // Of the day before, and of the one before that, of which nothing is known.
    assert_eq!(world.player.held_terms().len(), 2);
    world.wait(3_600);
    world.kills(0.0, 1.0);
    world.written();
    assert_eq!(world.player.held_terms(), []);
}

#[test]
fn where_progress_is_carried_on_so_are_its_terms() {
    let weekly = |target: i32, quantity: i32| {
        let mut goal = goal_of("g", INCREMENT, EventSource::Statistic, target);
        goal.reward.quantity = quantity;
        rotating(goal, RotationKind::Global(Schedule::Weekly), false, true)
    };
    for (kills, expected) in [(2.0, (2, 2, Status::Completed)), (1.0, (1, 2, Status::InProgress))] {
        for mut world in seen_or_not(|| changed(weekly(2, 1), kills, weekly(5, 99))) {
            for _week in 0..3 {
                world.wait(7 * DAY);
                assert_eq!(world.seen(), expected, "shown before it is stored");
                world.initialize();
                world.written();
                assert_eq!(world.seen(), expected);
            }
            if expected.2 == Status::InProgress {
                world.kills(0.0, 1.0);
                world.written();
            }
            world.claim_granted("g");
            assert_eq!(quantities(&world), [1]);
            // After the claim the goal is the catalogue's.
            world.wait(7 * DAY);
            world.initialize();
            world.written();
            assert_eq!(world.seen(), (2, 5, Status::InProgress));
        }
    }
}

#[test]
fn a_rotation_that_is_taken_away_ends_with_the_cycle_that_was_promised() {
    let mut once = goal_of("g", INCREMENT, EventSource::Statistic, 5);
    once.reward.quantity = 99;
    for kills in [1.0, 2.0] {
        for mut world in seen_or_not(|| changed(nightly(2, 1, GRACE), kills, once.clone())) {
            world.now = at(AFTER);
            assert_eq!(world.seen(), (0, 5, Status::NotStarted));
            world.initialize();
            world.written();
            assert_eq!(world.seen(), (0, 5, Status::NotStarted));
            assert_eq!(world.view("g").expires_at, None);
            if kills > 1.0 {
                world.claim_granted("g");
                assert_eq!(quantities(&world), [1]);
            }
            world.kills(0.0, 5.0);
            world.wait(30 * DAY);
            world.claim_granted("g");
            assert_eq!(quantities(&world).last(), Some(&99));
        }
    }
}

#[test]
fn a_rotation_that_is_new_begins_with_the_claim() {
    let once = goal_of("g", INCREMENT, EventSource::Statistic, 2);
    for mut world in seen_or_not(|| changed(once.clone(), 1.0, nightly(5, 99, Unclaimed::Forfeit))) {
        world.wait(3 * DAY);
        world.initialize();
        world.written();
        assert_eq!(world.seen(), (1, 2, Status::InProgress), "it was promised without an end");
        world.kills(0.0, 1.0);
        world.claim_granted("g");
        assert_eq!(quantities(&world), [1]);
        world.wait(2 * DAY);
        world.initialize();
        assert_eq!(world.seen().1, 5);
    }
}

#[test]
fn a_better_policy_for_unclaimed_rewards_is_no_harder() {
    let terms = |unclaimed| nightly(2, 1, unclaimed);
    let longer = Unclaimed::Grace { seconds: 86_401 };
    for (new, old, easier) in [
        (GRACE, Unclaimed::Forfeit, true),
        (Unclaimed::Grant, Unclaimed::Forfeit, true),
        (longer, GRACE, true),
        (GRACE, longer, false),
        (Unclaimed::Forfeit, GRACE, false),
        (Unclaimed::Grant, GRACE, false),
        (GRACE, Unclaimed::Grant, false),
    ] {
        assert_eq!(terms(new).is_no_harder_than(&terms(old)), easier, "{new:?} after {old:?}");
    }
}
