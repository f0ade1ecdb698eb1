mod cycles;

use std::collections::HashMap;

use crate::{
    Catalogue, GoalNumber, JournalKind, Player, Status,
    catalogue::{ChallengeDefinition, ChangePolicy, Definition, GoalDefinition},
    rules::{
        Refusal,
        fixtures::{INCREMENT, World, daily, default_goal, goal, goal_of, needs, one, reload},
        history::{Outcome, past_cycles},
        show_under,
    },
};

/// The goal with another target, under a policy.
fn asking(target: i32, policy: ChangePolicy) -> GoalDefinition {
    let mut goal = goal("g");
    goal.requirement.target_value = target;
    goal.on_change = policy;
    goal
}

/// The catalogue of one challenge as the next version after another.
fn next(previous: &Catalogue, goals: Vec<GoalDefinition>) -> Catalogue {
    let challenge =
        ChallengeDefinition { id: "c".into(), name: "c".into(), description: String::new(), goals };
    let definition = Definition { challenges: vec![challenge] };
    let mut numbers: HashMap<String, GoalNumber> = HashMap::new();
    let known = |id: &str| previous.find_goal(id).map(|index| previous.goal(index).number);
    let mut free = 100 * previous.version();
    for id in definition.goal_ids() {
        free += 1;
        // `g` keeps its number when it comes back.
        let number = if id == "g" { Some(GoalNumber(1)) } else { known(id) };
        numbers.insert(id.to_owned(), number.unwrap_or(GoalNumber(free)));
    }
    Catalogue::new(definition, previous.version() + 1, &numbers).expect("numbered").following(previous)
}

impl World {
    /// What a store does with what an event writes: the settled part is not at hand.
    fn written_by_an_event(&mut self) {
        let settled = self.player.encode_settled();
        let mut live = Player::decode(&self.player.encode_live(), None).expect("decodes");
        live.stamp(self.seed, &self.context());
        self.player = Player::decode(&live.encode_live(), Some(settled.as_deref())).expect("decodes");
    }

    /// What a store does with every write.
    fn written(&mut self) {
        let mut player = self.player.clone();
        player.stamp(self.seed, &self.context());
        self.player = player;
        self.player = reload(&self.player);
    }

    fn change(&mut self, goals: Vec<GoalDefinition>) {
        if self.player.head.write_ids == [0; 4] {
            self.written();
        }
        self.catalogue = next(&self.catalogue, goals);
    }

    /// The same with a version that comes into use now.
    fn change_now(&mut self, goals: Vec<GoalDefinition>) {
        self.change(goals);
        self.catalogue = self.catalogue.clone().in_use_since(self.now);
    }

    /// What the player sees, and the target that holds.
    fn seen(&self) -> (i32, i32, Status) {
        let mut player = self.player.clone();
        show_under(&mut player, &self.catalogue, self.now);
        let index = self.catalogue.find_goal("g").expect("g");
        let view = crate::view_goal(Some(&player), &self.catalogue, index, self.now);
        let target = view
            .terms
            .map_or(self.catalogue.goal(index), |version| self.catalogue.goal_as_of(index, version));
        (view.progress, target.target(), view.status)
    }
}

/// A player with 6 of 10.
fn six_of_ten() -> World {
    let mut world = World::active(vec![asking(10, ChangePolicy::Keep)]);
    world.kills(6.0, 0.0);
    world
}

#[test]
fn who_has_a_goal_keeps_its_terms_until_it_is_claimed() {
    let mut world = six_of_ten();
    let mut harder = asking(20, ChangePolicy::Keep);
    harder.reward.quantity = 99;
    world.change(vec![harder]);
    world.wait(1);
    assert_eq!(world.seen(), (6, 10, Status::InProgress));
    world.kills(10.0, 0.0);
    assert_eq!(world.seen(), (10, 10, Status::Completed));
    world.written();
    assert_eq!(world.seen(), (10, 10, Status::Completed));
    world.claim_granted("g");
    assert_eq!(world.orders[0].reward.quantity, 1, "the reward that was promised");
    world.written();
    assert_eq!(world.player.held_terms(), [], "nothing is kept of what is over");

    // Whoever gets it now gets it as it is now.
    let mut fresh = World::new(world.catalogue);
    fresh.set_active("g", true);
    fresh.kills(10.0, 0.0);
    assert_eq!(fresh.seen(), (10, 20, Status::InProgress));
}

