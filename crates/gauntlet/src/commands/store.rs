//! Opening the store that the settings name.

use std::{sync::Arc, time::Duration};

use gauntlet_store::{Error, PgOptions, PgStore, SqliteOptions, SqliteStore, Store};
use tokio::time::{Instant, sleep};

use crate::{
    output::{Failure, chain},
    settings::{StoreChoice, StoreSettings},
};

/// The pauses between tries of a database that is away: long enough not to burden one that is
/// starting, short enough not to be the reason for a late start.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A store whose schema is up to date.
#[derive(Debug)]
pub(super) struct Opened {
    /// The store.
    pub(super) store: Arc<dyn Store>,
    /// How many migrations were applied.
    pub(super) migrations: u32,
}

/// Opens the store and brings its schema up to date, patiently.
pub(super) async fn open(settings: &StoreSettings) -> Result<Opened, Failure> {
    let opened = patiently(&settings.choice, settings.wait, async || try_open(settings).await).await;
    opened.map_err(|error| failure(&settings.choice, &error))
}

/// Opens something on a store. A database that is away is tried again for a bounded time, with a
/// message for each try; what trying again cannot mend fails at once.
pub(super) async fn patiently<T>(
    choice: &StoreChoice,
    wait: Duration,
    mut open: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let store = choice.masked();
    let deadline = Instant::now() + wait;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match open().await {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if !error.is_transient() || left.is_zero() {
            return Err(error);
        }
        let seconds = left.as_secs();
        tracing::warn!(store, error = chain(&error), seconds, "the store is away; trying again");
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn try_open(settings: &StoreSettings) -> Result<Opened, Error> {
    let store: Arc<dyn Store> = match &settings.choice {
        StoreChoice::Sqlite(path) => {
            let options = SqliteOptions { slow: Some(settings.slow), ..SqliteOptions::new(path) };
            Arc::new(SqliteStore::open(&options)?)
        }
        StoreChoice::Postgres(url) => {
            let options = PgOptions {
                max_connections: settings.max_connections,
                slow: Some(settings.slow),
                ..PgOptions::new(url)
            };
            Arc::new(PgStore::connect(&options)?)
        }
    };
    let migrations = store.migrate().await?;
    Ok(Opened { store, migrations })
}

fn failure(choice: &StoreChoice, error: &Error) -> Failure {
    let failure = Failure::caused(format_args!("cannot open the store {}", choice.masked()), error);
    advised(failure, choice, error.is_transient())
}

/// A failure to open a store, with what to look at first.
pub(super) fn advised(failure: Failure, choice: &StoreChoice, transient: bool) -> Failure {
    match choice {
        _ if !transient => failure,
        StoreChoice::Postgres(_) => failure.hint(
            "is the database running, and is its address right? --store-wait says how long to wait for it",
        ),
        StoreChoice::Sqlite(_) => failure.hint("is there room on the disk, and may this user write there?"),
    }
}
