//! Settings: one [`table`], four layers (flags, then the environment, then a file, then defaults),
//! and messages that say where a wrong value stands, what it is and what would be allowed.
//!
//! Nothing else in the program reads the environment.

mod environment;
mod file;
mod flags;
mod guard;
mod mask;
#[cfg(test)]
mod page;
mod rewards;
mod security;
mod setting;
mod suggest;
mod table;
#[cfg(test)]
mod tests;
mod typed;
mod values;

use std::{collections::BTreeMap, fmt};

pub(crate) use environment::{Environment, percent_encode};
pub(crate) use file::File;
pub(crate) use flags::{Flags, ForArchive, ForMigrate, ForPlayer, ForSend, ForServe};
pub(crate) use guard::{Refused, Sign, one_process, profiles, sign_in};
pub(crate) use rewards::Platform;
use setting::{CONFIG_ENV, Legacy};
pub(crate) use setting::{Reader, Setting};
pub(crate) use typed::{
    ArchiveSettings, ClientTls, LogSettings, MigrateSettings, PlayerSettings, SendSettings, ServeSettings,
    StoreSettings, TraceSettings,
};
pub(crate) use values::{LogFormat, Roles, StoreChoice, Wrong, base_path, instant};

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// On the command line.
    Flag(&'static str),
    /// In the environment.
    Environment(&'static str),
    /// In the settings file.
    File {
        /// The file, as it was named.
        path: String,
        /// The line, from 1.
        line: Option<usize>,
        /// The setting's key.
        key: Option<&'static str>,
    },
    /// Nowhere: the default.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Environment(name) => f.write_str(name),
            Self::File { path, line, key } => {
                f.write_str(path)?;
                line.map_or(Ok(()), |line| write!(f, ":{line}"))?;
                key.map_or(Ok(()), |key| write!(f, ": {key}"))
            }
            Self::Default => f.write_str("default"),
        }
    }
}

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where it stands.
    pub(crate) source: Source,
    /// What stands there, without secrets; `None`: nothing, or the problem says it.
    pub(crate) found: Option<String>,
    /// What is wrong with it.
    pub(crate) wrong: Wrong,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "{}: found {found:?}; {}", self.source, self.wrong.problem),
            None => write!(f, "{}: {}", self.source, self.wrong.problem),
        }
    }
}

/// The layers that values come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    /// Values from the command line, by the key of their setting.
    pub(crate) flags: BTreeMap<&'static str, String>,
    /// The environment.
    pub(crate) environment: Environment,
    /// The settings file, if one was named.
    pub(crate) file: Option<File>,
}

/// A value as it was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where.
    pub(crate) source: Source,
    /// What stands there; differs from `value` for an older spelling.
    pub(crate) written: Option<String>,
    /// What it means.
    pub(crate) value: Result<String, Wrong>,
}

impl Layers {
    /// The layers of this process; `config` is the value of `--config`.
    pub(crate) fn load(
        flags: BTreeMap<&'static str, String>,
        environment: Environment,
        config: Option<&str>,
    ) -> Result<Self, Vec<Fault>> {
        let file = config.or_else(|| environment.get(CONFIG_ENV)).map(File::read).transpose()?;
        Ok(Self { flags, environment, file })
    }

    /// The value of a setting in the first layer that has one.
    pub(crate) fn find(&self, setting: &'static Setting) -> Option<Found> {
        let plain = |source, value: &str| {
            Some(Found { source, written: Some(value.to_owned()), value: Ok(value.to_owned()) })
        };
        if let Some(value) = self.flags.get(setting.key) {
            return plain(Source::Flag(setting.flag), value);
        }
        if let Some(value) = self.environment.get(setting.env) {
            return plain(Source::Environment(setting.env), value);
        }
        if let Some(found) = self.find_legacy(setting) {
            return Some(found);
        }
        if let Some((file, (line, value))) =
            self.file.as_ref().and_then(|file| Some((file, file.get(setting)?)))
        {
            let source = Source::File { path: file.path.clone(), line: Some(line), key: Some(setting.key) };
            return plain(source, value);
        }
        plain(Source::Default, setting.default?)
    }

    fn find_legacy(&self, setting: &Setting) -> Option<Found> {
        let renamed = |name, translate: fn(&str) -> Result<String, Wrong>| {
            let written = self.environment.get(name)?.to_owned();
            let value = translate(&written);
            Some(Found { source: Source::Environment(name), written: Some(written), value })
        };
        match setting.legacy {
            Legacy::None => None,
            Legacy::Renamed(name) => renamed(name, |value| Ok(value.to_owned())),
            Legacy::Translated(name, translate) => renamed(name, translate),
            Legacy::Database => {
                let database = environment::database(&self.environment)?;
                let source = Source::Environment(database.name);
                let written = database.found.or_else(|| database.url.clone().ok());
                Some(Found { source, written, value: database.url })
            }
        }
    }

    /// A reader of typed values that remembers what is wrong.
    pub(crate) fn read(&self) -> Reading<'_> {
        Reading { layers: self, faults: Vec::new() }
    }
}

/// Reads values and gathers every fault, so that one start shows them all.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    layers: &'a Layers,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    /// The value of a setting; `None` when it is wrong (noted) or missing (noted).
    pub(crate) fn required<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let value = self.optional(setting, parse)?;
        if value.is_none() {
            let wrong = Wrong::because(format!("not set, and neither is {}", setting.env))
                .hint(format!("add --{} {}", setting.flag, setting.value));
            self.faults.push(Fault { source: Source::Flag(setting.flag), found: None, wrong });
        }
        value
    }

    /// The value of a setting, if there is one; `None` when it is wrong (noted).
    #[expect(clippy::option_option, reason = "wrong and not set are different answers")]
    pub(crate) fn optional<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<Option<T>> {
        let Some(found) = self.layers.find(setting) else {
            return Some(None);
        };
        match found.value.and_then(|value| parse(&value)) {
            Ok(value) => Some(Some(value)),
            Err(wrong) => {
                let found_text = found.written.as_deref().map(|text| shown(setting, text));
                self.faults.push(Fault { source: found.source, found: found_text, wrong });
                None
            }
        }
    }

    /// The result of the reading, or everything that was wrong.
    pub(crate) fn finish<T>(self, settings: Option<T>) -> Result<T, Vec<Fault>> {
        match settings {
            Some(settings) if self.faults.is_empty() => Ok(settings),
            _ => Err(self.faults),
        }
    }
}

/// Every setting of a command with what it is, without secrets, and where that comes from.
pub(crate) fn effective(
    layers: &Layers,
    reader: Reader,
) -> impl Iterator<Item = (&'static Setting, Option<String>, Source)> {
    table::of(reader).map(|setting| match layers.find(setting) {
        None => (setting, None, Source::Default),
        Some(found) => {
            let text = found.value.as_ref().ok().or(found.written.as_ref());
            (setting, text.map(|text| shown(setting, text)), found.source)
        }
    })
}

/// A value as it may be shown.
fn shown(setting: &Setting, text: &str) -> String {
    if setting.secret { mask::MASK.to_owned() } else { mask::mask(text) }
}
