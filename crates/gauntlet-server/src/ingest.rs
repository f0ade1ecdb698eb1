//! Events in: checks what the platform sends, and hands it to the player's shard.
//!
//! An event is answered OK only when what it changed is durable, or when a read in its batch has
//! shown that it changes nothing. Events that no goal can use are answered without the store.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use gauntlet_domain::{
    Event, EventOutcome, EventWhat, ReceiptKey, Timestamp,
    limits::{MAX_ID_CHARS, check_id},
};
use gauntlet_proto::{iam::UserLoggedIn, statistic::StatItemUpdated};
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    admission::{deadline, enter},
    core::Core,
    error::{ApiError, Reason},
    metrics::{EventKind, EventResult},
    shards::{Enqueued, Shards},
};

mod cloud_event;

pub use cloud_event::{CloudEvent, LOGIN_TYPE, STAT_TYPE};

/// How many malformed events are kept for inspection; the newest push out the oldest.
const MALFORMED_KEPT: usize = 100;
/// Receipts of platform events name the service as their source.
const IAM_SOURCE: &str = "accelbyte.iam.account.v1";
const STATISTIC_SOURCE: &str = "accelbyte.social.statistic.v1";

/// An event that could not be understood, as kept for inspection.
#[derive(Debug, Clone, Serialize)]
pub struct Malformed {
    /// When it came, RFC 3339.
    pub received_at: String,
    /// `login`, `stat` or `unknown`.
    pub kind: &'static str,
    /// What is wrong with it, in one word as in the metric.
    pub problem: &'static str,
    /// What is wrong with it, for people.
    pub message: String,
    /// Its id, cut to 100 characters.
    pub event_id: String,
    /// Its player, cut to 100 characters.
    pub player: String,
}

/// Takes events from every face.
#[derive(Debug, Clone)]
pub struct Ingest {
    core: Arc<Core>,
    shards: Shards,
    malformed: Arc<Mutex<VecDeque<Malformed>>>,
}

/// An event before it was checked, whatever it came in.
#[derive(Debug)]
struct Raw {
    kind: EventKind,
    player: String,
    namespace: String,
    timestamp: String,
    key: ReceiptKey,
    what: EventWhat,
}

/// How far an event has come.
#[derive(Debug)]
pub(crate) enum Begun {
    /// There was nothing to do, or it could not be begun.
    Answered(Result<(), ApiError>),
    /// It waits for its player's shard; its answer is for [`Ingest::poll`].
    Waits(Waiting),
}

/// An event that waits for its player's shard.
#[derive(Debug)]
pub(crate) struct Waiting {
    kind: EventKind,
    /// When it happened, if it says.
    happened_at: Option<Timestamp>,
    /// The player of an event without an id.
    nameless: Option<String>,
    enqueued: Enqueued,
}

/// What is wrong with an event.
struct Problem {
    word: &'static str,
    message: String,
}

impl Problem {
    fn new(word: &'static str, message: impl Into<String>) -> Self {
        Self { word, message: message.into() }
    }
}

impl Ingest {
    /// Takes events for running shards.
    #[must_use]
    pub fn new(core: Arc<Core>, shards: Shards) -> Self {
        Self { core, shards, malformed: Arc::default() }
    }

    /// A login from the platform.
    ///
    /// # Errors
    /// Malformed events, a full queue, a store that does not answer.
    pub async fn login(&self, event: UserLoggedIn) -> Result<(), ApiError> {
        self.accept(of_login(event)).await
    }

    /// A changed statistic from the platform. Fields of the message win over the same fields of
    /// its payload; both set and different is malformed.
    ///
    /// # Errors
    /// Malformed events, a full queue, a store that does not answer.
    pub async fn stat(&self, event: StatItemUpdated) -> Result<(), ApiError> {
        match of_stat(event) {
            Ok(raw) => self.accept(raw).await,
            Err((id, player, problem)) => Err(self.refuse(EventKind::Stat, &id, &player, problem)),
        }
    }

    /// A `CloudEvents` event.
    ///
    /// # Errors
    /// Malformed events, a full queue, a store that does not answer.
    pub async fn cloud_event(&self, event: CloudEvent) -> Result<(), ApiError> {
        match event.into_raw() {
            Ok(raw) => self.accept(raw).await,
            Err((id, player, problem)) => Err(self.refuse(EventKind::Unknown, &id, &player, problem)),
        }
    }

