//! Claims against a platform that does as it is told.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use gauntlet_domain::{Catalogue, Event, EventWhat, ReceiptKey, catalogue};
use gauntlet_store::{GrantFilter, GrantState, MemoryStore, Store};

use super::*;
use crate::{
    clock::{Clock, FixedClock, SeededRandom},
    core::CoreParts,
    metrics::Metrics,
    shards::Limits,
};

/// A platform with a script of answers (granted, once it has run out) and a list of what it was
/// asked.
#[derive(Debug)]
struct Scripted {
    class: PlatformClass,
    answers: Mutex<VecDeque<GrantAnswer>>,
    searches: Mutex<VecDeque<Search>>,
    keys: Mutex<Vec<String>>,
    searched: AtomicUsize,
    pause: Duration,
}

#[async_trait]
impl RewardAdapter for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }
    fn class(&self, _kind: catalogue::RewardKind) -> PlatformClass {
        self.class
    }
    async fn grant(&self, call: &GrantCall) -> GrantAnswer {
        self.keys.lock().unwrap().push(call.idempotency_key.clone());
        tokio::time::sleep(self.pause).await;
        self.answers.lock().unwrap().pop_front().unwrap_or(GrantAnswer::Granted)
    }
    async fn search(&self, _call: &GrantCall) -> Search {
        self.searched.fetch_add(1, Ordering::SeqCst);
        self.searches.lock().unwrap().pop_front().unwrap_or(Search::NotFound)
    }
}

mod kit;

const KEYED: PlatformClass = PlatformClass::TakesKey { key_lifetime: Duration::MAX };

const CATALOGUE: &str = r#"{"challenges":[{"challengeId":"c","name":"C","goals":[{
    "goalId":"g","name":"G","type":"absolute","eventSource":"statistic","defaultAssigned":true,
    "requirement":{"statCode":"wins","operator":">=","targetValue":1},
    "reward":{"type":"ITEM","rewardId":"sword","quantity":2}}]}]}"#;

/// A player `p` whose goal is completed, and the way to claim its reward.
async fn claimable(
    adapter: Arc<dyn RewardAdapter>,
    deadline: Duration,
) -> (Arc<Core>, Arc<FixedClock>, Rewards) {
    let store = Arc::new(MemoryStore::new());
    let definition = catalogue::parse(CATALOGUE).expect("a good catalogue");
    let numbers = store.intern_goals(&["g".to_owned()]).await.unwrap();
    let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(1_800_000_000)));
    let core = Arc::new(Core::new(CoreParts {
        store,
        catalogue: Arc::new(Catalogue::new(definition, 1, &numbers).unwrap()),
        clock: clock.clone(),
        random: Arc::new(SeededRandom::new(7)),
        metrics: Arc::new(Metrics::new()),
        namespace: "n".into(),
        late_window: Duration::from_secs(600),
        grant_deadline: deadline,
        grant_takeover: Duration::from_secs(5),
        grant_settle: adapter.settle(),
    }));
    let shards = Shards::start(core.clone(), Limits::default(), &Tasks::new());
    let rewards = Rewards::new(core.clone(), shards.clone(), adapter, Tasks::new());
    shards.call(core.key("p"), Command::Initialize).await.unwrap();
    let what = EventWhat::Stat { code: "wins".into(), value: 1.0, increment: 0.0 };
    let key = ReceiptKey { source: "s".into(), kind: "k".into(), id: "1".into() };
    shards.event(core.key("p"), Event { what, key, at: core.now() }).await.unwrap();
    (core, clock, rewards)
}

struct Rig {
    core: Arc<Core>,
    clock: Arc<FixedClock>,
    platform: Arc<Scripted>,
    rewards: Rewards,
}

impl Rig {
    /// A player `p` whose goal is completed, and a platform.
    async fn new(class: PlatformClass, answers: &[GrantAnswer], pause: Duration) -> Self {
        let platform = Arc::new(Scripted {
            class,
            answers: Mutex::new(answers.iter().cloned().collect()),
            searches: Mutex::default(),
            keys: Mutex::default(),
            searched: AtomicUsize::new(0),
            pause,
        });
        let (core, clock, rewards) = claimable(platform.clone(), Duration::from_millis(200)).await;
        Self { core, clock, platform, rewards }
    }

    async fn claim(&self) -> Result<Claimed, Reason> {
        let claimed = self.rewards.claim(self.core.key("p"), "c".into(), "g".into()).await;
        claimed.map_err(|error| error.reason)
    }

