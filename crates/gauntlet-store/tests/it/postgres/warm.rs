//! Before a server is ready its connections are open and know their statements.

use gauntlet_store::{Load, PgOptions, PgStore, Store, Write};
use gauntlet_testkit::{PgCluster, Proxy};

use super::connected;
use crate::make::{commit_one, done, entry, load, receipt, small, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_store_prepares_nothing_for_its_first_calls() {
    let database = PgCluster::shared().database().await;
    let proxy = Proxy::start(&database.url).await;
    let store = connected(&PgOptions { max_connections: 3, ..PgOptions::new(proxy.url()) }).await;
    let cold = proxy.prepared();
    assert!(cold > 0, "migrating prepares statements: the proxy counts them");
    store.warm_up().await.expect("warms up");
    let (status, warm) = (store.pool_status(), proxy.prepared());
    assert_eq!((status.open, status.idle), (3, 3));
    assert!(warm > cold + 3 * 20, "{warm} after {cold}");
    // Three calls at once meet all three connections.
    let answers = tokio::join!(store.ping(), store.ping(), store.ping());
    assert!(answers.0.is_ok() && answers.1.is_ok() && answers.2.is_ok());
    for number in 0..6 {
        let name = format!("p{number}");
        // As for a player that has settled nothing.
        let first = Write { settled_changed: false, ..write(&name, None, small(1)) };
        assert_eq!(commit_one(store.as_ref(), first).await, done(1));
        let mut update = Write { settled_changed: false, ..write(&name, Some(1), small(2)) };
        update.receipts = vec![receipt("1")];
        update.journal = vec![entry(1, gauntlet_domain::JournalKind::Completed, &[1], 0)];
        assert_eq!(commit_one(store.as_ref(), update).await, done(2));
        let asked = [Load { receipts: true, ..load(&name) }, load("nobody")];
        assert_eq!(store.load(&asked).await.expect("loads")[0].receipts, [receipt("1")]);
        assert_eq!(store.load(&asked[..1]).await.expect("loads").len(), 1);
    }
    assert_eq!(proxy.prepared(), warm, "something was prepared for a call");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_too_few_connections_warms_up_as_far_as_it_goes() {
    let database = PgCluster::shared().database().await;
    connected(&PgOptions::new(&database.url)).await.close().await;
    let role = format!("few_{}", database.name);
    let sql = format!(
        "CREATE ROLE {role} LOGIN CONNECTION LIMIT 2; GRANT pg_read_all_data, pg_write_all_data TO {role}"
    );
    database.client().await.batch_execute(&sql).await.expect("a role");
    let url = database.url.replace("gauntlet@", &format!("{role}@"));
    let store = PgStore::connect(&PgOptions::new(url)).expect("fine options");
    store.warm_up().await.expect("warms up");
    assert_eq!(store.pool_status().open, 2);
    assert_eq!(store.load(&[load("p")]).await.expect("loads").len(), 1);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_a_server_does_not_warm_up() {
    let store = PgStore::connect(&PgOptions::new("postgres://u@127.0.0.1:1/d")).expect("fine");
    assert!(store.warm_up().await.expect_err("nobody there").is_transient());
}
