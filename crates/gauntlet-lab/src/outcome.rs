//! How a call ended: the class of the transport and the reason that the server gave.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::Check;

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should.
    Ok,
    /// The server refused, for a reason that the scenario expects here.
    Expected(Cause),
    /// Anything else.
    Failed(Cause),
}

/// Why a call did not do what it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// How it looked on the wire: `HTTP 400`, `gRPC UNAVAILABLE`, `connection refused`.
    pub(crate) class: String,
    /// What the server says: the reason of its `ErrorInfo`, else its message, else that there was
    /// none.
    pub(crate) reason: String,
    /// The beginning of what came.
    pub(crate) head: String,
    /// The status on the wire; 0: there was none.
    pub(crate) status: u16,
    /// Whether the call may have been carried out all the same.
    pub(crate) doubtful: bool,
    /// Seconds after which to ask again, if the server says so.
    pub(crate) retry_after: Option<u64>,
}

/// A call that did not do what it was made for, to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// `GET`, `POST`, or `gRPC`.
    pub method: String,
    /// The path.
    pub path: String,
    /// Who called.
    pub player: String,
    /// The status on the wire; 0: there was none.
    pub status: u16,
    /// The beginning of what came back.
    pub body: String,
    /// When, in seconds since the start.
    pub at: String,
}

/// Longest beginning of a body that is kept, in characters.
const HEAD: usize = 200;
/// Longest message that is used as a reason, in characters.
const MESSAGE: usize = 100;

/// Reasons after which the call may have been carried out, or is still being.
const DOUBTFUL: [&str; 5] =
    ["DEADLINE_EXCEEDED", "INTERNAL", "STORE_UNAVAILABLE", "REWARD_PENDING", "REWARD_UNCERTAIN"];

/// The cause that an HTTP reply tells.
pub(crate) fn of_http(status: u16, body: &[u8]) -> Cause {
    let (reason, named) = match reason_of_json(body) {
        Some(reason) => (reason, true),
        None if body.is_empty() => ("no body".to_owned(), false),
        None => (message_of(body), false),
    };
    // Without a reason of the contract only a plain refusal is known not to have been carried out.
    let doubtful = if named { DOUBTFUL.contains(&reason.as_str()) } else { status >= 500 };
    Cause { class: format!("HTTP {status}"), reason, head: head(body), status, doubtful, retry_after: None }
}

/// The cause that a gRPC status tells.
pub(crate) fn of_status(status: &tonic::Status) -> Cause {
    let code = format!("{:?}", status.code());
    let (reason, doubtful) = match reason_of_status(status) {
        Some(reason) => {
            let doubtful = DOUBTFUL.contains(&reason.as_str());
            (reason, doubtful)
        }
        None if status.message().is_empty() => ("no reason given".to_owned(), true),
        None => (normal(status.message()), true),
    };
    let number = u16::try_from(i32::from(status.code())).unwrap_or_default();
    let head = status.message().chars().take(HEAD).collect();
    let retry_after = status.metadata().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| text.trim().parse().ok());
    Cause { class: format!("gRPC {code}"), reason, head, status: number, doubtful, retry_after }
}

/// The cause of a call without an answer. `sent`: the request may have reached the server.
pub(crate) fn of_transport(class: &str, detail: &str, sent: bool) -> Cause {
    let head: String = detail.chars().take(HEAD).collect();
    Cause {
        class: class.to_owned(),
        reason: normal(detail),
        head,
        status: 0,
        doubtful: sent,
        retry_after: None,
    }
}

/// The cause of an answer that says yes and makes no sense.
pub(crate) fn of_nonsense(status: u16, what: &str, body: &[u8]) -> Cause {
    let class = format!("HTTP {status}, wrong content");
    Cause { class, reason: what.to_owned(), head: head(body), status, doubtful: true, retry_after: None }
}

/// The cause of an answer that does not say what the scenario wants. The call was carried out.
pub(crate) fn of_check(check: &Check, found: &str) -> Cause {
    Cause {
        class: "HTTP 200, check failed".to_owned(),
        reason: check.to_string(),
        head: head(found.as_bytes()),
        status: 200,
        doubtful: false,
        retry_after: None,
    }
}

fn head(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(4 * HEAD)]).chars().take(HEAD).collect()
}

fn reason_of_json(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body["details"].as_array()?.iter().find_map(|detail| detail["reason"].as_str()).map(str::to_owned)
}

fn message_of(body: &[u8]) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = parsed.as_ref().and_then(|body| body["message"].as_str());
    message.map_or_else(|| normal(&head(body)), normal)
}

fn reason_of_status(status: &tonic::Status) -> Option<String> {
    use gauntlet_proto::rpc;
    use prost::Message as _;
    let details = rpc::Status::decode(status.details()).ok()?.details;
    let info = details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.ErrorInfo"))?;
    rpc::ErrorInfo::decode(info.value.as_slice()).ok().map(|info| info.reason)
}

/// A message without what differs from call to call: numbers, and what stands in quotes.
fn normal(message: &str) -> String {
    let mut text = String::new();
    let (mut quoted, mut number) = (false, false);
    for c in message.chars() {
        if c == '"' {
            quoted = !quoted;
            if quoted {
                text.push_str("\"...\"");
            }
        } else if quoted {
            continue;
        } else if c.is_ascii_digit() {
            if !number {
                text.push('#');
            }
        } else {
            text.push(if c.is_control() { ' ' } else { c });
        }
        number = c.is_ascii_digit();
        if text.chars().count() >= MESSAGE {
            break;
        }
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_server_s_word_if_there_is_one() {
        let body = br#"{"code":8,"message":"full","details":[{"reason":"OVERLOADED"}]}"#;
        let cause = of_http(429, body);
        assert_eq!((cause.class.as_str(), cause.reason.as_str()), ("HTTP 429", "OVERLOADED"));
        assert!(!cause.doubtful, "nothing was done");
        assert_eq!(of_http(400, b"").reason, "no body");
        let cause = of_http(500, br#"{"code":13,"message":"FATAL: sorry, too many clients already (150)"}"#);
        assert_eq!(cause.reason, "FATAL: sorry, too many clients already (#)");
        assert!(cause.doubtful);
    }

    #[test]
    fn messages_of_one_kind_look_alike() {
        assert_eq!(normal("goal \"a-7\" of 12"), normal("goal \"b\" of 3"));
        assert!(normal(&"x".repeat(1000)).len() <= MESSAGE);
    }
}
