//! Our imitation of AccelByte's platform service, as far as granting rewards goes. It was made
//! after the public SDKs, and nobody has held it against the real thing.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Intent, Seen};

/// The tokens that were handed out and are good.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: u32,
    good: Vec<String>,
}

impl Tokens {
    pub(super) fn forget(&mut self) {
        self.good.clear();
    }
}

/// What a request wants.
pub(super) fn read(seen: &Seen, client: &(String, String), tokens: &mut Tokens) -> Intent {
    let authorization = seen.headers.get("authorization").map(String::as_str).unwrap_or_default();
    let path: Vec<&str> = seen.target.split('/').skip(1).collect();
    if seen.method == "POST" && path == ["iam", "v3", "oauth", "token"] {
        let basic = STANDARD.encode(format!("{}:{}", client.0, client.1));
        if authorization != format!("Basic {basic}") || seen.body != b"grant_type=client_credentials" {
            return Intent::Other(401, r#"{"error":"invalid_client"}"#.into());
        }
        tokens.issued += 1;
        let token = format!("token-{}", tokens.issued);
        let answer = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600}}"#);
        tokens.good.push(token);
        return Intent::Other(200, answer);
    }
    if !tokens.good.iter().any(|token| authorization == format!("Bearer {token}")) {
        return Intent::Other(401, r#"{"errorCode":20001}"#.into());
    }
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    // Only fulfilments have a key; for the ledger the others are told apart by a header that the
    // platform knows nothing of.
    let reference = seen.headers.get("idempotency-key").cloned().unwrap_or_default();
    let number = |value: &serde_json::Value| value.as_i64().is_some_and(|number| number > 0);
    match (seen.method.as_str(), path.as_slice()) {
        ("PUT", ["platform", "v3", "admin", "namespaces", _, "users", _, "fulfillments", transaction])
            if number(&body["items"][0]["quantity"]) && body["items"][0]["itemId"].is_string() =>
        {
            let answer = format!(r#"{{"transactionId":"{transaction}","state":"FULFILLED"}}"#);
            Intent::Grant { key: (*transaction).to_owned(), answer: (200, answer) }
        }
        ("POST", ["platform", "admin", "namespaces", _, "users", _, "entitlements"])
            if number(&body[0]["quantity"]) && body[0]["itemId"].is_string() =>
        {
            Intent::Grant { key: reference, answer: (201, r#"[{"grantedQuantity":1}]"#.into()) }
        }
        ("PUT", ["platform", "admin", "namespaces", _, "users", _, "wallets", _, "credit"])
            if number(&body["amount"]) =>
        {
            Intent::Grant { key: reference, answer: (200, r#"{"balance":1}"#.into()) }
        }
        _ => Intent::Other(404, r#"{"errorCode":20000}"#.into()),
    }
}
