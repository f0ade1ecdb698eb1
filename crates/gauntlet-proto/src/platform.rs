//! Events as the game platform makes them: one place that knows what stands in their fields.

use crate::{
    iam::{LoginDetails, UserLoggedIn},
    statistic::{StatItem, StatItemUpdated},
};

/// What all events of the platform have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventHead {
    /// Its id, by which a repeated one is known.
    pub id: String,
    /// Whose game.
    pub namespace: String,
    /// Whose.
    pub user_id: String,
    /// When it happened, RFC 3339.
    pub timestamp: String,
}

impl EventHead {
    /// The player has logged in.
    #[must_use]
    pub fn login(self) -> UserLoggedIn {
        UserLoggedIn {
            payload: Some(LoginDetails {}),
            id: self.id,
            version: 1,
            name: "userLoggedIn".to_owned(),
            namespace: self.namespace,
            timestamp: self.timestamp,
            user_id: self.user_id,
            ..UserLoggedIn::default()
        }
    }

    /// A statistic of the player has this value now, and has changed by `inc` (0: not said).
    #[must_use]
    pub fn stat(self, code: &str, value: f64, inc: f64) -> StatItemUpdated {
        let item = StatItem {
            namespace: self.namespace.clone(),
            stat_code: code.to_owned(),
            user_id: self.user_id.clone(),
            latest_value: value,
            inc,
        };
        StatItemUpdated {
            payload: Some(item),
            id: self.id,
            version: 1,
            name: "statItemUpdated".to_owned(),
            namespace: self.namespace,
            timestamp: self.timestamp,
            user_id: self.user_id,
            ..StatItemUpdated::default()
        }
    }
}
