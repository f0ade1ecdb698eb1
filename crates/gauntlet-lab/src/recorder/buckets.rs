//! Failures by reason: a bounded number of buckets, each with a few examples.

use hdrhistogram::Histogram;

use super::{Sample, histogram};
use crate::outcome::{Cause, Example};

/// Most buckets; what comes after them is counted as unexplained.
const BUCKETS: usize = 24;
/// Examples of each.
const EXAMPLES: usize = 3;

/// What failed alike, or was refused alike.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Which endpoint.
    pub(crate) endpoint: usize,
    /// How it looked on the wire.
    pub(crate) class: String,
    /// What the server said.
    pub(crate) reason: String,
    /// Whether the scenario expects it.
    pub(crate) expected: bool,
    /// How many.
    pub(crate) count: u64,
    /// When the first one ended, in microseconds since the start.
    pub(crate) first: u64,
    /// When the last one ended.
    pub(crate) last: u64,
    /// Service times, in microseconds.
    pub(crate) service: Histogram<u32>,
    /// A few of them.
    pub(crate) examples: Vec<Example>,
}

/// All buckets.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    /// In the order in which they were seen.
    pub(crate) all: Vec<Bucket>,
    /// Failures for which there was no bucket left.
    pub(crate) unexplained: u64,
}

impl Buckets {
    /// Counts one; answers the number of its bucket, or how many buckets there can be when there
    /// was none left.
    pub(crate) fn add(
        &mut self,
        sample: Sample,
        cause: &Cause,
        expected: bool,
        example: impl FnOnce() -> Example,
    ) -> usize {
        let same = |bucket: &Bucket| {
            bucket.endpoint == sample.endpoint
                && bucket.expected == expected
                && bucket.class == cause.class
                && bucket.reason == cause.reason
        };
        let at = match self.all.iter().position(same) {
            Some(at) => at,
            None if self.all.len() < BUCKETS => {
                self.all.push(Bucket {
                    endpoint: sample.endpoint,
                    class: cause.class.clone(),
                    reason: cause.reason.clone(),
                    expected,
                    count: 0,
                    first: sample.done,
                    last: sample.done,
                    service: histogram(),
                    examples: Vec::new(),
                });
                self.all.len() - 1
            }
            None => {
                self.unexplained += u64::from(!expected);
                return BUCKETS;
            }
        };
        let bucket = &mut self.all[at];
        bucket.count += 1;
        bucket.first = bucket.first.min(sample.done);
        bucket.last = bucket.last.max(sample.done);
        bucket.service.saturating_record(sample.done.saturating_sub(sample.started).max(1));
        if bucket.examples.len() < EXAMPLES {
            bucket.examples.push(example());
        }
        at
    }
}
