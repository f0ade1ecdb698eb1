//! What handlers take from a request besides its body. Every refusal is an [`ApiError`], where
//! axum's own extractors would answer in plain text.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::{HeaderMap, request::Parts},
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

/// The request's headers, taken out of it: nothing that comes after this one finds any.
#[derive(Debug)]
pub(super) struct Headers(pub(super) HeaderMap);

impl<S: Send + Sync> FromRequestParts<S> for Headers {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(std::mem::take(&mut parts.headers)))
    }
}

/// The parameter `active_only`, also spelled `activeOnly`; false when it is missing. Parameters
/// that nobody knows are skipped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ActiveOnly(pub(super) bool);

impl<S: Send + Sync> FromRequestParts<S> for ActiveOnly {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = parameters(parts)?;
        let Some(value) = one(&pairs, "active_only", "activeOnly")? else { return Ok(Self(false)) };
        // The spellings that the service which this one replaces took.
        match value {
            "true" | "True" | "TRUE" | "t" | "T" | "1" => Ok(Self(true)),
            "false" | "False" | "FALSE" | "f" | "F" | "0" => Ok(Self(false)),
            _ => Err(ApiError::invalid("active_only", "is neither true nor false")),
        }
    }
}

/// The parameters `page_size` and `page_token`, also spelled `pageSize` and `pageToken`; 0 and empty
/// when they are missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) size: i32,
    pub(super) token: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = parameters(parts)?;
        let size = match one(&pairs, "page_size", "pageSize")? {
            None => 0,
            Some(text) => {
                text.parse().map_err(|_| ApiError::invalid("page_size", "is not a whole number"))?
            }
        };
        let token = one(&pairs, "page_token", "pageToken")?.unwrap_or_default().to_owned();
        Ok(Self { size, token })
    }
}

/// The parameters of the query, decoded.
fn parameters(parts: &Parts) -> Result<Vec<(String, String)>, ApiError> {
    if parts.uri.query().is_none_or(str::is_empty) {
        return Ok(Vec::new());
    }
    let Query(pairs) = Query::try_from_uri(&parts.uri)
        .map_err(|_| ApiError::new(Reason::InvalidInput, "the query is not a list of parameters"))?;
    Ok(pairs)
}

/// The value of a parameter that may be given once, in one of two spellings.
fn one<'a>(
    pairs: &'a [(String, String)],
    name: &'static str,
    other: &str,
) -> Result<Option<&'a str>, ApiError> {
    let mut values = pairs.iter().filter(|(key, _)| key == name || key == other).map(|(_, value)| value);
    let value = values.next();
    if values.next().is_some() {
        return Err(ApiError::invalid(name, "is given more than once"));
    }
    Ok(value.map(String::as_str))
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
