//! The handlers of the player API: extract, authorise, one use case, reply.

use axum::{
    extract::State,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, ETAG, VARY},
    },
    response::Response,
};
use gauntlet_proto::service as proto;

use super::{
    ApiState, CATALOGUE_VERSION, conditional,
    encoding::Encoding,
    extract::{ActiveOnly, Headers, Page, Player, Segments},
    fields::Fields,
    pieces::Pieces,
    reply::{Json, json_bytes},
};
use crate::{
    api::Browse,
    auth::{
        SignIn,
        permissions::{ADMIN_READ, ADMIN_WRITE, Permission},
    },
    error::ApiError,
};

type Reply<T> = Result<Json<T>, ApiError>;

pub(super) async fn challenges(
    State(state): State<ApiState>,
    Player(caller): Player,
    ActiveOnly(active_only): ActiveOnly,
    Headers(headers): Headers,
) -> Result<Response, ApiError> {
    let browse = state.face.api.browse(&caller, None, active_only).await?;
    Ok(browse_reply(&state, &headers, &browse))
}

pub(super) async fn challenge(
    State(state): State<ApiState>,
    Player(caller): Player,
    Segments(challenge_id): Segments<String>,
    ActiveOnly(active_only): ActiveOnly,
    Headers(headers): Headers,
) -> Result<Response, ApiError> {
    let browse = state.face.api.browse(&caller, Some(&challenge_id), active_only).await?;
    Ok(browse_reply(&state, &headers, &browse))
}

pub(super) async fn initialize(
    State(state): State<ApiState>,
    Player(caller): Player,
    _: Fields,
) -> Result<Response, ApiError> {
    let (reply, catalogue) = state.face.api.begin(&caller).await?;
    let mut response = json_bytes(StatusCode::OK, state.templates.of(&catalogue).initialized(&reply));
    response.headers_mut().insert(CATALOGUE_VERSION, catalogue.version().into());
    Ok(response)
}

pub(super) async fn set_goal_active(
    State(state): State<ApiState>,
    Player(caller): Player,
    Segments((challenge_id, goal_id)): Segments<(String, String)>,
    mut fields: Fields,
) -> Reply<proto::SetGoalActiveResponse> {
    fields.same_as_path("challenge_id", &challenge_id)?;
    fields.same_as_path("goal_id", &goal_id)?;
    let is_active = fields.flag("is_active")?;
    let request = proto::SetGoalActiveRequest { challenge_id, goal_id, is_active };
    state.face.api.set_goal_active(&caller, request).await.map(Json)
}

pub(super) async fn claim(
    State(state): State<ApiState>,
    Player(caller): Player,
    Segments((challenge_id, goal_id)): Segments<(String, String)>,
    mut fields: Fields,
) -> Reply<proto::ClaimRewardResponse> {
    fields.same_as_path("challenge_id", &challenge_id)?;
    fields.same_as_path("goal_id", &goal_id)?;
    let request = proto::ClaimRewardRequest { challenge_id, goal_id };
    state.face.api.claim(&caller, request).await.map(Json)
}

pub(super) async fn batch_select(
    State(state): State<ApiState>,
    Player(caller): Player,
    Segments(challenge_id): Segments<String>,
    mut fields: Fields,
) -> Reply<proto::GoalSelectionResponse> {
    fields.same_as_path("challenge_id", &challenge_id)?;
    let request = proto::BatchSelectRequest {
        challenge_id,
        goal_ids: fields.strings("goal_ids")?,
        replace_existing: fields.flag("replace_existing")?,
    };
    state.face.api.batch_select(&caller, request).await.map(Json)
}

pub(super) async fn random_select(
    State(state): State<ApiState>,
    Player(caller): Player,
    Segments(challenge_id): Segments<String>,
    mut fields: Fields,
) -> Reply<proto::GoalSelectionResponse> {
    fields.same_as_path("challenge_id", &challenge_id)?;
    let request = proto::RandomSelectRequest {
        challenge_id,
        count: fields.int32("count")?,
        replace_existing: fields.flag("replace_existing")?,
        exclude_active: fields.flag("exclude_active")?,
    };
    state.face.api.random_select(&caller, request).await.map(Json)
}

/// Global rotations are the same for everybody, but they are not for strangers.
pub(super) async fn rotation(
    State(state): State<ApiState>,
    Player(caller): Player,
    Segments(challenge_id): Segments<String>,
) -> Reply<proto::GetRotationStatusResponse> {
    let request = proto::GetRotationStatusRequest { challenge_id };
    state.face.api.rotation_status(&caller, &request).await.map(Json)
}

pub(super) async fn history(
    State(state): State<ApiState>,
    Player(caller): Player,
    Segments(challenge_id): Segments<String>,
    Page { size, token }: Page,
) -> Reply<proto::GetChallengeHistoryResponse> {
    let request = proto::GetChallengeHistoryRequest { challenge_id, page_size: size, page_token: token };
    state.face.api.history(&caller, &request).await.map(Json)
}

pub(super) async fn catalogue_status(
    State(state): State<ApiState>,
    headers: HeaderMap,
) -> Reply<proto::CatalogueStatus> {
    administrator(&state, &headers, ADMIN_READ).await?;
    state.face.api.catalogue_status().await.map(Json)
}

pub(super) async fn reload_catalogue(
    State(state): State<ApiState>,
    headers: HeaderMap,
) -> Reply<proto::CatalogueStatus> {
    administrator(&state, &headers, ADMIN_WRITE).await?;
    state.face.api.reload_catalogue().await.map(Json)
}

async fn administrator(state: &ApiState, headers: &HeaderMap, needed: Permission) -> Result<(), ApiError> {
    state.face.auth.administrator(headers, needed, state.face.core.namespace()).await.map(drop)
}

pub(super) async fn health(State(state): State<ApiState>) -> Reply<proto::HealthCheckResponse> {
    state.face.api.health().await.map(Json)
}

/// A browse reply: not modified, or the spliced bytes, compressed when the caller takes that.
fn browse_reply(state: &ApiState, headers: &HeaderMap, browse: &Browse) -> Response {
    let tag = browse.entity_tag();
    let mut response = if conditional::is_known(headers, &tag) {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let template = state.templates.of(&browse.catalogue);
        encoded(headers, template.write(browse))
    };
    let reply_headers = response.headers_mut();
    reply_headers.insert(CATALOGUE_VERSION, browse.catalogue.version().into());
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        reply_headers.insert(ETAG, tag);
    }
    // One player's own, and to be asked about each time.
    reply_headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    reply_headers.insert(VARY, vary(&state.face.auth));
    response
}

fn encoded(headers: &HeaderMap, body: Pieces) -> Response {
    let encoding = Encoding::of_reply(headers, body.len());
    match (encoding.header(), encoding.compress_pieces(&body)) {
        (Some(name), Some(compressed)) => {
            let mut response = json_bytes(StatusCode::OK, compressed);
            response.headers_mut().insert(CONTENT_ENCODING, name);
            response
        }
        _ => json_bytes(StatusCode::OK, body.into_body()),
    }
}

/// The request's headers that decide what the reply is.
fn vary(auth: &SignIn) -> HeaderValue {
    let names: [HeaderName; 2] = [AUTHORIZATION, ACCEPT_ENCODING];
    let list = names.iter().map(HeaderName::as_str).chain(auth.extra_header()).collect::<Vec<_>>().join(", ");
    HeaderValue::from_str(&list).unwrap_or(HeaderValue::from_static("*"))
}
