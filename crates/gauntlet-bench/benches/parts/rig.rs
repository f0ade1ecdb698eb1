//! A catalogue and a player to work on.

use std::{collections::HashMap, sync::Arc};

use gauntlet_domain::{
    Catalogue, Command, Context, Effects, Event, EventWhat, GoalNumber, Player, ReceiptKey, Timestamp,
    catalogue::{EventSource, GeneratePlan, GoalKind, LOAD_STATS, generate},
    decide,
};

/// Some time in 2027.
const START: i64 = 1_800_000_000;
/// Beyond what any run counts to: a goal that is done would take no more events.
const FAR: i32 = 1_000_000_000;

/// A catalogue of so many goals, of which players have `active`, a fifth for each statistic; one
/// in five of those adds up.
pub(crate) fn catalogue(goals: usize, active: usize) -> Arc<Catalogue> {
    let plan = GeneratePlan {
        goals_per_challenge: goals / 10,
        default_goals: active,
        daily_challenge_goals: 0,
        ..GeneratePlan::default()
    };
    let mut definition = generate(&plan).expect("a plan");
    let goals = definition.challenges.iter_mut().flat_map(|challenge| &mut challenge.goals);
    for (turn, goal) in goals.filter(|goal| goal.default_assigned).enumerate() {
        let adds_up = matches!(turn % 10, 3 | 9);
        goal.kind = if adds_up { GoalKind::Increment { daily: false } } else { GoalKind::Absolute };
        goal.event_source = EventSource::Statistic;
        LOAD_STATS[turn % LOAD_STATS.len()].clone_into(&mut goal.requirement.stat_code);
        goal.requirement.target_value = FAR;
    }
    let numbers: HashMap<String, GoalNumber> =
        definition.goal_ids().map(str::to_owned).zip((1..).map(GoalNumber)).collect();
    Arc::new(Catalogue::new(definition, 1, &numbers).expect("a catalogue"))
}

/// What the rules may look at, `seconds` after the start.
pub(crate) fn context(catalogue: &Catalogue, seconds: u32) -> Context<'_> {
    let now = Timestamp::from_seconds(START + i64::from(seconds));
    Context { catalogue, now, seed: 1, late_window_ms: 600_000 }
}

/// A player with the first goals, who has had an event of each statistic.
pub(crate) fn player(catalogue: &Catalogue) -> Player {
    let (mut player, mut effects) = (Player::new(), Effects::default());
    decide(&mut player, &Command::Initialize, &context(catalogue, 0), &mut effects).expect("initialized");
    for seconds in 1..6 {
        let context = context(catalogue, seconds);
        gauntlet_domain::count_event(&mut player, &event(seconds), &[], &context, &mut effects);
    }
    player
}

/// The event of a second.
pub(crate) fn event(seconds: u32) -> Event {
    Event {
        what: EventWhat::Stat {
            code: LOAD_STATS[seconds as usize % LOAD_STATS.len()].to_owned(),
            value: f64::from(seconds % 1_000),
            increment: 1.0,
        },
        key: ReceiptKey { source: "bench".into(), kind: "stat".into(), id: seconds.to_string() },
        at: Timestamp::from_seconds(START + i64::from(seconds)),
    }
}
