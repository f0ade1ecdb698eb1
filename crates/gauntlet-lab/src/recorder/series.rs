//! Counts and percentiles over time: one histogram for each endpoint, emptied at the end of each
//! step, so that memory does not grow with the load.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{Sample, histogram};

/// One step of one endpoint.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Point {
    /// Calls that ended.
    pub(crate) count: u64,
    /// Calls that failed.
    pub(crate) failed: u64,
    /// Latencies of those that did not fail, in microseconds: p50, p95, p99; `None`: there was
    /// none.
    pub(crate) percentiles: Option<[u64; 3]>,
}

/// One step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    /// Calls that should have begun in it.
    pub(crate) offered: u64,
    /// By endpoint.
    pub(crate) endpoints: Vec<Point>,
    /// Failures by number of the bucket.
    pub(crate) failures: BTreeMap<usize, u64>,
}

/// Steps of equal length.
#[derive(Debug)]
pub(crate) struct Series {
    window: u64,
    rows: Vec<Row>,
    /// The step that is being counted.
    current: Row,
    latencies: Vec<Histogram<u32>>,
}

impl Series {
    pub(super) fn new(endpoints: usize, window: u64) -> Self {
        Self {
            window: window.max(1),
            rows: Vec::new(),
            current: Row { endpoints: vec![Point::default(); endpoints], ..Row::default() },
            latencies: (0..endpoints).map(|_| histogram()).collect(),
        }
    }

    /// Length of a step in microseconds.
    pub(crate) const fn window(&self) -> u64 {
        self.window
    }

    pub(super) fn add(&mut self, sample: Sample, failed: Option<usize>) {
        self.advance(sample.done);
        let point = &mut self.current.endpoints[sample.endpoint];
        point.count += 1;
        if let Some(bucket) = failed {
            point.failed += 1;
            *self.current.failures.entry(bucket).or_default() += 1;
        } else {
            let latency = sample.done.saturating_sub(sample.intended).max(1);
            self.latencies[sample.endpoint].saturating_record(latency);
        }
    }

    /// A call should begin now.
    pub(crate) fn offer(&mut self, now: u64) {
        self.advance(now);
        self.current.offered += 1;
    }

    /// Ends the steps that lie before a time. What comes late is counted in the step it comes in.
    fn advance(&mut self, now: u64) {
        let at = usize::try_from(now / self.window).unwrap_or(usize::MAX);
        // A clock that leaps by days makes no list of a billion empty steps.
        while self.rows.len() < at && self.rows.len() < 100_000 {
            let row = self.finished();
            self.rows.push(row);
            let endpoints = vec![Point::default(); self.latencies.len()];
            self.current = Row { endpoints, ..Row::default() };
            for latency in &mut self.latencies {
                latency.reset();
            }
        }
    }

    fn finished(&self) -> Row {
        let mut row = self.current.clone();
        for (point, latency) in row.endpoints.iter_mut().zip(&self.latencies) {
            point.percentiles =
                (!latency.is_empty()).then(|| [0.5, 0.95, 0.99].map(|q| latency.value_at_quantile(q)));
        }
        row
    }

    /// All steps, the unfinished one included.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = self.rows.clone();
        rows.push(self.finished());
        rows
    }
}
