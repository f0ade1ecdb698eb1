//! Resident memory of the service.

use gauntlet_domain::catalogue::LOAD_STATS;

use crate::{
    Result,
    bench::Bench,
    catalogues::{self, Mix},
    figures::{Goal, Row},
    generator::{self, Plan, Pressure, Protocol},
    http, machine, players,
    report::Report,
    requests::{Events, STAT_PATH},
    stand::{Kind, PLAYERS, Stand},
};

const IDLE: f64 = 60.0;
const BUSY: f64 = 150.0;
const CONNECTIONS: usize = 1_000;
const RATE: f64 = 500.0;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for kind in Kind::BOTH {
        let stand = Stand::new(bench, kind, &catalogues::events(500, 10, Mix::Usual)?, PLAYERS)?;
        // Once everything has been touched.
        http::get(
            stand.product.http,
            "/challenge/v1/challenges",
            &format!("x-mock-user-id: {}\r\n", players::id(0)),
        )?;
        let pid = stand.product.pid();
        let idle = machine::resident(pid)?;
        let plan = Plan {
            connections: CONNECTIONS,
            ..bench.plan(
                stand.product.events,
                Protocol::Grpc(vec![STAT_PATH.to_owned()]),
                Pressure::Open(RATE),
            )
        };
        let outcome =
            generator::run(&plan, &mut Events::new(PLAYERS, &LOAD_STATS)?, &mut || machine::resident(pid))?;
        let row = |what: &str, seen: f64, limit: f64, calls| Row {
            work: "memory",
            what: format!("{}, {what}", kind.name()),
            unit: "MB",
            product: vec![seen],
            floor: vec![limit],
            floor_is: "limit".to_owned(),
            goal: Goal::AtMost(1.0),
            calls,
            notes: [].into(),
        };
        report.add(row("idle, 500 goals", idle, IDLE, 1));
        let mut busy = row("1,000 gRPC connections, 500 events/s", outcome.samples.1, BUSY, outcome.calls);
        busy.notes.insert("after they have gone MB", machine::resident(pid)?);
        report.add(busy);
        stand.stop()?;
    }
    Ok(())
}
