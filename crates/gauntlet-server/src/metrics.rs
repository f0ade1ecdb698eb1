//! The figures that the server counts from its first day, in the `OpenMetrics` text format.
//!
//! Names follow the conventions of Prometheus: base units, `_total` on counters. Labels are
//! bounded: no ids of players, goals or requests. What every event costs has a handle of its own;
//! the others are looked up by their labels.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use gauntlet_domain::Catalogue;
use gauntlet_store::{Error as StoreError, GrantState};
use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use crate::{error::Reason, grpc, rewards::BreakerState};

#[cfg(test)]
mod page;
mod process;
mod sample;
mod table;
#[cfg(test)]
mod tests;

pub use sample::Sample;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a request asked for, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Route {
    /// `http` or `grpc`.
    pub face: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path's pattern, or the gRPC method.
    pub route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    face: &'static str,
    method: &'static str,
    route: &'static str,
    code: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    kind: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MalformedLabels {
    kind: &'static str,
    problem: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GrantLabels {
    adapter: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    adapter: &'static str,
    attempt: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    adapter: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HeldBackLabels {
    adapter: &'static str,
    cause: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AdapterLabel {
    adapter: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DependencyLabel {
    dependency: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChallengeLabel {
    challenge: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OneLabel {
    kind: &'static str,
}

/// What sort of event is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A login.
    Login,
    /// A changed statistic.
    Stat,
    /// Neither could be made out.
    Unknown,
}

impl EventKind {
    const ALL: [Self; 3] = [Self::Login, Self::Stat, Self::Unknown];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Stat => "stat",
            Self::Unknown => "unknown",
        }
    }
}

/// What became of an event that could be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventResult {
    /// It changed the player.
    Counted,
    /// It was read against the player and changed nothing.
    Unchanged,
    /// No goal of the catalogue uses it.
    Unused,
    /// It belongs to another namespace.
    OtherNamespace,
    /// It was not done; the platform delivers it again.
    Refused(Reason),
}

impl EventResult {
    /// Those that events usually have.
    const USUAL: [Self; 4] = [Self::Counted, Self::Unchanged, Self::Unused, Self::OtherNamespace];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Unchanged => "unchanged",
            Self::Unused => "unused",
            Self::OtherNamespace => "other_namespace",
            Self::Refused(reason) => reason.as_str(),
        }
    }
}

/// Every figure that the server counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<Route, Histogram, fn() -> Histogram>,
    /// Of the methods that take events, what counts those that went well.
    usual_requests: [(&'static str, OnceLock<(Counter, Histogram)>); 3],
    events: Family<EventLabels, Counter>,
    /// By kind and usual result, the counters in `events`.
    usual_events: [[Counter; 4]; 3],
    malformed: Family<MalformedLabels, Counter>,
    event_lag: Histogram,
    shard_seconds: Family<OneLabel, Histogram, fn() -> Histogram>,
    call_wait: Histogram,
    event_wait: Histogram,
    batch_operations: Histogram,
    commit_seconds: Histogram,
    conflicts: Counter,
    sheds: Family<OneLabel, Counter>,
    store_errors: Family<OneLabel, Counter>,
    grants: Family<GrantLabels, Counter>,
    grant_attempts: Family<AttemptLabels, Counter>,
    grants_ended: Family<EndLabels, Counter>,
    grants_held_back: Family<HeldBackLabels, Counter>,
    unclaimed_granted: Counter,
    grant_seconds: Family<AdapterLabel, Histogram, fn() -> Histogram>,
    pending_grants: Gauge,
    oldest_pending_seconds: Gauge<f64, AtomicU64>,
    breakers: Family<DependencyLabel, Gauge>,
    catalogue_version: Gauge<i64, AtomicI64>,
    catalogue_newest: Gauge<i64, AtomicI64>,
    catalogue_reloads: Family<ResultLabel, Counter>,
    challenge_goals: Family<ChallengeLabel, Gauge>,
}

/// 0.25 ms to about 16 s, each twice the one before.
fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 17))
}

