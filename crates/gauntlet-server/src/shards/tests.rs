//! The shards over a store that fails on purpose.

use std::{collections::VecDeque, sync::Mutex, time::Duration};

use async_trait::async_trait;
use gauntlet_domain::{EventWhat, ReceiptKey, Status, Timestamp, catalogue};
use gauntlet_store::{Between, Error, Load, Loaded, MemoryStore, Store, Write, Written};

use super::*;
use crate::{
    clock::{Clock, FixedClock, SeededRandom},
    core::CoreParts,
    metrics::Metrics,
};

/// What one commit does instead of its work.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// It happens, and the reply is lost.
    ReplyLost,
    /// It does not happen, and nobody is told.
    RequestLost,
    /// It happens later, an hour passes meanwhile, and nobody is told.
    Late,
    /// It does not happen, and that is told.
    Unavailable,
    /// Every player has lost the race.
    Conflict,
}

#[derive(Debug)]
struct FaultyStore {
    inner: MemoryStore,
    faults: Mutex<VecDeque<Fault>>,
    late: Mutex<Vec<Write>>,
    clock: Arc<FixedClock>,
    /// How many players each call to `load` asked for.
    loads: Mutex<Vec<usize>>,
    /// Calls to `load` that ask for this player are refused.
    unreadable: Mutex<Option<&'static str>>,
    /// Commits that hold this player are refused.
    culprit: Option<&'static str>,
}

fn unavailable() -> Error {
    Error::Unavailable { operation: "player.commit", source: "on purpose".into() }
}

fn unknown() -> Error {
    Error::Unknown { operation: "player.commit", source: "on purpose".into() }
}

#[async_trait]
impl Between for FaultyStore {
    fn store(&self) -> &dyn Store {
        &self.inner
    }

    async fn on_load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error> {
        self.loads.lock().unwrap().push(players.len());
        let unreadable = *self.unreadable.lock().unwrap();
        if unreadable.is_some_and(|name| players.iter().any(|load| load.key.player == name)) {
            return Err(Error::Rejected { operation: "player.load", source: "on purpose".into() });
        }
        self.inner.load(players).await
    }

    async fn on_commit(&self, writes: &[Write]) -> Result<Vec<Written>, Error> {
        if self.culprit.is_some_and(|culprit| writes.iter().any(|write| write.key.player == culprit)) {
            return Err(Error::Rejected { operation: "player.commit", source: "on purpose".into() });
        }
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            None => self.inner.commit(writes).await,
            Some(Fault::ReplyLost) => {
                self.inner.commit(writes).await?;
                Err(unknown())
            }
            Some(Fault::RequestLost) => Err(unknown()),
            Some(Fault::Late) => {
                self.late.lock().unwrap().extend_from_slice(writes);
                self.clock.set(self.clock.now().plus_millis(3_600_000));
                Err(unknown())
            }
            Some(Fault::Unavailable) => Err(unavailable()),
            Some(Fault::Conflict) => Ok(vec![Written::Conflict; writes.len()]),
        }
    }
}

const CATALOGUE: &str = r#"{"challenges":[{"challengeId":"c","name":"C","goals":[{
    "goalId":"wins","name":"Wins","type":"increment","eventSource":"statistic","defaultAssigned":true,
    "requirement":{"statCode":"wins","operator":">=","targetValue":1000000},
    "reward":{"type":"ITEM","rewardId":"r","quantity":1}},{
    "goalId":"best","name":"Best","type":"absolute","eventSource":"statistic","defaultAssigned":true,
    "requirement":{"statCode":"best","operator":">=","targetValue":1000000},
    "reward":{"type":"ITEM","rewardId":"r","quantity":1}}]}]}"#;

pub(crate) struct Rig {
    store: Arc<FaultyStore>,
    pub(crate) core: Arc<Core>,
    shards: Shards,
    pub(crate) tasks: Tasks,
}

