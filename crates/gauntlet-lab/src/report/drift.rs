//! What grows while the load does not: latency, memory, tables.
//!
//! The first quarter of a run is left out, because caches and pools fill in it. Of the rest, a
//! figure rises when three things hold: its steps are ordered beyond chance (the test of Mann and
//! Kendall), the last third lies above the first by a fifth and by more than what would not
//! matter, and it was still rising in the end. What levels off does not drift.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SeriesFound;
use crate::collect::{Collected, OURSELVES, Track};

/// Steps below which nothing is said.
const FEWEST: usize = 18;
/// Standard deviations beyond which an order is no chance: one in a thousand.
const ORDERED: f64 = 3.1;
/// Share by which a figure has to change.
const CHANGE: f64 = 0.2;
/// Share of the change that has to lie in the second half, for it to go on.
const GOES_ON: f64 = 0.25;

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriftEnd {
    /// It grew, and went on growing.
    Rising,
    /// It fell, and went on falling.
    Falling,
    /// Neither.
    Flat,
    /// Too few steps to tell.
    Unsure,
}

/// One figure over the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriftFound {
    /// Which figure.
    pub name: String,
    /// In which unit.
    pub unit: String,
    /// Median of the first third of what was judged.
    pub first: f64,
    /// Median of the last third.
    pub last: f64,
    /// How many steps were judged.
    pub steps: usize,
    /// What became of it.
    pub end: DriftEnd,
}

/// All figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
pub struct Drift {
    /// Whether a rising figure fails the run (`--fail-on-drift`), as a threshold does.
    pub fails: bool,
    /// By figure.
    pub figures: Vec<DriftFound>,
}

impl Drift {
    /// The figures that grew.
    pub fn rising(&self) -> impl Iterator<Item = &DriftFound> {
        self.figures.iter().filter(|found| found.end == DriftEnd::Rising)
    }
}

/// Tracks that are judged: a part of their names, and the least change that matters.
const TRACKS: [(&str, f64); 6] = [
    (": memory", 16e6),
    (": threads", 5.0),
    (": open files", 20.0),
    (": bytes for each row", 100.0),
    (": dead rows for each row", 0.2),
    ("queues: ", 100.0),
];
/// The least change of a latency that matters, in milliseconds.
const LATENCY: f64 = 1.0;

/// Judges everything that is worth it.
pub(super) fn judge(series: &SeriesFound, collected: &[Collected], fails: bool) -> Drift {
    let mut figures = Vec::new();
    for endpoint in &series.endpoints {
        for (name, values) in [("p50", &endpoint.p50), ("p95", &endpoint.p95)] {
            let known = values
                .iter()
                .zip(0_u32..)
                .filter_map(|(value, step)| Some((f64::from(step) * series.step_seconds, (*value)?)));
            let points: Vec<(f64, f64)> = known.collect();
            figures.push(one(&format!("{name} of {}", endpoint.name), "ms", &points, LATENCY));
        }
    }
    let tracks = collected.iter().flat_map(|collected| &collected.tracks);
    // The lab remembers each call for the ledger, some 50 bytes: that it grows says nothing.
    let tracks = tracks.filter(|track| !track.name.starts_with(OURSELVES));
    for Track { name, unit, points } in tracks {
        if let Some((_, least)) = TRACKS.iter().find(|(part, _)| name.contains(part)) {
            figures.push(one(name, unit, points, *least));
        }
    }
    Drift { fails, figures }
}

