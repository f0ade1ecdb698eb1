//! From the text of a setting to its value, or to what would be allowed.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use gauntlet_domain::Timestamp;

use super::{mask::mask, suggest::nearest};

mod rewards;
pub(crate) mod security;
mod traces;

pub(crate) use rewards::*;
pub(crate) use security::{Auth, auth_enabled};
pub(crate) use traces::*;

/// Why a text is not a value of its setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// What would be allowed, or why this is not.
    pub(crate) problem: String,
    /// What was probably meant, or what to do.
    pub(crate) hint: Option<String>,
}

impl Wrong {
    /// Says what would be allowed.
    pub(crate) fn allowed(allowed: impl std::fmt::Display) -> Self {
        Self::because(format!("allowed: {allowed}"))
    }

    /// Says what is wrong.
    pub(crate) fn because(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None }
    }

    /// Adds a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What is allowed is one of some words; hints at the nearest.
    fn one_of(text: &str, words: &[&'static str]) -> Self {
        let wrong = Self::allowed(words.join(", "));
        match nearest(text, words.iter().copied()) {
            Some(word) => wrong.hint(format!("did you mean {word}?")),
            None => wrong,
        }
    }
}

/// Where players are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreChoice {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// PostgreSQL, as a URL that may hold a password.
    Postgres(String),
}

impl StoreChoice {
    /// The store's name without secrets, for logs.
    pub(crate) fn masked(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(url) => mask(url),
        }
    }
}

/// A store: `sqlite:PATH` or `postgres://...`.
pub(crate) fn store(text: &str) -> Result<StoreChoice, Wrong> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        // Some tools write it as a URL; what they mean is the path.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            return Err(Wrong::allowed("sqlite: with the path of a file, such as sqlite:gauntlet.db"));
        }
        return Ok(StoreChoice::Sqlite(path.into()));
    }
    let lower = text.to_ascii_lowercase();
    if ["postgres://", "postgresql://"].iter().any(|scheme| lower.starts_with(scheme)) {
        return Ok(StoreChoice::Postgres(text.to_owned()));
    }
    let wrong = Wrong::allowed("sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE");
    let is_file =
        [".db", ".sqlite", ".sqlite3"].iter().any(|ending| lower.ends_with(ending)) && !lower.contains("://");
    Err(if is_file { wrong.hint(format!("for a SQLite file, write sqlite:{text}")) } else { wrong })
}

/// An address to listen on.
pub(crate) fn address(text: &str) -> Result<SocketAddr, Wrong> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Some(Ok(port)) = text.strip_prefix("localhost:").map(str::parse) {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let wrong = Wrong::allowed("an address with a port, such as 127.0.0.1:8000 or [::1]:8000");
    Err(match text.trim_start_matches(':').parse::<u16>() {
        Ok(port) => {
            wrong.hint(format!("127.0.0.1:{port} is this machine only, 0.0.0.0:{port} every network"))
        }
        Err(_) => wrong,
    })
}

/// What HTTP paths begin with: empty, or with a slash at the start and none at the end.
pub(crate) fn base_path(text: &str) -> Result<String, Wrong> {
    let allowed = "a path such as /challenge, of letters, digits and - . _ ~, or / for none";
    let path = text.strip_suffix('/').unwrap_or(text);
    let good = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    match path.strip_prefix('/') {
        None if path.is_empty() => Ok(String::new()),
        Some(segments) if segments.split('/').all(good) => Ok(path.to_owned()),
        Some(_) => Err(Wrong::allowed(allowed)),
        None => Err(Wrong::allowed(allowed).hint("it begins with a slash")),
    }
}

/// An id: of a player, a namespace.
pub(crate) fn id(text: &str) -> Result<String, Wrong> {
    gauntlet_domain::limits::check_id(text)
        .map(|()| text.to_owned())
        .map_err(|error| Wrong::because(format!("the id {error}")))
}

/// A yes or no.
pub(crate) fn boolean(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Wrong::allowed("true, 1, yes, on, or false, 0, no, off")),
    }
}

/// A number of connections.
pub(crate) fn connections(text: &str) -> Result<usize, Wrong> {
    match text.parse() {
        Ok(number @ 1..=1000) => Ok(number),
        _ => Err(Wrong::allowed("a number from 1 to 1000")),
    }
}

