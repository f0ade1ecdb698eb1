//! Many events on one call, each with an answer of its own.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use futures_util::{Stream, StreamExt as _, stream::FuturesUnordered};
use gauntlet_proto::events::{Ack, Event, event, event_stream_server};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Request, Response, Status, Streaming};

use super::observe::{STREAMED_EVENT, route};
use crate::{
    admission::{Admission, Class, Kept},
    core::Core,
    error::{ApiError, Code},
    ingest::{Begun, Ingest},
    server::FaceState,
    traces::{self, Served},
};

/// Most events of one stream that wait for their answer. Beyond it the sender is held back by
/// flow control. Enough to fill several commits; too many would fill the queues of other senders.
const MAX_IN_FLIGHT: usize = 4096;

/// The service `gauntlet.events.v1.EventStream`.
#[derive(Debug, Clone)]
pub(super) struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ingest: Ingest,
    core: Arc<Core>,
    admission: Admission,
    stop: CancellationToken,
}

impl Events {
    pub(super) fn new(face: &FaceState) -> Self {
        Self(Arc::new(Inner {
            ingest: face.ingest.clone(),
            core: Arc::clone(&face.core),
            admission: face.admission.clone(),
            stop: face.stop.clone(),
        }))
    }
}

#[tonic::async_trait]
impl event_stream_server::EventStream for Events {
    type PublishStream = Pin<Box<dyn Stream<Item = Result<Ack, Status>> + Send>>;

    async fn publish(
        &self,
        request: Request<Streaming<Event>>,
    ) -> Result<Response<Self::PublishStream>, Status> {
        let events = Arc::clone(&self.0);
        let answer = move |event| One::begin(&events, event);
        Ok(Response::new(Box::pin(Answers::new(request.into_inner(), self.0.stop.clone(), answer))))
    }
}

/// One event on its way to its answer. It has no clock: its shard does not begin it after its
/// deadline, and a commit that was begun ends soon, one way or the other.
struct One {
    events: Arc<Inner>,
    sequence: u64,
    started: Instant,
    trace: Served,
    /// Given back with the answer: it is small, and the stream holds the next event back.
    place: Option<Kept>,
    begun: Begun,
}

impl One {
    fn begin(events: &Arc<Inner>, event: Event) -> Self {
        let Event { sequence, event } = event;
        let started = Instant::now();
        let trace = events.core.traces().sometimes(|| traces::rpc(STREAMED_EVENT));
        let mut place = None;
        let begun = traces::inside(trace.here(), || {
            let Inner { ingest, admission, .. } = &**events;
            let deadline = match admission.begin(Class::Event, None) {
                Ok(deadline) => deadline,
                Err(error) => return Begun::Answered(Err(error)),
            };
            let enter = || {
                place = Some(admission.take(Class::Event, deadline)?);
                Ok(())
            };
            match event {
                Some(event::Event::UserLoggedIn(login)) => ingest.begin_login(login, deadline, enter),
                Some(event::Event::StatItemUpdated(stat)) => ingest.begin_stat(stat, deadline, enter),
                None => Begun::Answered(Err(
                    ingest.malformed_cloud_event("the event is empty or of an unknown kind")
                )),
            }
        });
        Self { events: Arc::clone(events), sequence, started, trace, place, begun }
    }
}

impl Future for One {
    type Output = Ack;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ack> {
        let Self { events, sequence, started, trace, place, begun } = &mut *self;
        let result = match begun {
            Begun::Waits(waiting) => ready!(events.ingest.poll(waiting, cx)),
            Begun::Answered(answer) => std::mem::replace(answer, Ok(())),
        };
        if let Some(place) = place.take() {
            place.answered();
        }
        let (code, reason) = match &result {
            Ok(()) => ("OK", "OK"),
            Err(error) => (error.code().as_str(), error.reason.as_str()),
        };
        std::mem::take(trace).grpc(result.as_ref().err().map_or(0, |error| error.code() as u8), reason);
        events.core.metrics().request(route(STREAMED_EVENT), code, reason, started.elapsed());
        Poll::Ready(ack(*sequence, result))
    }
}

fn ack(sequence: u64, result: Result<(), ApiError>) -> Ack {
    match result {
        Ok(()) => Ack { sequence, ..Ack::default() },
        Err(error) => Ack {
            sequence,
            code: code_number(error.code()),
            reason: error.reason.as_str().into(),
            message: error.message,
        },
    }
}

fn code_number(code: Code) -> i32 {
    i32::from(code as u8)
}

/// The answers to a stream of events, in the order in which they are known. Events are begun in
/// their own order, each before the next is read.
///
/// It ends when the sender has ended and every event is answered. When the server stops, it reads
/// no more, answers what it has read and ends with `UNAVAILABLE`: the sender knows by the answers
/// which events to send elsewhere.
struct Answers<S, F, A> {
    /// `None` when nothing more is read.
    events: Option<S>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    answer: F,
    running: FuturesUnordered<A>,
    /// What the call ends with, if not with success.
    end: Option<Status>,
}

impl<S, F, A> Answers<S, F, A> {
    fn new(events: S, stop: CancellationToken, answer: F) -> Self {
        Self {
            events: Some(events),
            stop: Box::pin(stop.cancelled_owned()),
            answer,
            running: FuturesUnordered::new(),
            end: None,
        }
    }
}

impl<S, F, A> Answers<S, F, A>
where
    S: Stream<Item = Result<Event, Status>> + Unpin,
    F: Fn(Event) -> A,
    A: Future<Output = Ack>,
{
    /// Begins all events that are there, as far as there is room.
    fn read(&mut self, cx: &mut Context<'_>) {
        let Some(events) = &mut self.events else { return };
        if self.stop.as_mut().poll(cx).is_ready() {
            self.events = None;
            self.end = Some(Status::unavailable("the server stops; events without an answer were not read"));
            return;
        }
        while self.running.len() < MAX_IN_FLIGHT {
            match events.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(event))) => self.running.push((self.answer)(event)),
                Poll::Ready(ended) => {
                    self.end = ended.and_then(Result::err);
                    self.events = None;
                    return;
                }
                Poll::Pending => return,
            }
        }
    }
}

impl<S, F, A> Stream for Answers<S, F, A>
where
    S: Stream<Item = Result<Event, Status>> + Unpin,
    F: Fn(Event) -> A + Unpin,
    A: Future<Output = Ack>,
{
    type Item = Result<Ack, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.read(cx);
        match self.running.poll_next_unpin(cx) {
            Poll::Ready(Some(ack)) => Poll::Ready(Some(Ok(ack))),
            Poll::Ready(None) if self.events.is_none() => Poll::Ready(self.end.take().map(Err)),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests;
