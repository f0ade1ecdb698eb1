//! The conformance kit: one suite of faults, run on every adapter and every class that it can
//! have, against a platform that keeps a ledger.
//!
//! For every fault and class: never more than one effect. Exactly one in the end where the platform
//! takes our key or can be searched, and keeps its promise; else the grant is uncertain, and listed.

use gauntlet_testkit::{FakePlatform, Fault, Memory, Reply};

use super::*;
use crate::rewards::{
    AgsAdapter, AgsConfig, AgsMode, ClientSecret, SigningSecret, WebhookAdapter, WebhookConfig,
};

const SECRET: &str = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3";
const HOUR: Duration = Duration::from_secs(3_600);
const SETTLE: Duration = Duration::from_secs(30);
/// Generous, for a busy machine; faults that are silence have their own.
const DEADLINE: Duration = Duration::from_secs(20);
/// What passes between two rounds of the recovery worker: more than any lease.
const ROUND: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Keyed,
    Searchable,
    Neither,
}

/// An adapter and a class that it can have.
const SUBJECTS: [(&str, Class); 5] = [
    ("webhook", Class::Keyed),
    ("webhook", Class::Searchable),
    ("webhook", Class::Neither),
    ("ags", Class::Keyed),
    ("ags", Class::Neither),
];

struct Bench {
    platform: FakePlatform,
    core: Arc<Core>,
    clock: Arc<FixedClock>,
    rewards: Rewards,
}

impl Bench {
    async fn new(adapter: &str, class: Class, memory: Memory, deadline: Duration) -> Self {
        let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(1_800_000_000)));
        let (platform, adapter): (_, Arc<dyn RewardAdapter>) = if adapter == "webhook" {
            let platform = FakePlatform::webhook(memory, &[SECRET]);
            let config = WebhookConfig {
                url: platform.url().parse().unwrap(),
                secrets: vec![SigningSecret::parse(SECRET).unwrap()],
                class: match class {
                    Class::Keyed => PlatformClass::TakesKey { key_lifetime: HOUR },
                    Class::Searchable => PlatformClass::Searchable { settle: SETTLE },
                    Class::Neither => PlatformClass::Neither,
                },
                search_url: Some(platform.search_url().parse().unwrap()),
            };
            (platform, Arc::new(WebhookAdapter::new(config, clock).unwrap()))
        } else {
            let platform = FakePlatform::ags(memory, "client", "secret");
            let config = AgsConfig {
                base_url: platform.base_url().parse().unwrap(),
                client_id: "client".into(),
                client_secret: ClientSecret::new("secret"),
                mode: match class {
                    Class::Keyed => AgsMode::Fulfillment { key_lifetime: HOUR },
                    Class::Searchable | Class::Neither => AgsMode::Direct,
                },
            };
            (platform, Arc::new(AgsAdapter::new(config, clock).unwrap()))
        };
        let (core, clock, rewards) = claimable(adapter, deadline).await;
        Self { platform, core, clock, rewards }
    }

    /// A platform that keeps the promise of its class.
    async fn honest(adapter: &str, class: Class, deadline: Duration) -> Self {
        let memory = match class {
            Class::Keyed => Memory::Keys { lifetime: HOUR },
            Class::Searchable => Memory::Searchable { delay: SETTLE.saturating_sub(Duration::from_secs(1)) },
            Class::Neither => Memory::Nothing,
        };
        Self::new(adapter, class, memory, deadline).await
    }

    async fn claim(&self) -> Result<(), Reason> {
        let claimed = self.rewards.claim(self.core.key("p"), "c".into(), "g".into()).await;
        claimed.map(drop).map_err(|error| error.reason)
    }

    /// One round of recovery, by two workers at the same time.
    async fn round(&self) {
        self.platform.advance(ROUND);
        self.clock.set(self.clock.now().plus_millis(millis(ROUND)));
        let work = || async {
            let since = Instant::now();
            for due in self.rewards.take_over().await.0 {
                self.rewards.resume(due, since).await;
            }
        };
        tokio::join!(work(), work());
    }

    async fn state(&self) -> GrantState {
        let grants = self.core.store().list_grants(&GrantFilter::default(), 10).await.unwrap();
        assert_eq!(grants.len(), 1);
        grants[0].state
    }

    /// Claims and lets the recovery worker do its rounds; answers how it ended and how many times
    /// the reward was really handed out.
    async fn converge(&self) -> (GrantState, u32) {
        let _first = self.claim().await;
        for _ in 0..60 {
            if self.state().await != GrantState::Sending {
                break;
            }
            self.round().await;
        }
        self.ended().await
    }

    async fn ended(&self) -> (GrantState, u32) {
        let state = self.state().await;
        let filter = GrantFilter { state: Some(GrantState::Uncertain), ..GrantFilter::default() };
        let listed = self.core.store().list_grants(&filter, 10).await.unwrap().len();
        assert_eq!(listed == 1, state == GrantState::Uncertain, "uncertain grants are listed");
        let expected = match state {
            GrantState::Granted => Reason::GoalAlreadyClaimed,
            GrantState::Uncertain => Reason::RewardUncertain,
            GrantState::Refused | GrantState::Sending => panic!("{state:?}"),
        };
        assert_eq!(self.claim().await, Err(expected), "the player is told the same");
        (state, self.platform.handed_out().0)
    }
}

