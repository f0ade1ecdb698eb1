//! The HTTP faces: the player API in JSON, operations, and `CloudEvents`.
//!
//! A handler takes what it needs from the request, asks one use case and writes the reply. What
//! the use cases refuse, and what is wrong with a request before it gets to one, is answered in
//! one form, a wrong path included.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::Method,
    middleware::from_fn_with_state,
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};

use crate::{
    error::{ApiError, Reason},
    grpc::{is_grpc, unimplemented},
    server::FaceState,
};

mod cloud_events;
mod conditional;
mod encoding;
mod extract;
mod fields;
mod handlers;
mod observe;
mod ops;
mod reply;
mod splice;
mod write;

pub(crate) use cloud_events::router as cloud_events_router;
pub use cloud_events::split_cloud_events;
pub(crate) use ops::router as ops_router;
pub(crate) use reply::ERROR_DOMAIN;

/// The paths of the player API below the base path; also the labels of its metrics.
mod paths {
    pub(super) const CHALLENGES: &str = "/v1/challenges";
    pub(super) const INITIALIZE: &str = "/v1/challenges/initialize";
    pub(super) const CHALLENGE: &str = "/v1/challenges/{challenge_id}";
    pub(super) const ROTATION: &str = "/v1/challenges/{challenge_id}/rotation";
    pub(super) const BATCH_SELECT: &str = "/v1/challenges/{challenge_id}/goals/batch-select";
    pub(super) const RANDOM_SELECT: &str = "/v1/challenges/{challenge_id}/goals/random-select";
    pub(super) const ACTIVE: &str = "/v1/challenges/{challenge_id}/goals/{goal_id}/active";
    pub(super) const CLAIM: &str = "/v1/challenges/{challenge_id}/goals/{goal_id}/claim";
    pub(super) const EVENTS: &str = "/v1/events";
    pub(super) const HEALTH: &str = "/healthz";
}

/// What the handlers of the player API work with.
#[derive(Debug, Clone)]
struct ApiState {
    face: FaceState,
    templates: Arc<splice::Templates>,
}

/// The player API below a base path, which is empty or `/` and more without a `/` at the end.
///
/// A challenge whose id is `initialize` is asked for as `%69nitialize`: the plain path is taken.
pub(crate) fn api_router(face: &FaceState, base_path: &str) -> Router {
    use paths::{
        ACTIVE, BATCH_SELECT, CHALLENGE, CHALLENGES, CLAIM, HEALTH, INITIALIZE, RANDOM_SELECT, ROTATION,
    };
    let at = |path: &str| format!("{base_path}{path}");
    let mut router = Router::new()
        .route(&at(CHALLENGES), get(handlers::challenges))
        .route(&at(INITIALIZE), post(handlers::initialize))
        .route(&at(CHALLENGE), get(handlers::challenge))
        .route(&at(ROTATION), get(handlers::rotation))
        .route(&at(BATCH_SELECT), post(handlers::batch_select))
        .route(&at(RANDOM_SELECT), post(handlers::random_select))
        .route(&at(ACTIVE), put(handlers::set_goal_active))
        .route(&at(CLAIM), post(handlers::claim))
        .route(HEALTH, get(handlers::health));
    if !base_path.is_empty() {
        router = router.route(&at(HEALTH), get(handlers::health));
    }
    let labels =
        [CHALLENGES, INITIALIZE, CHALLENGE, ROTATION, BATCH_SELECT, RANDOM_SELECT, ACTIVE, CLAIM, HEALTH];
    let labels = labels.iter().flat_map(|path| [(at(path), *path), ((*path).to_owned(), *path)]).collect();
    finish(router, face, labels).with_state(ApiState { face: face.clone(), templates: Arc::default() })
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
