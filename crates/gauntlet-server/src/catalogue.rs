//! From a catalogue's text to a catalogue in use.

use std::sync::Arc;

use gauntlet_domain::{
    Catalogue, Timestamp,
    catalogue::{self, Definition, Faults},
};
use gauntlet_store::{Error as StoreError, Store};

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
}

/// Reads a catalogue and registers it: its goal ids get their numbers first, in one transaction,
/// and only then does it get its version.
///
/// # Errors
/// Faults of the text, or a store that does not answer.
pub async fn prepare(store: &dyn Store, text: &str, now: Timestamp) -> Result<Arc<Catalogue>, Error> {
    let definition = catalogue::parse(text).map_err(Error::Faulty)?;
    register(store, definition, text, now).await
}

async fn register(
    store: &dyn Store,
    definition: Definition,
    text: &str,
    now: Timestamp,
) -> Result<Arc<Catalogue>, Error> {
    let ids: Vec<String> = definition.goal_ids().map(str::to_owned).collect();
    let numbers = store.intern_goals(&ids).await?;
    let version = store.register_catalogue(text, now).await?;
    Ok(Arc::new(Catalogue::new(definition, version, &numbers)?))
}