#[test]
fn a_goal_that_is_put_away_comes_back_as_it_is_now() {
    let mut world = six_of_ten();
    world.change(vec![asking(20, ChangePolicy::Keep)]);
    world.set_active("g", false);
    assert_eq!(world.seen(), (6, 20, Status::InProgress));
    world.written();
    world.wait(1);
    world.set_active("g", true);
    world.kills(10.0, 0.0);
    assert_eq!(world.seen(), (10, 20, Status::InProgress));
}

#[test]
fn easier_terms_are_taken_and_complete_who_has_enough() {
    for (target, prerequisites, quantity, expected) in [
        (6, false, 1, (6, 6, Status::Completed)),
        (7, false, 2, (6, 7, Status::InProgress)),
        (11, false, 2, (6, 10, Status::InProgress)),
        (5, true, 1, (6, 10, Status::InProgress)),
        (5, false, 0, (6, 10, Status::InProgress)),
        (10, false, 2, (6, 10, Status::InProgress)),
    ] {
        let mut world = six_of_ten();
        let other = world.journal.len();
        let mut goal = asking(target, ChangePolicy::UpgradeIfEasier);
        goal.reward.quantity = quantity;
        let goals = if prerequisites {
            vec![needs(goal, &["other"]), crate::rules::fixtures::goal("other")]
        } else {
            vec![goal]
        };
        world.change(goals);
        assert_eq!(world.seen(), expected, "target {target}");
        // The first touch makes it so, whatever it is; a second one changes nothing.
        world.initialize();
        let (player, rows) = (world.player.clone(), world.journal.len());
        world.initialize();
        assert_eq!((&world.player, world.journal.len()), (&player, rows));
        assert_eq!(world.seen(), expected, "target {target}");
        let completed = world.journal_since(other);
        let done = expected.2 == Status::Completed;
        assert_eq!(completed.iter().any(|(kind, _)| *kind == JournalKind::Completed), done);
    }
}

#[test]
fn what_is_measured_otherwise_is_not_easier() {
    let mut world = six_of_ten();
    let counted = goal_of("g", INCREMENT, crate::catalogue::EventSource::Statistic, 1);
    world.change(vec![GoalDefinition { on_change: ChangePolicy::UpgradeIfEasier, ..counted }]);
    assert_eq!(world.seen(), (6, 10, Status::InProgress));
}

#[test]
fn a_restart_begins_at_zero_but_not_for_who_is_done() {
    let mut world = six_of_ten();
    world.change(vec![asking(3, ChangePolicy::Restart)]);
    assert_eq!(world.seen(), (0, 3, Status::NotStarted));
    world.kills(2.0, 0.0);
    assert_eq!(world.seen(), (2, 3, Status::InProgress));
    world.written();
    world.wait(1);
    world.kills(3.0, 0.0);
    assert_eq!(world.seen(), (3, 3, Status::Completed));

    let mut done = six_of_ten();
    done.wait(1);
    done.kills(10.0, 0.0);
    done.change(vec![asking(30, ChangePolicy::Restart)]);
    assert_eq!(done.seen(), (10, 10, Status::Completed));
    done.claim_granted("g");
    done.written();
    assert_eq!(done.view("g").status, Status::Claimed);
    done.change(vec![asking(40, ChangePolicy::Restart)]);
    done.initialize();
    assert_eq!(done.view("g").status, Status::Claimed, "what was claimed is not claimed again");
}

