//! The adapter for anybody's own service: signed webhooks. docs/rewards.md is the receiver's side.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gauntlet_domain::catalogue::RewardKind;
use http::{Method, Request, Uri, header::CONTENT_TYPE};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::json;

use super::{
    GrantAnswer, GrantCall, PlatformClass, RewardAdapter, Search,
    client::{Failed, HttpAnswer, HttpClient},
    judge,
};
use crate::{clock::Clock, outgoing::SetUpError};

mod sign;

pub use sign::{SecretError, SigningSecret};

/// How a webhook adapter is set up.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Where grants are posted to, http or https.
    pub url: Uri,
    /// What signs them; each secret adds a signature, so that a new one can be added before the
    /// old one goes.
    pub secrets: Vec<SigningSecret>,
    /// What the receiver can do.
    pub class: PlatformClass,
    /// Where a searchable receiver is asked, http or https.
    pub search_url: Option<Uri>,
}

/// Posts each grant to an address.
#[derive(Debug)]
pub struct WebhookAdapter {
    config: WebhookConfig,
    client: HttpClient,
    clock: Arc<dyn Clock>,
}

impl WebhookAdapter {
    /// An adapter; nothing is called yet.
    ///
    /// # Errors
    /// When TLS is needed and cannot be set up.
    pub fn new(config: WebhookConfig, clock: Arc<dyn Clock>) -> Result<Self, SetUpError> {
        let keep = config.class != PlatformClass::Neither;
        let client = HttpClient::new([&config.url].into_iter().chain(&config.search_url), keep)?;
        Ok(Self { config, client, clock })
    }

    /// A signed request. Each attempt of a grant has the same body and key; the time and the
    /// signatures are the attempt's own.
    async fn send(
        &self,
        method: Method,
        url: &str,
        call: &GrantCall,
        body: String,
    ) -> Result<HttpAnswer, Failed> {
        let now = self.clock.now();
        let (reference, timestamp) = (call.reference(), now.millis().div_euclid(1000));
        let signatures: Vec<String> = self
            .config
            .secrets
            .iter()
            .map(|secret| secret.sign(&reference, timestamp, body.as_bytes()))
            .collect();
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", &reference)
            .header("webhook-id", &reference)
            .header("webhook-timestamp", timestamp)
            .header("gauntlet-attempt", call.attempt);
        if !signatures.is_empty() {
            request = request.header("webhook-signature", signatures.join(" "));
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| Failed::NotSent(error.to_string()))?;
        self.client.send(request, now).await
    }
}

#[async_trait]
impl RewardAdapter for WebhookAdapter {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn class(&self, _kind: RewardKind) -> PlatformClass {
        self.config.class
    }

    async fn grant(&self, call: &GrantCall) -> GrantAnswer {
        let answer = self.send(Method::POST, &self.config.url.to_string(), call, body(call)).await;
        judge::grant(answer, read_granted, judge::Unavailable::NotDoneIfItSaysWhen)
    }

    async fn search(&self, call: &GrantCall) -> Search {
        let Some(url) = &self.config.search_url else {
            return Search::Unanswered("no search address is set".into());
        };
        let separator = if url.query().is_some() { '&' } else { '?' };
        let url = format!("{url}{separator}reference={}", call.reference());
        let answer = self.send(Method::GET, &url, call, String::new()).await;
        let reference = call.reference();
        judge::search(answer, |body| read_found(body, &reference))
    }
}

/// What is posted. It holds nothing of the attempt: receivers may compare it with what they got
/// with the same key before.
fn body(call: &GrantCall) -> String {
    json!({
        "type": "reward.grant",
        "timestamp": call.claimed_at.to_string(),
        "data": {
            "reference": call.reference(),
            "key": call.idempotency_key,
            "namespace": call.namespace,
            "playerId": call.player,
            "challengeId": call.challenge_id,
            "goalId": call.goal_id,
            "reward": {
                "type": call.reward.kind.as_str(),
                "rewardId": call.reward.id,
                "quantity": call.reward.quantity,
            },
        },
    })
    .to_string()
}

/// The body of a 2xx answer: empty, or an object whose `status`, if it has one, is one of two words.
fn read_granted(body: &[u8]) -> Result<GrantAnswer, String> {
    #[derive(Deserialize)]
    struct Granted {
        #[serde(default)]
        status: Option<String>,
        #[serde(default)]
        reason: Option<String>,
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(GrantAnswer::Granted);
    }
    let read: Granted = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match read.status.as_deref() {
        None | Some("granted") => Ok(GrantAnswer::Granted),
        Some("refused") => {
            let reason = read.reason.unwrap_or_else(|| "refused without a reason".into());
            Ok(GrantAnswer::Refused(judge::excerpt(reason.as_bytes())))
        }
        Some(_) => Err("an unknown status".into()),
    }
}

/// The body of a search's answer. It repeats the reference, so that an answer to something else
/// (a page of a proxy, say) is not taken for "not found".
fn read_found(body: &[u8], reference: &str) -> Result<Search, String> {
    #[derive(Deserialize)]
    struct Found {
        reference: String,
        found: bool,
    }
    let read: Found = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if read.reference != reference {
        return Err("the answer is about another reference".into());
    }
    Ok(if read.found { Search::Found } else { Search::NotFound })
}

#[cfg(test)]
mod tests;