fn one(name: &str, unit: &str, points: &[(f64, f64)], least: f64) -> DriftFound {
    let begin = points.first().map_or(0.0, |(at, _)| *at);
    let end = points.last().map_or(0.0, |(at, _)| *at);
    let from = begin + (end - begin) / 4.0;
    let values: Vec<f64> = points.iter().filter(|(at, _)| *at >= from).map(|(_, value)| *value).collect();
    let third = values.len() / 3;
    let [first, middle, last] = if third == 0 {
        [0.0; 3]
    } else {
        [&values[..third], &values[third..values.len() - third], &values[values.len() - third..]].map(median)
    };
    let change = last - first;
    let matters = change.abs() >= least.max(CHANGE * first.abs());
    let goes_on = (last - middle) / change >= GOES_ON;
    let order = order(&values);
    let end = if values.len() < FEWEST {
        DriftEnd::Unsure
    } else if !matters || !goes_on || order.abs() < ORDERED || order.signum() * change < 0.0 {
        DriftEnd::Flat
    } else if change > 0.0 {
        DriftEnd::Rising
    } else {
        DriftEnd::Falling
    };
    DriftFound { name: name.to_owned(), unit: unit.to_owned(), first, last, steps: values.len(), end }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// How many standard deviations the order of the values is from that of chance: the test of Mann
/// and Kendall, which asks for no distribution.
fn order(values: &[f64]) -> f64 {
    let mut sum = 0_i32;
    for (at, value) in values.iter().enumerate() {
        for earlier in &values[..at] {
            sum += match value.total_cmp(earlier) {
                std::cmp::Ordering::Less => -1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Greater => 1,
            };
        }
    }
    let n = f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    if deviation > 0.0 { f64::from(sum - sum.signum()) / deviation } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    #[test]
    fn memory_of_the_lab_itself_is_no_drift() {
        let grows: Vec<(f64, f64)> = (0..120).map(|at| (f64::from(at), 1e9 + 1e7 * f64::from(at))).collect();
        let track = |name: String| Track { name, unit: "bytes".to_owned(), points: grows.clone() };
        let tracks = vec![track(format!("{OURSELVES}: memory")), track("server: memory".to_owned())];
        let collected = Collected { tracks, ..Collected::default() };
        let drift = judge(&SeriesFound::default(), &[collected], true);
        assert_eq!(drift.rising().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["server: memory"]);
    }

    /// 120 steps of a shape with noise of a tenth.
    fn end(shape: impl Fn(f64) -> f64, seed: u64) -> DriftEnd {
        let mut rng = Rng::with_seed(seed);
        let points: Vec<(f64, f64)> =
            (0..120).map(f64::from).map(|at| (at, shape(at / 120.0) * (0.95 + 0.1 * rng.f64()))).collect();
        one("x", "ms", &points, 1.0).end
    }

    #[test]
    fn what_rises_is_flagged_and_what_does_not_is_not() {
        for seed in 0..200 {
            assert_eq!(end(|at| 10.0 + 8.0 * at, seed), DriftEnd::Rising, "a line, {seed}");
            assert_eq!(end(|_| 10.0, seed), DriftEnd::Flat, "a constant, {seed}");
            assert_eq!(end(|at| 18.0 - 10.0 * at, seed), DriftEnd::Falling, "{seed}");
            assert_eq!(end(|at| 10.0 + 5.0 * (at / 0.2).min(1.0), seed), DriftEnd::Flat, "a warm-up, {seed}");
            let levels_off = |at: f64| 10.0 + 10.0 * (1.0 - (-12.0 * at).exp());
            assert_eq!(end(levels_off, seed), DriftEnd::Flat, "it levels off, {seed}");
            assert_eq!(end(|at| 10.0 + at, seed), DriftEnd::Flat, "a tenth is none, {seed}");
            assert_eq!(end(|at| 0.1 + 0.5 * at, seed), DriftEnd::Flat, "too little to matter, {seed}");
            let saw = |at: f64| 10.0 + 8.0 * (at * 6.0).fract();
            assert_eq!(end(saw, seed), DriftEnd::Flat, "it rises and falls back, {seed}");
        }
        let short: Vec<(f64, f64)> = (0..20).map(|at| (f64::from(at), f64::from(at))).collect();
        assert_eq!(one("x", "", &short, 0.0).end, DriftEnd::Unsure);
    }
}
