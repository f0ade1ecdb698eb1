//! What surrounds every gRPC call: the caller's deadline, errors that tonic makes before a
//! handler runs, and metrics.

use std::{
    error::Error as _,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    extract::{Request, State},
    http::{Extensions, HeaderMap, HeaderValue, Uri},
    middleware::Next,
    response::Response,
};
use tonic::{Code, Status};
use tracing::{Instrument as _, Span};

use super::status::{code_name, status, unimplemented};
use crate::{
    admission::{Admission, Class, asked_time, gate::Gate},
    core::Core,
    error::{ApiError, Reason},
    metrics::Route,
    net::replies::Replies,
    observe::{REQUEST_ID, RequestIds, span},
    server::FaceState,
    traces::{self, Here, Served},
};

/// The label of one event of a stream; the stream itself has the label of its method.
pub(super) const STREAMED_EVENT: &str = "gauntlet.events.v1.Event";
/// The labels of what takes events.
pub(crate) const EVENT_LABELS: [&str; 3] = [STAT, STREAMED_EVENT, LOGIN];
/// The label of calls for methods that do not exist: what callers make up is no label.
const UNMATCHED: &str = "unmatched";

/// The platform's two methods.
pub(super) const LOGIN: &str = "accelbyte.iam.account.v1.UserAuthenticationUserLoggedInService/OnMessage";
pub(super) const STAT: &str = "accelbyte.social.statistic.v1.StatisticStatItemUpdatedService/OnMessage";

/// The methods that are served, as metrics name them.
const METHODS: [&str; 19] = [
    LOGIN,
    STAT,
    "gauntlet.events.v1.EventStream/Publish",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "service.Service/BatchSelectGoals",
    "service.Service/ClaimGoalReward",
    "service.Service/GetCatalogueStatus",
    "service.Service/GetChallengeHistory",
    "service.Service/GetRotationStatus",
    "service.Service/GetUserChallenge",
    "service.Service/GetUserChallenges",
    "service.Service/HealthCheck",
    "service.Service/InitializePlayer",
    "service.Service/RandomSelectGoals",
    "service.Service/ReloadCatalogue",
    "service.Service/SetGoalActive",
];

/// What watches the calls of one listener.
#[derive(Debug, Clone)]
pub(super) struct Observer {
    core: Arc<Core>,
    ids: RequestIds,
    admission: Admission,
}

impl Observer {
    pub(super) fn new(face: &FaceState) -> Self {
        let ids = RequestIds::new(face.core.random());
        Self { core: Arc::clone(&face.core), ids, admission: face.admission.clone() }
    }
}

/// What the observer needs to know of a request, before somebody else takes it.
pub(super) struct Seen {
    started: Instant,
    id: HeaderValue,
    trace: Served,
    /// How long the caller waits.
    pub(super) asked: Option<Duration>,
    /// The replies of its connection.
    pub(super) replies: Option<Replies>,
}

impl Observer {
    /// Looks at the head of a call of the method `label`.
    pub(super) fn see(&self, label: &'static str, headers: &HeaderMap, extensions: &Extensions) -> Seen {
        Seen {
            started: Instant::now(),
            id: self.ids.of(headers),
            trace: self.core.traces().serve(headers, || traces::rpc(label)),
            asked: asked_time(headers),
            replies: extensions.get::<Replies>().cloned(),
        }
    }

    /// Runs a call within its deadline.
    pub(super) async fn around(
        &self,
        label: &'static str,
        seen: Seen,
        work: impl Future<Output = Response>,
    ) -> Response {
        let Seen { started, id, trace, asked, replies } = seen;
        let span = span(&id, "grpc", label, &trace);
        let work = async {
            match class(label) {
                Some(class) => admitted(&self.admission, class, asked, replies, work).await,
                None => exempt(asked, work).await,
            }
        };
        let response = traces::within(trace.here(), work.instrument(span.clone())).await;
        let mut response = corrected(response);
        let (code, reason) = outcome(&response);
        log(&span, code, reason);
        let number = response.extensions().get::<Status>().map_or(Code::Ok, Status::code) as i32;
        trace.grpc(u8::try_from(number).unwrap_or_default(), reason);
        response.headers_mut().insert(REQUEST_ID, id);
        self.core.metrics().request(route(label), code, reason, started.elapsed());
        response
    }