/// Runs faults on every subject. `lost`: which call may or may not have been carried out, and how
/// often it was: a platform that can do neither is not called after it.
async fn suite(name: &str, deadline: Duration, faults: &[Fault], lost: Option<(u32, u32)>) {
    for (adapter, class) in SUBJECTS {
        let bench = Bench::honest(adapter, class, deadline).await;
        bench.platform.script(faults.iter().cloned());
        let lost = lost.filter(|_| class == Class::Neither);
        let expected = lost.map_or((GrantState::Granted, 1), |(_, effects)| (GrantState::Uncertain, effects));
        assert_eq!(bench.converge().await, expected, "{name}: {adapter} {class:?}");
        if let Some((call, _)) = lost {
            let calls: u32 = bench.platform.ledger().values().map(|entry| entry.calls).sum();
            assert_eq!(calls, call, "{name}: {adapter} is not called after a lost call");
        }
    }
}

#[tokio::test]
async fn without_faults_there_is_one_call() {
    suite("none", DEADLINE, &[], None).await;
}

#[tokio::test]
async fn carried_out_and_the_reply_is_lost() {
    for reply in [
        Reply::Close,
        Reply::Status(500),
        Reply::Status(502),
        Reply::Status(503),
        Reply::Status(504),
        Reply::Text("<html>".into()),
        Reply::Huge(2 * 1024 * 1024),
        Reply::Redirect("http://127.0.0.1:9/".into()),
    ] {
        let name = format!("{reply:?}");
        suite(&name, DEADLINE, &[Fault::done(reply)], Some((1, 1))).await;
    }
}

#[tokio::test]
async fn carried_out_and_then_silence() {
    let deadline = Duration::from_millis(300);
    suite("silence", deadline, &[Fault::done(Reply::Silence)], Some((1, 1))).await;
}

#[tokio::test]
async fn lost_on_the_way() {
    suite("lost call", DEADLINE, &[Fault::not_done(Reply::Close)], Some((1, 0))).await;
}

#[tokio::test]
async fn lost_again_and_again() {
    let faults = [
        Fault::not_done(Reply::Close),
        Fault::done(Reply::Close),
        Fault::done(Reply::Status(500)),
        Fault::not_done(Reply::Status(500)),
    ];
    suite("lost again and again", DEADLINE, &faults, Some((1, 0))).await;
}

#[tokio::test]
async fn a_storm_of_refusals_to_work_is_waited_for_at_every_platform() {
    let storm = vec![Fault::not_done(Reply::RetryAfter(429, "7".into())); 12];
    suite("429", DEADLINE, &storm, None).await;
}

#[tokio::test]
async fn a_lost_reply_within_a_storm_is_not_forgotten() {
    let busy = || Fault::not_done(Reply::RetryAfter(429, "7".into()));
    let faults = [busy(), busy(), Fault::done(Reply::Close), busy()];
    suite("429, lost, 429", DEADLINE, &faults, Some((3, 1))).await;
}

