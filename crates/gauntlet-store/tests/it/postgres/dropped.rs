//! Calls whose caller goes away at each of their await points.

use std::{
    future::poll_fn,
    task::Poll,
    time::{Duration, Instant},
};

use gauntlet_store::{LockedDecision, PgOptions, Store};
use gauntlet_testkit::PgCluster;

use super::connected;
use crate::make::{create, load, small, stored, write};

/// Polls a future so many times and drops it right after; `None`: before it came to its end.
async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = times;
    poll_fn(move |context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_anywhere_is_done_or_not_and_leaves_no_transaction() {
    let database = PgCluster::shared().database().await;
    let store = connected(&PgOptions { max_connections: 2, ..PgOptions::new(&database.url) }).await;
    create(store.as_ref(), "p").await;
    let (mut dropped, mut ended) = (0, 0);
    for (times, locked) in (1..=30).flat_map(|times| [(times, false), (times, true), (times, true)]) {
        let before = stored(store.as_ref(), "p").await.expect("there").revision;
        // Each write says in the document which revision it makes.
        let next = write("p", Some(before), small(before + 1));
        let came_to_its_end = if locked {
            let decide = Box::new(move |loaded: gauntlet_store::Loaded| {
                // A write that was dropped before may have come through only now.
                let revision = loaded.stored.ok().flatten().map(|stored| stored.revision);
                let keep = revision != next.expected;
                if keep { LockedDecision::Keep } else { LockedDecision::Store(Box::new(next)) }
            });
            let update = store.update_locked(load("p"), decide);
            polled(times, update).await.map(|updated| updated.expect("no fault")).is_some()
        } else {
            let batch = [next];
            let commit = store.commit(&batch);
            polled(times, commit).await.map(|written| written.expect("no fault")).is_some()
        };
        *(if came_to_its_end { &mut ended } else { &mut dropped }) += 1;
        let after = stored(store.as_ref(), "p").await.expect("there");
        assert_eq!(
            after.player.head.journal_sequence, after.revision,
            "after {times} polls, locked: {locked}"
        );
    }
    assert!(dropped > 10 && ended > 10, "{dropped} dropped, {ended} ended: too few of one kind");
    // What was dropped gives its connection back or closes it, and the server rolls it back.
    let begun = Instant::now();
    loop {
        let (sessions, pool) = (database.sessions().await, store.pool_status());
        if sessions.in_transaction == 0 && sessions.open == pool.open && pool.idle == pool.open {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "left behind: {sessions:?} {pool:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    store.close().await;
}