impl Rig {
    /// A store without faults, but for a player who cannot be read.
    pub(crate) async fn with_unreadable(player: Option<&'static str>) -> Self {
        let rig = Self::new(&[], None).await;
        rig.loads();
        *rig.store.unreadable.lock().unwrap() = player;
        rig
    }

    async fn new(faults: &[Fault], culprit: Option<&'static str>) -> Self {
        let inner = MemoryStore::new();
        let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(1_800_000_000)));
        let store = Arc::new(FaultyStore {
            inner,
            faults: Mutex::default(),
            late: Mutex::default(),
            clock: clock.clone(),
            loads: Mutex::default(),
            unreadable: Mutex::default(),
            culprit,
        });
        let definition = catalogue::parse(CATALOGUE).expect("a good catalogue");
        let ids: Vec<String> = definition.goal_ids().map(str::to_owned).collect();
        let numbers = store.intern_goals(&ids).await.unwrap();
        let core = Arc::new(Core::new(CoreParts {
            store: store.clone(),
            catalogue: Arc::new(Catalogue::new(definition, 1, &numbers).unwrap()),
            clock,
            random: Arc::new(SeededRandom::new(7)),
            metrics: Arc::new(Metrics::new()),
            namespace: "test".into(),
            late_window: Duration::from_secs(600),
            grant_deadline: Duration::from_secs(1),
            grant_takeover: Duration::from_secs(5),
            grant_settle: Duration::ZERO,
        }));
        let tasks = Tasks::new();
        let limits = Limits { shards: 1, ..Limits::default() };
        let shards = Shards::start(core.clone(), limits, &tasks);
        let rig = Self { store, core, shards, tasks };
        for player in ["a", "b", "c"] {
            if Some(player) != culprit {
                rig.shards.call(rig.core.key(player), Command::Initialize).await.unwrap();
            }
        }
        rig.store.faults.lock().unwrap().extend(faults);
        rig
    }

    /// How many players the calls to `load` asked for since this was last asked.
    pub(crate) fn loads(&self) -> Vec<usize> {
        std::mem::take(&mut *self.store.loads.lock().unwrap())
    }

    async fn win(&self, player: &str, id: &str) -> EventAnswer {
        let what = EventWhat::Stat { code: "wins".into(), value: 0.0, increment: 1.0 };
        let key = ReceiptKey { source: "s".into(), kind: "k".into(), id: id.into() };
        let event = Event { what, key, at: self.core.now() };
        self.shards.event(self.core.key(player), event).await
    }

    async fn wins(&self, player: &str) -> i32 {
        let stored = self.core.read(self.core.key(player)).await.unwrap().stored.expect("a row");
        let goal = &stored.player.live()[0];
        assert_ne!(goal.status, Status::Completed);
        goal.progress
    }
}

#[tokio::test]
async fn a_lost_reply_is_told_apart_from_a_lost_request() {
    for (fault, name) in [(Fault::ReplyLost, "reply"), (Fault::RequestLost, "request")] {
        let rig = Rig::new(&[fault], None).await;
        assert_eq!(rig.win("a", "1").await, Ok(EventOutcome::Counted), "lost {name}");
        assert_eq!(rig.wins("a").await, 1, "lost {name}: counted once");
        assert_eq!(rig.win("a", "1").await, Ok(EventOutcome::Unchanged), "a second delivery");
        assert_eq!(rig.wins("a").await, 1);
    }
}

#[tokio::test]
async fn replies_that_are_lost_again_and_again_count_once() {
    use Fault::{Conflict, ReplyLost, RequestLost};
    let rig = Rig::new(&[RequestLost, Conflict, ReplyLost], None).await;
    assert_eq!(rig.win("a", "1").await, Ok(EventOutcome::Counted));
    assert_eq!(rig.wins("a").await, 1);
}

