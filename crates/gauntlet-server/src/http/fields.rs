//! Request bodies: JSON objects with the fields of a message, spelled `lowerCamelCase` or
//! `snake_case`.
//!
//! An empty body is an empty message, and so is a field that is missing or null its default.
//! Fields that the message does not have are skipped, as they are on the gRPC face: clients of a
//! later release, and those that send more than they need, are served.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::header::CONTENT_LENGTH,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;
use std::time::Duration;

use crate::error::{ApiError, Reason};

/// Largest body of a request to the player API. The largest sensible one, 100 goal ids of 100
/// characters of 4 bytes, has 40 KB.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// A body that takes longer than this to arrive is given up: a peer that sends a byte now and
/// then must not hold a request for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The fields of a message, as sent.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, Value)>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = read_body(request, MAX_BODY).await?;
        Self::parse(&bytes)
    }
}

/// Reads a whole body that is not larger than `limit`.
pub(super) async fn read_body(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = || {
        ApiError::new(Reason::InvalidInput, format!("the body is larger than {limit} bytes"))
            .with("limit", limit.to_string())
    };
    // A body that says that it is too large need not be read to know.
    let said = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if said.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large());
    }
    let body: Body = request.into_body();
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::new(Reason::InvalidInput, "the body ended too early")),
        Err(_) => Err(ApiError::new(Reason::DeadlineExceeded, "the body did not arrive in time")),
    }
}

impl Fields {
    fn parse(body: &[u8]) -> Result<Self, ApiError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(body).map_err(|error| not_json(&error))
    }

    /// A field that must not be given twice, in one spelling or in both: which of the two counts
    /// would depend on who reads it.
    fn take(&mut self, name: &'static str) -> Result<Option<Value>, ApiError> {
        let mut found = None;
        for (sent, value) in &mut self.0 {
            if is_spelling_of(sent, name) && found.replace(value.take()).is_some() {
                return Err(ApiError::invalid(name, "is given more than once"));
            }
        }
        Ok(found.filter(|value| !value.is_null()))
    }

    fn read<T: Default>(
        &mut self,
        name: &'static str,
        kind: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<T, ApiError> {
        let Some(value) = self.take(name)? else { return Ok(T::default()) };
        read(value).ok_or_else(|| ApiError::invalid(name, format!("is not {kind}")))
    }

    /// A truth value; false when it is missing.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, ApiError> {
        self.read(name, "true or false", |value| value.as_bool())
    }

    /// A whole number; 0 when it is missing.
    pub(super) fn int32(&mut self, name: &'static str) -> Result<i32, ApiError> {
        self.read(name, "a whole number of 32 bits", |value| match value {
            Value::Number(number) => whole(&number),
            _ => None,
        })
    }

    /// A list of strings; empty when it is missing.
    pub(super) fn strings(&mut self, name: &'static str) -> Result<Vec<String>, ApiError> {
        self.read(name, "a list of strings", |value| match value {
            Value::Array(items) => items.into_iter().map(string).collect(),
            _ => None,
        })
    }

    /// An id that the path names. The body need not repeat it, and must not contradict it.
    pub(super) fn same_as_path(&mut self, name: &'static str, in_path: &str) -> Result<(), ApiError> {
        match self.take(name)? {
            Some(Value::String(in_body)) if in_body == in_path || in_body.is_empty() => Ok(()),
            Some(Value::String(_)) => Err(ApiError::invalid(name, "is not the one in the path")),
            Some(_) => Err(ApiError::invalid(name, "is not a string")),
            None => Ok(()),
        }
    }
}