#[test]
fn what_was_completed_and_put_away_keeps_its_reward() {
    let mut world = six_of_ten();
    world.wait(1);
    world.kills(10.0, 0.0);
    let mut other = asking(30, ChangePolicy::Restart);
    other.reward.quantity = 99;
    world.set_active("g", false);
    world.written();
    world.change(vec![other, default_goal(goal("other"))]);
    assert_eq!(world.seen(), (10, 10, Status::Completed));
    world.initialize();
    world.written();
    // Events do not look at what is settled, and must not forget its terms.
    world.kills(1.0, 0.0);
    world.written_by_an_event();
    world.set_active("g", true);
    world.claim_granted("g");
    assert_eq!(world.orders[0].reward.quantity, 1, "the reward that was earned");
    world.written();
    assert_eq!(world.player.held_terms(), []);
}

#[test]
fn a_restart_is_told_with_what_was_lost() {
    for active in [true, false] {
        let mut world = six_of_ten();
        world.set_active("g", active);
        let rows = world.journal.len();
        let challenge = world.catalogue.find_challenge("c").expect("c");
        let end = world.now;
        world.change_now(vec![asking(3, ChangePolicy::Restart)]);
        world.wait(600);
        // By an event, or by a call where events do not look.
        if active {
            assert_eq!(world.kills(2.0, 0.0), crate::EventOutcome::Counted);
        } else {
            drop(world.initialize());
        }
        world.written();
        world.initialize();
        let told: Vec<_> =
            world.journal[rows..].iter().filter(|row| row.kind == JournalKind::Restarted).collect();
        assert_eq!(told.len(), 1, "told once");
        assert_eq!(
            (told[0].at, &told[0].progress[..]),
            (end, &[6][..]),
            "when the change came, not when somebody looked"
        );
        let past = past_cycles(&world.journal, Some(&world.player), &world.catalogue, challenge, world.now);
        assert_eq!((past.len(), past[0].end, past[0].goals.len()), (1, end, 1));
        let lost = past[0].goals[0];
        assert_eq!((lost.outcome, lost.lost_progress), (Outcome::Restarted, Some(6)));
        assert_eq!(world.catalogue.goal_as_of(lost.goal, lost.terms).target(), 10, "of ten");
    }
    // Who had nothing, and who was done, lost nothing.
    let mut none = World::active(vec![asking(10, ChangePolicy::Keep)]);
    let mut done = six_of_ten();
    done.wait(1);
    done.kills(10.0, 0.0);
    for world in [&mut none, &mut done] {
        let rows = world.journal.len();
        world.change_now(vec![asking(3, ChangePolicy::Restart)]);
        world.initialize();
        assert_eq!(world.journal_since(rows), []);
    }
}

#[test]
fn a_restart_reaches_goals_that_are_put_away() {
    let mut world = six_of_ten();
    world.set_active("g", false);
    world.change(vec![asking(3, ChangePolicy::Restart), default_goal(goal("other"))]);
    // An event does not see them, and must not make them forgotten.
    world.initialize();
    world.written();
    let mut again = six_of_ten();
    again.set_active("g", false);
    again.written();
    again.set_active("g", true);
    again.set_active("g", false);
    again.written();
    again.change(vec![asking(3, ChangePolicy::Restart), default_goal(goal("other"))]);
    again.kills(1.0, 0.0);
    again.written_by_an_event();
    for mut world in [world, again] {
        world.set_active("g", true);
        assert_eq!(world.seen(), (0, 3, Status::NotStarted));
    }
}

