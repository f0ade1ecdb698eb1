//! The recovery worker: takes over grants whose sender did not come back.

use std::time::Duration;

use futures_util::future::join_all;
use gauntlet_store::Grant;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    GrantCall, Rewards, Search,
    policy::{Recovery, Step, after_search, after_takeover},
};
use crate::core::Chain;

/// How often it looks. With the lease, this decides how long a player waits for a reward whose
/// sender has died.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many grants it takes over at a time. All of them are sent at once, because their leases run.
const TAKEN: u32 = 16;

/// Looks for grants to take over until it is told to stop. What it has taken over it finishes.
pub(crate) async fn recover(rewards: Rewards, stop: CancellationToken) {
    let mut pause = INTERVAL;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let since = Instant::now();
        let taken = rewards.take_over().await;
        let more = taken.len() >= TAKEN as usize;
        pause = if more { Duration::ZERO } else { INTERVAL };
        join_all(taken.into_iter().map(|grant| rewards.resume(grant, since))).await;
        rewards.report().await;
    }
}

impl Rewards {
    pub(super) async fn take_over(&self) -> Vec<Grant> {
        let taken = self.core.store().take_due_grants(self.core.now(), &self.core.lease(), TAKEN).await;
        taken.unwrap_or_else(|error| {
            tracing::warn!(error = %Chain(&error), "due grants could not be read");
            Vec::new()
        })
    }

    /// Goes on with a grant that was taken over under a lease asked for at `since`.
    pub(super) async fn resume(&self, grant: Grant, since: Instant) {
        tracing::info!(goal = grant.goal_id, attempt = grant.attempt, "taking a grant over");
        let age = self.core.now().since(grant.created_at);
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        let step = match after_takeover(self.adapter.class(), age) {
            Recovery::Send => None,
            Recovery::Settle(end) => Some(Step::Settle(end)),
            Recovery::Search => after_search(self.search(&grant).await),
        };
        // What goes wrong is logged and stays due.
        let _told = match step {
            None => self.send(&grant, since).await,
            Some(Step::Settle(end)) => self.settle(&grant, end).await,
            Some(Step::Again(why)) => {
                self.put_off(&grant, why).await;
                Ok(())
            }
        };
    }

    /// Asks the platform, with a deadline, whether a grant was made.
    async fn search(&self, grant: &Grant) -> Search {
        let call = GrantCall::of(grant);
        let found = tokio::time::timeout(self.core.grant_deadline(), self.adapter.search(&call)).await;
        found.unwrap_or_else(|_| Search::Unanswered("no answer in time".into()))
    }

    /// Tells how many grants wait and since when.
    async fn report(&self) {
        let Ok((count, oldest)) = self.core.store().pending_grants().await else { return };
        let age = oldest.map_or(0, |oldest| self.core.now().since(oldest).max(0));
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        self.core.metrics().pending(count, age);
    }
}
