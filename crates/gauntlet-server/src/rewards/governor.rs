//! Decides whether the platform is called now: one breaker and one retry budget per adapter.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gauntlet_domain::Timestamp;

use super::{GrantAnswer, Search, budget::Budget};
use crate::breaker::{Breaker, BreakerPolicy, BreakerState};

/// A hiccup must not stop every grant; a platform that is back must not wait for a minute.
const POLICY: BreakerPolicy = BreakerPolicy {
    failures: 5,
    first_pause: Duration::from_secs(1),
    longest_pause: Duration::from_secs(30),
    probe: Duration::from_secs(120),
};

#[derive(Debug)]
pub(super) struct Governor(Mutex<(Breaker, Budget)>);

impl Default for Governor {
    fn default() -> Self {
        Self(Mutex::new((Breaker::new(POLICY), Budget::new())))
    }
}

impl Governor {
    fn state(&self) -> MutexGuard<'_, (Breaker, Budget)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a call; who gets one tells its end with [`Governor::answered`] or
    /// [`Governor::searched`]. `Err`: how long to wait.
    pub(super) fn allow(&self, now: Timestamp) -> Result<(), Duration> {
        self.state().0.allow(now)
    }

    /// A first attempt is made: retries may be made in proportion.
    pub(super) fn first_attempt(&self) {
        self.state().1.first_attempt();
    }

    /// How many of `wanted` retries may be made now, and how many of them the budget refused.
    pub(super) fn retries(&self, wanted: u32, now: Timestamp) -> (u32, u32) {
        let (breaker, budget) = &mut *self.state();
        let wanted = breaker.room(now).min(wanted);
        let taken = budget.take(wanted, now);
        (taken, wanted - taken)
    }

    /// Gives back what [`Governor::retries`] allowed and nobody needed.
    pub(super) fn unused(&self, retries: u32) {
        self.state().1.give_back(retries);
    }

    /// Learns from an answer. A refusal is an answer of a platform that works.
    pub(super) fn answered(&self, answer: &GrantAnswer, now: Timestamp) {
        let breaker = &mut self.state().0;
        match answer {
            GrantAnswer::Granted | GrantAnswer::Refused(_) => breaker.succeeded(),
            GrantAnswer::NotDone { retry_after, .. } => breaker.failed(now, *retry_after),
            GrantAnswer::Ambiguous(_) => breaker.failed(now, None),
        }
    }

    /// Learns from the answer to a search.
    pub(super) fn searched(&self, search: &Search, now: Timestamp) {
        let breaker = &mut self.state().0;
        match search {
            Search::Found | Search::NotFound => breaker.succeeded(),
            Search::Unanswered(_) => breaker.failed(now, None),
        }
    }

    pub(super) fn breaker(&self, now: Timestamp) -> BreakerState {
        self.state().0.state(now)
    }
}