fn string(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// JSON has one kind of number, so 3, 3.0 and 3e0 are the same.
fn whole(number: &serde_json::Number) -> Option<i32> {
    if let Some(whole) = number.as_i64() {
        return i32::try_from(whole).ok();
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
    let range = f64::from(i32::MIN)..=f64::from(i32::MAX);
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within the range")]
    range.contains(&float).then_some(float as i32)
}

/// Whether `sent` is the `snake_case` name, or the same name in `lowerCamelCase`.
fn is_spelling_of(sent: &str, name: &str) -> bool {
    if sent == name {
        return true;
    }
    let mut sent = sent.bytes();
    let mut upper = false;
    for letter in name.bytes() {
        if letter == b'_' {
            upper = true;
            continue;
        }
        let expected = if upper { letter.to_ascii_uppercase() } else { letter };
        upper = false;
        if sent.next() != Some(expected) {
            return false;
        }
    }
    sent.next().is_none()
}

/// What is wrong with a text that should be JSON, without repeating any of it.
pub(super) fn not_json(error: &serde_json::Error) -> ApiError {
    let problem = match error.classify() {
        serde_json::error::Category::Data => "is not a JSON object".to_owned(),
        serde_json::error::Category::Eof => "is JSON that ends too early".to_owned(),
        _ => format!("is not JSON (line {}, column {})", error.line(), error.column()),
    };
    ApiError::new(Reason::InvalidInput, format!("the body {problem}"))
}

impl<'de> Deserialize<'de> for Fields {
    /// A map type would keep the last of two equal keys and hide the first.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllEntries;

        impl<'de> Visitor<'de> for AllEntries {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(AllEntries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Fields {
        Fields::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn both_spellings_are_read() {
        for body in
            [r#"{"goal_ids":["a"],"replace_existing":true}"#, r#"{"goalIds":["a"],"replaceExisting":true}"#]
        {
            let mut fields = fields(body);
            assert_eq!(fields.strings("goal_ids"), Ok(vec!["a".to_owned()]));
            assert_eq!(fields.flag("replace_existing"), Ok(true));
        }
        for (sent, name, same) in [
            ("count", "count", true),
            ("Count", "count", false),
            ("goalids", "goal_ids", false),
            ("goalIdsX", "goal_ids", false),
            ("goalId", "goal_ids", false),
            ("goal_Ids", "goal_ids", false),
        ] {
            assert_eq!(is_spelling_of(sent, name), same, "{sent}");
        }
    }

    #[test]
    fn missing_and_null_are_the_default() {
        for body in ["", "{}", r#"{"is_active":null,"count":null,"goal_ids":null,"more":{"x":[1]}}"#] {
            let mut fields = fields(body);
            assert_eq!(fields.flag("is_active"), Ok(false));
            assert_eq!(fields.int32("count"), Ok(0));
            assert_eq!(fields.strings("goal_ids"), Ok(vec![]));
        }
    }

    #[test]
    fn wrong_types_name_the_field() {
        for (body, problem) in [
            (r#"{"count":"3"}"#, "count is not a whole number of 32 bits"),
            (r#"{"count":2147483648}"#, "count is not a whole number of 32 bits"),
            (r#"{"count":-2147483649}"#, "count is not a whole number of 32 bits"),
            (r#"{"count":1e99}"#, "count is not a whole number of 32 bits"),
            (r#"{"count":99999999999999999999}"#, "count is not a whole number of 32 bits"),
            (r#"{"count":1.5}"#, "count is not a whole number of 32 bits"),
            (r#"{"count":true}"#, "count is not a whole number of 32 bits"),
            (r#"{"count":1,"count":2}"#, "count is given more than once"),
        ] {
            let error = fields(body).int32("count").unwrap_err();
            assert_eq!((error.message.as_str(), error.reason), (problem, Reason::InvalidInput), "{body}");
            assert_eq!(error.metadata, [("field", "count".to_owned())]);
        }
        for number in ["3", "3.0", "3e0", "30e-1"] {
            assert_eq!(fields(&format!(r#"{{"count":{number}}}"#)).int32("count"), Ok(3), "{number}");
        }
        assert!(fields(r#"{"goalIds":"a"}"#).strings("goal_ids").is_err());
        assert!(fields(r#"{"goalIds":[1]}"#).strings("goal_ids").is_err());
        assert!(fields(r#"{"goalIds":[null]}"#).strings("goal_ids").is_err());
        assert!(fields(r#"{"isActive":"true"}"#).flag("is_active").is_err());
        assert!(fields(r#"{"isActive":1}"#).flag("is_active").is_err());
        let twice = fields(r#"{"isActive":true,"is_active":true}"#).flag("is_active").unwrap_err();
        assert_eq!(twice.message, "is_active is given more than once");
    }

    #[test]
    fn ids_of_the_path_may_be_repeated_and_not_contradicted() {
        for body in ["", r#"{"goalId":"g"}"#, r#"{"goal_id":"g"}"#, r#"{"goal_id":""}"#] {
            assert_eq!(fields(body).same_as_path("goal_id", "g"), Ok(()), "{body}");
        }
        for body in [r#"{"goalId":"h"}"#, r#"{"goalId":1}"#, r#"{"goalId":"g","goal_id":"g"}"#] {
            assert!(fields(body).same_as_path("goal_id", "g").is_err(), "{body}");
        }
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for (body, problem) in [
            ("[]", "the body is not a JSON object"),
            ("3", "the body is not a JSON object"),
            ("null", "the body is not a JSON object"),
            ("{", "the body is JSON that ends too early"),
            (" ", "the body is JSON that ends too early"),
            ("{}x", "the body is not JSON (line 1, column 3)"),
            ("a=b", "the body is not JSON (line 1, column 1)"),
        ] {
            let error = Fields::parse(body.as_bytes()).unwrap_err();
            assert_eq!((error.message.as_str(), error.reason), (problem, Reason::InvalidInput), "{body}");
        }
        assert!(Fields::parse(b"{\"a\":\"\xff\"}").is_err());
        assert!(Fields::parse("[".repeat(60_000).as_bytes()).is_err());
    }
}
