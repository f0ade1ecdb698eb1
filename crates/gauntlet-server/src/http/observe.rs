//! What surrounds every handler: the request's id, the headers that every reply has, and metrics.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderValue, Method,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tracing::Instrument as _;

use super::paths;
use crate::{
    admission::{Admission, Class, asked_time},
    core::Core,
    error::Reason,
    metrics::Route,
    net::replies::Replies,
    observe::{REQUEST_ID, RequestIds, span},
    server::FaceState,
    traces,
};

/// The label of requests for paths that do not exist: what callers make up is no label.
const UNMATCHED: &str = "unmatched";

/// What watches the requests of one listener.
#[derive(Debug, Clone)]
pub(super) struct Observer {
    core: Arc<Core>,
    admission: Admission,
    labels: Arc<BTreeMap<String, &'static str>>,
    ids: RequestIds,
    /// Whether the listener encrypts.
    tls: bool,
}

impl Observer {
    pub(super) fn new(face: &FaceState, labels: BTreeMap<String, &'static str>) -> Self {
        let ids = RequestIds::new(face.core.random());
        Self {
            core: Arc::clone(&face.core),
            admission: face.admission.clone(),
            labels: Arc::new(labels),
            ids,
            tls: face.tls,
        }
    }

    fn label(&self, request: &Request) -> &'static str {
        let path = request.extensions().get::<MatchedPath>();
        path.and_then(|path| self.labels.get(path.as_str()).copied()).unwrap_or(UNMATCHED)
    }
}

/// Runs the handler and finishes its reply.
pub(super) async fn observe(State(observer): State<Observer>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let label = observer.label(&request);
    let route = Route { face: "http", method: method(request.method()), route: label };
    let id = observer.ids.of(request.headers());
    let traces = observer.core.traces();
    let trace = traces.serve(request.headers(), || traces::http_request(&request, route.method));
    let span = span(&id, route.face, label, &trace);
    let work = async {
        match class(label, request.method()) {
            Some(class) => admitted(&observer.admission, class, request, next).await,
            None => next.run(request).await,
        }
    };
    let mut response = traces::within(trace.here(), work.instrument(span.clone())).await;
    let _entered = span.enter();
    let reason = response.extensions().get::<Reason>().copied();
    let (code, word) = reason.map_or(("OK", "OK"), |reason| (reason.code().as_str(), reason.as_str()));
    if reason == Some(Reason::Internal) {
        // The cause was logged where it arose; this line ties it to what the caller was told.
        tracing::warn!("a request failed");
    }
    tracing::debug!(code, reason = word, "answered");
    trace.http(response.status(), word);
    let headers = response.headers_mut();
    // Replies are one player's own. Only those that can be validated may be kept.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Replies are data: a browser that shows one must run, load and frame nothing.
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    if observer.tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.insert(REQUEST_ID, id);
    observer.core.metrics().request(route, code, word, started.elapsed());
    response
}

/// The label of a method: what callers make up is no label.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => UNMATCHED,
    }
}

/// What a request competes for; nothing for health, operations, rotations (which ask no store) and
/// what does not exist.
fn class(label: &str, method: &Method) -> Option<Class> {
    match label {
        paths::CLAIM => Some(Class::Claim),
        paths::EVENTS => Some(Class::Event),
        paths::CHALLENGES | paths::CHALLENGE if method == Method::GET => Some(Class::Read),
        paths::INITIALIZE | paths::BATCH_SELECT | paths::RANDOM_SELECT | paths::ACTIVE => Some(Class::Write),
        _ => None,
    }
}

/// Runs the handler if there is a place for it, and keeps the place until the reply has left.
async fn admitted(admission: &Admission, class: Class, request: Request, next: Next) -> Response {
    let asked = asked_time(request.headers());
    let replies = request.extensions().get::<Replies>().cloned();
    match admission.run(class, asked, next.run(request)).await {
        Ok((response, place)) => place.until_sent(response, replies.as_ref()),
        Err(error) => error.into_response(),
    }
}
