use std::collections::HashSet;

use gauntlet_domain::{GrantEnd, GrantResult};
use gauntlet_store::{
    DueGrant, Error, Grant, GrantFilter, GrantId, GrantState, Lease, Retry, Store, Write, Written,
};

use crate::{
    fixture::Fixture,
    make::{at, commit_one, create, done, grant_key, key, lease, order, small, stored, write},
};

/// A write that orders grants of these goals, leased to "first" until 1000.
fn ordering(name: &str, revision: u64, goals: &[u32]) -> Write {
    let mut claim = write(name, Some(revision), small(2));
    claim.orders = goals.iter().map(|goal| order(*goal)).collect();
    claim.lease = Some(lease("first", 1000));
    claim
}

fn ending(name: &str, revision: u64, goal: u32, end: GrantEnd) -> Write {
    let mut result = write(name, Some(revision), small(3));
    result.results = vec![GrantResult { key: grant_key(goal), end }];
    result.at = at(777);
    result
}

async fn all(store: &dyn Store) -> Vec<Grant> {
    store.list_grants(&GrantFilter::default(), 100).await.expect("lists")
}

async fn take(store: &dyn Store, now: i64, owner: &str) -> Vec<DueGrant> {
    store.take_due_grants(at(now), &lease(owner, now + 1000), 100).await.expect("takes")
}

fn expected(name: &str, goal: u32) -> Grant {
    let order = order(goal);
    Grant {
        id: GrantId { player: key(name), key: order.key },
        challenge_id: order.challenge_id,
        goal_id: order.goal_id,
        reward: order.reward,
        claimed_at: order.claimed_at,
        state: GrantState::Sending,
        attempt: 1,
        lease: Some(lease("first", 1000)),
        created_at: at(0),
        updated_at: at(0),
        reason: String::new(),
    }
}

pub(crate) async fn are_created_under_the_lease(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    assert_eq!(commit_one(store, ordering("p", 1, &[1, 2])).await, done(2));
    assert_eq!(all(fixture.other.as_ref()).await, [expected("p", 1), expected("p", 2)]);
    assert!(take(store, 999, "thief").await.is_empty());
    assert_eq!(store.pending_grants().await.expect("counts"), (2, Some(at(0))));
}

pub(crate) async fn are_taken_over_when_the_lease_ends(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for (name, until) in [("late", 900), ("early", 300), ("middle", 600), ("never", 5000)] {
        create(store, name).await;
        let mut claim = ordering(name, 1, &[1]);
        claim.lease = Some(lease("first", until));
        commit_one(store, claim).await;
    }
    let some = store.take_due_grants(at(1000), &lease("worker", 2000), 2).await.expect("takes");
    let wanted = |name: &str| {
        let lease = Some(lease("worker", 2000));
        let grant = Grant { attempt: 2, lease, updated_at: at(1000), ..expected(name, 1) };
        DueGrant { grant, in_doubt: true }
    };
    assert_eq!(some, [wanted("early"), wanted("middle")]);
    assert_eq!(
        store.take_due_grants(at(1000), &lease("worker", 2000), 9).await.expect("takes"),
        [wanted("late")]
    );
    assert!(take(store, 1999, "other").await.is_empty());
    let again = take(store, 2000, "other").await;
    assert_eq!(again.iter().map(|due| due.grant.attempt).collect::<Vec<_>>(), [3, 3, 3]);
}

pub(crate) async fn are_taken_once_by_callers_that_race(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    let goals: Vec<u32> = (1..=60).collect();
    commit_one(store, ordering("p", 1, &goals)).await;
    let mut seen = HashSet::new();
    let mut owners = HashSet::new();
    while seen.len() < goals.len() {
        let before = seen.len();
        let takers = (0..6).map(|taker| {
            let store = if taker % 2 == 0 { &fixture.store } else { &fixture.other };
            async move {
                let lease = Lease { owner: format!("taker-{taker}"), until: at(9000) };
                store.take_due_grants(at(1000), &lease, 5).await.expect("takes")
            }
        });
        for due in futures_util::future::join_all(takers).await.into_iter().flatten() {
            let grant = due.grant;
            assert_eq!(grant.attempt, 2);
            owners.insert(grant.lease.expect("leased").owner);
            assert!(seen.insert(grant.id.clone()), "{:?} was taken twice", grant.id);
        }
        assert!(seen.len() > before, "due grants were not taken: {} of {}", seen.len(), goals.len());
    }
    assert!(owners.len() > 1);
    assert!(take(store, 1000, "late").await.is_empty());
}

pub(crate) async fn are_given_back_to_be_tried_later(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    commit_one(store, ordering("p", 1, &[1])).await;
    let id = expected("p", 1).id;
    let retry = |attempt: u32, not_before: i64| Retry {
        id: id.clone(),
        attempt,
        not_before: at(not_before),
        in_doubt: false,
        reason: "503 from the platform".to_owned(),
    };
    assert!(!store.retry_grant(&retry(2, 100), at(10)).await.expect("answers"), "not the current attempt");
    assert!(store.retry_grant(&retry(1, 100), at(10)).await.expect("answers"));
    let grant = all(store).await.remove(0);
    assert_eq!(grant.lease, Some(lease("", 100)));
    assert_eq!((grant.attempt, grant.updated_at), (1, at(10)));
    assert_eq!(grant.reason, "503 from the platform");
    assert!(take(store, 99, "worker").await.is_empty());
    assert_eq!(take(store, 100, "worker").await[0].grant.attempt, 2);
    assert!(!store.retry_grant(&retry(1, 100), at(200)).await.expect("answers"), "an attempt of before");
    commit_one(store, ending("p", 2, 1, GrantEnd::Granted)).await;
    assert!(!store.retry_grant(&retry(2, 100), at(200)).await.expect("answers"), "it has ended");
    let mut unknown = retry(1, 100);
    unknown.id.player = key("nobody");
    assert!(!store.retry_grant(&unknown, at(200)).await.expect("answers"));
}

