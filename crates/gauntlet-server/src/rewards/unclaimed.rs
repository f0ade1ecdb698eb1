//! Rewards that are granted without being asked for, when their cycle has ended.
//!
//! Completing such a goal notes in the same transaction when somebody has to look after its player.
//! The worker of any replica takes players who are due, lets the rules order the grants, and sends
//! them like claims. Whoever takes a player may die: the player is due again a minute later, and
//! what was ordered is in the document, so nothing is ordered twice.

use std::time::Duration;

use futures_util::future::join_all;
use gauntlet_domain::{Command, Reply};
use gauntlet_store::{
    PlayerKey,
    crash::{self, Point},
};
use tokio::time::Instant;

use super::Rewards;
use crate::core::{Chain, millis};

/// How many players it looks after at a time. Each is a commit and a call to the platform; at
/// midnight there may be many.
const TAKEN: u32 = 64;
/// How long after it was taken a player is due again, if nothing was heard of it.
const AGAIN: Duration = Duration::from_secs(60);

impl Rewards {
    /// Looks after players who are due. Answers whether there may be more.
    pub(super) async fn grant_unclaimed(&self) -> bool {
        let now = self.core.now();
        let again = now.plus_millis(millis(AGAIN));
        let taken = self.core.store().take_due_players(self.core.namespace(), now, again, TAKEN).await;
        let taken = taken.unwrap_or_else(|error| {
            tracing::warn!(error = %Chain(&error), "players who are due could not be read");
            Vec::new()
        });
        crash::point_if(Point::DueTaken, || !taken.is_empty());
        let count = taken.len();
        join_all(taken.into_iter().map(|player| self.look_after(player))).await;
        count >= TAKEN as usize
    }

    /// Orders what is due to one player, and sends it.
    async fn look_after(&self, player: PlayerKey) {
        let since = Instant::now();
        let orders = match self.shards.call(player.clone(), Command::GrantUnclaimed).await {
            Ok((Reply::UnclaimedGranted { orders }, _)) => orders,
            Ok(_) => Vec::new(),
            Err(error) => {
                let error = crate::error::ApiError::from(error);
                tracing::warn!(%error, "unclaimed rewards could not be ordered yet");
                Vec::new()
            }
        };
        if orders.is_empty() {
            return;
        }
        crash::point(Point::UnclaimedOrdered);
        let send = |order| {
            let grant = self.first_attempt(player.clone(), order);
            self.governor.first_attempt();
            self.core.metrics().unclaimed_granted();
            async move { self.send(&grant, false, since).await }
        };
        // What goes wrong is logged and stays with the recovery of grants.
        let _told = join_all(orders.into_iter().map(send)).await;
    }
}
