//! What surrounds every handler: the request's id, the headers that every reply has, and metrics.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderMap, HeaderValue, Method,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tracing::Instrument as _;

use super::{paths, reply::ErrorBody};
use crate::{
    admission::{Admission, Class, asked_time, gate::Gate},
    core::Core,
    error::{ApiError, Reason},
    metrics::Route,
    net::replies::Replies,
    observe::{REQUEST_ID, RequestIds, span},
    server::FaceState,
    traces,
};

/// The label of requests for paths that do not exist: what callers make up is no label.
const UNMATCHED: &str = "unmatched";

/// What watches the requests of one listener; cloned for each.
#[derive(Debug, Clone)]
pub(super) struct Observer(Arc<Watch>);

#[derive(Debug)]
struct Watch {
    core: Arc<Core>,
    admission: Admission,
    labels: BTreeMap<String, &'static str>,
    ids: RequestIds,
    /// Whether the listener encrypts.
    tls: bool,
}

impl Observer {
    pub(super) fn new(face: &FaceState, labels: BTreeMap<String, &'static str>) -> Self {
        let ids = RequestIds::new(face.core.random());
        Self(Arc::new(Watch {
            core: Arc::clone(&face.core),
            admission: face.admission.clone(),
            labels,
            ids,
            tls: face.tls,
        }))
    }
}

impl Watch {
    fn label(&self, request: &Request) -> &'static str {
        let path = request.extensions().get::<MatchedPath>();
        path.and_then(|path| self.labels.get(path.as_str()).copied()).unwrap_or(UNMATCHED)
    }
}

/// Runs the handler and finishes its reply.
pub(super) async fn observe(
    State(Observer(observer)): State<Observer>,
    request: Request,
    next: Next,
) -> Response {
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
    add_common(headers, observer.tls);
    headers.insert(REQUEST_ID, id);
    observer.core.metrics().request(route, code, word, started.elapsed());
    response
}

/// The headers that every reply has, but for its id.
fn add_common(headers: &mut HeaderMap, tls: bool) {
    // Replies are one player's own. Only those that can be validated may be kept.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Replies are data: a browser that shows one must run, load and frame nothing. The page of the
    // documentation says itself what it needs.
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    if tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// Adds these routes, each the path and its label, to what the gate looks at.
pub(super) fn gated(gate: Gate, face: &FaceState, routes: &[(String, &'static str)]) -> Gate {
    let error = ApiError::overloaded();
    let body = serde_json::to_vec(&ErrorBody::from(&error)).unwrap_or_default();
    let mut refusal = error.into_response();
    add_common(refusal.headers_mut(), face.tls);
    let ways = routes.iter().flat_map(|(path, label)| {
        [Method::GET, Method::POST, Method::PUT].into_iter().filter_map(move |name| {
            let route = Route { face: "http", method: method(&name), route: label };
            Some((path.clone(), class(label, &name)?, route))
        })
    });
    gate.with((refusal, body.into()), ways)
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

/// What a request competes for; nothing for health, operations and what does not exist.
pub(super) fn class(label: &str, method: &Method) -> Option<Class> {
    match (method, label) {
        (&Method::GET, paths::CHALLENGES | paths::CHALLENGE | paths::ROTATION | paths::HISTORY) => {
            Some(Class::Read)
        }
        (&Method::POST, paths::INITIALIZE | paths::BATCH_SELECT | paths::RANDOM_SELECT)
        | (&Method::PUT, paths::ACTIVE) => Some(Class::Write),
        (&Method::POST, paths::CLAIM) => Some(Class::Claim),
        (&Method::POST, paths::EVENTS) => Some(Class::Event),
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
