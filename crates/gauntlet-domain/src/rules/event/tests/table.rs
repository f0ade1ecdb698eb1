//! Each kind of goal with each kind of event: the table of the rules, row by row.

use crate::{
    EventOutcome, EventWhat, Status,
    catalogue::{EventSource, GoalDefinition, GoalKind},
    rules::fixtures::{DAILY_INCREMENT, INCREMENT, World, at, event, goal, goal_of, kills, relative},
};

use Status::{Completed, InProgress, NotStarted};

const MAX: i32 = i32::MAX;
const MIN: i32 = i32::MIN;

fn login_goal(kind: GoalKind, target: i32) -> GoalDefinition {
    goal_of("g", kind, EventSource::Login, target)
}

fn stat_goal(kind: GoalKind, target: i32) -> GoalDefinition {
    goal_of("g", kind, EventSource::Statistic, target)
}

/// An event's value and increment, and the progress and status that are shown after it.
type Step = ((f64, f64), (i32, Status));

/// Sends events one second apart and compares what is shown after each.
fn check(goal: &GoalDefinition, steps: &[Step]) {
    let mut world = World::active(vec![goal.clone()]);
    for (step, ((value, increment), expected)) in steps.iter().enumerate() {
        world.wait(1);
        world.kills(*value, *increment);
        assert_eq!(world.progress("g"), *expected, "step {step}: value {value}, increment {increment}");
    }
}

#[test]
fn a_login_adds_one_to_every_kind_of_goal() {
    let relative_login = GoalDefinition { event_source: EventSource::Login, ..relative("g") };
    for (goal, after) in [
        (login_goal(GoalKind::Absolute, 2), [(1, InProgress), (2, Completed), (3, Completed)]),
        (relative_login, [(1, InProgress), (2, InProgress), (3, InProgress)]),
        (login_goal(INCREMENT, 2), [(1, InProgress), (2, Completed), (3, Completed)]),
        (login_goal(DAILY_INCREMENT, 2), [(1, InProgress), (1, InProgress), (1, InProgress)]),
        (login_goal(DAILY_INCREMENT, 1), [(1, Completed), (1, Completed), (1, Completed)]),
        (login_goal(GoalKind::Daily, 1), [(1, Completed), (1, Completed), (1, Completed)]),
        (login_goal(GoalKind::Daily, 5), [(1, Completed), (1, Completed), (1, Completed)]),
    ] {
        let mut world = World::active(vec![goal.clone()]);
        assert_eq!(world.progress("g"), (0, NotStarted));
        for expected in after {
            world.wait(1);
            world.login();
            assert_eq!(world.progress("g"), expected, "{:?}", goal.kind);
        }
        // A statistic is no login.
        assert_eq!(world.kills(5.0, 5.0), EventOutcome::Unchanged);
    }
}

#[test]
fn absolute_shows_the_value_of_the_statistic() {
    let goal = goal("g");
    check(&goal, &[((7.0, 7.0), (7, InProgress)), ((10.0, 3.0), (10, Completed))]);
    // Fractions are cut off; the increment does not matter.
    check(&goal, &[((9.999, -3.0), (9, InProgress)), ((10.999, 0.0), (10, Completed))]);
    // A value of 0 is an event that counted; negative values are not, however small.
    check(&goal, &[((-0.5, 0.0), (0, NotStarted)), ((-1e300, 0.0), (0, NotStarted))]);
    check(&goal, &[((0.0, 0.0), (0, InProgress)), ((-0.0, 0.0), (0, InProgress))]);
    check(&goal, &[((7.0, 0.0), (7, InProgress)), ((-1.0, -8.0), (7, InProgress))]);
    // A lower value shows, also after completion, which stays.
    check(&goal, &[((7.0, 0.0), (7, InProgress)), ((3.0, -4.0), (3, InProgress))]);
    check(&goal, &[((12.0, 0.0), (12, Completed)), ((3.0, -9.0), (3, Completed))]);
    for huge in [2_147_483_647.0, 2_147_483_648.0, 1e18, f64::MAX] {
        check(&goal, &[((huge, huge), (MAX, Completed))]);
    }
    check(&stat_goal(GoalKind::Absolute, MAX), &[((2_147_483_646.9, 0.0), (MAX - 1, InProgress))]);
}

