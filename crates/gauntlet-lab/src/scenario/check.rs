//! What a scenario wants of replies beyond what the lab looks at by itself.

use std::fmt::{self, Display};

use serde::Deserialize;
use serde_json::Value;

/// What the reply to a call has to say. A call whose reply does not is a failure, with the check as its
/// reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Where: a JSON pointer (RFC 6901), such as `/selectedGoals/0/goalId`; empty: the whole reply.
    pub at: String,
    /// What has to be there.
    pub wanted: Wanted,
}

/// What has to be at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// This text, number or truth value.
    Is(Value),
    /// A number from and to these, or so many entries of a list or object, or characters of a text.
    Within(Option<f64>, Option<f64>),
}

/// A check as files write it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckTable {
    at: String,
    is: Option<Value>,
    min: Option<f64>,
    max: Option<f64>,
}

impl CheckTable {
    pub(super) fn read(self) -> Result<Check, String> {
        let Self { at, is, min, max } = self;
        if !at.is_empty() && !at.starts_with('/') {
            return Err(format!(
                "check at {at:?}: a JSON pointer begins with `/`, as in \"/selectedGoals/0\""
            ));
        }
        let wanted = match (is, min, max) {
            (Some(Value::Array(_) | Value::Object(_)), ..) => {
                return Err(format!("check at {at:?}: `is` is a text, a number, true or false"));
            }
            (Some(value), None, None) => Wanted::Is(value),
            (None, None, None) | (Some(_), ..) => {
                return Err(format!("check at {at:?}: either `is`, or one or both of `min` and `max`"));
            }
            (None, min, max) => Wanted::Within(min, max),
        };
        Ok(Check { at, wanted })
    }
}

impl Check {
    /// Whether a reply says it.
    fn holds(&self, reply: &Value) -> bool {
        let Some(found) = reply.pointer(&self.at) else { return false };
        match &self.wanted {
            Wanted::Is(wanted) => match (found.as_f64(), wanted.as_f64()) {
                (Some(found), Some(wanted)) => found.total_cmp(&wanted).is_eq(),
                _ => found == wanted,
            },
            Wanted::Within(min, max) => size(found)
                .is_some_and(|size| min.is_none_or(|min| size >= min) && max.is_none_or(|max| size <= max)),
        }
    }

    /// What a reply has there, for people.
    fn found(&self, reply: &Value) -> String {
        reply.pointer(&self.at).map_or_else(|| "nothing is there".to_owned(), Value::to_string)
    }
}

/// A number, or how many entries or characters there are.
fn size(value: &Value) -> Option<f64> {
    let count = match value {
        Value::Number(number) => return number.as_f64(),
        Value::Array(list) => list.len(),
        Value::Object(entries) => entries.len(),
        Value::String(text) => text.chars().count(),
        Value::Null | Value::Bool(_) => return None,
    };
    u32::try_from(count).ok().map(f64::from)
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "the reply" } else { &self.at };
        match &self.wanted {
            Wanted::Is(value) => write!(f, "{at} is {value}"),
            Wanted::Within(Some(min), None) => write!(f, "{at} at least {min}"),
            Wanted::Within(None, Some(max)) => write!(f, "{at} at most {max}"),
            Wanted::Within(min, max) => {
                write!(f, "{at} from {} to {}", min.unwrap_or_default(), max.unwrap_or_default())
            }
        }
    }
}

/// The first of the checks that a reply does not fulfil, and what it has instead. A reply is read
/// only if there are checks: a large one takes a while.
pub(crate) fn unmet<'a>(checks: &'a [Check], body: &[u8]) -> Option<(&'a Check, String)> {
    if checks.is_empty() {
        return None;
    }
    let reply: Value = serde_json::from_slice(body).unwrap_or_default();
    let first = checks.iter().find(|check| !check.holds(&reply))?;
    Some((first, first.found(&reply)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &str) -> Result<Check, String> {
        toml::from_str::<CheckTable>(table).unwrap().read()
    }

    #[test]
    fn a_reply_holds_or_the_first_that_fails_is_told_with_what_was_there() {
        let body = br#"{"total":5,"name":"Ann","active":true,"goals":[{"id":"a"},{"id":"b"}]}"#;
        for (table, holds) in [
            ("at = '/total'\nis = 5", true),
            ("at = '/total'\nis = 5.0", true),
            ("at = '/total'\nis = '5'", false),
            ("at = '/total'\nmin = 5", true),
            ("at = '/total'\nmax = 4.5", false),
            ("at = '/total'\nmin = 1\nmax = 9", true),
            ("at = '/active'\nis = true", true),
            ("at = '/active'\nmin = 0", false),
            ("at = '/name'\nmax = 3", true),
            ("at = '/goals'\nmin = 3", false),
            ("at = '/goals/1/id'\nis = 'b'", true),
            ("at = '/goals/2/id'\nis = 'b'", false),
            ("at = ''\nmin = 4", true),
        ] {
            let checks = [check(table).unwrap()];
            assert_eq!(unmet(&checks, body).is_none(), holds, "{table}");
        }
        let checks = ["at = '/total'\nmin = 1", "at = '/goals'\nmin = 3", "at = '/x'\nis = 1"]
            .map(|t| check(t).unwrap());
        let (first, found) = unmet(&checks, body).unwrap();
        assert_eq!(first.to_string(), "/goals at least 3");
        assert_eq!(found, r#"[{"id":"a"},{"id":"b"}]"#);
        assert_eq!(unmet(&checks, b"no JSON").unwrap().1, "nothing is there");
        assert!(unmet(&[], b"no JSON").is_none());
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (table, part) in [
            ("at = 'total'\nis = 1", "begins with `/`"),
            ("at = '/a'", "either `is`"),
            ("at = '/a'\nis = 1\nmin = 1", "either `is`"),
            ("at = '/a'\nis = [1]", "a text, a number"),
        ] {
            assert!(check(table).unwrap_err().contains(part), "{table}");
        }
    }
}
