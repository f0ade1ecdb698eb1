//! How many requests of one class may be under way: fixed, or falling while all answers take too
//! long.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Never fewer places than this, however slow the answers are: without answers nobody would see
/// that they are fast again.
const LEAST: f64 = 8.0;
/// How long answers are looked at before the number of places changes. Shorter, and there may be
/// no quick answer among them by chance; longer, and a queue stands for longer.
const INTERVAL: Duration = Duration::from_millis(200);
/// What an interval without a quick answer leaves of the places.
const SHRINK: f64 = 0.85;
/// What an interval with a quick answer makes of the places, and at least one more.
const GROW: f64 = 1.1;

/// Counts what is under way, and what is on its way to it.
#[derive(Debug)]
pub(super) struct Limit {
    under_way: AtomicUsize,
    coming: AtomicUsize,
    /// How many may be under way now.
    now: AtomicUsize,
    /// `None`: the number of places is fixed.
    places: Option<Mutex<Places>>,
}

/// One place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Limit>);

/// A request that was let in and that nobody has looked at yet: it will want a place.
#[derive(Debug)]
pub(crate) struct Coming(Arc<Limit>);

impl Limit {
    /// A limit; with a `target`, it falls while answers take longer than that, and rises again.
    pub(super) fn new(most: usize, target: Option<Duration>) -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            coming: AtomicUsize::new(0),
            now: AtomicUsize::new(most),
            places: target.map(|target| Mutex::new(Places::new(most, target, Instant::now()))),
        }
    }

    /// Whether every place is taken.
    pub(super) fn is_full(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) >= self.now.load(Ordering::Relaxed)
    }

    /// Whether those that were let in will need all places.
    pub(super) fn is_wanted(&self) -> bool {
        let wanted = self.coming.load(Ordering::Relaxed) + self.under_way.load(Ordering::Relaxed);
        wanted >= self.now.load(Ordering::Relaxed)
    }

    /// Lets a request in, unless those that were let in before it will need all places.
    pub(super) fn come(self: &Arc<Self>) -> Option<Coming> {
        let before = self.coming.fetch_add(1, Ordering::Relaxed);
        let coming = Coming(Arc::clone(self));
        let wanted = before + self.under_way.load(Ordering::Relaxed);
        (wanted < self.now.load(Ordering::Relaxed)).then_some(coming)
    }

    pub(super) fn take(self: &Arc<Self>) -> Option<Permit> {
        let most = self.now.load(Ordering::Relaxed);
        let more = |under_way| (under_way < most).then_some(under_way + 1);
        let taken = self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Permit(Arc::clone(self)))
    }

    /// An answer was ready after this time.
    pub(super) fn answered(&self, now: Instant, took: Duration) {
        let Some(places) = &self.places else { return };
        let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.answered(now, took) {
            self.now.store(places.now(), Ordering::Relaxed);
        }
    }
}

