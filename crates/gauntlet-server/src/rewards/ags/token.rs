//! Access tokens: fetched when needed, kept, and fetched anew before they end.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use gauntlet_domain::Timestamp;
use http::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::Full;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::super::client::{Failed, HttpClient};
use crate::core::millis;

/// How long before its end a token is not used any more: a call that begins with it has to arrive
/// with it.
const MARGIN: Duration = Duration::from_secs(60);

/// The secret of an OAuth client. Its debug form shows nothing of it.
#[derive(Clone)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// Keeps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(***)")
    }
}

/// Why there is no token.
#[derive(Debug)]
pub(super) struct NoToken(pub(super) String);

/// The token in use.
pub(super) struct Tokens {
    url: String,
    authorization: String,
    /// Held while a new one is fetched, so that a hundred calls fetch one.
    current: Mutex<Option<Token>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("url", &self.url).finish_non_exhaustive()
    }
}

struct Token {
    text: String,
    until: Timestamp,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds.
    expires_in: u64,
}

impl Tokens {
    pub(super) fn new(base: &str, client_id: &str, secret: &ClientSecret) -> Self {
        let basic = STANDARD.encode(format!("{client_id}:{}", secret.0));
        let url = format!("{base}/iam/v3/oauth/token");
        Self { url, authorization: format!("Basic {basic}"), current: Mutex::new(None) }
    }

    /// A token that is good for a while; another one than the one that was refused.
    pub(super) async fn get(
        &self,
        client: &HttpClient,
        now: Timestamp,
        refused: Option<&str>,
    ) -> Result<String, NoToken> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref()
            && now < token.until
            && refused != Some(token.text.as_str())
        {
            return Ok(token.text.clone());
        }
        *current = None;
        let granted = self.fetch(client, now).await.map_err(NoToken)?;
        let lifetime = Duration::from_secs(granted.expires_in);
        // A token that lives shorter than the margin is used once.
        let until = now.plus_millis(millis(lifetime.saturating_sub(MARGIN)));
        *current = Some(Token { text: granted.access_token.clone(), until });
        Ok(granted.access_token)
    }

    async fn fetch(&self, client: &HttpClient, now: Timestamp) -> Result<Granted, String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from_static(b"grant_type=client_credentials")))
            .map_err(|error| error.to_string())?;
        let answer = client.send(request, now).await.map_err(|failed| match failed {
            Failed::NotSent(why) | Failed::Lost(why) => why,
        })?;
        if answer.status != 200 {
            return Err(format!("status {}", answer.status.as_u16()));
        }
        // Not the parser's words, which may repeat a part of the token.
        serde_json::from_slice(&answer.body?).map_err(|_| "the answer cannot be read".to_owned())
    }
}
