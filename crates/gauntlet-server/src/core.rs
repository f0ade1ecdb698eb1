//! What every part of a running server shares: the store, the catalogue in use, the clock, the
//! random source and the metrics.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use gauntlet_domain::{
    Catalogue, Command, Context, Effects, JournalEntry, Player, Reply, Timestamp, decide, show_under,
};
use gauntlet_store::{Error as StoreError, Lease, PlayerKey, Store, Stored};
use tokio::time::Instant;

use crate::{
    catalogue::Shelf,
    clock::{Clock, Random},
    error::{ApiError, Reason},
    guarded::GuardedStore,
    metrics::Metrics,
    reads::{self, Reads},
    traces::Traces,
};

/// What every part of a running server shares.
#[derive(Debug)]
pub struct Core {
    store: GuardedStore,
    shelf: Shelf,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    metrics: Arc<Metrics>,
    namespace: Arc<str>,
    late_window: Duration,
    grant_deadline: Duration,
    grant_takeover: Duration,
    grant_settle: Duration,
    /// Names this process in leases.
    instance: String,
    traces: Traces,
    reads: OnceLock<Reads>,
}

/// A player as read.
#[derive(Debug)]
pub struct Seen {
    /// The document, with what a newer catalogue means for it; `None`: the player has no row.
    pub stored: Option<Stored>,
    /// The catalogue to show it with.
    pub catalogue: Arc<Catalogue>,
    /// What a newer catalogue means for the player and the journal will tell once the player is
    /// written.
    pub untold: Vec<JournalEntry>,
}

/// What a [`Core`] is made of.
#[derive(Debug)]
pub struct CoreParts {
    /// Where players live.
    pub store: Arc<dyn Store>,
    /// The catalogue to begin with; its goals are interned.
    pub catalogue: Arc<Catalogue>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where random numbers come from.
    pub random: Arc<dyn Random>,
    /// Where figures go.
    pub metrics: Arc<Metrics>,
    /// The game's namespace.
    pub namespace: String,
    /// How late an event may come and still count for its own time.
    pub late_window: Duration,
    /// How long one call to the reward platform may take.
    pub grant_deadline: Duration,
    /// How long a grant's lease outlives the two calls that its sender may make (a search and the
    /// grant) and what a searched platform needs to settle: the time to record the result.
    pub grant_takeover: Duration,
    /// How long after a lost call a platform that is searched must be left alone; zero for others.
    pub grant_settle: Duration,
}

