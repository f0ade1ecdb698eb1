//! The one table of figures: their names, what they mean and when to look at them. What is
//! registered, and `docs/metrics.md`, come from it.

use prometheus_client::registry::{Metric, Registry, Unit};

/// A figure, as it is shown and as it is documented.
#[derive(Debug)]
pub(super) struct Row {
    /// Without the ending for its unit, and without `_total`.
    pub(super) name: &'static str,
    pub(super) unit: In,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the page that a test makes"))]
    pub(super) kind: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the page that a test makes"))]
    pub(super) labels: &'static [&'static str],
    /// What it is, in one sentence without a full stop.
    pub(super) help: &'static str,
    /// When to look at it, in the same form.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the page that a test makes"))]
    pub(super) look: &'static str,
}

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum In {
    /// A number of whatever it counts.
    Itself,
    Seconds,
    Bytes,
}

type Text = &'static str;
type Labels = &'static [&'static str];

const fn row(kind: Text, name: Text, labels: Labels, help: Text, look: Text) -> Row {
    Row { name, unit: In::Itself, kind, labels, help, look }
}
const fn counter(name: Text, labels: Labels, help: Text, look: Text) -> Row {
    row("counter", name, labels, help, look)
}
const fn gauge(name: Text, labels: Labels, help: Text, look: Text) -> Row {
    row("gauge", name, labels, help, look)
}
/// Of seconds, but for [`BATCH`].
const fn histogram(name: Text, labels: Labels, help: Text, look: Text) -> Row {
    Row { unit: In::Seconds, ..row("histogram", name, labels, help, look) }
}

impl Row {
    /// Shows `metric` under this row's name.
    pub(super) fn register(&self, registry: &mut Registry, metric: impl Metric) {
        match self.unit() {
            Some(unit) => registry.register_with_unit(self.name, self.help, unit, metric),
            None => registry.register(self.name, self.help, metric),
        }
    }

    pub(super) const fn unit(&self) -> Option<Unit> {
        match self.unit {
            In::Itself => None,
            In::Seconds => Some(Unit::Seconds),
            In::Bytes => Some(Unit::Bytes),
        }
    }

    /// The name that stands behind `# TYPE`.
    #[cfg(test)]
    pub(super) fn family(&self) -> String {
        self.unit().map_or_else(|| self.name.to_owned(), |unit| format!("{}_{}", self.name, unit.as_str()))
    }
}

