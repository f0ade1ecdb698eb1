//! Time, the only place where the lab gets it: spans by a clock that never steps, and the wall
//! clock for what is sent and for noticing that somebody set it.

use std::time::{Duration, Instant};

/// The beginning of a run on both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunClock {
    zero: Instant,
    wall_zero: i64,
}

impl RunClock {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Self { zero: Instant::now(), wall_zero: wall_millis() }
    }

    /// The instant of the beginning.
    pub(crate) const fn zero(self) -> Instant {
        self.zero
    }

    /// Microseconds from the beginning to an instant; 0 for an earlier one.
    pub(crate) fn micros(self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.zero).as_micros()).unwrap_or(u64::MAX)
    }

    /// What the wall clock would show at that many microseconds if nobody had set it: milliseconds
    /// since 1970.
    pub(crate) fn wall_at(self, micros: u64) -> i64 {
        self.wall_zero.saturating_add(i64::try_from(micros / 1000).unwrap_or(i64::MAX))
    }

    /// How far the wall clock has moved against the steady one since the beginning.
    pub(crate) fn step(self) -> Duration {
        let expected = self.wall_at(self.micros(Instant::now()));
        Duration::from_millis(wall_millis().abs_diff(expected))
    }
}

/// The wall clock in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "this is the lab's one wall clock")]
pub(crate) fn wall_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
