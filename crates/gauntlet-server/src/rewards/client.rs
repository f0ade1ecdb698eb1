//! The HTTP client of the adapters: what it says about a call that failed decides what may be
//! repeated.

use std::{error::Error as _, sync::Arc, time::Duration};

use bytes::Bytes;
use gauntlet_domain::Timestamp;
use http::{HeaderMap, Request, StatusCode, Uri, header::RETRY_AFTER};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector};
use hyper_util::{
    client::legacy::{Client, Error as ClientError, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::core::Chain;

/// The most that is read of an answer. Answers have a few hundred bytes; whoever sends more is
/// broken or not the platform.
const MAX_BODY: usize = 1024 * 1024;
/// How long connecting may take. Shorter than the deadline of a call, so that a platform that
/// cannot be reached is known not to have got anything.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection that is not used is kept. Many servers close theirs after 5 s; a call on
/// a connection that is being closed at the other end is a lost answer.
const IDLE: Duration = Duration::from_secs(3);
/// The longest pause that a platform can ask for: an hour is a slip, and grants would wait for it.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

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

/// A call without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// Nothing of it was sent: there was no connection.
    NotSent(String),
    /// It may have arrived.
    Lost(String),
}

/// An answer's head and, if it could be read, its body.
#[derive(Debug)]
pub(super) struct HttpAnswer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Result<Bytes, String>,
}

/// Sends requests. It follows no redirects, repeats nothing that was sent, and speaks HTTP/1.1.
#[derive(Debug, Clone)]
pub(super) struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpClient {
    /// A client for these addresses: certificates are read only where one of them is https.
    ///
    /// `keep`: whether connections are used again. A call on one that is just being closed at the
    /// other end is a lost call, which is one too many where nothing may be repeated.
    pub(super) fn new<'a>(
        addresses: impl IntoIterator<Item = &'a Uri>,
        keep: bool,
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
        Ok(Self { client })
    }

    /// Sends a request and reads its answer. There is no deadline in here: the caller has one.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        now: Timestamp,
    ) -> Result<HttpAnswer, Failed> {
        let answer = self.client.request(request).await.map_err(|error| failed(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes);
        Ok(HttpAnswer {
            status: head.status,
            retry_after: retry_after(&head.headers, now),
            body: body.map_err(|error| format!("the answer's body: {}", Chain(&*error))),
        })
    }
}

/// The client's errors name neither the address nor what was sent, so they may be stored.
fn failed(error: &ClientError) -> Failed {
    let why = match error.source() {
        Some(source) => Chain(source).to_string(),
        None => error.to_string(),
    };
    if error.is_connect() { Failed::NotSent(why) } else { Failed::Lost(why) }
}

/// How long the platform asks to wait: seconds or a date, bounded.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
        let now = Duration::from_millis(u64::try_from(now.millis()).unwrap_or(0));
        since.saturating_sub(now)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after_are_read_and_bounded() {
        // Wed, 21 Oct 2015 07:28:00 GMT.
        let now = Timestamp::from_seconds(1_445_412_480);
        for (text, wait) in [
            ("0", Some(0)),
            ("17", Some(17)),
            (" 17 ", Some(17)),
            ("86400", Some(300)),
            ("18446744073709551615", Some(300)),
            ("99999999999999999999999", None),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("Thu, 21 Oct 2055 07:28:00 GMT", Some(300)),
            ("Wednesday, 21-Oct-15 07:28:09 GMT", Some(9)),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), wait.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
