//! The report as Markdown: all of it but the charts.

use std::fmt::Write as _;

use super::{DriftEnd, DriftFound, EndpointFound, Gate, GateEnd, Latencies, Report};
use crate::units::thousands;

/// Writes the page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let run = &report.scenario;
    writeln!(out, "# {}: {}\n", run.title, report.verdict.headline)?;
    writeln!(
        out,
        "Scenario `{}`, begun {}, {:.0} s of load of {:.0} s planned; {} players, {} users; seed {}; exit code {}.\n",
        run.name,
        run.started,
        run.seconds,
        run.planned_seconds,
        run.players,
        run.users,
        run.seed,
        report.verdict.code
    )?;
    for sentence in &report.verdict.sentences {
        writeln!(out, "- {sentence}")?;
    }
    writeln!(out, "\n## What failed: {} calls\n", thousands(report.failed))?;
    if report.failed == 0 {
        writeln!(out, "Nothing.")?;
    }
    for cause in &report.causes {
        writeln!(out, "- {}", cause.sentence)?;
    }
    if report.unexplained > 0 {
        writeln!(
            out,
            "- {} failures of other kinds, for which there was no room.",
            thousands(report.unexplained)
        )?;
    }
    writeln!(out, "\n## Thresholds\n\n| of | measure | value | 95 % interval | limit | samples | |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for gate in &report.gates {
        write_gate(out, gate)?;
    }
    writeln!(out, "\n## Offered and achieved\n\n| | offered | achieved | |\n|---|---|---|---|")?;
    for line in &report.arithmetic {
        let offered = line.offered.map_or_else(String::new, |value| format!("{value:.1}"));
        writeln!(out, "| {} | {offered} | {:.1} | {} |", line.what, line.achieved, line.unit)?;
    }
    write_endpoints(out, report)?;
    write_drift(out, report)?;
    write_ledger(out, report)?;
    writeln!(out, "\n## Is the run valid?\n\n| | value | limit | |\n|---|---|---|---|")?;
    for check in &report.validity {
        let value = check.value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.4}"));
        let holds = if check.holds { "holds" } else { "**does not hold**" };
        writeln!(out, "| {} | {value} {} | {} | {holds} |", check.name, check.unit, check.limit)?;
    }
    for collected in report.collected.iter().filter(|collected| !collected.missing.is_empty()) {
        writeln!(out, "\nNot collected: {}: {}.", collected.name, collected.missing)?;
    }
    Ok(())
}

fn write_gate(out: &mut String, gate: &Gate) -> std::fmt::Result {
    let Gate { of, measure, value, limit, interval: (low, high), samples, unit, .. } = gate;
    let end = end(gate.end);
    writeln!(
        out,
        "| {of} | {measure} | {value:.4} {unit} | {low:.4}..{high:.4} | {limit} | {samples} | {end} |"
    )
}

/// The word for what became of a threshold.
pub(super) const fn end(end: GateEnd) -> &'static str {
    match end {
        GateEnd::Passed => "holds",
        GateEnd::Failed => "fails",
        GateEnd::Inconclusive => "too few samples to be sure",
        GateEnd::Unmeasured => "nothing measured",
    }
}

fn write_endpoints(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "\n## Endpoints\n\nMilliseconds from when a call should have begun, of those that did not fail. In brackets: \
         fewer than 10 samples lie above.\n"
    )?;
    writeln!(
        out,
        "| endpoint | 1/s | ok | expected | failed | p50 | p90 | p95 | p99 | p99.9 | p99.99 | max | service p99 |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|---|---|---|")?;
    for EndpointFound { name, rate, ok, expected, failed, .. } in &report.endpoints {
        let counts = [ok.count, expected.count, failed.count].map(thousands).join(" | ");
        writeln!(
            out,
            "| {name} | {rate:.1} | {counts} | {} | {:.1} | {:.1} |",
            percentiles(ok),
            ok.max_ms,
            ok.service_p99_ms
        )?;
    }
    Ok(())
}

/// The word for what became of a figure that may drift.
pub(super) const fn drift_end(end: DriftEnd) -> &'static str {
    match end {
        DriftEnd::Rising => "rises",
        DriftEnd::Falling => "falls",
        DriftEnd::Flat => "does not",
        DriftEnd::Unsure => "too few steps to tell",
    }
}

/// How many figures were judged.
pub(super) fn judged(report: &Report) -> usize {
    report.drift.figures.iter().filter(|found| found.end != DriftEnd::Unsure).count()
}

fn write_drift(out: &mut String, report: &Report) -> std::fmt::Result {
    for retried in &report.retries {
        let super::RetriedFound { endpoint, class, reason, tries, recovered } = retried;
        writeln!(
            out,
            "\nRepeated: {tries} tries of {endpoint} ({class}, {reason}); {recovered} ended well."
        )?;
    }
    writeln!(out, "\n## Drift\n")?;
    let rising: Vec<&DriftFound> = report.drift.rising().collect();
    match (rising.len(), judged(report)) {
        (_, 0) => writeln!(out, "The run was too short to tell.")?,
        (0, judged) => writeln!(out, "None of {judged} figures rises.")?,
        (_, judged) => {
            for DriftFound { name, unit, first, last, .. } in &rising {
                writeln!(out, "- {name} rises from {first:.3} to {last:.3} {unit}")?;
            }
            writeln!(out, "\n{} of {judged} figures rise.", rising.len())?;
        }
    }
    Ok(())
}

fn percentiles(of: &Latencies) -> String {
    if of.quantiles.is_empty() {
        return "| | | | |".to_owned();
    }
    let cell = |quantile: &super::Quantile| {
        if quantile.thin { format!("({:.1})", quantile.ms) } else { format!("{:.1}", quantile.ms) }
    };
    of.quantiles.iter().map(cell).collect::<Vec<_>>().join(" | ")
}

fn write_ledger(out: &mut String, report: &Report) -> std::fmt::Result {
    let (states, grants) = (&report.states, &report.grants);
    writeln!(out, "\n## Ledger\n")?;
    if states.not_checked.is_empty() {
        writeln!(
            out,
            "{} acknowledged events; {} goals of {} players compared with browsing: {} differ ({} players, {} lost \
             events explain it); {} players with too much in doubt.",
            thousands(states.events_acknowledged),
            thousands(states.goals),
            thousands(states.players),
            thousands(states.differing_goals),
            thousands(states.differing_players),
            thousands(states.lost_events),
            thousands(states.undecided)
        )?;
        for example in &states.examples {
            let crate::Difference { player, goal, predicted, shown, explanation } = example;
            writeln!(out, "- {player}, goal {goal}: must be {predicted}; is {shown}. {explanation}")?;
        }
    } else {
        writeln!(out, "Goals were not compared: {}.", states.not_checked)?;
    }
    if grants.not_checked.is_empty() {
        writeln!(
            out,
            "\n{} grants arrived = {} claims answered OK + {} settled later, of {} open ones; {} missing, {} doubled, \
             {} unasked; {} repeated calls with known keys; {} without a good signature.",
            thousands(grants.grants),
            thousands(grants.claims_ok),
            thousands(grants.settled_later),
            thousands(grants.claims_open),
            thousands(grants.missing),
            thousands(grants.doubled),
            thousands(grants.unasked),
            thousands(grants.repeated_calls),
            thousands(grants.badly_signed_calls)
        )?;
        for example in &grants.examples {
            writeln!(out, "- {example}")?;
        }
    } else {
        writeln!(out, "\nGrants were not counted: {}.", grants.not_checked)?;
    }
    Ok(())
}
