//! The catalogues that this process has at hand: the one in use, and a newer one that waits.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use gauntlet_domain::{Catalogue, EventWhat};
use gauntlet_store::Store;
use tokio::time::Instant;

use super::{Error, follow, load};
use crate::metrics::Metrics;

/// How long a process may take it that no version is in use which it has not loaded. Too long, and a
/// replica that others have given up for dead acknowledges events that it does not understand; too
/// short, and every late answer of the store makes events of unused statistics cost a read.
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// The catalogues at hand.
#[derive(Debug)]
pub(crate) struct Shelf {
    current: ArcSwap<Catalogue>,
    /// A newer version that is loaded and not in use yet.
    next: ArcSwapOption<Catalogue>,
    /// Whoever changes what is at hand.
    turn: tokio::sync::Mutex<()>,
    trust: Mutex<Trust>,
    /// A version that could not be loaded, and when that was tried last.
    failed: Mutex<Option<(u32, Instant)>>,
}

/// What is known of versions that are not at hand.
#[derive(Debug, Clone, Copy, Default)]
enum Trust {
    /// There are none: nobody else changes the catalogue.
    #[default]
    Always,
    /// At this time the store had none.
    Since(Instant),
    /// There may be one in use.
    Never,
}

/// How long a version that could not be loaded is left alone: players that it wrote are many.
const RETRY: Duration = Duration::from_secs(1);

impl Shelf {
    pub(crate) fn new(catalogue: Arc<Catalogue>) -> Self {
        Self {
            current: ArcSwap::new(catalogue),
            next: ArcSwapOption::empty(),
            turn: tokio::sync::Mutex::default(),
            trust: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    /// The catalogue in use, kept for as long as a request takes.
    pub(crate) fn current(&self) -> Arc<Catalogue> {
        self.current.load_full()
    }

    /// The same for a short look.
    fn look(&self) -> Guard<Arc<Catalogue>> {
        self.current.load()
    }

    /// The newest version at hand.
    pub(super) fn newest(&self) -> u32 {
        let next = self.next.load().as_ref().map_or(0, |next| next.version());
        next.max(self.look().version())
    }

    /// Whether no goal can use an event, so that it may be acknowledged without a look at its player:
    /// no goal of any version that may be in use anywhere.
    pub(crate) fn is_unused(&self, what: &EventWhat) -> bool {
        what.trigger(&self.look()).is_none()
            && self.next.load().as_ref().is_none_or(|next| what.trigger(next).is_none())
            && self.is_fresh()
    }

    fn is_fresh(&self) -> bool {
        match *self.trust() {
            Trust::Always => true,
            Trust::Since(time) => time.elapsed() < FRESH,
            Trust::Never => false,
        }
    }

    /// At this time the store had no version that is not at hand.
    pub(super) fn was_checked(&self, time: Instant) {
        *self.trust() = Trust::Since(time);
    }

    /// The store may have a version in use that is not at hand.
    pub(super) fn may_be_behind(&self) {
        *self.trust() = Trust::Never;
    }

    fn trust(&self) -> std::sync::MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a version was tried just now, in vain.
    pub(crate) fn has_failed(&self, version: u32) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|(which, when)| which >= version && when.elapsed() < RETRY)
    }

    /// Remembers that a version could not be loaded.
    pub(crate) fn failed(&self, version: u32) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = Some((version, Instant::now()));
    }

    /// Loads a version that is not in use yet.
    pub(super) async fn load_next(&self, store: &dyn Store, version: u32) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        if self.newest() < version {
            let current = self.current();
            let next = load(store, version, Some(&current)).await?;
            self.next.store(Some(Arc::new(next)));
        }
        Ok(())
    }

    /// Uses a version, or a later one that is in use, from now on. Requests that have begun keep the
    /// catalogue that they began with.
    pub(crate) async fn catch_up(
        &self,
        store: &dyn Store,
        version: u32,
        metrics: &Metrics,
    ) -> Result<Arc<Catalogue>, Error> {
        let _turn = self.turn.lock().await;
        let current = self.current();
        if current.version() >= version {
            return Ok(current);
        }
        let used = store.used_catalogues(current.version()).await?.into_iter();
        let mut versions: Vec<_> = used.map(|(version, since)| (version, Some(since))).collect();
        if versions.last().is_none_or(|(last, _)| *last < version) {
            // A document says that it is in use, and a process that wrote one knows.
            versions.push((version, None));
        }
        let waiting = self.next.load_full().filter(|next| next.follows(current.version()));
        let adopted = match (waiting, &versions[..]) {
            // It was loaded as what follows the current one, which it does.
            (Some(next), [(only, Some(since))]) if *only == next.version() => {
                Arc::new(Catalogue::clone(&next).in_use_since(*since))
            }
            _ => follow(store, Some(current.clone()), &versions).await?.ok_or(Error::Missing(version))?,
        };
        self.current.store(adopted.clone());
        if self.next.load().as_ref().is_some_and(|next| next.version() <= adopted.version()) {
            self.next.store(None);
        }
        metrics.catalogue(&adopted);
        let goals = adopted.goals().len();
        tracing::info!(
            version = adopted.version(),
            before = current.version(),
            goals,
            "a new catalogue is in use"
        );
        Ok(adopted)
    }
}