#[tokio::test]
async fn a_commit_that_comes_late_cannot_make_an_answer_untrue() {
    let rig = Rig::new(&[Fault::Late], None).await;
    // Fresh when its write was made and stale when it was made again: nothing is left to store.
    let event = |value| {
        let what = EventWhat::Stat { code: "best".into(), value, increment: 0.0 };
        let key = ReceiptKey { source: "s".into(), kind: "k".into(), id: "1".into() };
        Event { what, key, at: rig.core.now() }
    };
    let told = rig.shards.event(rig.core.key("a"), event(5.0)).await;
    assert_eq!(told, Ok(EventOutcome::Unchanged));
    let late = std::mem::take(&mut *rig.store.late.lock().unwrap());
    assert_eq!(rig.store.inner.commit(&late).await.unwrap(), vec![Written::Conflict]);
}

#[tokio::test]
async fn a_player_who_loses_every_race_is_written_under_the_row_lock() {
    let rig = Rig::new(&[Fault::Conflict; 3], None).await;
    assert_eq!(rig.win("a", "1").await, Ok(EventOutcome::Counted));
    assert_eq!(rig.wins("a").await, 1);
}

#[tokio::test]
async fn an_unavailable_store_refuses_and_nothing_is_counted() {
    let rig = Rig::new(&[Fault::Unavailable], None).await;
    let refused = rig.win("a", "1").await.unwrap_err();
    assert_eq!(refused.reason, Reason::StoreUnavailable);
    assert_eq!(rig.wins("a").await, 0);
    assert_eq!(rig.win("a", "1").await, Ok(EventOutcome::Counted), "delivered again");
    assert_eq!(rig.wins("a").await, 1);
}

#[tokio::test]
async fn a_batch_splits_around_its_culprit() {
    let rig = Rig::new(&[], Some("b")).await;
    // All of them are in the queue before the shard's task runs: one batch.
    let initialize = |player| rig.shards.call(rig.core.key(player), Command::Initialize);
    let (a, b, culprit, c) =
        tokio::join!(rig.win("a", "1"), rig.win("a", "2"), initialize("b"), rig.win("c", "1"),);
    assert_eq!((a, b, c), (Ok(EventOutcome::Counted), Ok(EventOutcome::Counted), Ok(EventOutcome::Counted)));
    let culprit = ApiError::from(culprit.unwrap_err());
    assert_eq!(culprit.reason, Reason::Internal);
    assert_eq!((rig.wins("a").await, rig.wins("c").await), (2, 1));
    assert!(rig.core.read(rig.core.key("b")).await.unwrap().stored.is_none());
}

#[tokio::test]
async fn the_same_event_twice_in_one_batch_counts_once() {
    let rig = Rig::new(&[], None).await;
    let (first, second) = tokio::join!(rig.win("a", "1"), rig.win("a", "1"));
    assert_eq!((first, second), (Ok(EventOutcome::Counted), Ok(EventOutcome::Unchanged)));
    assert_eq!(rig.wins("a").await, 1);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let rig = Rig::new(&[], None).await;
    let limits = Limits { shards: 1, call_queue: 1, event_queue: 2 };
    let tiny = Rig { shards: Shards::start(rig.core.clone(), limits, &rig.tasks), ..rig };
    let ids: Vec<String> = (0..50).map(|id| id.to_string()).collect();
    let answers = futures_util::future::join_all(ids.iter().map(|id| tiny.win("a", id))).await;
    let counted = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!(!refused.is_empty(), "50 events cannot wait in a queue of 2");
    assert!(refused.iter().all(|error| error.reason == Reason::Overloaded));
    assert_eq!(tiny.wins("a").await, i32::try_from(counted).unwrap(), "what was refused was not done");
}

