//! The lab's own reward platform: takes the server's webhooks and keeps what it was asked to hand
//! out, so that grants are counted where they arrive and not where they are said to be sent.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::{
    Error,
    clock::wall_millis,
    listen::{Answer, listen},
};

/// Largest webhook.
const MAX_BODY: usize = 64 * 1024;
/// How far the time of a signature may be off, in seconds.
const MAX_AGE: u64 = 300;

/// What was handed out to one player for one goal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Handed {
    /// The idempotency keys: each is a reward.
    pub(crate) keys: BTreeSet<String>,
    /// How many calls came, repeated ones included.
    pub(crate) calls: u64,
}

/// By player and goal.
pub(crate) type Grants = HashMap<(String, String), Handed>;

/// What arrived.
#[derive(Debug, Default, Clone)]
pub(crate) struct Arrived {
    /// What was handed out.
    pub(crate) grants: Grants,
    /// Calls that could not be read, and were refused.
    pub(crate) unreadable: u64,
    /// Calls without a good signature, which were refused.
    pub(crate) badly_signed: u64,
}

/// A receiver that listens. It ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    arrived: Arc<Mutex<Arrived>>,
    _accepting: JoinSet<()>,
}

#[derive(Debug, Deserialize)]
struct Webhook {
    data: Data,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    player_id: String,
    goal_id: String,
}

impl Receiver {
    /// Listens; port 0 takes a free one. Everything is granted that is signed with the secret
    /// (`whsec_...`). Without a secret signatures are not looked at, and it belongs on an address
    /// that only the server under test reaches.
    ///
    /// # Errors
    /// [`Error::Listen`] when the address cannot be listened on, [`Error::Secret`].
    pub async fn start(address: SocketAddr, secret: Option<&str>) -> Result<Self, Error> {
        let key = secret.map(key).transpose()?.map(Arc::new);
        let arrived = Arc::new(Mutex::new(Arrived::default()));
        let shared = Arc::clone(&arrived);
        let answer = move |request| answer(request, key.clone(), Arc::clone(&shared));
        let (address, accepting) = listen(address, answer).await?;
        Ok(Self { address, arrived, _accepting: accepting })
    }

    /// What the server has to be told as `--webhook-url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/grants", self.address)
    }

    /// What arrived until now.
    pub(crate) fn arrived(&self) -> Arrived {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The key that a secret of Standard Webhooks stands for.
fn key(secret: &str) -> Result<hmac::Key, Error> {
    let bytes = secret.strip_prefix("whsec_").and_then(|text| BASE64.decode(text).ok());
    let bytes = bytes.filter(|bytes| !bytes.is_empty()).ok_or(Error::Secret)?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// Whether one of the signatures fits id, time and body, and the time is about now.
fn is_signed(headers: &HeaderMap, body: &[u8], key: &hmac::Key, now: i64) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(time), Some(signatures)) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
    else {
        return false;
    };
    if !time.parse::<i64>().is_ok_and(|time| time.abs_diff(now / 1000) <= MAX_AGE) {
        return false;
    }
    let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
    signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,")).any(|signature| {
        BASE64.decode(signature).is_ok_and(|signature| hmac::verify(key, &signed, &signature).is_ok())
    })
}

async fn answer(
    request: Request<Incoming>,
    key: Option<Arc<hmac::Key>>,
    arrived: Arc<Mutex<Arrived>>,
) -> Answer {
    let (head, body) = request.into_parts();
    let header = head.headers.get("idempotency-key");
    let idempotency = header.and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let body = Limited::new(body, MAX_BODY).collect().await.map(Collected::to_bytes).unwrap_or_default();
    let webhook = serde_json::from_slice::<Webhook>(&body).ok();
    let signed = key.is_none_or(|key| is_signed(&head.headers, &body, &key, wall_millis()));
    let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, text) = match webhook {
        _ if !signed => {
            arrived.badly_signed += 1;
            (StatusCode::UNAUTHORIZED, "")
        }
        Some(webhook) if !idempotency.is_empty() => {
            let of = (webhook.data.player_id, webhook.data.goal_id);
            let handed = arrived.grants.entry(of).or_default();
            handed.keys.insert(idempotency);
            handed.calls += 1;
            (StatusCode::OK, r#"{"status":"granted"}"#)
        }
        _ => {
            arrived.unreadable += 1;
            (StatusCode::BAD_REQUEST, "")
        }
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_secret_signs_and_only_about_now() {
        let key = key("whsec_bG9hZA==").unwrap();
        let sign = |key: &hmac::Key, text: &str| BASE64.encode(hmac::sign(key, text.as_bytes()));
        let headers = |signature: String, time: &str| {
            HeaderMap::from_iter([
                (http::HeaderName::from_static("webhook-id"), HeaderValue::from_static("gr_1")),
                (http::HeaderName::from_static("webhook-timestamp"), HeaderValue::from_str(time).unwrap()),
                (
                    http::HeaderName::from_static("webhook-signature"),
                    HeaderValue::from_str(&signature).unwrap(),
                ),
            ])
        };
        let good = format!("v1,bad v1,{}", sign(&key, "gr_1.1000.body"));
        let signed = |headers: &HeaderMap, body: &str, now| is_signed(headers, body.as_bytes(), &key, now);
        assert!(signed(&headers(good.clone(), "1000"), "body", 1_000_000));
        assert!(!signed(&headers(good.clone(), "1000"), "bodY", 1_000_000), "another body");
        assert!(!signed(&headers(good.clone(), "1001"), "body", 1_000_000), "another time");
        assert!(!signed(&headers(good, "1000"), "body", 1_400_000), "too old");
        let other = super::key("whsec_b3RoZXI=").unwrap();
        let forged = format!("v1,{}", sign(&other, "gr_1.1000.body"));
        assert!(!signed(&headers(forged, "1000"), "body", 1_000_000), "another secret");
        assert!(!signed(&HeaderMap::new(), "body", 1_000_000), "no signature");
        assert!(super::key("bG9hZA==").is_err() && super::key("whsec_").is_err());
    }
}
