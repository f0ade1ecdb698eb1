//! What a store measures about itself: counters of its own, read by whoever shows them.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The operations that are told apart; what else there may be is counted as the last.
const OPERATIONS: [&str; 16] = [
    "player.load",
    "player.commit",
    "player.update_locked",
    "grant.take_due",
    "grant.retry",
    "grant.list",
    "grant.pending",
    "journal.read",
    "journal.prune",
    "receipt.rotate",
    "goal.intern",
    "catalogue.register",
    "catalogue.text",
    "ping",
    "migrate",
    "other",
];

/// Number of bounded buckets: 25 microseconds to about 13 seconds, each twice the one before.
const BUCKETS: usize = 20;
const FIRST_MICROS: u32 = 25;

/// What a store has measured since it was opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// For each operation that was asked for, the times of its statements (PostgreSQL), or of its
    /// readings and transactions (SQLite), without the wait for a connection or for the writer.
    pub statements: Vec<(&'static str, Times)>,
    /// How long callers waited for a connection; on SQLite for one that reads.
    pub pool_wait: Times,
    /// Callers that gave up waiting for a connection.
    pub pool_timeouts: u64,
    /// SQLite: how long calls waited for the thread that writes.
    pub writer_wait: Times,
    /// SQLite: how long a commit stood still to finish moving the log to the database file.
    pub checkpoints: Times,
    /// SQLite: how long moving the log to the database file took, while commits went on.
    pub moves: Times,
    /// SQLite: bytes of the log beside the database file.
    pub log_bytes: Option<u64>,
}

/// How long something took, each time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times {
    /// Seconds in all.
    pub sum: f64,
    /// How often.
    pub count: u64,
    /// Pairs of an upper bound in seconds and how often it took as long as that but longer than
    /// the bound before. The last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
}

/// Gathers figures, from any thread.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Statements that take longer are logged.
    slow: Option<Duration>,
    statements: [Watch; OPERATIONS.len()],
    pub(crate) pool_wait: Watch,
    pub(crate) pool_timeouts: AtomicU64,
    pub(crate) writer_wait: Watch,
    pub(crate) checkpoints: Watch,
    pub(crate) moves: Watch,
}

/// Gathers times.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    buckets: [AtomicU64; BUCKETS + 1],
    nanos: AtomicU64,
}

impl Meter {
    pub(crate) fn new(slow: Option<Duration>) -> Self {
        Self { slow, ..Self::default() }
    }

    /// A statement or transaction of an operation took this long.
    pub(crate) fn statement(&self, operation: &'static str, took: Duration) {
        let at = OPERATIONS.iter().position(|known| *known == operation);
        self.statements[at.unwrap_or(OPERATIONS.len() - 1)].took(took);
        if self.slow.is_some_and(|slow| took >= slow) {
            // Neither its text nor its values, which hold players.
            let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(operation, millis, "a slow statement");
        }
    }

    /// What was measured; `log` is SQLite's log file.
    pub(crate) fn read(&self, log: Option<&PathBuf>) -> Figures {
        let statements = OPERATIONS.iter().zip(&self.statements);
        Figures {
            statements: statements
                .map(|(operation, watch)| (*operation, watch.read()))
                .filter(|(_, times)| times.count > 0)
                .collect(),
            pool_wait: self.pool_wait.read(),
            pool_timeouts: self.pool_timeouts.load(Ordering::Relaxed),
            writer_wait: self.writer_wait.read(),
            checkpoints: self.checkpoints.read(),
            moves: self.moves.read(),
            // There is no log before the first write and after the last close.
            log_bytes: log.map(|path| std::fs::metadata(path).map_or(0, |about| about.len())),
        }
    }
}

impl Watch {
    pub(crate) fn took(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn read(&self) -> Times {
        let counts: Vec<u64> = self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let bounds = (0..BUCKETS).map(seconds);
        Times {
            sum: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64(),
            count: counts.iter().sum(),
            buckets: bounds.chain([f64::INFINITY]).zip(counts).collect(),
        }
    }
}

/// The first bucket whose bound is not smaller.
fn bucket(nanos: u64) -> usize {
    (0..BUCKETS).find(|at| nanos <= u64::from(FIRST_MICROS << at) * 1_000).unwrap_or(BUCKETS)
}

/// The bound of a bucket.
fn seconds(at: usize) -> f64 {
    f64::from(FIRST_MICROS << at) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_their_buckets() {
        let watch = Watch::default();
        for micros in [0, 25, 26, 50, 60_000_000] {
            watch.took(Duration::from_micros(micros));
        }
        let times = watch.read();
        assert_eq!(times.count, 5);
        assert!((times.sum - 60.000_101).abs() < 1e-9, "{}", times.sum);
        let counts: Vec<u64> = times.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!((counts[0], counts[1], counts[BUCKETS]), (2, 2, 1), "{times:?}");
        let bounds: Vec<String> = times.buckets.iter().map(|(bound, _)| bound.to_string()).collect();
        assert_eq!((bounds[0].as_str(), bounds[16].as_str()), ("0.000025", "1.6384"));
        assert_eq!((bounds[BUCKETS - 1].as_str(), bounds[BUCKETS].as_str()), ("13.1072", "inf"));
    }

    #[test]
    fn operations_are_told_apart() {
        let meter = Meter::new(None);
        meter.statement("player.load", Duration::from_micros(1));
        meter.statement("player.load", Duration::from_micros(1));
        meter.statement("something.new", Duration::from_micros(1));
        let counts: Vec<_> =
            meter.read(None).statements.into_iter().map(|(name, times)| (name, times.count)).collect();
        assert_eq!(counts, [("player.load", 2), ("other", 1)]);
    }
}
