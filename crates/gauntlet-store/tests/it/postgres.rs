//! What only PostgreSQL has: a server that can stop, locks, plans, connections that break.

mod dropped;
mod tls;
mod warm;

use std::{
    error::Error as _,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use gauntlet_domain::JournalKind;
use gauntlet_store::{Error, LockedDecision, PgOptions, PgStore, Store, Written};
use gauntlet_testkit::{Database, PgCluster, Proxy};
use tokio_postgres::Client;

use crate::make::{at, commit_one, create, done, entry, key, load, receipt, small, stored, write};

async fn fresh() -> (Database, Arc<PgStore>) {
    let database = PgCluster::shared().database().await;
    let store = connected(&PgOptions::new(&database.url)).await;
    (database, store)
}

async fn connected(options: &PgOptions) -> Arc<PgStore> {
    let store = PgStore::connect(options).expect("fine options");
    store.migrate().await.expect("migrates");
    Arc::new(store)
}

/// Locks the rows of a player by a transaction of somebody else's.
async fn lock_row(database: &Database, name: &str) -> Client {
    let client = database.client().await;
    client.batch_execute("BEGIN").await.expect("BEGIN");
    let sql = "SELECT 1 FROM player WHERE player = $1 FOR UPDATE";
    assert_eq!(client.query(sql, &[&name]).await.expect("locks").len(), 1);
    client
}

/// Waits until a session of the store's waits for a lock; answers its process id.
async fn blocked(database: &Database) -> i32 {
    let client = database.client().await;
    let begun = Instant::now();
    loop {
        let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'gauntlet' \
             AND datname = current_database() AND wait_event_type = 'Lock'";
        if let Some(row) = client.query(sql, &[]).await.expect("reads").first() {
            return row.get(0);
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody waits for the lock");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn in_background<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    #[expect(clippy::disallowed_methods, reason = "the test awaits or aborts it")]
    tokio::spawn(work)
}

fn commit_in_background(
    store: &Arc<PgStore>,
    names: &[&str],
) -> tokio::task::JoinHandle<Result<Vec<Written>, Error>> {
    let batch: Vec<_> = names.iter().map(|name| write(name, Some(1), small(2))).collect();
    let store = Arc::clone(store);
    in_background(async move { store.commit(&batch).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_unavailable_at_once_and_back_when_it_is_back() {
    let cluster = PgCluster::private();
    let database = cluster.database().await;
    let store = connected(&PgOptions::new(&database.url)).await;
    create(store.as_ref(), "p").await;
    // Several connections, all of which break.
    let (pings, answers) = (std::iter::repeat_n(&store, 5), 5);
    assert_eq!(join_all(pings.map(|store| store.ping())).await.len(), answers);
    cluster.stop();
    let begun = Instant::now();
    let update = [write("p", Some(1), small(2))];
    for _ in 0..6 {
        let loaded = store.load(&[load("p")]).await;
        assert!(matches!(loaded, Err(Error::Unavailable { operation: "player.load", .. })), "{loaded:?}");
        // A connection whose end was not yet noticed cannot tell what became of a commit.
        let written = store.commit(&update).await;
        assert!(matches!(written, Err(Error::Unavailable { .. } | Error::Unknown { .. })), "{written:?}");
    }
    let written = store.commit(&update).await;
    assert!(matches!(written, Err(Error::Unavailable { operation: "player.commit", .. })), "{written:?}");
    assert!(store.ping().await.is_err() && store.migrate().await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    cluster.start();
    assert_eq!(stored(store.as_ref(), "p").await.expect("there").revision, 1);
    assert_eq!(commit_one(store.as_ref(), write("p", Some(1), small(2))).await, done(2));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_can_be_made_before_its_server_runs() {
    let options = PgOptions::new("postgres://nobody@127.0.0.1:1/nothing");
    let store = PgStore::connect(&options).expect("fine options");
    let error = store.migrate().await.expect_err("nobody there");
    assert!(matches!(error, Error::Unavailable { operation: "migrate", .. }), "{error:?}");
    assert!(error.is_transient() && error.source().is_some());
    assert_eq!(store.pool_status().limit, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_session_is_ended_is_unknown_and_a_reload_tells() {
    let (database, store) = fresh().await;
    create(store.as_ref(), "p").await;
    let locker = lock_row(&database, "p").await;
    let commit = commit_in_background(&store, &["p"]);
    let pid = blocked(&database).await;
    let admin = database.client().await;
    admin.query_one("SELECT pg_terminate_backend($1)", &[&pid]).await.expect("terminates");
    let answer = commit.await.expect("no panic");
    assert!(matches!(answer, Err(Error::Unknown { operation: "player.commit", .. })), "{answer:?}");
    assert_eq!(stored(store.as_ref(), "p").await.expect("there").revision, 1);
    locker.batch_execute("ROLLBACK").await.expect("ROLLBACK");
    assert_eq!(commit_one(store.as_ref(), write("p", Some(1), small(2))).await, done(2));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_unknown_and_was_applied() {
    let database = PgCluster::shared().database().await;
    let proxy = Proxy::start(&database.url).await;
    let store = connected(&PgOptions::new(proxy.url())).await;
    create(store.as_ref(), "p").await;
    // Prepares the statement: from now on a commit is one round trip.
    assert_eq!(commit_one(store.as_ref(), write("p", Some(1), small(2))).await, done(2));
    proxy.cut_at_answer(1);
    let answer = store.commit(&[write("p", Some(2), small(3))]).await;
    assert!(matches!(answer, Err(Error::Unknown { .. })), "{answer:?}");
    proxy.pass_everything();
    // The write id that a caller looks for is in the document.
    revision_becomes(&database, 3).await;
    assert_eq!(stored(store.as_ref(), "p").await.expect("there").player, small(3));
}

/// Waits until a commit whose caller knows nothing has got through.
async fn revision_becomes(database: &Database, revision: u64) {
    let store = connected(&PgOptions::new(&database.url)).await;
    let begun = Instant::now();
    loop {
        let seen = stored(store.as_ref(), "p").await.expect("there").revision;
        if seen == revision {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "revision {seen} and not {revision}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_update_is_unknown_only_at_its_end() {
    let database = PgCluster::shared().database().await;
    let proxy = Proxy::start(&database.url).await;
    let store = connected(&PgOptions::new(proxy.url())).await;
    create(store.as_ref(), "p").await;
    let update = async |revision: u64| {
        let change = write("p", Some(revision), small(revision + 1));
        let decide = move |_: gauntlet_store::Loaded| LockedDecision::Store(Box::new(change));
        store.update_locked(load("p"), Box::new(decide)).await
    };
    assert_eq!(update(1).await.expect("answers"), Some(done(2)));
    // BEGIN, the lock, the load and the write are harmless: without COMMIT nothing happened.
    for number in 1..=4 {
        // The connection before was lost: prepare its statements again.
        let revision = stored(store.as_ref(), "p").await.expect("there").revision;
        assert_eq!(update(revision).await.expect("answers"), Some(done(revision + 1)));
        proxy.cut_at_answer(number);
        let answer = update(revision + 1).await;
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{number}: {answer:?}");
        proxy.pass_everything();
        assert_eq!(stored(store.as_ref(), "p").await.expect("there").revision, revision + 1, "{number}");
    }
    let revision = stored(store.as_ref(), "p").await.expect("there").revision;
    assert_eq!(update(revision).await.expect("answers"), Some(done(revision + 1)));
    proxy.cut_at_answer(5);
    let answer = update(revision + 1).await;
    assert!(matches!(answer, Err(Error::Unknown { .. })), "{answer:?}");
    proxy.pass_everything();
    revision_becomes(&database, revision + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_given_up() {
    let database = PgCluster::shared().database().await;
    let proxy = Proxy::start(&database.url).await;
    let options = PgOptions {
        connect: Duration::from_millis(300),
        statement: Duration::from_millis(300),
        ..PgOptions::new(proxy.url())
    };
    let store = connected(&options).await;
    create(store.as_ref(), "p").await;
    assert_eq!(commit_one(store.as_ref(), write("p", Some(1), small(2))).await, done(2));
    proxy.swallow_everything();
    let begun = Instant::now();
    let answer = store.commit(&[write("p", Some(2), small(3))]).await;
    assert!(matches!(answer, Err(Error::Unknown { .. })), "{answer:?}");
    let source = answer.expect_err("an error").source().expect("a source").to_string();
    assert!(source.contains("did not answer within"), "{source}");
    // The broken connection was not given back; a new one cannot be made.
    let answer = store.load(&[load("p")]).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    proxy.pass_everything();
    assert!(stored(store.as_ref(), "p").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_held_too_long_is_unavailable_and_nothing_is_applied() {
    let database = PgCluster::shared().database().await;
    let options = PgOptions {
        statement: Duration::from_millis(300),
        wait: Duration::from_millis(100),
        max_connections: 1,
        ..PgOptions::new(&database.url)
    };
    let store = connected(&options).await;
    create(store.as_ref(), "p").await;
    let locker = lock_row(&database, "p").await;
    let commit = commit_in_background(&store, &["p"]);
    blocked(&database).await;
    // Meanwhile the only connection is taken.
    let answer = store.ping().await;
    assert!(matches!(answer, Err(Error::Unavailable { operation: "ping", .. })), "{answer:?}");
    let answer = commit.await.expect("no panic");
    assert!(matches!(answer, Err(Error::Unavailable { operation: "player.commit", .. })), "{answer:?}");
    let answer = store.update_locked(load("p"), Box::new(|_| LockedDecision::Keep)).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    locker.batch_execute("ROLLBACK").await.expect("ROLLBACK");
    assert_eq!(stored(store.as_ref(), "p").await.expect("there").revision, 1);
    assert_eq!(commit_one(store.as_ref(), write("p", Some(1), small(2))).await, done(2));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_a_conflict_of_the_whole_batch() {
    let database = PgCluster::shared().database().await;
    // The server looks for a deadlock once in each wait, after this time: by then the other side
    // has to wait as well, and its own look has to come later.
    let url = format!("{}?options=-c%20deadlock_timeout%3D3s", database.url);
    let store = connected(&PgOptions { statement: Duration::from_secs(30), ..PgOptions::new(url) }).await;
    for name in ["a", "b"] {
        create(store.as_ref(), name).await;
    }
    // The store takes a, then waits for b; the other side has b and wants a.
    let locker = lock_row(&database, "b").await;
    locker.batch_execute("SET deadlock_timeout = '1min'").await.expect("sets");
    let commit = commit_in_background(&store, &["b", "a"]);
    blocked(&database).await;
    let wants = locker.batch_execute("SELECT 1 FROM player WHERE player = 'a' FOR UPDATE").await;
    wants.expect("the store, which looks first, gives way");
    assert_eq!(commit.await.expect("no panic").expect("commits"), [Written::Conflict; 2]);
    locker.batch_execute("ROLLBACK").await.expect("ROLLBACK");
    for name in ["a", "b"] {
        assert_eq!(stored(store.as_ref(), name).await.expect("there").revision, 1);
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_no_lock_and_no_broken_connection() {
    let database = PgCluster::shared().database().await;
    let store = connected(&PgOptions { max_connections: 1, ..PgOptions::new(&database.url) }).await;
    create(store.as_ref(), "p").await;
    let locker = lock_row(&database, "p").await;
    let commit = commit_in_background(&store, &["p"]);
    blocked(&database).await;
    commit.abort();
    assert!(commit.await.expect_err("aborted").is_cancelled());
    locker.batch_execute("ROLLBACK").await.expect("ROLLBACK");
    // The statement was sent: it is carried out, and the connection serves the next caller after.
    assert_eq!(stored(store.as_ref(), "p").await.expect("there").revision, 2);

    let locker = lock_row(&database, "p").await;
    let update = {
        let store = Arc::clone(&store);
        in_background(async move { store.update_locked(load("p"), Box::new(|_| LockedDecision::Keep)).await })
    };
    blocked(&database).await;
    update.abort();
    assert!(update.await.expect_err("aborted").is_cancelled());
    locker.batch_execute("ROLLBACK").await.expect("ROLLBACK");
    assert_eq!(commit_one(store.as_ref(), write("p", Some(2), small(3))).await, done(3));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections_and_a_read_only_server_are_unavailable() {
    let (database, store) = fresh().await;
    create(store.as_ref(), "p").await;
    let admin = database.client().await;
    let role = format!("limited_{}", database.name);
    admin
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN CONNECTION LIMIT 1; GRANT pg_read_all_data TO {role}"
        ))
        .await
        .expect("a role");
    let url = database.url.replace("gauntlet@", &format!("{role}@"));
    let stores = [(); 2].map(|()| PgStore::connect(&PgOptions::new(&url)).expect("fine options"));
    assert!(stored(&stores[0], "p").await.is_some());
    let answer = stores[1].load(&[load("p")]).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");

    let url = format!("{}?options=-c%20default_transaction_read_only%3Don", database.url);
    let standby = PgStore::connect(&PgOptions::new(url)).expect("fine options");
    assert!(stored(&standby, "p").await.is_some());
    let answer = standby.commit(&[write("p", Some(1), small(2))]).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_the_schema_rejects() {
    let database = PgCluster::shared().database().await;
    let store = PgStore::connect(&PgOptions::new(&database.url)).expect("fine options");
    store.ping().await.expect("it answers");
    let answer = store.load(&[load("p")]).await;
    assert!(matches!(answer, Err(Error::Rejected { operation: "player.load", .. })), "{answer:?}");
}

/// Statements are prepared once for each connection; a later migration may change what they answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_no_longer_fits_is_prepared_anew() {
    let database = PgCluster::shared().database().await;
    let store = connected(&PgOptions { max_connections: 1, ..PgOptions::new(&database.url) }).await;
    assert!(store.journal(&key("p"), 0, 1).await.expect("reads").is_empty());
    let change = "ALTER TABLE journal ALTER COLUMN kind TYPE varchar(20)";
    database.client().await.batch_execute(change).await.expect("changes");
    let answer = store.journal(&key("p"), 0, 1).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    assert!(store.journal(&key("p"), 0, 1).await.expect("reads").is_empty());
    store.close().await;
}

/// Rows that were read by an index or without one, in the tables that grow with the players.
async fn rows_read(client: &Client) -> i64 {
    const TABLES: &str = "('player', 'settled', 'receipt_0', 'receipt_1', 'reward_grant')";
    let sql = format!(
        "SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN {TABLES})::bigint \
         + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN {TABLES})::bigint"
    );
    client.query_one(&sql, &[]).await.expect("reads").get(0)
}

/// Waits until the store's sessions have ended: they report what they read before that.
pub(crate) async fn sessions_end(client: &Client) {
    let sql = "SELECT count(*) FROM pg_stat_activity \
         WHERE application_name = 'gauntlet' AND datname = current_database()";
    let begun = Instant::now();
    while client.query_one(sql, &[]).await.expect("reads").get::<_, i64>(0) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "a session is left");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Plans are made once. One that was made while there were three players must not read all of
/// them when there are 20,000.
#[tokio::test(flavor = "multi_thread")]
async fn statements_touch_only_the_rows_they_name() {
    let database = PgCluster::shared().database().await;
    // One connection, one plan of each statement.
    let store = connected(&PgOptions { max_connections: 1, ..PgOptions::new(&database.url) }).await;
    let admin = database.client().await;
    for name in ["a", "b", "c"] {
        create(store.as_ref(), name).await;
    }
    admin.batch_execute("ANALYZE").await.expect("ANALYZE");
    let batch = |revision: u64| {
        ["a", "b", "c"].map(|name| {
            let mut all = write(name, Some(revision), crate::make::player(revision));
            all.receipts = vec![receipt(&revision.to_string())];
            all.journal = vec![entry(revision, JournalKind::Claimed, &[1], 0)];
            all.results = vec![gauntlet_domain::GrantResult {
                key: crate::make::grant_key(1),
                end: gauntlet_domain::GrantEnd::Granted,
            }];
            all
        })
    };
    let everything = async |revision: u64| {
        assert_eq!(store.commit(&batch(revision)).await.expect("commits"), [done(revision + 1); 3]);
        let asked = ["a", "b", "c"].map(|name| gauntlet_store::Load { receipts: true, ..load(name) });
        assert_eq!(store.load(&asked).await.expect("loads").len(), 3);
        assert_eq!(store.load(&asked[..1]).await.expect("loads").len(), 1);
        let due = store.take_due_grants(at(-1), &crate::make::lease("me", 0), 10).await;
        assert!(due.expect("takes").is_empty());
    };
    everything(1).await;
    admin
        .batch_execute(
            "INSERT INTO player SELECT 'x' || n, 'game', 1, '\\x0101' FROM generate_series(1, 20000) n; \
             INSERT INTO settled SELECT 'x' || n, 'game', '\\x0101' FROM generate_series(1, 20000) n; \
             INSERT INTO receipt_0 SELECT 'x' || n, 'game', 1, '\\x0102030405060708' FROM generate_series(1, 20000) n; \
             INSERT INTO reward_grant SELECT 'x' || n, 'game', 1, 1, 1, 'c', 'g', 'ITEM', 'r', 1, 'granted', 1, \
             NULL, NULL, now(), now(), now() FROM generate_series(1, 20000) n",
        )
        .await
        .expect("grows");
    let before = rows_read(&admin).await;
    everything(2).await;
    store.close().await;
    sessions_end(&admin).await;
    let read = rows_read(&admin).await - before;
    assert!((1..200).contains(&read), "{read} rows were read");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_can_ask_the_journal_with_sql() {
    let (database, store) = fresh().await;
    create(store.as_ref(), "p").await;
    let mut change = write("p", Some(1), small(2));
    change.journal = vec![entry(1, JournalKind::Completed, &[3, 4], 0)];
    commit_one(store.as_ref(), change).await;
    let sql = "SELECT player, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
         (extract(epoch FROM at) * 1000)::bigint FROM journal WHERE kind = 'completed' AND 4 = ANY (goals)";
    let row = database.client().await.query_one(sql, &[]).await.expect("reads");
    assert_eq!(row.get::<_, &str>(0), "p");
    assert_eq!(row.get::<_, &str>(1), at(0).to_rfc3339());
    assert_eq!(row.get::<_, i64>(2), at(0).millis());
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_waits_and_time_outs_are_measured() {
    let (database, _) = fresh().await;
    let options =
        PgOptions { max_connections: 1, wait: Duration::from_millis(20), ..PgOptions::new(&database.url) };
    let store = connected(&options).await;
    create(store.as_ref(), "p").await;
    let count = |operation: &str| {
        let figures = store.figures();
        figures.statements.iter().find(|(name, _)| *name == operation).map_or(0, |(_, times)| times.count)
    };
    assert_eq!((count("player.commit"), count("player.load")), (1, 0));
    assert!(stored(store.as_ref(), "p").await.is_some());
    assert_eq!(count("player.load"), 1, "a player is one statement");

    let held = lock_row(&database, "p").await;
    let waiting = in_background({
        let store = store.clone();
        async move { commit_one(store.as_ref(), write("p", Some(1), small(2))).await }
    });
    blocked(&database).await;
    let refused = store.load(&[load("p")]).await;
    assert!(matches!(refused, Err(Error::Unavailable { operation: "player.load", .. })), "{refused:?}");
    held.batch_execute("ROLLBACK").await.expect("gives the lock back");
    assert_eq!(waiting.await.expect("no panic"), done(2));
    let figures = store.figures();
    assert_eq!((figures.pool_timeouts, figures.log_bytes), (1, None));
    let longest = figures.pool_wait.buckets.iter().rev().find(|(_, count)| *count > 0).expect("waits");
    assert!(longest.0 >= 0.02, "{figures:?}");
    store.close().await;
}
