//! Values of sign-in and of transport security.

use std::{net::IpAddr, time::Duration};

use super::{Wrong, boolean, duration};

/// How players prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// The id in a header is believed.
    Mock,
    /// Tokens are checked.
    Jwt,
}

/// How players prove who they are, as named.
pub(crate) fn auth(text: &str) -> Result<Auth, Wrong> {
    match text {
        "mock" => Ok(Auth::Mock),
        "jwt" => Ok(Auth::Jwt),
        other => Err(Wrong::one_of(other, &["jwt", "mock"])),
    }
}

/// The older switch for token checks.
pub(crate) fn auth_enabled(text: &str) -> Result<String, Wrong> {
    Ok(if boolean(text)? { "jwt" } else { "mock" }.to_owned())
}

/// Where keys are fetched. Over http, whoever is on the way could put in keys of their own.
pub(crate) fn jwks_url(text: &str) -> Result<String, Wrong> {
    let allowed = || Wrong::allowed("https://..., or http://... on this machine");
    let uri: ureq::http::Uri = text.parse().map_err(|_| allowed())?;
    let host = uri.host().ok_or_else(allowed)?;
    let local = host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(text.to_owned()),
        Some("http") if local => Ok(text.to_owned()),
        _ => Err(allowed()),
    }
}

/// A text that has something in it.
pub(crate) fn text(text: &str) -> Result<String, Wrong> {
    if text.is_empty() { Err(Wrong::allowed("a text")) } else { Ok(text.to_owned()) }
}

/// The claim that is the namespace; nothing for issuers without one.
#[expect(clippy::unnecessary_wraps, reason = "one of the parsers; others can fail")]
pub(crate) fn namespace_claim(text: &str) -> Result<Option<String>, Wrong> {
    Ok((text != "none").then(|| text.to_owned()))
}

/// How far clocks may differ.
pub(crate) fn skew(text: &str) -> Result<Duration, Wrong> {
    let time = duration(text)?;
    if time <= Duration::from_secs(300) { Ok(time) } else { Err(Wrong::allowed("at most 5m")) }
}

/// How often keys are fetched.
pub(crate) fn refresh(text: &str) -> Result<Duration, Wrong> {
    let time = duration(text)?;
    if time >= Duration::from_secs(1) { Ok(time) } else { Err(Wrong::allowed("1s or more")) }
}

/// Secrets with commas between them. What is wrong with one is said without showing it.
pub(crate) fn secrets(text: &str) -> Result<Vec<String>, Wrong> {
    let secrets: Vec<String> = text.split(',').map(|secret| secret.trim().to_owned()).collect();
    let good = |secret: &String| secret.len() >= 16 && secret.bytes().all(|byte| byte.is_ascii_graphic());
    if secrets.iter().all(good) {
        Ok(secrets)
    } else {
        Err(Wrong::allowed(
            "16 or more letters, digits and signs, no spaces; several with commas between them",
        )
        .hint("make one with: openssl rand -hex 32"))
    }
}

/// That everybody may send events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoEventsAuth;

/// That everybody may send events, as named.
pub(crate) fn events_auth(text: &str) -> Result<NoEventsAuth, Wrong> {
    match text {
        "none" => Ok(NoEventsAuth),
        _ => Err(Wrong::allowed("none").hint("secrets and client certificates are used when they are set")),
    }
}

/// Origins of web pages.
pub(crate) fn origins(text: &str) -> Result<Vec<String>, Wrong> {
    let good = |origin: &str| {
        origin == "*"
            || ["https://", "http://"].iter().any(|scheme| {
                origin.strip_prefix(scheme).is_some_and(|host| {
                    !host.is_empty()
                        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
                })
            })
    };
    let origins: Vec<String> = text.split(',').map(|origin| origin.trim().to_owned()).collect();
    if origins.iter().all(|origin| good(origin)) {
        Ok(origins)
    } else {
        Err(Wrong::allowed(
            "origins without a path, such as https://play.example.com, with commas between them, or *",
        ))
    }
}

/// A number of calls a minute.
pub(crate) fn rate(text: &str) -> Result<u32, Wrong> {
    match text.parse() {
        Ok(number @ 0..=1_000_000) => Ok(number),
        _ => Err(Wrong::allowed("a number from 0 to 1000000")),
    }
}

/// What a client shows to prove who it is.
pub(crate) fn token(text: &str) -> Result<String, Wrong> {
    let token = text.trim();
    if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(token.to_owned())
    } else {
        Err(Wrong::allowed("a token of ASCII characters without spaces"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_over_https_or_from_this_machine() {
        for good in
            ["https://iam.example.com/jwks", "http://127.0.0.1:9/k", "http://localhost/k", "http://[::1]:1/"]
        {
            assert_eq!(jwks_url(good).as_deref(), Ok(good));
        }
        for bad in
            ["http://iam.example.com/jwks", "iam.example.com", "", "ftp://localhost/", "file:///etc/keys"]
        {
            assert!(jwks_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_long_and_never_shown() {
        assert_eq!(secrets("0123456789abcdef, fedcba9876543210").unwrap().len(), 2);
        for bad in ["", "short", "0123456789abcdef,", "0123456789 abcdef"] {
            let wrong = secrets(bad).unwrap_err();
            assert!(bad.is_empty() || !format!("{wrong:?}").contains(bad), "{wrong:?}");
        }
    }

    #[test]
    fn origins_have_a_scheme_and_no_path() {
        assert_eq!(origins("https://a.example, http://localhost:3000").unwrap().len(), 2);
        assert_eq!(origins("*").unwrap(), ["*"]);
        for bad in ["a.example", "https://a.example/", "https://", "null", "https://a.example,"] {
            assert!(origins(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bounds_are_kept() {
        assert!(skew("5m").is_ok() && skew("301s").is_err());
        assert!(refresh("1s").is_ok() && refresh("999ms").is_err());
        assert!(rate("0").is_ok() && rate("-1").is_err());
        assert_eq!(auth_enabled("true").as_deref(), Ok("jwt"));
        assert_eq!(auth("jwtt").unwrap_err().hint.as_deref(), Some("did you mean jwt?"));
    }
}
