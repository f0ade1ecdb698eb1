//! The worker: takes over grants whose sender did not come back, and looks after players whose
//! unclaimed rewards are granted by themselves.

use std::time::Duration;

use futures_util::future::join_all;
use gauntlet_store::{
    DueGrant, Grant,
    crash::{self, Point},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    GrantCall, Rewards, Search,
    policy::{Recovery, Step, after_search, after_takeover},
};
use crate::{core::Chain, lifecycle::at};

/// How many grants it takes over at a time, if breaker and budget let it. All of them are sent at
/// once, because their leases run.
const TAKEN: u32 = 16;

/// Looks for grants to take over until it is told to stop. What it has taken over it finishes.
/// With the lease, the interval decides how long a player waits for a reward whose sender has died.
pub(crate) async fn recover(rewards: Rewards, interval: Duration, stop: CancellationToken) {
    let mut pause = interval;
    loop {
        at("its next round");
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        at("reading and sending due grants");
        let since = Instant::now();
        let (taken, more) = rewards.take_over().await;
        crash::point_if(Point::TakenOver, || !taken.is_empty());
        let resumed = |due| rewards.core.traces().own("grant.resume", rewards.resume(due, since));
        join_all(taken.into_iter().map(resumed)).await;
        at("granting unclaimed rewards");
        let more = rewards.grant_unclaimed().await || more;
        pause = if more { Duration::ZERO } else { interval };
        rewards.report().await;
    }
}

impl Rewards {
    /// Takes over what is due and may be sent now. Answers also whether there may be more.
    pub(super) async fn take_over(&self) -> (Vec<DueGrant>, bool) {
        let now = self.core.now();
        let (allowed, refused) = self.governor.retries(TAKEN, now);
        let taken = if allowed == 0 {
            Ok(Vec::new())
        } else {
            self.core.store().take_due_grants(now, &self.core.lease(), allowed).await
        };
        let taken = taken.unwrap_or_else(|error| {
            tracing::warn!(error = %Chain(&error), "due grants could not be read");
            Vec::new()
        });
        let used = u32::try_from(taken.len()).unwrap_or(u32::MAX);
        self.governor.unused(allowed.saturating_sub(used));
        if used == allowed {
            // As many as there was room for: the others that a round may take wait for the budget.
            self.core.metrics().grants_held_back(self.adapter.name(), "budget", refused);
        }
        (taken, used >= TAKEN)
    }

    /// Goes on with a grant that was taken over under a lease asked for at `since`.
    pub(super) async fn resume(&self, due: DueGrant, since: Instant) {
        let DueGrant { grant, in_doubt } = due;
        tracing::info!(goal = grant.goal_id, attempt = grant.attempt, in_doubt, "taking a grant over");
        let age = self.core.now().since(grant.created_at);
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        let step = match after_takeover(self.adapter.class(grant.reward.kind), in_doubt, age) {
            Recovery::Send => None,
            Recovery::Settle(end) => Some(Step::Settle(end)),
            Recovery::Search => {
                let found = self.search(&grant).await;
                crash::point(Point::Searched);
                after_search(found)
            }
        };
        // What goes wrong is logged and stays due.
        let _told = match step {
            None => self.send(&grant, in_doubt, since).await,
            Some(Step::Settle(end)) => self.settle(&grant, end).await,
            Some(Step::Again(again)) => {
                self.put_off(&grant, again).await;
                Ok(())
            }
        };
    }

    /// Asks the platform, with a deadline, whether a grant was made.
    async fn search(&self, grant: &Grant) -> Search {
        if self.governor.allow(self.core.now()).is_err() {
            self.core.metrics().grants_held_back(self.adapter.name(), "breaker", 1);
            return Search::Unanswered("the platform is left alone after failures".into());
        }
        let call = GrantCall::of(grant);
        let found = tokio::time::timeout(self.core.grant_deadline(), self.adapter.search(&call)).await;
        let found = found.unwrap_or_else(|_| Search::Unanswered("no answer in time".into()));
        self.governor.searched(&found, self.core.now());
        found
    }

    /// Tells how many grants wait and since when.
    async fn report(&self) {
        let Ok((count, oldest)) = self.core.store().pending_grants().await else { return };
        let age = oldest.map_or(0, |oldest| self.core.now().since(oldest).max(0));
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        self.core.metrics().pending(count, age);
    }
}
