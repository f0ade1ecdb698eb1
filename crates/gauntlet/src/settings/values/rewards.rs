//! Values of the settings of rewards.

use std::time::Duration;

use gauntlet_server::rewards::{ClientSecret, SigningSecret};
use http::Uri;

use super::{Wrong, duration};

/// Who hands rewards out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rewards {
    /// Nobody: they are written to the log.
    Log,
    /// The game's own service.
    Webhook,
    /// AccelByte's platform.
    Ags,
}

/// Who hands rewards out, as named.
pub(crate) fn rewards(text: &str) -> Result<Rewards, Wrong> {
    match text {
        "log" => Ok(Rewards::Log),
        "webhook" => Ok(Rewards::Webhook),
        "ags" => Ok(Rewards::Ags),
        other => Err(Wrong::one_of(other, &["log", "webhook", "ags"])),
    }
}

/// The older name of who hands rewards out.
pub(crate) fn reward_client_mode(text: &str) -> Result<String, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "mock" => Ok("log".to_owned()),
        "real" => Ok("ags".to_owned()),
        _ => Err(Wrong::allowed("mock, real")),
    }
}

/// How AccelByte's platform grants items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AgsGrants {
    /// By entitlements, which take no key.
    Direct,
    /// By fulfilments, which take our key.
    Fulfillment,
}

/// How AccelByte's platform grants items, as named.
pub(crate) fn ags_grants(text: &str) -> Result<AgsGrants, Wrong> {
    match text {
        "direct" => Ok(AgsGrants::Direct),
        "fulfillment" => Ok(AgsGrants::Fulfillment),
        other => Err(Wrong::one_of(other, &["direct", "fulfillment"])),
    }
}

/// The secret of an OAuth client.
#[expect(clippy::unnecessary_wraps, reason = "one of the readers of settings; others can fail")]
pub(crate) fn client_secret(text: &str) -> Result<ClientSecret, Wrong> {
    Ok(ClientSecret::new(text))
}

/// What the receiver of webhooks can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiverClass {
    /// It carries a key out once.
    TakesKey,
    /// It can be asked.
    Searchable,
    /// Neither.
    Neither,
}

/// What the receiver of webhooks can do, as named.
pub(crate) fn receiver_class(text: &str) -> Result<ReceiverClass, Wrong> {
    match text {
        "takes-key" => Ok(ReceiverClass::TakesKey),
        "searchable" => Ok(ReceiverClass::Searchable),
        "neither" => Ok(ReceiverClass::Neither),
        other => Err(Wrong::one_of(other, &["takes-key", "searchable", "neither"])),
    }
}

/// Secrets with commas between them.
pub(crate) fn webhook_secrets(text: &str) -> Result<Vec<SigningSecret>, Wrong> {
    let secrets = text.split(',').map(|secret| SigningSecret::parse(secret.trim()));
    secrets.collect::<Result<_, _>>().map_err(|error| {
        Wrong::allowed(format!("{error}; several with commas between them"))
            .hint("make one with: echo whsec_$(head -c 32 /dev/urandom | base64)")
    })
}

/// The address of a platform. Credentials do not belong into it: addresses are shown.
pub(crate) fn platform_url(text: &str) -> Result<Uri, Wrong> {
    let allowed = || Wrong::allowed("a URL such as https://rewards.example.com/grants, without a user in it");
    let url: Uri = text.parse().map_err(|_| allowed())?;
    let scheme = matches!(url.scheme_str(), Some("http" | "https"));
    let plain = url.authority().is_some_and(|host| !host.as_str().contains('@'));
    if scheme && plain { Ok(url) } else { Err(allowed()) }
}

/// How long a call may take.
pub(crate) fn call_deadline(text: &str) -> Result<Duration, Wrong> {
    between(text, Duration::from_millis(100), Duration::from_secs(60), "a time from 100ms to 60s")
}

/// How long keys are remembered. What is repeated is repeated more than 5 minutes before the end.
pub(crate) fn key_lifetime(text: &str) -> Result<Duration, Wrong> {
    let (least, most) = (Duration::from_secs(600), Duration::from_secs(3650 * 86_400));
    between(text, least, most, "a time from 10m on; for less, use the class searchable or neither")
}

fn between(text: &str, least: Duration, most: Duration, allowed: &str) -> Result<Duration, Wrong> {
    let time = duration(text)?;
    if (least..=most).contains(&time) { Ok(time) } else { Err(Wrong::allowed(allowed)) }
}
