//! A run beside earlier ones: better, worse, noise, or nobody can tell.

use serde::Serialize;

use crate::report::{EndpointFound, Exit, Report, VERSION};

/// A percentile that has moved by less than this share is called noise whatever the samples say:
/// two runs of the same program differ by as much on a quiet machine.
const FLOOR: f64 = 0.05;
/// What is compared of each endpoint.
const PERCENTS: [f64; 3] = [50.0, 95.0, 99.0];

/// What became of one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Lower than all earlier runs, beyond noise.
    Better,
    /// Higher than all earlier runs, beyond noise.
    Worse,
    /// Within what repeated runs differ by.
    Noise,
    /// One earlier run, or too few samples: nothing says how much of it is noise.
    Unsure,
}

/// One figure beside earlier ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Which endpoint.
    pub endpoint: String,
    /// Which figure.
    pub figure: String,
    /// The lowest of the earlier runs, in milliseconds.
    pub before_low: f64,
    /// The highest of them.
    pub before_high: f64,
    /// This run.
    pub now: f64,
    /// What became of it.
    pub verdict: Verdict,
}

/// All figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Why the runs cannot be compared; empty: they can.
    pub not_comparable: Vec<String>,
    /// By endpoint and figure.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// How the program ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if !self.not_comparable.is_empty() {
            Exit::NoBaseline
        } else if self.rows.iter().any(|row| row.verdict == Verdict::Worse) {
            Exit::Regression
        } else {
            Exit::Pass
        }
    }
}

/// Compares a run with earlier ones of the same scenario on the same machine.
#[must_use]
pub fn compare(now: &Report, before: &[Report]) -> Comparison {
    let mut not_comparable: Vec<String> = Vec::new();
    if before.is_empty() {
        not_comparable.push("there is no earlier run".to_owned());
    }
    for earlier in before {
        for difference in differences(now, earlier) {
            if !not_comparable.contains(&difference) {
                not_comparable.push(difference);
            }
        }
    }
    let mut rows = Vec::new();
    if not_comparable.is_empty() {
        for endpoint in &now.endpoints {
            let earlier: Vec<&EndpointFound> = before
                .iter()
                .filter_map(|report| report.endpoints.iter().find(|known| known.name == endpoint.name))
                .collect();
            rows.extend(PERCENTS.into_iter().filter_map(|percent| row(endpoint, &earlier, percent)));
        }
    }
    Comparison { not_comparable, rows }
}

/// What makes two runs incomparable.
fn differences(now: &Report, earlier: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let mut same = |what: &str, now: String, earlier: String| {
        if now != earlier {
            found.push(format!("{what} differs: {now} now, {earlier} before"));
        }
    };
    same("the version of the report", now.version.to_string(), earlier.version.to_string());
    same("the scenario", now.scenario.name.clone(), earlier.scenario.name.clone());
    same("the speed", now.scenario.speed.to_string(), earlier.scenario.speed.to_string());
    same("the number of players", now.scenario.players.to_string(), earlier.scenario.players.to_string());
    same("the number of users", now.scenario.users.to_string(), earlier.scenario.users.to_string());
    same(
        "the planned length",
        now.scenario.planned_seconds.to_string(),
        earlier.scenario.planned_seconds.to_string(),
    );
    for key in ["cores", "processor", "build"] {
        let value = |report: &Report| report.environment.get(key).cloned().unwrap_or_default();
        same(&format!("the machine ({key})"), value(now), value(earlier));
    }
    for key in ["store", "rate"] {
        let value = |report: &Report| report.configuration.get(key).cloned().unwrap_or_default();
        same(&format!("the {key}"), value(now), value(earlier));
    }
    for (report, which) in [(now, "this run"), (earlier, "an earlier run")] {
        if report.version != VERSION || !report.complete || matches!(report.verdict.code, 3 | 4) {
            found.push(format!("{which} is invalid, incomplete, or its ledger is broken"));
        }
    }
    found
}

fn row(endpoint: &EndpointFound, earlier: &[&EndpointFound], percent: f64) -> Option<Row> {
    let of = |found: &EndpointFound| {
        found.ok.quantiles.iter().find(|quantile| (quantile.percent - percent).abs() < 1e-9).copied()
    };
    let now = of(endpoint)?;
    let before: Vec<_> = earlier.iter().filter_map(|found| of(found)).collect();
    if before.is_empty() {
        return None;
    }
    let low = before.iter().map(|quantile| quantile.ms).fold(f64::INFINITY, f64::min);
    let high = before.iter().map(|quantile| quantile.ms).fold(0.0, f64::max);
    // Runs of the same program differ by their spread, or by what their samples allow.
    let spread = (high - low).max(FLOOR * high);
    let thin = now.thin || before.iter().any(|quantile| quantile.thin);
    let verdict = if now.ms >= low - spread && now.ms <= high + spread {
        Verdict::Noise
    } else if before.len() < 2 || thin {
        Verdict::Unsure
    } else if now.low_ms > high + spread {
        Verdict::Worse
    } else if now.high_ms < low - spread {
        Verdict::Better
    } else {
        Verdict::Noise
    };
    Some(Row {
        endpoint: endpoint.name.clone(),
        figure: format!("p{percent}"),
        before_low: low,
        before_high: high,
        now: now.ms,
        verdict,
    })
}
