use gauntlet_domain::{GoalNumber, JournalKind, Player, player::Head};
use gauntlet_store::{Error, GrantFilter, Load, PlayerKey, Written};

use crate::{
    fixture::Fixture,
    make::{
        commit_one, create, done, entry, goal, grant_key, key, lease, load, load_one, order, player, receipt,
        small, stored, write,
    },
};

pub(crate) async fn nobody_is_no_error(fixture: &Fixture) {
    let store = fixture.dyn_store();
    assert!(stored(store, "nobody").await.is_none());
    assert!(store.load(&[]).await.expect("loads").is_empty());
    assert!(store.commit(&[]).await.expect("commits").is_empty());
    store.ping().await.expect("answers");
    assert_eq!(store.migrate().await.expect("migrates again"), 0);
}

pub(crate) async fn what_is_created_is_loaded(fixture: &Fixture) {
    let store = fixture.dyn_store();
    assert_eq!(commit_one(store, write("p", None, player(7))).await, done(1));
    let whole = stored(store, "p").await.expect("there");
    assert_eq!((whole.revision, whole.player), (1, player(7)));
    let live = load_one(store, Load { settled: false, ..load("p") }).await.stored.expect("readable");
    let live = live.expect("there").player;
    assert!(!live.has_settled());
    assert_eq!(live, Player::from_parts(player(7).head, vec![goal(1, 10)], None));
}

pub(crate) async fn an_update_counts_the_revision_up(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    for revision in 1..=3 {
        let update = write("p", Some(revision), player(100 + revision));
        assert_eq!(commit_one(store, update).await, done(revision + 1));
        let seen = stored(fixture.other.as_ref(), "p").await.expect("there");
        assert_eq!((seen.revision, seen.player), (revision + 1, player(100 + revision)));
    }
}

pub(crate) async fn a_stale_revision_conflicts(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    assert_eq!(commit_one(store, write("p", Some(1), player(2))).await, done(2));
    for stale in [None, Some(1), Some(3), Some(0)] {
        assert_eq!(commit_one(store, write("p", stale, player(3))).await, Written::Conflict, "{stale:?}");
    }
    assert_eq!(commit_one(store, write("absent", Some(1), player(3))).await, Written::Conflict);
    assert!(stored(store, "absent").await.is_none());
    let seen = stored(store, "p").await.expect("there");
    assert_eq!((seen.revision, seen.player), (2, player(2)));
}

pub(crate) async fn of_two_that_create_one_wins(fixture: &Fixture) {
    for round in 0..20 {
        let name = format!("p{round}");
        let (one, other) = tokio::join!(
            commit_one(fixture.store.as_ref(), write(&name, None, player(1))),
            commit_one(fixture.other.as_ref(), write(&name, None, player(2))),
        );
        let winner = match (one, other) {
            (Written::Done { revision: 1 }, Written::Conflict) => 1,
            (Written::Conflict, Written::Done { revision: 1 }) => 2,
            both => panic!("{both:?}"),
        };
        assert_eq!(stored(fixture.dyn_store(), &name).await.expect("there").player, player(winner));
    }
}

pub(crate) async fn one_conflict_leaves_the_others_and_stores_nothing_of_the_loser(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "loser").await;
    create(store, "winner").await;
    assert_eq!(commit_one(store, write("loser", Some(1), small(2))).await, done(2));
    let everything = |name: &str, expected: Option<u64>| {
        let mut all = write(name, expected, player(9));
        all.receipts = vec![receipt("a"), receipt("b")];
        all.orders = vec![order(1), order(2)];
        all.lease = Some(lease("me", 1000));
        all.journal =
            vec![entry(1, JournalKind::Completed, &[1, 2], 0), entry(2, JournalKind::Claimed, &[1], 0)];
        all
    };
    let batch = [everything("new", None), everything("loser", Some(1)), everything("winner", Some(1))];
    let written = store.commit(&batch).await.expect("commits");
    assert_eq!(written, [done(1), Written::Conflict, done(2)]);

    for (name, wins) in [("new", true), ("loser", false), ("winner", true)] {
        let loaded = load_one(store, Load { receipts: true, ..load(name) }).await;
        let page = [receipt("a"), receipt("b")];
        assert_eq!(loaded.receipts, if wins { &page[..] } else { &[] }, "{name}");
        let document = loaded.stored.expect("readable").expect("there").player;
        assert_eq!(document, if wins { player(9) } else { small(2) }, "{name}");
        assert_eq!(!document.settled().is_empty(), wins, "{name}");
        let filter = GrantFilter { player: Some(key(name)), state: None };
        let grants = store.list_grants(&filter, 10).await.expect("lists");
        assert_eq!(grants.len(), if wins { 2 } else { 0 }, "{name}");
        assert!(grants.iter().all(|grant| [grant_key(1), grant_key(2)].contains(&grant.id.key)));
        let journal = store.journal(&key(name), 0, 10).await.expect("reads");
        assert_eq!(journal.len(), if wins { 2 } else { 0 }, "{name}");
    }
}

