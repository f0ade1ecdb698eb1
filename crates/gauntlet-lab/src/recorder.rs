//! Counts and latencies of a run in bounded memory: histograms, never lists.

mod buckets;
mod retries;
mod series;

use hdrhistogram::Histogram;

pub(crate) use buckets::{Bucket, Buckets};
pub(crate) use retries::Retries;
pub(crate) use series::Series;

use crate::outcome::{Example, Outcome};

/// Longest latency that is told apart, in microseconds: two minutes.
const LONGEST: u64 = 120_000_000;

/// Significant digits of a histogram.
const DIGITS: u8 = 3;

/// An empty histogram of microseconds.
#[expect(clippy::expect_used, reason = "three digits and these bounds are allowed; a test makes one")]
fn histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("bounds that are allowed")
}

/// A call that has ended. Times are microseconds since the start of the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Which endpoint.
    pub(crate) endpoint: usize,
    /// When it should have begun.
    pub(crate) intended: u64,
    /// When it began.
    pub(crate) started: u64,
    /// When its answer was there.
    pub(crate) done: u64,
}

/// Calls that ended alike.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Microseconds from when it should have begun.
    pub(crate) latency: Histogram<u32>,
    /// Microseconds from when it began.
    pub(crate) service: Histogram<u32>,
}

impl Tally {
    fn new() -> Self {
        Self { latency: histogram(), service: histogram() }
    }

    fn add(&mut self, sample: Sample) {
        self.latency.saturating_record(sample.done.saturating_sub(sample.intended).max(1));
        self.service.saturating_record(sample.done.saturating_sub(sample.started).max(1));
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.latency.len()
    }
}

/// What is known of one endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Its name.
    pub(crate) name: String,
    /// Whether the game platform calls it.
    pub(crate) event: bool,
    /// Calls that did what they were made for.
    pub(crate) ok: Tally,
    /// Refusals that the scenario expects.
    pub(crate) expected: Tally,
    /// Everything else.
    pub(crate) failed: Tally,
}

impl Endpoint {
    /// How many calls have ended.
    pub(crate) fn count(&self) -> u64 {
        self.ok.count() + self.expected.count() + self.failed.count()
    }
}

/// Counts that are no latencies.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Sessions that began.
    pub(crate) sessions_begun: u64,
    /// Sessions that came to their end.
    pub(crate) sessions_done: u64,
    /// Sessions that the end of the run cut.
    pub(crate) sessions_cut: u64,
    /// Claims that were not made, because the last browse showed nothing to claim.
    pub(crate) nothing_to_claim: u64,
    /// Arrivals that were due.
    pub(crate) arrivals_due: u64,
    /// Arrivals that found no place under way.
    pub(crate) undelivered: u64,
}

/// Everything that a run has counted.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// In the order of the scenario.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Failures and expected refusals by reason.
    pub(crate) buckets: Buckets,
    /// Over time.
    pub(crate) series: Series,
    /// Microseconds from when a call should have begun to when it did.
    pub(crate) lag: Histogram<u32>,
    /// Counts.
    pub(crate) counts: Counts,
    /// Tries that were followed by another one.
    pub(crate) retries: Retries,
}

impl Recorder {
    /// Nothing yet; `window` is the length of a step of the series, in microseconds.
    pub(crate) fn new(endpoints: &[(String, bool)], window: u64) -> Self {
        let endpoint = |(name, event): &(String, bool)| Endpoint {
            name: name.clone(),
            event: *event,
            ok: Tally::new(),
            expected: Tally::new(),
            failed: Tally::new(),
        };
        Self {
            endpoints: endpoints.iter().map(endpoint).collect(),
            buckets: Buckets::default(),
            series: Series::new(endpoints.len(), window),
            lag: histogram(),
            counts: Counts::default(),
            retries: Retries::default(),
        }
    }

    /// Counts a call. `example` is asked for only when it is kept.
    pub(crate) fn record(&mut self, sample: Sample, outcome: &Outcome, example: impl FnOnce() -> Example) {
        let Some(endpoint) = self.endpoints.get_mut(sample.endpoint) else { return };
        self.lag.saturating_record(sample.started.saturating_sub(sample.intended).max(1));
        let failed = match outcome {
            Outcome::Ok => {
                endpoint.ok.add(sample);
                None
            }
            Outcome::Expected(cause) => {
                endpoint.expected.add(sample);
                self.buckets.add(sample, cause, true, example);
                None
            }
            Outcome::Failed(cause) => {
                endpoint.failed.add(sample);
                Some(self.buckets.add(sample, cause, false, example))
            }
        };
        self.series.add(sample, failed);
    }

    /// Every tally of what did not fail, of the endpoints for which `wanted` holds, as one.
    pub(crate) fn merged(&self, wanted: impl Fn(&Endpoint) -> bool) -> Histogram<u32> {
        let mut all = histogram();
        for endpoint in self.endpoints.iter().filter(|endpoint| wanted(endpoint)) {
            // Of one shape, so nothing is out of range.
            let _same_shape = all.add(&endpoint.ok.latency);
            let _same_shape = all.add(&endpoint.expected.latency);
        }
        all
    }
}

#[cfg(test)]
mod tests;
