//! What handlers take from a request besides its body. Every refusal is an [`ApiError`], where
//! axum's own extractors would answer in plain text.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::ApiState;
use crate::{
    api::Caller,
    error::{ApiError, Reason},
};

/// The player whose credentials came with the request.
#[derive(Debug)]
pub(super) struct Player(pub(super) Caller);

impl FromRequestParts<ApiState> for Player {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        state.face.auth.caller(&parts.headers).await.map(Self)
    }
}

/// The variable segments of the path, decoded.
#[derive(Debug)]
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(_) => Err(ApiError::new(Reason::InvalidInput, "the path is not percent-encoded UTF-8")),
        }
    }
}

/// The parameter `active_only`, also spelled `activeOnly`; false when it is missing. Parameters
/// that nobody knows are skipped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ActiveOnly(pub(super) bool);

impl<S: Send + Sync> FromRequestParts<S> for ActiveOnly {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        if parts.uri.query().is_none_or(str::is_empty) {
            return Ok(Self(false));
        }
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::new(Reason::InvalidInput, "the query is not a list of parameters"))?;
        let mut values = pairs.iter().filter(|(key, _)| matches!(key.as_str(), "active_only" | "activeOnly"));
        let Some((_, value)) = values.next() else { return Ok(Self(false)) };
        if values.next().is_some() {
            return Err(ApiError::invalid("active_only", "is given more than once"));
        }
        // The spellings that the service which this one replaces took.
        match value.as_str() {
            "true" | "True" | "TRUE" | "t" | "T" | "1" => Ok(Self(true)),
            "false" | "False" | "FALSE" | "f" | "F" | "0" => Ok(Self(false)),
            _ => Err(ApiError::invalid("active_only", "is neither true nor false")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn active_only(uri: &str) -> Result<bool, String> {
        let (mut parts, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
        match ActiveOnly::from_request_parts(&mut parts, &()).await {
            Ok(ActiveOnly(value)) => Ok(value),
            Err(error) => {
                assert_eq!(error.reason, Reason::InvalidInput);
                Err(error.message)
            }
        }
    }

    #[tokio::test]
    async fn active_only_is_read_in_both_spellings() {
        for (uri, expected) in [
            ("/", false),
            ("/?", false),
            ("/?other=1&x", false),
            ("/?active_only=true", true),
            ("/?activeOnly=1", true),
            ("/?activeOnly=TRUE&other=%20", true),
            ("/?active_only=0", false),
            ("/?active%5Fonly=%74rue", true),
        ] {
            assert_eq!(active_only(uri).await, Ok(expected), "{uri}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused_by_name() {
        for uri in
            ["/?active_only=yes", "/?active_only=", "/?activeOnly", "/?active_only=2", "/?active_only=tRUE"]
        {
            assert_eq!(active_only(uri).await, Err("active_only is neither true nor false".into()), "{uri}");
        }
        for uri in ["/?active_only=1&activeOnly=1", "/?active_only=1&active_only=0"] {
            assert_eq!(active_only(uri).await, Err("active_only is given more than once".into()), "{uri}");
        }
    }
}
