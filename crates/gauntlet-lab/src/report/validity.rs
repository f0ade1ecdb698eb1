//! Whether a run says anything about the server, or only about the lab.

use super::Check;
use crate::{
    collect::Collected,
    report::{make::Found, quantiles::ms},
    units::{float, millis},
};

/// Cores of the generator: beyond, it measures itself.
const CPU: f64 = 0.8;
/// 99th percentile of how late calls began, in milliseconds.
const LAG_MS: f64 = 10.0;
/// Share of arrivals that were not delivered.
const UNDELIVERED: f64 = 0.001;
/// Share of failures without a cause.
const UNEXPLAINED: f64 = 0.001;
/// How far the wall clock may move against the steady one, in milliseconds.
const STEP_MS: f64 = 500.0;

/// All checks.
pub(super) fn checks(found: &Found<'_>, failed: u64) -> Vec<Check> {
    let recorder = found.recorder;
    let counts = recorder.counts;
    let share = |part: u64, of: u64| if of == 0 { 0.0 } else { float(part) / float(of) };
    let check = |name: &str, value: Option<f64>, limit: f64, unit: &str, note: &str| Check {
        name: name.to_owned(),
        value,
        limit,
        unit: unit.to_owned(),
        holds: value.is_some_and(|value| value <= limit),
        note: note.to_owned(),
    };
    let mut checks = vec![
        check(
            "CPU of the load generator",
            found.generator_cpu,
            CPU,
            "cores",
            "the generator was the bottleneck: give it more of the machine, or offer less",
        ),
        check(
            "start lag, p99",
            Some(if recorder.lag.is_empty() { 0.0 } else { ms(recorder.lag.value_at_quantile(0.99)) }),
            LAG_MS,
            "ms",
            "calls began late: latencies contain the lab's own waiting",
        ),
        check(
            "undelivered arrivals",
            Some(share(counts.undelivered, counts.arrivals_due)),
            UNDELIVERED,
            "share",
            "too many calls were under way, so the offered load never reached the server",
        ),
        check(
            "unexplained failures",
            Some(share(recorder.buckets.unexplained, failed)),
            UNEXPLAINED,
            "share",
            "more kinds of failures than there are buckets",
        ),
        check(
            "step of the wall clock",
            Some(millis(found.clock_step)),
            STEP_MS,
            "ms",
            "somebody set the clock: times of events are wrong",
        ),
    ];
    if found.complete {
        checks.push(missing(&found.collected));
    } else {
        // It is known at the end.
        checks.retain(|check| check.value.is_some());
    }
    checks
}

fn missing(collected: &[Collected]) -> Check {
    let missing: Vec<String> = collected
        .iter()
        .filter(|collected| collected.required && !collected.missing.is_empty())
        .map(|collected| format!("{}: {}", collected.name, collected.missing))
        .collect();
    Check {
        name: "collectors that were asked for and are missing".to_owned(),
        value: Some(float(u64::try_from(missing.len()).unwrap_or(u64::MAX))),
        limit: 0.0,
        unit: String::new(),
        holds: missing.is_empty(),
        note: missing.join("; "),
    }
}
