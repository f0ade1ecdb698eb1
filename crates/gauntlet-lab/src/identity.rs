//! How players prove who they are: a header that a server with mock sign-in believes, or tokens
//! that the lab signs with a key of its own.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::Full;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::{Error, listen::listen};

/// How long tokens are good, in seconds: longer than any run, so that none is renewed within one.
const GOOD_FOR: i64 = 24 * 3600;
/// The name of the key in tokens and key set.
const KEY_ID: &str = "gauntlet-load";

/// Which signature tokens have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256: some 30 µs a token.
    Es256,
    /// RSA with 2048 bits: some 500 µs a token, once for each player.
    Rs256,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

/// Signs a token for each player, and keeps it.
pub struct Tokens {
    pair: Pair,
    claims: Map<String, Value>,
    made: Mutex<HashMap<String, HeaderValue>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither the key nor a token belongs into a log.
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// A new key pair, for tokens of this namespace; `claims` are added to each token, or replace
    /// what the lab would write.
    ///
    /// # Errors
    /// When the system has no randomness to make a key of.
    pub fn new(algorithm: Algorithm, namespace: &str, claims: Map<String, Value>) -> Result<Self, Error> {
        let pair = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Es256),
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rs256),
        };
        let pair = pair.map_err(|_unspecified| Error::Key)?;
        let now = crate::clock::wall_millis() / 1000;
        let mut all = Map::from_iter([
            ("namespace".to_owned(), json!(namespace)),
            // A server's clock may be a little behind.
            ("iat".to_owned(), json!(now - 10)),
            ("exp".to_owned(), json!(now + GOOD_FOR)),
        ]);
        all.extend(claims);
        Ok(Self { pair, claims: all, made: Mutex::default() })
    }

    const fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Es256(_) => "ES256",
            Pair::Rs256(_) => "RS256",
        }
    }

    /// The key set that a server has to check the tokens with (JWKS).
    #[must_use]
    pub fn key_set(&self) -> String {
        let mut key = json!({ "kid": KEY_ID, "use": "sig", "alg": self.algorithm() });
        let parts = match &self.pair {
            Pair::Es256(pair) => {
                // A point: 4, x, y.
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": BASE64.encode(&point[1..33]),
                    "y": BASE64.encode(&point[33..65]) })
            }
            Pair::Rs256(pair) => {
                // DER of a 2048-bit key: 9 bytes, the modulus, 2 bytes, the exponent.
                let public = pair.public_key().as_ref();
                json!({ "kty": "RSA", "n": BASE64.encode(&public[9..265]), "e": BASE64.encode(&public[267..]) })
            }
        };
        if let (Some(key), Value::Object(parts)) = (key.as_object_mut(), parts) {
            key.extend(parts);
        }
        json!({ "keys": [key] }).to_string()
    }

    /// The value of `authorization` for a player.
    fn bearer(&self, player: &str) -> Option<HeaderValue> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = made.get(player) {
            return Some(value.clone());
        }
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.token(player)?)).ok()?;
        value.set_sensitive(true);
        made.insert(player.to_owned(), value.clone());
        Some(value)
    }

    fn token(&self, player: &str) -> Option<String> {
        let header = json!({ "alg": self.algorithm(), "kid": KEY_ID, "typ": "JWT" });
        let mut claims = self.claims.clone();
        claims.insert("sub".to_owned(), json!(player));
        let claims = Value::Object(claims);
        let message = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Es256(pair) => pair.sign(&random, message.as_bytes()).ok()?.as_ref().to_vec(),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).ok()?;
                signature
            }
        };
        Some(format!("{message}.{}", BASE64.encode(signature)))
    }
}

/// The key set over HTTP, for the server under test. It ends when it is dropped.
#[derive(Debug)]
pub struct KeyServer {
    address: SocketAddr,
    _accepting: JoinSet<()>,
}

impl KeyServer {
    /// Listens; port 0 takes a free one.
    ///
    /// # Errors
    /// [`Error::Listen`] when the address cannot be listened on.
    pub async fn start(address: SocketAddr, tokens: &Tokens) -> Result<Self, Error> {
        let keys = Bytes::from(tokens.key_set());
        let answer = move |_request| {
            let mut response = Response::new(Full::new(keys.clone()));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            async move { response }
        };
        let (address, accepting) = listen(address, answer).await?;
        Ok(Self { address, _accepting: accepting })
    }

    /// What the server has to be told as `--jwks-url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }
}

/// How a player proves who it is.
#[derive(Debug, Clone, Default)]
pub enum Identity {
    /// The header `x-mock-user-id`, which a server with mock sign-in believes.
    #[default]
    Mock,
    /// A signed token.
    Tokens(Arc<Tokens>),
}

impl Identity {
    /// The header of a player's calls; `None`: it cannot be made of this name.
    pub(crate) fn header(&self, player: &str) -> Option<(&'static str, HeaderValue)> {
        match self {
            Self::Mock => Some(("x-mock-user-id", HeaderValue::from_str(player).ok()?)),
            Self::Tokens(tokens) => Some(("authorization", tokens.bearer(player)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    };

    use super::*;

    fn decoded(text: &Value) -> Vec<u8> {
        BASE64.decode(text.as_str().unwrap()).unwrap()
    }

    #[test]
    fn tokens_fit_the_key_set_and_name_their_player() {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let claims = Map::from_iter([("iss".to_owned(), json!("https://iam"))]);
            let tokens = Tokens::new(algorithm, "arena", claims).unwrap();
            let keys: Value = serde_json::from_str(&tokens.key_set()).unwrap();
            let key = &keys["keys"][0];
            let token = tokens.token("ann").unwrap();
            let (message, signature) = token.rsplit_once('.').unwrap();
            let signature = BASE64.decode(signature).unwrap();
            match algorithm {
                Algorithm::Es256 => {
                    let point = [vec![4], decoded(&key["x"]), decoded(&key["y"])].concat();
                    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                    key.verify(message.as_bytes(), &signature).unwrap();
                }
                Algorithm::Rs256 => {
                    let key = RsaPublicKeyComponents { n: decoded(&key["n"]), e: decoded(&key["e"]) };
                    key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature).unwrap();
                }
            }
            let claims = message.split_once('.').unwrap().1;
            let claims: Value = serde_json::from_slice(&BASE64.decode(claims).unwrap()).unwrap();
            assert_eq!((claims["sub"].as_str(), claims["iss"].as_str()), (Some("ann"), Some("https://iam")));
            assert_eq!(claims["namespace"], "arena");
            assert_eq!(tokens.bearer("ann"), tokens.bearer("ann"), "one token for each player");
            assert!(!format!("{tokens:?}").contains("eyJ"));
        }
    }
}
