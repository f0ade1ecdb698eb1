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

/// Opens the store and brings its schema up to date. A database that is away is tried again for a
/// bounded time, with a message for each try; what trying again cannot mend fails at once.
pub(super) async fn open(settings: &StoreSettings) -> Result<Opened, Failure> {
    let name = settings.choice.masked();
    let deadline = Instant::now() + settings.wait;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match try_open(settings).await {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if !error.is_transient() || left.is_zero() {
            return Err(failure(&name, settings, &error));
        }
        let seconds = left.as_secs();
        tracing::warn!(store = name, error = chain(&error), seconds, "the store is away; trying again");
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

fn failure(name: &str, settings: &StoreSettings, error: &Error) -> Failure {
    let failure = Failure::caused(format_args!("cannot open the store {name}"), error);
    match &settings.choice {
        _ if !error.is_transient() => failure,
        StoreChoice::Postgres(_) => failure.hint(
            "is the database running, and is its address right? --store-wait says how long to wait for it",
        ),
        StoreChoice::Sqlite(_) => failure.hint("is there room on the disk, and may this user write there?"),
    }
}
