//! The tables of the page.

use std::fmt::Write as _;

use crate::{
    report::{
        Check, DriftEnd, EndpointFound, Gate, GateEnd, Latencies, Report, chart::escape, markdown, summary,
    },
    units::thousands,
};

/// Thresholds, validity, causes, and the arithmetic of the load.
pub(super) fn first_screen(out: &mut String, report: &Report) {
    out.push_str("<section><h2>What failed</h2>");
    let failed = thousands(report.failed);
    // Writing to a String cannot fail.
    let _ = match report.failed {
        0 => write!(out, "<p>Nothing.</p>"),
        _ => write!(out, "<p>{failed} calls and events. The causes below add up to them.</p>"),
    };
    for cause in &report.causes {
        let class = if cause.expected { " class=\"soft\"" } else { "" };
        let _ = write!(out, "<details{class}><summary>{}</summary>", escape(&cause.sentence));
        for example in &cause.examples {
            let _ = write!(
                out,
                "<pre>{} s  {} {}  {}  status {}  {}</pre>",
                escape(&example.at),
                escape(&example.method),
                escape(&example.path),
                escape(&example.player),
                example.status,
                escape(&example.body)
            );
        }
        out.push_str("</details>");
    }
    if report.unexplained > 0 {
        let _ = write!(
            out,
            "<p>{} of other kinds, for which there was no room.</p>",
            thousands(report.unexplained)
        );
    }
    out.push_str(
        "</section><section><h2>Thresholds</h2><table><tr><th>of</th><th class=\"text\">measure</th>",
    );
    out.push_str(
        "<th>value</th><th>95 % interval</th><th>below</th><th>samples</th><th class=\"text\"></th></tr>",
    );
    for gate in summary::worst(report) {
        self::gate(out, gate);
    }
    out.push_str("</table></section><div class=\"two\"><section><h2>Is the run valid?</h2><table>");
    out.push_str("<tr><th></th><th>value</th><th>at most</th><th></th></tr>");
    for check in &report.validity {
        self::check(out, check);
    }
    out.push_str("</table></section><section><h2>Offered and achieved</h2><table>");
    out.push_str("<tr><th></th><th>offered</th><th>achieved</th><th></th></tr>");
    for line in &report.arithmetic {
        let offered = line.offered.map_or_else(String::new, number);
        let (what, achieved, unit) = (escape(&line.what), number(line.achieved), escape(&line.unit));
        let _ = write!(out, "<tr><td>{what}</td><td>{offered}</td><td>{achieved}</td><td>{unit}</td></tr>");
    }
    out.push_str("</table></section></div>");
}

fn gate(out: &mut String, gate: &Gate) {
    let class = match gate.end {
        GateEnd::Passed => "good",
        GateEnd::Failed => "bad",
        GateEnd::Inconclusive | GateEnd::Unmeasured => "unsure",
    };
    let _ = write!(
        out,
        "<tr><td>{}</td><td class=\"text\">{}</td><td>{} {unit}</td><td>{} to {}</td><td>{} {unit}</td><td>{}</td>\
         <td class=\"text {class}\">{}</td></tr>",
        escape(&gate.of),
        escape(&gate.measure),
        number(gate.value),
        number(gate.interval.0),
        number(gate.interval.1),
        gate.limit,
        thousands(gate.samples),
        markdown::end(gate.end),
        unit = escape(&gate.unit),
    );
}

fn check(out: &mut String, check: &Check) {
    let value = check.value.map_or_else(|| "not measured".to_owned(), number);
    let (class, word) = if check.holds { ("good", "holds") } else { ("bad", "does not hold") };
    let (name, unit) = (escape(&check.name), escape(&check.unit));
    let _ = write!(
        out,
        "<tr><td>{name}</td><td>{value} {unit}</td><td>{}</td><td class=\"{class}\">{word}</td></tr>",
        check.limit
    );
}

