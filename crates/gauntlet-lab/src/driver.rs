//! Drives the load: users with sessions, arrivals that do not wait, and what is done before.

mod arrivals;
mod calls;
mod prepare;
mod retry;
mod users;

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use tokio::{sync::watch, time::sleep_until};

pub(crate) use arrivals::drive as drive_arrivals;
pub(crate) use prepare::prepare;
pub(crate) use users::drive as drive_user;

use crate::{
    book::Book,
    clock::RunClock,
    events::Events,
    http::Http,
    recorder::Recorder,
    scenario::{Scenario, Step},
};

/// What all parts of a run share.
#[derive(Debug)]
pub(crate) struct World {
    /// Begins with the book, before players are prepared.
    pub(crate) clock: RunClock,
    /// When the load began, in microseconds of the clock.
    pub(crate) origin: AtomicU64,
    pub(crate) http: Http,
    /// `None`: the scenario sends none.
    pub(crate) events: Option<Events>,
    pub(crate) recorder: Mutex<Recorder>,
    pub(crate) book: Book,
    /// Numbers of endpoints by name.
    pub(crate) endpoints: HashMap<String, usize>,
    /// How often a call is repeated at most, as a client does that reads `docs/errors.md`.
    pub(crate) retries: u32,
    /// Becomes true when no new call may begin.
    pub(crate) stop: watch::Receiver<bool>,
    /// Events sent.
    pub(crate) event_number: AtomicU32,
    /// Calls and events under way.
    pub(crate) in_flight: AtomicU32,
    /// Users in a session.
    pub(crate) active_users: AtomicU32,
}

/// What a player remembers from one step to the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Completed goals of the last browse: challenge and goal.
    claimable: Vec<(String, String)>,
}

impl World {
    /// The recorder.
    pub(crate) fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds on the book's clock.
    pub(crate) fn now(&self) -> u64 {
        self.clock.micros(Instant::now())
    }

    /// Microseconds since the load began.
    pub(crate) fn since_origin(&self, at: u64) -> u64 {
        at.saturating_sub(self.origin.load(Ordering::Relaxed))
    }

    /// Whether no new call may begin.
    pub(crate) fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Sleeps until an instant; false: the run ended before.
    pub(crate) async fn sleep(&self, until: Instant) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = sleep_until(until.into()) => !self.stopped(),
            // A sender that is gone has nothing to stop any more.
            _ended = stop.wait_for(|stop| *stop) => false,
        }
    }
}

/// Numbers of endpoints by name, and whether each is an event, in the order of the scenario.
pub(crate) fn endpoints(scenario: &Scenario) -> Vec<(String, bool)> {
    let mut found: Vec<(String, bool)> = Vec::new();
    for action in scenario.actions() {
        if !found.iter().any(|(name, _)| *name == action.endpoint) {
            found.push((action.endpoint.clone(), action.call.is_event()));
        }
    }
    found
}

/// A random source for one part of a run: parts do not change each other's numbers.
pub(crate) fn rng(seed: u64, part: u64) -> Rng {
    Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part.wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

/// A uniform span between two.
fn between(rng: &mut Rng, (low, high): (Duration, Duration)) -> Duration {
    low + high.saturating_sub(low).mul_f64(rng.f64())
}

/// Chooses by weight; `None`: there is nothing to choose from.
fn choose<'a, T>(rng: &mut Rng, choices: &'a [(f64, T)]) -> Option<&'a T> {
    let total: f64 = choices.iter().map(|(weight, _)| weight).sum();
    let mut left = rng.f64() * total;
    for (weight, choice) in choices {
        left -= weight;
        if left < 0.0 {
            return Some(choice);
        }
    }
    choices.last().map(|(_, choice)| choice)
}

/// Takes one step without its wait; `intended`: when it should begin.
async fn step(
    world: &World,
    rng: &mut Rng,
    player: u32,
    memory: &mut Memory,
    step: &Step,
    intended: Instant,
) {
    // Drawn whether it is needed or not, so that a change of one chance moves no other draw.
    let taken = rng.f64() < step.chance;
    let action = choose(rng, &step.choices);
    if let Some(action) = action.filter(|_| taken) {
        calls::perform(world, rng, player, memory, action, intended).await;
    }
}