    /// Counts a `CloudEvents` event that could not even be read, and answers for it.
    #[must_use]
    pub fn malformed_cloud_event(&self, why: &str) -> ApiError {
        self.refuse(EventKind::Unknown, "", "", Problem::new("unreadable", why))
    }

    /// The newest malformed events, newest first.
    #[must_use]
    pub fn malformed(&self) -> Vec<Malformed> {
        self.list().iter().rev().cloned().collect()
    }

    async fn accept(&self, raw: Raw) -> Result<(), ApiError> {
        match self.begin(raw, deadline(), enter) {
            Begun::Answered(answer) => answer,
            Begun::Waits(mut waiting) => poll_fn(|cx| self.poll(&mut waiting, cx)).await,
        }
    }

    /// Begins [`Ingest::login`], for callers that keep its deadline and its place themselves:
    /// `enter` takes the place, as soon as it is known that there is something to do.
    pub(crate) fn begin_login(
        &self,
        event: UserLoggedIn,
        deadline: Instant,
        enter: impl FnOnce() -> Result<(), ApiError>,
    ) -> Begun {
        self.begin(of_login(event), Some(deadline), enter)
    }

    /// Begins [`Ingest::stat`] in the same way.
    pub(crate) fn begin_stat(
        &self,
        event: StatItemUpdated,
        deadline: Instant,
        enter: impl FnOnce() -> Result<(), ApiError>,
    ) -> Begun {
        match of_stat(event) {
            Ok(raw) => self.begin(raw, Some(deadline), enter),
            Err((id, player, problem)) => {
                Begun::Answered(Err(self.refuse(EventKind::Stat, &id, &player, problem)))
            }
        }
    }

    fn begin(
        &self,
        raw: Raw,
        deadline: Option<Instant>,
        enter: impl FnOnce() -> Result<(), ApiError>,
    ) -> Begun {
        let kind = raw.kind;
        let count = |result| self.core.metrics().event(kind, result);
        if !raw.namespace.is_empty() && raw.namespace != self.core.namespace() {
            count(EventResult::OtherNamespace);
            return Begun::Answered(Ok(()));
        }
        let at = match check(&raw, self.core.now()) {
            Ok(at) => at,
            Err(problem) => {
                return Begun::Answered(Err(self.refuse(kind, &raw.key.id, &raw.player, problem)));
            }
        };
        if self.core.shelf().is_unused(&raw.what) {
            count(EventResult::Unused);
            return Begun::Answered(Ok(()));
        }
        let happened_at = (!raw.timestamp.is_empty()).then_some(at);
        // Only an event without an id can turn out to need one.
        let nameless = raw.key.id.is_empty().then(|| raw.player.clone());
        let event = Event { what: raw.what, key: raw.key, at };
        let enqueued = enter().and_then(|()| self.shards.enqueue(self.core.key(raw.player), event, deadline));
        match enqueued {
            Ok(enqueued) => Begun::Waits(Waiting { kind, happened_at, nameless, enqueued }),
            Err(error) => {
                count(EventResult::Refused(error.reason));
                Begun::Answered(Err(error))
            }
        }
    }

    /// The answer to an event that waits, once it is there.
    pub(crate) fn poll(&self, waiting: &mut Waiting, cx: &mut Context<'_>) -> Poll<Result<(), ApiError>> {
        let answer = ready!(waiting.enqueued.poll(cx));
        let kind = waiting.kind;
        let count = |result| self.core.metrics().event(kind, result);
        if let (Ok(_), Some(happened_at)) = (&answer, waiting.happened_at) {
            // An event from the future is not late.
            let lag = u64::try_from(self.core.now().since(happened_at)).unwrap_or(0);
            self.core.metrics().event_lag(Duration::from_millis(lag));
        }
        Poll::Ready(match answer {
            Ok(EventOutcome::Counted) => {
                count(EventResult::Counted);
                Ok(())
            }
            Ok(EventOutcome::Unchanged) => {
                count(EventResult::Unchanged);
                Ok(())
            }
            Ok(EventOutcome::NeedsId) => {
                let problem =
                    Problem::new("missing_id", "id is empty, and a goal counts these events one by one");
                Err(self.refuse(kind, "", &waiting.nameless.take().unwrap_or_default(), problem))
            }
            Err(error) => {
                count(EventResult::Refused(error.reason));
                Err(error)
            }
        })
    }

