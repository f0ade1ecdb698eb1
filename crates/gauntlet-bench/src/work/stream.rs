//! Many events on one call, beside the same events with a call each.

use gauntlet_domain::catalogue::LOAD_STATS;

use super::events::unary;
use crate::{
    Result,
    bench::{Bench, load},
    catalogues::{self, Mix},
    figures::{Goal, Row, middle},
    generator::{Plan, Pressure, Protocol},
    process::Floor,
    report::Report,
    requests::{Events, PUBLISH_PATH},
    stand::{Kind, PLAYERS, Stand},
};

const WORK: &str = "stream";
/// 2,000 events in flight, on as many calls as there are cores.
const CALLS: usize = 2;
const IN_FLIGHT: usize = 1_000;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let floor = Floor::echo(0)?;
    let streamed = |address| Plan {
        connections: CALLS,
        ..bench.plan(address, Protocol::Publish(PUBLISH_PATH.to_owned()), Pressure::Closed(IN_FLIGHT))
    };
    for kind in Kind::BOTH {
        let stand = Stand::new(bench, kind, &catalogues::events(500, 10, Mix::Usual)?, PLAYERS)?;
        let events = stand.product.events;
        let (mut alone, mut together) =
            (Events::new(PLAYERS, &LOAD_STATS)?, Events::new(PLAYERS, &LOAD_STATS)?);
        let pair = bench.turns(
            || load(&unary(bench, events), &mut alone, &mut || stand.usage()),
            || load(&streamed(events), &mut together, &mut || stand.usage()),
        )?;
        let echo =
            load(&streamed(floor.address), &mut Events::new(PLAYERS, &LOAD_STATS)?, &mut || floor.usage())?;
        let row = |what: &str, unit, goal| Row {
            work: WORK,
            what: format!("{}: {what}", kind.name()),
            unit,
            product: Vec::new(),
            floor: Vec::new(),
            floor_is: "unary".to_owned(),
            goal,
            calls: pair.calls(),
            notes: [].into(),
        };
        report.add(Row {
            product: pair.product(|sample| sample.rate),
            floor: pair.floor(|sample| sample.rate),
            notes: [
                ("p50 ms", middle(&pair.product, |sample| sample.p50)),
                ("p95 ms", middle(&pair.product, |sample| sample.p95)),
                ("longest gap ms", middle(&pair.product, |sample| sample.gap)),
                ("streamed echo /s", echo.rate),
            ]
            .into(),
            ..row("rate", "/s", Goal::AtLeast(1.7))
        });
        // On SQLite nobody can tell the service's share from the database's.
        let goal = if kind == Kind::Postgres { Goal::AtMost(1.0 / 3.0) } else { Goal::None };
        report.add(Row {
            product: pair.product(|sample| sample.server_cpu),
            floor: pair.floor(|sample| sample.server_cpu),
            notes: [
                ("database us", middle(&pair.product, |sample| sample.database_cpu)),
                ("database us, unary", middle(&pair.floor, |sample| sample.database_cpu)),
                ("generator us", middle(&pair.product, |sample| sample.generator_cpu)),
                ("streamed echo us", echo.server_cpu),
            ]
            .into(),
            ..row("CPU of the service", "us", goal)
        });
        stand.stop()?;
    }
    Ok(())
}