pub(super) static REQUESTS: Row = counter(
    "gauntlet_requests",
    &["face", "method", "route", "code", "reason"],
    "Requests by face (http, grpc), HTTP method, route, gRPC code and reason",
    "errors: the share of codes other than OK; the reason says whose they are",
);
pub(super) static REQUEST_DURATION: Row = histogram(
    "gauntlet_request_duration",
    &["face", "method", "route"],
    "Time from a request's head to its answer's head",
    "a route is slow: compare with the waits below to find where the time goes",
);
pub(super) static EVENTS: Row = counter(
    "gauntlet_events",
    &["kind", "result"],
    "Events by kind and what became of them; the reason stands for those that were refused",
    "progress does not move: nothing is counted, or all of it is unused",
);
pub(super) static MALFORMED: Row = counter(
    "gauntlet_events_malformed",
    &["kind", "problem"],
    "Events that could not be understood",
    "the platform changed its events; `/events/malformed` shows the newest",
);
pub(super) static EVENT_LAG: Row = histogram(
    "gauntlet_event_lag",
    &[],
    "Time from when an event happened, as it says, until it was answered; events without a time are left out",
    "players wait for progress: the platform delivers late, or the service is slow (gauntlet_shard_wait_seconds)",
);
pub(super) static SHEDS: Row = counter(
    "gauntlet_sheds",
    &["kind"],
    "Operations refused before any work, by cause",
    "above 0: there is more to do than the database commits",
);
pub(super) static QUEUE: Row = gauge(
    "gauntlet_queue_operations",
    &["kind"],
    "Operations that wait in the shards: calls, events",
    "it grows: commits are slower than what comes in",
);
pub(super) static SHARD_WAIT: Row = histogram(
    "gauntlet_shard_wait",
    &["kind"],
    "Time that operations waited for their batch: calls, events",
    "requests are slow although statements are not",
);
pub(super) static BATCH: Row = Row {
    unit: In::Itself,
    ..histogram(
        "gauntlet_event_batch_operations",
        &[],
        "Operations that a shard carried out together",
        "large batches: the database is the bottleneck; it grows until the queues are full",
    )
};
pub(super) static COMMIT: Row = histogram(
    "gauntlet_event_batch_commit",
    &[],
    "Time of a batch's commit, the wait for a connection included",
    "the disk or the database is slow",
);
pub(super) static CONFLICTS: Row = counter(
    "gauntlet_conflicts",
    &[],
    "Players that lost a race against another replica",
    "many: players move between replicas; balance by player if you can",
);
pub(super) static GRANTS: Row = counter(
    "gauntlet_grants",
    &["adapter", "result"],
    "Calls to the reward platform by adapter and result",
    "not_done or ambiguous: the platform is in trouble",
);
pub(super) static GRANT_ATTEMPTS: Row = counter(
    "gauntlet_grant_attempts",
    &["adapter", "attempt"],
    "Calls to the reward platform by the number of the attempt: 1, 2, 3, more",
    "many behind the first: retries are a burden on the platform",
);
pub(super) static GRANTS_ENDED: Row = counter(
    "gauntlet_grants_ended",
    &["adapter", "state"],
    "Grants whose end was stored: granted, refused, uncertain",
    "uncertain above 0: an operator has to settle them",
);
pub(super) static GRANTS_HELD_BACK: Row = counter(
    "gauntlet_grants_held_back",
    &["adapter", "cause"],
    "Calls to the reward platform that were put off without a call, by cause: breaker, budget",
    "the platform is in trouble and left alone",
);
pub(super) static UNCLAIMED_GRANTED: Row = counter(
    "gauntlet_unclaimed_granted",
    &[],
    "Rewards ordered by themselves at the end of their cycle, because nobody had claimed them",
    "with goals that grant unclaimed rewards: no worker runs, or nobody completes them",
);
pub(super) static GRANT_DURATION: Row = histogram(
    "gauntlet_grant_duration",
    &["adapter"],
    "Time of a call to the reward platform",
    "claims are slow",
);
pub(super) static GRANTS_PENDING: Row = gauge(
    "gauntlet_grants_pending",
    &[],
    "Grants that are being sent, as the worker last saw them",
    "it grows: the platform does not keep up, or no process has the role worker",
);
pub(super) static GRANTS_OLDEST: Row = Row {
    unit: In::Seconds,
    ..gauge(
        "gauntlet_grants_oldest_pending",
        &[],
        "Age of the oldest grant that is being sent; 0 when there is none",
        "above a minute: players wait for rewards",
    )
};
pub(super) static BREAKER: Row = gauge(
    "gauntlet_breaker_state",
    &["dependency"],
    "What a breaker lets through to its dependency (database-reads, database-writes, a reward adapter): 0 everything, 1 a probe, 2 nothing",
    "above 0: the dependency fails and is left alone",
);
pub(super) static CATALOGUE_VERSION: Row = gauge(
    "gauntlet_catalogue_version",
    &[],
    "Version of the catalogue in use",
    "after a change: replicas that differ did not take it",
);
pub(super) static CATALOGUE_NEWEST: Row = gauge(
    "gauntlet_catalogue_newest_version",
    &[],
    "Newest version of the catalogue that was registered, by this process or another",
    "it stays above gauntlet_catalogue_version: a replica cannot load it, or it waits for one",
);
pub(super) static CATALOGUE_RELOADS: Row = counter(
    "gauntlet_catalogue_reloads",
    &["result"],
    "Readings of the catalogue file after the start: taken, rejected for its faults, failed",
    "rejected above 0: the log has the first fault, and the version before is still in use",
);
pub(super) static CHALLENGE_GOALS: Row = gauge(
    "gauntlet_challenge_goals",
    &["challenge"],
    "Goals of a challenge in the catalogue in use",
    "after a change of the catalogue",
);
pub(super) static STORE_ERRORS: Row = counter(
    "gauntlet_store_errors",
    &["kind"],
    "Failures of the store: unavailable, unknown, corrupt, newer, rejected",
    "corrupt or rejected above 0: look at the log at once",
);
pub(super) static STATEMENTS: Row = histogram(
    "gauntlet_store_statement_duration",
    &["operation"],
    "Time of one statement (PostgreSQL) or of one reading or transaction (SQLite), without waiting for its turn",
    "an operation is slow; its count over that of requests is the number of statements a request costs",
);
pub(super) static POOL: Row = gauge(
    "gauntlet_pool_connections",
    &["kind"],
    "Connections to the database: limit, open, idle, in_use, and callers waiting for one",
    "in_use stays at the limit: too few connections, or slow statements",
);
pub(super) static POOL_WAIT: Row = histogram(
    "gauntlet_pool_wait",
    &[],
    "Time that callers waited for a connection; on SQLite for one that reads",
    "requests are slow although statements are not",
);
pub(super) static POOL_TIMEOUTS: Row = counter(
    "gauntlet_pool_timeouts",
    &[],
    "Callers that gave up waiting for a connection",
    "above 0: they were answered STORE_UNAVAILABLE",
);
pub(super) static WRITER_WAIT: Row = histogram(
    "gauntlet_sqlite_writer_wait",
    &[],
    "Time that calls waited for the thread that writes",
    "claims and events are slow on SQLite",
);
pub(super) static CHECKPOINTS: Row = histogram(
    "gauntlet_sqlite_checkpoint_duration",
    &[],
    "Time in which a commit stood still to finish moving the log to the database file",
    "commits stall now and then on SQLite",
);
pub(super) static MOVES: Row = histogram(
    "gauntlet_sqlite_move_duration",
    &[],
    "Time of moving the log to the database file while commits go on",
    "the disk is slow, and the log grows",
);
pub(super) static LOG_BYTES: Row = Row {
    unit: In::Bytes,
    ..gauge(
        "gauntlet_sqlite_log_size",
        &[],
        "Size of the write-ahead log",
        "it grows past some 10 MiB: a long reading, of a backup say, keeps it from being moved",
    )
};
pub(super) static BUILD: Row = row(
    "info",
    "gauntlet_build",
    &["version", "profile", "target"],
    "What runs here: always 1",
    "replicas of different releases run side by side",
);
pub(super) static CPU: Row = Row {
    unit: In::Seconds,
    ..counter("process_cpu", &[], "Processor time of the process", "its rate is the number of busy cores")
};
pub(super) static MEMORY: Row = Row {
    unit: In::Bytes,
    ..gauge("process_resident_memory", &[], "Memory that the process occupies", "it grows without end")
};
pub(super) static START: Row = Row {
    unit: In::Seconds,
    ..gauge(
        "process_start_time",
        &[],
        "When the process started, since 1970",
        "it changed: there was a restart",
    )
};
pub(super) static THREADS: Row =
    gauge("process_threads", &[], "Threads of the process", "it grows without end");