/// A number with as many digits as mean something.
pub(super) fn number(value: f64) -> String {
    let text = if value == 0.0 {
        "0".to_owned()
    } else if value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The table of endpoints.
pub(super) fn endpoints(out: &mut String, report: &Report) {
    out.push_str(
        "<section><h2>Endpoints</h2><p class=\"soft\">Milliseconds from when a call should have begun. Grey: fewer \
         than ten samples lie above. Hold the pointer over a figure for its 95 % interval.</p><table><tr><th></th>\
         <th>1/s</th><th>count</th><th>p50</th><th>p90</th><th>p95</th><th>p99</th><th>p99.9</th><th>p99.99</th>\
         <th>max</th><th>service p50</th><th>p95</th><th>p99</th></tr>",
    );
    for EndpointFound { name, rate, ok, expected, failed, .. } in &report.endpoints {
        let name = escape(name);
        row(out, &name, &format!("{rate:.1}"), ok);
        if expected.count > 0 {
            row(out, &format!("{name}, expected refusals"), "", expected);
        }
        if failed.count > 0 {
            row(out, &format!("{name}, failed"), "", failed);
        }
    }
    out.push_str("</table>");
    if !report.retries.is_empty() {
        out.push_str(
            "<h3>Tries that were repeated</h3><p class=\"soft\">They are no calls of their own: a call's ",
        );
        out.push_str(
            "latency counts from when it should have begun to its last answer.</p><table><tr><th></th>",
        );
        out.push_str("<th class=\"text\">what came back</th><th>tries</th><th>came to a good end</th></tr>");
        for retried in &report.retries {
            let _ = write!(
                out,
                "<tr><td>{}</td><td class=\"text\">{}, {}</td><td>{}</td><td>{}</td></tr>",
                escape(&retried.endpoint),
                escape(&retried.class),
                escape(&retried.reason),
                thousands(retried.tries),
                thousands(retried.recovered)
            );
        }
        out.push_str("</table>");
    }
    out.push_str("</section>");
}

/// What grows while the load does not.
pub(super) fn drift(out: &mut String, report: &Report) {
    let figures = &report.drift.figures;
    if figures.is_empty() {
        return;
    }
    let (class, headline) = match (report.drift.rising().count(), markdown::judged(report)) {
        (0, 0) => ("soft", "The run was too short to tell.".to_owned()),
        (0, judged) => ("good", format!("None of {judged} figures rises.")),
        (rising, judged) => ("bad", format!("{rising} of {judged} figures rise.")),
    };
    let _ = write!(out, "<section><h2>Drift</h2><p class=\"{class}\">{headline}</p><details");
    out.push_str(if class == "bad" { " open" } else { "" });
    out.push_str(
        "><summary>Medians of the first and the last third, without the first quarter of the run</summary>",
    );
    out.push_str("<table><tr><th></th><th>first</th><th>last</th><th></th><th class=\"text\"></th></tr>");
    for found in figures {
        let class = match found.end {
            DriftEnd::Rising => "bad",
            DriftEnd::Unsure => "thin",
            DriftEnd::Flat | DriftEnd::Falling => "good",
        };
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"text {class}\">{}</td></tr>",
            escape(&found.name),
            number(found.first),
            number(found.last),
            escape(&found.unit),
            markdown::drift_end(found.end)
        );
    }
    out.push_str("</table></details></section>");
}

fn row(out: &mut String, name: &str, rate: &str, of: &Latencies) {
    let _ = write!(out, "<tr><td>{name}</td><td>{rate}</td><td>{}</td>", thousands(of.count));
    if of.quantiles.is_empty() {
        out.push_str("<td></td><td></td><td></td><td></td><td></td><td></td>");
    }
    for quantile in &of.quantiles {
        let class = if quantile.thin { " class=\"thin\"" } else { "" };
        let (low, high) = (number(quantile.low_ms), number(quantile.high_ms));
        let _ = write!(out, "<td{class} title=\"{low} to {high} ms\">{}</td>", number(quantile.ms));
    }
    let cells = [of.max_ms, of.service_p50_ms, of.service_p95_ms, of.service_p99_ms].map(number);
    for cell in cells {
        let _ = write!(out, "<td>{cell}</td>");
    }
    out.push_str("</tr>");
}

