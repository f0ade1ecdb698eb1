//! Signatures after the Standard Webhooks scheme (<https://www.standardwebhooks.com>).

use std::fmt;

use aws_lc_rs::hmac;
use base64::{
    Engine as _,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
    },
};

/// How long a secret has to be, in bytes. Shorter can be guessed; longer adds nothing.
const LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// Secrets are handed around with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret that signs webhooks. Its debug form shows nothing of it.
#[derive(Clone)]
pub struct SigningSecret(hmac::Key);

/// Why a text is not a secret. Does not repeat the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct SecretError;

impl SigningSecret {
    /// Reads `whsec_` and base64, with or without padding.
    ///
    /// # Errors
    /// Another prefix, no base64, or fewer than 24 or more than 64 bytes.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix("whsec_").ok_or(SecretError)?;
        let bytes = LENIENT.decode(encoded).map_err(|_| SecretError)?;
        if LENGTH.contains(&bytes.len()) { Ok(Self::of(&bytes)) } else { Err(SecretError) }
    }

    fn of(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// `v1,` and the base64 of the HMAC-SHA256 over `id.timestamp.body`; the timestamp is in
    /// seconds.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the scheme's own libraries are tested with.
    #[test]
    fn the_schemes_own_example_is_signed_alike() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_checked_and_never_shown() {
        let good = format!("whsec_{}", STANDARD.encode([7; 32]));
        for text in [&good, good.trim_end_matches('=')] {
            assert_eq!(format!("{:?}", SigningSecret::parse(text).unwrap()), "SigningSecret(***)");
        }
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        for text in ["", "whsec_", "secret", &good[6..], &short, &long, "whsec_*&^"] {
            assert!(SigningSecret::parse(text).is_err(), "{text}");
        }
    }
}
