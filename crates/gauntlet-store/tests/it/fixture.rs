//! A fresh store of each kind for every test, and a way behind its back.

use std::{path::PathBuf, sync::Arc};

use gauntlet_store::{MemoryStore, PgOptions, PgStore, PlayerKey, SqliteOptions, SqliteStore, Store};
use gauntlet_testkit::{Database, PgBouncer, PgCluster};

pub(crate) struct Fixture {
    pub(crate) store: Arc<dyn Store>,
    /// What another replica on the same data would use; the same store where there can be only one.
    pub(crate) other: Arc<dyn Store>,
    behind: Behind,
}

enum Behind {
    Memory(Arc<MemoryStore>),
    Sqlite { path: PathBuf, _folder: tempfile::TempDir },
    Postgres(Database),
}

impl Fixture {
    pub(crate) async fn memory() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self { store: store.clone(), other: store.clone(), behind: Behind::Memory(store) }.migrated().await
    }

    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gauntlet.db");
        let store = Arc::new(SqliteStore::open(&SqliteOptions::new(&path)).expect("opens"));
        let behind = Behind::Sqlite { path, _folder: folder };
        Self { store: store.clone(), other: store, behind }.migrated().await
    }

    pub(crate) async fn postgres() -> Self {
        let database = PgCluster::shared().database().await;
        let url = database.url.clone();
        Self::on_postgres(database, url).await
    }

    /// The same, with a PgBouncer in between that mixes up the sessions of both stores.
    pub(crate) async fn pgbouncer() -> Self {
        let database = PgCluster::shared().database().await;
        let url = PgBouncer::shared().url(&database);
        Self::on_postgres(database, url).await
    }

    async fn on_postgres(database: Database, url: String) -> Self {
        // 100 connections serve all tests of the process at once.
        let options = PgOptions { max_connections: 5, ..PgOptions::new(url) };
        let store = Arc::new(PgStore::connect(&options).expect("fine options"));
        let other = Arc::new(PgStore::connect(&options).expect("fine options"));
        Self { store, other, behind: Behind::Postgres(database) }.migrated().await
    }

    async fn migrated(self) -> Self {
        self.store.migrate().await.expect("migrates");
        self
    }

    pub(crate) fn dyn_store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.behind, Behind::Postgres(_))
    }

    /// Replaces a player's pages of receipts of both generations. False: this store keeps no bytes
    /// of them.
    pub(crate) async fn plant_receipts(&self, player: &str, page: &[u8]) -> bool {
        match &self.behind {
            Behind::Memory(_) => return false,
            Behind::Sqlite { path, .. } => {
                let connection = rusqlite::Connection::open(path).expect("opens");
                for generation in [0, 1] {
                    let sql = format!("UPDATE receipt_{generation} SET receipts = ?2 WHERE player = ?1");
                    connection.execute(&sql, (player, page)).expect("updates");
                }
            }
            Behind::Postgres(database) => {
                let client = database.client().await;
                for generation in [0, 1] {
                    let sql = format!("UPDATE receipt_{generation} SET receipts = $2 WHERE player = $1");
                    client.execute(&sql, &[&player, &page]).await.expect("updates");
                }
            }
        }
        true
    }

    /// Replaces the stored bytes of a player that has both parts.
    pub(crate) async fn plant(&self, key: &PlayerKey, live: &[u8], settled: &[u8]) {
        match &self.behind {
            Behind::Memory(store) => store.plant(key.clone(), live.to_vec(), Some(settled.to_vec())),
            Behind::Sqlite { path, .. } => {
                let connection = rusqlite::Connection::open(path).expect("opens");
                for (sql, bytes) in [
                    ("UPDATE player SET live = ?3 WHERE player = ?1 AND namespace = ?2", live),
                    ("UPDATE settled SET settled = ?3 WHERE player = ?1 AND namespace = ?2", settled),
                ] {
                    let changed = connection.execute(sql, (&key.player, &key.namespace, bytes));
                    assert_eq!(changed.expect("updates"), 1);
                }
            }
            Behind::Postgres(database) => {
                let client = database.client().await;
                for (sql, bytes) in [
                    ("UPDATE player SET live = $3 WHERE player = $1 AND namespace = $2", live),
                    ("UPDATE settled SET settled = $3 WHERE player = $1 AND namespace = $2", settled),
                ] {
                    let changed = client.execute(sql, &[&key.player, &&*key.namespace, &bytes]).await;
                    assert_eq!(changed.expect("updates"), 1);
                }
            }
        }
    }

    /// Every connection is back, and closing ends.
    pub(crate) async fn finish(self) {
        for store in [&self.store, &self.other] {
            let status = store.pool_status();
            assert_eq!(status.open, status.idle, "a connection was not given back: {status:?}");
            store.close().await;
            assert!(store.ping().await.is_err(), "a closed store answers");
        }
    }
}
