//! Who may begin: how many requests of each class are under way, and how long each may take.
//!
//! A request that finds its class full is refused before any work, by the [`gate`] as a rule, and
//! one whose deadline has passed is not begun. A place is taken after the request has been read, so
//! that slow senders hold none, and is given back when the reply has left, so that slow readers do
//! not multiply what is in memory. Health, operations and the server's own work take no place.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, HeaderName},
    response::Response,
};
use hyper::body::{Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tokio::time::{Instant, timeout_at};

use crate::{
    core::Core,
    error::{ApiError, Reason},
    net::replies::{Replies, Reply},
};

pub(crate) mod gate;
mod limit;

pub(crate) use limit::Coming;
use limit::{Limit, Permit};

/// What requests compete for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Browsing: one read, and a large reply.
    Read,
    /// Calls of the API that change the player.
    Write,
    /// Claims, which wait for the reward platform: a slow platform must not keep other calls out.
    Claim,
    /// Events.
    Event,
}

impl Class {
    const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Claim, Self::Event];

    /// As the metrics name it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::Write => "writes",
            Self::Claim => "claims",
            Self::Event => "events",
        }
    }
}

/// How many requests of each class may be under way, and how long each may take. A caller's own
/// deadline can only be shorter.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionOptions {
    /// Reads at one time. Too low refuses bursts that would have been served; too high lets them
    /// wait, and keeps as many replies in memory.
    pub reads: usize,
    /// Writes of the API at one time, claims apart.
    pub writes: usize,
    /// Claims at one time.
    pub claims: usize,
    /// Events at one time: calls, `CloudEvents` requests, and events of streams.
    pub events: usize,
    /// Whether fewer requests are let in while every answer takes long. It keeps answers quick
    /// under overload, and costs throughput where the database is far away or the machine is shared:
    /// docs/overload.md has the figures.
    pub adaptive: bool,
    /// Longest time for a read.
    pub read_time: Duration,
    /// Longest time for a write of the API.
    pub write_time: Duration,
    /// Longest time for a claim; more than a claim waits for its grant.
    pub claim_time: Duration,
    /// Longest time for an event.
    pub event_time: Duration,
}

impl Default for AdmissionOptions {
    fn default() -> Self {
        Self {
            reads: 256,
            writes: 2_048,
            claims: 512,
            events: 4_096,
            adaptive: false,
            read_time: Duration::from_secs(5),
            write_time: Duration::from_secs(10),
            claim_time: Duration::from_secs(20),
            event_time: Duration::from_secs(10),
        }
    }
}

/// How long the quickest of the answers of a while may take before fewer requests are let in.
const READ_TARGET: Duration = Duration::from_millis(50);
const WRITE_TARGET: Duration = Duration::from_millis(50);
const EVENT_TARGET: Duration = Duration::from_millis(200);

/// The places of all classes of one server.
#[derive(Debug, Clone)]
pub(crate) struct Admission(Arc<Places>);

#[derive(Debug)]
struct Places {
    options: AdmissionOptions,
    reads: Arc<Limit>,
    writes: Arc<Limit>,
    claims: Arc<Limit>,
    events: Arc<Limit>,
    /// Refusals by class.
    shed: [Counter; 4],
}

impl Admission {
    pub(crate) fn new(core: &Core, options: AdmissionOptions) -> Self {
        let limit = |most, target| Arc::new(Limit::new(most, target));
        let target = |time| options.adaptive.then_some(time);
        Self(Arc::new(Places {
            options,
            shed: Class::ALL.map(|class| core.metrics().sheds(class.as_str())),
            reads: limit(options.reads, target(READ_TARGET)),
            writes: limit(options.writes, target(WRITE_TARGET)),
            // What a claim waits for is not here.
            claims: limit(options.claims, None),
            events: limit(options.events, target(EVENT_TARGET)),
        }))
    }

    /// Runs a request within its deadline: the caller's, if it has one, and the server's. The
    /// place that it takes on its way (see [`enter`]) is kept as long as what is answered beside
    /// the result.
    ///
    /// # Errors
    /// `OVERLOADED` when the class is full; `DEADLINE_EXCEEDED` when the time is over.
    pub(crate) async fn run<T>(
        &self,
        class: Class,
        asked: Option<Duration>,
        work: impl Future<Output = T>,
    ) -> Result<(T, Place), ApiError> {
        let deadline = self.begin(class, asked)?;
        let place = Place(Arc::new(Taken { class, admission: self.clone(), permit: OnceLock::new() }));
        let request = Request { deadline, place: place.clone() };
        let result = timeout_at(deadline, REQUEST.scope(request, work)).await;
        if let Some((_, since)) = place.0.permit.get() {
            self.limit(class).answered(Instant::now(), since.elapsed());
        }
        match result {
            Ok(result) => Ok((result, place)),
            Err(_) => Err(over()),
        }
    }

    /// When a request must be answered that comes now; its place is for [`Admission::take`].
    ///
    /// # Errors
    /// `OVERLOADED` when the class is full; `DEADLINE_EXCEEDED` when there is no time at all.
    pub(crate) fn begin(&self, class: Class, asked: Option<Duration>) -> Result<Instant, ApiError> {
        // The gate has asked already, but not for single events of a stream.
        if self.limit(class).is_full() {
            return Err(self.full(class));
        }
        let most = self.time(class);
        if asked.is_some_and(|asked| asked.is_zero()) {
            return Err(too_late());
        }
        Ok(Instant::now() + asked.map_or(most, |asked| asked.min(most)))
    }

