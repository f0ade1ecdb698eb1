//! A million stored players beside ten thousand: events, browsing, and what a checkpoint costs.

use std::time::Instant;

use gauntlet_domain::catalogue::LOAD_STATS;

use super::{browse, events::unary};
use crate::{
    Result,
    bench::{Bench, Pair, load},
    catalogues::{self, Mix},
    figures::{Goal, Row, Sample, middle},
    report::Report,
    requests::{Events, Http},
    stand::{Kind, PLAYERS, Stand},
};

const WORK: &str = "million";
const MILLION: u32 = 1_000_000;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let definition = catalogues::events(500, 10, Mix::Usual)?;
    for kind in Kind::BOTH {
        let started = Instant::now();
        let many = Stand::new(bench, kind, &definition, MILLION)?;
        crate::progress(&format!("{}: a million players in {:?}", kind.name(), started.elapsed()));
        let few = Stand::new(bench, kind, &definition, PLAYERS)?;
        let (mut of_few, mut of_many) =
            (Events::new(PLAYERS, &LOAD_STATS)?, Events::new(MILLION, &LOAD_STATS)?);
        let pair = bench.turns(
            || load(&unary(bench, few.product.events), &mut of_few, &mut || few.usage()),
            || load(&unary(bench, many.product.events), &mut of_many, &mut || many.usage()),
        )?;
        report.add(row(
            format!("{}, events: CPU of service and database", kind.name()),
            &pair,
            Goal::AtMost(1.15),
        ));

        let browse = |players| Http::new("GET", "/challenge/v1/challenges", "", players);
        let (mut by_few, mut by_many) = (browse(PLAYERS)?, browse(MILLION)?);
        let pair = bench.turns(
            || load(&browse::plan(bench, few.product.http, 200), &mut by_few, &mut || few.usage()),
            || load(&browse::plan(bench, many.product.http, 200), &mut by_many, &mut || many.usage()),
        )?;
        report.add(row(
            format!("{}, browse: CPU of service and database", kind.name()),
            &pair,
            Goal::AtMost(1.15),
        ));
        few.stop()?;
        if kind == Kind::Postgres {
            report.add(checkpoint(bench, &many, &mut of_many)?);
        }
        many.stop()?;
    }
    Ok(())
}

fn row(what: String, pair: &Pair, goal: Goal) -> Row {
    Row {
        work: WORK,
        what,
        unit: "us",
        product: pair.product(Sample::cpu),
        floor: pair.floor(Sample::cpu),
        floor_is: "10,000 players".to_owned(),
        goal,
        calls: pair.calls(),
        notes: [
            ("/s", middle(&pair.product, |sample| sample.rate)),
            ("/s with 10,000", middle(&pair.floor, |sample| sample.rate)),
            ("p95 ms", middle(&pair.product, |sample| sample.p95)),
            ("log bytes each", middle(&pair.product, |sample| sample.log_bytes)),
            ("log bytes each with 10,000", middle(&pair.floor, |sample| sample.log_bytes)),
        ]
        .into(),
    }
}

/// Events before and after a checkpoint, and the checkpoint itself.
fn checkpoint(bench: &Bench, stand: &Stand<'_>, events: &mut Events) -> Result<Row> {
    let plan = unary(bench, stand.product.events);
    let before = load(&plan, events, &mut || stand.usage())?;
    let (from, started) = (stand.usage()?, Instant::now());
    stand.checkpoint()?;
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), stand.usage()?.database - from.database);
    let after = load(&plan, events, &mut || stand.usage())?;
    Ok(Row {
        work: WORK,
        what: "PostgreSQL, events right after a checkpoint: CPU of service and database".to_owned(),
        unit: "us",
        product: vec![after.cpu()],
        floor: vec![before.cpu()],
        floor_is: "before it".to_owned(),
        goal: Goal::None,
        calls: after.calls,
        notes: [
            ("checkpoint s", seconds),
            ("checkpoint CPU s", cpu),
            ("/s before", before.rate),
            ("/s after", after.rate),
            ("log bytes each before", before.log_bytes),
            ("log bytes each after", after.log_bytes),
        ]
        .into(),
    })
}
