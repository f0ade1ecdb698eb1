//! The first look at a request, as soon as its head is there: whether its class has room. Under
//! overload most requests get no further, so what they cost decides how many others are served.
//! The refusal was put together once; its id and the figures are all that is done for each.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Method, Request, StatusCode, Version, header::ORIGIN},
    response::Response,
};

use super::{Admission, Class, Coming};
use crate::{
    core::Core,
    error::Reason,
    metrics::{Answers, Route},
    observe::{REQUEST_ID, RequestIds},
    server::FaceState,
};

/// What looks at the requests of one listener first.
#[derive(Debug)]
pub(crate) struct Gate {
    admission: Admission,
    ids: RequestIds,
    ways: Vec<Way>,
    refusals: Vec<Refusal>,
    /// Whether pages of other origins may ask, so that refusals need headers for them.
    cors: bool,
    core: Arc<Core>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Look {
    /// It goes on.
    Enter {
        /// To be dropped when the request was worked on for the first time.
        coming: Option<Coming>,
        /// Whether all that it needs of a processor is little.
        is_small: bool,
    },
    /// Its class is full; this is the answer.
    Refused(Box<Response>),
}

impl Default for Look {
    /// Nothing is known of the request.
    fn default() -> Self {
        Self::Enter { coming: None, is_small: false }
    }
}

impl Look {
    /// Whether answering takes so little that a task of its own would cost more.
    pub(crate) const fn is_small(&self) -> bool {
        match self {
            Self::Enter { is_small, .. } => *is_small,
            Self::Refused(_) => true,
        }
    }
}

/// An answer that was written once.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// An operation that competes for places.
#[derive(Debug)]
struct Way {
    method: Method,
    /// The whole path; a segment in braces stands for any.
    path: String,
    class: Class,
    route: Route,
    /// Its place in the list of refusals.
    refusal: usize,
    answers: OnceLock<Answers>,
}

impl Way {
    /// Events of the platform wait for their commit, and do hardly anything else.
    fn is_small(&self) -> bool {
        self.class == Class::Event && self.route.face == "grpc"
    }

    fn leads(&self, method: &Method, path: &str) -> bool {
        if self.method != *method {
            return false;
        }
        if !self.path.contains('{') {
            return self.path == path;
        }
        let (mut pattern, mut segments) = (self.path.split('/'), path.split('/'));
        loop {
            match (pattern.next(), segments.next()) {
                (None, None) => return true,
                (Some(part), Some(segment))
                    if part == segment || (part.starts_with('{') && !segment.is_empty()) => {}
                _ => return false,
            }
        }
    }
}

impl Gate {
    /// Lets everything in that is not added.
    pub(crate) fn new(face: &FaceState) -> Self {
        Self {
            admission: face.admission.clone(),
            ids: RequestIds::new(face.core.random()),
            ways: Vec::new(),
            refusals: Vec::new(),
            cors: !face.cors_origins.is_empty(),
            core: face.core.clone(),
        }
    }

    /// Adds operations that are refused with this answer: their path, and how metrics name them.
    pub(crate) fn with(
        mut self,
        (answer, body): (Response, Bytes),
        ways: impl IntoIterator<Item = (String, Class, Route)>,
    ) -> Self {
        let refusal = self.refusals.len();
        let (head, _) = answer.into_parts();
        self.refusals.push(Refusal { status: head.status, headers: head.headers, body });
        self.ways.extend(ways.into_iter().filter_map(|(path, class, route)| {
            let method = Method::from_bytes(route.method.as_bytes()).ok()?;
            Some(Way { method, path, class, route, refusal, answers: OnceLock::new() })
        }));
        self
    }

    /// Looks at the head of a request.
    pub(crate) fn look<B>(&self, request: &Request<B>) -> Look {
        let path = request.uri().path();
        let Some(way) = self.ways.iter().find(|way| way.leads(request.method(), path)) else {
            return Look::default();
        };
        // What pages may read is said by the layer for it, which the router has.
        if self.cors && request.headers().contains_key(ORIGIN) {
            return Look::default();
        }
        // A connection of HTTP/1 works on its one request at once.
        let waits = request.version() == Version::HTTP_2;
        match self.admission.come(way.class, waits) {
            Ok(coming) => Look::Enter { coming, is_small: way.is_small() },
            Err(()) => Look::Refused(Box::new(self.refuse(way, request.headers()))),
        }
    }

    fn refuse(&self, way: &Way, asked: &HeaderMap) -> Response {
        let Refusal { status, headers, body } = &self.refusals[way.refusal];
        let body = if body.is_empty() { Body::empty() } else { Body::from(body.clone()) };
        let mut response = Response::new(body);
        *response.status_mut() = *status;
        *response.headers_mut() = headers.clone();
        response.headers_mut().insert(REQUEST_ID, self.ids.of(asked));
        let reason = Reason::Overloaded;
        let answers = way
            .answers
            .get_or_init(|| self.core.metrics().answers(way.route, reason.code().as_str(), reason.as_str()));
        answers.add(Duration::ZERO);
        response
    }
}
