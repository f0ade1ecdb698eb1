//! What runs now: tasks and what they are at, queues, and the runtime.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use tokio::runtime::Handle;

use crate::{lifecycle::Seen, server::FaceState};

/// Most tasks that are listed one by one; there can be a claim for every player.
const LISTED: usize = 500;

const NOTE: &str = "Tasks that the service owns by name. The runtime has more: connections, their HTTP/2 requests \
                    and connections to the database are counted in runtime.unlisted_tasks. A task is at what it \
                    noted last; where inside of that it waits is not known.";

/// What runs now.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    note: &'static str,
    runtime: Runtime,
    queues: Queues,
    /// By kind.
    kinds: BTreeMap<&'static str, Kind>,
    /// Oldest first.
    tasks: Vec<Task>,
    tasks_left_out: usize,
}

#[derive(Debug, Serialize)]
struct Runtime {
    alive_tasks: usize,
    unlisted_tasks: usize,
    /// Ready to run and not yet taken by a worker.
    global_queue: usize,
    workers: Vec<Worker>,
}

#[derive(Debug, Serialize)]
struct Worker {
    busy_seconds: f64,
    parks: u64,
}

#[derive(Debug, Serialize)]
struct Queues {
    /// Operations that wait in each shard.
    shards: Vec<Shard>,
    pool: Pool,
    malformed_events: usize,
}

#[derive(Debug, Serialize)]
struct Shard {
    calls: usize,
    events: usize,
}

#[derive(Debug, Serialize)]
struct Pool {
    limit: usize,
    open: usize,
    idle: usize,
    waiting: usize,
}

#[derive(Debug, Default, Serialize)]
struct Kind {
    tasks: usize,
    oldest_seconds: f64,
    polls: u64,
    busy_seconds: f64,
    /// How many are at what.
    at: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Serialize)]
struct Task {
    kind: &'static str,
    age_seconds: f64,
    polls: u64,
    busy_seconds: f64,
    /// How long the poll takes that it is in. More than some milliseconds: it blocks its thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_poll_seconds: Option<f64>,
    at: Option<&'static str>,
    at_seconds: Option<f64>,
}

impl From<&Seen> for Task {
    fn from(seen: &Seen) -> Self {
        Self {
            kind: seen.name,
            age_seconds: seconds(seen.age),
            polls: seen.polls,
            busy_seconds: seconds(seen.busy),
            in_poll_seconds: seen.polling.map(seconds),
            at: seen.at.map(|(what, _)| what),
            at_seconds: seen.at.map(|(_, since)| seconds(since)),
        }
    }
}

/// With microseconds, which is what people can read.
pub(super) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}

/// Looks at a server.
pub(crate) fn view(face: &FaceState) -> View {
    let mut seen: Vec<Seen> = face.tasks.iter().flat_map(crate::lifecycle::Tasks::seen).collect();
    seen.sort_by_key(|seen| std::cmp::Reverse(seen.age));
    let pool = face.core.store().pool_status();
    View {
        note: NOTE,
        runtime: runtime(seen.len()),
        queues: Queues {
            shards: face.shards.queues().map(|(calls, events)| Shard { calls, events }).collect(),
            pool: Pool { limit: pool.limit, open: pool.open, idle: pool.idle, waiting: pool.waiting },
            malformed_events: face.ingest.malformed().len(),
        },
        kinds: kinds(&seen),
        tasks: seen.iter().take(LISTED).map(Task::from).collect(),
        tasks_left_out: seen.len().saturating_sub(LISTED),
    }
}

fn runtime(listed: usize) -> Runtime {
    let figures = Handle::current().metrics();
    let alive_tasks = figures.num_alive_tasks();
    #[cfg(target_has_atomic = "64")]
    let workers = (0..figures.num_workers())
        .map(|worker| Worker {
            busy_seconds: seconds(figures.worker_total_busy_duration(worker)),
            parks: figures.worker_park_count(worker),
        })
        .collect();
    #[cfg(not(target_has_atomic = "64"))]
    let workers = Vec::new();
    Runtime {
        alive_tasks,
        unlisted_tasks: alive_tasks.saturating_sub(listed),
        global_queue: figures.global_queue_depth(),
        workers,
    }
}

fn kinds(seen: &[Seen]) -> BTreeMap<&'static str, Kind> {
    let mut kinds = BTreeMap::<_, Kind>::new();
    for seen in seen {
        let kind = kinds.entry(seen.name).or_default();
        kind.tasks += 1;
        kind.oldest_seconds = kind.oldest_seconds.max(seconds(seen.age));
        kind.polls += seen.polls;
        kind.busy_seconds += seconds(seen.busy);
        *kind.at.entry(seen.at.map_or("not noted", |(what, _)| what)).or_default() += 1;
    }
    kinds
}