impl Permit {
    /// What it is a place of.
    pub(super) fn limit(&self) -> &Limit {
        &self.0
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.coming.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The number of places: fewer after every interval in which no answer was quick, more after
/// every other. Pure: the time is an argument.
///
/// One slow answer says nothing: a neighbour on the machine, a vacuum or a large player make some.
/// When not one of an interval is quick, there is a queue that does not go away.
#[derive(Debug, Clone, Copy)]
struct Places {
    now: f64,
    most: f64,
    target: Duration,
    /// When the interval began.
    began: Instant,
    /// The quickest answer of the interval.
    quickest: Option<Duration>,
}

impl Places {
    fn new(most: usize, target: Duration, began: Instant) -> Self {
        let most = f64::from(u32::try_from(most).unwrap_or(u32::MAX));
        Self { now: most, most, target, began, quickest: None }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2^32")]
    const fn now(&self) -> usize {
        self.now as usize
    }

    /// Notes an answer; whether the number of places may have changed.
    fn answered(&mut self, now: Instant, took: Duration) -> bool {
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed < INTERVAL {
            self.quickest = Some(self.quickest.map_or(took, |quickest| quickest.min(took)));
            return false;
        }
        let was_slow = self.quickest.is_some_and(|quickest| quickest > self.target);
        if was_slow {
            self.now = (self.now * SHRINK).max(LEAST.min(self.most));
        }
        // Intervals that have passed without an answer had no queue.
        let quiet = elapsed.as_millis() / INTERVAL.as_millis() - u128::from(was_slow);
        for _ in 0..quiet.min(100) {
            self.now = (self.now * GROW).max(self.now + 1.0).min(self.most);
        }
        (self.began, self.quickest) = (now, Some(took));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET: Duration = Duration::from_millis(100);

    #[test]
    fn places_are_counted() {
        let limit = Arc::new(Limit::new(2, None));
        let first = limit.take();
        let second = limit.take();
        assert!(first.is_some() && second.is_some() && limit.is_full() && limit.take().is_none());
        drop(first);
        assert!(!limit.is_full() && limit.take().is_some());
    }

    #[test]
    fn those_who_come_will_want_places() {
        let limit = Arc::new(Limit::new(3, None));
        let taken = limit.take();
        let coming = [limit.come(), limit.come()];
        assert!(taken.is_some() && coming.iter().all(Option::is_some));
        assert!(limit.come().is_none() && limit.is_wanted() && !limit.is_full());
        drop(coming);
        assert!(limit.come().is_some(), "who was refused is not counted, nor who has been looked at");
    }

    /// Answers of one class, one a millisecond for so long.
    fn answers(places: &mut Places, now: &mut Instant, millis: u64, took: impl Fn(u64) -> Duration) {
        for number in 0..millis {
            *now += Duration::from_millis(1);
            places.answered(*now, took(number));
        }
    }

    #[test]
    fn some_slow_answers_cost_no_place_and_a_standing_queue_does() {
        let mut now = Instant::now();
        let mut places = Places::new(256, TARGET, now);
        let noisy = |number: u64| if number.is_multiple_of(20) { TARGET / 2 } else { TARGET * 5 };
        answers(&mut places, &mut now, 10_000, noisy);
        assert_eq!(places.now(), 256, "95 of 100 are slow, and there is no queue");
        answers(&mut places, &mut now, 3_000, |_| TARGET * 2);
        assert!(places.now() < 64, "{}", places.now());
        answers(&mut places, &mut now, 10_000, noisy);
        assert_eq!(places.now(), 256);
        answers(&mut places, &mut now, 60_000, |_| TARGET * 2);
        assert_eq!(places.now(), 8);
        now += Duration::from_secs(30);
        places.answered(now, TARGET * 2);
        assert_eq!(places.now(), 256, "a rest brings all of them back");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the answers: between the least and the most, slow answers that come close
        /// together never raise it, quick ones never lower it, and quick ones bring all of it back.
        #[test]
        fn it_stays_within_bounds_and_comes_back(
            most in 1_usize..1_000,
            seen in prop::collection::vec((0_u64..200, 0_u64..1_000), 0..300),
            slow in any::<bool>(),
        ) {
            let mut now = Instant::now();
            let mut places = Places::new(most, TARGET, now);
            for (forward, took) in seen {
                now += Duration::from_millis(forward);
                let before = places.now;
                let took = Duration::from_millis(if slow { took.max(101) } else { took });
                places.answered(now, took);
                prop_assert!(places.now() <= most && places.now() >= most.min(8));
                prop_assert!(!slow || places.now <= before, "{} after {}", places.now, before);
            }
            let before = places.now;
            answers(&mut places, &mut now, 201, |_| Duration::ZERO);
            answers(&mut places, &mut now, 30_000, |_| Duration::ZERO);
            prop_assert!(places.now >= before && places.now() == most);
        }
    }
}
