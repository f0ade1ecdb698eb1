use gauntlet_store::{Load, Store, Write, Written};

use crate::{
    fixture::Fixture,
    make::{DAY, at, commit_one, create, done, load, load_one, receipt, small, write},
};

async fn counted(store: &dyn Store, name: &str, ids: &[&str]) -> Vec<bool> {
    let receipts = ids.iter().map(|id| receipt(id)).collect();
    load_one(store, Load { settled: false, receipts, ..load(name) }).await.receipts
}

async fn count(store: &dyn Store, name: &str, revision: u64, id: &str) {
    let mut event = write(name, Some(revision), small(revision));
    event.receipts = vec![receipt(id)];
    assert_eq!(commit_one(store, event).await, done(revision + 1));
}

pub(crate) async fn are_seen_by_later_loads(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for name in ["p", "q"] {
        create(store, name).await;
    }
    count(store, "p", 1, "one").await;
    count(store, "q", 1, "two").await;
    let other = fixture.other.as_ref();
    assert_eq!(counted(other, "p", &["two", "one", "one"]).await, [false, true, true]);
    assert_eq!(counted(other, "q", &["two", "one"]).await, [true, false]);
    assert_eq!(counted(other, "nobody", &["one"]).await, [false]);
    // Each part of the name counts.
    let mut asked = vec![receipt("one"); 2];
    asked[0].source = "elsewhere".into();
    asked[1].kind = "logout".into();
    let loaded = load_one(store, Load { receipts: asked, ..load("p") }).await;
    assert_eq!(loaded.receipts, [false, false]);
    // The same receipt again, alone and twice in a write, is no error.
    let mut again = write("p", Some(2), small(3));
    again.receipts = vec![receipt("one"), receipt("three"), receipt("three")];
    assert_eq!(commit_one(store, again).await, done(3));
    assert_eq!(counted(store, "p", &["one", "three"]).await, [true, true]);
}

pub(crate) async fn that_nobody_looked_for_conflict_when_they_are_there(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for name in ["p", "q", "r"] {
        create(store, name).await;
        count(store, name, 1, "one").await;
    }
    let unseen = |name: &str, ids: &[&str]| Write {
        receipts: ids.iter().map(|id| receipt(id)).collect(),
        unseen: true,
        ..write(name, Some(2), small(3))
    };
    // Each stands alone, and what somebody has looked for is taken as said.
    let said = Write { unseen: false, ..unseen("r", &["one", "two"]) };
    let new = Write { expected: None, ..unseen("s", &["one"]) };
    let batch = [unseen("p", &["two", "one"]), unseen("q", &["two", "three"]), said, new];
    let written = store.commit(&batch).await.expect("commits");
    assert_eq!(written, [Written::Conflict, done(3), done(3), done(1)]);
    assert_eq!(counted(store, "p", &["one", "two"]).await, [true, false]);
    assert_eq!(counted(store, "q", &["one", "two", "three"]).await, [true; 3]);
    assert_eq!(counted(store, "s", &["one"]).await, [true]);
    // The generation before counts, too.
    assert!(store.rotate_receipts(at(0)).await.expect("rotates"));
    assert_eq!(commit_one(store, unseen("p", &["one"])).await, Written::Conflict);
    assert_eq!(commit_one(store, unseen("p", &["two"])).await, done(3));
}

pub(crate) async fn live_through_one_rotation_and_not_two(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    store.rotate_receipts(at(0)).await.expect("rotates");
    count(store, "p", 1, "first").await;
    assert!(store.rotate_receipts(at(DAY)).await.expect("rotates"));
    count(store, "p", 2, "second").await;
    assert_eq!(counted(store, "p", &["first", "second"]).await, [true, true]);
    assert!(fixture.other.rotate_receipts(at(2 * DAY)).await.expect("rotates"));
    count(store, "p", 3, "third").await;
    assert_eq!(counted(store, "p", &["first", "second", "third"]).await, [false, true, true]);
    assert!(store.rotate_receipts(at(3 * DAY)).await.expect("rotates"));
    assert_eq!(counted(store, "p", &["first", "second", "third"]).await, [false, false, true]);
}

pub(crate) async fn rotate_once_a_day(fixture: &Fixture) {
    let store = fixture.dyn_store();
    // The first call starts the first generation, however late it comes.
    assert!(store.rotate_receipts(at(0)).await.expect("rotates"));
    for early in [0, 1, DAY / 2, DAY - 1] {
        assert!(!store.rotate_receipts(at(early)).await.expect("rotates"), "{early}");
    }
    // Replicas that find it due at the same time: one of them does it. Others may find the tables
    // in use, and try again in a minute.
    let (one, other) =
        tokio::join!(fixture.store.rotate_receipts(at(DAY)), fixture.other.rotate_receipts(at(DAY)));
    let rotated = [one, other].into_iter().filter(|answer| matches!(answer, Ok(true))).count();
    assert_eq!(rotated, 1);
    assert!(!store.rotate_receipts(at(DAY + 5)).await.expect("rotates"));
}
