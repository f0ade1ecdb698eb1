//! Sign-in and transport security: what belongs together, and what does not.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    Reading,
    guard::Refused,
    table,
    values::security::{self as values, Auth},
};

/// Everything about sign-in and transport security.
#[derive(Debug, Clone)]
pub(crate) struct SecuritySettings {
    /// What was said about sign-in.
    pub(crate) auth: Option<Auth>,
    /// Where keys are fetched.
    pub(crate) jwks_url: Option<String>,
    /// The issuer of tokens.
    pub(crate) issuer: Option<String>,
    /// Their audience.
    pub(crate) audience: Option<String>,
    /// The claim that is the namespace.
    pub(crate) namespace_claim: Option<String>,
    /// How far clocks may differ.
    pub(crate) skew: Duration,
    /// How often keys are fetched.
    pub(crate) refresh: Duration,
    /// How long old keys are good.
    pub(crate) max_age: Duration,
    /// The server's certificate.
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its key.
    pub(crate) tls_key: Option<PathBuf>,
    /// Whose certificates callers of the API need.
    pub(crate) api_client_ca: Option<PathBuf>,
    /// Whose certificates senders of events need.
    pub(crate) events_client_ca: Option<PathBuf>,
    /// The secrets of the events port.
    pub(crate) events_secrets: Secrets,
    /// Whether everybody may send events.
    pub(crate) events_open: bool,
    /// Origins of pages that may call the API.
    pub(crate) origins: Vec<String>,
    /// Claims and draws of one player a minute.
    pub(crate) player_rate: u32,
}

/// Secrets, which debug output does not show.
#[derive(Clone, Default)]
pub(crate) struct Secrets(pub(crate) Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl SecuritySettings {
    /// Reads every one of them.
    pub(crate) fn of(reading: &mut Reading<'_>) -> Option<Self> {
        let path = |text: &str| Ok(PathBuf::from(text));
        // All are read before the first `?`, so that all faults are noted.
        let auth = reading.optional(&table::AUTH, values::auth);
        let jwks_url = reading.optional(&table::JWKS_URL, values::jwks_url);
        let issuer = reading.optional(&table::JWT_ISSUER, values::text);
        let audience = reading.optional(&table::JWT_AUDIENCE, values::text);
        let namespace_claim = reading.required(&table::JWT_NAMESPACE_CLAIM, values::namespace_claim);
        let skew = reading.required(&table::JWT_SKEW, values::skew);
        let refresh = reading.required(&table::JWKS_REFRESH, values::refresh);
        let max_age = reading.required(&table::JWKS_MAX_AGE, values::refresh);
        let tls_cert = reading.optional(&table::TLS_CERT, path);
        let tls_key = reading.optional(&table::TLS_KEY, path);
        let api_client_ca = reading.optional(&table::API_CLIENT_CA, path);
        let events_client_ca = reading.optional(&table::EVENTS_CLIENT_CA, path);
        let events_secrets = reading.optional(&table::EVENTS_SECRETS, values::secrets);
        let events_open = reading.optional(&table::EVENTS_AUTH, values::events_auth);
        let origins = reading.optional(&table::CORS_ORIGIN, values::origins);
        let player_rate = reading.required(&table::PLAYER_RATE, values::rate);
        Some(Self {
            auth: auth?,
            jwks_url: jwks_url?,
            issuer: issuer?,
            audience: audience?,
            namespace_claim: namespace_claim?,
            skew: skew?,
            refresh: refresh?,
            max_age: max_age?,
            tls_cert: tls_cert?,
            tls_key: tls_key?,
            api_client_ca: api_client_ca?,
            events_client_ca: events_client_ca?,
            events_secrets: Secrets(events_secrets?.unwrap_or_default()),
            events_open: events_open?.is_some(),
            origins: origins?.unwrap_or_default(),
            player_rate: player_rate?,
        })
    }

    /// Refuses what does not go together; `events` is where events come in, `None` when this
    /// process takes none.
    pub(crate) fn check(&self, events: Option<SocketAddr>) -> Result<(), Refused> {
        let refuse =
            |message: &str, hint: &str| Err(Refused { message: message.to_owned(), hint: hint.to_owned() });
        if self.auth == Some(Auth::Jwt) {
            if self.jwks_url.is_none() {
                return refuse("--auth jwt needs the key set of the issuer", "add --jwks-url URL");
            }
            if self.namespace_claim.is_none() && self.audience.is_none() {
                return refuse(
                    "tokens of any game would be accepted: neither a namespace claim nor an audience is checked",
                    "add --jwt-audience TEXT, or name the claim with --jwt-namespace-claim NAME",
                );
            }
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return refuse("a certificate and its key belong together", "set both --tls-cert and --tls-key");
        }
        if self.tls_cert.is_none() && (self.api_client_ca.is_some() || self.events_client_ca.is_some()) {
            return refuse("client certificates need TLS", "add --tls-cert FILE --tls-key FILE");
        }
        let guarded = !self.events_secrets.0.is_empty() || self.events_client_ca.is_some();
        if guarded && self.events_open {
            return refuse(
                "--events-auth none beside secrets or client certificates for the events port",
                "leave one of them out",
            );
        }
        match events {
            Some(address) if !guarded && !self.events_open && !address.ip().is_loopback() => refuse(
                "the events port is reachable from other machines, and anybody there could send events",
                "set GAUNTLET_EVENTS_SECRETS or --events-client-ca, or accept it with --events-auth none",
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Layers, *};

    fn check(flags: &[(&'static str, &str)], events: &str) -> Result<(), String> {
        let flags = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let layers = Layers { flags, ..Layers::default() };
        let settings = SecuritySettings::of(&mut layers.read()).unwrap();
        settings.check(Some(events.parse().unwrap())).map_err(|refused| refused.message)
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let secret = ("events-secrets", "0123456789abcdef");
        let tls = [("tls-cert", "c.pem"), ("tls-key", "k.pem")];
        let jwt = [("auth", "jwt"), ("jwks-url", "https://iam/keys")];
        let (local, open) = ("127.0.0.1:1", "0.0.0.0:1");
        for (flags, events, expected) in [
            (vec![], local, None),
            (vec![], open, Some("anybody there could send events")),
            (vec![secret], open, None),
            (vec![("events-auth", "none")], open, None),
            (vec![secret, ("events-auth", "none")], local, Some("beside secrets")),
            (vec![tls[0]], local, Some("belong together")),
            (vec![tls[1]], local, Some("belong together")),
            (tls.to_vec(), local, None),
            (vec![("events-client-ca", "ca.pem")], open, Some("need TLS")),
            ([&tls[..], &[("events-client-ca", "ca.pem")]].concat(), open, None),
            ([&tls[..], &[("api-client-ca", "ca.pem")]].concat(), open, Some("anybody there")),
            (vec![jwt[0]], local, Some("needs the key set")),
            (jwt.to_vec(), local, None),
            ([&jwt[..], &[("jwt-namespace-claim", "none")]].concat(), local, Some("tokens of any game")),
            ([&jwt[..], &[("jwt-namespace-claim", "none"), ("jwt-audience", "a")]].concat(), local, None),
        ] {
            let checked = check(&flags, events);
            match expected {
                None => assert_eq!(checked, Ok(()), "{flags:?}"),
                Some(words) => {
                    let refused = checked.unwrap_err();
                    assert!(refused.contains(words), "{flags:?}: {refused}");
                }
            }
        }
    }
}