#[test]
fn relative_shows_the_growth_since_before_the_first_event() {
    let goal = relative("g");
    // The first event's increment belongs to the cycle.
    check(
        &goal,
        &[((100.0, 5.0), (5, InProgress)), ((104.0, 4.0), (9, InProgress)), ((105.0, 1.0), (10, Completed))],
    );
    // Without one, or with a decrease, the value is the baseline.
    check(&goal, &[((100.0, 0.0), (0, InProgress)), ((109.0, 0.0), (9, InProgress))]);
    check(&goal, &[((100.0, -50.0), (0, InProgress)), ((110.0, 0.0), (10, Completed))]);
    // Below the baseline, and back; completion stays.
    check(&goal, &[((100.0, 0.0), (0, InProgress)), ((90.0, -10.0), (-10, InProgress))]);
    check(
        &goal,
        &[((0.0, 0.0), (0, InProgress)), ((10.0, 0.0), (10, Completed)), ((3.0, 0.0), (3, Completed))],
    );
    // Fractions are cut off the growth, toward zero, not off the values.
    check(&goal, &[((10.5, 0.25), (0, InProgress)), ((20.125, 0.0), (9, InProgress))]);
    check(&goal, &[((10.5, 0.25), (0, InProgress)), ((20.25, 0.0), (10, Completed))]);
    check(&goal, &[((10.5, 0.0), (0, InProgress)), ((9.0, 0.0), (-1, InProgress))]);
    // Negative values count.
    check(&goal, &[((-100.0, 0.0), (0, InProgress)), ((-90.0, 10.0), (10, Completed))]);
    // The whole first step can complete.
    check(&goal, &[((500.0, 10.0), (10, Completed))]);
    check(&goal, &[((-1e300, 0.0), (0, InProgress)), ((1e300, 0.0), (MAX, Completed))]);
    check(&goal, &[((1e300, 0.0), (0, InProgress)), ((-1e300, 0.0), (MIN, InProgress))]);
    // The baseline itself leaves the range of numbers.
    check(&goal, &[((f64::MIN, f64::MAX), (MAX, Completed)), ((0.0, 0.0), (MAX, Completed))]);
}

#[test]
fn increment_adds_the_increment() {
    let goal = stat_goal(INCREMENT, 10);
    check(&goal, &[((500.0, 9.0), (9, InProgress)), ((0.0, 1.0), (10, Completed))]);
    // Fractions are cut off each event.
    check(&goal, &[((0.0, 2.9), (2, InProgress)), ((0.0, 2.9), (4, InProgress))]);
    check(&goal, &[((0.0, 0.9), (0, NotStarted)), ((0.0, 1.0), (1, InProgress))]);
    // No increment is one; a decrease is none.
    check(&goal, &[((0.0, 0.0), (1, InProgress)), ((0.0, -0.0), (2, InProgress))]);
    check(&goal, &[((50.0, -1.0), (0, NotStarted)), ((50.0, -1e300), (0, NotStarted))]);
    check(&goal, &[((50.0, 4.0), (4, InProgress)), ((50.0, -0.1), (4, InProgress))]);
    // What is beyond the target still shows.
    check(&goal, &[((0.0, 15.0), (15, Completed)), ((0.0, 2.0), (17, Completed))]);
    check(&goal, &[((0.0, f64::MAX), (MAX, Completed)), ((0.0, f64::MAX), (MAX, Completed))]);
    check(
        &stat_goal(INCREMENT, MAX),
        &[((0.0, 2_147_483_646.0), (MAX - 1, InProgress)), ((0.0, 0.0), (MAX, Completed))],
    );
}