    /// Lets the leases run out and does one round of the recovery worker.
    async fn recover(&self) -> usize {
        self.clock.set(self.clock.now().plus_millis(120_000));
        let since = Instant::now();
        let (due, _more) = self.rewards.take_over().await;
        let taken = due.len();
        for due in due {
            self.rewards.resume(due, since).await;
        }
        taken
    }

    async fn grant_state(&self) -> (GrantState, u32) {
        let grants = self.core.store().list_grants(&GrantFilter::default(), 10).await.unwrap();
        assert_eq!(grants.len(), 1, "one grant for one goal and cycle");
        (grants[0].state, grants[0].attempt)
    }

    fn calls(&self) -> usize {
        let keys = self.platform.keys.lock().unwrap();
        assert!(keys.iter().all(|key| *key == keys[0]), "every attempt has the same key");
        keys.len()
    }
}

fn granted() -> Claimed {
    Claimed {
        goal_id: "g".into(),
        reward: Reward { kind: catalogue::RewardKind::Item, id: "sword".into(), quantity: 2 },
        claimed_at: Timestamp::from_seconds(1_800_000_000),
    }
}

#[tokio::test]
async fn a_claim_is_granted_once_and_refused_afterwards() {
    let rig = Rig::new(KEYED, &[], Duration::ZERO).await;
    assert_eq!(rig.claim().await, Ok(granted()));
    assert_eq!(rig.claim().await, Err(Reason::GoalAlreadyClaimed));
    assert_eq!((rig.calls(), rig.grant_state().await), (1, (GrantState::Granted, 1)));
    assert_eq!(rig.platform.keys.lock().unwrap()[0], "1:n/1:p/1:c/1:g/cycle:0/epoch:0");
}

#[tokio::test]
async fn fifty_claims_at_once_are_one_grant_with_one_answer() {
    let rig = Rig::new(KEYED, &[], Duration::from_millis(20)).await;
    let answers = futures_util::future::join_all((0..50).map(|_| rig.claim())).await;
    assert!(answers.iter().all(|answer| *answer == Ok(granted())), "{answers:?}");
    assert_eq!(rig.calls(), 1);
}

