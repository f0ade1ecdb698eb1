//! The answer to an event that went well.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_TYPE, HeaderName},
    },
    response::Response,
};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::message::PREFIX;
use crate::{
    admission::Kept,
    net::replies::{Replies, Reply},
};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const OK: HeaderValue = HeaderValue::from_static("0");

/// An empty message, and that all went well. The place is given back when it leaves.
pub(super) fn accepted(place: Option<Kept>, replies: Option<&Replies>) -> Response {
    let reply = if place.is_some() { replies.map(Replies::begin) } else { None };
    let mut response =
        Response::new(Body::new(Accepted { next: Next::Message, _place: place, _reply: reply }));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

struct Accepted {
    next: Next,
    _place: Option<Kept>,
    _reply: Option<Reply>,
}

#[derive(Clone, Copy)]
enum Next {
    Message,
    Trailers,
    Nothing,
}

impl HttpBody for Accepted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(match self.next {
            Next::Message => {
                self.next = Next::Trailers;
                Some(Ok(Frame::data(Bytes::from_static(&[0; PREFIX]))))
            }
            Next::Trailers => {
                self.next = Next::Nothing;
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(STATUS, OK);
                Some(Ok(Frame::trailers(trailers)))
            }
            Next::Nothing => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
