//! The adapter for AccelByte Gaming Services (AGS).
//!
//! Two ways, because not every deployment offers the first: fulfilment by transaction id, which
//! takes our key, and plain grants of entitlements and wallet credits, which do not.
//! **All of it is tested against our own imitation only**, made after the public SDKs.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use gauntlet_domain::catalogue::RewardKind;
use http::{
    Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::Full;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    GrantAnswer, GrantCall, PlatformClass, RewardAdapter, Search,
    client::{Failed, HttpAnswer, HttpClient},
    judge,
};
use crate::{clock::Clock, outgoing::SetUpError};

mod token;

pub use token::ClientSecret;
use token::{NoToken, Tokens};

/// How an AGS adapter is set up.
#[derive(Debug, Clone)]
pub struct AgsConfig {
    /// The deployment, http or https, without a path.
    pub base_url: Uri,
    /// The id of a confidential OAuth client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: ClientSecret,
    /// How rewards are handed out.
    pub mode: AgsMode,
}

/// How rewards are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgsMode {
    /// Items by fulfilment, whose transaction id is our key; wallets by credits, which take none.
    Fulfillment {
        /// How long a transaction id is remembered.
        key_lifetime: Duration,
    },
    /// Entitlements and credits, which take no key.
    Direct,
}

/// Grants through the platform service of AGS.
#[derive(Debug)]
pub struct AgsAdapter {
    config: AgsConfig,
    base: String,
    client: HttpClient,
    tokens: Tokens,
    clock: Arc<dyn Clock>,
}

impl AgsAdapter {
    /// An adapter; nothing is called yet.
    ///
    /// # Errors
    /// When TLS is needed and cannot be set up.
    pub fn new(config: AgsConfig, clock: Arc<dyn Clock>) -> Result<Self, SetUpError> {
        // Wallets can be neither keyed nor searched, whatever the mode.
        let client = HttpClient::new([&config.base_url], false)?;
        let base = config.base_url.to_string().trim_end_matches('/').to_owned();
        let tokens = Tokens::new(&base, &config.client_id, &config.client_secret);
        Ok(Self { config, base, client, tokens, clock })
    }

    /// Sends with a token; once more with a new one when the first was refused, which the platform
    /// does before anything else.
    async fn send(&self, request: &Call) -> Result<HttpAnswer, Failed> {
        let mut refused = None;
        loop {
            let now = self.clock.now();
            let token = match self.tokens.get(&self.client, now, refused.as_deref()).await {
                Ok(token) => token,
                Err(NoToken(why)) => return Err(Failed::NotSent(format!("no access token: {why}"))),
            };
            let built = Request::builder()
                .method(request.method.clone())
                .uri(format!("{}{}", self.base, request.path))
                .header(CONTENT_TYPE, "application/json")
                .header(AUTHORIZATION, format!("Bearer {token}"))
                .header("idempotency-key", &request.reference)
                .body(Full::new(Bytes::from(request.body.to_string())))
                .map_err(|error| Failed::NotSent(error.to_string()))?;
            let answer = self.client.send(built, now).await?;
            if answer.status == StatusCode::UNAUTHORIZED && refused.is_none() {
                refused = Some(token);
                continue;
            }
            return Ok(answer);
        }
    }
}

#[async_trait]
impl RewardAdapter for AgsAdapter {
    fn name(&self) -> &'static str {
        "ags"
    }

    fn class(&self, kind: RewardKind) -> PlatformClass {
        match (self.config.mode, kind) {
            (AgsMode::Fulfillment { key_lifetime }, RewardKind::Item) => {
                PlatformClass::TakesKey { key_lifetime }
            }
            (AgsMode::Fulfillment { .. } | AgsMode::Direct, _) => PlatformClass::Neither,
        }
    }

    async fn grant(&self, call: &GrantCall) -> GrantAnswer {
        let request = Call::of(call, self.config.mode);
        let answer = self.send(&request).await;
        judge::grant(answer, request.read, judge::Unavailable::Ambiguous)
    }

    async fn search(&self, _call: &GrantCall) -> Search {
        Search::Unanswered("this platform is not searched".into())
    }
}

/// One call to the platform service.
struct Call {
    method: Method,
    path: String,
    reference: String,
    body: Value,
    read: fn(&[u8]) -> Result<GrantAnswer, String>,
}

impl Call {
    fn of(call: &GrantCall, mode: AgsMode) -> Self {
        let reference = call.reference();
        let (namespace, player) = (segment(&call.namespace), segment(&call.player));
        let (id, quantity) = (&call.reward.id, call.reward.quantity);
        match (call.reward.kind, mode) {
            (RewardKind::Item, AgsMode::Fulfillment { .. }) => Self {
                method: Method::PUT,
                path: format!(
                    "/platform/v3/admin/namespaces/{namespace}/users/{player}/fulfillments/{reference}"
                ),
                reference,
                body: json!({"items": [{"itemId": id, "quantity": quantity}]}),
                read: read_fulfillment,
            },
            (RewardKind::Item, AgsMode::Direct) => Self {
                method: Method::POST,
                path: format!("/platform/admin/namespaces/{namespace}/users/{player}/entitlements"),
                body: json!([{
                    "itemId": id, "itemNamespace": call.namespace, "quantity": quantity, "source": "REWARD",
                }]),
                reference,
                read: read_any::<Vec<Value>>,
            },
            (RewardKind::Wallet, _) => Self {
                method: Method::PUT,
                path: format!(
                    "/platform/admin/namespaces/{namespace}/users/{player}/wallets/{}/credit",
                    segment(id)
                ),
                body: json!({
                    "amount": quantity, "source": "REWARD", "metadata": {"reference": reference},
                    "reason": format!("{}/{}", call.challenge_id, call.goal_id),
                }),
                reference,
                read: read_any::<serde_json::Map<String, Value>>,
            },
        }
    }
}

fn read_fulfillment(body: &[u8]) -> Result<GrantAnswer, String> {
    #[derive(Deserialize)]
    struct Fulfillment {
        state: String,
    }
    let read: Fulfillment = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match read.state.as_str() {
        "FULFILLED" => Ok(GrantAnswer::Granted),
        "REVOKED" => Ok(GrantAnswer::Refused("the fulfilment was revoked".into())),
        other => Err(format!("the state is {}", judge::excerpt(other.as_bytes()))),
    }
}

/// An answer of the right shape is all that there is to check.
fn read_any<T: DeserializeOwned>(body: &[u8]) -> Result<GrantAnswer, String> {
    let read: Result<T, _> = serde_json::from_slice(body);
    read.map(|_| GrantAnswer::Granted).map_err(|error| error.to_string())
}

/// Text as one segment of a path.
fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