#[tokio::test]
async fn closing_carries_out_what_waits_and_refuses_what_comes() {
    let rig = Rig::new(&[], None).await;
    let waiting = rig.win("a", "1");
    let close = async {
        rig.shards.close();
        rig.tasks.finished().await;
    };
    let (answer, ()) = tokio::join!(waiting, close);
    assert_eq!(answer, Ok(EventOutcome::Counted));
    assert_eq!(rig.win("a", "2").await.unwrap_err().reason, Reason::StoreUnavailable);
    assert_eq!(rig.wins("a").await, 1);
}

#[tokio::test]
async fn a_document_of_a_newer_catalogue_is_left_alone() {
    let rig = Rig::new(&[], None).await;
    let load = Load { key: rig.core.key("a"), settled: true, receipts: false };
    let mut loaded = rig.store.load(&[load]).await.unwrap();
    let stored = loaded.remove(0).stored.unwrap().expect("a row");
    let mut player = stored.player;
    player.head.catalogue_version = 9;
    let write = Write {
        key: rig.core.key("a"),
        expected: Some(stored.revision),
        player,
        settled_changed: false,
        receipts: Vec::new(),
        orders: Vec::new(),
        lease: None,
        results: Vec::new(),
        journal: Vec::new(),
        due: gauntlet_store::Due::Keep,
        at: rig.core.now(),
    };
    rig.store.commit(&[write]).await.unwrap();
    assert_eq!(rig.win("a", "1").await.unwrap_err().reason, Reason::StoreUnavailable);
    assert_eq!(rig.win("c", "1").await, Ok(EventOutcome::Counted), "others go on");
}

#[tokio::test]
async fn a_remembered_player_is_not_read_before_a_write() {
    let rig = Rig::with_unreadable(None).await;
    for id in ["1", "2", "3"] {
        assert_eq!(rig.win("a", id).await, Ok(EventOutcome::Counted));
    }
    assert!(rig.loads().is_empty());
    // A second delivery changes nothing, and that is promised after a read only.
    for id in ["1", "3"] {
        assert_eq!(rig.win("a", id).await, Ok(EventOutcome::Unchanged));
        assert_eq!(rig.loads(), [1]);
    }
    assert_eq!(rig.wins("a").await, 3);
}

#[tokio::test]
async fn nothing_is_promised_from_memory_alone() {
    let rig = Rig::with_unreadable(None).await;
    assert_eq!(rig.win("a", "1").await, Ok(EventOutcome::Counted));
    assert!(rig.loads().is_empty());
    // Somebody else makes the player's goals count no more.
    let load = || Load { key: rig.core.key("a"), settled: true, receipts: false };
    let stored = rig.store.load(&[load()]).await.unwrap().remove(0).stored.unwrap().expect("a row");
    let mut player = stored.player;
    for goal in player.live_mut() {
        goal.active = false;
    }
    let write = Write {
        key: rig.core.key("a"),
        expected: Some(stored.revision),
        player,
        settled_changed: false,
        receipts: Vec::new(),
        orders: Vec::new(),
        lease: None,
        results: Vec::new(),
        journal: Vec::new(),
        due: gauntlet_store::Due::Keep,
        at: rig.core.now(),
    };
    rig.store.commit(&[write]).await.unwrap();
    rig.loads();
    assert_eq!(rig.win("a", "2").await, Ok(EventOutcome::Unchanged));
    assert_eq!(rig.loads(), [1]);
    // An answer without a write is given after a read, however often it is asked for.
    assert_eq!(rig.win("a", "3").await, Ok(EventOutcome::Unchanged));
    assert_eq!(rig.loads(), [1]);
}

#[tokio::test]
async fn an_unknown_commit_is_not_remembered() {
    for fault in [Fault::ReplyLost, Fault::RequestLost] {
        let rig = Rig::new(&[fault], None).await;
        rig.loads();
        assert_eq!(rig.win("a", "1").await, Ok(EventOutcome::Counted));
        assert_eq!(rig.loads(), [1], "{fault:?}");
        assert_eq!(rig.win("a", "2").await, Ok(EventOutcome::Counted));
        assert_eq!(rig.wins("a").await, 2);
    }
}
