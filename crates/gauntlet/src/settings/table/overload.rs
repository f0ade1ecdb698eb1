//! Settings of how much may be under way at once.

use super::{ROW, Setting};

/// How many reads.
pub(crate) static MAX_READS: Setting = Setting {
    key: "max-reads",
    flag: "max-reads",
    env: "GAUNTLET_MAX_READS",
    default: Some("256"),
    value: "N",
    help: "How many requests may browse at one time; more are refused at once, see docs/overload.md",
    ..ROW
};

/// How many writes.
pub(crate) static MAX_WRITES: Setting = Setting {
    key: "max-writes",
    flag: "max-writes",
    env: "GAUNTLET_MAX_WRITES",
    default: Some("2048"),
    value: "N",
    help: "How many calls of the API that change a player may be under way at one time, claims apart",
    ..ROW
};

/// How many claims.
pub(crate) static MAX_CLAIMS: Setting = Setting {
    key: "max-claims",
    flag: "max-claims",
    env: "GAUNTLET_MAX_CLAIMS",
    default: Some("512"),
    value: "N",
    help: "How many claims may be under way at one time; they wait for the reward platform",
    ..ROW
};

/// How many events.
pub(crate) static MAX_EVENTS: Setting = Setting {
    key: "max-events",
    flag: "max-events",
    env: "GAUNTLET_MAX_EVENTS",
    default: Some("4096"),
    value: "N",
    help: "How many events may be under way at one time, those of streams included",
    ..ROW
};

/// Whether places adapt.
pub(crate) static ADAPTIVE: Setting = Setting {
    key: "adaptive",
    flag: "adaptive",
    env: "GAUNTLET_ADAPTIVE",
    default: Some("false"),
    value: "true|false",
    help: "Let fewer requests in than these while answers take long",
    switch: true,
    ..ROW
};
