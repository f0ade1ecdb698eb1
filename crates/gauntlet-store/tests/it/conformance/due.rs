use gauntlet_store::{Due, PlayerKey, Store, Write, Written};

use crate::{
    fixture::Fixture,
    make::{at, commit_one, create, done, key, small, write},
};

/// A write that says when somebody has to look after the player.
fn saying(name: &str, revision: u64, due: Due) -> Write {
    Write { due, ..write(name, Some(revision), small(2)) }
}

async fn take(store: &dyn Store, now: i64, limit: u32) -> Vec<PlayerKey> {
    store.take_due_players("game", at(now), at(now + 1000), limit).await.expect("takes")
}

pub(crate) async fn is_told_with_the_write(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for name in ["p", "q", "r"] {
        create(store, name).await;
    }
    assert!(take(store, 9_000, 10).await.is_empty(), "nobody has said so");
    assert_eq!(commit_one(store, saying("p", 1, Due::At(at(200)))).await, done(2));
    // A new player may be due from the start.
    let new = Write { due: Due::At(at(100)), ..write("s", None, small(1)) };
    assert_eq!(commit_one(store, new).await, done(1));
    assert!(take(store, 99, 10).await.is_empty());
    assert_eq!(take(fixture.other.as_ref(), 200, 10).await, [key("s"), key("p")], "who waits longest first");
    // Later, earlier, the same as before, and not any more.
    assert_eq!(commit_one(store, saying("p", 2, Due::At(at(5_000)))).await, done(3));
    assert_eq!(commit_one(store, saying("p", 3, Due::At(at(300)))).await, done(4));
    assert_eq!(commit_one(store, saying("p", 4, Due::Keep)).await, done(5));
    assert_eq!(commit_one(store, saying("s", 1, Due::Never)).await, done(2));
    assert_eq!(take(store, 300, 10).await, [key("p")]);
    assert_eq!(commit_one(store, saying("p", 5, Due::Never)).await, done(6));
    assert_eq!(commit_one(store, saying("p", 6, Due::Never)).await, done(7), "for nothing");
    assert!(take(store, 9_000, 10).await.is_empty());
    // A loser says nothing; its neighbours of the batch do.
    let batch = [saying("q", 1, Due::At(at(0))), saying("r", 9, Due::At(at(0))), saying("p", 9, Due::Never)];
    let written = store.commit(&batch).await.expect("commits");
    assert_eq!(written, [done(2), Written::Conflict, Written::Conflict]);
    assert_eq!(take(store, 0, 10).await, [key("q")]);
}

pub(crate) async fn is_taken_once_and_comes_again(fixture: &Fixture) {
    let store = fixture.dyn_store();
    let names: Vec<String> = (10..30).map(|number| format!("p{number}")).collect();
    for name in &names {
        create(store, name).await;
        commit_one(store, saying(name, 1, Due::At(at(0)))).await;
    }
    let takers = (0..5).map(|_| async {
        let mut taken = Vec::new();
        loop {
            let some = take(fixture.other.as_ref(), 0, 3).await;
            if some.is_empty() {
                return taken;
            }
            taken.extend(some);
        }
    });
    let mut taken: Vec<PlayerKey> = futures_util::future::join_all(takers).await.concat();
    taken.sort();
    assert_eq!(taken, names.iter().map(|name| key(name)).collect::<Vec<_>>());
    assert!(take(store, 999, 100).await.is_empty());
    // Whoever took them died: they are due again.
    assert_eq!(take(store, 1_000, 100).await.len(), names.len());
}

pub(crate) async fn is_each_namespace_s_own(fixture: &Fixture) {
    let store = fixture.dyn_store();
    let there = PlayerKey { player: "p".to_owned(), namespace: "other".into() };
    let mut elsewhere = write("p", None, small(1));
    elsewhere.key = there.clone();
    elsewhere.due = Due::At(at(0));
    commit_one(store, elsewhere).await;
    create(store, "p").await;
    commit_one(store, saying("p", 1, Due::At(at(0)))).await;
    assert_eq!(take(store, 0, 10).await, [key("p")]);
    let taken = store.take_due_players("other", at(0), at(1_000), 10).await.expect("takes");
    assert_eq!(taken, [there]);
}
