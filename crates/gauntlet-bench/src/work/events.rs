//! Events acknowledged after their commit, beside a gRPC echo of the same message.

use gauntlet_domain::catalogue::LOAD_STATS;

use crate::{
    Result,
    bench::{Bench, Pair, STREAMS, load},
    catalogues::{self, Mix},
    figures::{Goal, Row, Sample, middle},
    generator::{Plan, Pressure, Protocol, Source},
    process::Floor,
    report::Report,
    requests::{Events, STAT_PATH},
    stand::{Kind, PLAYERS, Stand},
};

const WORK: &str = "events";
/// No acknowledgement may wait longer for the next one, in milliseconds.
const STALL: f64 = 50.0;

/// Goals in the catalogue, and active ones of a player.
const GOALS: usize = 500;
const ACTIVE: usize = 10;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let floor = Floor::echo(0)?;
    for (kind, least) in [(Kind::Postgres, 0.5), (Kind::Sqlite, 0.45)] {
        for mix in [Mix::Usual, Mix::Values, Mix::AddUp] {
            let stand = Stand::new(bench, kind, &catalogues::events(GOALS, ACTIVE, mix)?, PLAYERS)?;
            let counted = stand.events("counted")?;
            let pair = beside_echo(bench, &floor, &stand, &mut |_| Events::new(PLAYERS, &LOAD_STATS))?;
            let changed = stand.events("counted")? - counted;
            let (rate_goal, cpu_goal) = match (mix, kind) {
                (Mix::Usual, Kind::Postgres) => (Goal::AtLeast(least), Goal::AtMost(2.5)),
                (Mix::Usual, Kind::Sqlite) => (Goal::AtLeast(least), Goal::None),
                _ => (Goal::None, Goal::None),
            };
            let what = format!("{}, {}", kind.name(), name(mix));
            let mut row = rate(WORK, format!("{what}: rate"), &pair, rate_goal);
            row.notes.insert("events that changed something, warm-up included", changed);
            row.notes.extend(stand.connections()?.map(|count| ("database connections", count)));
            report.add(row);
            report.add(cpu(WORK, format!("{what}: CPU of service and database"), &pair, cpu_goal));
            if mix == Mix::Usual {
                report.add(stall(format!("{what}: longest gap"), &pair, kind));
            }
            stand.stop()?;
        }
    }
    Ok(())
}

const fn name(mix: Mix) -> &'static str {
    match mix {
        Mix::Usual => "2 of 5 leave a receipt",
        Mix::Values => "no receipts",
        Mix::AddUp => "all leave a receipt",
    }
}

/// The plan of unary events at saturation.
pub(super) fn unary(bench: &Bench, address: std::net::SocketAddr) -> Plan {
    bench.plan(address, Protocol::Grpc(vec![STAT_PATH.to_owned()]), Pressure::Closed(STREAMS))
}

/// Saturates echo and product in turns with events that `make` makes, for the echo or not.
pub(super) fn beside_echo<S: Source>(
    bench: &Bench,
    floor: &Floor,
    stand: &Stand<'_>,
    make: &mut dyn FnMut(bool) -> Result<S>,
) -> Result<Pair> {
    let (mut floors, mut products) = (make(true)?, make(false)?);
    bench.turns(
        || load(&unary(bench, floor.address), &mut floors, &mut || floor.usage()),
        || load(&unary(bench, stand.product.events), &mut products, &mut || stand.usage()),
    )
}

/// The row of the rates.
pub(super) fn rate(work: &'static str, what: String, pair: &Pair, goal: Goal) -> Row {
    Row {
        work,
        what,
        unit: "/s",
        product: pair.product(|sample| sample.rate),
        floor: pair.floor(|sample| sample.rate),
        floor_is: "echo".to_owned(),
        goal,
        calls: pair.calls(),
        notes: [
            ("p50 ms", middle(&pair.product, |sample| sample.p50)),
            ("p95 ms", middle(&pair.product, |sample| sample.p95)),
            ("p99 ms", middle(&pair.product, |sample| sample.p99)),
            ("log bytes each", middle(&pair.product, |sample| sample.log_bytes)),
        ]
        .into(),
    }
}

/// The row of the CPU that service and database use, beside the echo's.
pub(super) fn cpu(work: &'static str, what: String, pair: &Pair, goal: Goal) -> Row {
    Row {
        work,
        what,
        unit: "us",
        product: pair.product(Sample::cpu),
        floor: pair.floor(|sample| sample.server_cpu),
        floor_is: "echo".to_owned(),
        goal,
        calls: pair.calls(),
        notes: [
            ("service us", middle(&pair.product, |sample| sample.server_cpu)),
            ("database us", middle(&pair.product, |sample| sample.database_cpu)),
            ("generator us", middle(&pair.product, |sample| sample.generator_cpu)),
            ("generator us on the echo", middle(&pair.floor, |sample| sample.generator_cpu)),
        ]
        .into(),
    }
}

fn stall(what: String, pair: &Pair, kind: Kind) -> Row {
    Row {
        work: WORK,
        what,
        unit: "ms",
        product: pair.product(|sample| sample.gap),
        floor: vec![STALL; pair.product.len()],
        floor_is: "limit".to_owned(),
        // Checkpoints of PostgreSQL happen in other processes.
        goal: if kind == Kind::Sqlite { Goal::AtMost(1.0) } else { Goal::None },
        calls: pair.calls(),
        notes: [
            ("of the echo ms", middle(&pair.floor, |sample| sample.gap)),
            ("slowest event ms", pair.product.iter().map(|sample| sample.longest).fold(0.0, f64::max)),
            ("longest of all ms", pair.product.iter().map(|sample| sample.gap).fold(0.0, f64::max)),
        ]
        .into(),
    }
}
