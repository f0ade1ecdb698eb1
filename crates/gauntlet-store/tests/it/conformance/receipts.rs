use gauntlet_domain::Receipt;
use gauntlet_store::{Error, Load, Store, Write, Written};

use crate::{
    fixture::Fixture,
    make::{DAY, at, commit_one, create, done, load, load_one, receipt, small, write},
};

/// The receipts that have left a player's document, sorted.
async fn left(store: &dyn Store, name: &str) -> Vec<Receipt> {
    let mut receipts = load_one(store, Load { settled: false, receipts: true, ..load(name) }).await.receipts;
    receipts.sort_unstable();
    receipts
}

fn page(ids: &[&str]) -> Vec<Receipt> {
    let mut page: Vec<Receipt> = ids.iter().map(|id| receipt(id)).collect();
    page.sort_unstable();
    page
}

/// A write with which these receipts leave the document.
fn leaving(name: &str, revision: u64, ids: &[&str]) -> Write {
    Write { receipts: page(ids), ..write(name, Some(revision), small(revision)) }
}

pub(crate) async fn are_seen_by_later_loads(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for name in ["p", "q"] {
        create(store, name).await;
    }
    let batch = [leaving("p", 1, &["one", "two"]), leaving("q", 1, &["three"])];
    assert_eq!(store.commit(&batch).await.expect("commits"), [done(2), done(2)]);
    assert_eq!(commit_one(store, leaving("p", 2, &["four"])).await, done(3));
    let other = fixture.other.as_ref();
    assert_eq!(left(other, "p").await, page(&["one", "two", "four"]));
    assert_eq!(left(other, "q").await, page(&["three"]));
    assert_eq!(left(other, "nobody").await, []);
    // Of those who ask for them only.
    let asked = [Load { receipts: true, ..load("q") }, load("p")];
    let loaded = store.load(&asked).await.expect("loads");
    assert_eq!((loaded[0].receipts.len(), loaded[1].receipts.len()), (1, 0));
    // A new player's, too.
    let new = Write { expected: None, ..leaving("r", 1, &["five"]) };
    assert_eq!(commit_one(store, new).await, done(1));
    assert_eq!(left(other, "r").await, page(&["five"]));
}

pub(crate) async fn of_a_write_that_lost_are_not_stored(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for name in ["p", "q"] {
        create(store, name).await;
    }
    let batch = [leaving("p", 7, &["one"]), leaving("q", 1, &["two"])];
    assert_eq!(store.commit(&batch).await.expect("commits"), [Written::Conflict, done(2)]);
    assert_eq!(left(store, "p").await, []);
    assert_eq!(left(store, "q").await, page(&["two"]));
}

pub(crate) async fn that_are_damaged_are_an_error_of_their_player(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for name in ["p", "q"] {
        create(store, name).await;
        assert_eq!(commit_one(store, leaving(name, 1, &["one"])).await, done(2));
    }
    if !fixture.plant_receipts("p", &[1, 2, 3]).await {
        return;
    }
    let asked = ["p", "q"].map(|name| Load { receipts: true, ..load(name) });
    let loaded = store.load(&asked).await.expect("loads");
    assert!(matches!(&loaded[0].stored, Err(Error::Corrupt { column: "receipts", .. })), "{:?}", loaded[0]);
    assert!(loaded[1].stored.is_ok());
    // Who does not need them is not hurt.
    assert!(load_one(store, load("p")).await.stored.is_ok());
}

pub(crate) async fn live_through_one_rotation_and_not_two(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    store.rotate_receipts(at(0)).await.expect("rotates");
    assert_eq!(commit_one(store, leaving("p", 1, &["first"])).await, done(2));
    assert!(store.rotate_receipts(at(DAY)).await.expect("rotates"));
    assert_eq!(commit_one(store, leaving("p", 2, &["second"])).await, done(3));
    assert_eq!(left(store, "p").await, page(&["first", "second"]));
    assert!(fixture.other.rotate_receipts(at(2 * DAY)).await.expect("rotates"));
    assert_eq!(commit_one(store, leaving("p", 3, &["third"])).await, done(4));
    assert_eq!(left(store, "p").await, page(&["second", "third"]));
    assert!(store.rotate_receipts(at(3 * DAY)).await.expect("rotates"));
    assert_eq!(left(store, "p").await, page(&["third"]));
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
