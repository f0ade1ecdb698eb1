//! What a load showed, and what rows of the table are made of.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{Result, generator::Outcome};

/// What had been used at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU seconds of the server.
    pub(crate) server: f64,
    /// CPU seconds of the database's processes; 0 when it is in the server.
    pub(crate) database: f64,
    /// CPU seconds of the generator.
    pub(crate) generator: f64,
    /// Bytes written to the database's log or file.
    pub(crate) log: f64,
}

/// One load.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Sample {
    pub(crate) calls: u64,
    /// Calls a second.
    pub(crate) rate: f64,
    /// Milliseconds, over all kinds of calls.
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) longest: f64,
    /// Longest time without an answer, in milliseconds.
    pub(crate) gap: f64,
    /// The p95 of each kind of call, in milliseconds.
    pub(crate) p95_by_kind: Vec<f64>,
    /// Microseconds of CPU a call.
    pub(crate) server_cpu: f64,
    pub(crate) database_cpu: f64,
    pub(crate) generator_cpu: f64,
    /// Bytes written to the database's log a call.
    pub(crate) log_bytes: f64,
}

/// Microseconds of a histogram in milliseconds.
pub(crate) fn millis(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64() * 1e3
}

impl Sample {
    pub(crate) fn new(outcome: &Outcome<Usage>) -> Result<Self> {
        if outcome.calls == 0 {
            return Err("no call was answered within the measured time".into());
        }
        let mut all = crate::generator::histogram()?;
        for times in &outcome.times {
            all.add(times)?;
        }
        let (before, after) = &outcome.samples;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let calls = outcome.calls as f64;
        let each = |of: fn(&Usage) -> f64| (of(after) - of(before)) / calls;
        let at = |times: &Histogram<u64>, quantile| millis(times.value_at_quantile(quantile));
        Ok(Self {
            calls: outcome.calls,
            rate: calls / outcome.seconds,
            p50: at(&all, 0.5),
            p95: at(&all, 0.95),
            p99: at(&all, 0.99),
            longest: millis(all.max()),
            gap: outcome.longest_gap,
            p95_by_kind: outcome.times.iter().map(|times| at(times, 0.95)).collect(),
            server_cpu: each(|usage| usage.server) * 1e6,
            database_cpu: each(|usage| usage.database) * 1e6,
            generator_cpu: each(|usage| usage.generator) * 1e6,
            log_bytes: each(|usage| usage.log),
        })
    }

    /// CPU of everything but the generator.
    pub(crate) fn cpu(&self) -> f64 {
        self.server_cpu + self.database_cpu
    }
}

/// The middle one, or the mean of the middle two; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        length if length.is_multiple_of(2) => f64::midpoint(values[length / 2 - 1], values[length / 2]),
        length => values[length / 2],
    }
}

/// The median of one figure over several loads.
pub(crate) fn middle(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    median(&samples.iter().map(of).collect::<Vec<_>>())
}

/// What a ratio has to be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Only reported.
    None,
}

impl Goal {
    /// `None`: nothing to meet.
    pub(crate) fn met(self, ratio: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(ratio >= least),
            Self::AtMost(most) => Some(ratio <= most),
            Self::None => None,
        }
    }
}

/// A line of the table: the product beside its floor, one figure of each turn.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// The name of the work, as `--only` takes it.
    pub(crate) work: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// Of the figures.
    pub(crate) unit: &'static str,
    /// The product, one figure a turn.
    pub(crate) product: Vec<f64>,
    /// The floor, of the same turns.
    pub(crate) floor: Vec<f64>,
    /// What the floor is.
    pub(crate) floor_is: String,
    pub(crate) goal: Goal,
    /// Calls behind the product's figures.
    pub(crate) calls: u64,
    /// What else was seen.
    pub(crate) notes: BTreeMap<&'static str, f64>,
}

impl Row {
    /// The ratio of the medians.
    pub(crate) fn ratio(&self) -> f64 {
        median(&self.product) / median(&self.floor)
    }

    /// The smallest and the largest ratio of a turn.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let ratios = self.product.iter().zip(&self.floor).map(|(product, floor)| product / floor);
        ratios.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), ratio| {
            (least.min(ratio), most.max(ratio))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads() {
        let medians = [&[][..], &[3.0], &[4.0, 1.0, 2.0], &[1.0, 2.0]].map(median);
        assert_eq!(format!("{medians:?}"), "[0.0, 3.0, 2.0, 1.5]");
        let row = Row {
            work: "events",
            what: String::new(),
            unit: "/s",
            product: vec![10.0, 30.0, 20.0],
            floor: vec![40.0, 40.0, 50.0],
            floor_is: String::new(),
            goal: Goal::AtLeast(0.5),
            calls: 1,
            notes: BTreeMap::new(),
        };
        assert_eq!(format!("{} {:?}", row.ratio(), row.spread()), "0.5 (0.25, 0.75)");
        assert_eq!(row.goal.met(row.ratio()), Some(true));
        assert_eq!((Goal::AtMost(2.0).met(2.1), Goal::None.met(1.0)), (Some(false), None));
    }
}
