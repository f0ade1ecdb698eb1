//! One call of the platform, from its head to its answer.
//!
//! Futures that are written by hand: what combinators and `async` blocks put together for the same
//! was some kilobytes large, and moving it cost more than counting the event.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{http::request::Parts, response::Response};
use hyper::{Request, body::Incoming};
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::{Instrument as _, Span};

use super::{Direct, Method, message::Reading, reply::accepted};
use crate::{
    admission::{Class, Kept, over},
    error::ApiError,
    grpc::observe::{Observer, Seen},
    ingest::{Begun, Waiting},
    traces,
};

/// A call, and what is noted about it.
pub(super) struct Call {
    direct: Arc<Direct>,
    method: Method,
    /// Taken with the answer.
    seen: Option<Seen>,
    work: Watched,
}

/// The work of a call, with what surrounds it if somebody looks at that.
enum Watched {
    Plain(Work),
    Watched(Pin<Box<dyn Future<Output = Done> + Send>>, Span),
}

impl Call {
    pub(super) fn new(direct: &Arc<Direct>, method: Method, request: Request<Incoming>) -> Self {
        let (Parts { headers, extensions, .. }, body) = request.into_parts();
        let seen = direct.observer.see(method.label(), &headers, &extensions);
        let begun = direct.observer.admission().begin(Class::Event, seen.asked);
        let begun = begun.and_then(|deadline| direct.secrets.check(&headers).map(|()| deadline));
        let work = Work::new(Arc::clone(direct), method, begun, body);
        let work = match Observer::watch(method.label(), &seen) {
            None => Watched::Plain(work),
            Some((span, here)) => {
                let work = traces::within(here, work.instrument(span.clone()));
                Watched::Watched(Box::pin(work), span)
            }
        };
        Self { direct: Arc::clone(direct), method, seen: Some(seen), work }
    }
}

impl Future for Call {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = &mut *self;
        let (Done { result, place }, span) = match &mut call.work {
            Watched::Plain(work) => (ready!(Pin::new(work).poll(cx)), None),
            Watched::Watched(work, span) => (ready!(work.as_mut().poll(cx)), Some(&*span)),
        };
        let Some(seen) = call.seen.take() else { return Poll::Pending };
        let outcome = result.as_ref().copied();
        let mut response = match &result {
            Ok(()) => accepted(place, seen.replies.as_ref()),
            Err(error) => crate::grpc::error(error.clone()),
        };
        call.direct.observer.answered(call.method.label(), seen, span, outcome, &mut response);
        Poll::Ready(Ok(response))
    }
}

/// What became of a call, and the place that it holds until its answer has left.
struct Done {
    result: Result<(), ApiError>,
    place: Option<Kept>,
}

/// What there is to do for a call.
struct Work {
    direct: Arc<Direct>,
    state: State,
    place: Option<Kept>,
    deadline: Instant,
    /// Rings at the deadline. Most calls are answered without it.
    timer: Option<Pin<Box<Sleep>>>,
}

enum State {
    /// It could not even be begun.
    Refused(ApiError),
    Reads(Method, Reading<Incoming>),
    Waits(Waiting),
    Done,
}

impl Work {
    fn new(direct: Arc<Direct>, method: Method, begun: Result<Instant, ApiError>, body: Incoming) -> Self {
        let (state, deadline) = match begun {
            Ok(deadline) => (State::Reads(method, Reading::new(body)), deadline),
            Err(error) => (State::Refused(error), Instant::now()),
        };
        Self { direct, state, place: None, deadline, timer: None }
    }

    fn begin(&mut self, method: Method, message: bytes::Bytes) -> Begun {
        let Self { direct, place, deadline, .. } = self;
        let (ingest, deadline) = (&direct.ingest, *deadline);
        let enter = || {
            *place = Some(direct.observer.admission().take(Class::Event, deadline)?);
            Ok(())
        };
        match method {
            Method::Login => match super::message::decode(message) {
                Ok(event) => ingest.begin_login(event, deadline, enter),
                Err(error) => Begun::Answered(Err(error)),
            },
            Method::Stat => match super::message::decode(message) {
                Ok(event) => ingest.begin_stat(event, deadline, enter),
                Err(error) => Begun::Answered(Err(error)),
            },
        }
    }

    /// Goes on with the work as far as it goes.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ApiError>> {
        loop {
            match &mut self.state {
                State::Refused(error) => {
                    let error = error.clone();
                    self.state = State::Done;
                    return Poll::Ready(Err(error));
                }
                State::Reads(method, reading) => {
                    let method = *method;
                    let message = match ready!(reading.poll(cx)) {
                        Ok(message) => message,
                        Err(error) => return Poll::Ready(Err(error)),
                    };
                    match self.begin(method, message) {
                        Begun::Answered(answer) => return Poll::Ready(answer),
                        Begun::Waits(waiting) => self.state = State::Waits(waiting),
                    }
                }
                State::Waits(waiting) => return self.direct.ingest.poll(waiting, cx),
                State::Done => return Poll::Pending,
            }
        }
    }
}

impl Future for Work {
    type Output = Done;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Done> {
        let work = &mut *self;
        let result = match work.advance(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                let deadline = work.deadline;
                let timer = work.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                ready!(timer.as_mut().poll(cx));
                Err(over())
            }
        };
        work.state = State::Done;
        let place = work.place.take();
        if let Some(place) = &place {
            place.answered();
        }
        Poll::Ready(Done { result, place })
    }
}
