//! The HTTP client of the adapters: what it says about a call that failed decides what may be
//! repeated.

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use gauntlet_domain::Timestamp;
use http::{HeaderMap, Request, StatusCode, Uri, header::RETRY_AFTER};
use http_body_util::Full;
use hyper_util::client::legacy::Error as ClientError;

use crate::{
    core::Chain,
    outgoing::{Answer, Outgoing, SetUpError},
};

/// The most that is read of an answer. Answers have a few hundred bytes; whoever sends more is
/// broken or not the platform.
const MAX_BODY: usize = 1024 * 1024;
/// The longest pause that a platform can ask for: an hour is a slip, and grants would wait for it.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

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

/// Sends requests.
#[derive(Debug, Clone)]
pub(super) struct HttpClient(Outgoing);

impl HttpClient {
    /// A client for these addresses. `keep`: whether connections are used again.
    pub(super) fn new<'a>(
        addresses: impl IntoIterator<Item = &'a Uri>,
        keep: bool,
    ) -> Result<Self, SetUpError> {
        Outgoing::new(addresses, keep, MAX_BODY).map(Self)
    }

    /// Sends a request and reads its answer. There is no deadline in here: the caller has one.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        now: Timestamp,
    ) -> Result<HttpAnswer, Failed> {
        let Answer { head, body } = self.0.send(request).await.map_err(|error| failed(&error))?;
        Ok(HttpAnswer {
            status: head.status,
            retry_after: retry_after(&head.headers, now),
            body: body.map_err(|error| format!("the answer's body: {error}")),
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
