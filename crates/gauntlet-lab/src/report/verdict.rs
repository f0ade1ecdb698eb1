//! The verdict: which exit code, and one sentence for each thing that is wrong.

use std::fmt::Write as _;

use super::{Check, DriftFound, Gate, GateEnd, Report, Verdict};
use crate::units::thousands;

/// How the program ends. The worst wins: a broken ledger outranks everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked for holds.
    Pass = 0,
    /// The command line, or something in the lab itself.
    Usage = 1,
    /// A threshold does not hold.
    Threshold = 2,
    /// The run says nothing about the server.
    Invalid = 3,
    /// The server lost, or gave twice, what it had acknowledged.
    Ledger = 4,
    /// Worse than before, beyond noise.
    Regression = 5,
    /// There is nothing comparable.
    NoBaseline = 6,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// Judges a report, whose own verdict is not looked at.
pub(super) fn judge(report: &Report) -> Verdict {
    let ledger = ledger(report);
    let invalid: Vec<String> = report.validity.iter().filter(|check| !check.holds).map(check).collect();
    let gates: Vec<String> =
        report.gates.iter().filter(|gate| gate.end == GateEnd::Failed).map(gate).collect();
    let rising: Vec<String> = report.drift.rising().map(drift).collect();
    let drifts = report.drift.fails && !rising.is_empty();
    let (exit, headline) = if !ledger.is_empty() {
        (Exit::Ledger, "the ledger is broken: the server did not keep what it had acknowledged")
    } else if !report.complete {
        (Exit::Invalid, "the run has not ended")
    } else if !invalid.is_empty() {
        (Exit::Invalid, "the run is invalid: it says nothing about the server")
    } else if !gates.is_empty() {
        (Exit::Threshold, "failed: a threshold does not hold")
    } else if drifts {
        (Exit::Threshold, "failed: what must not grow grows")
    } else {
        (Exit::Pass, "passed")
    };
    let unsure = report.gates.iter().filter(|gate| gate.end == GateEnd::Inconclusive).count();
    let mut sentences: Vec<String> = ledger.into_iter().chain(invalid).chain(gates).chain(rising).collect();
    if unsure > 0 {
        sentences.push(format!(
            "Too few samples to be sure of {unsure} of {} thresholds: their values are below the limits, the upper \
             ends of their intervals are not.",
            report.gates.len()
        ));
    }
    if report.complete {
        for not_checked in [&report.states.not_checked, &report.grants.not_checked] {
            if !not_checked.is_empty() {
                sentences.push(format!("Part of the ledger was not checked: {not_checked}."));
            }
        }
    }
    if report.scenario.stopped_early {
        sentences.push(
            "The run was stopped before its time; everything here is of the part that was run.".to_owned(),
        );
    }
    Verdict { code: exit.code(), headline: headline.to_owned(), sentences }
}

fn ledger(report: &Report) -> Vec<String> {
    let (states, grants) = (&report.states, &report.grants);
    let mut sentences = Vec::new();
    if states.differing_players > 0 {
        let mut text = format!(
            "{} goals of {} players are not what was acknowledged",
            thousands(states.differing_goals),
            thousands(states.differing_players)
        );
        if states.lost_events > 0 {
            let lost = thousands(states.lost_events);
            // Writing to a String cannot fail.
            let _ = write!(text, "; {lost} acknowledged events that were not counted explain it");
            if states.unexplained_players > 0 {
                let _ = write!(text, ", but for {} players", thousands(states.unexplained_players));
            }
        }
        if let Some(example) = states.examples.first() {
            let crate::Difference { player, goal, predicted, shown, .. } = example;
            let _ = write!(text, "; for example {player}, goal {goal}: must be {predicted}; is {shown}");
        }
        sentences.push(text + ".");
    }
    if grants.badly_signed_calls > 0 {
        sentences.push(format!(
            "{} grants came without a good signature, and were refused.",
            thousands(grants.badly_signed_calls)
        ));
    }
    for (count, what) in [
        (grants.doubled, "rewards were granted beyond the one that a claim is worth"),
        (grants.missing, "claims were answered OK and never granted"),
        (grants.unasked, "rewards were granted that nobody had claimed"),
    ] {
        if count > 0 {
            let examples = grants.examples.first().map_or("", String::as_str);
            sentences.push(format!("{} {what}; for example {examples}.", thousands(count)));
        }
    }
    sentences
}

fn drift(found: &DriftFound) -> String {
    let DriftFound { name, unit, first, last, .. } = found;
    format!(
        "{name} rises: {first:.3} {unit} after the first quarter of the run, {last:.3} {unit} at its end."
    )
}

fn check(check: &Check) -> String {
    let unit = if check.unit.is_empty() { String::new() } else { format!(" {}", check.unit) };
    match check.value {
        Some(value) => {
            format!(
                "{} is {value:.4}{unit}, and at most {}{unit} is allowed: {}.",
                check.name, check.limit, check.note
            )
        }
        None => format!("{} could not be measured.", check.name),
    }
}

fn gate(gate: &Gate) -> String {
    let Gate { of, measure, value, limit, unit, samples, .. } = gate;
    let samples = thousands(*samples);
    format!("{measure} of {of} is {value:.4} {unit} ({samples} samples); it has to be below {limit} {unit}.")
}
