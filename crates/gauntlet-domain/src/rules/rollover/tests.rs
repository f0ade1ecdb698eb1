//! Cycles of rotations: what rolls over how, in every combination of `resetProgress` and
//! `allowReselection`, for events in time and late ones.

use crate::{
    EventOutcome, GrantEnd, JournalKind, Refusal, Status,
    catalogue::{EventSource, GoalDefinition, ProgressMode, RotationKind, Schedule},
    rules::fixtures::{
        INCREMENT, MIDNIGHTS, World, at, every, goal, goal_of, needs, one, relative, rotating,
    },
};

use EventOutcome::{Counted, Unchanged};
use Status::{Claimed, Completed, InProgress, NotStarted};

fn increment(target: i32) -> GoalDefinition {
    goal_of("g", INCREMENT, EventSource::Statistic, target)
}

/// A player who has had the goals since noon of 2026-11-24, when cycles end at midnights.
fn midnights(goal: GoalDefinition, reset: bool, reselect: bool) -> World {
    World::active(vec![rotating(goal, MIDNIGHTS, reset, reselect)])
}

const BEFORE: &str = "2026-11-24T23:58:00Z";
const AFTER: &str = "2026-11-25T00:02:00Z";
const LATER: &str = "2026-11-25T12:00:00Z";

#[test]
fn progress_begins_again_or_is_carried_on() {
    for (reset, reselect) in [(true, true), (true, false), (false, true), (false, false)] {
        for kind in [increment(10), goal("g"), relative("g")] {
            let mut world = midnights(kind.clone(), reset, reselect);
            assert_eq!(world.kills(4.0, 4.0), Counted);
            world.now = at(AFTER);
            let begun = if reset { (0, NotStarted) } else { (4, InProgress) };
            assert_eq!(world.progress("g"), begun, "{kind:?} {reset}");
            assert_eq!(world.view("g").expires_at, Some(at("2026-11-26T00:00:00Z")));
            // The next event is the first of the new cycle.
            world.kills(7.0, 3.0);
            let adds = kind.kind == INCREMENT || kind.requirement.mode == ProgressMode::Relative;
            let shown = if adds && reset { 3 } else { 7 };
            assert_eq!(world.progress("g"), (shown, InProgress), "{kind:?} {reset}");
        }
    }
}

#[test]
fn a_completion_is_lost_only_where_progress_begins_again() {
    for reselect in [true, false] {
        let mut world = midnights(increment(3), true, reselect);
        world.kills(0.0, 3.0);
        let rows = world.journal.len();
        world.now = at(LATER);
        assert_eq!(world.progress("g"), (0, NotStarted));
        assert_eq!(world.claim("g"), Err(Refusal::GoalRotated("g".into())));
        world.initialize();
        assert_eq!(world.journal_since(rows), [(JournalKind::Expired, vec!["g".to_owned()])]);
        assert_eq!(world.journal[rows].cycles[0].end, Some(at("2026-11-25T00:00:00Z")));
        world.kills(0.0, 3.0);
        world.claim_granted("g");

        let mut world = midnights(increment(3), false, reselect);
        world.kills(0.0, 3.0);
        let before = world.player.live()[0].cycle.number;
        world.now = at("2026-11-27T12:00:00Z");
        assert_eq!(world.progress("g"), (3, Completed));
        let key = world.claim("g").expect("it is carried on");
        assert_eq!(key.cycle, before + 3, "of the cycle that it is claimed in");
        world.settle(&key, GrantEnd::Granted);
        assert_eq!(world.progress("g"), (3, Claimed));
    }
}

