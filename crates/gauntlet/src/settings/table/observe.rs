//! Settings of what operators look at beside metrics.

use super::{DATABASE, ROW, Setting};

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
