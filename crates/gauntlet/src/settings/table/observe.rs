//! Settings of what operators look at beside metrics.

use super::{DATABASE, ROW, Setting};

/// Whether profiles can be taken.
pub(crate) static PROFILES: Setting = Setting {
    key: "profiles",
    flag: "profiles",
    env: "GAUNTLET_PROFILES",
    default: Some("false"),
    value: "true|false",
    help: "Serve profiles of CPU, memory, tasks and waits on the operations port, which has to be on a loopback address",
    switch: true,
    ..ROW
};

/// Which statements are logged for being slow.
pub(crate) static SLOW_STATEMENT: Setting = Setting {
    key: "slow-statement",
    flag: "slow-statement",
    env: "GAUNTLET_SLOW_STATEMENT",
    default: Some("1s"),
    value: "TIME",
    help: "Log statements of the database that take at least this long, with their operation and without values",
    commands: DATABASE,
    ..ROW
};
