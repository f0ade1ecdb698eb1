//! What a setting is: the row of the table.

use std::fmt::Write as _;

use super::values;

/// A setting, under all of its names.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in a settings file.
    pub(crate) key: &'static str,
    /// Its flag, without the two hyphens.
    pub(crate) flag: &'static str,
    /// Its environment variable.
    pub(crate) env: &'static str,
    /// How deployments of the service that this one replaces spell it.
    pub(crate) legacy: Legacy,
    /// What it is when nobody says; `None`: see [`Setting::unset`].
    pub(crate) default: Option<&'static str>,
    /// What it means that it is not set, for those without a default.
    pub(crate) unset: &'static str,
    /// What stands for the value in help texts.
    pub(crate) value: &'static str,
    /// What it is for, in one sentence without a full stop.
    pub(crate) help: &'static str,
    /// Which commands read it.
    pub(crate) commands: &'static [Reader],
    /// Whether the flag alone means "true".
    pub(crate) switch: bool,
    /// Whether its value is never shown.
    pub(crate) secret: bool,
}

/// A command that reads settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// `gauntlet serve`, and `gauntlet settings`, which shows what `serve` would use.
    Serve,
    /// `gauntlet migrate`.
    Migrate,
    /// `gauntlet export`, `import` and `audit`.
    Archive,
    /// `gauntlet player`.
    Player,
    /// `gauntlet send`.
    Send,
}

/// The older spelling of a setting.
#[derive(Debug)]
pub(crate) enum Legacy {
    /// There was none.
    None,
    /// The same value under another name.
    Renamed(&'static str),
    /// Other values under another name.
    Translated(&'static str, fn(&str) -> Result<String, values::Wrong>),
    /// Several variables that make up one value: the database.
    Database,
}

#[cfg(test)]
impl Legacy {
    /// The environment variables involved.
    pub(crate) const fn names(&self) -> &[&'static str] {
        match self {
            Self::None => &[],
            Self::Renamed(name) | Self::Translated(name, _) => std::slice::from_ref(name),
            Self::Database => &DATABASE_NAMES,
        }
    }
}

/// The variables of [`Legacy::Database`].
pub(crate) const DATABASE_NAMES: [&str; 6] =
    ["DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_NAME", "DB_SSLMODE"];

/// The variable that names the settings file; `--config` wins. Not a setting: a file cannot name
/// itself.
pub(crate) const CONFIG_ENV: &str = "GAUNTLET_CONFIG";

impl Setting {
    /// What help texts show behind the explanation: the default and the names in the environment.
    pub(crate) fn help_line(&self) -> String {
        let mut line = format!("{} [", self.help);
        match self.default {
            Some(default) => _ = write!(line, "default: {default}"),
            None => _ = write!(line, "unset: {}", self.unset),
        }
        let _ = write!(line, "; env: {}", self.env);
        match &self.legacy {
            Legacy::None => {}
            Legacy::Renamed(name) | Legacy::Translated(name, _) => _ = write!(line, " or {name}"),
            Legacy::Database => line.push_str(" or DB_HOST, DB_PORT, ..."),
        }
        line.push(']');
        line
    }
}
