//! Events in as `CloudEvents` 1.0 over HTTP: one in structured or binary mode, or a batch.
//!
//! # What the status says
//! Every event has a result of its own. The status of the whole is for senders that look no
//! further: 200 when every event is OK. Else it is the status of an event that may succeed later
//! (503 before 429 before others), so that such a sender delivers the batch again, which is
//! harmless: what was counted is not counted twice. Only when nothing but malformed events is
//! left is it 400, which no sender repeats.

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, header::CONTENT_TYPE},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{
    fields::{MAX_BODY, not_json, read_body},
    paths::EVENTS,
    reply::{ErrorBody, Json, error_response},
};
use crate::{
    admission::gate::Gate,
    auth::events::guard,
    error::{ApiError, Code, Reason},
    ingest::{CloudEvent, Ingest},
    server::FaceState,
};

/// Most events of one batch.
const MAX_EVENTS: usize = 1_000;
/// Largest body of a batch: 1,000 events of 1 KB. A single event may be as large as any other
/// body.
const MAX_BATCH_BODY: usize = 1024 * 1024;

/// The route that takes `CloudEvents`.
pub(crate) fn router(face: &FaceState) -> Router {
    let guarded = from_fn_with_state(face.event_secrets.clone(), guard);
    let router = Router::new().route(EVENTS, post(events)).layer(guarded);
    super::finish(router, face, [(EVENTS.to_owned(), EVENTS)].into()).with_state(face.clone())
}

/// Adds the route to what the gate looks at.
pub(crate) fn gated(gate: Gate, face: &FaceState) -> Gate {
    super::observe::gated(gate, face, &[(EVENTS.to_owned(), EVENTS)])
}

/// How the events of a request are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A JSON object.
    Structured,
    /// A JSON array.
    Batched,
    /// Either of these: the sender says no more than that it is JSON.
    Json,
    /// The attributes are headers, the body is the data.
    Binary,
}

/// The answer to one event.
#[derive(Debug, Serialize)]
struct EventResult {
    id: String,
    code: u8,
    reason: &'static str,
    message: String,
}

#[derive(Debug, Serialize)]
struct Results {
    results: Vec<EventResult>,
}

/// An error for the whole, and the results of which it is one.
#[derive(Debug, Serialize)]
struct FailedResults<'a> {
    #[serde(flatten)]
    error: ErrorBody<'a>,
    results: Vec<EventResult>,
}

async fn events(State(face): State<FaceState>, request: Request) -> Result<Response, ApiError> {
    let mode = mode(request.headers())?;
    let headers = request.headers().clone();
    let limit = if matches!(mode, Mode::Batched | Mode::Json) { MAX_BATCH_BODY } else { MAX_BODY };
    let body = read_body(request, limit).await?;
    let events = match mode {
        Mode::Binary => vec![binary(&headers, &body)?],
        _ => split(mode, &body)?,
    };
    // All are begun before any is waited for, in their order: they share commits, and the events
    // of one player stay in order.
    let answers = join_all(events.iter().map(|event| one(&face.ingest, event))).await;
    Ok(reply(answers))
}

/// Takes one event. What is wrong with it is its own answer and not that of its neighbours.
async fn one(ingest: &Ingest, event: &str) -> (String, Result<(), ApiError>) {
    #[derive(Default, Deserialize)]
    struct Id {
        #[serde(default)]
        id: Value,
    }
    let id = serde_json::from_str(event).unwrap_or(Id::default()).id;
    let id = id.as_str().unwrap_or_default().to_owned();
    let result = match serde_json::from_str::<CloudEvent>(event) {
        Ok(event) => ingest.cloud_event(event).await,
        Err(error) => Err(ingest.malformed_cloud_event(&error.to_string())),
    };
    (id, result)
}

fn mode(headers: &HeaderMap) -> Result<Mode, ApiError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/cloudevents+json" => Ok(Mode::Structured),
        "application/cloudevents-batch+json" => Ok(Mode::Batched),
        _ if headers.contains_key("ce-specversion") => Ok(Mode::Binary),
        "application/json" => Ok(Mode::Json),
        _ => Err(ApiError::new(
            Reason::InvalidInput,
            "content-type must be application/cloudevents+json, application/cloudevents-batch+json or \
             application/json, or the event's attributes must be ce- headers",
        )
        .with("field", "content-type")),
    }
}

/// The events of a JSON body, one or a list, each as JSON that was not looked into.
///
/// # Errors
/// A body that is not JSON, and too many events.
pub fn split_cloud_events(body: &[u8]) -> Result<Vec<Box<str>>, ApiError> {
    split(Mode::Json, body)
}

/// The events of a body, each as JSON that was not looked into.
fn split(mode: Mode, body: &[u8]) -> Result<Vec<Box<str>>, ApiError> {
    let is_array = body.trim_ascii_start().starts_with(b"[");
    match (mode, is_array) {
        (Mode::Structured, true) => {
            return Err(ApiError::new(
                Reason::InvalidInput,
                "the body is a list; for lists content-type is application/cloudevents-batch+json",
            ));
        }
        (Mode::Batched, false) => {
            return Err(ApiError::new(Reason::InvalidInput, "the body is not a list of events"));
        }
        _ => {}
    }
    let events: Vec<Box<RawValue>> = if is_array {
        serde_json::from_slice(body).map_err(|error| not_json(&error))?
    } else {
        vec![serde_json::from_slice(body).map_err(|error| not_json(&error))?]
    };
    if events.len() > MAX_EVENTS {
        return Err(ApiError::new(
            Reason::InvalidInput,
            format!("the batch has more than {MAX_EVENTS} events"),
        )
        .with("limit", MAX_EVENTS.to_string())
        .with("events", events.len().to_string()));
    }
    Ok(events.into_iter().map(Box::<str>::from).collect())
}

/// The event of a request in binary mode, as it would be in structured mode.
fn binary(headers: &HeaderMap, body: &Bytes) -> Result<Box<str>, ApiError> {
    let mut event = Map::new();
    for attribute in ["specversion", "id", "source", "type", "subject", "time"] {
        let Some(value) = headers.get(format!("ce-{attribute}")) else { continue };
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
            ApiError::new(Reason::InvalidInput, format!("header ce-{attribute} is not UTF-8"))
        })?;
        event.insert(attribute.to_owned(), Value::from(text));
    }
    if !body.is_empty() {
        event.insert("data".to_owned(), serde_json::from_slice(body).map_err(|error| not_json(&error))?);
    }
    Ok(Value::Object(event).to_string().into_boxed_str())
}

fn reply(answers: Vec<(String, Result<(), ApiError>)>) -> Response {
    let worst = answers
        .iter()
        .filter_map(|(_, answer)| answer.as_ref().err())
        .max_by_key(|error| urgency(error))
        .cloned();
    let results = answers.into_iter().map(|(id, answer)| result(id, answer)).collect();
    match worst {
        None => Json(Results { results }).into_response(),
        Some(error) => error_response(&error, &FailedResults { error: ErrorBody::from(&error), results }),
    }
}

/// How much an error decides about the status of the whole.
fn urgency(error: &ApiError) -> u8 {
    match error.code() {
        Code::Unavailable => 3,
        Code::ResourceExhausted => 2,
        Code::InvalidArgument => 0,
        _ => 1,
    }
}

fn result(id: String, answer: Result<(), ApiError>) -> EventResult {
    match answer {
        Ok(()) => EventResult { id, code: 0, reason: "OK", message: String::new() },
        Err(error) => EventResult {
            id,
            code: error.code() as u8,
            reason: error.reason.as_str(),
            message: error.message,
        },
    }
}
