//! What the size of the catalogue costs an event. Instructions are counted, because times of a
//! machine that others use as well say nothing about ten per cent.
//!
//! The real binary runs under `valgrind --tool=callgrind`, twice for each catalogue: what an event
//! costs is the difference between many events and few, so starting up and reading the catalogue
//! do not count. One event is in flight at a time: every batch is one event.

use gauntlet_domain::catalogue::LOAD_STATS;

use crate::{
    Result,
    bench::Bench,
    catalogues::{self, Mix},
    figures::{Goal, Row, Usage},
    generator::{self, Plan, Pressure, Protocol},
    report::Report,
    requests::{Events, STAT_PATH},
    stand::{Kind, Stand},
};

const UNDER: &[&str] = &["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];
const SIZES: [usize; 3] = [50, 500, 5_000];
const FEW: usize = 500;
const MANY: usize = 3_000;
const PLAYERS: u32 = 100;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut each = Vec::new();
    for goals in SIZES {
        let few = instructions(bench, goals, FEW)?;
        let many = instructions(bench, goals, MANY)?;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let events = (MANY - FEW) as f64;
        each.push((many - few) / events);
        crate::progress(&format!("{goals} goals: {:.0} instructions an event", (many - few) / events));
    }
    for (goals, cost) in SIZES.iter().zip(&each).skip(1) {
        report.add(Row {
            work: "catalogue",
            what: format!("SQLite, one event, catalogue of {goals} goals"),
            unit: "instructions",
            product: vec![*cost],
            floor: vec![each[0]],
            floor_is: format!("{} goals", SIZES[0]),
            goal: Goal::AtMost(1.1),
            calls: (MANY - FEW) as u64,
            notes: [].into(),
        });
    }
    Ok(())
}

/// What the whole process executes when it serves so many events.
fn instructions(bench: &Bench, goals: usize, events: usize) -> Result<f64> {
    let definition = catalogues::events(goals, 10, Mix::Usual)?;
    let stand = Stand::under(bench, UNDER, Kind::Sqlite, &definition, PLAYERS)?;
    let protocol = Protocol::Grpc(vec![STAT_PATH.to_owned()]);
    let plan = Plan {
        connections: 1,
        length: std::time::Duration::from_secs(300),
        ..bench.plan(stand.product.events, protocol, Pressure::Count(events))
    };
    generator::run(&plan, &mut Events::new(PLAYERS, &LOAD_STATS)?, &mut || Ok(Usage::default()))?;
    let said = stand.stop()?;
    let line = said.iter().find_map(|line| line.split_once("Collected :"));
    let (_, count) = line.ok_or("valgrind did not say how many instructions it saw")?;
    Ok(count.trim().parse()?)
}