#[test]
fn claimed_goals_open_again_or_stay_claimed_for_good() {
    for reset in [true, false] {
        let mut world = midnights(increment(3), reset, true);
        world.kills(0.0, 4.0);
        world.claim_granted("g");
        assert!(world.is_live("g"), "the next cycle's event must find it");
        assert_eq!(world.kills(0.0, 1.0), Unchanged);
        world.now = at(LATER);
        let view = world.view("g");
        let shown = if reset { (0, NotStarted) } else { (4, InProgress) };
        assert_eq!((view.progress, view.status), shown);
        assert_eq!((view.completed_at, view.claimed_at), (None, None));
        // Progress that was carried on stands above the target: the next event completes it again.
        world.kills(0.0, if reset { 3.0 } else { 1.0 });
        assert_eq!(world.progress("g"), (if reset { 3 } else { 5 }, Completed));
        world.claim_granted("g");
        assert_ne!(world.orders[0].key, world.orders[1].key);

        let mut world = midnights(increment(3), reset, false);
        world.kills(0.0, 4.0);
        world.claim_granted("g");
        assert!(world.is_settled("g"));
        for day in [LATER, "2027-11-24T12:00:00Z"] {
            world.now = at(day);
            let document = world.player.clone();
            assert_eq!(world.progress("g"), (4, Claimed));
            assert_eq!(world.view("g").expires_at, None, "nothing of it expires");
            assert_eq!(world.kills(0.0, 4.0), Unchanged);
            assert!(matches!(world.claim("g"), Err(Refusal::GoalAlreadyClaimed { .. })));
            world.initialize();
            assert_eq!(world.player, document, "nothing is written for it");
        }
    }
}

#[test]
fn a_relative_goal_that_opens_again_is_not_done_by_old_peaks() {
    let mut world = midnights(relative("g"), false, true);
    world.kills(20.0, 20.0);
    world.claim_granted("g");
    world.now = at(LATER);
    world.kills(5.0, 0.0);
    assert_eq!(world.progress("g"), (5, InProgress));
    world.wait(1);
    world.kills(10.0, 5.0);
    assert_eq!(world.progress("g"), (10, Completed));
}

#[test]
fn the_event_s_own_time_decides_the_cycle() {
    // 23:59:59, arriving at 00:02: it still counts for yesterday, and completes it.
    for kind in [increment(10), goal("g"), relative("g")] {
        let mut world = midnights(kind.clone(), true, true);
        world.now = at(BEFORE);
        world.kills(4.0, 4.0);
        world.now = at(AFTER);
        let rows = world.journal.len();
        assert_eq!(world.kills_at(10.0, 6.0, at("2026-11-24T23:59:59Z")), Counted, "{kind:?}");
        assert_eq!(world.progress("g"), (0, NotStarted), "today is another day");
        assert_eq!(world.journal_since(rows), [(JournalKind::Completed, vec!["g".to_owned()])]);
        assert_eq!(world.journal[rows].cycles[0].end, Some(at("2026-11-25T00:00:00Z")));
        assert_eq!(world.claim("g"), Err(Refusal::GoalRotated("g".into())));
        // Yesterday is done; today begins with its own first event.
        assert_eq!(world.kills_at(11.0, 1.0, at("2026-11-24T23:59:30Z")), Unchanged);
        assert_eq!(world.kills(12.0, 1.0), Counted);
        let shown = if kind == goal("g") { 12 } else { 1 };
        assert_eq!(world.progress("g").0, shown, "{kind:?}");
    }
}

#[test]
fn a_late_event_of_a_cycle_in_which_nothing_happened_counts_for_it() {
    let mut world = midnights(increment(2), true, true);
    world.now = at(AFTER);
    world.kills(0.0, 1.0);
    assert_eq!(world.kills_at(0.0, 1.0, at("2026-11-24T23:59:59Z")), Counted);
    assert_eq!(world.kills_at(0.0, 1.0, at("2026-11-24T23:59:58Z")), Counted);
    assert_eq!(world.progress("g"), (1, InProgress));
    let previous = world.player.live()[0].previous.expect("it is kept");
    assert_eq!((previous.status, previous.progress), (Completed, 2));
    assert!(previous.cycle.number < world.player.live()[0].cycle.number);
}

#[test]
fn where_progress_is_carried_on_late_events_count_as_ever_unless_the_cycle_was_claimed() {
    let mut world = midnights(increment(10), false, true);
    world.now = at(AFTER);
    world.kills(0.0, 1.0);
    assert_eq!(world.kills_at(0.0, 2.0, at("2026-11-24T23:59:59Z")), Counted);
    assert_eq!(world.progress("g"), (3, InProgress));

    let mut world = midnights(increment(2), false, true);
    world.now = at(BEFORE);
    world.kills(0.0, 2.0);
    world.claim_granted("g");
    world.now = at(AFTER);
    assert_eq!(world.kills_at(0.0, 2.0, at("2026-11-24T23:59:59Z")), Unchanged, "it was claimed by then");
    assert_eq!(world.progress("g"), (2, InProgress));
    assert_eq!(world.kills(0.0, 1.0), Counted);
    assert_eq!(world.progress("g"), (3, Completed));
}

