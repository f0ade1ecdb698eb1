//! Settings of rewards: who hands them out, and how they are reached.

use super::{ROW, Setting, values};
use crate::settings::setting::Legacy;

/// Who hands rewards out.
pub(crate) static REWARDS: Setting = Setting {
    key: "rewards",
    flag: "rewards",
    env: "GAUNTLET_REWARDS",
    legacy: Legacy::Translated("REWARD_CLIENT_MODE", values::reward_client_mode),
    default: Some("log"),
    value: "log|webhook|ags",
    help: "Who hands rewards out; log writes them to the log and hands out nothing, webhook posts them to your own \
           service, ags grants them through AccelByte's platform",
    ..ROW
};

/// The second switch for mock sign-in beside a real reward client.
pub(crate) static ALLOW_MOCK_WITH_REAL_REWARDS: Setting = Setting {
    key: "allow-mock-with-real-rewards",
    flag: "allow-mock-with-real-rewards",
    env: "GAUNTLET_ALLOW_MOCK_WITH_REAL_REWARDS",
    default: Some("false"),
    value: "true|false",
    help: "Start with mock sign-in although rewards are real: anybody can claim anything as anybody",
    switch: true,
    ..ROW
};

/// How long one call to the platform may take.
pub(crate) static REWARD_DEADLINE: Setting = Setting {
    key: "reward-deadline",
    flag: "reward-deadline",
    env: "GAUNTLET_REWARD_DEADLINE",
    default: Some("10s"),
    value: "TIME",
    help: "How long one call to the reward platform may take; a lost sender is noticed after twice this time",
    ..ROW
};

/// Where webhooks go.
pub(crate) static WEBHOOK_URL: Setting = Setting {
    key: "webhook-url",
    flag: "webhook-url",
    env: "GAUNTLET_WEBHOOK_URL",
    unset: "webhook needs it",
    value: "URL",
    help: "Where grants are posted to, see docs/rewards.md",
    ..ROW
};

/// What signs webhooks.
pub(crate) static WEBHOOK_SECRET: Setting = Setting {
    key: "webhook-secret",
    flag: "webhook-secret",
    env: "GAUNTLET_WEBHOOK_SECRET",
    unset: "webhook needs it",
    value: "SECRETS",
    help: "What signs webhooks: whsec_ and base64 of 24 to 64 bytes; with commas between them, each signs, so that \
           a new one can come before the old one goes",
    secret: true,
    ..ROW
};

/// What the receiver can do.
pub(crate) static WEBHOOK_CLASS: Setting = Setting {
    key: "webhook-class",
    flag: "webhook-class",
    env: "GAUNTLET_WEBHOOK_CLASS",
    default: Some("takes-key"),
    value: "takes-key|searchable|neither",
    help: "What the receiver can do, which decides what is done when its answer is lost: repeat, ask first, or call \
           an operator",
    ..ROW
};

/// How long the receiver remembers keys.
pub(crate) static WEBHOOK_KEY_LIFETIME: Setting = Setting {
    key: "webhook-key-lifetime",
    flag: "webhook-key-lifetime",
    env: "GAUNTLET_WEBHOOK_KEY_LIFETIME",
    default: Some("24h"),
    value: "TIME",
    help: "How long the receiver remembers a key; a grant whose answer was lost is not repeated later than 5 minutes \
           before",
    ..ROW
};

/// Where the receiver is searched.
pub(crate) static WEBHOOK_SEARCH_URL: Setting = Setting {
    key: "webhook-search-url",
    flag: "webhook-search-url",
    env: "GAUNTLET_WEBHOOK_SEARCH_URL",
    unset: "searchable needs it",
    value: "URL",
    help: "Where a searchable receiver is asked whether it has carried a grant out",
    ..ROW
};

/// How long the receiver's search may lag behind.
pub(crate) static WEBHOOK_SETTLE: Setting = Setting {
    key: "webhook-settle",
    flag: "webhook-settle",
    env: "GAUNTLET_WEBHOOK_SETTLE",
    default: Some("30s"),
    value: "TIME",
    help: "How long a searchable receiver is left alone after a lost answer before it is asked; too short, and a \
           reward may be handed out twice",
    ..ROW
};

/// Where AccelByte's platform is.
pub(crate) static AGS_URL: Setting = Setting {
    key: "ags-url",
    flag: "ags-url",
    env: "GAUNTLET_AGS_URL",
    legacy: Legacy::Renamed("AB_BASE_URL"),
    unset: "ags needs it",
    value: "URL",
    help: "Where AccelByte's platform is, without a path",
    ..ROW
};

/// The OAuth client.
pub(crate) static AGS_CLIENT_ID: Setting = Setting {
    key: "ags-client-id",
    flag: "ags-client-id",
    env: "GAUNTLET_AGS_CLIENT_ID",
    legacy: Legacy::Renamed("AB_CLIENT_ID"),
    unset: "ags needs it",
    value: "ID",
    help: "The confidential OAuth client that grants rewards",
    ..ROW
};

/// The OAuth client's secret.
pub(crate) static AGS_CLIENT_SECRET: Setting = Setting {
    key: "ags-client-secret",
    flag: "ags-client-secret",
    env: "GAUNTLET_AGS_CLIENT_SECRET",
    legacy: Legacy::Renamed("AB_CLIENT_SECRET"),
    unset: "ags needs it",
    value: "SECRET",
    help: "The secret of that client",
    secret: true,
    ..ROW
};

/// How AccelByte's platform is asked.
pub(crate) static AGS_GRANTS: Setting = Setting {
    key: "ags-grants",
    flag: "ags-grants",
    env: "GAUNTLET_AGS_GRANTS",
    default: Some("direct"),
    value: "direct|fulfillment",
    help: "How items are granted: direct works everywhere and takes no key, so a lost answer is an operator's matter; \
           fulfillment takes our key where the deployment offers it",
    ..ROW
};

/// How long the platform remembers a transaction.
pub(crate) static AGS_KEY_LIFETIME: Setting = Setting {
    key: "ags-key-lifetime",
    flag: "ags-key-lifetime",
    env: "GAUNTLET_AGS_KEY_LIFETIME",
    default: Some("24h"),
    value: "TIME",
    help: "How long a fulfilment's transaction id is remembered",
    ..ROW
};
