//! What only SQLite has: a file.

use std::{error::Error as _, path::Path};

use gauntlet_domain::JournalKind;
use gauntlet_store::{Error, SqliteOptions, SqliteStore, Store};

use crate::make::{commit_one, create, done, entry, load, player, small, stored, write};

async fn opened(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(&SqliteOptions::new(path)).expect("opens");
    store.migrate().await.expect("migrates");
    store
}

fn refusal(options: &SqliteOptions) -> String {
    let error = SqliteStore::open(options).expect_err("refused");
    assert!(matches!(error, Error::Rejected { operation: "open", .. }), "{error:?}");
    error.source().expect("a source").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opener_is_refused_until_the_first_has_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("g.db");
    let first = opened(&path).await;
    create(&first, "p").await;
    assert!(refusal(&SqliteOptions::new(&path)).contains("is in use by another process"));
    first.close().await;
    let answer = first.load(&[load("p")]).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    let second = opened(&path).await;
    assert_eq!(stored(&second, "p").await.expect("kept").revision, 1);
    second.close().await;
    // Closed well: the log was moved into the file.
    assert!(!folder.path().join("g.db-wal").exists());
}

/// A copy of the files is what a crash of the process leaves: all that was acknowledged is in it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_on_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = opened(&folder.path().join("g.db")).await;
    for revision in 0..20 {
        let expected = (revision > 0).then_some(revision);
        assert_eq!(commit_one(&store, write("p", expected, player(revision))).await, done(revision + 1));
        let copy = tempfile::tempdir().expect("a folder");
        for name in ["g.db", "g.db-wal"] {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).expect("copies");
        }
        let after_crash = SqliteStore::open(&SqliteOptions::new(copy.path().join("g.db"))).expect("opens");
        let seen = stored(&after_crash, "p").await.expect("there");
        assert_eq!((seen.revision, seen.player), (revision + 1, player(revision)));
        after_crash.close().await;
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.txt");
    let text = "not a database, and precious\n".repeat(100);
    std::fs::write(&path, &text).expect("writes");
    assert!(refusal(&SqliteOptions::new(&path)).contains("not a database"));
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), text);
    assert!(refusal(&SqliteOptions::new(":memory:")).contains("a path is needed"));
    let none = SqliteOptions { readers: 0, ..SqliteOptions::new(folder.path().join("g.db")) };
    assert_eq!(refusal(&none), "readers is 0");
    let nowhere = SqliteOptions::new(folder.path().join("no/such/folder/g.db"));
    assert!(refusal(&nowhere).contains("g.db.lock cannot be opened"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_database_is_unavailable_and_still_serves_what_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let options =
        SqliteOptions { max_bytes: Some(512 * 1024), ..SqliteOptions::new(folder.path().join("g.db")) };
    let store = SqliteStore::open(&options).expect("opens");
    store.migrate().await.expect("migrates");
    create(&store, "p").await;
    let mut full = None;
    for batch in 0..1000 {
        let writes: Vec<_> = (0..100).map(|n| write(&format!("{batch}-{n}"), None, small(1))).collect();
        if let Err(error) = store.commit(&writes).await {
            full = Some((batch, error));
            break;
        }
    }
    let (batch, error) = full.expect("512 KiB do not hold 100,000 players");
    assert!(matches!(error, Error::Unavailable { operation: "player.commit", .. }), "{error:?}");
    // All or nothing.
    for n in 0..100 {
        assert!(stored(&store, &format!("{batch}-{n}")).await.is_none());
    }
    assert!(stored(&store, "0-0").await.is_some());
    assert_eq!(commit_one(&store, write("p", Some(1), small(2))).await, done(2));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_can_ask_the_journal_with_sql() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("g.db");
    let store = opened(&path).await;
    create(&store, "p").await;
    let mut change = write("p", Some(1), small(2));
    change.journal = vec![entry(1, JournalKind::Completed, &[3, 4], 0)];
    commit_one(&store, change).await;
    let sql = "SELECT j.player, datetime(j.at / 1000, 'unixepoch') FROM journal j, json_each(j.goals) g \
         WHERE j.kind = 'completed' AND g.value = 4";
    let row: (String, String) = rusqlite::Connection::open(&path)
        .expect("opens")
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("reads");
    let time = crate::make::at(0).to_rfc3339().replace('T', " ").replace('Z', "");
    assert_eq!(row, ("p".to_owned(), time));
    store.close().await;
}

/// How often an operation was measured.
fn count(store: &SqliteStore, operation: &str) -> u64 {
    let figures = store.figures();
    figures.statements.iter().find(|(name, _)| *name == operation).map_or(0, |(_, times)| times.count)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_moved_in_steps_and_all_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = opened(&folder.path().join("g.db")).await;
    let mut batches = 0;
    // The thread moves most of it, and a commit the rest; then the log begins anew.
    while store.figures().checkpoints.count < 3 {
        let writes: Vec<_> = (0..100).map(|n| write(&format!("{n}-{batches}"), None, small(1))).collect();
        store.commit(&writes).await.expect("commits");
        batches += 1;
        assert!(batches < 10_000, "{:?}", store.figures());
    }
    assert!(stored(&store, "7-7").await.is_some());
    assert_eq!((count(&store, "player.commit"), count(&store, "player.load")), (batches, 1));
    let figures = store.figures();
    assert!(figures.moves.count >= 3 && figures.moves.sum > 0.0, "{figures:?}");
    assert!(figures.checkpoints.sum > 0.0 && figures.writer_wait.count >= batches, "{figures:?}");
    assert_eq!((figures.pool_wait.count, figures.pool_timeouts), (1, 0));
    let bytes = figures.log_bytes.expect("a log");
    assert!((4096..64 << 20).contains(&bytes), "the log is not moved: {bytes}");
    store.close().await;
}
