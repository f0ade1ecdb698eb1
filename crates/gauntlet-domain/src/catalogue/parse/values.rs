//! Readers of single values: text, ids, numbers, words from a list, time zones, lengths of time.

use chrono_tz::{TZ_VARIANTS, Tz};
use jsonc_parser::ast::Value;

use super::{
    fault::{Message, Report},
    object::Entry,
    suggest::nearest,
};
use crate::{catalogue::names::Names, limits};

/// Most characters of a value that a message shows.
const SHOWN_CHARS: usize = 60;

/// A text as JSON writes it, cut off when it is long.
pub(super) fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    serde_json::Value::String(shown).to_string()
}

/// A value as a message shows it.
pub(super) fn describe(value: &Value<'_>) -> String {
    match value {
        Value::StringLit(text) => quote(&text.value),
        Value::NumberLit(number) if number.value.len() > SHOWN_CHARS => "a number of many digits".to_owned(),
        Value::NumberLit(number) => number.value.to_owned(),
        Value::BooleanLit(flag) => flag.value.to_string(),
        Value::NullKeyword(_) => "null".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Array(list) if list.elements.is_empty() => "an empty list".to_owned(),
        Value::Array(_) => "a list".to_owned(),
    }
}

fn as_text<'e>(entry: &Entry<'e>) -> Option<&'e str> {
    match entry.value {
        Value::StringLit(text) => Some(&text.value),
        _ => None,
    }
}

/// Any text.
pub(super) fn text(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = as_text(entry);
    if text.is_none() {
        entry.reject(report, "allowed: text");
    }
    text.map(str::to_owned)
}

/// A text with at least one character that is not blank.
pub(super) fn filled_text(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = as_text(entry).filter(|text| !text.trim().is_empty());
    if text.is_none() {
        entry.reject(report, "allowed: text that is not empty");
    }
    text.map(str::to_owned)
}

/// An id, as every entry point of the service accepts it.
pub(super) fn id(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<String> {
    let allowed = format!("allowed: 1 to {} characters, no control characters", limits::MAX_ID_CHARS);
    let Some(text) = as_text(entry) else {
        entry.reject(report, allowed);
        return None;
    };
    match limits::check_id(text) {
        Ok(()) => Some(text.to_owned()),
        Err(error) => {
            entry.reject(report, format!("the id {error}; {allowed}"));
            None
        }
    }
}

/// `true` or `false`.
pub(super) fn flag(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<bool> {
    if let Value::BooleanLit(flag) = entry.value {
        return Some(flag.value);
    }
    entry.reject(report, "allowed: true, false");
    None
}

/// A whole number above zero that the API can carry.
pub(super) fn positive(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<i32> {
    let number = whole(entry.value).filter(|number| *number > 0);
    if number.is_none() {
        entry.reject(report, format!("allowed: a whole number from 1 to {}", i32::MAX));
    }
    number
}

fn whole<N: std::str::FromStr>(value: &Value<'_>) -> Option<N> {
    match value {
        Value::NumberLit(number) => number.value.parse().ok(),
        _ => None,
    }
}

/// One word of a list, letter by letter.
pub(super) fn choice<T: Copy>(entry: &Entry<'_>, names: &Names<T>, report: &mut Report<'_>) -> Option<T> {
    let written = as_text(entry);
    let chosen = names.iter().find(|(name, _)| Some(*name) == written);
    if chosen.is_none() {
        reject_word(entry, names, report);
    }
    chosen.map(|(_, value)| *value)
}

/// One word of a list, in small letters or capitals.
pub(super) fn choice_in_any_case<T: Copy>(
    entry: &Entry<'_>,
    names: &Names<T>,
    report: &mut Report<'_>,
) -> Option<T> {
    let written = as_text(entry).unwrap_or_default();
    let chosen = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(written));
    if chosen.is_none() {
        reject_word(entry, names, report);
    }
    chosen.map(|(_, value)| *value)
}

fn reject_word<T>(entry: &Entry<'_>, names: &Names<T>, report: &mut Report<'_>) {
    let words = names.iter().map(|(name, _)| *name);
    let allowed: Vec<&str> = words.clone().collect();
    let message = Message::new(format!("allowed: {}", allowed.join(", ")))
        .found(describe(entry.value))
        .suggest(as_text(entry).and_then(|written| nearest(written, words)));
    entry.fault(report, message);
}

/// A time zone of the IANA database.
pub(super) fn time_zone(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<Tz> {
    let written = as_text(entry).unwrap_or_default();
    if let Ok(zone) = written.parse() {
        return Some(zone);
    }
    let message = Message::new("allowed: an IANA time zone, such as \"UTC\" or \"Europe/Paris\"")
        .found(describe(entry.value))
        .suggest(nearest_zone(written));
    entry.fault(report, message);
    None
}

/// The zone nearest by its whole name or, for somebody who wrote only a city, by its last part.
fn nearest_zone(written: &str) -> Option<&'static str> {
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    nearest(written, names()).or_else(|| {
        let city = |name: &'static str| name.rsplit('/').next().unwrap_or(name);
        let nearest_city = nearest(written.rsplit('/').next()?, names().map(city))?;
        names().find(|name| city(name) == nearest_city)
    })
}

/// A length of time in seconds: a whole number of seconds, or a number with a unit.
pub(super) fn seconds(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<u32> {
    let read = match as_text(entry) {
        Some(text) => seconds_of(text),
        None => whole(entry.value),
    };
    let length = read.filter(|seconds| *seconds > 0);
    if length.is_none() {
        entry.reject(
            report,
            format!(
                "allowed: seconds (1 to {}), or a whole number with one of d, h, m, s, such as \"7d\"",
                u32::MAX
            ),
        );
    }
    length
}

fn seconds_of(text: &str) -> Option<u32> {
    let unit = match text.as_bytes().last()? {
        b'd' => 86_400,
        b'h' => 3_600,
        b'm' => 60,
        b's' => 1,
        _ => return None,
    };
    let digits = text.get(..text.len() - 1)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u32>().ok()?.checked_mul(unit)
}
