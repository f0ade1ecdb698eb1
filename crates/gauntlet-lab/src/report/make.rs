//! From what was counted to the report.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_domain::Timestamp;

use super::{
    EndpointFound, EndpointSeries, FailureSeries, Gate, GateEnd, Offered, Report, RetriedFound, ScenarioRun,
    SeriesFound, VERSION, Verdict, causes, drift, quantiles, validity, verdict,
};
use crate::{
    Scenario,
    collect::{Collected, ProfileFound},
    ledger::{GrantsFound, StatesFound},
    recorder::{Endpoint, Recorder},
    run::Plan,
    scenario::{Measure, Threshold},
    units::float,
};

/// Everything that a run has found, before it is a report.
pub(crate) struct Found<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) scenario: &'a Scenario,
    /// Milliseconds since 1970.
    pub(crate) started_at: i64,
    pub(crate) seconds: f64,
    pub(crate) early: bool,
    pub(crate) complete: bool,
    pub(crate) prepared: u32,
    pub(crate) recorder: &'a Recorder,
    /// In cores.
    pub(crate) generator_cpu: Option<f64>,
    pub(crate) clock_step: Duration,
    pub(crate) states: StatesFound,
    pub(crate) grants: GrantsFound,
    pub(crate) collected: Vec<Collected>,
    pub(crate) profiles: Vec<ProfileFound>,
}

/// Makes the report and judges it.
pub(crate) fn make(found: Found<'_>) -> Report {
    let recorder = found.recorder;
    let failed = recorder.endpoints.iter().map(|endpoint| endpoint.failed.count()).sum();
    let endpoint = |endpoint: &Endpoint| EndpointFound {
        name: endpoint.name.clone(),
        event: endpoint.event,
        rate: float(endpoint.count()) / found.seconds.max(f64::EPSILON),
        ok: quantiles::latencies(&endpoint.ok),
        expected: quantiles::latencies(&endpoint.expected),
        failed: quantiles::latencies(&endpoint.failed),
    };
    let series = series(recorder);
    let mut report = Report {
        version: VERSION,
        complete: found.complete,
        verdict: Verdict { code: 0, headline: String::new(), sentences: Vec::new() },
        scenario: scenario(&found),
        arithmetic: arithmetic(&found),
        validity: validity::checks(&found, failed),
        gates: found.scenario.thresholds.iter().map(|threshold| gate(threshold, recorder)).collect(),
        causes: causes::find(recorder, &found.collected),
        failed,
        unexplained: recorder.buckets.unexplained,
        endpoints: recorder.endpoints.iter().map(endpoint).collect(),
        retries: retries(recorder),
        drift: drift::judge(&series, &found.collected, found.plan.drift_fails),
        series,
        environment: environment(),
        configuration: found.plan.configuration.clone(),
        states: found.states,
        grants: found.grants,
        collected: found.collected,
        profiles: found.profiles,
    };
    report.verdict = verdict::judge(&report);
    report
}

fn scenario(found: &Found<'_>) -> ScenarioRun {
    let scenario = found.scenario;
    ScenarioRun {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        started: Timestamp::from_millis(found.started_at).to_rfc3339(),
        planned_seconds: scenario.duration.as_secs_f64(),
        seconds: found.seconds,
        stopped_early: found.early,
        speed: found.plan.speed,
        seed: found.plan.seed,
        players: scenario.players.count,
        prepared: found.prepared,
        users: scenario.user_count(),
    }
}

/// What follows from the scenario if calls took no time, beside what was done.
fn arithmetic(found: &Found<'_>) -> Vec<Offered> {
    let (scenario, recorder, counts) = (found.scenario, found.recorder, found.recorder.counts);
    let mut lines = Vec::new();
    let mut line = |what: String, offered: Option<f64>, achieved: f64, unit: &str| {
        lines.push(Offered { what, offered, achieved, unit: unit.to_owned() });
    };
    let offer = scenario.offer();
    if !scenario.users.is_empty() {
        line(
            "sessions planned".to_owned(),
            Some(offer.sessions_planned),
            float(counts.sessions_begun),
            "begun",
        );
        line(
            "sessions that fit into the time".to_owned(),
            Some(offer.sessions_possible),
            float(counts.sessions_done),
            "done",
        );
        line("sessions cut by the end".to_owned(), None, float(counts.sessions_cut), "");
        let of_users: std::collections::BTreeSet<&str> = scenario
            .users
            .iter()
            .flat_map(|users| &users.steps)
            .flat_map(|step| &step.choices)
            .map(|(_, action)| action.endpoint.as_str())
            .collect();
        let made = recorder.endpoints.iter().filter(|endpoint| of_users.contains(endpoint.name.as_str()));
        let made = float(made.map(Endpoint::count).sum()) + float(counts.nothing_to_claim);
        line("calls of users a second".to_owned(), Some(offer.calls), made / found.seconds, "1/s");
        line("claims not made: nothing to claim".to_owned(), None, float(counts.nothing_to_claim), "");
    }
    if !scenario.arrivals.is_empty() {
        let delivered = counts.arrivals_due - counts.undelivered;
        line("arrivals".to_owned(), Some(offer.arrivals), float(delivered), "");
        line(
            "arrivals a second".to_owned(),
            Some(offer.arrival_rate),
            float(delivered) / found.seconds,
            "1/s",
        );
        line("arrivals undelivered".to_owned(), Some(0.0), float(counts.undelivered), "");
    }
    lines
}

