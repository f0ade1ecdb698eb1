use gauntlet_domain::JournalKind;
use gauntlet_store::JournalRow;

use crate::{
    fixture::Fixture,
    make::{at, commit_one, create, entry, key, small, write},
};

pub(crate) async fn keeps_order_and_pages(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for name in ["p", "q"] {
        create(store, name).await;
    }
    // The time of a completion is the event's: it need not rise with the sequence.
    let entries = [
        entry(1, JournalKind::Assigned, &[5, 1, 2_000_000], 0),
        entry(2, JournalKind::Completed, &[1], 500),
        entry(3, JournalKind::Claimed, &[1], -400),
        entry(4, JournalKind::Expired, &[5], 600),
        entry(5, JournalKind::Repaired, &[1, 5], 700),
        entry(6, JournalKind::Restarted, &[5, 1], 800),
    ];
    for (step, revision) in entries.chunks(2).zip(1..) {
        let mut change = write("p", Some(revision), small(2));
        change.journal = step.iter().rev().cloned().collect();
        commit_one(store, change).await;
    }
    let row = |at: usize| JournalRow { player: key("p"), entry: entries[at].clone() };
    let read = |after, limit| async move { store.journal(&key("p"), after, limit).await.expect("reads") };
    assert_eq!(read(0, 10).await, (0..6).map(row).collect::<Vec<_>>());
    assert_eq!(read(0, 2).await, [row(0), row(1)]);
    assert_eq!(read(2, 2).await, [row(2), row(3)]);
    assert_eq!(read(6, 10).await, []);
    assert_eq!(read(u64::MAX, 10).await, []);
    assert_eq!(store.journal(&key("q"), 0, 10).await.expect("reads"), []);
}

pub(crate) async fn pages_backwards(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for name in ["p", "q"] {
        create(store, name).await;
        let mut change = write(name, Some(1), small(2));
        let row = |sequence| entry(sequence, JournalKind::Completed, &[2, 7], 0);
        change.journal = (1..=4).map(row).collect();
        // A row of a release that did not tell cycles.
        change.journal[2].cycles.clear();
        commit_one(store, change).await;
    }
    let read = |before, limit| async move {
        let rows = store.journal_before(&key("p"), before, limit).await.expect("reads");
        assert!(rows.iter().all(|row| row.player == key("p")));
        rows.into_iter().map(|row| row.entry).collect::<Vec<_>>()
    };
    let sequences = |rows: Vec<gauntlet_domain::JournalEntry>| -> Vec<u64> {
        rows.into_iter().map(|entry| entry.sequence).collect()
    };
    assert_eq!(sequences(read(u64::MAX, 10).await), [4, 3, 2, 1]);
    assert_eq!(sequences(read(4, 2).await), [3, 2]);
    assert!(sequences(read(1, 2).await).is_empty());
    let newest = read(5, 2).await;
    assert_eq!(newest[0], entry(4, JournalKind::Completed, &[2, 7], 0), "with its cycles");
    assert_eq!((newest[0].cycles.len(), newest[1].cycles.len()), (2, 0));
    assert!(newest[0].cycles[0].end.is_none() && newest[0].cycles[1].end.is_some());
}

pub(crate) async fn is_pruned_by_age(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for (name, times) in [("p", [0, 100, 200]), ("q", [50, 150, 250])] {
        create(store, name).await;
        let mut change = write(name, Some(1), small(2));
        change.journal = (1..)
            .zip(times)
            .map(|(sequence, time)| entry(sequence, JournalKind::Claimed, &[1], time))
            .collect();
        commit_one(store, change).await;
    }
    assert_eq!(store.prune_journal(at(0)).await.expect("prunes"), 0);
    assert_eq!(store.prune_journal(at(150)).await.expect("prunes"), 3);
    assert_eq!(store.prune_journal(at(150)).await.expect("prunes"), 0);
    for (name, left) in [("p", vec![3]), ("q", vec![2, 3])] {
        let rows = store.journal(&key(name), 0, 10).await.expect("reads");
        assert_eq!(rows.iter().map(|row| row.entry.sequence).collect::<Vec<_>>(), left, "{name}");
    }
}