pub(crate) async fn settled_goals_are_left_alone_when_not_changed(fixture: &Fixture) {
    let store = fixture.dyn_store();
    commit_one(store, write("p", None, player(1))).await;
    // As an event does: it never had the settled part.
    let live = Player::from_parts(Head::default(), vec![goal(1, 55)], None);
    assert_eq!(commit_one(store, write("p", Some(1), live)).await, done(2));
    // As a call that only touched live goals does.
    let mut update = write("p", Some(2), player(3));
    update.settled_changed = false;
    assert_eq!(commit_one(store, update).await, done(3));
    let seen = stored(store, "p").await.expect("there").player;
    assert_eq!(seen.settled(), player(1).settled());
    assert_eq!(seen.head.journal_sequence, 3);
}

pub(crate) async fn settled_goals_can_be_removed(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for name in ["p", "q"] {
        commit_one(store, write(name, None, player(1))).await;
    }
    let batch = [write("p", Some(1), small(2)), write("q", Some(1), player(2))];
    assert_eq!(store.commit(&batch).await.expect("commits"), [done(2), done(2)]);
    let seen = stored(store, "p").await.expect("there").player;
    assert!(seen.has_settled() && seen.settled().is_empty());
    assert_eq!(stored(store, "q").await.expect("there").player.settled().len(), 1);
    assert_eq!(commit_one(store, write("p", Some(2), player(3))).await, done(3));
    let seen = stored(store, "p").await.expect("there").player;
    assert_eq!(seen.goal(GoalNumber(2)).expect("back").progress, 20);
}

pub(crate) async fn answers_come_in_the_order_asked(fixture: &Fixture) {
    let store = fixture.dyn_store();
    let names = ["m", "a", "z", "k", "b"];
    let batch: Vec<_> = names.iter().zip(10..).map(|(name, mark)| write(name, None, player(mark))).collect();
    store.commit(&batch).await.expect("commits");
    commit_one(store, write("k", Some(1), player(99))).await;
    let batch: Vec<_> = names.iter().map(|name| write(name, Some(1), player(50))).collect();
    let written = store.commit(&batch).await.expect("commits");
    assert_eq!(written, [done(2), done(2), done(2), Written::Conflict, done(2)]);

    let asked: Vec<_> = ["k", "none", "z"]
        .iter()
        .map(|name| Load { settled: *name != "k", receipts: true, ..load(name) })
        .collect();
    let loaded = store.load(&asked).await.expect("loads");
    let seen: Vec<_> = loaded
        .iter()
        .map(|one| one.stored.as_ref().expect("readable").as_ref().map(|stored| stored.revision))
        .collect();
    assert_eq!(seen, [Some(2), None, Some(2)]);
    assert!(loaded.iter().all(|one| one.receipts.is_empty()));
}

pub(crate) async fn namespaces_are_apart(fixture: &Fixture) {
    let store = fixture.dyn_store();
    let in_space = |namespace: &str, mark: u64| {
        let mut new = write("p", None, player(mark));
        new.key.namespace = namespace.into();
        new.receipts = vec![receipt(namespace)];
        new
    };
    let batch = [in_space("one", 1), in_space("two", 2)];
    assert_eq!(store.commit(&batch).await.expect("commits"), [done(1), done(1)]);
    let asked = ["two", "one", "three"].map(|namespace| Load {
        key: PlayerKey { player: "p".to_owned(), namespace: namespace.into() },
        settled: true,
        receipts: true,
    });
    let loaded = store.load(&asked).await.expect("loads");
    let marks: Vec<_> = loaded
        .iter()
        .map(|one| {
            one.stored.as_ref().expect("readable").as_ref().map(|seen| seen.player.head.journal_sequence)
        })
        .collect();
    assert_eq!(marks, [Some(2), Some(1), None]);
    let receipts: Vec<_> = loaded.iter().map(|one| one.receipts.as_slice()).collect();
    assert_eq!(receipts, [&[receipt("two")][..], &[receipt("one")], &[]]);
}

