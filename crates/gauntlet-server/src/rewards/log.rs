//! The adapter for development: it writes a line and hands nothing out.

use std::time::Duration;

use async_trait::async_trait;
use gauntlet_domain::catalogue::RewardKind;

use super::{GrantAnswer, GrantCall, PlatformClass, RewardAdapter, Search};

/// Logs each grant.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogAdapter;

#[async_trait]
impl RewardAdapter for LogAdapter {
    fn name(&self) -> &'static str {
        "log"
    }

    /// A line that is logged twice has the same key, which is all that anybody can check.
    fn class(&self, _kind: RewardKind) -> PlatformClass {
        PlatformClass::TakesKey { key_lifetime: Duration::MAX }
    }

    async fn grant(&self, call: &GrantCall) -> GrantAnswer {
        // The player and the key, which holds the player, stand at debug level only.
        tracing::info!(
            goal = call.goal_id,
            reward = call.reward.id,
            kind = call.reward.kind.as_str(),
            quantity = call.reward.quantity,
            attempt = call.attempt,
            "reward granted (log adapter: nothing was handed out)"
        );
        tracing::debug!(player = call.player, key = call.idempotency_key, "granted to");
        GrantAnswer::Granted
    }

    async fn search(&self, _call: &GrantCall) -> Search {
        Search::Unanswered("the log cannot be searched".into())
    }
}
