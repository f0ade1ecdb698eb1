//! The rules alone: what an event costs a player with 10 goals, with small and large catalogues.

use std::{collections::HashMap, hint::black_box, time::Instant};

use gauntlet_domain::{
    Catalogue, Command, Context, Effects, Event, EventWhat, GoalNumber, Player, ReceiptKey, Timestamp,
    catalogue::{GeneratePlan, generate},
    count_event, decide,
};

use crate::table::{Table, median};

const ROUNDS: u32 = 20_000;

/// Nanoseconds an event, for catalogues of 50 and 5,000 goals, in turns.
pub(crate) fn measure(table: &mut Table) {
    let rigs = [50, 5_000].map(rig);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..9 {
        for (times, (catalogue, player)) in times.iter_mut().zip(&rigs) {
            times.push(time(catalogue, player));
        }
    }
    let [small, large] = times.map(|times| median(times.into_iter()));
    table.note(
        "rules: one event, 5,000 goals in the catalogue beside 50",
        format!("{large:.0} ns"),
        format!("{small:.0} ns"),
        format!("{:.0} %", 100.0 * large / small),
    );
    let (_, player) = &rigs[0];
    let bytes = player.encode_live();
    let started = Instant::now();
    for _ in 0..ROUNDS {
        black_box(Player::decode(black_box(&bytes), None).expect("our own bytes").encode_live());
    }
    let each = started.elapsed().as_nanos() as f64 / f64::from(ROUNDS);
    table.note(
        &format!("codec: read and write a document of 10 goals ({} bytes)", bytes.len()),
        format!("{each:.0} ns"),
        String::new(),
        String::new(),
    );
}

fn rig(goals: usize) -> (Catalogue, Player) {
    let plan = GeneratePlan {
        challenges: 10,
        goals_per_challenge: goals / 10,
        default_goals: 10,
        daily_challenge_goals: 0,
        ..GeneratePlan::default()
    };
    let definition = generate(&plan).expect("a plan");
    let numbers: HashMap<String, GoalNumber> = definition
        .goal_ids()
        .enumerate()
        .map(|(at, id)| (id.to_owned(), GoalNumber(at as u32 + 1)))
        .collect();
    let catalogue = Catalogue::new(definition, 1, &numbers).expect("a catalogue");
    let mut player = Player::new();
    let initialized =
        decide(&mut player, &Command::Initialize, &context(&catalogue, 0), &mut Effects::default());
    assert!(initialized.is_ok());
    (catalogue, player)
}

fn context(catalogue: &Catalogue, round: u32) -> Context<'_> {
    let now = Timestamp::from_seconds(1_800_000_000 + i64::from(round));
    Context { catalogue, now, seed: 1, late_window_ms: 600_000 }
}

fn time(catalogue: &Catalogue, player: &Player) -> f64 {
    let mut player = player.clone();
    let stats = gauntlet_domain::catalogue::LOAD_STATS;
    let events: Vec<Event> = (0..ROUNDS)
        .map(|round| Event {
            what: EventWhat::Stat {
                code: stats[round as usize % stats.len()].to_string(),
                value: f64::from(round % 1_000),
                increment: 1.0,
            },
            key: ReceiptKey { source: "s".into(), kind: "k".into(), id: round.to_string() },
            at: context(catalogue, round).now,
        })
        .collect();
    let started = Instant::now();
    for (round, event) in events.iter().enumerate() {
        let mut effects = Effects::default();
        let context = context(catalogue, round as u32);
        black_box(count_event(&mut player, black_box(event), false, &context, &mut effects));
    }
    started.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
}
