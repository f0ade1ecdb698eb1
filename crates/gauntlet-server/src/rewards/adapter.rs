//! What a reward platform looks like to us.

use std::{fmt::Write as _, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::digest;
use gauntlet_domain::{
    Timestamp,
    catalogue::{Reward, RewardKind},
};
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
    Searchable {
        /// How long after a call was given up its effect may still be missing in the answers.
        /// Nobody asks before. Too short, and a reward may be handed out twice; too long, and
        /// players whose answer was lost wait for it.
        settle: Duration,
    },
    /// Neither: at most once; what is lost is for an operator.
    Neither,
}

impl PlatformClass {
    /// How long it must be left alone after a lost call; zero unless it is searched.
    #[must_use]
    pub const fn settle(self) -> Duration {
        match self {
            Self::Searchable { settle } => settle,
            Self::TakesKey { .. } | Self::Neither => Duration::ZERO,
        }
    }
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
            namespace: player.namespace.to_string(),
            player: player.player.clone(),
            challenge_id: grant.challenge_id.clone(),
            goal_id: grant.goal_id.clone(),
            reward: grant.reward.clone(),
            claimed_at: grant.claimed_at,
            attempt: grant.attempt,
        }
    }

    /// The key in a form that fits everywhere (headers, paths, columns of other people's tables):
    /// `gr_` and the 64 hexadecimal digits of its SHA-256.
    #[must_use]
    pub fn reference(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.idempotency_key.as_bytes());
        let mut reference = String::with_capacity(3 + 2 * digest::SHA256_OUTPUT_LEN);
        reference.push_str("gr_");
        for byte in digest.as_ref() {
            let _ = write!(reference, "{byte:02x}");
        }
        reference
    }
}

/// A platform's answer to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantAnswer {
    /// Handed out, by this attempt or by an earlier one with the same key.
    Granted,
    /// Refused for good; repeating does not help.
    Refused(String),
    /// Certainly not carried out; may be repeated, whatever the class.
    NotDone {
        /// Why not.
        why: String,
        /// The platform asked to wait this long; bounded by whoever read it.
        retry_after: Option<Duration>,
    },
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
            Self::NotDone { .. } => "not_done",
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

    /// What the platform can do with rewards of this kind.
    fn class(&self, kind: RewardKind) -> PlatformClass;

    /// How long it must be left alone after a lost call, whatever the reward.
    fn settle(&self) -> Duration {
        [RewardKind::Item, RewardKind::Wallet]
            .map(|kind| self.class(kind).settle())
            .into_iter()
            .max()
            .unwrap_or_default()
    }

    /// Sends one attempt. The caller sets the deadline and drops the call when it has passed;
    /// retries are the caller's too.
    async fn grant(&self, call: &GrantCall) -> GrantAnswer;

    /// Asks whether a grant was made. Called for [`PlatformClass::Searchable`] only, and only when
    /// the last attempt has settled.
    async fn search(&self, call: &GrantCall) -> Search;
}
