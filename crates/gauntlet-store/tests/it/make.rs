//! Players, writes and grants to test with.

use gauntlet_domain::{
    GoalNumber, GoalState, GrantKey, GrantOrder, JournalEntry, JournalKind, Player, Receipt, ReceiptKey,
    Timestamp,
    catalogue::{Reward, RewardKind},
    player::{CycleMark, Head},
};
use gauntlet_store::{Lease, Load, Loaded, PlayerKey, Store, Stored, Write, Written};

/// Some time in 2026, and milliseconds after it.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_123 + millis)
}

pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn key(player: &str) -> PlayerKey {
    PlayerKey { player: player.to_owned(), namespace: "game".into() }
}

pub(crate) fn goal(number: u32, progress: i32) -> GoalState {
    let mut goal = GoalState::new(GoalNumber(number), CycleMark::default());
    goal.activate(at(0));
    goal.progress = progress;
    goal
}

/// A document whose journal sequence is `mark`, with one live goal and one settled goal.
pub(crate) fn player(mark: u64) -> Player {
    Player::from_parts(
        Head { journal_sequence: mark, write_ids: [0, 0, 0, mark], ..Head::default() },
        vec![goal(1, 10)],
        Some(vec![goal(2, 20)]),
    )
}

/// A document without settled goals.
pub(crate) fn small(mark: u64) -> Player {
    Player::from_parts(Head { journal_sequence: mark, ..Head::default() }, vec![goal(1, 1)], Some(Vec::new()))
}

pub(crate) fn write(name: &str, expected: Option<u64>, player: Player) -> Write {
    Write {
        key: key(name),
        expected,
        settled_changed: player.has_settled(),
        player,
        receipts: Vec::new(),
        orders: Vec::new(),
        lease: None,
        results: Vec::new(),
        journal: Vec::new(),
        due: gauntlet_store::Due::Keep,
        at: at(0),
    }
}

pub(crate) fn load(name: &str) -> Load {
    Load { key: key(name), settled: true, receipts: false }
}

/// The receipt of an event with this id.
pub(crate) fn receipt(id: &str) -> Receipt {
    ReceiptKey { source: "platform".into(), kind: "login".into(), id: id.to_owned() }.receipt()
}

pub(crate) fn lease(owner: &str, until: i64) -> Lease {
    Lease { owner: owner.to_owned(), until: at(until) }
}

pub(crate) fn grant_key(goal: u32) -> GrantKey {
    GrantKey { goal: GoalNumber(goal), cycle: 3, epoch: 1 }
}

pub(crate) fn order(goal: u32) -> GrantOrder {
    GrantOrder {
        key: grant_key(goal),
        challenge_id: "winter:2026".to_owned(),
        goal_id: format!("goal-{goal}"),
        reward: Reward { kind: RewardKind::Wallet, id: "GOLD".to_owned(), quantity: 100 },
        claimed_at: at(0).whole_seconds(),
    }
}

pub(crate) fn entry(sequence: u64, kind: JournalKind, goals: &[u32], time: i64) -> JournalEntry {
    // Each goal in the cycle of its own number; every other one never ends.
    let cycle = |goal: &u32| CycleMark {
        number: *goal,
        end: (goal % 2 == 1).then(|| at(i64::from(*goal) * 1000).whole_seconds()),
    };
    JournalEntry {
        sequence,
        at: at(time),
        kind,
        goals: goals.iter().copied().map(GoalNumber).collect(),
        cycles: goals.iter().map(cycle).collect(),
        progress: if kind == JournalKind::Restarted { vec![-7; goals.len()] } else { Vec::new() },
    }
}

pub(crate) async fn load_one(store: &dyn Store, load: Load) -> Loaded {
    let mut loaded = store.load(&[load]).await.expect("loads");
    assert_eq!(loaded.len(), 1);
    loaded.remove(0)
}

/// The player with its settled part; it must be readable.
pub(crate) async fn stored(store: &dyn Store, name: &str) -> Option<Stored> {
    load_one(store, load(name)).await.stored.expect("readable")
}

pub(crate) async fn commit_one(store: &dyn Store, write: Write) -> Written {
    let written = store.commit(&[write]).await.expect("commits");
    assert_eq!(written.len(), 1);
    written[0]
}

/// Creates a player with `small(1)`.
pub(crate) async fn create(store: &dyn Store, name: &str) {
    assert_eq!(commit_one(store, write(name, None, small(1))).await, done(1));
}

pub(crate) const fn done(revision: u64) -> Written {
    Written::Done { revision }
}