#[tokio::test]
async fn a_wrong_challenge_does_not_join_a_right_one() {
    let rig = Rig::new(KEYED, &[], Duration::from_millis(20)).await;
    let wrong = rig.rewards.claim(rig.core.key("p"), "other".into(), "g".into());
    let (right, wrong) = tokio::join!(rig.claim(), wrong);
    assert_eq!(right, Ok(granted()));
    assert_eq!(wrong.map_err(|error| error.reason), Err(Reason::ChallengeNotFound));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_repeated_with_the_same_key() {
    let lost = GrantAnswer::Ambiguous("reply lost".into());
    let rig = Rig::new(KEYED, &[lost], Duration::ZERO).await;
    assert_eq!(rig.claim().await, Err(Reason::RewardPending));
    assert_eq!(rig.recover().await, 1);
    assert_eq!((rig.calls(), rig.grant_state().await), (2, (GrantState::Granted, 2)));
    assert_eq!(rig.claim().await, Err(Reason::GoalAlreadyClaimed));
    assert_eq!(rig.recover().await, 0, "nothing is left to do");
}

#[tokio::test]
async fn silence_counts_as_an_answer_that_was_lost() {
    let rig = Rig::new(KEYED, &[], Duration::from_secs(60)).await;
    assert_eq!(rig.claim().await, Err(Reason::RewardPending));
    assert_eq!(rig.grant_state().await, (GrantState::Sending, 1));
}

#[tokio::test]
async fn a_searchable_platform_is_asked_before_anything_is_repeated() {
    for (found, calls) in [(Search::Found, 1), (Search::NotFound, 2)] {
        let lost = GrantAnswer::Ambiguous("reply lost".into());
        let rig =
            Rig::new(PlatformClass::Searchable { settle: Duration::from_secs(30) }, &[lost], Duration::ZERO)
                .await;
        rig.platform.searches.lock().unwrap().push_back(found.clone());
        assert_eq!(rig.claim().await, Err(Reason::RewardPending));
        assert_eq!(rig.recover().await, 1);
        assert_eq!(rig.platform.searched.load(Ordering::SeqCst), 1);
        assert_eq!((rig.calls(), rig.grant_state().await.0), (calls, GrantState::Granted), "{found:?}");
    }
}

#[tokio::test]
async fn what_can_be_neither_keyed_nor_searched_is_never_repeated() {
    let lost = GrantAnswer::Ambiguous("reply lost".into());
    let rig = Rig::new(PlatformClass::Neither, &[lost], Duration::ZERO).await;
    assert_eq!(rig.claim().await, Err(Reason::RewardUncertain));
    assert_eq!(rig.claim().await, Err(Reason::RewardUncertain));
    assert_eq!((rig.recover().await, rig.calls()), (0, 1));
    assert_eq!(rig.grant_state().await.0, GrantState::Uncertain);
}

#[tokio::test(start_paused = true)]
async fn a_grant_whose_lease_came_late_is_left_to_recovery() {
    let rig = Rig::new(
        PlatformClass::Searchable { settle: Duration::ZERO },
        &[GrantAnswer::Ambiguous("lost".into())],
        Duration::ZERO,
    )
    .await;
    assert_eq!(rig.claim().await, Err(Reason::RewardPending));
    rig.clock.set(rig.clock.now().plus_millis(120_000));
    let since = Instant::now();
    let due = rig.rewards.take_over().await.0.pop().expect("a due grant");
    // The store confirmed the lease so late that somebody else may hold the grant by now.
    tokio::time::advance(Duration::from_secs(4)).await;
    rig.rewards.resume(due, since).await;
    assert_eq!((rig.calls(), rig.grant_state().await), (1, (GrantState::Sending, 2)));
    assert_eq!((rig.recover().await, rig.calls()), (1, 2));
    assert_eq!(rig.grant_state().await, (GrantState::Granted, 3));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_came_late_leaves_no_doubt() {
    let busy = GrantAnswer::NotDone { why: "busy".into(), retry_after: None };
    let rig = Rig::new(PlatformClass::Neither, &[busy], Duration::ZERO).await;
    assert_eq!(rig.claim().await, Err(Reason::RewardPending));
    rig.clock.set(rig.clock.now().plus_millis(120_000));
    let since = Instant::now();
    let due = rig.rewards.take_over().await.0.pop().expect("a due grant");
    tokio::time::advance(Duration::from_secs(4)).await;
    rig.rewards.resume(due, since).await;
    assert_eq!(rig.calls(), 1, "nothing was sent under the late lease");
    assert_eq!((rig.recover().await, rig.calls()), (1, 2));
    assert_eq!(rig.grant_state().await, (GrantState::Granted, 3));
}

#[tokio::test]
async fn a_refusal_for_good_is_final_until_an_operator_acts() {
    let refused = GrantAnswer::Refused("no such item".into());
    let rig = Rig::new(KEYED, &[refused], Duration::ZERO).await;
    assert_eq!(rig.claim().await, Err(Reason::RewardGrantFailed));
    assert_eq!(rig.claim().await, Err(Reason::RewardGrantFailed));
    assert_eq!((rig.recover().await, rig.calls()), (0, 1));
    assert_eq!(rig.grant_state().await.0, GrantState::Refused);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_its_grant() {
    let rig = Rig::new(KEYED, &[], Duration::from_millis(50)).await;
    let impatient = tokio::time::timeout(Duration::from_millis(5), rig.claim()).await;
    assert!(impatient.is_err(), "the client left before the answer");
    rig.rewards.tasks.finished().await;
    assert_eq!((rig.calls(), rig.grant_state().await.0), (1, GrantState::Granted));
}

#[tokio::test]
async fn a_breaker_whose_pause_is_over_is_not_shown_as_open() {
    let down = GrantAnswer::Ambiguous("no answer".into());
    let rig = Rig::new(KEYED, &vec![down; 5], Duration::ZERO).await;
    let shown = || {
        rig.rewards.tell_breaker();
        let page = rig.core.metrics().render(crate::metrics::Sample::default());
        let line = page.lines().find(|line| line.starts_with("gauntlet_breaker_state{")).unwrap();
        line.to_owned()
    };
    assert_eq!(shown(), r#"gauntlet_breaker_state{dependency="scripted"} 0"#);
    assert_eq!(rig.claim().await, Err(Reason::RewardPending));
    for _ in 1..5 {
        rig.recover().await;
    }
    assert_eq!(shown(), r#"gauntlet_breaker_state{dependency="scripted"} 2"#);
    rig.clock.set(rig.clock.now().plus_millis(1_000));
    assert_eq!(shown(), r#"gauntlet_breaker_state{dependency="scripted"} 1"#, "nobody has asked again");
    rig.recover().await;
    assert_eq!(shown(), r#"gauntlet_breaker_state{dependency="scripted"} 0"#);
    assert_eq!(rig.grant_state().await.0, GrantState::Granted);
}
