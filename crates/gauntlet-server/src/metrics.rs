//! The figures that the server counts from its first day, in the `OpenMetrics` text format.
//!
//! Names follow the conventions of Prometheus: base units, `_total` on counters. Labels are
//! bounded: no ids of players, goals or requests.

use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use gauntlet_store::{Error as StoreError, PoolStatus};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{error::Reason, rewards::BreakerState};

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    face: &'static str,
    route: &'static str,
    code: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    face: &'static str,
    route: &'static str,
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
struct HeldBackLabels {
    adapter: &'static str,
    cause: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AdapterLabel {
    adapter: &'static str,
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
    request_seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    events: Family<EventLabels, Counter>,
    malformed: Family<MalformedLabels, Counter>,
    batch_operations: Histogram,
    commit_seconds: Histogram,
    conflicts: Counter,
    sheds: Family<OneLabel, Counter>,
    store_errors: Family<OneLabel, Counter>,
    grants: Family<GrantLabels, Counter>,
    grant_seconds: Histogram,
    grants_held_back: Family<HeldBackLabels, Counter>,
    grant_breaker: Family<AdapterLabel, Gauge>,
    pending_grants: Gauge,
    oldest_pending_seconds: Gauge<f64, AtomicU64>,
    queue: Family<OneLabel, Gauge>,
    pool: Family<OneLabel, Gauge>,
    catalogue_version: Gauge<i64, AtomicI64>,
}

/// 0.25 ms to about 16 s, each twice the one before.
fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 17))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All figures at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("gauntlet"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(latency as fn() -> Histogram),
            events: Family::default(),
            malformed: Family::default(),
            batch_operations: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            commit_seconds: latency(),
            conflicts: Counter::default(),
            sheds: Family::default(),
            store_errors: Family::default(),
            grants: Family::default(),
            grant_seconds: latency(),
            grants_held_back: Family::default(),
            grant_breaker: Family::default(),
            pending_grants: Gauge::default(),
            oldest_pending_seconds: Gauge::default(),
            queue: Family::default(),
            pool: Family::default(),
            catalogue_version: Gauge::default(),
        };
        metrics.register_traffic();
        metrics.register_state();
        metrics
    }

    fn register_traffic(&mut self) {
        let r = &mut self.registry;
        r.register("requests", "API requests by face, route, gRPC code and reason", self.requests.clone());
        r.register_with_unit(
            "request_duration",
            "Time from a request's head to its answer's head",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        r.register("events", "Events by kind and what became of them", self.events.clone());
        r.register("events_malformed", "Events that could not be understood", self.malformed.clone());
        r.register(
            "event_batch_operations",
            "Operations that a shard carried out together",
            self.batch_operations.clone(),
        );
        r.register_with_unit(
            "event_batch_commit",
            "Time of a batch's commit",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        r.register("conflicts", "Players that lost a race against another replica", self.conflicts.clone());
        r.register("sheds", "Operations refused before any work, by cause", self.sheds.clone());
        r.register("store_errors", "Failures of the store by kind", self.store_errors.clone());
        r.register("grants", "Calls to the reward platform by adapter and result", self.grants.clone());
        r.register_with_unit(
            "grant_duration",
            "Time of a call to the reward platform",
            Unit::Seconds,
            self.grant_seconds.clone(),
        );
        r.register(
            "grants_held_back",
            "Calls to the reward platform that were put off without a call, by cause: breaker, budget",
            self.grants_held_back.clone(),
        );
    }

    fn register_state(&mut self) {
        let r = &mut self.registry;
        r.register("grants_pending", "Grants that are being sent", self.pending_grants.clone());
        r.register_with_unit(
            "grants_oldest_pending",
            "Age of the oldest grant that is being sent; 0 when there is none",
            Unit::Seconds,
            self.oldest_pending_seconds.clone(),
        );
        r.register(
            "grant_breaker",
            "What the breaker of an adapter lets through: 0 everything, 1 a probe, 2 nothing",
            self.grant_breaker.clone(),
        );
        r.register("queue_operations", "Operations that wait in the shards", self.queue.clone());
        r.register(
            "pool_connections",
            "Connections to the database: limit, open, idle, and callers waiting for one",
            self.pool.clone(),
        );
        r.register("catalogue_version", "Version of the catalogue in use", self.catalogue_version.clone());
    }

    /// A request was answered.
    pub fn request(
        &self,
        face: &'static str,
        route: &'static str,
        code: &'static str,
        reason: &'static str,
        elapsed: Duration,
    ) {
        self.requests.get_or_create(&RequestLabels { face, route, code, reason }).inc();
        self.request_seconds.get_or_create(&RouteLabels { face, route }).observe(elapsed.as_secs_f64());
    }

    /// An event was answered.
    pub fn event(&self, kind: EventKind, result: EventResult) {
        let labels = EventLabels { kind: kind.as_str(), result: result.as_str() };
        self.events.get_or_create(&labels).inc();
    }

    /// An event could not be understood.
    pub fn malformed(&self, kind: EventKind, problem: &'static str) {
        self.malformed.get_or_create(&MalformedLabels { kind: kind.as_str(), problem }).inc();
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

    /// A call to the reward platform was answered.
    pub fn grant(&self, adapter: &'static str, result: &'static str, elapsed: Duration) {
        self.grants.get_or_create(&GrantLabels { adapter, result }).inc();
        self.grant_seconds.observe(elapsed.as_secs_f64());
    }

    /// Calls to the reward platform were put off without a call.
    pub fn grants_held_back(&self, adapter: &'static str, cause: &'static str, count: u32) {
        self.grants_held_back.get_or_create(&HeldBackLabels { adapter, cause }).inc_by(count.into());
    }

    /// What an adapter's breaker lets through.
    pub fn grant_breaker(&self, adapter: &'static str, state: BreakerState) {
        let state = match state {
            BreakerState::Closed => 0,
            BreakerState::Probing => 1,
            BreakerState::Open => 2,
        };
        self.grant_breaker.get_or_create(&AdapterLabel { adapter }).set(state);
    }

    /// Grants that are being sent, and the age of the oldest.
    pub fn pending(&self, count: u64, oldest: Duration) {
        self.pending_grants.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.oldest_pending_seconds.set(oldest.as_secs_f64());
    }

    /// Operations that wait in the shards.
    pub fn queues(&self, calls: usize, events: usize) {
        self.set(&self.queue, "calls", calls);
        self.set(&self.queue, "events", events);
    }

    /// How the store's connections are used.
    pub fn pool(&self, status: PoolStatus) {
        self.set(&self.pool, "limit", status.limit);
        self.set(&self.pool, "open", status.open);
        self.set(&self.pool, "idle", status.idle);
        self.set(&self.pool, "waiting", status.waiting);
    }

    /// The catalogue in use.
    pub fn catalogue(&self, version: u32) {
        self.catalogue_version.set(i64::from(version));
    }

    /// All figures as `OpenMetrics` text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Writing into a string cannot fail.
        let _written = encode(&mut text, &self.registry);
        text
    }

    #[expect(clippy::unused_self, reason = "reads like the other figures")]
    fn set(&self, family: &Family<OneLabel, Gauge>, kind: &'static str, value: usize) {
        family.get_or_create(&OneLabel { kind }).set(i64::try_from(value).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rendered_with_their_labels() {
        let metrics = Metrics::new();
        metrics.event(EventKind::Stat, EventResult::Refused(Reason::Overloaded));
        metrics.request("http", "/v1/challenges", "OK", "OK", Duration::from_millis(1));
        metrics.pool(PoolStatus { limit: 10, open: 3, idle: 2, waiting: 1 });
        let text = metrics.render();
        for line in [
            r#"gauntlet_events_total{kind="stat",result="OVERLOADED"} 1"#,
            r#"gauntlet_requests_total{face="http",route="/v1/challenges",code="OK",reason="OK"} 1"#,
            r#"gauntlet_request_duration_seconds_count{face="http",route="/v1/challenges"} 1"#,
            r#"gauntlet_pool_connections{kind="waiting"} 1"#,
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
    }
}
