//! Who is calling: what a request's credentials prove. The player's id never comes from a body or
//! a path.

use axum::http::HeaderMap;
use gauntlet_domain::limits::check_id;

use crate::{
    api::Caller,
    error::{ApiError, Reason},
};

/// The header, and the gRPC metadata, that names the player in [`AuthMode::Mock`].
pub const MOCK_USER_HEADER: &str = "x-mock-user-id";

/// How callers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Whoever names a player in [`MOCK_USER_HEADER`] is that player: for development and load
    /// tests.
    Mock,
}

impl AuthMode {
    /// The caller of a request with these headers; gRPC's metadata are headers too.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the credentials are missing or wrong.
    pub fn caller(self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        match self {
            Self::Mock => mock_caller(headers),
        }
    }

    /// The header, besides `Authorization`, that decides who the caller is. Caches must know it.
    #[must_use]
    pub const fn extra_header(self) -> Option<&'static str> {
        match self {
            Self::Mock => Some(MOCK_USER_HEADER),
        }
    }
}

fn mock_caller(headers: &HeaderMap) -> Result<Caller, ApiError> {
    let refuse = |problem: &str| {
        ApiError::new(Reason::Unauthenticated, format!("header {MOCK_USER_HEADER} {problem}"))
            .with("header", MOCK_USER_HEADER)
    };
    let mut values = headers.get_all(MOCK_USER_HEADER).iter();
    let value = values.next().ok_or_else(|| refuse("is missing"))?;
    // Which of two would count depends on who reads them: a proxy may have checked the other one.
    if values.next().is_some() {
        return Err(refuse("is there more than once"));
    }
    let player = std::str::from_utf8(value.as_bytes()).map_err(|_| refuse("is not UTF-8"))?;
    check_id(player).map_err(|problem| refuse(&problem.to_string()))?;
    Ok(Caller { player: player.to_owned() })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn caller(values: &[&[u8]]) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(MOCK_USER_HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        match AuthMode::Mock.caller(&headers) {
            Ok(caller) => Ok(caller.player),
            Err(error) => {
                assert_eq!(error.reason, Reason::Unauthenticated);
                Err(error.message)
            }
        }
    }

    #[test]
    fn the_header_names_the_player() {
        for id in ["a", "user:1 with space", "玩家", "100%25", &"ß".repeat(100)] {
            assert_eq!(caller(&[id.as_bytes()]).as_deref(), Ok(id));
        }
    }

    #[test]
    fn a_bad_header_is_refused_and_named() {
        let long = "x".repeat(101);
        for (values, problem) in [
            (vec![], "is missing"),
            (vec![&b""[..]], "is empty"),
            (vec![&b"a\xff"[..]], "is not UTF-8"),
            (vec![&b"a\tb"[..]], "has a control character"),
            (vec![long.as_bytes()], "is longer than 100 characters"),
            (vec![&b"a"[..], &b"a"[..]], "is there more than once"),
        ] {
            assert_eq!(caller(&values), Err(format!("header x-mock-user-id {problem}")), "{values:?}");
        }
    }
}
