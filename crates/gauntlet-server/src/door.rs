//! A narrow door to inner parts, for benchmarks that measure them alone. Nothing else uses it.

use std::{sync::Arc, time::Duration};

use gauntlet_domain::Catalogue;
use gauntlet_store::Store;

pub use crate::http::Splice;
use crate::{
    clock::{SystemClock, SystemRandom},
    core::{Core, CoreParts},
    lifecycle::Tasks,
    metrics::Metrics,
    shards::{Limits, Shards},
};

/// The shards without faces.
#[derive(Debug)]
pub struct Batcher {
    shards: Shards,
    tasks: Tasks,
}

impl Batcher {
    /// Starts so many shards over a store. Needs a runtime.
    #[must_use]
    pub fn start(store: Arc<dyn Store>, catalogue: Arc<Catalogue>, namespace: &str, shards: usize) -> Self {
        let core = Core::new(CoreParts {
            store,
            catalogue,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            metrics: Arc::new(Metrics::new()),
            namespace: namespace.to_owned(),
            late_window: Duration::from_secs(600),
            grant_deadline: Duration::from_secs(10),
            grant_takeover: Duration::from_secs(5),
            grant_settle: Duration::ZERO,
        });
        let tasks = Tasks::new();
        let shards = Shards::start(Arc::new(core), Limits { shards, ..Limits::default() }, &tasks);
        Self { shards, tasks }
    }

    /// A handle for events.
    #[must_use]
    pub fn shards(&self) -> Shards {
        self.shards.clone()
    }

    /// Carries out what waits and ends the shards.
    pub async fn close(self) {
        self.shards.close();
        self.tasks.finished().await;
    }
}