/// A number of requests at one time.
pub(crate) fn places(text: &str) -> Result<usize, Wrong> {
    match text.parse() {
        Ok(number @ 1..=100_000) => Ok(number),
        _ => Err(Wrong::allowed("a number from 1 to 100000")),
    }
}

/// The longest span of time that is accepted: ten years are a slip of the keyboard.
const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// A span of time.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    let wrong =
        || Wrong::allowed("a whole number with its unit, ms, s, m, h or d, such as 500ms, 60s or 90d");
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(wrong().hint(format!("did you mean {number}s?"))),
        _ => return Err(wrong()),
    };
    let time = Duration::from_millis(number.saturating_mul(millis));
    if time < LONGEST { Ok(time) } else { Err(wrong().hint("that is more than ten years")) }
}

/// A span of time that is not zero: a deadline, an interval.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, Wrong> {
    let time = duration(text)?;
    if time.is_zero() {
        Err(Wrong::allowed("a time longer than zero, such as 500ms or 10s"))
    } else {
        Ok(time)
    }
}

/// Which parts of the service run in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Roles {
    /// The player API.
    pub(crate) api: bool,
    /// Taking events in.
    pub(crate) events: bool,
    /// What happens without being asked: sending grants again, clearing up.
    pub(crate) worker: bool,
}

impl Roles {
    /// Everything in one process.
    pub(crate) const ALL: Self = Self { api: true, events: true, worker: true };
}

/// A list of roles.
pub(crate) fn roles(text: &str) -> Result<Roles, Wrong> {
    let mut roles = Roles::default();
    for word in text.split(',').map(str::trim) {
        match word {
            "api" => roles.api = true,
            "events" => roles.events = true,
            "worker" => roles.worker = true,
            other => {
                let wrong = Wrong::one_of(other, &["api", "events", "worker"]);
                let all = Wrong::allowed("one or more of api, events, worker, with commas between them");
                return Err(Wrong { hint: wrong.hint, ..all });
            }
        }
    }
    Ok(roles)
}

/// The words for how much is logged.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// What is logged: a level, and exceptions for parts of the program.
pub(crate) fn log_filter(text: &str) -> Result<String, Wrong> {
    let allowed = || format!("{}; with exceptions as in info,gauntlet_store=debug", LEVELS.join(", "));
    let mut parts = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (target, level) =
            part.split_once('=').map_or((None, part), |(target, level)| (Some(target), level));
        let level = level.to_ascii_lowercase();
        if !LEVELS.contains(&level.as_str()) {
            return Err(Wrong { hint: Wrong::one_of(&level, &LEVELS).hint, ..Wrong::allowed(allowed()) });
        }
        let name = |target: &str| {
            !target.is_empty()
                && target.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte))
        };
        match target {
            None => parts.push(level),
            Some(target) if name(target) => parts.push(format!("{target}={level}")),
            Some(_) => return Err(Wrong::allowed(allowed())),
        }
    }
    Ok(parts.join(","))
}

/// The older words for how much is logged.
#[expect(clippy::unnecessary_wraps, reason = "one of the translations in the table; others can fail")]
pub(crate) fn log_level(text: &str) -> Result<String, Wrong> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "warning" => "warn".to_owned(),
        "fatal" | "panic" => "error".to_owned(),
        _ => text.to_owned(),
    })
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text in a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// How logs look.
pub(crate) fn log_format(text: &str) -> Result<LogFormat, Wrong> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        other => Err(Wrong::one_of(other, &["auto", "json", "text"])),
    }
}

/// The address of a server to talk to, without a slash at the end.
pub(crate) fn url(text: &str) -> Result<String, Wrong> {
    let allowed = "a URL such as http://127.0.0.1:8000 or https://api.example.com";
    let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    match rest {
        Some(rest) if !rest.starts_with('/') && !rest.is_empty() && !rest.contains(char::is_whitespace) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        Some(_) => Err(Wrong::allowed(allowed)),
        None => Err(Wrong::allowed(allowed).hint(format!("did you mean http://{text}?"))),
    }
}

/// An instant.
pub(crate) fn instant(text: &str) -> Result<Timestamp, Wrong> {
    Timestamp::parse(text).map_err(|_| Wrong::allowed("a time such as 2026-01-31T12:00:00Z"))
}

#[cfg(test)]
mod tests;
