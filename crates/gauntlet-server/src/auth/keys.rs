//! The keys that tokens are signed with, as a JSON Web Key Set says them.

use std::collections::HashMap;

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// Most keys that are kept of a set: issuers have a handful.
const MAX_KEYS: usize = 64;

/// A public key, and the one algorithm that it is good for. A token cannot choose another one:
/// that would let anybody sign with the public key as if it were a secret.
pub(super) struct Key {
    pub(super) decoding: DecodingKey,
    pub(super) validation: Validation,
}

/// The usable keys of a set.
#[derive(Default)]
pub(super) struct KeySet {
    by_id: HashMap<String, Key>,
    /// A key without an id, or the only key: for tokens that name none.
    only: Option<String>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.by_id.keys()).finish()
    }
}

impl KeySet {
    /// Reads a set. Keys that this service cannot use (other kinds, other uses, other
    /// algorithms) are skipped: issuers keep keys for others in the same set.
    ///
    /// # Errors
    /// Text that is no key set, or a set without a key that can be used.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(text).map_err(|error| format!("no key set: {error}"))?;
        let mut by_id = HashMap::new();
        for value in set.keys.into_iter().take(MAX_KEYS) {
            let id = value["kid"].as_str().unwrap_or_default().to_owned();
            match serde_json::from_value::<Jwk>(value)
                .map_err(|error| error.to_string())
                .and_then(|jwk| key(&jwk))
            {
                Ok(key) => _ = by_id.insert(id, key),
                Err(why) => tracing::debug!(kid = id, why, "a key of the set is not used"),
            }
        }
        if by_id.is_empty() {
            return Err("the key set has no RS256 or ES256 key for signatures".to_owned());
        }
        let only = if by_id.len() == 1 { by_id.keys().next().cloned() } else { None };
        Ok(Self { by_id, only })
    }

    /// The key that a token names; the only one for a token that names none.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&Key> {
        self.by_id.get(id.or(self.only.as_deref())?)
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

fn key(jwk: &Jwk) -> Result<Key, String> {
    let common = &jwk.common;
    if common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return Err("it is not for signatures".to_owned());
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return Err("it is neither RSA nor P-256".to_owned()),
    };
    if common.key_algorithm.is_some_and(|algorithm| algorithm != named) {
        return Err("it is for another algorithm".to_owned());
    }
    let decoding = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    let mut validation = Validation::new(algorithm);
    // Claims are checked by `claims`, against the service's own clock.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    Ok(Key { decoding, validation })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rsa(change: &Value) -> Value {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let mut key = json!({"kty": "RSA", "kid": "r", "n": n, "e": "AQAB"});
        key.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        key
    }

    fn parse(keys: &[Value]) -> Result<KeySet, String> {
        KeySet::parse(json!({"keys": keys, "extra": 1}).to_string().as_bytes())
    }

    #[test]
    fn keys_of_other_kinds_and_uses_are_skipped() {
        let ec = json!({"kty": "EC", "crv": "P-256", "kid": "e",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"});
        let others = [
            rsa(&json!({"kid": "1", "use": "enc"})),
            rsa(&json!({"kid": "2", "alg": "RS512"})),
            rsa(&json!({"kid": "3", "alg": "HS256"})),
            json!({"kty": "oct", "kid": "4", "k": "c2VjcmV0"}),
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "5", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            json!({"kty": "from the future", "kid": "6"}),
            json!("not even a key"),
        ];
        let good = [rsa(&json!({"use": "sig", "alg": "RS256"})), ec];
        let set = parse(&[&others[..], &good[..]].concat()).unwrap();
        assert_eq!(set.len(), 2);
        assert_eq!(set.find(Some("r")).unwrap().validation.algorithms, [Algorithm::RS256]);
        assert_eq!(set.find(Some("e")).unwrap().validation.algorithms, [Algorithm::ES256]);
        assert!(set.find(None).is_none() && set.find(Some("4")).is_none());
        assert!(parse(&others).unwrap_err().contains("no RS256 or ES256 key"));
    }

    #[test]
    fn a_token_need_not_name_the_only_key() {
        let set = parse(&[rsa(&json!({}))]).unwrap();
        assert!(set.find(None).is_some() && set.find(Some("r")).is_some() && set.find(Some("x")).is_none());
    }

    #[test]
    fn what_is_no_key_set_is_said_so() {
        for text in ["", "<html>", "[]", "{}", r#"{"keys": 7}"#] {
            assert!(KeySet::parse(text.as_bytes()).unwrap_err().starts_with("no key set: "), "{text}");
        }
        assert!(parse(&[]).is_err());
    }
}