/// The ledger.
pub(super) fn ledger(out: &mut String, report: &Report) {
    let (states, grants) = (&report.states, &report.grants);
    out.push_str(
        "<section><h2>Ledger</h2><div class=\"two\"><div><h3>Goals beside what was acknowledged</h3>",
    );
    if states.not_checked.is_empty() {
        counts(
            out,
            &[
                ("events acknowledged", states.events_acknowledged),
                ("players compared", states.players),
                ("goals compared", states.goals),
                ("goals that differ", states.differing_goals),
                ("players with a difference", states.differing_players),
                ("lost events that explain it", states.lost_events),
                ("players with too much in doubt", states.undecided),
            ],
        );
        for example in &states.examples {
            let crate::Difference { player, goal, predicted, shown, explanation } = example;
            let line = format!("{player}, goal {goal}: must be {predicted}; is {shown}. {explanation}");
            let _ = write!(out, "<pre>{}</pre>", escape(&line));
        }
    } else {
        let _ = write!(out, "<p>Not compared: {}.</p>", escape(&states.not_checked));
    }
    out.push_str("</div><div><h3>Grants beside claims</h3>");
    if grants.not_checked.is_empty() {
        counts(
            out,
            &[
                ("claims answered OK", grants.claims_ok),
                ("claims without a clear answer", grants.claims_open),
                ("of these granted after all", grants.settled_later),
                ("grants that arrived", grants.grants),
                ("missing", grants.missing),
                ("beyond one for each claim", grants.doubled),
                ("claimed by nobody", grants.unasked),
                ("repeated calls with known keys", grants.repeated_calls),
                ("calls without a good signature", grants.badly_signed_calls),
            ],
        );
        for example in &grants.examples {
            let _ = write!(out, "<pre>{}</pre>", escape(example));
        }
    } else {
        let _ = write!(out, "<p>Not counted: {}.</p>", escape(&grants.not_checked));
    }
    out.push_str("</div></div></section>");
}

fn counts(out: &mut String, rows: &[(&str, u64)]) {
    out.push_str("<table>");
    for (name, count) in rows {
        let _ = write!(out, "<tr><td>{name}</td><td>{}</td></tr>", thousands(*count));
    }
    out.push_str("</table>");
}

/// What was looked at beside the load.
pub(super) fn collected(out: &mut String, report: &Report) {
    out.push_str("<section><h2>Beside the load</h2>");
    for collected in &report.collected {
        if !collected.missing.is_empty() {
            let (name, why) = (escape(&collected.name), escape(&collected.missing));
            let _ = write!(out, "<p>{name}: <b>not collected</b>: {why}.</p>");
        }
        if !collected.statements.is_empty() {
            out.push_str("<h3>Statements of the database</h3><table><tr><th>statement</th><th>calls</th>");
            out.push_str("<th>mean ms</th><th>total ms</th><th>rows</th></tr>");
            for statement in &collected.statements {
                let _ = write!(
                    out,
                    "<tr><td><code>{}</code></td><td>{}</td><td>{:.3}</td><td>{:.0}</td><td>{}</td></tr>",
                    escape(&statement.text),
                    number(statement.calls),
                    statement.mean_ms,
                    statement.total_ms,
                    number(statement.rows)
                );
            }
            out.push_str("</table>");
        }
        if !collected.figures.is_empty() {
            let (name, count) = (escape(&collected.name), collected.figures.len());
            let _ = write!(out, "<details><summary>{name}: {count} figures</summary><table>");
            for figure in &collected.figures {
                let (name, value, unit) = (escape(&figure.name), number(figure.value), escape(&figure.unit));
                let _ = write!(out, "<tr><td><code>{name}</code></td><td>{value} {unit}</td></tr>");
            }
            out.push_str("</table></details>");
        }
    }
    out.push_str("</section>");
}

/// Machine and configuration.
pub(super) fn facts(out: &mut String, report: &Report) {
    out.push_str("<div class=\"two\">");
    for (title, facts) in
        [("Machine of the lab", &report.environment), ("Configuration", &report.configuration)]
    {
        let _ = write!(out, "<section><h2>{title}</h2><table>");
        for (name, value) in facts {
            let _ =
                write!(out, "<tr><td>{}</td><td class=\"text\">{}</td></tr>", escape(name), escape(value));
        }
        out.push_str("</table></section>");
    }
    out.push_str("</div>");
}
