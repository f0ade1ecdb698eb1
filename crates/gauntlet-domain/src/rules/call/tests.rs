//! What holds for all calls: unknown names, and what a goal looks like.

use crate::{
    Command, Refusal, Reply, Status,
    rules::fixtures::{World, at, catalogue, daily, goal, needs},
    view_goal,
};

fn world() -> World {
    World::new(catalogue(vec![("c", vec![goal("a"), goal("b")]), ("d", vec![goal("x"), daily("y")])]))
}

fn commands(challenge: &str, goal: &str) -> [Command; 3] {
    let (challenge, goal) = (challenge.to_owned(), goal.to_owned());
    [
        Command::SetActive { challenge: challenge.clone(), goal: goal.clone(), active: true },
        Command::BeginClaim { challenge: challenge.clone(), goal: goal.clone() },
        Command::BatchSelect { challenge, goals: vec![goal], replace_existing: false },
    ]
}

#[test]
fn unknown_names_are_refused_before_anything_else() {
    let mut world = world();
    for (challenge, goal) in [("nope", "a"), ("", "a"), ("C", "a"), ("nope", "nope")] {
        for command in commands(challenge, goal) {
            let refusal = Refusal::ChallengeNotFound(challenge.to_owned());
            assert_eq!(world.call(&command), Err(refusal), "{command:?}");
        }
    }
    // A goal of another challenge is not there.
    for (challenge, goal) in [("c", "nope"), ("c", "x"), ("d", "a"), ("c", "")] {
        for command in commands(challenge, goal) {
            let refusal = Refusal::GoalNotFound { challenge: challenge.to_owned(), goal: goal.to_owned() };
            assert_eq!(world.call(&command), Err(refusal), "{command:?}");
        }
    }
    let draw = Command::RandomSelect {
        challenge: "nope".to_owned(),
        count: 0,
        replace_existing: false,
        exclude_active: false,
    };
    assert_eq!(world.call(&draw), Err(Refusal::ChallengeNotFound("nope".to_owned())));
    let none = Command::BatchSelect { challenge: "nope".to_owned(), goals: vec![], replace_existing: false };
    assert_eq!(world.call(&none), Err(Refusal::ChallengeNotFound("nope".to_owned())));
}

#[test]
fn a_goal_is_locked_while_a_prerequisite_is_open_wherever_that_stands() {
    let goals = vec![
        ("c", vec![goal("a"), needs(goal("b"), &["a", "y"])]),
        ("d", vec![goal("x"), daily("y"), needs(goal("z"), &["b"])]),
    ];
    let mut world = World::new(catalogue(goals));
    let index = world.catalogue.find_goal("b").unwrap();
    assert!(view_goal(None, &world.catalogue, index, world.now).locked, "also without a row");
    assert!(!world.view("a").locked && world.view("b").locked && world.view("z").locked);
    world.set_active("a", true);
    world.set_active("y", true);
    world.kills(10.0, 0.0);
    assert!(world.view("b").locked);
    world.login();
    assert!(!world.view("b").locked && world.view("z").locked);
    world.claim_granted("a");
    world.claim_granted("y");
    assert!(!world.view("b").locked, "claimed is as good as completed");
    // Tomorrow the daily one is open again. An inactive prerequisite counts as it stands.
    world.set_active("a", false);
    world.wait(86_400);
    assert!(world.view("b").locked);
    world.login();
    assert!(!world.view("b").locked);
    // Being locked keeps nobody from having progress.
    assert_eq!(world.set_active("z", true).status, Status::NotStarted);
    world.kills(10.0, 0.0);
    assert_eq!(world.progress("z"), (10, Status::Completed));
}

#[test]
fn a_goal_that_the_player_lacks_looks_untouched() {
    let world = world();
    for player in [None, Some(&world.player)] {
        let index = world.catalogue.find_goal("y").unwrap();
        let view = view_goal(player, &world.catalogue, index, world.now);
        assert_eq!((view.progress, view.status, view.is_active), (0, Status::NotStarted, false));
        assert_eq!((view.assigned_at, view.completed_at, view.claimed_at), (None, None, None));
        assert_eq!(view.expires_at, Some(at("2026-11-25T00:00:00Z")));
        assert_eq!(view.claim, None);
        let plain = world.catalogue.find_goal("a").unwrap();
        assert_eq!(view_goal(player, &world.catalogue, plain, world.now).expires_at, None);
    }
}

#[test]
fn goals_that_left_the_catalogue_are_kept_and_not_shown() {
    let mut world = world();
    for goal in ["a", "b", "x"] {
        world.set_active(goal, true);
    }
    world.kills(10.0, 0.0);
    world.claim_granted("b");
    let before = world.player.clone();
    let smaller = catalogue(vec![("c", vec![goal("a")])]);
    let context = crate::Context { catalogue: &smaller, ..world.context() };
    let mut effects = crate::Effects::default();
    let answer = crate::decide(&mut world.player, &Command::Initialize, &context, &mut effects);
    let Ok(Reply::Initialized { assigned, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(assigned.len(), 1);
    assert_eq!(world.player, before);
    let what = crate::rules::fixtures::kills(12.0, 0.0);
    let event = crate::rules::fixtures::event(what, world.now.plus_millis(1), "e");
    crate::count_event(&mut world.player, &event, &[], &context, &mut effects);
    let x = world.number("x");
    assert_eq!(world.player.goal(x), before.goal(x));
}