pub(super) static OPEN_FILES: Row =
    gauge("process_open_fds", &[], "Open files and connections", "it comes near process_max_fds");
pub(super) static MAX_FILES: Row =
    gauge("process_max_fds", &[], "How many files and connections may be open", "see process_open_fds");
pub(super) static WORKERS: Row =
    gauge("gauntlet_runtime_workers", &[], "Threads that run tasks", "it is not the number of cores");
pub(super) static TASKS: Row =
    gauge("gauntlet_runtime_alive_tasks", &[], "Tasks that have not ended", "it grows without end");
pub(super) static RUNTIME_QUEUE: Row = gauge(
    "gauntlet_runtime_queue_tasks",
    &[],
    "Tasks in the runtime's common queue",
    "it stays above 0: too little processor time",
);
pub(super) static BUSY: Row = Row {
    unit: In::Seconds,
    ..counter(
        "gauntlet_runtime_busy",
        &[],
        "Time that the threads that run tasks were busy",
        "its rate comes near the number of workers: too little processor time",
    )
};

/// Every figure, as the page shows them.
#[cfg(test)]
pub(super) static GROUPS: [(&str, &[&Row]); 6] = [
    ("Requests and events", &[&REQUESTS, &REQUEST_DURATION, &EVENTS, &MALFORMED, &EVENT_LAG, &SHEDS]),
    ("Shards", &[&QUEUE, &SHARD_WAIT, &BATCH, &COMMIT, &CONFLICTS]),
    (
        "Rewards and catalogue",
        &[
            &GRANTS,
            &GRANT_ATTEMPTS,
            &GRANTS_ENDED,
            &GRANTS_HELD_BACK,
            &UNCLAIMED_GRANTED,
            &GRANT_DURATION,
            &GRANTS_PENDING,
            &GRANTS_OLDEST,
            &BREAKER,
            &CATALOGUE_VERSION,
            &CATALOGUE_NEWEST,
            &CATALOGUE_RELOADS,
            &CHALLENGE_GOALS,
        ],
    ),
    ("Store", &[&STORE_ERRORS, &STATEMENTS, &POOL, &POOL_WAIT, &POOL_TIMEOUTS]),
    ("SQLite", &[&WRITER_WAIT, &CHECKPOINTS, &MOVES, &LOG_BYTES]),
    (
        "Process and runtime",
        &[
            &BUILD,
            &CPU,
            &MEMORY,
            &START,
            &THREADS,
            &OPEN_FILES,
            &MAX_FILES,
            &WORKERS,
            &TASKS,
            &RUNTIME_QUEUE,
            &BUSY,
        ],
    ),
];
