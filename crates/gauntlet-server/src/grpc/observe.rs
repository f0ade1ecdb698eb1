//! What surrounds every gRPC call: the caller's deadline, errors that tonic makes before a
//! handler runs, and metrics.

use std::{
    error::Error as _,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri},
    middleware::Next,
    response::Response,
};
use tonic::{Code, Status};
use tracing::Instrument as _;

use super::status::{code_name, status, unimplemented};
use crate::{
    core::Core,
    error::{ApiError, Reason},
    metrics::Route,
    observe::{REQUEST_ID, RequestIds, span},
    server::FaceState,
};

/// The label of one event of a stream; the stream itself has the label of its method.
pub(super) const STREAMED_EVENT: &str = "gauntlet.events.v1.Event";
/// The label of calls for methods that do not exist: what callers make up is no label.
const UNMATCHED: &str = "unmatched";

/// The methods that are served, as metrics name them.
const METHODS: [&str; 16] = [
    "accelbyte.iam.account.v1.UserAuthenticationUserLoggedInService/OnMessage",
    "accelbyte.social.statistic.v1.StatisticStatItemUpdatedService/OnMessage",
    "gauntlet.events.v1.EventStream/Publish",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "service.Service/BatchSelectGoals",
    "service.Service/ClaimGoalReward",
    "service.Service/GetRotationStatus",
    "service.Service/GetUserChallenge",
    "service.Service/GetUserChallenges",
    "service.Service/HealthCheck",
    "service.Service/InitializePlayer",
    "service.Service/RandomSelectGoals",
    "service.Service/SetGoalActive",
];

/// What watches the calls of one listener.
#[derive(Debug, Clone)]
pub(super) struct Observer {
    core: Arc<Core>,
    ids: RequestIds,
}

impl Observer {
    pub(super) fn new(face: &FaceState) -> Self {
        Self { core: Arc::clone(&face.core), ids: RequestIds::new(face.core.random()) }
    }
}

/// Runs the call within its deadline.
pub(super) async fn observe(
    State(Observer { core, ids }): State<Observer>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let label = label(request.uri());
    let id = ids.of(request.headers());
    let span = span(&id, "grpc", label);
    let response = match deadline(request.headers()) {
        None => next.run(request).instrument(span.clone()).await,
        // What was begun in a shard goes on; only nobody waits for it any more.
        Some(limit) => tokio::time::timeout(limit, next.run(request).instrument(span.clone()))
            .await
            .unwrap_or_else(|_| {
                let error = ApiError::new(
                    Reason::DeadlineExceeded,
                    "the caller's deadline passed; what was begun may still be done",
                );
                status(error).into_http()
            }),
    };
    let mut response = corrected(response);
    let (code, reason) = outcome(&response);
    let _entered = span.enter();
    if reason == Reason::Internal.as_str() {
        // The cause was logged where it arose; this line ties it to what the caller was told.
        tracing::warn!("a request failed");
    }
    tracing::debug!(code, reason, "answered");
    response.headers_mut().insert(REQUEST_ID, id);
    core.metrics().request(route(label), code, reason, started.elapsed());
    response
}

/// How metrics name a gRPC method; all of them are POST.
pub(super) const fn route(label: &'static str) -> Route {
    Route { face: "grpc", method: "POST", route: label }
}

fn label(uri: &Uri) -> &'static str {
    let path = uri.path().strip_prefix('/').unwrap_or_default();
    METHODS.binary_search(&path).map_or(UNMATCHED, |at| METHODS[at])
}

/// Gives errors that tonic makes our form: those of requests that it cannot read, and of methods
/// that a service does not have.
fn corrected(response: Response) -> Response {
    let Some(found) = response.extensions().get::<Status>() else {
        let is_bare_error = response.headers().get(Status::GRPC_STATUS).is_some_and(|code| code == "12");
        return if is_bare_error { unimplemented().into_http() } else { response };
    };
    if found.source().is_some_and(<dyn std::error::Error>::is::<ApiError>) {
        return response;
    }
    match found.code() {
        Code::OutOfRange => {
            let message = format!("the message is larger than {} bytes", super::MAX_MESSAGE);
            status(ApiError::new(Reason::InvalidInput, message)).into_http()
        }
        // Handlers answer with errors of ours, so this one comes from before them.
        Code::Internal => {
            status(ApiError::new(Reason::InvalidInput, "the message is not the protobuf of this method"))
                .into_http()
        }
        _ => response,
    }
}

/// Code and reason of a response. One that succeeds has its status in the trailers.
fn outcome(response: &Response) -> (&'static str, &'static str) {
    let Some(status) = response.extensions().get::<Status>() else { return ("OK", "OK") };
    let code = code_name(status.code());
    let error = status.source().and_then(|source| source.downcast_ref::<ApiError>());
    (code, error.map_or(code, |error| error.reason.as_str()))
}

/// How long the caller waits, as `grpc-timeout` says it: up to 8 digits and a unit.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
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
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn methods_are_found_by_binary_search() {
        assert!(METHODS.is_sorted());
        let uri = |path: &'static str| label(&Uri::from_static(path));
        for method in METHODS {
            assert_eq!(label(&format!("/{method}").parse().unwrap()), method);
        }
        for path in ["/service.Service/Nope", "/", "/x", "/service.Service/HealthCheck/x"] {
            assert_eq!(uri(path), UNMATCHED, "{path}");
        }
    }

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
            assert_eq!(deadline(&headers), expected, "{text}");
        }
        assert_eq!(deadline(&HeaderMap::new()), None);
    }
}
