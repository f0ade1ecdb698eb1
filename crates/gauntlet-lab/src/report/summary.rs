//! The report in a dozen lines: for a comment on a pull request.

use std::fmt::Write as _;

use super::{Gate, Report, markdown};
use crate::units::thousands;

/// Thresholds and causes that are shown.
const SHOWN: usize = 4;

/// Writes it, in Markdown.
#[must_use]
pub fn summary(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let run = &report.scenario;
    writeln!(
        out,
        "**Load, {}: {}** (exit code {}; {:.0} s, {} users, {} players)\n",
        run.title, report.verdict.headline, report.verdict.code, run.seconds, run.users, run.players
    )?;
    let calls: u64 = report
        .endpoints
        .iter()
        .map(|endpoint| endpoint.ok.count + endpoint.expected.count + endpoint.failed.count)
        .sum();
    let (states, grants) = (&report.states, &report.grants);
    writeln!(
        out,
        "{} calls and events, {} failed. Ledger: {}; {}.",
        thousands(calls),
        thousands(report.failed),
        if states.not_checked.is_empty() {
            format!("{} of {} goals differ", thousands(states.differing_goals), thousands(states.goals))
        } else {
            "goals not compared".to_owned()
        },
        if grants.not_checked.is_empty() {
            format!(
                "{} grants for {} claims",
                thousands(grants.grants),
                thousands(grants.claims_ok + grants.settled_later)
            )
        } else {
            "grants not counted".to_owned()
        }
    )?;
    let sentences: Vec<&String> = report.verdict.sentences.iter().collect();
    let causes = report.causes.iter().filter(|cause| !cause.expected).map(|cause| &cause.sentence);
    let all: Vec<&String> = sentences.into_iter().chain(causes).collect();
    if !all.is_empty() {
        writeln!(out)?;
    }
    for sentence in all.iter().take(SHOWN) {
        writeln!(out, "- {sentence}")?;
    }
    if all.len() > SHOWN {
        writeln!(out, "- and {} more in report.html", all.len() - SHOWN)?;
    }
    if !report.gates.is_empty() {
        writeln!(out, "\n| closest to its limit | value | limit | |\n|---|---|---|---|")?;
    }
    for gate in worst(report).take(SHOWN) {
        let Gate { of, measure, value, limit, unit, .. } = gate;
        writeln!(out, "| {measure} of {of} | {value:.3} {unit} | {limit} | {} |", markdown::end(gate.end))?;
    }
    Ok(())
}

/// The thresholds of which most of the limit is used, first.
pub(super) fn worst(report: &Report) -> impl Iterator<Item = &Gate> {
    let mut gates: Vec<&Gate> = report.gates.iter().collect();
    gates.sort_by(|one, other| (other.value / other.limit).total_cmp(&(one.value / one.limit)));
    gates.into_iter()
}
