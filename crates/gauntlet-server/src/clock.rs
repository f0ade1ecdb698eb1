//! Time and randomness, the only place where the server gets them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use gauntlet_domain::Timestamp;

/// Where the time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one wall clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::from_millis(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A clock that stands still until it is set, for tests and simulations.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that shows this time.
    #[must_use]
    pub const fn at(time: Timestamp) -> Self {
        Self(AtomicI64::new(time.millis()))
    }

    /// Shows another time from now on.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.millis(), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Where random numbers come from: write ids, draws, lease owners.
pub trait Random: Send + Sync + std::fmt::Debug {
    /// A number that nobody can guess and that does not come twice; never 0.
    fn number(&self) -> u64;
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn number(&self) -> u64 {
        // The source fails only on a broken machine; then the address space's layout has to do.
        next_random().unwrap_or_else(|| std::ptr::from_ref(self).addr() as u64).max(1)
    }
}

/// Random numbers that are asked for together: each call into the system costs as much as counting
/// an event, and every write takes a number.
const STOCK: usize = 32;

thread_local! {
    static NUMBERS: std::cell::RefCell<Vec<u64>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[expect(clippy::disallowed_methods, reason = "this is the one random source")]
fn next_random() -> Option<u64> {
    NUMBERS.with_borrow_mut(|numbers| {
        if numbers.is_empty() {
            let mut bytes = [0; STOCK * size_of::<u64>()];
            getrandom::fill(&mut bytes).ok()?;
            numbers.extend(bytes.as_chunks().0.iter().map(|number| u64::from_ne_bytes(*number)));
        }
        numbers.pop()
    })
}

/// Numbers from a seed, for tests and simulations.
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// The same seed gives the same numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for SeededRandom {
    /// `SplitMix64`.
    fn number(&self) -> u64 {
        let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).max(1)
    }
}
