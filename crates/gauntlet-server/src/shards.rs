//! Shard queues and group commit: the one way in which players are written.
//!
//! Every write of a player in this process, from the API and from events, goes through the queue
//! of that player's shard. While one batch of a shard commits, the next gathers; a lone operation
//! is carried out at once; nobody waits for a timer. Within one process there are therefore no
//! conflicts: those come from other replicas only.
//!
//! Queues are bounded. A full one refuses at once, and what was refused was not done.

use std::{
    future::poll_fn,
    hash::{DefaultHasher, Hash, Hasher},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use gauntlet_domain::{Catalogue, Command, Event, EventOutcome, Refusal, Reply};
use gauntlet_store::PlayerKey;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admission::{deadline, too_late},
    core::Core,
    error::{ApiError, Reason},
    lifecycle::Tasks,
    traces::Queued,
};

mod group;
mod memory;
mod pace;
mod worker;

use pace::Pace;

/// How many operations a shard commits together at most.
///
/// Larger batches were measured to cost no less per event and to hold rows longer; at saturation
/// batches are a few hundred anyway.
const MAX_BATCH: usize = 1_000;

/// Sizes of the queues.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Number of shards: how many batches may be committing at once. SQLite has one writer: while
    /// it commits for one shard, the other gets its batch ready.
    pub shards: usize,
    /// Operations of the API that may wait in one shard.
    pub call_queue: usize,
    /// Events that may wait in one shard.
    pub event_queue: usize,
}

impl Default for Limits {
    /// Two shards were measured to bring 20 % over one with PostgreSQL and 30 % with SQLite, and
    /// four less.
    /// 4,096 waiting events are about a quarter of a second of work; with less, bursts of a
    /// thousand are refused, with more, callers wait past their deadlines.
    fn default() -> Self {
        Self { shards: 2, call_queue: 1_024, event_queue: 4_096 }
    }
}

/// Why a call was not carried out.
#[derive(Debug)]
pub enum CallError {
    /// The rules do not allow it.
    Refused(Refusal),
    /// It could not be tried or stored.
    Failed(ApiError),
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) => refusal.into(),
            CallError::Failed(error) => error,
        }
    }
}

/// The answer to a call, with the catalogue that its goals are named by.
pub type CallAnswer = Result<(Reply, Arc<Catalogue>), CallError>;
/// The answer to an event: what it did is stored.
pub type EventAnswer = Result<EventOutcome, ApiError>;

/// One operation on one player, waiting for its batch.
#[derive(Debug)]
struct Operation {
    key: PlayerKey,
    work: Work,
    reply: ReplyTo,
    /// When it joined its queue.
    asked: Instant,
    /// When its caller gives up: then it is not begun.
    deadline: Option<Instant>,
    /// Its wait, when its request is sampled.
    queued: Option<Box<Queued>>,
}

impl Operation {
    fn new(key: PlayerKey, work: Work, reply: ReplyTo, deadline: Option<Instant>) -> Self {
        Self { key, work, reply, asked: Instant::now(), deadline, queued: Queued::begin() }
    }

    fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Answers that it was not begun.
    fn refuse(self, error: ApiError) {
        // A caller who has gone away need not be told.
        match self.reply {
            ReplyTo::Call(reply) => drop(reply.send(Err(CallError::Failed(error)))),
            ReplyTo::Event(reply) => drop(reply.send(Err(error))),
        }
    }
}

#[derive(Debug)]
enum Work {
    Call(Command),
    Event(Event),
}

/// Where an answer goes. A caller that has gone away does not undo the operation.
#[derive(Debug)]
enum ReplyTo {
    Call(oneshot::Sender<CallAnswer>),
    Event(oneshot::Sender<EventAnswer>),
}

/// An event that waits for its batch.
#[derive(Debug)]
pub(crate) struct Enqueued(oneshot::Receiver<EventAnswer>);

impl Enqueued {
    /// Its answer, once it is there.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<EventAnswer> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or_else(|_| Err(lost())))
    }

    async fn answered(mut self) -> EventAnswer {
        poll_fn(|cx| self.poll(cx)).await
    }
}

#[derive(Debug)]
struct Queues {
    calls: mpsc::Sender<Operation>,
    events: mpsc::Sender<Operation>,
    pace: Arc<Pace>,
}

impl Queues {
    fn waiting(queue: &mpsc::Sender<Operation>) -> usize {
        queue.max_capacity() - queue.capacity()
    }
}

/// A handle on all shards.
#[derive(Debug, Clone)]
pub struct Shards {
    core: Arc<Core>,
    queues: Arc<[Queues]>,
    closing: CancellationToken,
}

