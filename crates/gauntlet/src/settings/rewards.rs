//! Settings of the reward platform in use. Those of the others are not read.

use std::time::Duration;

use gauntlet_server::rewards::{PlatformClass, WebhookConfig};

use super::{
    Reading, table,
    values::{self, ReceiverClass, Rewards},
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
}

impl RewardSettings {
    pub(super) fn of(reading: &mut Reading<'_>) -> Option<Self> {
        let rewards = reading.required(&table::REWARDS, values::rewards);
        let deadline = reading.required(&table::REWARD_DEADLINE, values::call_deadline);
        let platform = match rewards? {
            Rewards::Log => Some(Platform::Log),
            Rewards::Webhook => webhook(reading).map(Platform::Webhook),
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