#[test]
fn an_event_older_than_the_window_counts_for_what_is_current() {
    let mut world = midnights(increment(10), true, true);
    world.now = at(LATER);
    assert_eq!(world.kills_at(0.0, 4.0, at("2026-11-24T23:59:59Z")), Counted);
    assert_eq!(world.progress("g"), (4, InProgress));
    let mut world = midnights(goal("g"), true, true);
    world.now = at(LATER);
    assert_eq!(world.kills_at(10.0, 4.0, at("2026-11-24T23:59:59Z")), Unchanged);
}

#[test]
fn a_claim_under_way_keeps_its_cycle_and_is_not_asked_for_twice() {
    // Whatever becomes of the grant: one completion is asked for in one cycle only.
    for (reset, end) in [
        (false, GrantEnd::Granted),
        (false, GrantEnd::Uncertain("lost".into())),
        (false, GrantEnd::Refused("no".into())),
        (true, GrantEnd::Granted),
        (true, GrantEnd::Uncertain("lost".into())),
    ] {
        let mut world = midnights(increment(2), reset, true);
        world.now = at(BEFORE);
        world.kills(0.0, 2.0);
        let key = world.claim("g").expect("it is done");
        world.now = at(LATER);
        assert_eq!(world.progress("g"), (2, Completed), "the claim keeps it");
        // An event of the new cycle does not wait.
        assert_eq!(world.kills(0.0, 1.0), Counted);
        let open = if reset { (1, InProgress) } else { (3, Completed) };
        assert_eq!(world.progress("g"), open, "{end:?}");
        world.settle(&key, end.clone());
        assert_eq!(world.progress("g"), open, "{end:?}");
        let rows = world.journal_since(0);
        assert!(!rows.iter().any(|(kind, _)| *kind == JournalKind::Expired), "{rows:?}");
    }
    // Without another event, an uncertain grant lets the goal go on, and keeps what was asked for.
    let mut world = midnights(increment(2), false, true);
    world.kills(0.0, 2.0);
    let key = world.claim("g").expect("it is done");
    world.settle(&key, GrantEnd::Uncertain("lost".into()));
    world.now = at(LATER);
    assert_eq!(world.progress("g"), (2, InProgress));
    assert_eq!(world.claim("g"), Err(Refusal::ClaimUncertain("g".into())));
    // Where claimed is for good, an uncertain grant is, too, until an operator settles it.
    let mut world = midnights(increment(2), true, false);
    world.kills(0.0, 2.0);
    let key = world.claim("g").expect("it is done");
    world.settle(&key, GrantEnd::Uncertain("lost".into()));
    world.now = at(LATER);
    assert_eq!(world.claim("g"), Err(Refusal::ClaimUncertain("g".into())));
    assert_eq!(world.kills(0.0, 2.0), Counted);
    assert_eq!(world.claim("g"), Err(Refusal::ClaimUncertain("g".into())));
}

#[test]
fn a_player_s_own_cycle_begins_with_the_first_assignment() {
    let mut world = World::new(one(vec![rotating(increment(2), every(3600), true, true)]));
    assert_eq!(world.view("g").expires_at, None);
    world.set_active("g", false);
    assert_eq!(world.view("g").expires_at, None, "it was never assigned");
    world.wait(100);
    assert_eq!(world.set_active("g", true).expires_at, Some(at("2026-11-24T13:01:40Z")));
    // Activating and deactivating move neither number nor end.
    world.wait(1800);
    world.set_active("g", false);
    assert_eq!(world.set_active("g", true).expires_at, Some(at("2026-11-24T13:01:40Z")));
    // Up to five seconds of difference between clocks belong to the first cycle.
    world.kills_at(0.0, 1.0, world.now.plus_millis(-4_000));
    assert_eq!(world.progress("g"), (1, InProgress));
    world.now = at("2026-11-24T13:01:40Z");
    assert_eq!(world.progress("g"), (0, NotStarted));
    assert_eq!(world.view("g").expires_at, Some(at("2026-11-24T14:01:40Z")));
    assert_eq!(world.kills_at(0.0, 1.0, at("2026-11-24T13:01:39Z")), Counted, "late, and completing");
    assert_eq!(world.claim("g"), Err(Refusal::GoalRotated("g".into())));
    world.now = at("2026-11-24T20:00:00Z");
    assert_eq!(world.view("g").expires_at, Some(at("2026-11-24T20:01:40Z")));
}