    fn refuse(&self, kind: EventKind, id: &str, player: &str, problem: Problem) -> ApiError {
        self.core.metrics().malformed(kind, problem.word);
        let cut = |text: &str| text.chars().take(MAX_ID_CHARS).collect::<String>();
        let mut list = self.list();
        if list.len() == MALFORMED_KEPT {
            list.pop_front();
        }
        list.push_back(Malformed {
            received_at: self.core.now().to_rfc3339(),
            kind: kind.as_str(),
            problem: problem.word,
            message: problem.message.clone(),
            event_id: cut(id),
            player: cut(player),
        });
        ApiError::new(Reason::InvalidInput, problem.message).with("problem", problem.word)
    }

    fn list(&self) -> std::sync::MutexGuard<'_, VecDeque<Malformed>> {
        self.malformed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event as it came in, by what it came in.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// A login from the platform.
    Login(UserLoggedIn),
    /// A changed statistic from the platform.
    Stat(StatItemUpdated),
    /// A `CloudEvents` event.
    CloudEvent(CloudEvent),
}

/// Everything that is checked of an event before its player is looked at, and nothing else: the
/// player and the event as the rules will see it. `now` is the time of events without one. What
/// fuzzing throws its inputs at.
///
/// # Errors
/// The word of the problem, as in the metric.
pub fn inspect(event: Incoming, now: Timestamp) -> Result<(String, Event), &'static str> {
    let raw = match event {
        Incoming::Login(event) => Ok(of_login(event)),
        Incoming::Stat(event) => of_stat(event),
        Incoming::CloudEvent(event) => event.into_raw(),
    };
    let raw = raw.map_err(|(_, _, problem)| problem.word)?;
    let at = check(&raw, now).map_err(|problem| problem.word)?;
    Ok((raw.player, Event { what: raw.what, key: raw.key, at }))
}

/// A login as all events look.
fn of_login(event: UserLoggedIn) -> Raw {
    Raw {
        kind: EventKind::Login,
        player: event.user_id,
        namespace: event.namespace,
        timestamp: event.timestamp,
        key: ReceiptKey { source: IAM_SOURCE.into(), kind: LOGIN_TYPE.into(), id: event.id },
        what: EventWhat::Login,
    }
}

/// A changed statistic as all events look, or its id, its player and what is wrong with it.
fn of_stat(event: StatItemUpdated) -> Result<Raw, (String, String, Problem)> {
    let Some(item) = event.payload else {
        let problem = Problem::new("missing_payload", "payload is missing");
        return Err((event.id, event.user_id, problem));
    };
    let merged = merge(&event.user_id, &item.user_id, "user_id").and_then(|player| {
        merge(&event.namespace, &item.namespace, "namespace").map(|namespace| (player, namespace))
    });
    let (player, namespace) = match merged {
        Ok(merged) => merged,
        Err(problem) => return Err((event.id, event.user_id, problem)),
    };
    Ok(Raw {
        kind: EventKind::Stat,
        player,
        namespace,
        timestamp: event.timestamp,
        key: ReceiptKey { source: STATISTIC_SOURCE.into(), kind: STAT_TYPE.into(), id: event.id },
        what: EventWhat::Stat { code: item.stat_code, value: item.latest_value, increment: item.inc },
    })
}

/// The field of the message, else that of its payload.
fn merge(message: &str, payload: &str, field: &'static str) -> Result<String, Problem> {
    match (message, payload) {
        (one, "") | ("", one) => Ok(one.to_owned()),
        (one, other) if one == other => Ok(one.to_owned()),
        _ => Err(Problem::new(
            "contradiction",
            format!("{field} of the message and of its payload are different"),
        )),
    }
}

/// Checks ids and numbers; answers the event's time. An event without a time happened now.
fn check(raw: &Raw, now: Timestamp) -> Result<Timestamp, Problem> {
    check_id(&raw.player).map_err(|problem| Problem::new("bad_user_id", format!("user_id {problem}")))?;
    if !raw.key.id.is_empty() {
        check_id(&raw.key.id).map_err(|problem| Problem::new("bad_id", format!("id {problem}")))?;
    }
    if let EventWhat::Stat { code, value, increment } = &raw.what {
        check_id(code).map_err(|problem| Problem::new("bad_stat_code", format!("stat_code {problem}")))?;
        if !value.is_finite() || !increment.is_finite() {
            return Err(Problem::new("bad_value", "latest_value and inc must be finite numbers"));
        }
    }
    if raw.timestamp.is_empty() {
        return Ok(now);
    }
    Timestamp::parse(&raw.timestamp)
        .map_err(|problem| Problem::new("bad_timestamp", format!("timestamp is {problem}")))
}

#[cfg(test)]
mod tests;
