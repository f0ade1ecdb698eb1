//! A circuit breaker: a dependency that is down is left alone, and asked now and then.
//!
//! Pure: the time is an argument.

use std::time::Duration;

use gauntlet_domain::Timestamp;

/// How soon a breaker opens, and how long it stays open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BreakerPolicy {
    /// How many failures in a row open it. Fewer, and a hiccup stops everything for a while; more,
    /// and as many callers wait for a deadline before anybody notices.
    pub(crate) failures: u32,
    /// How long it stays open at first; each failed probe doubles it.
    pub(crate) first_pause: Duration,
    /// The longest that it stays open by itself. Longer, and work waits although the dependency is
    /// back.
    pub(crate) longest_pause: Duration,
    /// When a probe whose end nobody told of is given up. Longer than any call.
    pub(crate) probe: Duration,
}

/// What it lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// One call, to see whether the dependency is back.
    Probing,
    /// Nothing.
    Open,
}

/// A circuit breaker.
#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    /// `pause` is its own; the dependency may have asked for more.
    Open {
        since: Timestamp,
        wait: Duration,
        pause: Duration,
    },
    Probing {
        since: Timestamp,
        pause: Duration,
    },
}

impl Breaker {
    pub(crate) const fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: State::Closed { failures: 0 } }
    }

    /// Asks for a call. Who gets one must tell how it ended. `Err`: how long to wait.
    pub(crate) fn allow(&mut self, now: Timestamp) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { since, wait, pause } => {
                let open = left(since, wait, now);
                self.probe_unless(open, now, pause)
            }
            State::Probing { since, pause } => {
                let out = left(since, self.policy.probe, now).map(|_| pause);
                self.probe_unless(out, now, pause)
            }
        }
    }

    fn probe_unless(
        &mut self,
        wait: Option<Duration>,
        now: Timestamp,
        pause: Duration,
    ) -> Result<(), Duration> {
        if let Some(wait) = wait {
            return Err(wait);
        }
        self.state = State::Probing { since: now, pause };
        Ok(())
    }

    /// How many calls it would let through now.
    pub(crate) fn room(&self, now: Timestamp) -> u32 {
        match self.state {
            State::Closed { .. } => u32::MAX,
            State::Open { since, wait, .. } => u32::from(left(since, wait, now).is_none()),
            State::Probing { since, .. } => u32::from(left(since, self.policy.probe, now).is_none()),
        }
    }

    /// The dependency answered a call.
    pub(crate) const fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// A call failed; `asked`: how long the dependency wants to be left alone.
    pub(crate) fn failed(&mut self, now: Timestamp, asked: Option<Duration>) {
        let BreakerPolicy { failures: most, first_pause, longest_pause, .. } = self.policy;
        let open =
            |pause: Duration| State::Open { since: now, wait: pause.max(asked.unwrap_or_default()), pause };
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < most => State::Closed { failures: failures + 1 },
            State::Closed { .. } => open(first_pause),
            State::Probing { pause, .. } => open((pause * 2).min(longest_pause)),
            // Calls from before it opened.
            open @ State::Open { .. } => open,
        };
    }

    /// A call failed in a way that leaves no doubt: others would fail too. It opens at once.
    pub(crate) fn is_down(&mut self, now: Timestamp) {
        if let State::Closed { failures } = &mut self.state {
            *failures = self.policy.failures.saturating_sub(1);
        }
        self.failed(now, None);
    }

    /// What it lets through at a time. One whose pause is over waits for a call to probe with, so it is
    /// not open any more.
    pub(crate) fn state(&self, now: Timestamp) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { since, wait, .. } if left(since, wait, now).is_some() => BreakerState::Open,
            State::Open { .. } | State::Probing { .. } => BreakerState::Probing,
        }
    }
}