pub(crate) async fn say_whether_an_attempt_left_doubt(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    commit_one(store, ordering("p", 1, &[1])).await;
    let id = expected("p", 1).id;
    let retry = |attempt: u32, not_before: i64, in_doubt: bool| Retry {
        id: id.clone(),
        attempt,
        not_before: at(not_before),
        in_doubt,
        reason: "why".to_owned(),
    };
    let mut now = 100;
    // Given back without doubt, in doubt, without again; at last not given back at all.
    for (attempt, in_doubt) in [(1, false), (2, true), (3, true), (4, false), (5, false)] {
        assert!(store.retry_grant(&retry(attempt, now, in_doubt), at(now)).await.expect("answers"));
        let owner = all(store).await.remove(0).lease.expect("leased").owner;
        assert_eq!(owner.is_empty(), !in_doubt, "the owner of attempt {attempt}");
        let taken = take(fixture.other.as_ref(), now, "worker").await.remove(0);
        assert_eq!((taken.grant.attempt, taken.in_doubt), (attempt + 1, in_doubt));
        now += 100;
    }
    let taken = take(store, now + 1000, "another").await.remove(0);
    assert_eq!((taken.grant.attempt, taken.in_doubt), (7, true), "its sender did not come back");
}

pub(crate) async fn end_with_their_result(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    commit_one(store, ordering("p", 1, &[1, 2, 3])).await;
    let ends = [
        (1, GrantEnd::Granted, GrantState::Granted, ""),
        (2, GrantEnd::Refused("no such item".to_owned()), GrantState::Refused, "no such item"),
        (3, GrantEnd::Uncertain("lost".to_owned()), GrantState::Uncertain, "lost"),
    ];
    for ((goal, end, state, reason), revision) in ends.into_iter().zip(2..) {
        assert_eq!(commit_one(store, ending("p", revision, goal, end)).await, done(revision + 1));
        let grant =
            all(store).await.into_iter().find(|grant| grant.id.key == grant_key(goal)).expect("there");
        let wanted = Grant {
            state,
            lease: None,
            updated_at: at(777),
            reason: reason.to_owned(),
            ..expected("p", goal)
        };
        assert_eq!(grant, wanted);
    }
    assert_eq!(store.pending_grants().await.expect("counts"), (0, None));
    assert!(take(store, 99_999, "worker").await.is_empty());
    // What has ended stays; what nobody could tell can be told later.
    commit_one(store, ending("p", 5, 1, GrantEnd::Refused("late".to_owned()))).await;
    commit_one(store, ending("p", 6, 2, GrantEnd::Granted)).await;
    commit_one(store, ending("p", 7, 3, GrantEnd::Granted)).await;
    commit_one(store, ending("p", 8, 9, GrantEnd::Granted)).await;
    let states: Vec<_> = all(store).await.iter().map(|grant| grant.state).collect();
    assert_eq!(states, [GrantState::Granted, GrantState::Refused, GrantState::Granted]);
}

pub(crate) async fn are_listed_by_player_and_state(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for (name, time) in [("b", 30), ("a", 20), ("c", 10)] {
        create(store, name).await;
        let mut claim = ordering(name, 1, &[2, 1]);
        claim.at = at(time);
        commit_one(store, claim).await;
    }
    commit_one(store, ending("a", 2, 1, GrantEnd::Uncertain("?".to_owned()))).await;
    let list = |player: Option<&'static str>, state, limit| async move {
        let filter = GrantFilter { player: player.map(key), state };
        let grants = store.list_grants(&filter, limit).await.expect("lists");
        grants
            .iter()
            .map(|grant| format!("{}{}", grant.id.player.player, grant.id.key.goal.0))
            .collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 10).await, ["c1", "c2", "a1", "a2", "b1", "b2"]);
    assert_eq!(list(None, None, 3).await, ["c1", "c2", "a1"]);
    assert_eq!(list(Some("a"), None, 10).await, ["a1", "a2"]);
    assert_eq!(list(None, Some(GrantState::Uncertain), 10).await, ["a1"]);
    assert_eq!(list(Some("a"), Some(GrantState::Sending), 10).await, ["a2"]);
    assert_eq!(list(Some("b"), Some(GrantState::Granted), 10).await, [""; 0]);
    assert_eq!(store.pending_grants().await.expect("counts"), (5, Some(at(10))));
}

pub(crate) async fn ordered_twice_are_rejected(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    create(store, "q").await;
    commit_one(store, ordering("p", 1, &[1])).await;
    let batch = [ordering("q", 1, &[1]), ordering("p", 2, &[2, 1])];
    let error = store.commit(&batch).await.expect_err("refused");
    assert!(matches!(error, Error::Rejected { .. }), "{error:?}");
    // Nothing of the batch is there.
    assert_eq!(stored(store, "q").await.expect("there").revision, 1);
    assert_eq!(stored(store, "p").await.expect("there").revision, 2);
    assert_eq!(all(store).await, [expected("p", 1)]);
    // Another epoch is another grant.
    let mut claim = ordering("p", 2, &[1]);
    claim.orders[0].key.epoch = 2;
    assert_eq!(commit_one(store, claim).await, done(3));
}

pub(crate) async fn of_the_loser_are_not_ended(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "p").await;
    commit_one(store, ordering("p", 1, &[1])).await;
    assert_eq!(commit_one(store, ending("p", 1, 1, GrantEnd::Granted)).await, Written::Conflict);
    assert_eq!(all(store).await, [expected("p", 1)]);
}
