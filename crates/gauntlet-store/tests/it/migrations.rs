//! Both databases have the same schema.

use std::collections::BTreeSet;

use gauntlet_store::{Error, PgOptions, PgStore, SqliteOptions, SqliteStore, Store};
use gauntlet_testkit::{Database, PgCluster};

fn files(folder: &str) -> BTreeSet<String> {
    let folder = format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect()
}

/// `table.column` of every table in the migrated database.
async fn postgres_columns(database: &Database) -> BTreeSet<String> {
    let client = database.client().await;
    let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns \
         WHERE table_schema = 'public'";
    client.query(sql, &[]).await.expect("reads").iter().map(|row| row.get(0)).collect()
}

fn sqlite_columns(path: &std::path::Path) -> BTreeSet<String> {
    let connection = rusqlite::Connection::open(path).expect("opens");
    let sql = "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c \
         WHERE t.type = 'table'";
    let mut statement = connection.prepare(sql).expect("fine");
    let rows = statement.query_map([], |row| row.get(0)).expect("reads");
    rows.map(|row| row.expect("a name")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_folders_have_the_same_files_and_make_the_same_tables() {
    let files_of = files("postgres");
    assert_eq!(files_of, files("sqlite"));
    let numbers: Vec<u32> =
        files_of.iter().map(|name| name.get(..4).expect("a number").parse().expect("a number")).collect();
    assert_eq!(numbers, (1..=u32::try_from(files_of.len()).expect("few")).collect::<Vec<_>>());

    let database = PgCluster::shared().database().await;
    let postgres = PgStore::connect(&PgOptions::new(&database.url)).expect("fine options");
    assert_eq!(
        postgres.migrate().await.expect("migrates") as usize,
        files_of.len(),
        "a file is not in the list"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("g.db");
    let sqlite = SqliteStore::open(&SqliteOptions::new(&path)).expect("opens");
    assert_eq!(
        sqlite.migrate().await.expect("migrates") as usize,
        files_of.len(),
        "a file is not in the list"
    );

    let columns = postgres_columns(&database).await;
    assert!(columns.contains("player.live"));
    assert_eq!(columns, sqlite_columns(&path));
    postgres.close().await;
    sqlite.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_after_it_was_applied_is_refused() {
    let database = PgCluster::shared().database().await;
    let postgres = PgStore::connect(&PgOptions::new(&database.url)).expect("fine options");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("g.db");
    let sqlite = SqliteStore::open(&SqliteOptions::new(&path)).expect("opens");
    let stores: [&dyn Store; 2] = [&postgres, &sqlite];
    for store in stores {
        store.migrate().await.expect("migrates");
    }
    let change = "UPDATE schema_migration SET checksum = 'other' WHERE number = 1";
    database.client().await.batch_execute(change).await.expect("changes");
    rusqlite::Connection::open(&path).expect("opens").execute_batch(change).expect("changes");
    for store in stores {
        let error = store.migrate().await.expect_err("refused");
        assert!(matches!(error, Error::Rejected { operation: "migrate", .. }), "{error:?}");
        let source = std::error::Error::source(&error).expect("a source").to_string();
        assert!(source.contains("migration 1 (initial) was changed"), "{source}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_together_migrate_once() {
    let database = PgCluster::shared().database().await;
    let options = PgOptions { max_connections: 1, ..PgOptions::new(&database.url) };
    let replicas: Vec<_> = (0..6).map(|_| PgStore::connect(&options).expect("fine options")).collect();
    let answers = futures_util::future::join_all(replicas.iter().map(Store::migrate)).await;
    let applied: u32 = answers.into_iter().map(|answer| answer.expect("migrates")).sum();
    assert_eq!(applied as usize, files("postgres").len());
}