impl Shards {
    /// Starts the shards' tasks.
    #[must_use]
    pub fn start(core: Arc<Core>, limits: Limits, tasks: &Tasks) -> Self {
        let closing = CancellationToken::new();
        let queues = (0..limits.shards.max(1))
            .map(|_| {
                let (calls, next_calls) = mpsc::channel(limits.call_queue.max(1));
                let (events, next_events) = mpsc::channel(limits.event_queue.max(1));
                let pace = Arc::new(Pace::default());
                let queues = worker::Waiting { calls: next_calls, events: next_events };
                let worker = worker::Worker::new(core.clone(), queues, pace.clone(), closing.clone());
                tasks.spawn_until("shard", &closing, worker.run());
                Queues { calls, events, pace }
            })
            .collect();
        Self { core, queues, closing }
    }

    /// Carries out a command and answers once its change is durable.
    ///
    /// # Errors
    /// What the rules refuse, a full queue, a store that does not answer, too many conflicts.
    pub async fn call(&self, key: PlayerKey, command: Command) -> CallAnswer {
        let (reply, answer) = oneshot::channel();
        let queues = &self.queues[self.shard_of(&key)];
        let deadline = deadline();
        self.admit(queues, Queues::waiting(&queues.calls), deadline).map_err(CallError::Failed)?;
        let operation = Operation::new(key, Work::Call(command), ReplyTo::Call(reply), deadline);
        queues.calls.try_send(operation).map_err(|error| CallError::Failed(self.refused(&error)))?;
        answer.await.unwrap_or_else(|_| Err(CallError::Failed(lost())))
    }

    /// Counts an event and answers once its change is durable.
    ///
    /// # Errors
    /// A full queue, a store that does not answer, too many conflicts.
    pub async fn event(&self, key: PlayerKey, event: Event) -> EventAnswer {
        self.enqueue(key, event, deadline())?.answered().await
    }

    /// Puts an event into its shard's queue.
    ///
    /// # Errors
    /// A full queue, a dead store, a deadline that could not be kept.
    pub(crate) fn enqueue(
        &self,
        key: PlayerKey,
        event: Event,
        deadline: Option<Instant>,
    ) -> Result<Enqueued, ApiError> {
        let (reply, answer) = oneshot::channel();
        let queues = &self.queues[self.shard_of(&key)];
        // Calls go first.
        let ahead = Queues::waiting(&queues.calls) + Queues::waiting(&queues.events);
        self.admit(queues, ahead, deadline)?;
        let operation = Operation::new(key, Work::Event(event), ReplyTo::Event(reply), deadline);
        queues.events.try_send(operation).map_err(|error| self.refused(&error))?;
        Ok(Enqueued(answer))
    }

    /// Operations that wait, of calls and of events, for metrics.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.queues().fold((0, 0), |sums, queue| (sums.0 + queue.0, sums.1 + queue.1))
    }

    /// The same of each shard.
    pub(crate) fn queues(&self) -> impl Iterator<Item = (usize, usize)> {
        self.queues.iter().map(|queues| (Queues::waiting(&queues.calls), Queues::waiting(&queues.events)))
    }

    /// Takes no new operations, carries out those that wait, and ends the shards' tasks. Await
    /// the tasks afterwards.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Refuses what could not be done in time, and what a dead database could not do at all.
    fn admit(&self, queues: &Queues, ahead: usize, deadline: Option<Instant>) -> Result<(), ApiError> {
        self.core.check_store()?;
        if let Some(deadline) = deadline {
            let now = Instant::now();
            if deadline <= now {
                return Err(too_late());
            }
            if now + queues.pace.time_for(ahead) > deadline {
                self.core.metrics().shed("deadline");
                return Err(ApiError::overloaded());
            }
        }
        Ok(())
    }

    fn shard_of(&self, key: &PlayerKey) -> usize {
        let mut hash = DefaultHasher::new();
        key.hash(&mut hash);
        usize::try_from(hash.finish() % self.queues.len() as u64).unwrap_or(0)
    }

    fn refused(&self, error: &mpsc::error::TrySendError<Operation>) -> ApiError {
        match error {
            mpsc::error::TrySendError::Full(_) => {
                self.core.metrics().shed("queue");
                ApiError::overloaded()
            }
            mpsc::error::TrySendError::Closed(_) => {
                ApiError::new(Reason::StoreUnavailable, "the service is stopping; try again")
            }
        }
    }
}

/// The shard ended without an answer, which only a panic does.
fn lost() -> ApiError {
    ApiError::new(Reason::Internal, "the service failed while working on this; it may have been done")
}

#[cfg(test)]
pub(crate) mod tests;
