//! The report: everything that a run has found, as data. `report.json` is this, written with
//! serde; the pages show nothing that is not in it.

mod causes;
mod chart;
mod drift;
pub mod html;
mod junit;
mod make;
pub mod markdown;
mod quantiles;
mod schema;
mod summary;
mod validity;
mod verdict;

use std::collections::BTreeMap;

pub use drift::{Drift, DriftEnd, DriftFound};
pub use junit::junit;
pub(crate) use make::{Found, make};
pub use schema::schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use summary::summary;
pub use verdict::Exit;

use crate::{
    collect::{Collected, ProfileFound},
    ledger::{GrantsFound, StatesFound},
    outcome::Example,
};

/// The version of the form; a reader refuses others.
pub const VERSION: u32 = 2;

/// Everything that a run has found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// False: the run had not ended, and nothing was checked, when this was written.
    pub complete: bool,
    /// How the program ends, and why.
    pub verdict: Verdict,
    /// What was run.
    pub scenario: ScenarioRun,
    /// What the scenario offers beside what was done.
    pub arithmetic: Vec<Offered>,
    /// Whether the run says anything about the server.
    pub validity: Vec<Check>,
    /// What had to hold.
    pub gates: Vec<Gate>,
    /// What failed, and why; the counts add up to `failed`.
    pub causes: Vec<CauseFound>,
    /// Calls and events that failed.
    pub failed: u64,
    /// Those of them for which there is no cause.
    pub unexplained: u64,
    /// Tries that were followed by another one; neither calls of their own nor failures.
    pub retries: Vec<RetriedFound>,
    /// By endpoint.
    pub endpoints: Vec<EndpointFound>,
    /// Goals beside what was acknowledged.
    pub states: StatesFound,
    /// Grants beside claims.
    pub grants: GrantsFound,
    /// Over time.
    pub series: SeriesFound,
    /// What grows while the load does not.
    pub drift: Drift,
    /// What was looked at beside the load.
    pub collected: Vec<Collected>,
    /// Where the server's processor time and memory are, if that was asked for.
    pub profiles: Vec<ProfileFound>,
    /// The machine of the lab.
    pub environment: BTreeMap<String, String>,
    /// How server and run were set up.
    pub configuration: BTreeMap<String, String>,
}

/// How the program ends, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The exit code.
    pub code: u8,
    /// One line.
    pub headline: String,
    /// One sentence for each thing that is wrong.
    pub sentences: Vec<String>,
}

/// What was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioRun {
    /// Its name.
    pub name: String,
    /// One line.
    pub title: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it was to last.
    pub planned_seconds: f64,
    /// How long it lasted, until the last answer.
    pub seconds: f64,
    /// It was stopped before its time.
    pub stopped_early: bool,
    /// How many times shorter the waits were.
    pub speed: f64,
    /// The seed of all draws.
    pub seed: u64,
    /// Players.
    pub players: u32,
    /// Players prepared before the load.
    pub prepared: u32,
    /// Users of the closed model.
    pub users: u32,
}

/// A figure of the scenario beside what was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "a line of a table that is called so")]
pub struct Offered {
    /// What.
    pub what: String,
    /// What the scenario offers, if calls took no time; `None`: nothing follows from it.
    pub offered: Option<f64>,
    /// What was done.
    pub achieved: f64,
    /// In which unit.
    pub unit: String,
}

/// One condition for the run to say anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What.
    pub name: String,
    /// How much; `None`: it could not be measured.
    pub value: Option<f64>,
    /// At most this.
    pub limit: f64,
    /// In which unit.
    pub unit: String,
    /// Whether it holds.
    pub holds: bool,
    /// What it means when it does not.
    pub note: String,
}

/// What became of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GateEnd {
    /// The whole interval is below the limit.
    Passed,
    /// The value is not below the limit.
    Failed,
    /// The value is below the limit, its interval is not: more samples would tell.
    Inconclusive,
    /// Nothing was measured.
    Unmeasured,
}

/// A threshold and what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// An endpoint, `events` or `all`.
    pub of: String,
    /// What was measured.
    pub measure: String,
    /// Less than this.
    pub limit: f64,
    /// The value.
    pub value: f64,
    /// The interval in which it lies in 95 of 100 cases.
    pub interval: (f64, f64),
    /// How many samples stand behind it.
    pub samples: u64,
    /// In which unit.
    pub unit: String,
    /// What became of it.
    pub end: GateEnd,
}

/// What failed alike, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CauseFound {
    /// One sentence.
    pub sentence: String,
    /// Which endpoint.
    pub endpoint: String,
    /// How it looked on the wire.
    pub class: String,
    /// What the server said.
    pub reason: String,
    /// Whether the scenario expects it; then it is no failure.
    pub expected: bool,
    /// How many.
    pub count: u64,
    /// When the first one ended, in seconds.
    pub first_seconds: f64,
    /// When the last one ended, in seconds.
    pub last_seconds: f64,
    /// Median time to the answer, in milliseconds.
    pub median_ms: f64,
    /// Some of them.
    pub examples: Vec<Example>,
}

/// Tries of one endpoint that ended alike and were followed by another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetriedFound {
    /// Which endpoint.
    pub endpoint: String,
    /// How it looked on the wire.
    pub class: String,
    /// What the server said.
    pub reason: String,
    /// How many tries.
    pub tries: u64,
    /// How many of them belong to calls that came to a good end.
    pub recovered: u64,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointFound {
    /// Its name.
    pub name: String,
    /// Whether it takes events.
    pub event: bool,
    /// Calls that ended, a second.
    pub rate: f64,
    /// Did what they were made for.
    pub ok: Latencies,
    /// Were refused as the scenario expects.
    pub expected: Latencies,
    /// Everything else.
    pub failed: Latencies,
}

/// Latencies of calls that ended alike, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latencies {
    /// How many.
    pub count: u64,
    /// From when they should have begun.
    pub quantiles: Vec<Quantile>,
    /// The longest.
    pub max_ms: f64,
    /// Median from when they did begin: less than the other one by how late the lab was.
    pub service_p50_ms: f64,
    /// 95th percentile from when they did begin.
    pub service_p95_ms: f64,
    /// 99th percentile from when they did begin.
    pub service_p99_ms: f64,
}

/// A percentile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantile {
    /// Which, 0 to 100.
    pub percent: f64,
    /// Milliseconds.
    pub ms: f64,
    /// The interval in which it lies in 95 of 100 cases.
    pub low_ms: f64,
    /// Its upper end.
    pub high_ms: f64,
    /// Whether fewer than ten samples lie above: then it is hardly more than an anecdote.
    pub thin: bool,
}

/// Over time; all lists are of one length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
pub struct SeriesFound {
    /// Length of a step in seconds.
    pub step_seconds: f64,
    /// Arrivals that were due, a second.
    pub offered: Vec<f64>,
    /// Calls and events that ended, a second.
    pub achieved: Vec<f64>,
    /// By endpoint.
    pub endpoints: Vec<EndpointSeries>,
    /// Failures of each step by cause.
    pub failures: Vec<FailureSeries>,
}

/// One endpoint over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointSeries {
    /// Its name.
    pub name: String,
    /// Calls that ended.
    pub count: Vec<u64>,
    /// Milliseconds; `None`: nothing ended.
    pub p50: Vec<Option<f64>>,
    /// Milliseconds.
    pub p95: Vec<Option<f64>>,
    /// Milliseconds.
    pub p99: Vec<Option<f64>>,
}

/// The failures of one cause over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailureSeries {
    /// The cause.
    pub name: String,
    /// How many in each step.
    pub count: Vec<u64>,
}