fn gate(threshold: &Threshold, recorder: &Recorder) -> Gate {
    let wanted = |endpoint: &Endpoint| match threshold.of.as_str() {
        "all" => true,
        "events" => endpoint.event,
        name => endpoint.name == name,
    };
    let (value, interval, samples, unit) = match threshold.measure {
        Measure::Failed => {
            let chosen = || recorder.endpoints.iter().filter(|endpoint| wanted(endpoint));
            let failed = float(chosen().map(|endpoint| endpoint.failed.count()).sum());
            let samples: u64 = chosen().map(Endpoint::count).sum();
            let n = float(samples.max(1));
            (failed / n, share_interval(failed, n), samples, "share")
        }
        Measure::Percentile(percent) => {
            let merged = recorder.merged(wanted);
            let quantile = quantiles::quantile(&merged, percent);
            (quantile.ms, (quantile.low_ms, quantile.high_ms), merged.len(), "ms")
        }
        Measure::Max => {
            let merged = recorder.merged(wanted);
            let max = if merged.is_empty() { 0.0 } else { quantiles::ms(merged.max()) };
            (max, (max, max), merged.len(), "ms")
        }
    };
    let end = if samples == 0 {
        GateEnd::Unmeasured
    } else if value >= threshold.limit {
        GateEnd::Failed
    } else if interval.1 >= threshold.limit {
        GateEnd::Inconclusive
    } else {
        GateEnd::Passed
    };
    let (of, measure) = (threshold.of.clone(), threshold.measure.to_string());
    Gate { of, measure, limit: threshold.limit, value, interval, samples, unit: unit.to_owned(), end }
}

/// Wilson's interval of a share, 95 of 100 cases.
fn share_interval(part: f64, n: f64) -> (f64, f64) {
    let (z, p) = (1.96_f64, part / n);
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

fn series(recorder: &Recorder) -> SeriesFound {
    let rows = recorder.series.rows();
    let step = Duration::from_micros(recorder.series.window()).as_secs_f64();
    let endpoint = |(at, endpoint): (usize, &Endpoint)| {
        let percentile = |which: usize| {
            rows.iter()
                .map(|row| row.endpoints[at].percentiles.map(|values| quantiles::ms(values[which])))
                .collect()
        };
        EndpointSeries {
            name: endpoint.name.clone(),
            count: rows.iter().map(|row| row.endpoints[at].count).collect(),
            p50: percentile(0),
            p95: percentile(1),
            p99: percentile(2),
        }
    };
    let failed = recorder.buckets.all.iter().enumerate().filter(|(_, bucket)| !bucket.expected);
    SeriesFound {
        step_seconds: step,
        offered: rows.iter().map(|row| float(row.offered) / step).collect(),
        achieved: rows
            .iter()
            .map(|row| float(row.endpoints.iter().map(|point| point.count).sum()) / step)
            .collect(),
        endpoints: recorder.endpoints.iter().enumerate().map(endpoint).collect(),
        failures: failed
            .map(|(at, bucket)| FailureSeries {
                name: causes::name(bucket, recorder),
                count: rows.iter().map(|row| row.failures.get(&at).copied().unwrap_or_default()).collect(),
            })
            .collect(),
    }
}

fn retries(recorder: &Recorder) -> Vec<RetriedFound> {
    let endpoint =
        |at: usize| recorder.endpoints.get(at).map_or_else(String::new, |known| known.name.clone());
    let found = recorder.retries.all.iter().map(|retried| RetriedFound {
        endpoint: endpoint(retried.endpoint),
        class: retried.class.clone(),
        reason: retried.reason.clone(),
        tries: retried.tries,
        recovered: retried.recovered,
    });
    found.collect()
}

/// The machine of the lab: figures of another one cannot be compared with it.
fn environment() -> BTreeMap<String, String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let memory = read("/proc/meminfo");
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let load = read("/proc/loadavg");
    let facts = [
        ("cores", cores.to_string()),
        ("processor", model.trim_start_matches(['\t', ':', ' ']).to_owned()),
        ("memory", memory.trim().to_owned()),
        ("system", format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim())),
        ("load average at the end", load.split(' ').next().unwrap_or_default().to_owned()),
        ("lab", env!("CARGO_PKG_VERSION").to_owned()),
        ("build", if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned()),
    ];
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