#[test]
fn it_makes_no_difference_when_a_player_is_touched() {
    let versions = [
        asking(20, ChangePolicy::Keep),
        asking(8, ChangePolicy::UpgradeIfEasier),
        asking(9, ChangePolicy::UpgradeIfEasier),
        asking(30, ChangePolicy::Keep),
        asking(7, ChangePolicy::UpgradeIfEasier),
        asking(12, ChangePolicy::Restart),
        asking(13, ChangePolicy::Keep),
    ];
    let expected = [
        (6, 10), // keeps 10
        (6, 8),  // easier than 10
        (6, 8),  // harder than 8
        (6, 8),
        (6, 7),
        (0, 12),
        (0, 12),
    ];
    for touched in 0..1 << versions.len() {
        let mut world = six_of_ten();
        for (at, version) in versions.iter().enumerate() {
            world.change(vec![version.clone()]);
            let (progress, target) = expected[at];
            let (seen, holds, _) = world.seen();
            assert_eq!((seen, holds), (progress, target), "version {at}, touched {touched:b}");
            if touched & 1 << at != 0 {
                world.initialize();
                world.written();
            }
        }
    }
}

#[test]
fn a_goal_that_leaves_and_comes_back_is_judged_then() {
    let mut world = six_of_ten();
    world.change(vec![goal("other")]);
    world.set_active("other", true);
    world.change(vec![asking(20, ChangePolicy::Keep), goal("other")]);
    assert_eq!(world.seen(), (6, 10, Status::InProgress));
    world.initialize();
    world.written();
    assert_eq!(world.seen(), (6, 10, Status::InProgress));
    // And away again while it is kept.
    world.change(vec![goal("other")]);
    world.set_active("other", false);
    world.change(vec![asking(20, ChangePolicy::Keep), goal("other")]);
    assert_eq!(world.seen(), (6, 10, Status::InProgress));
}

#[test]
fn events_of_a_statistic_that_only_old_terms_use_count() {
    let mut world = six_of_ten();
    let mut other_stat = asking(10, ChangePolicy::Keep);
    other_stat.requirement.stat_code = "wins".to_owned();
    world.change(vec![other_stat]);
    world.wait(1);
    world.kills(8.0, 0.0);
    assert_eq!(world.seen(), (8, 10, Status::InProgress));
    // For a player without old terms they are nothing.
    let mut fresh = World::new(world.catalogue);
    fresh.set_active("g", true);
    fresh.kills(8.0, 0.0);
    assert_eq!(fresh.seen(), (0, 10, Status::NotStarted));
}

#[test]
fn terms_are_kept_until_the_cycle_ends() {
    let mut world = World::active(vec![daily("g")]);
    let mut generous = daily("g");
    generous.reward.quantity = 5;
    world.change(vec![generous]);
    world.login();
    world.claim_granted("g");
    world.wait(86_400);
    world.login();
    world.claim_granted("g");
    let quantities: Vec<i32> = world.orders.iter().map(|order| order.reward.quantity).collect();
    assert_eq!(quantities, [1, 5]);
}

#[test]
fn a_claim_under_way_is_left_alone() {
    let mut world = six_of_ten();
    world.wait(1);
    world.kills(10.0, 0.0);
    let key = world.claim("g").expect("can be claimed");
    world.change(vec![asking(30, ChangePolicy::Restart)]);
    world.initialize();
    assert!(matches!(world.claim("g"), Err(Refusal::ClaimPending { .. })));
    world.settle(&key, crate::GrantEnd::Granted);
    assert_eq!(world.view("g").status, Status::Claimed);
}

#[test]
fn what_begins_in_one_batch_with_the_change_has_the_terms_of_today() {
    let mut world = World::new(one(vec![goal("g"), goal("other")]));
    world.set_active("other", true);
    world.change(vec![asking(20, ChangePolicy::Keep), goal("other")]);
    // Not written in between.
    world.set_active("g", true);
    world.kills(12.0, 0.0);
    assert_eq!(world.seen(), (12, 20, Status::InProgress));
}

#[test]
fn whoever_has_no_changed_goal_is_left_as_they_are() {
    let mut world = World::new(one(vec![goal("g"), goal("other")]));
    world.set_active("other", true);
    world.change(vec![asking(20, ChangePolicy::Keep), goal("other")]);
    let before = world.player.clone();
    world.initialize();
    assert_eq!(world.player, before, "nothing to write");
}
