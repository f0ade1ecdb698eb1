//! The receiver's side of the webhook protocol, as docs/rewards.md describes it: written apart
//! from the sender, so that the two check each other.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Intent, Seen};

/// The bytes of a secret.
pub(super) fn decode_secret(secret: &str) -> Vec<u8> {
    let encoded = secret.strip_prefix("whsec_").expect("a secret begins with whsec_");
    STANDARD.decode(encoded).expect("a secret is base64")
}

/// What a request wants.
pub(super) fn read(seen: &Seen, secrets: &[Vec<u8>]) -> Intent {
    let refuse = |status: u16, why: &str| Intent::Other(status, format!(r#"{{"error":"{why}"}}"#));
    if !secrets.is_empty() && !is_signed(seen, secrets) {
        return refuse(401, "signature");
    }
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    match (seen.method.as_str(), path) {
        ("GET", "/search") => match query.split('&').find_map(|pair| pair.strip_prefix("reference=")) {
            Some(key) => Intent::Search { key: key.to_owned() },
            None => refuse(400, "reference"),
        },
        ("POST", "/grants") => {
            let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap_or_default();
            match (seen.headers.get("idempotency-key"), body["data"]["reference"].as_str()) {
                (Some(key), Some(reference)) if key == reference => {
                    Intent::Grant { key: key.clone(), answer: (200, r#"{"status":"granted"}"#.into()) }
                }
                _ => refuse(400, "no key, or not the key of the body"),
            }
        }
        _ => refuse(404, "route"),
    }
}

/// Whether one of the signatures belongs to one of the secrets.
fn is_signed(seen: &Seen, secrets: &[Vec<u8>]) -> bool {
    let header = |name: &str| seen.headers.get(name).map(String::as_str).unwrap_or_default();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    if id.is_empty() || timestamp.parse::<i64>().is_err() {
        return false;
    }
    let signatures: Vec<Vec<u8>> = header("webhook-signature")
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
        .collect();
    secrets.iter().any(|secret| {
        signatures.iter().any(|signature| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(&seen.body);
            mac.verify_slice(signature).is_ok()
        })
    })
}
