//! The catalogue as it lives: versions in the store that all replicas share, the one in use, and how
//! a new one comes into use.
//!
//! A text becomes a *version* when its goals have their numbers. A version is *loaded* when this
//! process could use it at once, and *in use* when the store says so: that is when every replica at
//! work has loaded it, or when those that have not were waited for long enough. A document names the
//! version that wrote it, so a replica that is behind finds out before it answers for a goal that
//! it does not know.

use std::sync::Arc;

use gauntlet_domain::{
    Catalogue, Timestamp,
    catalogue::{self, Definition, Faults},
};
use gauntlet_store::{Error as StoreError, Store};

mod keeper;
mod shelf;

pub use keeper::{FileSource, FixedSource, KeepOptions, Keeper, ReloadError, Source, Standing};
pub(crate) use shelf::Shelf;

/// Why a text could not become the catalogue in use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text has faults; all of them are in here.
    #[error("the catalogue has faults")]
    Faulty(#[source] Faults),
    /// The store does not answer.
    #[error("the store could not register the catalogue")]
    Store(#[from] StoreError),
    /// The registry left a goal out, which it never does.
    #[error("the registry is incomplete")]
    Unnumbered(#[from] catalogue::Error),
    /// The store has no such version.
    #[error("the store has no catalogue version {0}")]
    Missing(u32),
    /// A version that another release has registered and this one cannot read.
    #[error("version {version} of the catalogue, which is in use, cannot be read by this release")]
    Unreadable {
        /// Which.
        version: u32,
        /// What this release finds wrong with it.
        #[source]
        faults: Faults,
    },
}

/// Reads a catalogue, registers it and puts it into use at once, whoever else is at work: for stores
/// that nobody shares, and for tests.
///
/// # Errors
/// Faults of the text, or a store that does not answer.
pub async fn prepare(store: &dyn Store, text: &str, now: Timestamp) -> Result<Arc<Catalogue>, Error> {
    let version = register(store, text, now).await?;
    store.activate_catalogue(version, now).await?;
    in_use(store, None).await?.ok_or(Error::Missing(version))
}

/// What a process begins with.
#[derive(Debug)]
pub struct Beginning {
    /// The catalogue in use.
    pub catalogue: Arc<Catalogue>,
    /// The text is an older version, which a later one has replaced: it changes nothing, since
    /// nobody can tell a file that was put back from one that was left behind.
    pub outdated: Option<u32>,
    /// The text is a newer version, which comes into use when every replica at work has loaded it.
    pub waits: Option<u32>,
}

/// What a process that has this text begins with: the version in use. A text that was never
/// registered becomes the newest version and waits for [`Keeper`]; the first of all is in use at once.
///
/// # Errors
/// Faults of the text, a version in use that this release cannot read, or a store that does not
/// answer.
pub async fn begin(store: &dyn Store, text: &str, now: Timestamp) -> Result<Beginning, Error> {
    let definition = catalogue::parse(text).map_err(Error::Faulty)?;
    let known = store.find_catalogue(text).await?;
    let version = match known {
        Some(version) => version,
        None => register_checked(store, &definition, text, now).await?,
    };
    // Nobody can have loaded another one before the first was in use.
    let in_use_now = if let Some(catalogue) = in_use(store, None).await? {
        catalogue
    } else {
        let newest = register_checked(store, &definition, text, now).await?;
        store.activate_catalogue(newest, now).await?;
        in_use(store, None).await?.ok_or(Error::Missing(newest))?
    };
    let outdated = known.filter(|_| version < in_use_now.version());
    let waits = Some(version).filter(|version| *version > in_use_now.version());
    Ok(Beginning { catalogue: in_use_now, outdated, waits })
}

/// Registers a text: its goal ids get their numbers first, in one transaction, and only then does it
/// get its version.
async fn register(store: &dyn Store, text: &str, now: Timestamp) -> Result<u32, Error> {
    let definition = catalogue::parse(text).map_err(Error::Faulty)?;
    register_checked(store, &definition, text, now).await
}

async fn register_checked(
    store: &dyn Store,
    definition: &Definition,
    text: &str,
    now: Timestamp,
) -> Result<u32, Error> {
    let ids: Vec<String> = definition.goal_ids().map(str::to_owned).collect();
    store.intern_goals(&ids).await?;
    Ok(store.register_catalogue(text, now).await?)
}

/// The catalogue in use, which remembers the terms of those before it; `None`: none ever was.
/// `before` is one to start from.
pub(crate) async fn in_use(
    store: &dyn Store,
    before: Option<Arc<Catalogue>>,
) -> Result<Option<Arc<Catalogue>>, Error> {
    let after = before.as_ref().map_or(0, |before| before.version());
    let used = store.used_catalogues(after).await?;
    let used: Vec<_> = used.into_iter().map(|(version, since)| (version, Some(since))).collect();
    follow(store, before, &used).await
}

/// Goes through versions in their order, with the times at which they came into use. An old one that this release cannot read is passed over:
/// its terms are not known, and players who hold them get those of today.
async fn follow(
    store: &dyn Store,
    before: Option<Arc<Catalogue>>,
    versions: &[(u32, Option<Timestamp>)],
) -> Result<Option<Arc<Catalogue>>, Error> {
    let mut current = before;
    for (at, (version, since)) in versions.iter().enumerate() {
        match load(store, *version, current.as_deref()).await {
            Ok(catalogue) => {
                let catalogue = match since {
                    Some(since) => catalogue.in_use_since(*since),
                    None => catalogue,
                };
                current = Some(Arc::new(catalogue));
            }
            Err(Error::Unreadable { version, faults }) if at + 1 < versions.len() => {
                let faults = faults.count();
                tracing::warn!(version, faults, "an old version of the catalogue cannot be read any more");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(current)
}

/// A version as the one that follows another.
async fn load(store: &dyn Store, version: u32, previous: Option<&Catalogue>) -> Result<Catalogue, Error> {
    let text = store.catalogue_text(version).await?.ok_or(Error::Missing(version))?;
    let definition = catalogue::parse(&text).map_err(|faults| Error::Unreadable { version, faults })?;
    let ids: Vec<String> = definition.goal_ids().map(str::to_owned).collect();
    // They have their numbers: this reads them.
    let numbers = store.intern_goals(&ids).await?;
    let catalogue = Catalogue::new(definition, version, &numbers)?;
    Ok(match previous {
        Some(previous) => catalogue.following(previous),
        None => catalogue,
    })
}
