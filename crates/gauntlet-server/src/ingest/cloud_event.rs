//! Events as `CloudEvents` 1.0, for people who are not on the platform.

use gauntlet_domain::{EventWhat, ReceiptKey};
use serde::Deserialize;

use super::{Problem, Raw};
use crate::metrics::EventKind;

/// The `CloudEvents` type of a login.
pub const LOGIN_TYPE: &str = "user.loggedIn";
/// The `CloudEvents` type of a changed statistic.
pub const STAT_TYPE: &str = "stat.updated";

/// A `CloudEvents` event with the attributes that we read; others are ignored.
#[derive(Debug, Clone, Deserialize)]
pub struct CloudEvent {
    /// `1.0`.
    #[serde(default)]
    pub specversion: String,
    /// Unique within the source.
    #[serde(default)]
    pub id: String,
    /// Who says so.
    #[serde(default)]
    pub source: String,
    /// [`LOGIN_TYPE`] or [`STAT_TYPE`].
    #[serde(default, rename = "type")]
    pub kind: String,
    /// The player, unless the data names it.
    #[serde(default)]
    pub subject: String,
    /// When it happened, RFC 3339; now when missing.
    #[serde(default)]
    pub time: String,
    /// What happened.
    #[serde(default)]
    pub data: Option<CloudEventData>,
}

/// What happened, in either spelling.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct CloudEventData {
    /// The player.
    #[serde(default, alias = "user_id")]
    #[serde(rename = "userId")]
    pub user_id: String,
    /// The game's namespace; ours when missing.
    #[serde(default)]
    pub namespace: String,
    /// The statistic.
    #[serde(default, alias = "stat_code")]
    #[serde(rename = "statCode")]
    pub stat_code: String,
    /// Its value after the change.
    #[serde(default, alias = "latest_value", alias = "value")]
    #[serde(rename = "latestValue")]
    pub latest_value: Option<f64>,
    /// By how much it changed.
    #[serde(default)]
    pub inc: f64,
}

impl CloudEvent {
    /// The event as all events look, or its id, its player and what is wrong with it.
    pub(super) fn into_raw(self) -> Result<Raw, (String, String, Problem)> {
        let data = self.data.unwrap_or_default();
        let player = match (self.subject.as_str(), data.user_id.as_str()) {
            (one, "") | ("", one) => one.to_owned(),
            (one, other) if one == other => one.to_owned(),
            (one, _) => {
                let problem = Problem::new("contradiction", "subject and data.userId are different");
                return Err((self.id, one.to_owned(), problem));
            }
        };
        let fail =
            |word, message: String| Err((self.id.clone(), player.clone(), Problem::new(word, message)));
        if self.specversion != "1.0" {
            return fail(
                "bad_specversion",
                format!("specversion is {:?}; allowed is \"1.0\"", self.specversion),
            );
        }
        if self.source.is_empty() || self.source.chars().count() > 500 {
            return fail("bad_source", "source must have 1 to 500 characters".into());
        }
        if self.source.chars().any(char::is_control) {
            return fail("bad_source", "source has a control character".into());
        }
        if self.id.is_empty() {
            return fail("missing_id", "id is empty; CloudEvents need one".into());
        }
        let (kind, what) = match (self.kind.as_str(), data.latest_value) {
            (LOGIN_TYPE, _) => (EventKind::Login, EventWhat::Login),
            (STAT_TYPE, Some(value)) => {
                (EventKind::Stat, EventWhat::Stat { code: data.stat_code, value, increment: data.inc })
            }
            (STAT_TYPE, None) => return fail("missing_payload", "data.latestValue is missing".into()),
            (other, _) => {
                let allowed = format!("allowed are {LOGIN_TYPE:?} and {STAT_TYPE:?}");
                return fail("bad_type", format!("type is {other:?}; {allowed}"));
            }
        };
        let key = ReceiptKey { source: self.source.into(), kind: self.kind.into(), id: self.id };
        Ok(Raw { kind, player, namespace: data.namespace, timestamp: self.time, key, what })
    }
}