/// How late an event may be, in seconds: from a moment to longer than a late window.
const LAGS: [f64; 12] = [0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 86_400.0];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All figures at zero.
    #[must_use]
    pub fn new() -> Self {
        let histograms = latency as fn() -> Histogram;
        let events = Family::<EventLabels, Counter>::default();
        let shard_seconds = Family::new_with_constructor(histograms);
        let wait = |kind| shard_seconds.get_or_create_owned(&OneLabel { kind });
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(histograms),
            usual_requests: grpc::EVENT_LABELS.map(|label| (label, OnceLock::new())),
            usual_events: EventKind::ALL.map(|kind| {
                EventResult::USUAL.map(|result| events.get_or_create_owned(&EventLabels::of(kind, result)))
            }),
            events,
            malformed: Family::default(),
            event_lag: Histogram::new(LAGS),
            call_wait: wait("calls"),
            event_wait: wait("events"),
            shard_seconds,
            batch_operations: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            commit_seconds: latency(),
            conflicts: Counter::default(),
            sheds: Family::default(),
            store_errors: Family::default(),
            grants: Family::default(),
            grant_attempts: Family::default(),
            grants_ended: Family::default(),
            grants_held_back: Family::default(),
            unclaimed_granted: Counter::default(),
            grant_seconds: Family::new_with_constructor(histograms),
            pending_grants: Gauge::default(),
            oldest_pending_seconds: Gauge::default(),
            breakers: Family::default(),
            catalogue_version: Gauge::default(),
            catalogue_newest: Gauge::default(),
            catalogue_reloads: Family::default(),
            challenge_goals: Family::default(),
        };
        metrics.register();
        // Of what is rare, the first time would not be seen as an increase if it were not shown as 0 before.
        drop(metrics.sheds("breaker"));
        for kind in ["unavailable", "unknown", "corrupt", "newer", "rejected"] {
            drop(metrics.store_errors.get_or_create(&OneLabel { kind }));
        }
        for result in [Reload::Taken, Reload::Rejected, Reload::Failed] {
            drop(metrics.catalogue_reloads.get_or_create(&ResultLabel { result: result.as_str() }));
        }
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        table::REQUESTS.register(r, self.requests.clone());
        table::REQUEST_DURATION.register(r, self.request_seconds.clone());
        table::EVENTS.register(r, self.events.clone());
        table::MALFORMED.register(r, self.malformed.clone());
        table::EVENT_LAG.register(r, self.event_lag.clone());
        table::SHEDS.register(r, self.sheds.clone());
        table::SHARD_WAIT.register(r, self.shard_seconds.clone());
        table::BATCH.register(r, self.batch_operations.clone());
        table::COMMIT.register(r, self.commit_seconds.clone());
        table::CONFLICTS.register(r, self.conflicts.clone());
        table::STORE_ERRORS.register(r, self.store_errors.clone());
        table::GRANTS.register(r, self.grants.clone());
        table::GRANT_ATTEMPTS.register(r, self.grant_attempts.clone());
        table::GRANTS_ENDED.register(r, self.grants_ended.clone());
        table::GRANTS_HELD_BACK.register(r, self.grants_held_back.clone());
        table::UNCLAIMED_GRANTED.register(r, self.unclaimed_granted.clone());
        table::GRANT_DURATION.register(r, self.grant_seconds.clone());
        table::GRANTS_PENDING.register(r, self.pending_grants.clone());
        table::GRANTS_OLDEST.register(r, self.oldest_pending_seconds.clone());
        table::BREAKER.register(r, self.breakers.clone());
        table::CATALOGUE_VERSION.register(r, self.catalogue_version.clone());
        table::CATALOGUE_NEWEST.register(r, self.catalogue_newest.clone());
        table::CATALOGUE_RELOADS.register(r, self.catalogue_reloads.clone());
        table::CHALLENGE_GOALS.register(r, self.challenge_goals.clone());
    }

    /// A request was answered.
    pub fn request(&self, route: Route, code: &'static str, reason: &'static str, elapsed: Duration) {
        let Route { face, method, route: name } = route;
        if code == "OK"
            && face == "grpc"
            && let Some((_, usual)) = self.usual_requests.iter().find(|(usual, _)| *usual == name)
        {
            let (counter, seconds) = usual.get_or_init(|| {
                let labels = RequestLabels { face, method, route: name, code, reason };
                (self.requests.get_or_create_owned(&labels), self.request_seconds.get_or_create_owned(&route))
            });
            counter.inc();
            seconds.observe(elapsed.as_secs_f64());
            return;
        }
        self.requests.get_or_create(&RequestLabels { face, method, route: name, code, reason }).inc();
        self.request_seconds.get_or_create(&route).observe(elapsed.as_secs_f64());
    }

    /// An event was answered.
    pub fn event(&self, kind: EventKind, result: EventResult) {
        let usual = EventResult::USUAL.iter().position(|usual| *usual == result);
        match usual {
            Some(at) => self.usual_events[kind as usize][at].inc(),
            None => self.events.get_or_create(&EventLabels::of(kind, result)).inc(),
        };
    }

    /// An event could not be understood.
    pub fn malformed(&self, kind: EventKind, problem: &'static str) {
        self.malformed.get_or_create(&MalformedLabels { kind: kind.as_str(), problem }).inc();
    }

    /// An event was carried out so long after it had happened.
    pub fn event_lag(&self, lag: Duration) {
        self.event_lag.observe(lag.as_secs_f64());
    }

    /// A call was taken from its shard's queue.
    pub fn call_waited(&self, elapsed: Duration) {
        self.call_wait.observe(elapsed.as_secs_f64());
    }

    /// An event was taken from its shard's queue.
    pub fn event_waited(&self, elapsed: Duration) {
        self.event_wait.observe(elapsed.as_secs_f64());
    }

    /// A shard took a batch.
    pub fn batch(&self, operations: usize) {
        self.batch_operations.observe(f64::from(u32::try_from(operations).unwrap_or(u32::MAX)));
    }

    /// A batch was committed.
    pub fn commit(&self, elapsed: Duration) {
        self.commit_seconds.observe(elapsed.as_secs_f64());
    }

    /// A player lost a race against another replica.
    pub fn conflict(&self) {
        self.conflicts.inc();
    }

    /// An operation was refused before any work.
    pub fn shed(&self, cause: &'static str) {
        self.sheds.get_or_create(&OneLabel { kind: cause }).inc();
    }

    /// The counter of [`Metrics::shed`] for one cause.
    pub(crate) fn sheds(&self, cause: &'static str) -> Counter {
        self.sheds.get_or_create_owned(&OneLabel { kind: cause })
    }

    /// The figures of [`Metrics::request`] for one answer to one route, to be looked up once.
    pub(crate) fn answers(&self, route: Route, code: &'static str, reason: &'static str) -> Answers {
        let Route { face, method, route: name } = route;
        let labels = RequestLabels { face, method, route: name, code, reason };
        Answers {
            count: self.requests.get_or_create_owned(&labels),
            seconds: self.request_seconds.get_or_create_owned(&route),
        }
    }

    /// The store failed.
    pub fn store_error(&self, error: &StoreError) {
        let kind = match error {
            StoreError::Unavailable { .. } => "unavailable",
            StoreError::Unknown { .. } => "unknown",
            StoreError::Corrupt { .. } => "corrupt",
            StoreError::Newer { .. } => "newer",
            StoreError::Rejected { .. } => "rejected",
        };
        self.store_errors.get_or_create(&OneLabel { kind }).inc();
    }

    /// A call to the reward platform was answered; `attempt` counts from 1.
    pub fn grant(&self, adapter: &'static str, result: &'static str, attempt: u32, elapsed: Duration) {
        let attempt = match attempt {
            0 | 1 => "1",
            2 => "2",
            3 => "3",
            _ => "more",
        };
        self.grants.get_or_create(&GrantLabels { adapter, result }).inc();
        self.grant_attempts.get_or_create(&AttemptLabels { adapter, attempt }).inc();
        self.grant_seconds.get_or_create(&AdapterLabel { adapter }).observe(elapsed.as_secs_f64());
    }

    /// Shows what grants through this adapter can come to before any has, so that the first one is
    /// seen as an increase.
    pub fn adapter(&self, adapter: &'static str) {
        for state in [GrantState::Granted, GrantState::Refused, GrantState::Uncertain] {
            drop(self.grants_ended.get_or_create(&EndLabels { adapter, state: state.as_str() }));
        }
    }

    /// A grant's end was stored.
    pub fn grant_ended(&self, adapter: &'static str, state: GrantState) {
        self.grants_ended.get_or_create(&EndLabels { adapter, state: state.as_str() }).inc();
    }

    /// Calls to the reward platform were put off without a call.
    pub fn grants_held_back(&self, adapter: &'static str, cause: &'static str, count: u32) {
        self.grants_held_back.get_or_create(&HeldBackLabels { adapter, cause }).inc_by(count.into());
    }

    /// A reward was ordered that nobody had claimed when its cycle ended.
    pub fn unclaimed_granted(&self) {
        self.unclaimed_granted.inc();
    }

    /// Grants that are being sent, and the age of the oldest.
    pub fn pending(&self, count: u64, oldest: Duration) {
        self.pending_grants.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.oldest_pending_seconds.set(oldest.as_secs_f64());
    }

    /// What a breaker lets through to a dependency: a reward adapter by its name, `database-reads`
    /// or `database-writes`.
    pub fn breaker(&self, dependency: &'static str, state: BreakerState) {
        let state = match state {
            BreakerState::Closed => 0,
            BreakerState::Probing => 1,
            BreakerState::Open => 2,
        };
        self.breakers.get_or_create(&DependencyLabel { dependency }).set(state);
    }

    /// The catalogue in use.
    pub fn catalogue(&self, catalogue: &Catalogue) {
        self.catalogue_version.set(i64::from(catalogue.version()));
        self.catalogue_newest(catalogue.version());
        self.challenge_goals.clear();
        for index in catalogue.challenge_indexes() {
            let challenge = catalogue.challenge(index).id.clone();
            let goals = i64::try_from(catalogue.goals_of(index).count()).unwrap_or(i64::MAX);
            self.challenge_goals.get_or_create(&ChallengeLabel { challenge }).set(goals);
        }
    }

    /// The newest catalogue version that was registered.
    pub(crate) fn catalogue_newest(&self, version: u32) {
        self.catalogue_newest.set(i64::from(version));
    }

    /// The catalogue was read again.
    pub(crate) fn reload(&self, result: Reload) {
        self.catalogue_reloads.get_or_create(&ResultLabel { result: result.as_str() }).inc();
    }

    /// All figures as `OpenMetrics` text, those included that are only read when somebody asks.
    #[must_use]
    pub fn render(&self, sample: Sample) -> String {
        let mut text = String::with_capacity(64 * 1024);
        // Writing into a string cannot fail.
        let _written = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &sample::registry(sample)))
            .and_then(|()| encode_eof(&mut text));
        text
    }
}

/// What became of a reading of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reload {
    /// It is the newest version, perhaps it was before.
    Taken,
    /// It has faults.
    Rejected,
    /// It could not be read, or the store did not take it.
    Failed,
}

impl Reload {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

/// What is counted of one answer to one route.
#[derive(Debug)]
pub(crate) struct Answers {
    count: Counter,
    seconds: Histogram,
}

impl Answers {
    /// A request was answered.
    pub(crate) fn add(&self, elapsed: Duration) {
        self.count.inc();
        self.seconds.observe(elapsed.as_secs_f64());
    }
}

impl EventLabels {
    const fn of(kind: EventKind, result: EventResult) -> Self {
        Self { kind: kind.as_str(), result: result.as_str() }
    }
}
