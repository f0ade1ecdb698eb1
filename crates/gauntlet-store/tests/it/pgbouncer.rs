//! A PgBouncer in transaction mode between the store and the server. The whole suite of the
//! contract runs through one as well; here is what only it can break.

use std::sync::Arc;

use futures_util::future::join_all;
use gauntlet_store::{Error, PgOptions, PgStore, Store};
use gauntlet_testkit::{Database, PgBouncer, PgCluster};

use crate::make::{commit_one, create, done, key, load, small, stored, write};

async fn through(pooler: &PgBouncer, database: &Database, connections: usize) -> Arc<PgStore> {
    let options = PgOptions { max_connections: connections, ..PgOptions::new(pooler.url(database)) };
    let store = PgStore::connect(&options).expect("fine options");
    store.migrate().await.expect("migrates");
    Arc::new(store)
}

/// Names of prepared statements at the server. A few looks meet every session of a small pool.
async fn prepared(pooler: &PgBouncer, database: &Database) -> Vec<String> {
    let (client, connection) =
        tokio_postgres::connect(&pooler.url(database), tokio_postgres::NoTls).await.expect("connects");
    #[expect(clippy::disallowed_methods, reason = "ends with its client")]
    let _ends_with_its_client = tokio::spawn(connection);
    let mut names = Vec::new();
    for _ in 0..8 {
        for message in client.simple_query("SELECT name FROM pg_prepared_statements").await.expect("reads") {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                names.push(row.get(0).unwrap_or_default().to_owned());
            }
        }
    }
    names
}

/// Three replicas with the same names for different statements, on two sessions of the server.
async fn sessions_are_shared(settings: &str, statements_are_prepared: bool) {
    let cluster = PgCluster::shared();
    let database = cluster.database().await;
    let pooler = PgBouncer::start(cluster, &format!("default_pool_size = 2\n{settings}"));
    let stores = [
        through(&pooler, &database, 3).await,
        through(&pooler, &database, 3).await,
        through(&pooler, &database, 3).await,
    ];
    create(stores[0].as_ref(), "p").await;
    create(stores[1].as_ref(), "q").await;
    // Each replica begins with another statement.
    assert!(stores[0].ping().await.is_ok());
    assert!(stores[1].journal(&key("p"), 0, 1).await.expect("reads").is_empty());
    assert_eq!(stores[2].load(&[load("p"), load("nobody")]).await.expect("loads").len(), 2);
    for (turn, revision) in (1..20).enumerate() {
        let store = &stores[turn % 3];
        let both = ["p", "q"].map(|name| write(name, Some(revision), small(revision + 1)));
        let (written, reads) = tokio::join!(
            store.commit(&both),
            join_all(
                stores
                    .iter()
                    .map(|store| async move { (store.ping().await, stored(store.as_ref(), "q").await) })
            ),
        );
        assert_eq!(written.expect("commits"), [done(revision + 1), done(revision + 1)]);
        for (pong, seen) in reads {
            assert!(pong.is_ok(), "{pong:?}");
            let seen = seen.expect("there").revision;
            assert!(seen == revision || seen == revision + 1, "{seen} after {revision}");
        }
    }
    let names = prepared(&pooler, &database).await;
    assert_eq!(!names.is_empty(), statements_are_prepared, "{names:?}");
    for store in stores {
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_replicas_are_not_mixed_up() {
    // Before 1.21 it knows nothing of prepared statements.
    let off = if PgBouncer::version() >= (1, 21) { "max_prepared_statements = 0" } else { "" };
    sessions_are_shared(off, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_prepared_where_the_pooler_keeps_track() {
    if PgBouncer::version() >= (1, 21) {
        sessions_are_shared("max_prepared_statements = 100", true).await;
    } else {
        // Dropped instead of refused: as dangerous, and found out as well.
        sessions_are_shared("ignore_startup_parameters = options,extra_float_digits", false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_restarts_is_away_and_back() {
    let cluster = PgCluster::private();
    let database = cluster.database().await;
    let pooler = PgBouncer::start(&cluster, "");
    let store = through(&pooler, &database, 2).await;
    create(store.as_ref(), "p").await;
    // The server behind it goes away, and comes back.
    cluster.stop();
    let answer = store.commit(&[write("p", Some(1), small(2))]).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. } | Error::Unknown { .. })), "{answer:?}");
    cluster.start();
    // It tries its server again only after a while (server_login_retry).
    let begun = std::time::Instant::now();
    let revision = loop {
        match store.load(&[load("p")]).await {
            Ok(loaded) => {
                break loaded[0].stored.as_ref().expect("readable").as_ref().expect("there").revision;
            }
            Err(error) => assert!(begun.elapsed().as_secs() < 60 && error.is_transient(), "{error:?}"),
        }
    };
    assert_eq!(revision, 1);
    assert_eq!(commit_one(store.as_ref(), write("p", Some(1), small(2))).await, done(2));
    // Now the pooler itself.
    drop(pooler);
    let answer = store.load(&[load("p")]).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
}

/// What the log asks the operator to do makes the settings those of every session.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_role_reach_sessions_behind_the_pooler() {
    let database = PgCluster::shared().database().await;
    let admin = database.client().await;
    for setting in ["plan_cache_mode = 'force_generic_plan'", "enable_seqscan = 'off'", "jit = 'off'"] {
        let sql = format!("ALTER ROLE gauntlet IN DATABASE {} SET {setting}", database.name);
        admin.batch_execute(&sql).await.expect("alters");
    }
    let pooler = PgBouncer::shared();
    let store = through(pooler, &database, 1).await;
    create(store.as_ref(), "p").await;
    let (client, connection) =
        tokio_postgres::connect(&pooler.url(&database), tokio_postgres::NoTls).await.expect("connects");
    #[expect(clippy::disallowed_methods, reason = "ends with its client")]
    let _ends_with_its_client = tokio::spawn(connection);
    let sql = "SELECT current_setting('plan_cache_mode') || ' ' || current_setting('enable_seqscan')";
    let answer = client.simple_query(sql).await.expect("reads");
    let found = answer.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    assert_eq!(found, Some("force_generic_plan off"));
    store.close().await;
}