#[tokio::test]
async fn nobody_listens_for_a_while() {
    for (adapter, class) in SUBJECTS {
        let bench = Bench::honest(adapter, class, DEADLINE).await;
        bench.platform.close().await;
        assert_eq!(bench.claim().await, Err(Reason::RewardPending));
        bench.round().await;
        assert_eq!(bench.state().await, GrantState::Sending, "{adapter} {class:?}");
        bench.platform.open().await;
        bench.round().await;
        assert_eq!(bench.ended().await, (GrantState::Granted, 1), "{adapter} {class:?}");
    }
}

#[tokio::test]
async fn our_call_arrives_twice() {
    for adapter in ["webhook", "ags"] {
        let bench = Bench::honest(adapter, Class::Keyed, DEADLINE).await;
        bench.platform.script([Fault { deliveries: 2, reply: Reply::Close }, Fault::twice()]);
        assert_eq!(bench.converge().await, (GrantState::Granted, 1), "{adapter}");
    }
}

/// What a search does not show yet is waited for, whether the sender lives or died.
#[tokio::test]
async fn a_search_is_not_asked_before_the_platform_has_settled() {
    let bench = Bench::honest("webhook", Class::Searchable, DEADLINE).await;
    bench.platform.script([Fault::done(Reply::Close)]);
    assert_eq!(bench.claim().await, Err(Reason::RewardPending));
    let started = bench.clock.now();
    bench.clock.set(started.plus_millis(millis(SETTLE) - 1));
    assert!(bench.rewards.take_over().await.0.is_empty(), "not before it has settled");
    let lease = bench.core.lease().until.since(bench.clock.now());
    assert!(lease >= millis(SETTLE + 2 * DEADLINE), "a sender that died is waited for as long");
    bench.round().await;
    let searches: u32 = bench.platform.ledger().values().map(|entry| entry.searches).sum();
    assert_eq!((searches, bench.ended().await), (1, (GrantState::Granted, 1)));
}

#[tokio::test]
async fn a_search_that_is_not_answered_is_asked_again() {
    let bench = Bench::honest("webhook", Class::Searchable, DEADLINE).await;
    bench.platform.script([Fault::done(Reply::Close)]);
    bench.platform.script_searches([
        Reply::Status(500),
        Reply::Status(404),
        Reply::Text("{}".into()),
        Reply::Close,
        Reply::Huge(2 * 1024 * 1024),
        Reply::RetryAfter(429, "5".into()),
    ]);
    assert_eq!(bench.converge().await, (GrantState::Granted, 1));
}

#[tokio::test]
async fn nothing_is_repeated_once_the_key_may_be_forgotten() {
    for adapter in ["webhook", "ags"] {
        let bench = Bench::honest(adapter, Class::Keyed, DEADLINE).await;
        bench.platform.script([Fault::done(Reply::Close)]);
        bench.platform.always(Some(Fault::not_done(Reply::Status(500))));
        assert_eq!(bench.claim().await, Err(Reason::RewardPending));
        // 27 rounds of two minutes: 54 minutes of the hour that the key lives.
        for _ in 0..27 {
            bench.round().await;
        }
        assert_eq!(bench.state().await, GrantState::Sending, "{adapter}");
        bench.platform.always(None);
        bench.round().await;
        assert_eq!(bench.ended().await, (GrantState::Uncertain, 1), "{adapter}");
    }
}

#[tokio::test]
async fn a_key_that_was_never_used_cannot_be_forgotten() {
    for adapter in ["webhook", "ags"] {
        let bench = Bench::honest(adapter, Class::Keyed, DEADLINE).await;
        bench.platform.always(Some(Fault::not_done(Reply::RetryAfter(429, "1".into()))));
        assert_eq!(bench.claim().await, Err(Reason::RewardPending));
        for _ in 0..40 {
            bench.round().await;
        }
        bench.platform.always(None);
        bench.round().await;
        assert_eq!(bench.ended().await, (GrantState::Granted, 1), "{adapter}");
    }
}

/// The kit sees what it is there to see: platforms that do not keep their promise hand out twice.
#[tokio::test]
async fn a_broken_promise_shows_in_the_ledger() {
    let late = Memory::Searchable { delay: 10 * ROUND };
    for (class, memory) in [(Class::Keyed, Memory::Nothing), (Class::Searchable, late)] {
        let bench = Bench::new("webhook", class, memory, DEADLINE).await;
        bench.platform.script([Fault::done(Reply::Close)]);
        assert_eq!(bench.converge().await, (GrantState::Granted, 2), "{class:?}");
    }
}
