//! Selections and claims at 300 a second, mixed.

use gauntlet_domain::catalogue::LOAD_STATS;

use super::latency::one_commit;
use crate::{
    Result,
    bench::{Bench, load},
    catalogues,
    figures::{Goal, Row, Usage, median},
    generator::{self, Plan, Pressure, Protocol},
    process::Floor,
    report::Report,
    requests::{Events, OneEach, SELECTION_PATHS, STAT_PATH, Selections},
    stand::{Kind, Stand},
};

const RATE: f64 = 300.0;
/// What calls are named, and how many commits they need.
const KINDS: [(&str, f64); 3] = [("batch-select", 1.0), ("random-select", 1.0), ("claim", 2.0)];
/// Goals of a player that can be claimed.
const CLAIMS: u32 = 10;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let floor = Floor::echo(0)?;
    let definition = catalogues::selections()?;
    let goals: Vec<(String, String)> = definition
        .challenges
        .iter()
        .flat_map(|challenge| challenge.goals.iter().map(|goal| (challenge.id.clone(), goal)))
        .filter(|(_, goal)| goal.default_assigned)
        .map(|(challenge, goal)| (challenge, goal.id.clone()))
        .collect();
    // A third of all calls claims; half as many again for warming up and for room.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
    let claims = (RATE / 3.0 * 1.5 * (bench.length.as_secs_f64() + 1.0) * f64::from(bench.turns)) as u32;
    let players = claims / CLAIMS + 100;
    for kind in Kind::BOTH {
        let stand = Stand::new(bench, kind, &definition, players)?;
        complete(bench, &stand, players)?;
        let mut calls = Selections::new(players, &goals)?;
        let mut echoes = Events::new(players, &LOAD_STATS)?;
        let open = Pressure::Open(RATE);
        let product = Plan {
            kinds: KINDS.len(),
            ..bench.plan(
                stand.product.grpc,
                Protocol::Grpc(SELECTION_PATHS.map(str::to_owned).to_vec()),
                open,
            )
        };
        let echo = bench.plan(floor.address, Protocol::Grpc(vec![STAT_PATH.to_owned()]), open);
        let mut commits = Vec::new();
        let pair = bench.turns(
            || {
                commits.push(one_commit(bench, kind)?.p95);
                load(&echo, &mut echoes, &mut || floor.usage())
            },
            || load(&product, &mut calls, &mut || stand.usage()),
        )?;
        for (at, (name, count)) in KINDS.into_iter().enumerate() {
            report.add(Row {
                work: "select",
                what: format!("{}, 300/s mixed: p95 of {name} less p95 of the echo", kind.name()),
                unit: "ms",
                product: pair
                    .product
                    .iter()
                    .zip(&pair.floor)
                    .map(|(call, echo)| call.p95_by_kind[at] - echo.p95)
                    .collect(),
                floor: commits.iter().map(|commit| 3.0 * count * commit + 1.0).collect(),
                floor_is: format!("{} commits and 1 ms", 3.0 * count),
                goal: Goal::AtMost(1.0),
                calls: pair.calls() / KINDS.len() as u64,
                notes: [
                    ("p95 ms", median(&pair.product(|sample| sample.p95_by_kind[at]))),
                    ("echo p95 ms", median(&pair.floor(|sample| sample.p95))),
                    ("commit p95 ms", median(&commits)),
                ]
                .into(),
            });
        }
        stand.stop()?;
    }
    Ok(())
}

/// Completes every goal of every player, to be claimed.
fn complete(bench: &Bench, stand: &Stand<'_>, players: u32) -> Result<()> {
    let events = players as usize * LOAD_STATS.len();
    let protocol = Protocol::Grpc(vec![STAT_PATH.to_owned()]);
    let connections = 50;
    let plan = Plan {
        connections,
        length: std::time::Duration::from_secs(120),
        ..bench.plan(stand.product.events, protocol, Pressure::Count(events.div_ceil(connections)))
    };
    generator::run(&plan, &mut OneEach::new(&LOAD_STATS)?, &mut || Ok(Usage::default()))?;
    Ok(())
}
