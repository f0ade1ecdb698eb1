//! What a reward platform looks like to us.

use std::time::Duration;

use async_trait::async_trait;
use gauntlet_domain::{Timestamp, catalogue::Reward};
use gauntlet_store::Grant;

/// What a platform can do decides what may be promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlatformClass {
    /// It takes our key and carries a grant out once, however often it is sent, as long as it
    /// remembers the key: exactly once.
    TakesKey {
        /// How long it remembers; repeating stops well before.
        key_lifetime: Duration,
    },
    /// It does not take our key, but can be asked whether a grant with our reference was made:
    /// once, after asking.
    Searchable,
    /// Neither: at most once; what is lost is for an operator.
    Neither,
}

/// One grant as a platform sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantCall {
    /// The same for each attempt of a grant, different for any two grants.
    pub idempotency_key: String,
    /// The game's namespace.
    pub namespace: String,
    /// Who gets the reward.
    pub player: String,
    /// For which challenge.
    pub challenge_id: String,
    /// For which goal.
    pub goal_id: String,
    /// What.
    pub reward: Reward,
    /// When the player asked.
    pub claimed_at: Timestamp,
    /// 1 for the first attempt.
    pub attempt: u32,
}

impl GrantCall {
    /// The call for a stored grant.
    #[must_use]
    pub fn of(grant: &Grant) -> Self {
        let player = &grant.id.player;
        Self {
            idempotency_key: grant.id.key.idempotency_key(
                &player.namespace,
                &player.player,
                &grant.challenge_id,
                &grant.goal_id,
            ),
            namespace: player.namespace.clone(),
            player: player.player.clone(),
            challenge_id: grant.challenge_id.clone(),
            goal_id: grant.goal_id.clone(),
            reward: grant.reward.clone(),
            claimed_at: grant.claimed_at,
            attempt: grant.attempt,
        }
    }
}

/// A platform's answer to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantAnswer {
    /// Handed out, by this attempt or by an earlier one with the same key.
    Granted,
    /// Refused for good; repeating does not help.
    Refused(String),
    /// Certainly not carried out; may be repeated.
    NotDone(String),
    /// May or may not have been carried out.
    Ambiguous(String),
}

impl GrantAnswer {
    /// The value of the metric's label.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused(_) => "refused",
            Self::NotDone(_) => "not_done",
            Self::Ambiguous(_) => "ambiguous",
        }
    }
}

/// A platform's answer to the question whether a grant was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// It was.
    Found,
    /// It was not, and no attempt is on its way any more.
    NotFound,
    /// The platform cannot say now.
    Unanswered(String),
}

/// A reward platform.
#[async_trait]
pub trait RewardAdapter: Send + Sync + std::fmt::Debug {
    /// Its name in settings, logs and metrics.
    fn name(&self) -> &'static str;

    /// What the platform can do.
    fn class(&self) -> PlatformClass;

    /// Sends one attempt. The caller sets the deadline; retries are the caller's too.
    async fn grant(&self, call: &GrantCall) -> GrantAnswer;

    /// Asks whether a grant was made. Called for [`PlatformClass::Searchable`] only.
    async fn search(&self, call: &GrantCall) -> Search;
}
