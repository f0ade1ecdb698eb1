//! Who is calling: what a request's credentials prove. The player's id never comes from a body or
//! a path.
//!
//! Players prove who they are with a token ([`AuthMode::Jwt`]) or, in development, with a header
//! ([`AuthMode::Mock`]). Senders of events have credentials of their own: [`events`].

use axum::http::{HeaderMap, header::AUTHORIZATION};
use gauntlet_domain::limits::check_id;

use crate::{
    api::Caller,
    error::{ApiError, Reason},
};

mod claims;
pub mod events;
mod fetch;
mod jwt;
mod keys;
pub mod permissions;

use permissions::{Permission, Permissions};

pub use claims::{Expected, NamespaceRule};
pub use jwt::{Identity, JwtOptions, SetUpError, Verifier};

/// The header, and the gRPC metadata, that names the player in [`AuthMode::Mock`].
pub const MOCK_USER_HEADER: &str = "x-mock-user-id";

/// The header, and the gRPC metadata, that says in [`AuthMode::Mock`] what the caller may do besides
/// being a player: scopes, with blanks between them.
pub const MOCK_SCOPE_HEADER: &str = "x-mock-scope";

/// How callers prove who they are, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthMode {
    /// Whoever names a player in [`MOCK_USER_HEADER`] is that player: for development and load
    /// tests.
    Mock,
    /// The `sub` of a bearer token that was signed with a key of a key set is the player.
    Jwt(JwtOptions),
}

/// How callers prove who they are, at work.
#[derive(Debug, Clone)]
pub(crate) enum SignIn {
    /// The header is believed.
    Mock,
    /// Tokens are checked.
    Jwt(Verifier),
}

impl SignIn {
    /// The caller of a request with these headers; gRPC's metadata are headers too. It may wait
    /// a bounded time when a token names a key that is not known yet.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the credentials are missing or wrong, `WRONG_NAMESPACE` when they
    /// are of another game, `SIGN_IN_UNAVAILABLE` when there are no keys to check them with.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        match self {
            Self::Mock => mock_caller(headers),
            Self::Jwt(verifier) => verifier.identity(headers).await.map(|identity| identity.caller),
        }
    }

    /// The same for an operation that needs more than being a player.
    ///
    /// # Errors
    /// Those of [`SignIn::caller`], and `FORBIDDEN`.
    pub(crate) async fn administrator(
        &self,
        headers: &HeaderMap,
        permission: Permission,
        namespace: &str,
    ) -> Result<Caller, ApiError> {
        let (caller, permissions) = match self {
            Self::Mock => (mock_caller(headers)?, mock_permissions(headers)),
            Self::Jwt(verifier) => {
                let identity = verifier.identity(headers).await?;
                let permissions = identity.permissions();
                (identity.caller, permissions)
            }
        };
        permissions.require(permission, namespace)?;
        Ok(caller)
    }

    /// The header, besides `Authorization`, that decides who the caller is. Caches must know it.
    pub(crate) const fn extra_header(&self) -> Option<&'static str> {
        match self {
            Self::Mock => Some(MOCK_USER_HEADER),
            Self::Jwt(_) => None,
        }
    }
}

/// The credential of `authorization: Bearer ...`, not checked.
///
/// # Errors
/// What is wrong, to be read after "header authorization".
fn bearer(headers: &HeaderMap) -> Result<&str, &'static str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or("is missing")?;
    // Which of two would count depends on who reads them: a proxy may have checked the other one.
    if values.next().is_some() {
        return Err("is there more than once");
    }
    let text = value.to_str().map_err(|_| "is not ASCII")?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => match token.trim() {
            "" => Err("has no token"),
            token => Ok(token),
        },
        _ => Err("is not Bearer and a token"),
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

/// Nobody administers by accident: who wants to has to say so.
fn mock_permissions(headers: &HeaderMap) -> Permissions {
    let scopes = headers.get(MOCK_SCOPE_HEADER).and_then(|scopes| scopes.to_str().ok());
    Permissions::of_scopes(scopes.unwrap_or_default())
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
        match mock_caller(&headers) {
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

    #[test]
    fn one_bearer_credential_is_read() {
        for (values, expected) in [
            (vec!["Bearer a.b.c"], Ok("a.b.c")),
            (vec!["bearer  x "], Ok("x")),
            (vec![], Err("is missing")),
            (vec!["Bearer a", "Bearer a"], Err("is there more than once")),
            (vec!["Bearer"], Err("is not Bearer and a token")),
            (vec!["Bearer "], Err("has no token")),
            (vec!["Basic YTpi"], Err("is not Bearer and a token")),
            (vec!["a.b.c"], Err("is not Bearer and a token")),
        ] {
            let mut all = HeaderMap::new();
            for value in &values {
                all.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(bearer(&all), expected, "{values:?}");
        }
    }
}
