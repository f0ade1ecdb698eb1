//! How many requests of one class may be under way: fixed, or falling when answers take too long.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Never fewer places than this, however slow the answers are: without answers nobody would see
/// that they are fast again.
const LEAST: f64 = 8.0;
/// What an answer that took too long leaves of the limit.
const SHRINK: f64 = 0.9;

/// Counts what is under way.
#[derive(Debug)]
pub(super) struct Limit {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    under_way: usize,
    places: Places,
}

/// One place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Limit>);

impl Limit {
    /// A limit; with a `target`, it falls when answers take longer than that, and rises again.
    pub(super) fn new(most: usize, target: Option<Duration>) -> Self {
        Self { state: Mutex::new(State { under_way: 0, places: Places::new(most, target) }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_full(&self) -> bool {
        let state = self.state();
        state.under_way >= state.places.now()
    }

    pub(super) fn take(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state();
        if state.under_way >= state.places.now() {
            return None;
        }
        state.under_way += 1;
        Some(Permit(Arc::clone(self)))
    }

    /// An answer was ready after this time.
    pub(super) fn answered(&self, now: Instant, took: Duration) {
        let mut state = self.state();
        let under_way = state.under_way;
        state.places.answered(now, took, under_way);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
    }
}

/// The number of places: additive increase, multiplicative decrease. Pure: the time is an argument.
#[derive(Debug, Clone, Copy)]
struct Places {
    now: f64,
    most: f64,
    target: Option<Duration>,
    /// The last time that it fell. Answers that were under way by then say nothing new.
    fell: Option<Instant>,
}

impl Places {
    fn new(most: usize, target: Option<Duration>) -> Self {
        let most = f64::from(u32::try_from(most).unwrap_or(u32::MAX));
        Self { now: most, most, target, fell: None }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2^32")]
    const fn now(&self) -> usize {
        self.now as usize
    }

    fn answered(&mut self, now: Instant, took: Duration, under_way: usize) {
        let Some(target) = self.target else { return };
        if took > target {
            let is_new = self.fell.is_none_or(|fell| now.saturating_duration_since(fell) > took);
            if is_new {
                self.now = (self.now * SHRINK).max(LEAST.min(self.most));
                self.fell = Some(now);
            }
        } else if under_way.saturating_mul(2) >= self.now() {
            // One more for as many answers as there are places, and only when they are needed.
            self.now = (self.now + 1.0 / self.now).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_are_counted() {
        let limit = Arc::new(Limit::new(2, None));
        let first = limit.take();
        let second = limit.take();
        assert!(first.is_some() && second.is_some() && limit.is_full() && limit.take().is_none());
        drop(first);
        assert!(!limit.is_full() && limit.take().is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the answers: between the least and the most, slow answers never raise it and
        /// fast ones never lower it, and fast answers under load bring all of it back.
        #[test]
        fn it_stays_within_bounds_and_comes_back(
            most in 1_usize..1_000,
            answers in prop::collection::vec((0_u64..200, 0_u64..1_000, 0_usize..1_000), 0..300),
        ) {
            let target = Duration::from_millis(100);
            let mut places = Places::new(most, Some(target));
            let mut now = Instant::now();
            for (forward, took, under_way) in answers {
                now += Duration::from_millis(forward);
                let (before, took) = (places.now, Duration::from_millis(took));
                places.answered(now, took, under_way);
                prop_assert!(places.now() <= most && places.now() >= most.min(8));
                let right_way = if took > target { places.now <= before } else { places.now >= before };
                prop_assert!(right_way, "{} after {}", places.now, before);
            }
            for _ in 0..most * most {
                places.answered(now, Duration::ZERO, most);
            }
            prop_assert!(places.now() + 1 >= most);
        }
    }
}
