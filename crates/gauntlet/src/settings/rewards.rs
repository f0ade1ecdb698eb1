//! Settings of the reward platform in use. Those of the others are not read.

use std::time::Duration;

use gauntlet_server::rewards::{AgsConfig, AgsMode, PlatformClass, WebhookConfig};

use super::{
    Reading, table,
    values::{self, AgsGrants, ReceiverClass, Rewards},
};

/// Who hands rewards out, and how to reach them.
#[derive(Debug, Clone)]
pub(crate) struct RewardSettings {
    /// The platform.
    pub(crate) platform: Platform,
    /// How long one call to it may take.
    pub(crate) deadline: Duration,
}

/// A platform with its settings.
#[derive(Debug, Clone)]
pub(crate) enum Platform {
    /// Nobody: rewards are written to the log.
    Log,
    /// The game's own service.
    Webhook(WebhookConfig),
    /// AccelByte's platform.
    Ags(AgsConfig),
}

impl RewardSettings {
    pub(super) fn of(reading: &mut Reading<'_>) -> Option<Self> {
        let rewards = reading.required(&table::REWARDS, values::rewards);
        let deadline = reading.required(&table::REWARD_DEADLINE, values::call_deadline);
        let platform = match rewards? {
            Rewards::Log => Some(Platform::Log),
            Rewards::Webhook => webhook(reading).map(Platform::Webhook),
            Rewards::Ags => ags(reading).map(Platform::Ags),
        };
        Some(Self { platform: platform?, deadline: deadline? })
    }

    /// Whether players get anything of value.
    pub(crate) const fn are_real(&self) -> bool {
        !matches!(self.platform, Platform::Log)
    }
}

fn webhook(reading: &mut Reading<'_>) -> Option<WebhookConfig> {
    let url = reading.required(&table::WEBHOOK_URL, values::platform_url);
    let secrets = reading.required(&table::WEBHOOK_SECRET, values::webhook_secrets);
    let class = reading.required(&table::WEBHOOK_CLASS, values::receiver_class);
    let (class, search_url) = match class? {
        ReceiverClass::TakesKey => {
            let key_lifetime = reading.required(&table::WEBHOOK_KEY_LIFETIME, values::key_lifetime);
            (key_lifetime.map(|key_lifetime| PlatformClass::TakesKey { key_lifetime }), None)
        }
        ReceiverClass::Searchable => {
            let search_url = reading.required(&table::WEBHOOK_SEARCH_URL, values::platform_url);
            let settle = reading.required(&table::WEBHOOK_SETTLE, values::duration);
            (search_url.as_ref().and(settle).map(|settle| PlatformClass::Searchable { settle }), search_url)
        }
        ReceiverClass::Neither => (Some(PlatformClass::Neither), None),
    };
    Some(WebhookConfig { url: url?, secrets: secrets?, class: class?, search_url })
}

fn ags(reading: &mut Reading<'_>) -> Option<AgsConfig> {
    let base_url = reading.required(&table::AGS_URL, values::platform_url);
    let client_id = reading.required(&table::AGS_CLIENT_ID, values::id);
    let client_secret = reading.required(&table::AGS_CLIENT_SECRET, values::client_secret);
    let mode = match reading.required(&table::AGS_GRANTS, values::ags_grants)? {
        AgsGrants::Direct => Some(AgsMode::Direct),
        AgsGrants::Fulfillment => {
            let key_lifetime = reading.required(&table::AGS_KEY_LIFETIME, values::key_lifetime);
            key_lifetime.map(|key_lifetime| AgsMode::Fulfillment { key_lifetime })
        }
    };
    Some(AgsConfig { base_url: base_url?, client_id: client_id?, client_secret: client_secret?, mode: mode? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Layers, Reader, effective};

    const SECRET: &str = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3";

    fn layers(environment: &[(&str, &str)]) -> Layers {
        let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Layers { environment: Environment::new(pairs), ..Layers::default() }
    }

    fn read(layers: &Layers) -> Result<RewardSettings, Vec<String>> {
        let mut reading = layers.read();
        let settings = RewardSettings::of(&mut reading);
        reading.finish(settings).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_platform_reads_its_own_settings() {
        let log = read(&layers(&[("GAUNTLET_WEBHOOK_URL", "not a URL")])).unwrap();
        assert!(!log.are_real());
        let webhook = [
            ("GAUNTLET_REWARDS", "webhook"),
            ("GAUNTLET_WEBHOOK_URL", "https://rewards.example.com/grants"),
            ("GAUNTLET_WEBHOOK_SECRET", &format!("{SECRET}, {SECRET}")),
        ];
        let settings = read(&layers(&webhook)).unwrap();
        assert!(settings.are_real());
        let Platform::Webhook(config) = settings.platform else { panic!("a webhook") };
        assert_eq!(config.secrets.len(), 2);
        let day = Duration::from_secs(86_400);
        assert_eq!(config.class, PlatformClass::TakesKey { key_lifetime: day });
        let faults =
            read(&layers(&[webhook.as_slice(), &[("GAUNTLET_WEBHOOK_CLASS", "searchable")]].concat()));
        assert!(faults.unwrap_err()[0].contains("--webhook-search-url: not set"));

        let older = [
            ("REWARD_CLIENT_MODE", "real"),
            ("AB_BASE_URL", "https://demo.accelbyte.io"),
            ("AB_CLIENT_ID", "id"),
            ("AB_CLIENT_SECRET", "hush"),
        ];
        let Platform::Ags(config) = read(&layers(&older)).unwrap().platform else { panic!("ags") };
        assert_eq!((config.mode, config.client_id.as_str()), (AgsMode::Direct, "id"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_told_at_once() {
        let faults = read(&layers(&[
            ("GAUNTLET_REWARDS", "webhook"),
            ("GAUNTLET_WEBHOOK_URL", "https://user:pass@host/"),
            ("GAUNTLET_WEBHOOK_SECRET", "hush"),
            ("GAUNTLET_REWARD_DEADLINE", "10m"),
        ]));
        let faults = faults.unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(!faults.concat().contains("hush") && !faults.concat().contains("pass@"), "{faults:?}");
        let missing = read(&layers(&[("GAUNTLET_REWARDS", "ags")])).unwrap_err();
        assert_eq!(missing.len(), 3, "{missing:?}");
    }

    #[test]
    fn secrets_are_never_shown() {
        let layers = layers(&[("GAUNTLET_WEBHOOK_SECRET", SECRET), ("AB_CLIENT_SECRET", "hush")]);
        let shown: Vec<String> =
            effective(&layers, Reader::Serve).filter_map(|(_, value, _)| value).collect();
        assert_eq!(shown.iter().filter(|value| *value == "***").count(), 2);
        assert!(!shown.iter().any(|value| value.contains("whsec") || value.contains("hush")));
    }
}
