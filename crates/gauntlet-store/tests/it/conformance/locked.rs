use std::sync::Arc;

use gauntlet_domain::{GoalNumber, JournalKind};
use gauntlet_store::{Error, Load, LockedDecision, Store, Write, Written};

use crate::{
    fixture::Fixture,
    make::{
        commit_one, create, done, entry, key, lease, load, load_one, order, player, receipt, small, stored,
        write,
    },
};

pub(crate) async fn keeping_stores_nothing(fixture: &Fixture) {
    let store = fixture.dyn_store();
    let answer = store.update_locked(
        load("p"),
        Box::new(|loaded| {
            assert!(loaded.stored.expect("readable").is_none());
            LockedDecision::Keep
        }),
    );
    assert_eq!(answer.await.expect("answers"), None);
    assert!(stored(store, "p").await.is_none());
    create(store, "p").await;
    let answer = store.update_locked(load("p"), Box::new(|_| LockedDecision::Keep)).await;
    assert_eq!(answer.expect("answers"), None);
    assert_eq!(stored(store, "p").await.expect("there").revision, 1);
}

pub(crate) async fn storing_writes_everything(fixture: &Fixture) {
    let store = fixture.dyn_store();
    let change = |expected: Option<u64>, sequence: u64| {
        let mut change = write("p", expected, player(sequence));
        change.receipts = vec![receipt(&sequence.to_string())];
        change.orders = vec![order(u32::try_from(sequence).expect("small"))];
        change.lease = Some(lease("me", 1000));
        change.journal = vec![entry(sequence, JournalKind::Claimed, &[1], 0)];
        LockedDecision::Store(Box::new(change))
    };
    for (expected, sequence) in [(None, 1), (Some(1), 2)] {
        let answer = store.update_locked(load("p"), Box::new(move |_| change(expected, sequence))).await;
        assert_eq!(answer.expect("answers"), Some(done(sequence)));
        let seen = stored(fixture.other.as_ref(), "p").await.expect("there");
        assert_eq!((seen.revision, seen.player), (sequence, player(sequence)));
    }
    assert_eq!(store.pending_grants().await.expect("counts").0, 2);
    assert_eq!(store.journal(&key("p"), 0, 9).await.expect("reads").len(), 2);
    let asked = Load { receipts: true, ..load("p") };
    assert_eq!(load_one(store, asked).await.receipts, [receipt("1"), receipt("2")]);
}

pub(crate) async fn sees_receipts_and_settled_goals(fixture: &Fixture) {
    let store = fixture.dyn_store();
    let mut new = write("p", None, player(1));
    new.receipts = vec![receipt("a")];
    commit_one(store, new).await;
    let asked = Load { receipts: true, ..load("p") };
    let decide = |loaded: gauntlet_store::Loaded| {
        assert_eq!(loaded.receipts, [receipt("a")]);
        let seen = loaded.stored.expect("readable").expect("there");
        assert_eq!(seen.player, player(1));
        let mut changed = seen.player;
        changed.goal_mut(GoalNumber(2)).expect("settled").progress = 21;
        LockedDecision::Store(Box::new(write("p", Some(seen.revision), changed)))
    };
    assert_eq!(store.update_locked(asked, Box::new(decide)).await.expect("answers"), Some(done(2)));
    let seen = stored(store, "p").await.expect("there").player;
    assert_eq!(seen.goal(GoalNumber(2)).expect("settled").progress, 21);
}

pub(crate) async fn refuses_to_write_another_player(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    let mut no_lease = write("p", Some(1), small(2));
    no_lease.orders = vec![order(1)];
    for wrong in
        [write("q", Some(1), small(2)), write("p", Some(2), small(2)), write("p", None, small(2)), no_lease]
    {
        let decision = LockedDecision::Store(Box::new(wrong));
        let error = store.update_locked(load("p"), Box::new(move |_| decision)).await.expect_err("refused");
        assert!(matches!(error, Error::Rejected { .. }), "{error:?}");
    }
    assert_eq!(stored(store, "p").await.expect("there").revision, 1);
    assert!(stored(store, "q").await.is_none());
}

fn counted_up(seen: gauntlet_store::Stored) -> Write {
    let mut changed = seen.player;
    changed.head.journal_sequence += 1;
    write("p", Some(seen.revision), changed)
}

async fn count_by_commit(store: &dyn Store) -> u64 {
    let mut lost = 0;
    loop {
        let seen = stored(store, "p").await.expect("there");
        match commit_one(store, counted_up(seen)).await {
            Written::Done { .. } => return lost,
            Written::Conflict => lost += 1,
        }
    }
}

async fn count_by_lock(store: &dyn Store) {
    let decide = |loaded: gauntlet_store::Loaded| {
        let seen = loaded.stored.expect("readable").expect("there");
        LockedDecision::Store(Box::new(counted_up(seen)))
    };
    let written = store.update_locked(load("p"), Box::new(decide)).await.expect("answers");
    assert!(matches!(written, Some(Written::Done { .. })), "the row was locked, and still: {written:?}");
}

/// Many writers of one player, half of them by compare and swap, half of them by the lock.
pub(crate) async fn no_update_is_lost(fixture: &Fixture) {
    const WRITERS: u64 = 6;
    const EACH: u64 = 20;
    create(fixture.dyn_store(), "p").await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(if writer % 3 == 0 { &fixture.other } else { &fixture.store });
            #[expect(clippy::disallowed_methods, reason = "awaited below")]
            tokio::spawn(async move {
                for _ in 0..EACH {
                    if writer % 2 == 0 {
                        count_by_commit(store.as_ref()).await;
                    } else {
                        count_by_lock(store.as_ref()).await;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no writer panics");
    }
    let seen = stored(fixture.dyn_store(), "p").await.expect("there");
    assert_eq!(seen.revision, 1 + WRITERS * EACH);
    assert_eq!(seen.player.head.journal_sequence, 1 + WRITERS * EACH);
}

pub(crate) async fn creating_players_at_once_makes_one(fixture: &Fixture) {
    for round in 0..10 {
        let name = format!("p{round}");
        let create = |store: Arc<dyn Store>| {
            let name = name.clone();
            async move {
                let new = write(&name, None, small(1));
                let decide = move |loaded: gauntlet_store::Loaded| match loaded.stored.expect("readable") {
                    Some(_) => LockedDecision::Keep,
                    None => LockedDecision::Store(Box::new(new)),
                };
                store.update_locked(load(&name), Box::new(decide)).await.expect("answers")
            }
        };
        let answers = tokio::join!(create(fixture.store.clone()), create(fixture.other.clone()));
        let made = [answers.0, answers.1].into_iter().filter(|answer| *answer == Some(done(1))).count();
        assert_eq!(made, 1, "{answers:?}");
        assert_eq!(stored(fixture.dyn_store(), &name).await.expect("there").revision, 1);
    }
}
