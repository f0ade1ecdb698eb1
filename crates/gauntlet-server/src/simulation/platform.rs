//! The reward platform of the world, of any class: slow, refusing, losing answers, and sometimes
//! handing a reward out long after its caller has given up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use gauntlet_domain::catalogue::RewardKind;
use gauntlet_store::{GrantFilter, PlayerKey, Store};
use tokio::time::sleep;

use super::{
    database::Database,
    ground::{Dice, Profile, Trace, fingerprint},
};
use crate::{
    lifecycle::Tasks,
    rewards::{GrantAnswer, GrantCall, PlatformClass, RewardAdapter, Search},
};

#[derive(Debug)]
pub(super) struct Platform {
    pub(super) class: PlatformClass,
    /// Whether faults happen.
    pub(super) stormy: AtomicBool,
    /// Rewards on their way, which outlive those who asked for them.
    pub(super) tasks: Tasks,
    books: Arc<Mutex<Books>>,
    trouble: u64,
    dice: Dice,
    trace: Arc<Trace>,
    database: Arc<Database>,
}

/// By idempotency key. Platforms that do not take keys know it as our reference.
#[derive(Debug, Default)]
struct Books {
    /// How often the reward was handed out.
    effects: BTreeMap<String, u32>,
    /// Attempts that are on their way.
    flying: BTreeMap<String, u32>,
}

impl Platform {
    pub(super) fn new(profile: &Profile, trace: Arc<Trace>, database: Arc<Database>) -> Self {
        Self {
            class: profile.class,
            stormy: AtomicBool::new(!profile.quiet),
            tasks: Tasks::new(),
            books: Arc::default(),
            trouble: profile.weather.platform,
            dice: Dice::new(profile.seed, "platform"),
            trace,
            database,
        }
    }

    pub(super) fn effects(&self, key: &str) -> u32 {
        self.books().effects.get(key).copied().unwrap_or(0)
    }

    pub(super) fn all_effects(&self) -> Vec<(String, u32)> {
        self.books().effects.iter().map(|(key, count)| (key.clone(), *count)).collect()
    }

    /// Whether it refuses this reward for good.
    pub(super) fn refuses(key: &str) -> bool {
        fingerprint(key).is_multiple_of(17)
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self) -> Duration {
        let stormy = self.stormy.load(Ordering::SeqCst);
        if stormy && self.dice.chance(self.trouble / 4) {
            self.dice.millis(500..5_000)
        } else {
            self.dice.millis(0..40)
        }
    }

    /// The row must be committed as being sent before the first byte leaves.
    async fn check_intent(&self, call: &GrantCall) {
        let player = PlayerKey { player: call.player.clone(), namespace: call.namespace.as_str().into() };
        let filter = GrantFilter { player: Some(player), state: None };
        let rows = self.database.inner.list_grants(&filter, 1_000).await.unwrap_or_default();
        let row = rows.iter().find(|row| GrantCall::of(row).idempotency_key == call.idempotency_key);
        if row.is_none_or(|row| row.attempt < call.attempt) {
            self.trace.fault(format_args!("{} was sent before its row was stored", call.idempotency_key));
        }
    }

    /// Hands the reward out after a while, whatever becomes of the caller.
    fn take_off(&self, call: &GrantCall, pause: Duration) {
        let key = call.idempotency_key.clone();
        *self.books().flying.entry(key.clone()).or_default() += 1;
        let once = matches!(self.class, PlatformClass::TakesKey { .. });
        let (books, trace, attempt) = (self.books.clone(), self.trace.clone(), call.attempt);
        self.tasks.spawn("platform", async move {
            sleep(pause).await;
            let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(flying) = books.flying.get_mut(&key) {
                *flying -= 1;
            }
            let effects = books.effects.entry(key.clone()).or_default();
            if !once || *effects == 0 {
                *effects += 1;
            }
            trace.note(format_args!("platform {key} attempt {attempt}: handed out {effects}"));
            if *effects > 1 {
                trace.fault(format_args!("{key} was handed out {effects} times"));
            }
        });
    }

    async fn answer(&self, call: &GrantCall) -> GrantAnswer {
        if Self::refuses(&call.idempotency_key) {
            sleep(self.pause()).await;
            return GrantAnswer::Refused("not in stock".into());
        }
        let (pause, back) = (self.pause(), self.pause());
        let trouble = self.stormy.load(Ordering::SeqCst) && self.dice.chance(self.trouble);
        match if trouble { self.dice.below(5) } else { 5 } {
            0 => {
                sleep(pause).await;
                GrantAnswer::NotDone { why: "busy".into(), retry_after: None }
            }
            1 => {
                sleep(pause).await;
                GrantAnswer::Ambiguous("the request was lost".into())
            }
            2 => {
                self.take_off(call, pause);
                sleep(pause + back).await;
                GrantAnswer::Ambiguous("the reply was lost".into())
            }
            3 => {
                self.take_off(call, self.dice.millis(50..8_000));
                sleep(back).await;
                GrantAnswer::Ambiguous("the connection broke".into())
            }
            4 => {
                self.take_off(call, self.dice.millis(50..8_000));
                sleep(Duration::from_secs(3_600)).await;
                GrantAnswer::Ambiguous("nobody waits that long".into())
            }
            _ => {
                self.take_off(call, pause);
                // One more, so that it has been handed out when the answer arrives.
                sleep(pause + back + Duration::from_millis(1)).await;
                GrantAnswer::Granted
            }
        }
    }
}

#[async_trait]
impl RewardAdapter for Platform {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn class(&self, _kind: RewardKind) -> PlatformClass {
        self.class
    }

    async fn grant(&self, call: &GrantCall) -> GrantAnswer {
        let step =
            self.trace.note(format_args!("platform {} attempt {}", call.idempotency_key, call.attempt));
        self.check_intent(call).await;
        // The way there; a caller that gives up meanwhile has sent nothing, and nobody who
        // searches can see it.
        sleep(self.pause()).await;
        let answer = self.answer(call).await;
        self.trace.note(format_args!("platform answers #{step}: {answer:?}"));
        answer
    }

    /// As the contract asks: "not found" is said only while no attempt is on its way.
    async fn search(&self, call: &GrantCall) -> Search {
        if !matches!(self.class, PlatformClass::Searchable { .. }) {
            self.trace.fault("a platform was searched that cannot be");
        }
        sleep(self.pause()).await;
        let key = &call.idempotency_key;
        let flying = self.books().flying.get(key).is_some_and(|flying| *flying > 0);
        let busy = self.stormy.load(Ordering::SeqCst) && self.dice.chance(self.trouble / 2);
        let found = if flying || busy {
            Search::Unanswered("ask again".into())
        } else if self.effects(key) > 0 {
            Search::Found
        } else {
            Search::NotFound
        };
        self.trace.note(format_args!("platform searches {key}: {found:?}"));
        sleep(self.pause()).await;
        found
    }
}
