//! The HTTP faces: the player API in JSON, operations, and `CloudEvents`.
//!
//! A handler takes what it needs from the request, asks one use case and writes the reply. What
//! the use cases refuse, and what is wrong with a request before it gets to one, is answered in
//! one form, a wrong path included.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::{
        HeaderName, HeaderValue, Method,
        header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER},
    },
    middleware::from_fn_with_state,
    response::{IntoResponse as _, Response},
    routing::get,
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    admission::{GRPC_TIMEOUT, gate::Gate},
    error::{ApiError, Reason},
    grpc::{is_grpc, unimplemented},
    observe::REQUEST_ID,
    server::FaceState,
};

mod apidocs;
mod cloud_events;
mod conditional;
mod encoding;
mod extract;
mod fields;
mod handlers;
mod observe;
pub mod openapi;
mod ops;
mod pieces;
mod profiles;
mod reply;
mod routes;
mod splice;
mod write;

pub use apidocs::documentation_paths;
pub use cloud_events::split_cloud_events;
pub(crate) use cloud_events::{gated as cloud_events_gated, router as cloud_events_router};
pub(crate) use ops::router as ops_router;
pub(crate) use reply::ERROR_DOMAIN;

/// Which version of the catalogue a reply shows; gRPC metadata have the same name.
pub(crate) const CATALOGUE_VERSION: HeaderName = HeaderName::from_static("x-catalogue-version");

/// The paths of the player API below the base path; also the labels of its metrics.
mod paths {
    pub(super) const CHALLENGES: &str = "/v1/challenges";
    pub(super) const INITIALIZE: &str = "/v1/challenges/initialize";
    pub(super) const CHALLENGE: &str = "/v1/challenges/{challenge_id}";
    pub(super) const ROTATION: &str = "/v1/challenges/{challenge_id}/rotation";
    pub(super) const HISTORY: &str = "/v1/challenges/{challenge_id}/history";
    pub(super) const BATCH_SELECT: &str = "/v1/challenges/{challenge_id}/goals/batch-select";
    pub(super) const RANDOM_SELECT: &str = "/v1/challenges/{challenge_id}/goals/random-select";
    pub(super) const ACTIVE: &str = "/v1/challenges/{challenge_id}/goals/{goal_id}/active";
    pub(super) const CLAIM: &str = "/v1/challenges/{challenge_id}/goals/{goal_id}/claim";
    pub(super) const EVENTS: &str = "/v1/events";
    pub(super) const CATALOGUE: &str = "/v1/admin/catalogue";
    pub(super) const RELOAD: &str = "/v1/admin/catalogue/reload";
    pub(super) const HEALTH: &str = "/healthz";
}

/// Writes browse replies, and keeps what it wrote once for the catalogue.
#[derive(Debug, Default)]
pub struct Splice(splice::Templates);

impl Splice {
    /// The reply in JSON.
    #[must_use]
    pub fn write(&self, browse: &crate::api::Browse) -> Vec<u8> {
        self.0.of(&browse.catalogue).write(browse).into_vec()
    }
}

/// What the handlers of the player API work with; cloned for each request.
#[derive(Debug, Clone)]
struct ApiState {
    face: Arc<FaceState>,
    templates: Arc<splice::Templates>,
}

/// The player API below a base path, which is empty or `/` and more without a `/` at the end.
///
/// A challenge whose id is `initialize` is asked for as `%69nitialize`: the plain path is taken.
pub(crate) fn api_router(face: &FaceState, base_path: &str) -> Router {
    let at = |path: &str| format!("{base_path}{path}");
    let mut router = Router::new();
    let mut labels = BTreeMap::new();
    for operation in routes::operations() {
        labels.insert(at(operation.path), operation.path);
        router = router.route(&at(operation.path), operation.handler);
    }
    for (path, handler) in apidocs::routes(base_path, &face.auth) {
        labels.insert(at(path), path);
        router = router.route(&at(path), handler);
    }
    if !base_path.is_empty() {
        labels.insert(paths::HEALTH.to_owned(), paths::HEALTH);
        router = router.route(paths::HEALTH, get(handlers::health));
    }
    let router = finish(router, face, labels);
    // Outside of all else: browsers ask before they send credentials.
    let router = if face.cors_origins.is_empty() { router } else { router.layer(cors(&face.cors_origins)) };
    router.with_state(ApiState { face: Arc::new(face.clone()), templates: Arc::default() })
}

/// What the gate of the player API looks at.
pub(crate) fn api_gate(face: &FaceState, base_path: &str) -> Gate {
    let routes = player_paths().into_iter().map(|path| (format!("{base_path}{path}"), path));
    observe::gated(Gate::new(face), face, &routes.collect::<Vec<_>>())
}

/// The paths of the player API below the base path, for tests that must not miss one. Segments in
/// braces are variable; which methods a path takes, the header `Allow` of a refusal tells.
#[must_use]
pub fn player_paths() -> Vec<&'static str> {
    let mut paths: Vec<_> = routes::operations().into_iter().map(|operation| operation.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// What pages of these origins may do: call the API with a token, and read what it answers.
fn cors(origins: &[HeaderValue]) -> CorsLayer {
    let origins = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().cloned())
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, REQUEST_ID, GRPC_TIMEOUT])
        .expose_headers([ETAG, RETRY_AFTER, REQUEST_ID, CATALOGUE_VERSION])
        .max_age(Duration::from_secs(600))
}

/// Adds what every face has: answers for wrong paths and methods, and the layer that watches.
/// `labels` are the metrics' names of the router's paths.
fn finish<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    face: &FaceState,
    labels: BTreeMap<String, &'static str>,
) -> Router<S> {
    let observer = observe::Observer::new(face, labels);
    router
        .fallback(route_not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(observer, observe::observe))
}

async fn route_not_found(request: Request) -> Response {
    if is_grpc(&request) {
        return unimplemented().into_http();
    }
    ApiError::new(Reason::RouteNotFound, "there is nothing at this path").into_response()
}

/// The header `Allow` is added by the router.
async fn method_not_allowed(method: Method) -> ApiError {
    ApiError::new(Reason::MethodNotAllowed, "this path does not take this method")
        .with("method", method.as_str())
}
