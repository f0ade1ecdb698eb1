//! An issuer of tokens: keys that are made here, tokens signed by hand, and the key set over HTTP.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
        RsaEncoding, RsaKeyPair,
    },
};
use axum::{Router, http::StatusCode, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

/// A key pair with an id.
pub(crate) struct Key {
    pub(crate) id: String,
    pair: Pair,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    pub(crate) fn ec(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { id: id.to_owned(), pair: Pair::Ec(pair) }
    }

    pub(crate) fn rsa(id: &str) -> Self {
        Self { id: id.to_owned(), pair: Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()) }
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match &self.pair {
            Pair::Ec(_) => "ES256",
            Pair::Rsa(_) => "RS256",
        }
    }

    /// The public half, as it stands in certificates: what an attacker has.
    pub(crate) fn public(&self) -> &[u8] {
        match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair) => pair.public_key().as_ref(),
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        let public = self.public();
        match &self.pair {
            // A point: 4, x, y.
            Pair::Ec(_) => json!({"kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "alg": "ES256",
                "x": BASE64.encode(&public[1..33]), "y": BASE64.encode(&public[33..65])}),
            // DER of a 2048-bit key: 9 bytes, the modulus, 2 bytes, the exponent.
            Pair::Rsa(_) => json!({"kty": "RSA", "kid": self.id, "use": "sig", "alg": "RS256",
                "n": BASE64.encode(&public[9..265]), "e": BASE64.encode(&public[267..])}),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_as(message, &RSA_PKCS1_SHA256)
    }

    fn sign_as(&self, message: &[u8], rsa: &'static dyn RsaEncoding) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(rsa, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token of these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.algorithm(), "kid": self.id, "typ": "JWT"}), claims)
    }

    /// A token with a good signature of an algorithm that the key is not published for.
    pub(crate) fn rs512_token(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS512", "kid": self.id});
        assemble(&header, claims, |message| self.sign_as(message, &RSA_PKCS1_SHA512))
    }

    /// A token whose header says what it likes.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        assemble(header, claims, |message| self.sign(message))
    }
}

/// A token that is "signed" with a public key as if that were a secret.
pub(crate) fn hmac_token(secret: &[u8], header: &Value, claims: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    assemble(header, claims, |message| hmac::sign(&key, message).as_ref().to_vec())
}

/// A token without a signature.
pub(crate) fn unsigned_token(header: &Value, claims: &Value) -> String {
    assemble(header, claims, |_| Vec::new())
}

fn assemble(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let signature = BASE64.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// The key set over HTTP.
pub(crate) struct Issuer {
    pub(crate) url: String,
    served: Arc<Served>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Served {
    keys: Mutex<Vec<Value>>,
    down: AtomicBool,
    fetches: AtomicUsize,
}

impl Issuer {
    #[expect(clippy::disallowed_methods, reason = "the handle that is kept ends the task")]
    pub(crate) async fn start(keys: &[&Key]) -> Self {
        let served = Arc::new(Served::default());
        let serve = {
            let served = Arc::clone(&served);
            move || async move {
                served.fetches.fetch_add(1, Ordering::SeqCst);
                if served.down.load(Ordering::SeqCst) {
                    return (StatusCode::SERVICE_UNAVAILABLE, String::new());
                }
                (StatusCode::OK, json!({"keys": *served.keys.lock().unwrap()}).to_string())
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let router = Router::new().route("/jwks", get(serve));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let issuer = Self { url, served, _task: AbortOnDropHandle::new(task) };
        issuer.publish(keys);
        issuer
    }

    /// From now on these are the keys.
    pub(crate) fn publish(&self, keys: &[&Key]) {
        *self.served.keys.lock().unwrap() = keys.iter().map(|key| key.jwk()).collect();
    }

    /// Answers with an error from now on, or does not any more.
    pub(crate) fn set_down(&self, down: bool) {
        self.served.down.store(down, Ordering::SeqCst);
    }

    pub(crate) fn fetches(&self) -> usize {
        self.served.fetches.load(Ordering::SeqCst)
    }
}