#[test]
fn a_season_takes_events_between_its_start_and_its_end_only() {
    let (start, end) = (at("2026-11-25T00:00:00Z"), at("2026-11-26T00:00:00Z"));
    let season = || RotationKind::Global(Schedule::Window { start, end });
    for reset in [true, false] {
        let mut world = World::active(vec![rotating(increment(2), season(), reset, true)]);
        assert_eq!(world.view("g").expires_at, Some(start));
        assert_eq!(world.kills(0.0, 1.0), Unchanged, "it has not begun");
        world.now = start;
        assert_eq!(world.kills_at(0.0, 1.0, start.plus_millis(-1)), Unchanged);
        assert_eq!(world.kills(0.0, 1.0), Counted);
        assert_eq!(world.view("g").expires_at, Some(end));
        world.now = end.plus_millis(60_000);
        assert_eq!(world.kills(0.0, 1.0), Unchanged, "it is over");
        let after = if reset { (0, NotStarted) } else { (1, InProgress) };
        assert_eq!(world.progress("g"), after);
        assert_eq!(world.view("g").expires_at, None);
        assert_eq!(world.kills_at(0.0, 1.0, end.plus_millis(-1)), Counted, "late");
        if !reset {
            world.claim_granted("g");
            assert_eq!(world.progress("g"), (2, Claimed));
        }
        // What was claimed in the season stays claimed after it.
        let mut world = World::active(vec![rotating(increment(2), season(), reset, true)]);
        world.now = start;
        world.kills(0.0, 2.0);
        world.claim_granted("g");
        world.now = end.plus_millis(86_400_000);
        assert_eq!(world.progress("g"), (2, Claimed));
    }
}

#[test]
fn a_rotation_that_comes_or_goes_keeps_progress() {
    let mut world = World::active(vec![increment(10)]);
    world.kills(0.0, 4.0);
    let mut rotated = |kind: Option<RotationKind>| {
        let goal = match kind {
            Some(kind) => rotating(increment(10), kind, true, true),
            None => increment(10),
        };
        world.catalogue = one(vec![goal]);
        (world.progress("g"), world.view("g").expires_at)
    };
    assert_eq!(rotated(Some(MIDNIGHTS)), ((4, InProgress), Some(at("2026-11-25T00:00:00Z"))));
    assert_eq!(rotated(Some(every(7200))), ((4, InProgress), Some(at("2026-11-24T14:00:00Z"))));
    assert_eq!(rotated(None), ((4, InProgress), None));
    world.catalogue = one(vec![rotating(increment(10), MIDNIGHTS, true, true)]);
    world.initialize();
    world.now = at(AFTER);
    assert_eq!(world.progress("g"), (0, NotStarted));
}

#[test]
fn a_disabled_rotation_does_nothing() {
    let mut off = rotating(increment(10), MIDNIGHTS, true, true);
    off.rotation.as_mut().expect("it has one").enabled = false;
    let mut world = World::active(vec![off]);
    world.kills(0.0, 4.0);
    world.now = at(LATER);
    assert_eq!(world.progress("g"), (4, InProgress));
    assert_eq!(world.view("g").expires_at, None);
}

#[test]
fn a_clock_that_steps_back_over_a_boundary_opens_nothing_again() {
    let mut world = midnights(increment(2), true, true);
    world.now = at(AFTER);
    world.kills(0.0, 2.0);
    world.claim_granted("g");
    world.now = at(BEFORE);
    assert_eq!(world.progress("g"), (2, Claimed));
    assert_eq!(world.view("g").expires_at, Some(at("2026-11-26T00:00:00Z")));
    // What happens before midnight by that clock belongs to the cycle before.
    assert_eq!(world.kills(0.0, 2.0), Counted);
    assert_eq!(world.progress("g"), (2, Claimed));
    let document = world.player.clone();
    world.initialize();
    assert_eq!(world.player, document);
}

#[test]
fn selections_see_the_cycle_that_is_running() {
    let daily = rotating(increment(1), MIDNIGHTS, true, true);
    let other = needs(goal("h"), &["g"]);
    let mut world = World::active(vec![daily, other]);
    world.kills(0.0, 1.0);
    assert!(!world.view("h").locked);
    world.claim_granted("g");
    assert!(!world.view("h").locked);
    world.now = at(LATER);
    assert!(world.view("h").locked, "it has to be done again");
}