    /// What surrounds a call that answers by itself with [`Observer::answered`]: its span, and
    /// where its work belongs, if anybody looks at either.
    pub(super) fn watch(label: &'static str, seen: &Seen) -> Option<(Span, Option<Here>)> {
        let (span, here) = (span(&seen.id, "grpc", label, &seen.trace), seen.trace.here());
        (here.is_some() || !span.is_disabled()).then_some((span, here))
    }

    /// Notes what became of such a call, in the response too.
    pub(super) fn answered(
        &self,
        label: &'static str,
        seen: Seen,
        span: Option<&Span>,
        outcome: Result<(), &ApiError>,
        response: &mut Response,
    ) {
        let (code, reason) = match outcome {
            Ok(()) => ("OK", "OK"),
            Err(error) => (error.code().as_str(), error.reason.as_str()),
        };
        log(span.unwrap_or(&Span::none()), code, reason);
        seen.trace.grpc(outcome.err().map_or(0, |error| error.code() as u8), reason);
        response.headers_mut().insert(REQUEST_ID, seen.id);
        self.core.metrics().request(route(label), code, reason, seen.started.elapsed());
    }

    /// The places that calls compete for.
    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }
}

/// Says how a call ended.
fn log(span: &Span, code: &'static str, reason: &'static str) {
    let _entered = span.enter();
    if reason == Reason::Internal.as_str() {
        // The cause was logged where it arose; this line ties it to what the caller was told.
        tracing::warn!("a request failed");
    }
    tracing::debug!(code, reason, "answered");
}

/// Runs the call within its deadline.
pub(super) async fn observe(State(observer): State<Observer>, request: Request, next: Next) -> Response {
    let label = label(request.uri());
    let seen = observer.see(label, request.headers(), request.extensions());
    observer.around(label, seen, next.run(request)).await
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

/// What a call competes for; nothing for health, reflection, and streams as a whole: each of their
/// events takes its own place.
fn class(label: &str) -> Option<Class> {
    match label {
        "service.Service/GetChallengeHistory"
        | "service.Service/GetRotationStatus"
        | "service.Service/GetUserChallenge"
        | "service.Service/GetUserChallenges" => Some(Class::Read),
        "service.Service/BatchSelectGoals"
        | "service.Service/InitializePlayer"
        | "service.Service/RandomSelectGoals"
        | "service.Service/SetGoalActive" => Some(Class::Write),
        "service.Service/ClaimGoalReward" => Some(Class::Claim),
        LOGIN | STAT => Some(Class::Event),
        _ => None,
    }
}

/// Adds the methods of these services to what the gate looks at.
pub(super) fn gated(gate: Gate, services: &[&str]) -> Gate {
    let of_services = |method: &&'static str| {
        method.split_once('/').is_some_and(|(service, _)| services.contains(&service))
    };
    let ways = METHODS
        .into_iter()
        .filter(of_services)
        .filter_map(|method| Some((format!("/{method}"), class(method)?, route(method))));
    gate.with((status(ApiError::overloaded()).into_http(), Bytes::new()), ways)
}

/// Runs the call if there is a place for it, and keeps the place until the reply has left.
async fn admitted(
    admission: &Admission,
    class: Class,
    asked: Option<Duration>,
    replies: Option<Replies>,
    work: impl Future<Output = Response>,
) -> Response {
    match admission.run(class, asked, work).await {
        Ok((response, place)) => place.until_sent(response, replies.as_ref()),
        Err(error) => status(error).into_http(),
    }
}

/// Runs a call that takes no place within the caller's deadline, if it has one.
async fn exempt(asked: Option<Duration>, work: impl Future<Output = Response>) -> Response {
    let Some(limit) = asked else { return work.await };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let error = ApiError::new(Reason::DeadlineExceeded, "the deadline passed");
        status(error).into_http()
    })
}

#[cfg(test)]
mod tests {
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
    fn what_works_takes_a_place() {
        let exempt: Vec<_> = METHODS.into_iter().filter(|method| class(method).is_none()).collect();
        assert_eq!(
            exempt,
            [
                "gauntlet.events.v1.EventStream/Publish",
                "grpc.health.v1.Health/Check",
                "grpc.health.v1.Health/Watch",
                "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                "service.Service/GetCatalogueStatus",
                "service.Service/HealthCheck",
                "service.Service/ReloadCatalogue",
            ]
        );
    }
}