    /// Takes a place for a request that keeps it by itself.
    ///
    /// # Errors
    /// `OVERLOADED` when the class is full; `DEADLINE_EXCEEDED` when the time is over.
    pub(crate) fn take(&self, class: Class, deadline: Instant) -> Result<Kept, ApiError> {
        let now = Instant::now();
        if now >= deadline {
            return Err(too_late());
        }
        let permit = self.limit(class).take().ok_or_else(|| self.full(class))?;
        Ok(Kept { permit, since: now })
    }

    /// Lets a request in that wants a place soon. What waits to be looked at, as requests over
    /// HTTP/2 do, is counted until then.
    ///
    /// # Errors
    /// Nothing to say: the class is full.
    fn come(&self, class: Class, waits: bool) -> Result<Option<Coming>, ()> {
        let limit = self.limit(class);
        let coming = if waits { limit.come() } else { None };
        let refused = if waits { coming.is_none() } else { limit.is_wanted() };
        if refused {
            self.0.shed[class as usize].inc();
            return Err(());
        }
        Ok(coming)
    }

    fn limit(&self, class: Class) -> &Arc<Limit> {
        match class {
            Class::Read => &self.0.reads,
            Class::Write => &self.0.writes,
            Class::Claim => &self.0.claims,
            Class::Event => &self.0.events,
        }
    }

    fn time(&self, class: Class) -> Duration {
        match class {
            Class::Read => self.0.options.read_time,
            Class::Write => self.0.options.write_time,
            Class::Claim => self.0.options.claim_time,
            Class::Event => self.0.options.event_time,
        }
    }

    fn full(&self, class: Class) -> ApiError {
        self.0.shed[class as usize].inc();
        ApiError::overloaded()
    }
}

tokio::task_local! {
    static REQUEST: Request;
}

/// The request that the current task works on.
struct Request {
    deadline: Instant,
    place: Place,
}

impl Request {
    fn in_time(&self) -> Result<(), ApiError> {
        if Instant::now() < self.deadline { Ok(()) } else { Err(too_late()) }
    }
}

/// A place that was taken with [`Admission::take`]; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Kept {
    permit: Permit,
    since: Instant,
}

impl Kept {
    /// The answer is there.
    pub(crate) fn answered(&self) {
        let now = Instant::now();
        self.permit.limit().answered(now, now - self.since);
    }
}

/// Nobody waits any longer.
pub(crate) fn over() -> ApiError {
    ApiError::new(Reason::DeadlineExceeded, "the deadline passed; what was begun may still be done")
}

/// Nothing was begun, so nothing was done.
pub(crate) fn too_late() -> ApiError {
    ApiError::new(Reason::DeadlineExceeded, "the deadline passed before the work began; nothing was done")
}

/// Takes a place for the current request; the use cases call it before they do any work. A request
/// takes one place, however often it calls. What is not a request (work of the server's own, and
/// callers in the same process) takes none.
///
/// # Errors
/// `OVERLOADED` when the class is full; `DEADLINE_EXCEEDED` when the time is over.
pub(crate) fn enter() -> Result<(), ApiError> {
    REQUEST
        .try_with(|request| {
            request.in_time()?;
            request.place.take()
        })
        .unwrap_or(Ok(()))
}

/// When the current request must be answered, if there is one.
pub(crate) fn deadline() -> Option<Instant> {
    REQUEST.try_with(|request| request.deadline).ok()
}

/// A place that a request may have taken. The last copy gives it back.
#[derive(Debug, Clone)]
pub(crate) struct Place(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    class: Class,
    admission: Admission,
    permit: OnceLock<(Permit, Instant)>,
}

impl Place {
    fn take(&self) -> Result<(), ApiError> {
        let Taken { class, admission, permit } = &*self.0;
        if permit.get().is_none() {
            let taken = admission.limit(*class).take().ok_or_else(|| admission.full(*class))?;
            // One task at a time works on a request.
            let _first = permit.set((taken, Instant::now()));
        }
        Ok(())
    }

    /// Keeps the place until the response has been sent to the last byte.
    pub(crate) fn until_sent(self, response: Response, replies: Option<&Replies>) -> Response {
        if self.0.permit.get().is_none() {
            return response;
        }
        let held = Arc::new(Held { _place: self, _reply: replies.map(Replies::begin) });
        response.map(|body| Body::new(HeldBody { body, held }))
    }
}

/// What is given back when a reply has left.
#[derive(Debug)]
struct Held {
    _place: Place,
    _reply: Option<Reply>,
}

/// A body whose bytes hold a place: they are dropped when they have been written.
struct HeldBody {
    body: Body,
    held: Arc<Held>,
}

/// Bytes with what they hold.
struct HeldBytes {
    bytes: Bytes,
    _held: Arc<Held>,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let held = &self.held;
        let hold = |bytes: Bytes| Bytes::from_owner(HeldBytes { bytes, _held: Arc::clone(held) });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(hold))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long a caller waits at most; HTTP callers may send it too.
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How long the caller waits, as [`GRPC_TIMEOUT`] says it: up to 8 digits and a unit.
pub(crate) fn asked_time(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn deadlines_are_read() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("0S", Some(Duration::ZERO)),
            ("", None),
            ("S", None),
            ("5", None),
            ("5x", None),
            ("-5S", None),
            ("+5S", None),
            ("100000000S", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_static(text));
            assert_eq!(asked_time(&headers), expected, "{text}");
        }
        assert_eq!(asked_time(&HeaderMap::new()), None);
    }

    #[test]
    fn a_claim_may_take_longer_than_it_waits_for_its_grant() {
        assert!(AdmissionOptions::default().claim_time > crate::rewards::CLAIM_WAIT);
    }
}
