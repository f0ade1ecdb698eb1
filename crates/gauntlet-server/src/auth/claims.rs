//! What a token's claims have to say, once its signature is known to be right.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_domain::{Timestamp, limits::check_id};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{ApiError, Reason};

/// The claims of a token, each as JSON that was not looked into.
pub(super) type Claims = BTreeMap<String, Box<RawValue>>;

/// What tokens have to say about the game that they are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceRule {
    /// This claim has to be the game's namespace.
    Claim {
        /// The claim's name.
        name: String,
        /// The game's namespace.
        namespace: String,
    },
    /// Nothing: issuer or audience tell games apart.
    None,
}

/// What a token has to say to be good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// `iss` has to be this; `None`: anything.
    pub issuer: Option<String>,
    /// `aud` has to be or to contain this; `None`: anything.
    pub audience: Option<String>,
    /// Which game it is for.
    pub namespace: NamespaceRule,
    /// By how much the clocks of the issuer and of this machine may differ.
    pub skew: Duration,
}

/// The claim `aud`: one or many.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Expected {
    /// Checks the claims; answers the player.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` or `WRONG_NAMESPACE`, with words that name the claim.
    pub(super) fn check(&self, claims: &Claims, now: Timestamp) -> Result<String, ApiError> {
        self.check_times(claims, now)?;
        if let Some(issuer) = &self.issuer {
            let found: Option<String> = read(claims, "iss")?;
            if found.as_ref() != Some(issuer) {
                return Err(refuse("the token is of another issuer"));
            }
        }
        if let Some(audience) = &self.audience {
            let found = match read::<Audience>(claims, "aud")? {
                None => false,
                Some(Audience::One(one)) => one == *audience,
                Some(Audience::Many(many)) => many.contains(audience),
            };
            if !found {
                return Err(refuse("the token is for another audience"));
            }
        }
        if let NamespaceRule::Claim { name, namespace } = &self.namespace {
            let found: Option<String> = read(claims, name)?;
            if found.as_ref() != Some(namespace) {
                let message = "the token is of another namespace";
                return Err(ApiError::new(Reason::WrongNamespace, message).with("claim", name.clone()));
            }
        }
        let player: String = read(claims, "sub")?.ok_or_else(|| refuse("the token has no sub"))?;
        check_id(&player).map_err(|problem| refuse(&format!("the token's sub {problem}")))?;
        Ok(player)
    }

    /// A token without an end is refused: it could not be taken back.
    fn check_times(&self, claims: &Claims, now: Timestamp) -> Result<(), ApiError> {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
        let now = now.millis() as f64 / 1000.0;
        let skew = self.skew.as_secs_f64();
        // RFC 7519 allows fractions.
        let ends: f64 = read(claims, "exp")?.ok_or_else(|| refuse("the token has no exp"))?;
        if now >= ends + skew {
            return Err(refuse("the token has expired"));
        }
        match read::<f64>(claims, "nbf")? {
            Some(begins) if now + skew < begins => Err(refuse("the token is not valid yet")),
            _ => Ok(()),
        }
    }
}

/// A claim; a claim of another type is wrong, whatever it says.
fn read<T: for<'a> Deserialize<'a>>(claims: &Claims, name: &str) -> Result<Option<T>, ApiError> {
    match claims.get(name) {
        None => Ok(None),
        Some(json) => serde_json::from_str(json.get())
            .map(Some)
            .map_err(|_| refuse(&format!("the token's {name} is of the wrong type"))),
    }
}

pub(super) fn refuse(message: &str) -> ApiError {
    ApiError::new(Reason::Unauthenticated, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(change: &Value) -> Result<String, String> {
        let expected = Expected {
            issuer: Some("https://iam".into()),
            audience: Some("game-client".into()),
            namespace: NamespaceRule::Claim { name: "namespace".into(), namespace: "arena".into() },
            skew: Duration::from_secs(30),
        };
        let mut claims = json!({
            "sub": "ann", "iss": "https://iam", "aud": ["other", "game-client"], "namespace": "arena",
            "exp": 1_100, "nbf": 900,
        });
        for (key, value) in change.as_object().unwrap() {
            if *value == json!("-") {
                claims.as_object_mut().unwrap().remove(key);
            } else {
                claims[key] = value.clone();
            }
        }
        let claims: Claims = serde_json::from_str(&claims.to_string()).unwrap();
        let checked = expected.check(&claims, Timestamp::from_seconds(1_000));
        checked.map_err(|error| format!("{} {}", error.reason.as_str(), error.message))
    }

    #[test]
    fn good_tokens_name_the_player() {
        for change in [
            json!({}),
            json!({"aud": "game-client"}),
            json!({"nbf": "-"}),
            json!({"exp": 970.5}),
            json!({"nbf": 1_030}),
            json!({"other": {"a": [1]}}),
        ] {
            assert_eq!(check(&change).as_deref(), Ok("ann"), "{change}");
        }
        assert_eq!(check(&json!({"sub": "玩 家:1"})).as_deref(), Ok("玩 家:1"));
    }

    #[test]
    fn bad_tokens_are_refused_by_claim() {
        let long = "x".repeat(101);
        for (change, problem) in [
            (json!({"exp": 970}), "has expired"),
            (json!({"exp": "-"}), "has no exp"),
            (json!({"exp": "1100"}), "exp is of the wrong type"),
            (json!({"exp": null}), "exp is of the wrong type"),
            (json!({"nbf": 1_031}), "is not valid yet"),
            (json!({"nbf": [1]}), "nbf is of the wrong type"),
            (json!({"iss": "https://iam/"}), "of another issuer"),
            (json!({"iss": "-"}), "of another issuer"),
            (json!({"aud": ["other"]}), "for another audience"),
            (json!({"aud": "-"}), "for another audience"),
            (json!({"aud": 7}), "aud is of the wrong type"),
            (json!({"namespace": "Arena"}), "WRONG_NAMESPACE"),
            (json!({"namespace": "-"}), "WRONG_NAMESPACE"),
            (json!({"namespace": ["arena"]}), "namespace is of the wrong type"),
            (json!({"sub": "-"}), "has no sub"),
            (json!({"sub": ""}), "sub is empty"),
            (json!({"sub": 7}), "sub is of the wrong type"),
            (json!({"sub": long}), "sub is longer than 100 characters"),
            (json!({"sub": "a\u{0}b"}), "sub has a control character"),
        ] {
            let refused = check(&change).unwrap_err();
            assert!(refused.contains(problem), "{change}: {refused}");
        }
    }
}
