//! The environment as a map, and what the older names in it mean.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    setting::{CONFIG_ENV, DATABASE_NAMES},
    suggest::nearest,
    table,
    values::Wrong,
};

/// What the environment says, as far as it is our business. Empty variables count as not set:
/// compose files and charts often leave them behind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Takes a copy of the process's environment: the one place that reads it.
    pub(crate) fn of_process() -> Self {
        // Not `vars`, which panics when a variable of somebody else is not UTF-8.
        let pairs = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        Self::new(pairs)
    }

    /// An environment of these variables.
    pub(crate) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of a variable, if it is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether colours are unwanted (<https://no-color.org>).
    pub(crate) fn no_color(&self) -> bool {
        self.get("NO_COLOR").is_some()
    }

    /// Variables that look like ours and are not, with what was probably meant. Others that begin
    /// like ours are left alone: Kubernetes makes some for a service called gauntlet.
    pub(crate) fn misspelt(&self) -> Vec<(&str, &'static str)> {
        let known = || table::ALL.into_iter().map(|setting| setting.env).chain([CONFIG_ENV]);
        let ours =
            self.0.keys().filter(|name| name.starts_with("GAUNTLET_") && !known().any(|env| env == *name));
        ours.filter_map(|name| Some((name.as_str(), nearest_variable(name, known())?))).collect()
    }
}

/// The variable meant by another one: compares what follows the prefix that all share.
fn nearest_variable(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let tail = |name: &'static str| name.strip_prefix("GAUNTLET_").unwrap_or(name);
    let known: Vec<&'static str> = known.collect();
    let meant = nearest(name.strip_prefix("GAUNTLET_")?, known.iter().map(|name| tail(name)))?;
    known.into_iter().find(|name| tail(name) == meant)
}

/// A value made of the older variables, and the one to name when it is not usable.
pub(crate) struct FromDatabase {
    /// The variable that decided, or that is missing or wrong.
    pub(crate) name: &'static str,
    /// What was found there.
    pub(crate) found: Option<String>,
    /// The store's URL.
    pub(crate) url: Result<String, Wrong>,
}

/// The store that `DB_HOST` and its companions describe; `None` when none of them is set.
///
/// Once one is set, the others must make it a whole: half a description would otherwise start the
/// service on an empty SQLite file.
pub(crate) fn database(environment: &Environment) -> Option<FromDatabase> {
    let first = DATABASE_NAMES.into_iter().find(|name| environment.get(name).is_some())?;
    let fault = |name: &'static str, found: Option<&str>, wrong: Wrong| {
        Some(FromDatabase { name, found: found.map(str::to_owned), url: Err(wrong) })
    };

    for name in ["DB_HOST", "DB_USER", "DB_NAME"] {
        if environment.get(name).is_none() {
            let together = format!("not set, but {first} is: together they name the database");
            return fault(name, None, Wrong::because(together).hint("or set GAUNTLET_STORE, which wins"));
        }
    }
    let port = environment.get("DB_PORT").unwrap_or("5432");
    if !matches!(port.parse(), Ok(1..=u16::MAX)) {
        return fault("DB_PORT", Some(port), Wrong::allowed("a number from 1 to 65535"));
    }
    let ssl = environment.get("DB_SSLMODE").unwrap_or("disable");
    if !["disable", "prefer", "require", "verify-ca", "verify-full"].contains(&ssl) {
        return fault(
            "DB_SSLMODE",
            Some(ssl),
            Wrong::allowed("disable, prefer, require, verify-ca or verify-full"),
        );
    }

    let encoded = |name| percent_encode(environment.get(name).unwrap_or_default());
    let mut url = format!("postgres://{}", encoded("DB_USER"));
    if environment.get("DB_PASSWORD").is_some() {
        _ = write!(url, ":{}", encoded("DB_PASSWORD"));
    }
    let host = environment.get("DB_HOST").unwrap_or_default();
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { encode_host(host) };
    _ = write!(url, "@{host}:{port}/{}?sslmode={ssl}", encoded("DB_NAME"));
    Some(FromDatabase { name: "DB_HOST", found: None, url: Ok(url) })
}

/// A host name as it is; the folder of a Unix socket must not be read as a path.
fn encode_host(host: &str) -> String {
    if host.starts_with('[') { host.to_owned() } else { percent_encode(host) }
}

/// Text as one part of a URL: everything but letters, digits and `-._~` as `%XX`.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
