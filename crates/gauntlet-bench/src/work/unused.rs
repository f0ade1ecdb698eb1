//! Events that change nothing: of statistics that no goal uses, and of players without rows.

use gauntlet_domain::catalogue::LOAD_STATS;

use super::events::{beside_echo, cpu, rate};
use crate::{
    Result,
    bench::Bench,
    catalogues::{self, Mix},
    figures::Goal,
    process::Floor,
    report::Report,
    requests::Events,
    stand::{Kind, PLAYERS, Stand},
};

const WORK: &str = "unused";

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let floor = Floor::echo(0)?;
    for kind in Kind::BOTH {
        let stand = Stand::new(bench, kind, &catalogues::events(500, 10, Mix::Usual)?, PLAYERS)?;
        let unused = beside_echo(bench, &floor, &stand, &mut |_| Events::new(PLAYERS, &["nobody_counts"]))?;
        let what = format!("{}, a statistic without goals", kind.name());
        report.add(rate(WORK, format!("{what}: rate"), &unused, Goal::AtLeast(0.9)));
        report.add(cpu(WORK, format!("{what}: CPU"), &unused, Goal::None));

        let before = stand.events("unchanged")?;
        let strangers =
            beside_echo(bench, &floor, &stand, &mut |_| Events::of_strangers(PLAYERS, &LOAD_STATS))?;
        let what = format!("{}, players without rows", kind.name());
        let mut row = rate(WORK, format!("{what}: rate"), &strangers, Goal::AtLeast(0.5));
        row.notes.insert("events that were read and unchanged", stand.events("unchanged")? - before);
        report.add(row);
        report.add(cpu(WORK, format!("{what}: CPU"), &strangers, Goal::None));
        stand.stop()?;
    }
    Ok(())
}
