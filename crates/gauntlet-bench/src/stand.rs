//! The product with its store, its catalogue and its players, ready to be measured.

use std::{fs, path::PathBuf};

use gauntlet_domain::catalogue::Definition;
use gauntlet_store::{PgOptions, PgStore, SqliteOptions, SqliteStore, Store};
use gauntlet_testkit::Database;
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::{
    Failure, Result,
    bench::{Bench, own_cpu},
    catalogues,
    figures::Usage,
    http, machine, players,
    process::Product,
};

/// Where players are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Sqlite,
}

impl Kind {
    pub(crate) const BOTH: [Self; 2] = [Self::Postgres, Self::Sqlite];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }
}

/// The database of a stand.
struct Postgres {
    client: Client,
    postmaster: u32,
}

/// A running product.
pub(crate) struct Stand<'a> {
    bench: &'a Bench,
    pub(crate) product: Product,
    postgres: Option<Postgres>,
    /// As the product takes it.
    pub(crate) store: String,
    _folder: TempDir,
}

/// How many players work is done for, unless it says otherwise.
pub(crate) const PLAYERS: u32 = 10_000;

impl<'a> Stand<'a> {
    /// Writes players, then starts the product.
    pub(crate) fn new(bench: &'a Bench, kind: Kind, definition: &Definition, players: u32) -> Result<Self> {
        Self::under(bench, &[], kind, definition, players)
    }

    /// The same with the product under another program.
    pub(crate) fn under(
        bench: &'a Bench,
        under: &[&str],
        kind: Kind,
        definition: &Definition,
        players: u32,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("gauntlet-bench-").tempdir()?;
        let catalogue: PathBuf = folder.path().join("catalogue.json");
        fs::write(&catalogue, catalogues::text(definition))?;
        let seed = |store: &dyn Store| -> Result<()> {
            bench.runtime.block_on(async {
                players::seed(store, definition, players).await?;
                store.close().await;
                Ok(())
            })
        };
        let (postgres, store) = match kind {
            Kind::Sqlite => {
                let path = folder.path().join("players.db");
                seed(&SqliteStore::open(&SqliteOptions::new(&path))?)?;
                (None, format!("sqlite:{}", path.display()))
            }
            Kind::Postgres => {
                let cluster = bench.cluster();
                let database: Database = bench.runtime.block_on(cluster.database());
                seed(&PgStore::connect(&PgOptions::new(&database.url))?)?;
                let client = bench.runtime.block_on(database.client());
                // As it would be after some hours, and not while a load is measured.
                bench.runtime.block_on(client.batch_execute("VACUUM ANALYZE"))?;
                (Some(Postgres { client, postmaster: cluster.postmaster() }), database.url)
            }
        };
        let product = Product::start(&bench.binary, under, &store, &catalogue)?;
        Ok(Self { bench, product, postgres, store, _folder: folder })
    }

    /// What it has used.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let (database, log) = match &self.postgres {
            Some(postgres) => (machine::cpu_of_tree(postgres.postmaster)?, self.log_position(postgres)?),
            None => (0.0, machine::written(self.product.pid())?),
        };
        Ok(Usage { server: machine::cpu(self.product.pid())?, database, generator: own_cpu()?, log })
    }

    fn log_position(&self, postgres: &Postgres) -> Result<f64> {
        let query = "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::float8";
        Ok(self.bench.runtime.block_on(postgres.client.query_one(query, &[]))?.try_get(0)?)
    }

    /// Connections that the product has to PostgreSQL; `None` on SQLite.
    pub(crate) fn connections(&self) -> Result<Option<f64>> {
        let Some(postgres) = &self.postgres else { return Ok(None) };
        let query = "SELECT count(*)::float8 FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
        Ok(Some(self.bench.runtime.block_on(postgres.client.query_one(query, &[]))?.try_get(0)?))
    }

    /// Makes PostgreSQL write everything out; does nothing on SQLite, which does it all the time.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        if let Some(postgres) = &self.postgres {
            self.bench.runtime.block_on(postgres.client.batch_execute("CHECKPOINT"))?;
        }
        Ok(())
    }

    /// Events of statistics so far that had this result, as the product counts them.
    pub(crate) fn events(&self, result: &str) -> Result<f64> {
        let metrics = http::get(self.product.ops, "/metrics", "")?;
        let text = String::from_utf8_lossy(&metrics.body);
        let wanted = [r#"kind="stat""#.to_owned(), format!("result=\"{result}\"")];
        let line = text.lines().find(|line| {
            line.starts_with("gauntlet_events_total{") && wanted.iter().all(|label| line.contains(label))
        });
        let Some(line) = line else { return Ok(0.0) };
        let value = line.rsplit(' ').next().unwrap_or_default();
        value.parse().map_err(|_| Failure::from(format!("not a figure: {line}")))
    }

    /// Ends the product; its last words.
    pub(crate) fn stop(self) -> Result<Vec<String>> {
        self.product.stop()
    }
}
