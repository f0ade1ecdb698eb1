//! Replies: JSON, and one form for every error.

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::{Serialize, Serializer};

use crate::error::{ApiError, Reason};

/// Who names the reasons of errors, on both faces.
pub(crate) const ERROR_DOMAIN: &str = "gauntlet";

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A reply in JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => json_bytes(StatusCode::OK, body),
            Err(error) => {
                tracing::error!(%error, "cannot write a reply");
                ApiError::new(Reason::Internal, "the service could not write its reply").into_response()
            }
        }
    }
}

/// A reply of bytes that are JSON already.
pub(super) fn json_bytes(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        error_response(&self, &ErrorBody::from(&self))
    }
}

/// The response for an error, with a body that says what the error says and perhaps more.
pub(super) fn error_response(error: &ApiError, body: &impl Serialize) -> Response {
    let status =
        StatusCode::from_u16(error.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // Strings and numbers are always writable.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = json_bytes(status, body);
    if let Some(after) = error.retry_after() {
        // Rounded up: 0 would mean at once.
        let seconds = after.as_millis().div_ceil(1000);
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
    }
    if error.reason == Reason::Unauthenticated {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    // For the metrics.
    response.extensions_mut().insert(error.reason);
    response
}

/// An error as clients read it: `google.rpc.Status` in JSON.
#[derive(Debug, Serialize)]
pub(super) struct ErrorBody<'a> {
    code: u8,
    message: &'a str,
    details: [ErrorInfo<'a>; 1],
}

#[derive(Debug, Serialize)]
struct ErrorInfo<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    reason: &'static str,
    domain: &'static str,
    #[serde(serialize_with = "as_object")]
    metadata: &'a [(&'static str, String)],
}

impl<'a> From<&'a ApiError> for ErrorBody<'a> {
    fn from(error: &'a ApiError) -> Self {
        let info = ErrorInfo {
            kind: "type.googleapis.com/google.rpc.ErrorInfo",
            reason: error.reason.as_str(),
            domain: ERROR_DOMAIN,
            metadata: &error.metadata,
        };
        Self { code: error.code() as u8, message: &error.message, details: [info] }
    }
}

fn as_object<S: Serializer>(metadata: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(metadata.iter().map(|(key, value)| (key, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parts(error: ApiError) -> (u16, Option<String>, serde_json::Value) {
        let response = error.into_response();
        let after = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, after, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn errors_carry_code_message_and_details() {
        let error = ApiError::new(Reason::GoalNotFound, "no \"goal\"").with("goal_id", "g\"1").with("n", "2");
        let expected = serde_json::json!({
            "code": 5,
            "message": "no \"goal\"",
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "GOAL_NOT_FOUND",
                "domain": "gauntlet",
                "metadata": { "goal_id": "g\"1", "n": "2" },
            }],
        });
        assert_eq!(parts(error).await, (404, None, expected));
    }

    #[tokio::test]
    async fn errors_that_pass_say_when_to_come_back() {
        let (status, after, body) = parts(ApiError::overloaded()).await;
        assert_eq!((status, after.as_deref()), (429, Some("1")));
        assert_eq!((&body["code"], &body["details"][0]["reason"]), (&8.into(), &"OVERLOADED".into()));
        assert_eq!(body["details"][0]["metadata"], serde_json::json!({}));
    }
}
