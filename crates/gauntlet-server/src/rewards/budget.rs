//! A retry budget: retries may not become most of what a platform in trouble gets.
//!
//! Pure: the time is an argument.

use std::time::Duration;

use gauntlet_domain::Timestamp;

/// Retries that may be made at once. Less, and what a crash left behind is taken up slowly; more,
/// and a platform that comes back is met by a wave.
const MOST: f64 = 100.0;
/// Retries that come back every second, whatever else happens.
const PER_SECOND: f64 = 20.0;
/// What each first attempt adds: in the long run retries are at most this part more.
const PER_FIRST: f64 = 0.2;

/// A bucket of tokens; each retry takes one.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    tokens: f64,
    filled: Option<Timestamp>,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self { tokens: MOST, filled: None }
    }

    /// A first attempt was made.
    pub(super) fn first_attempt(&mut self) {
        self.tokens = (self.tokens + PER_FIRST).min(MOST);
    }

    /// Takes as many tokens as there are, at most `wanted`.
    pub(super) fn take(&mut self, wanted: u32, now: Timestamp) -> u32 {
        let elapsed = self.filled.map_or(0, |filled| now.since(filled));
        // A clock that was set back gives nothing and takes nothing.
        let elapsed = Duration::from_millis(u64::try_from(elapsed).unwrap_or(0));
        self.filled = Some(now);
        self.tokens = (self.tokens + elapsed.as_secs_f64() * PER_SECOND).min(MOST);
        let mut taken = 0;
        while taken < wanted && self.tokens >= 1.0 {
            self.tokens -= 1.0;
            taken += 1;
        }
        taken
    }

    /// Gives tokens back that were not used.
    pub(super) fn give_back(&mut self, unused: u32) {
        self.tokens = (self.tokens + f64::from(unused)).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_spent_comes_back_with_time_and_with_first_attempts() {
        let at = Timestamp::from_seconds;
        let mut budget = Budget::new();
        assert_eq!((budget.take(60, at(0)), budget.take(60, at(0)), budget.take(1, at(0))), (60, 40, 0));
        assert_eq!(budget.take(60, at(1)), 20);
        // A little more than two: fractions are not exact.
        for _ in 0..11 {
            budget.first_attempt();
        }
        assert_eq!(budget.take(60, at(1)), 2);
        budget.give_back(1);
        assert_eq!((budget.take(60, at(0)), budget.take(60, at(1))), (1, 20));
        assert_eq!(budget.take(u32::MAX, at(1_000_000)), 100);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the order of things, no more is spent than the bucket, the time and the first
        /// attempts gave.
        #[test]
        fn it_never_spends_more_than_it_got(steps in prop::collection::vec((0..3_u8, 0..2_000_i64, 0..50_u32), 0..200)) {
            let (mut budget, mut now, mut spent, mut firsts) = (Budget::new(), 0_i64, 0_u32, 0_u32);
            for (what, forward, wanted) in steps {
                now += forward;
                if what == 0 {
                    budget.first_attempt();
                    firsts += 1;
                } else {
                    let taken = budget.take(wanted, Timestamp::from_millis(now));
                    prop_assert!(taken <= wanted);
                    spent += taken;
                }
            }
            let seconds = f64::from(u32::try_from(now).unwrap()) / 1000.0;
            let most = MOST + seconds * PER_SECOND + f64::from(firsts) * PER_FIRST;
            prop_assert!(f64::from(spent) <= most + 1e-6, "{} > {}", spent, most);
        }
    }
}