/// What is left of a time that began at `since`. A clock that was set back must not make it
/// longer, so a start in the future counts as over.
fn left(since: Timestamp, length: Duration, now: Timestamp) -> Option<Duration> {
    let elapsed = Duration::from_millis(u64::try_from(now.since(since)).ok()?);
    length.checked_sub(elapsed).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAILURES: u32 = 5;

    const POLICY: BreakerPolicy = BreakerPolicy {
        failures: FAILURES,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(30),
        probe: Duration::from_secs(120),
    };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn it_opens_probes_and_closes() {
        let mut breaker = Breaker::new(POLICY);
        for _ in 0..FAILURES {
            assert_eq!(breaker.allow(at(0)), Ok(()));
            breaker.failed(at(0), None);
        }
        assert_eq!(breaker.allow(at(400)), Err(Duration::from_millis(600)));
        assert_eq!((breaker.room(at(999)), breaker.room(at(1_000))), (0, 1));
        assert_eq!(breaker.state(at(999)), BreakerState::Open);
        assert_eq!(breaker.state(at(1_000)), BreakerState::Probing, "nobody has asked yet");
        assert_eq!(breaker.allow(at(1_000)), Ok(()));
        assert!(breaker.allow(at(1_000)).is_err(), "one probe at a time");
        breaker.failed(at(1_000), None);
        assert_eq!(breaker.allow(at(1_000)), Err(Duration::from_secs(2)));
        assert_eq!(breaker.allow(at(3_000)), Ok(()));
        breaker.failed(at(3_000), Some(Duration::from_secs(60)));
        assert_eq!(breaker.allow(at(3_000)), Err(Duration::from_secs(60)));
        assert_eq!(breaker.allow(at(63_000)), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.room(at(63_000)), u32::MAX);
    }

    #[test]
    fn one_failure_without_doubt_opens_it() {
        let mut breaker = Breaker::new(POLICY);
        breaker.is_down(at(0));
        assert_eq!(breaker.allow(at(0)), Err(POLICY.first_pause));
        assert_eq!(breaker.allow(at(1_000)), Ok(()));
        breaker.is_down(at(1_000));
        assert_eq!(breaker.allow(at(1_000)), Err(POLICY.first_pause * 2), "a probe that failed like any");
        breaker.succeeded();
        breaker.failed(at(1_000), None);
        assert_eq!(breaker.state(at(1_000)), BreakerState::Closed, "one in doubt does not");
    }

    #[test]
    fn a_success_in_between_keeps_it_closed() {
        let mut breaker = Breaker::new(POLICY);
        for _ in 0..100 {
            for _ in 1..FAILURES {
                breaker.failed(at(0), None);
            }
            breaker.succeeded();
        }
        assert_eq!(breaker.state(at(0)), BreakerState::Closed);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever happened, on whatever clock: it never waits longer than its longest pause or what
        /// the platform asked for, `room` tells what `allow` will do, one probe is out at a time, and
        /// one success makes it whole.
        #[test]
        fn it_is_never_stuck(steps in prop::collection::vec((0..4_u8, -5_000..40_000_i64, 0..300_u64), 0..200)) {
            let (mut breaker, mut now) = (Breaker::new(POLICY), 0_i64);
            for (what, forward, asked) in steps {
                now += forward;
                match what {
                    0 => breaker.succeeded(),
                    1 => breaker.failed(at(now), (asked > 200).then(|| Duration::from_secs(asked))),
                    2 => breaker.is_down(at(now)),
                    _ => {
                        let room = breaker.room(at(now));
                        if breaker.state(at(now)) == BreakerState::Open {
                            prop_assert_eq!(room, 0);
                        }
                        let allowed = breaker.allow(at(now));
                        prop_assert_eq!(room > 0, allowed.is_ok());
                        if let Err(wait) = allowed {
                            prop_assert!(!wait.is_zero() && wait <= Duration::from_secs(300));
                        }
                        if breaker.state(at(now)) == BreakerState::Probing {
                            prop_assert_eq!(breaker.room(at(now)), 0);
                        }
                    }
                }
            }
            let later = at(now + 300_000);
            prop_assert_eq!(breaker.allow(later), Ok(()));
            breaker.succeeded();
            prop_assert_eq!(breaker.room(later), u32::MAX);
        }
    }
}
