//! The report as one page that needs nothing else: no network, no script.

mod flame;
mod parts;

use std::fmt::Write as _;

use super::{
    Report,
    chart::{Line, draw, escape},
};
use crate::collect::Track;

const STYLE: &str = include_str!("html/style.css");

/// Writes the page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut out = String::with_capacity(64 * 1024);
    let (run, verdict) = (&report.scenario, &report.verdict);
    let class = match verdict.code {
        0 => "good",
        3 => "unsure",
        _ => "bad",
    };
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}: {headline}</title><style>{STYLE}</style></head><body>\
         <header class=\"{class}\"><h1>{headline}</h1><p>{title} &middot; <code>{name}</code> &middot; {started} \
         &middot; {seconds:.0} s of {planned:.0} s &middot; {players} players, {users} users{waits} &middot; seed \
         {seed} &middot; exit code {code}</p></header><main>",
        title = escape(&run.title),
        headline = escape(&verdict.headline),
        name = escape(&run.name),
        started = escape(&run.started),
        seconds = run.seconds,
        planned = run.planned_seconds,
        players = run.players,
        users = run.users,
        waits = if run.speed > 1.0 {
            format!(" &middot; waits {} times shorter", run.speed)
        } else {
            String::new()
        },
        seed = run.seed,
        code = verdict.code,
    );
    if !verdict.sentences.is_empty() {
        out.push_str("<section><ul class=\"sentences\">");
        for sentence in &verdict.sentences {
            let _ = write!(out, "<li>{}</li>", escape(sentence));
        }
        out.push_str("</ul></section>");
    }
    parts::first_screen(&mut out, report);
    parts::endpoints(&mut out, report);
    charts(&mut out, report);
    parts::drift(&mut out, report);
    parts::ledger(&mut out, report);
    flame::profiles(&mut out, report);
    parts::collected(&mut out, report);
    parts::facts(&mut out, report);
    out.push_str("</main></body></html>\n");
    out
}

fn charts(out: &mut String, report: &Report) {
    let series = &report.series;
    let times: Vec<f64> = {
        let steps = u32::try_from(series.achieved.len()).unwrap_or_default();
        (0..steps).map(|step| f64::from(step) * series.step_seconds).collect()
    };
    let line = |name: &str, values: &[f64]| Line {
        name: name.to_owned(),
        points: times.iter().copied().zip(values.iter().copied().map(Some)).collect(),
    };
    out.push_str("<section><h2>Over time</h2><div class=\"charts\">");
    // A step that the load filled in part only would look like a fall of the rate.
    let end = report.scenario.seconds + 0.001;
    let whole = times.iter().filter(|start| **start + series.step_seconds <= end).count().max(1);
    let rate = |name: &str, values: &[f64]| line(name, values.get(..whole).unwrap_or(values));
    let rates = [rate("arrivals due", &series.offered), rate("calls and events ended", &series.achieved)];
    out.push_str(&draw("Offered and achieved", "1/s", &rates, false));
    if !series.failures.is_empty() {
        let failures: Vec<Line> = series
            .failures
            .iter()
            .map(|failures| {
                let counts: Vec<f64> =
                    failures.count.iter().map(|count| crate::units::float(*count)).collect();
                line(&failures.name, &counts)
            })
            .collect();
        out.push_str(&draw("Failures by cause", "in each step", &failures, true));
    }
    for endpoint in &series.endpoints {
        let percentile = |name: &str, values: &[Option<f64>]| Line {
            name: name.to_owned(),
            points: times.iter().copied().zip(values.iter().copied()).collect(),
        };
        let lines = [
            percentile("p50", &endpoint.p50),
            percentile("p95", &endpoint.p95),
            percentile("p99", &endpoint.p99),
        ];
        out.push_str(&draw(&format!("Latency of {}", endpoint.name), "ms", &lines, false));
    }
    for (title, unit, part) in [
        ("Processor", "cores", ": CPU"),
        ("Memory", "bytes", ": memory"),
        ("Threads", "", ": threads"),
        ("Open files and connections", "", ": open files"),
        ("Under way", "", "calls under way"),
        ("Users", "", "users in a session"),
        ("Connection pool of the server", "connections", "pool: c"),
        ("Queues of the server", "operations", "queues: "),
        ("Connections of PostgreSQL", "", "PostgreSQL: "),
        ("Largest tables", "bytes for each row", ": bytes for each row"),
        ("Dead rows of the largest tables", "for each row", ": dead rows for each row"),
    ] {
        let tracks: Vec<Line> = report
            .collected
            .iter()
            .flat_map(|collected| &collected.tracks)
            .filter(|track| track.name.contains(part))
            .map(of_track)
            .collect();
        if !tracks.is_empty() {
            out.push_str(&draw(title, unit, &tracks, false));
        }
    }
    out.push_str("</div></section>");
}

fn of_track(track: &Track) -> Line {
    Line {
        name: track.name.clone(),
        points: track.points.iter().map(|(at, value)| (*at, Some(*value))).collect(),
    }
}
