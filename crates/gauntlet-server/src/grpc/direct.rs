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
    body::Body,
    http::{
        HeaderMap, HeaderValue, Method as HttpMethod, Version,
        header::{CONTENT_TYPE, HeaderName},
        request::Parts,
    },
    response::Response,
};
use bytes::{Bytes, BytesMut};
use gauntlet_proto::{iam::UserLoggedIn, statistic::StatItemUpdated};
use http_body_util::BodyExt as _;
use hyper::{
    Request,
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
};
use prost::Message;
use tower::Service;

use super::{
    MAX_MESSAGE,
    observe::{LOGIN, Observer, STAT},
};
use crate::{
    auth::events::EventSecrets,
    error::{ApiError, Reason},
    ingest::Ingest,
    server::FaceState,
};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const OK: HeaderValue = HeaderValue::from_static("0");
/// A flag for compression, which is not announced here, and four bytes of length.
const PREFIX: usize = 5;

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
            Some(method) => {
                let direct = Arc::clone(&self.direct);
                Box::pin(async move { Ok(direct.call(method, request).await) })
            }
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

impl Direct {
    async fn call(&self, method: Method, request: Request<Incoming>) -> Response {
        let (Parts { headers, extensions, .. }, body) = request.into_parts();
        let label = match method {
            Method::Login => LOGIN,
            Method::Stat => STAT,
        };
        let seen = self.observer.see(label, &headers, &extensions);
        let work = async {
            match self.answer(method, &headers, body).await {
                Ok(()) => accepted(),
                Err(error) => super::error(error),
            }
        };
        self.observer.around(label, seen, work).await
    }

    async fn answer(&self, method: Method, headers: &HeaderMap, body: Incoming) -> Result<(), ApiError> {
        self.secrets.check(headers)?;
        let message = read(body).await?;
        match method {
            Method::Login => self.ingest.login(decode::<UserLoggedIn>(message)?).await,
            Method::Stat => self.ingest.stat(decode::<StatItemUpdated>(message)?).await,
        }
    }
}

/// Reads a body to its end, which is nearly always its first frame.
async fn read<B>(mut body: B) -> Result<Bytes, ApiError>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut all = Bytes::new();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let frame = frame.map_err(|_| ApiError::new(Reason::InvalidInput, "the message ended too early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if all.is_empty() {
            all = data;
        } else {
            let mut joined = BytesMut::from(all);
            joined.extend_from_slice(&data);
            all = joined.freeze();
        }
        if all.len() > MAX_MESSAGE + PREFIX {
            return Err(too_large());
        }
    }
    Ok(all)
}

fn too_large() -> ApiError {
    ApiError::new(Reason::InvalidInput, format!("the message is larger than {MAX_MESSAGE} bytes"))
}

/// Takes the message out of what carries it.
fn decode<M: Message + Default>(mut body: Bytes) -> Result<M, ApiError> {
    let broken = || ApiError::new(Reason::InvalidInput, "the message is not the protobuf of this method");
    let prefix = body.first_chunk::<PREFIX>().ok_or_else(broken)?;
    let [flag, length @ ..] = *prefix;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_MESSAGE {
        return Err(too_large());
    }
    let end = PREFIX + length;
    if flag != 0 || body.len() < end {
        return Err(broken());
    }
    body.truncate(end);
    M::decode(body.slice(PREFIX..)).map_err(|_| broken())
}

/// An empty message, and that all went well.
fn accepted() -> Response {
    let mut response = Response::new(Body::new(Accepted { next: Next::Message }));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

struct Accepted {
    next: Next,
}

#[derive(Clone, Copy)]
enum Next {
    Message,
    Trailers,
    Nothing,
}

impl HttpBody for Accepted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(match self.next {
            Next::Message => {
                self.next = Next::Trailers;
                Some(Ok(Frame::data(Bytes::from_static(&[0; PREFIX]))))
            }
            Next::Trailers => {
                self.next = Next::Nothing;
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(STATUS, OK);
                Some(Ok(Frame::trailers(trailers)))
            }
            Next::Nothing => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn framed(message: &impl Message) -> Vec<u8> {
        let bytes = message.encode_to_vec();
        let length = u32::try_from(bytes.len()).expect("short").to_be_bytes();
        [&[0], &length[..], &bytes].concat()
    }

    fn login() -> UserLoggedIn {
        UserLoggedIn { id: "1".into(), user_id: "p".repeat(300), ..UserLoggedIn::default() }
    }

    #[tokio::test]
    async fn a_message_may_come_in_pieces() {
        let whole = framed(&login());
        for size in [1, 4, 5, 6, 100, whole.len()] {
            let pieces = whole.chunks(size).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))));
            let pieces: Vec<Result<_, Infallible>> = pieces.collect();
            let body = StreamBody::new(futures_util::stream::iter(pieces));
            let read = read(body).await.expect("read");
            assert_eq!(decode::<UserLoggedIn>(read).expect("decoded"), login(), "{size}");
        }
        let read = read(Full::new(Bytes::from(whole))).await.expect("read");
        assert_eq!(decode::<UserLoggedIn>(read).expect("decoded"), login());
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        let whole = framed(&login());
        let decoded = |bytes: &[u8]| {
            decode::<UserLoggedIn>(Bytes::copy_from_slice(bytes)).map_err(|error| error.message)
        };
        // What comes after the message is not looked at, as tonic does it.
        assert_eq!(decoded(&[&whole[..], b"more"].concat()), Ok(login()));
        assert_eq!(decoded(&[0; PREFIX]), Ok(UserLoggedIn::default()));
        let broken = Err("the message is not the protobuf of this method".to_owned());
        for cut in [0, 1, PREFIX - 1, PREFIX, whole.len() - 1] {
            assert_eq!(decoded(&whole[..cut]), broken, "{cut}");
        }
        assert_eq!(decoded(&[&[1], &whole[1..]].concat()), broken, "compressed");
        assert_eq!(decoded(&[0, 0, 0, 0, 1, 0xff]), broken);
        let large = Err(format!("the message is larger than {MAX_MESSAGE} bytes"));
        assert_eq!(decoded(&[0, 0, 1, 0, 1, 0]), large);
        let body = Full::new(Bytes::from(vec![0; MAX_MESSAGE + PREFIX + 1]));
        assert_eq!(read(body).await.map_err(|error| error.message), large.map(|_| Bytes::new()));
    }

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
