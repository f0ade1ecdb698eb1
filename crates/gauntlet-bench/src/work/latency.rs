//! How long an event takes while nothing is short: 500 a second, by the clock.

use std::time::Duration;

use gauntlet_domain::catalogue::LOAD_STATS;
use serde_json::Value;

use crate::{
    Result,
    bench::{Bench, load},
    catalogues::{self, Mix},
    figures::{Goal, Row, median, middle},
    generator::{Pressure, Protocol},
    process::{Floor, run_floor},
    report::Report,
    requests::{Events, STAT_PATH},
    stand::{Kind, PLAYERS, Stand},
};

const RATE: f64 = 500.0;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let floor = Floor::echo(0)?;
    for kind in Kind::BOTH {
        let stand = Stand::new(bench, kind, &catalogues::events(500, 10, Mix::Usual)?, PLAYERS)?;
        let mut events = Events::new(PLAYERS, &LOAD_STATS)?;
        let mut echoes = events.clone();
        let plan =
            |address| bench.plan(address, Protocol::Grpc(vec![STAT_PATH.to_owned()]), Pressure::Open(RATE));
        let mut commits = Vec::new();
        let pair = bench.turns(
            || {
                commits.push(one_commit(bench, kind)?);
                load(&plan(floor.address), &mut echoes, &mut || floor.usage())
            },
            || load(&plan(stand.product.events), &mut events, &mut || stand.usage()),
        )?;
        let p95: Vec<f64> = commits.iter().map(|commit| commit.p95).collect();
        report.add(Row {
            work: "latency",
            what: format!("{}, 500/s: p95 of an event less p95 of the echo", kind.name()),
            unit: "ms",
            product: pair.product.iter().zip(&pair.floor).map(|(event, echo)| event.p95 - echo.p95).collect(),
            floor: p95.iter().map(|commit| 2.0 * commit + 1.0).collect(),
            floor_is: "2 commits and 1 ms".to_owned(),
            goal: Goal::AtMost(1.0),
            calls: pair.calls(),
            notes: [
                ("event p50 ms", middle(&pair.product, |sample| sample.p50)),
                ("event p95 ms", middle(&pair.product, |sample| sample.p95)),
                ("event p99 ms", middle(&pair.product, |sample| sample.p99)),
                ("echo p95 ms", middle(&pair.floor, |sample| sample.p95)),
                ("commit p50 ms", median(&commits.iter().map(|commit| commit.p50).collect::<Vec<_>>())),
                ("commit p95 ms", median(&p95)),
            ]
            .into(),
        });
        stand.stop()?;
    }
    Ok(())
}

/// How long one durable commit takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Commit {
    p50: f64,
    pub(super) p95: f64,
}

/// Measures the floor of one commit for half the length of a load.
pub(super) fn one_commit(bench: &Bench, kind: Kind) -> Result<Commit> {
    let seconds = (bench.length.as_secs() / 2).max(1).to_string();
    let run = |store: &str| run_floor(&["floor", "commit", "--store", store, "--seconds", &seconds]);
    let seen: Value = match kind {
        Kind::Postgres => run(&bench.runtime.block_on(bench.cluster().database()).url)?,
        Kind::Sqlite => {
            let folder = tempfile::Builder::new().prefix("gauntlet-bench-").tempdir()?;
            run(&format!("sqlite:{}", folder.path().join("floor.db").display()))?
        }
    };
    let figure = |name: &str| seen[name].as_f64().ok_or("the floor saw nothing");
    // Let the disk come to rest.
    std::thread::sleep(Duration::from_millis(200));
    Ok(Commit { p50: figure("p50")?, p95: figure("p95")? })
}
