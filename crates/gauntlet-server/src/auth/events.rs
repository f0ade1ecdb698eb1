//! Who may deliver events: whoever has one of the shared secrets. (With a client CA, the TLS
//! handshake has decided already.)

use std::sync::Arc;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{bearer, claims::refuse};
use crate::{error::ApiError, grpc};

/// The shared secrets of the events port, kept as digests. Several are good at a time, so that
/// they can be changed one sender after the other.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EventSecrets(Arc<Vec<[u8; 32]>>);

impl std::fmt::Debug for EventSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EventSecrets({})", self.0.len())
    }
}

impl EventSecrets {
    /// These secrets are good; none: everybody is let in.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self(Arc::new(secrets.into_iter().map(hash).collect()))
    }

    /// Whether senders have to show a secret.
    #[must_use]
    pub fn are_required(&self) -> bool {
        !self.0.is_empty()
    }

    /// Lets in who shows a secret.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if !self.are_required() {
            return Ok(());
        }
        let shown = bearer(headers).map_err(|problem| {
            refuse(&format!("header authorization {problem}")).with("header", "authorization")
        })?;
        let shown = hash(shown);
        // Digests have one length, and all are compared: the time tells nothing.
        let good =
            self.0.iter().fold(false, |good, secret| verify_slices_are_equal(secret, &shown).is_ok() | good);
        if good { Ok(()) } else { Err(refuse("the events port's secret is wrong")) }
    }
}

fn hash(secret: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    bytes
}

/// Refuses requests without a secret before anything of their body is read. Health and
/// reflection need none.
pub(crate) async fn guard(State(secrets): State<EventSecrets>, request: Request, next: Next) -> Response {
    let open = ["/grpc.health.", "/grpc.reflection."];
    if open.iter().any(|path| request.uri().path().starts_with(path)) {
        return next.run(request).await;
    }
    match secrets.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) if grpc::is_grpc(&request) => grpc::error(error),
        Err(error) => error.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header::AUTHORIZATION};

    use super::*;

    #[test]
    fn each_of_the_secrets_is_good_and_nothing_else() {
        let secrets = EventSecrets::new(["first secret", "second secret"]);
        for (shown, good) in [
            ("Bearer first secret", true),
            ("bearer second secret", true),
            ("Bearer first secre", false),
            ("Bearer first secrett", false),
            ("Bearer ", false),
            ("first secret", false),
        ] {
            let headers: HeaderMap = [(AUTHORIZATION, HeaderValue::from_static(shown))].into_iter().collect();
            assert_eq!(secrets.check(&headers).is_ok(), good, "{shown}");
        }
        assert!(secrets.check(&HeaderMap::new()).is_err());
        assert!(EventSecrets::default().check(&HeaderMap::new()).is_ok());
        assert_eq!(format!("{secrets:?}"), "EventSecrets(2)");
    }
}