impl Core {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: CoreParts) -> Self {
        let instance = format!("{:016x}", parts.random.number());
        parts.metrics.catalogue(&parts.catalogue);
        Self {
            store: GuardedStore::new(parts.store),
            shelf: Shelf::new(parts.catalogue),
            clock: parts.clock,
            random: parts.random,
            metrics: parts.metrics,
            namespace: parts.namespace.into(),
            late_window: parts.late_window,
            grant_deadline: parts.grant_deadline,
            grant_takeover: parts.grant_takeover,
            grant_settle: parts.grant_settle,
            instance,
            traces: Traces::default(),
            reads: OnceLock::new(),
        }
    }

    /// The same with somewhere for spans to go.
    #[must_use]
    pub fn with_traces(mut self, traces: Traces) -> Self {
        self.traces = traces;
        self
    }

    /// Where spans go.
    pub(crate) const fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Where players live.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &self.store
    }

    /// From now on reads of single players that come together share a statement.
    pub(crate) fn read_together(&self, reads: Reads) {
        // Only the first readers are used; a process has one engine.
        drop(self.reads.set(reads));
    }

    /// Whether it makes sense to ask the store: at once, and without a word in the log.
    ///
    /// # Errors
    /// `STORE_UNAVAILABLE` while the store is left alone after failures.
    pub fn check_store(&self) -> Result<(), ApiError> {
        if self.store.is_open() {
            return Ok(());
        }
        self.metrics.shed("breaker");
        Err(ApiError::new(Reason::StoreUnavailable, "the database does not answer; nothing was done"))
    }

    /// Where figures go.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The catalogue in use; a request keeps the one that it began with.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.shelf.current()
    }

    /// The catalogues at hand.
    pub(crate) const fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Uses a catalogue version that a document names, or a later one, from now on.
    ///
    /// # Errors
    /// `STORE_UNAVAILABLE` when it cannot be loaded: this replica does not know all goals of whoever
    /// was written with it, so it must not answer for them.
    pub(crate) async fn catch_up(&self, version: u32) -> Result<Arc<Catalogue>, ApiError> {
        if self.shelf.has_failed(version) {
            return Err(behind());
        }
        self.shelf.catch_up(&self.store, version, &self.metrics).await.map_err(|error| {
            self.shelf.failed(version);
            tracing::warn!(version, error = %Chain(&error), "a catalogue that is in use cannot be loaded");
            behind()
        })
    }

    /// Names this process, in leases and among replicas.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new random number, never 0.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.random.number()
    }

    /// The game's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// How long one call to the reward platform may take.
    #[must_use]
    pub const fn grant_deadline(&self) -> Duration {
        self.grant_deadline
    }

    /// The name of a player in the store.
    #[must_use]
    pub fn key(&self, player: impl Into<String>) -> PlayerKey {
        PlayerKey { player: player.into(), namespace: Arc::clone(&self.namespace) }
    }

    /// A lease of this process that begins now.
    #[must_use]
    pub fn lease(&self) -> Lease {
        let length = self.grant_deadline * 2 + self.grant_settle + self.grant_takeover;
        Lease { owner: self.instance.clone(), until: self.now().plus_millis(millis(length)) }
    }

    /// Whether a grant may be sent under a lease that was asked for at `since`, on a clock that
    /// does not step. The call must end while the lease still holds on every replica's clock:
    /// half of the margin is left for their differences. A commit may take long to be confirmed,
    /// and by then somebody else may have taken the grant over.
    #[must_use]
    pub fn may_send(&self, since: Instant) -> bool {
        since.elapsed() <= self.grant_deadline + self.grant_takeover / 2
    }

    /// What the rules may look at, at this moment.
    #[must_use]
    pub fn context<'a>(&self, catalogue: &'a Catalogue) -> Context<'a> {
        self.context_with(catalogue, self.random())
    }

    /// The same with a seed that the caller has: events draw nothing.
    #[must_use]
    pub fn context_with<'a>(&self, catalogue: &'a Catalogue, seed: u64) -> Context<'a> {
        Context { catalogue, now: self.now(), seed, late_window_ms: millis(self.late_window) }
    }

    /// Reads one whole player, to be shown under the catalogue that comes with the answer.
    ///
    /// # Errors
    /// A store that does not answer, a document that cannot be read, or one that was written
    /// with a newer catalogue than this replica can load.
    pub async fn read(&self, key: PlayerKey) -> Result<Seen, ApiError> {
        self.check_store()?;
        let together = match self.reads.get() {
            Some(reads) => reads.read(&key).await,
            None => None,
        };
        let mut stored = match together {
            Some(answer) => answer?,
            None => reads::alone(self, key).await?,
        };
        let (mut catalogue, mut untold) = (self.catalogue(), Vec::new());
        if let Some(Stored { player, .. }) = &mut stored {
            let wanted = player.head.catalogue_version;
            if wanted > catalogue.version() {
                catalogue = self.catch_up(wanted).await?;
            }
            untold = show_under(player, &catalogue, self.now());
        }
        Ok(Seen { stored, catalogue, untold })
    }

    /// What a command would answer, if it would change nothing; `None` when it has to be carried
    /// out.
    #[must_use]
    pub fn preview(
        &self,
        stored: Option<&Stored>,
        command: &Command,
        catalogue: &Catalogue,
    ) -> Option<Reply> {
        let nobody = stored.is_none().then(Player::new);
        let before = stored.map(|stored| &stored.player).or(nobody.as_ref())?;
        let mut player = before.clone();
        let mut effects = Effects::default();
        let reply = decide(&mut player, command, &self.context(catalogue), &mut effects).ok()?;
        (player == *before && effects.is_empty()).then_some(reply)
    }

    /// Tells the metrics what the breakers of the store let through.
    pub(crate) fn tell_breakers(&self) {
        for (name, state) in self.store.breakers() {
            self.metrics.breaker(name, state);
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), ApiError> {
        self.store.ping().await.map_err(|error| self.failed(&error))
    }

    /// Logs and counts a failure of the store, and answers what the caller may know of it.
    pub fn failed(&self, error: &StoreError) -> ApiError {
        self.metrics.store_error(error);
        tracing::error!(error = %Chain(error), "the store failed");
        ApiError::from(error)
    }
}

/// Refuses a document that was written with a newer catalogue: this replica does not know all of
/// its goals, so it must not answer for them.
pub(crate) fn check_catalogue(player: &Player, catalogue: &Catalogue) -> Result<(), ApiError> {
    if player.head.catalogue_version <= catalogue.version() {
        return Ok(());
    }
    Err(behind())
}

fn behind() -> ApiError {
    ApiError::new(
        Reason::StoreUnavailable,
        "the player was written with a newer catalogue than this replica has; try again later",
    )
}

/// Milliseconds for calculations with [`Timestamp`].
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// An error with its causes on one line, for logs.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