pub(crate) async fn a_batch_of_a_thousand(fixture: &Fixture) {
    let store = fixture.dyn_store();
    let names: Vec<String> = (0..1000).map(|number| format!("player-{number}")).collect();
    let batch: Vec<_> = names
        .iter()
        .map(|name| {
            let mut new = write(name, None, player(1));
            new.receipts = vec![receipt(name)];
            new.journal = vec![entry(1, JournalKind::Assigned, &[1, 2, 3], 0)];
            new
        })
        .collect();
    assert!(store.commit(&batch).await.expect("commits").iter().all(|written| *written == done(1)));
    let batch: Vec<_> = names.iter().map(|name| write(name, Some(1), player(2))).collect();
    assert!(store.commit(&batch).await.expect("commits").iter().all(|written| *written == done(2)));
    let asked: Vec<_> = names.iter().map(|name| Load { receipts: true, ..load(name) }).collect();
    for (name, loaded) in names.iter().zip(store.load(&asked).await.expect("loads")) {
        let seen = loaded.stored.expect("readable").expect("there");
        assert_eq!((seen.revision, seen.player), (2, player(2)), "{name}");
        assert_eq!(loaded.receipts, [receipt(name)], "{name}");
    }
}

/// Two replicas write the same players in opposite orders, again and again: in each round each
/// player is written by exactly one of them or by neither.
pub(crate) async fn batches_that_overlap_do_not_block_each_other_for_good(fixture: &Fixture) {
    let names: Vec<String> = (0..50).map(|number| format!("p{number}")).collect();
    for name in &names {
        create(fixture.dyn_store(), name).await;
    }
    let revisions = || async {
        let asked: Vec<_> = names.iter().map(|name| load(name)).collect();
        let loaded = fixture.store.load(&asked).await.expect("loads");
        loaded
            .into_iter()
            .map(|one| one.stored.expect("readable").expect("there").revision)
            .collect::<Vec<_>>()
    };
    for _ in 0..10 {
        let before = revisions().await;
        let batch = |mark: u64| -> Vec<_> {
            names.iter().zip(&before).map(|(name, seen)| write(name, Some(*seen), small(mark))).collect()
        };
        let (one, mut other) = (batch(1), batch(2));
        other.reverse();
        let (one, other) = tokio::join!(fixture.store.commit(&one), fixture.other.commit(&other));
        let (one, mut other) = (one.expect("commits"), other.expect("commits"));
        other.reverse();
        for ((one, other), (before, after)) in
            one.iter().zip(&other).zip(before.iter().zip(revisions().await))
        {
            let written = [one, other].iter().filter(|written| ***written == done(before + 1)).count();
            assert!(written <= 1, "both wrote revision {}", before + 1);
            assert_eq!(after, before + written as u64);
        }
    }
}

pub(crate) async fn calls_that_make_no_sense_are_rejected(fixture: &Fixture) {
    let store = fixture.dyn_store();
    let twice = vec![write("p", None, small(1)), write("p", None, small(2))];
    let mut no_lease = write("p", None, small(1));
    no_lease.orders = vec![order(1)];
    let mut no_settled = write("p", None, Player::from_parts(Head::default(), vec![], None));
    no_settled.settled_changed = true;
    let mut too_great = write("p", None, small(1));
    too_great.journal = vec![entry(1, JournalKind::Assigned, &[u32::MAX], 0)];
    for batch in [twice, vec![no_lease], vec![no_settled], vec![too_great]] {
        let error = store.commit(&batch).await.expect_err("refused");
        assert!(matches!(error, Error::Rejected { .. }), "{error:?}");
        assert!(!error.is_transient());
    }
    assert!(stored(store, "p").await.is_none());
}
