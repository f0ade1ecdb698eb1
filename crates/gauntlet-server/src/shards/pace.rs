//! How fast a shard works, to tell whether an operation can be done in time.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::MAX_BATCH;

/// What a batch takes, and what each operation in it takes besides.
///
/// A commit takes its time however many share it. To divide it by the operations of small batches
/// would refuse a burst after a few single operations, all of which would fit into the next batch.
/// So the two are told apart by a line through the last batches, their sizes against their times.
#[derive(Debug, Default)]
pub(super) struct Pace {
    sums: Mutex<Sums>,
    /// Seconds, as the bits of a number.
    batch: AtomicU64,
    one: AtomicU64,
}

/// Sums over batches, the newest of which counts as one part in [`MEMORY`].
#[derive(Debug, Default)]
struct Sums {
    weight: f64,
    size: f64,
    took: f64,
    size_size: f64,
    size_took: f64,
}

const MEMORY: f64 = 16.0;
/// Sizes that differ less than this part of their mean, squared, say nothing about a line.
const ALIKE: f64 = 1e-4;

impl Sums {
    fn add(&mut self, size: f64, took: f64) {
        let terms = [
            (&mut self.weight, 1.0),
            (&mut self.size, size),
            (&mut self.took, took),
            (&mut self.size_size, size * size),
            (&mut self.size_took, size * took),
        ];
        for (sum, term) in terms {
            *sum = *sum * (1.0 - 1.0 / MEMORY) + term;
        }
    }

    /// Seconds of a batch, and of each operation besides. While all batches are alike, everything
    /// is the batch's.
    fn line(&self) -> (f64, f64) {
        let (size, took) = (self.size / self.weight, self.took / self.weight);
        let spread = self.size_size / self.weight - size * size;
        let one = if spread > ALIKE * size * size {
            let together = self.size_took / self.weight - size * took;
            (together / spread).clamp(0.0, took / size)
        } else {
            0.0
        };
        ((took - one * size).max(0.0), one)
    }
}

impl Pace {
    /// A batch was carried out.
    pub(super) fn learn(&self, operations: usize, took: Duration) {
        let size = f64::from(u32::try_from(operations.max(1)).unwrap_or(u32::MAX));
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.add(size, took.as_secs_f64());
        let (batch, one) = sums.line();
        self.batch.store(batch.to_bits(), Ordering::Relaxed);
        self.one.store(one.to_bits(), Ordering::Relaxed);
    }

    /// How long so many operations take. Nothing for none: an empty queue never refuses, so that
    /// a slow time is not remembered for good.
    pub(super) fn time_for(&self, operations: usize) -> Duration {
        let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let seconds = |bits: &AtomicU64| f64::from_bits(bits.load(Ordering::Relaxed));
        let batches = number(operations.div_ceil(MAX_BATCH)) * seconds(&self.batch);
        let each = number(operations) * seconds(&self.one);
        Duration::try_from_secs_f64(batches + each).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn near(time: Duration, expected: Duration) {
        let off = time.abs_diff(expected);
        assert!(off <= expected / 20, "{time:?} for {expected:?}");
    }

    #[test]
    fn what_a_batch_takes_is_not_charged_to_each_operation() {
        let pace = Pace::default();
        assert_eq!(pace.time_for(1_000), Duration::ZERO);
        for _ in 0..10 {
            pace.learn(1, 50 * MILLI);
        }
        // 500 more fit into one batch: nothing says that they take longer.
        near(pace.time_for(500), 50 * MILLI);
        near(pace.time_for(2_500), 150 * MILLI);
        assert_eq!(pace.time_for(0), Duration::ZERO);
    }

    #[test]
    fn what_operations_take_is_found_from_batches_of_different_sizes() {
        let pace = Pace::default();
        for size in [1, 300, 40, 900, 7, 500] {
            pace.learn(size, 5 * MILLI + MILLI * u32::try_from(size).unwrap());
        }
        near(pace.time_for(100), 105 * MILLI);
        near(pace.time_for(2_000), 2_010 * MILLI);
    }

    #[test]
    fn it_follows_the_newest_batches() {
        let pace = Pace::default();
        for _ in 0..50 {
            pace.learn(100, 10 * MILLI);
        }
        for _ in 0..200 {
            pace.learn(100, 1_000 * MILLI);
        }
        near(pace.time_for(50), 1_000 * MILLI);
    }

    #[test]
    fn strange_times_make_no_strange_answers() {
        let pace = Pace::default();
        pace.learn(0, Duration::MAX);
        pace.learn(usize::MAX, Duration::ZERO);
        pace.learn(3, MILLI);
        assert!(pace.time_for(usize::MAX) >= pace.time_for(1));
        assert_eq!(pace.time_for(0), Duration::ZERO);
    }
}