#[test]
fn daily_kinds_ask_only_whether_an_event_came() {
    for (value, increment) in [(5.0, 3.0), (0.0, 0.0), (-7.0, -7.0), (1e300, 1e300), (0.2, 0.2)] {
        check(&stat_goal(GoalKind::Daily, 10), &[((value, increment), (1, Completed))]);
        let twice = [((value, increment), (1, InProgress)), ((value, increment), (1, InProgress))];
        check(&stat_goal(DAILY_INCREMENT, 10), &twice);
        check(&stat_goal(DAILY_INCREMENT, 1), &[((value, increment), (1, Completed))]);
    }
}

#[test]
fn only_active_goals_that_ask_for_the_event_take_it() {
    let goals = vec![goal("a"), goal_of("b", INCREMENT, EventSource::Statistic, 5)];
    let mut world = World::active(goals);
    world.set_active("b", false);
    assert_eq!(world.login(), EventOutcome::Unchanged);
    let other = EventWhat::Stat { code: "deaths".to_owned(), value: 3.0, increment: 3.0 };
    let other = world.make(other, world.now);
    assert_eq!(world.event(&other), EventOutcome::Unchanged);
    assert_eq!(world.kills(3.0, 3.0), EventOutcome::Counted);
    assert_eq!((world.progress("a"), world.progress("b")), ((3, InProgress), (0, NotStarted)));
    assert!(world.receipts() == 0, "nothing was added up");
    // No state is made by an event.
    let mut world = World::new(crate::rules::fixtures::one(vec![goal("a")]));
    assert_eq!(world.kills(3.0, 3.0), EventOutcome::Unchanged);
    assert_eq!(world.player.goals().count(), 0);
}

#[test]
fn claimed_goals_take_nothing() {
    for kind in [GoalKind::Absolute, INCREMENT, DAILY_INCREMENT] {
        let mut world = World::active(vec![stat_goal(kind, 1)]);
        world.kills(1.0, 1.0);
        world.claim_granted("g");
        world.wait(86_400);
        assert_eq!(world.kills(5.0, 4.0), EventOutcome::Unchanged, "{kind:?}");
        assert_eq!(world.progress("g"), (1, Status::Claimed));
    }
    let mut world = World::active(vec![stat_goal(GoalKind::Daily, 1)]);
    world.kills(1.0, 1.0);
    world.claim_granted("g");
    world.wait(3600);
    assert_eq!(world.kills(5.0, 4.0), EventOutcome::Unchanged);
    // A goal of a rotation that opens it again is live, and takes nothing in this cycle.
    let again = crate::rules::fixtures::weekly(stat_goal(INCREMENT, 1), true);
    let mut world = World::active(vec![again]);
    world.kills(1.0, 1.0);
    world.claim_granted("g");
    assert!(world.is_live("g"));
    assert_eq!(world.kills(5.0, 4.0), EventOutcome::Unchanged);
}

#[test]
fn adding_up_needs_an_id() {
    for (goal, what, outcome) in [
        (stat_goal(INCREMENT, 9), kills(1.0, 1.0), EventOutcome::NeedsId),
        (stat_goal(DAILY_INCREMENT, 9), kills(1.0, 1.0), EventOutcome::NeedsId),
        (login_goal(GoalKind::Absolute, 9), EventWhat::Login, EventOutcome::NeedsId),
        (stat_goal(INCREMENT, 9), kills(1.0, -1.0), EventOutcome::Unchanged),
        (stat_goal(GoalKind::Absolute, 9), kills(1.0, 1.0), EventOutcome::Counted),
        (relative("g"), kills(1.0, 1.0), EventOutcome::Counted),
        (login_goal(GoalKind::Daily, 1), EventWhat::Login, EventOutcome::Counted),
    ] {
        let mut world = World::active(vec![goal]);
        assert_eq!(world.event(&event(what, at(crate::rules::fixtures::NOON), "")), outcome);
        assert!(world.receipts() == 0);
    }
}
