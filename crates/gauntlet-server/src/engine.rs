//! What a server does behind its faces: shards, claims, recovery and housekeeping, started and
//! stopped in the right order. It has no listener, so that a simulation can run several.

use std::sync::Arc;

use gauntlet_store::{
    Error as StoreError,
    crash::{self, Point},
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::Api,
    catalogue::Keeper,
    core::{Chain, Core, CoreParts},
    ingest::Ingest,
    lifecycle::Tasks,
    maintenance::keep_house,
    metrics::Metrics,
    reads::Reads,
    rewards::{Rewards, recover},
    server::{Config, Parts},
    shards::Shards,
};

/// The running parts behind the faces.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) core: Arc<Core>,
    pub(crate) shards: Shards,
    pub(crate) rewards: Rewards,
    pub(crate) keeper: Option<Keeper>,
    /// The shards.
    writers: Tasks,
    /// Those that read players together, while there are requests.
    readers: Tasks,
    stop_readers: CancellationToken,
    /// Claims under way.
    claims: Tasks,
    /// Recovery and housekeeping.
    helpers: Tasks,
    stop_helpers: CancellationToken,
}

impl Engine {
    /// Starts the shards, and the helpers that the roles ask for.
    ///
    /// # Errors
    /// A store that does not answer.
    pub(crate) async fn start(config: &Config, parts: Parts) -> Result<Self, StoreError> {
        let core = Core::new(CoreParts {
            store: parts.store,
            catalogue: parts.catalogue,
            clock: parts.clock,
            random: parts.random,
            metrics: Arc::new(Metrics::new()),
            namespace: config.namespace.clone(),
            late_window: config.late_window,
            grant_deadline: config.grant_deadline,
            grant_takeover: config.grant_takeover,
            grant_settle: parts.adapter.settle(),
        });
        let core = Arc::new(core.with_traces(config.traces.clone()));
        // The first event must find the current generation of receipts.
        core.store().rotate_receipts(core.now()).await?;
        // Nobody is told that the server is ready before its connections are.
        core.store().warm_up().await?;
        let (writers, claims) = (Tasks::new(), Tasks::new());
        let (readers, stop_readers) = (Tasks::new(), CancellationToken::new());
        if core.store().prefers_many() {
            core.read_together(Reads::start(&core, &readers, &stop_readers));
        }
        let shards = Shards::start(core.clone(), config.limits, &writers);
        let rewards = Rewards::new(core.clone(), shards.clone(), parts.adapter, claims.clone());
        let (helpers, stop_helpers) = (Tasks::new(), CancellationToken::new());
        let house = keep_house(core.clone(), config.journal_retention, stop_helpers.clone());
        helpers.spawn_until("maintenance", &stop_helpers, house);
        if config.roles.worker {
            let work = recover(rewards.clone(), config.recovery_interval, stop_helpers.clone());
            helpers.spawn_until("recovery", &stop_helpers, work);
        }
        let keeper = config.catalogue.clone().map(|options| Keeper::new(core.clone(), options));
        if let Some(keeper) = &keeper {
            // Alone, a new version comes into use before the first request.
            if let Err(error) = keeper.round().await {
                tracing::error!(error = %Chain(&error), "the newest catalogue cannot be loaded; the one in use stays");
            }
            helpers.spawn_until("catalogue", &stop_helpers, keeper.clone().keep(stop_helpers.clone()));
        }
        Ok(Self {
            core,
            shards,
            rewards,
            keeper,
            writers,
            readers,
            stop_readers,
            claims,
            helpers,
            stop_helpers,
        })
    }

    /// The player API over these parts.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.core.clone(), self.shards.clone(), self.rewards.clone())
            .with_keeper(self.keeper.clone())
    }

    /// The way in for events over these parts.
    pub(crate) fn ingest(&self) -> Ingest {
        Ingest::new(self.core.clone(), self.shards.clone())
    }

    /// The owners of its tasks.
    pub(crate) fn tasks(&self) -> [Tasks; 4] {
        [self.writers.clone(), self.readers.clone(), self.claims.clone(), self.helpers.clone()]
    }

    /// Waits until a long-lived task has died; answers which and how.
    pub(crate) async fn failed(&self) -> String {
        tokio::select! {
            biased;
            why = self.writers.failed() => why,
            why = self.readers.failed() => why,
            why = self.helpers.failed() => why,
        }
    }

    /// Stops in the order in which nothing is lost, once no new requests come in: helpers first,
    /// then open requests (`faces`) to their end, claims to theirs, what waits in the shards, and
    /// the store last.
    pub(crate) async fn stop(&self, faces: impl Future<Output = ()>) {
        self.stop_helpers.cancel();
        crash::point(Point::Draining);
        self.helpers.finished().await;
        tracing::info!("stopping: open requests end");
        faces.await;
        self.claims.finished().await;
        self.shards.close();
        self.writers.finished().await;
        self.stop_readers.cancel();
        self.readers.finished().await;
        crash::point(Point::BeforeClose);
        self.core.store().close().await;
    }

    /// Ends every task at the point where it waits, as a killed process would.
    #[cfg(test)]
    pub(crate) async fn kill(&self) {
        let all = [&self.writers, &self.readers, &self.claims, &self.helpers];
        for tasks in all {
            tasks.kill();
        }
        for tasks in all {
            tasks.finished().await;
        }
    }
}
