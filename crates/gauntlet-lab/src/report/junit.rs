//! The report for machines that know test results: the XML of `JUnit`. A threshold, a condition of
//! validity, a part of the ledger and a figure that may drift are a test each.

use std::fmt::Write as _;

use super::{DriftEnd, Exit, GateEnd, Report, markdown};

/// What became of a test.
enum End {
    Passed,
    /// The server did not do as it should.
    Failed(String),
    /// The run says nothing about the server.
    Error(String),
    Skipped(String),
}

/// A test: its group, its name, and what became of it.
type Case = (&'static str, String, End);

/// Writes the file.
#[must_use]
pub fn junit(report: &Report) -> String {
    let cases: Vec<Case> =
        [ledger(report), validity(report), gates(report), drift(report)].into_iter().flatten().collect();
    let count = |wanted: fn(&End) -> bool| cases.iter().filter(|(.., end)| wanted(end)).count();
    let run = &report.scenario;
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<testsuites name=\"gauntlet load\">\n<testsuite name=\"{name}\" timestamp=\"{at}\" time=\"{time:.3}\" \
         tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\">\n",
        name = escape(&run.name),
        at = escape(&run.started),
        time = run.seconds,
        tests = cases.len(),
        failures = count(|end| matches!(end, End::Failed(_))),
        errors = count(|end| matches!(end, End::Error(_))),
        skipped = count(|end| matches!(end, End::Skipped(_))),
    );
    for (group, name, end) in &cases {
        let _ = write!(
            out,
            "<testcase classname=\"load.{}.{group}\" name=\"{}\"",
            escape(&run.name),
            escape(name)
        );
        let _ = match end {
            End::Passed => writeln!(out, "/>"),
            End::Failed(why) => writeln!(out, "><failure message=\"{}\"/></testcase>", escape(why)),
            End::Error(why) => writeln!(out, "><error message=\"{}\"/></testcase>", escape(why)),
            End::Skipped(why) => writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(why)),
        };
    }
    out.push_str("<system-out>");
    for sentence in report.verdict.sentences.iter().chain(report.causes.iter().map(|cause| &cause.sentence)) {
        let _ = writeln!(out, "{}", escape(sentence));
    }
    out.push_str("</system-out>\n</testsuite>\n</testsuites>\n");
    out
}

fn ledger(report: &Report) -> Vec<Case> {
    let (states, grants) = (&report.states, &report.grants);
    let end = |not_checked: &str, clean: bool, what: String| match (not_checked, clean) {
        ("", true) => End::Passed,
        ("", false) => End::Failed(what),
        (why, _) => End::Skipped(why.to_owned()),
    };
    let differ = format!("{} goals of {} players differ", states.differing_goals, states.differing_players);
    let wrong = format!(
        "{} missing, {} doubled, {} unasked, {} without a good signature",
        grants.missing, grants.doubled, grants.unasked, grants.badly_signed_calls
    );
    vec![
        (
            "ledger",
            "goals are what was acknowledged".to_owned(),
            end(&states.not_checked, states.differing_players == 0, differ),
        ),
        (
            "ledger",
            "grants are claims, one for one".to_owned(),
            end(&grants.not_checked, grants.is_clean() && grants.badly_signed_calls == 0, wrong),
        ),
    ]
}

fn validity(report: &Report) -> Vec<Case> {
    let case = |check: &super::Check| {
        let end = match check.value {
            _ if check.holds => End::Passed,
            Some(value) => {
                End::Error(format!("{value:.4} {}, at most {}: {}", check.unit, check.limit, check.note))
            }
            None => End::Error("could not be measured".to_owned()),
        };
        ("validity", check.name.clone(), end)
    };
    report.validity.iter().map(case).collect()
}

fn gates(report: &Report) -> Vec<Case> {
    let invalid = report.verdict.code == Exit::Invalid.code();
    let case = |gate: &super::Gate| {
        let value = format!("{:.4} {}, has to be below {}", gate.value, gate.unit, gate.limit);
        let end = match gate.end {
            GateEnd::Failed if invalid => End::Skipped(format!("the run is invalid; {value}")),
            GateEnd::Failed => End::Failed(value),
            GateEnd::Unmeasured => End::Skipped(markdown::end(gate.end).to_owned()),
            GateEnd::Passed | GateEnd::Inconclusive => End::Passed,
        };
        ("thresholds", format!("{} of {}", gate.measure, gate.of), end)
    };
    report.gates.iter().map(case).collect()
}

fn drift(report: &Report) -> Vec<Case> {
    let invalid = report.verdict.code == Exit::Invalid.code();
    let case = |found: &super::DriftFound| {
        let change = format!("from {:.3} to {:.3} {}", found.first, found.last, found.unit);
        let end = match found.end {
            DriftEnd::Rising if invalid => End::Skipped(format!("the run is invalid; rises {change}")),
            DriftEnd::Rising if report.drift.fails => End::Failed(change),
            DriftEnd::Rising => {
                End::Skipped(format!("rises, which fails no run without --fail-on-drift: {change}"))
            }
            DriftEnd::Unsure => End::Skipped("too short a run to tell".to_owned()),
            DriftEnd::Flat | DriftEnd::Falling => End::Passed,
        };
        ("drift", format!("{} does not rise", found.name), end)
    };
    report.drift.figures.iter().map(case).collect()
}

/// Text within XML; what XML cannot hold becomes a space.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_stays_text() {
        assert_eq!(escape("<a b=\"c\">\u{1}&\n"), "&lt;a b=&quot;c&quot;&gt; &amp; ");
    }
}
