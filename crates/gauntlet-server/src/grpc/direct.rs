//! The platform's two methods, answered in front of the router and of tonic.
//!
//! They are nearly all that the events port is asked, and each call is small: a router, layers
//! and a codec that could stream cost as much as all that the event itself does. What a caller
//! sees is the same as behind the router, and everything else goes there.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    http::{
        Method as HttpMethod, Version,
        header::{CONTENT_TYPE, HeaderName},
    },
    response::Response,
};
use hyper::{Request, body::Incoming};
use tower::Service;

use super::observe::{LOGIN, Observer, STAT};
use crate::{auth::events::EventSecrets, ingest::Ingest, server::FaceState};

mod call;
mod message;
mod reply;

use call::Call;

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// What the events port answers with.
#[derive(Debug, Clone)]
pub(crate) struct EventsFace {
    router: Router,
    direct: Arc<Direct>,
}

#[derive(Debug)]
struct Direct {
    observer: Observer,
    secrets: EventSecrets,
    ingest: Ingest,
}

#[derive(Debug, Clone, Copy)]
enum Method {
    Login,
    Stat,
}

impl Method {
    const fn label(self) -> &'static str {
        match self {
            Self::Login => LOGIN,
            Self::Stat => STAT,
        }
    }
}

impl EventsFace {
    pub(super) fn new(face: &FaceState, router: Router) -> Self {
        let direct = Direct {
            observer: Observer::new(face),
            secrets: face.event_secrets.clone(),
            ingest: face.ingest.clone(),
        };
        Self { router, direct: Arc::new(direct) }
    }
}

impl Service<Request<Incoming>> for EventsFace {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready, too.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match method(&request) {
            Some(method) => Box::pin(Call::new(&self.direct, method, request)),
            None => Box::pin(self.router.call(request)),
        }
    }
}

/// The method that a plain call asks for; nothing for all that needs a closer look.
fn method<B>(request: &Request<B>) -> Option<Method> {
    let method = match request.uri().path().strip_prefix('/')? {
        STAT => Method::Stat,
        LOGIN => Method::Login,
        _ => return None,
    };
    let headers = request.headers();
    let is_plain = request.version() == Version::HTTP_2
        && request.method() == HttpMethod::POST
        && headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == "application/grpc" || kind == "application/grpc+proto")
        && !headers.contains_key(ENCODING);
    is_plain.then_some(method)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_plain_calls_are_taken() {
        let request = |path: &str, kind: &str| {
            Request::post(path)
                .version(Version::HTTP_2)
                .header(CONTENT_TYPE, kind)
                .body(())
                .expect("a request")
        };
        let stat = format!("/{STAT}");
        assert!(matches!(method(&request(&stat, "application/grpc")), Some(Method::Stat)));
        assert!(matches!(
            method(&request(&format!("/{LOGIN}"), "application/grpc+proto")),
            Some(Method::Login)
        ));
        assert!(method(&request(&stat, "application/json")).is_none());
        assert!(method(&request("/v1/events", "application/grpc")).is_none());
        let mut other = request(&stat, "application/grpc");
        other.headers_mut().insert(ENCODING, HeaderValue::from_static("gzip"));
        assert!(method(&other).is_none());
        other = request(&stat, "application/grpc");
        *other.version_mut() = Version::HTTP_11;
        assert!(method(&other).is_none());
        other = request(&stat, "application/grpc");
        *other.method_mut() = HttpMethod::PUT;
        assert!(method(&other).is_none());
    }
}
