//! Operations: metrics, probes and profiles, on a port that players do not see.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use super::{
    profiles,
    reply::{Json, json_bytes},
};
use crate::{error::ApiError, ingest::Malformed, metrics::CONTENT_TYPE as METRICS_TYPE, server::FaceState};

/// Metrics, probes, malformed events, and profiles if they are on.
pub(crate) fn router(face: &FaceState) -> Router {
    const METRICS: &str = "/metrics";
    const HEALTH: &str = "/healthz";
    const READY: &str = "/readyz";
    const MALFORMED: &str = "/events/malformed";
    let router = Router::new()
        .route(METRICS, get(metrics))
        .route(HEALTH, get(health))
        .route(READY, get(ready))
        .route(MALFORMED, get(malformed));
    let router = profiles::add(router, face.profiles);
    let paths = [METRICS, HEALTH, READY, MALFORMED].into_iter().chain(profiles::PATHS);
    let labels = paths.map(|path| (path.to_owned(), path)).collect();
    super::finish(router, face, labels).with_state(face.clone())
}

async fn metrics(State(face): State<FaceState>) -> impl IntoResponse {
    ([(CONTENT_TYPE, METRICS_TYPE)], face.render_metrics())
}

/// Whether the process can do its work.
async fn health(State(face): State<FaceState>) -> Result<impl IntoResponse, ApiError> {
    face.api.health().await.map(Json)
}

/// Whether load balancers should send requests here.
async fn ready(State(face): State<FaceState>) -> Response {
    let (status, word) = if face.readiness.is_ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    json_bytes(status, json!({ "status": word }).to_string())
}

async fn malformed(State(face): State<FaceState>) -> Json<Vec<Malformed>> {
    Json(face.ingest.malformed())
}
