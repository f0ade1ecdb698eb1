//! How fast a shard works, to tell whether an operation can be done in time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The time that one operation takes when many are done together: a moving average.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64);

/// The newest batch counts as one part in so many.
const MEMORY: u64 = 8;

impl Pace {
    /// A batch was carried out.
    pub(super) fn learn(&self, operations: usize, took: Duration) {
        let count = u64::try_from(operations.max(1)).unwrap_or(u64::MAX);
        let one = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / count;
        let before = self.0.load(Ordering::Relaxed);
        let now = if before == 0 { one } else { before - before / MEMORY + one / MEMORY };
        // Only the shard's own task writes it.
        self.0.store(now, Ordering::Relaxed);
    }

    /// How long so many operations take. Nothing for none: an empty queue never refuses, so that
    /// a slow time is not remembered for good.
    pub(super) fn time_for(&self, operations: usize) -> Duration {
        let count = u64::try_from(operations).unwrap_or(u64::MAX);
        Duration::from_nanos(self.0.load(Ordering::Relaxed).saturating_mul(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_newest_batches() {
        let pace = Pace::default();
        assert_eq!(pace.time_for(1_000), Duration::ZERO);
        pace.learn(100, Duration::from_millis(10));
        assert_eq!(pace.time_for(50), Duration::from_millis(5));
        for _ in 0..100 {
            pace.learn(1, Duration::from_secs(1));
        }
        let slow = pace.time_for(1);
        assert!(slow > Duration::from_millis(990) && slow <= Duration::from_secs(1), "{slow:?}");
        assert_eq!(pace.time_for(0), Duration::ZERO);
        pace.learn(0, Duration::MAX);
        assert!(pace.time_for(usize::MAX) > Duration::from_secs(1));
    }
}
