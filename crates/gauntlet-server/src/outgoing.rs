//! The HTTP client for all that this service asks of others: key sets and rewards.
//!
//! It follows no redirects, repeats nothing that was sent, speaks HTTP/1.1, and bounds what it
//! reads of an answer. It tells the other side which trace the request belongs to.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Uri, response::Parts};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector};
use hyper_util::{
    client::legacy::{Client, Error as ClientError, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::{core::Chain, traces};

/// How long connecting may take. Shorter than the deadline of a call, so that a platform that
/// cannot be reached is known not to have got anything.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection that is not used is kept. Many servers close theirs after 5 s; a call on
/// a connection that is being closed at the other end is a lost answer.
const IDLE: Duration = Duration::from_secs(3);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The certificates of the operating system cannot be read.
    #[error("the certificates of this machine's trusted authorities cannot be read")]
    Roots(#[source] std::io::Error),
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// An answer's head and, if it could be read, its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Parts,
    pub(crate) body: Result<Bytes, String>,
}

/// Sends requests.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    max_body: usize,
}

impl Outgoing {
    /// A client for these addresses: certificates are read only where one of them is https.
    ///
    /// `keep`: whether connections are used again. A call on one that is just being closed at the
    /// other end is a lost call, which is one too many where nothing may be repeated.
    /// `max_body`: the most bytes that are read of an answer.
    pub(crate) fn new<'a>(
        addresses: impl IntoIterator<Item = &'a Uri>,
        keep: bool,
        max_body: usize,
    ) -> Result<Self, SetUpError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(SetUpError::Tls)?;
        let tls = if addresses.into_iter().any(|address| address.scheme_str() == Some("https")) {
            tls.with_native_roots().map_err(SetUpError::Roots)?
        } else {
            tls.with_root_certificates(rustls::RootCertStore::empty())
        };
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(if keep { usize::MAX } else { 0 })
            .build(connector);
        Ok(Self { client, max_body })
    }

    /// Sends a request and reads its answer. There is no deadline in here: the caller has one.
    pub(crate) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, ClientError> {
        let mut span = traces::open(|| traces::outgoing(request.method(), request.uri()));
        span.inject(request.headers_mut());
        let answer = match self.client.request(request).await {
            Ok(answer) => answer,
            Err(error) => {
                span.failed(if error.is_connect() { "not_sent" } else { "lost" });
                return Err(error);
            }
        };
        span.answered(answer.status());
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.max_body).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).map_err(|error| {
            span.failed("lost");
            Chain(&*error).to_string()
        });
        Ok(Answer { head, body })
    }
}
