//! The reward platform of the harness; it lives in the test's process and survives every kill.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use gauntlet_store::crash::Point;
use gauntlet_testkit::{FakePlatform, Fault, Memory, Reply};
use serde_json::Value;

use super::episode::{Class, Kill};

/// How long a platform's searches may miss a grant.
const SETTLE: Duration = Duration::from_millis(50);
/// What signs the calls.
const SECRET: &str = "whsec_Y3Jhc2ggaGFybmVzcyBvZiBnYXVudGxldCwgMzIgYnl0ZXM=";
/// Calls that go wrong on the way to a point.
const FEW: usize = 3;
/// Of so many calls some go wrong.
const DISTURBED: usize = 40;

#[derive(Debug)]
pub(super) struct Platform {
    fake: FakePlatform,
    class: Class,
    random: Mutex<fastrand::Rng>,
}

impl Platform {
    pub(super) fn new(class: Class, seed: u64) -> Self {
        let memory = match class {
            Class::Keyed => Memory::Keys { lifetime: Duration::from_secs(86_400) },
            Class::Searchable => Memory::Searchable { delay: SETTLE },
            Class::Neither => Memory::Nothing,
        };
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        Self { fake: FakePlatform::webhook(memory, &[SECRET]), class, random }
    }

    /// The service's settings for it.
    pub(super) fn settings(&self) -> Vec<String> {
        let (url, search) = (self.fake.url(), self.fake.search_url());
        let class = match self.class {
            Class::Keyed => "takes-key",
            Class::Searchable => "searchable",
            Class::Neither => "neither",
        };
        let mut settings = vec!["--rewards", "webhook", "--allow-mock-with-real-rewards"];
        settings.extend(["--webhook-url", &url, "--webhook-secret", SECRET, "--webhook-class", class]);
        settings.extend(["--reward-deadline", "400ms"]);
        if self.class == Class::Searchable {
            settings.extend(["--webhook-search-url", &search, "--webhook-settle", "100ms"]);
        }
        settings.into_iter().map(str::to_owned).collect()
    }

    /// Lets calls go wrong: some of them, or all in the way that leads to the point.
    pub(super) fn disturb(&self, kill: Kill) {
        let refuse = || Fault::not_done(Reply::RetryAfter(503, "0".into()));
        match kill {
            // A few only: a platform that fails always is not called any more.
            Kill::At(Point::TakenOver | Point::BeforePutOff | Point::PutOff, _) => {
                self.fake.script((0..FEW).map(|_| refuse()));
            }
            Kill::At(Point::Searched, _) => self.fake.script((0..FEW).map(|_| Fault::done(Reply::Close))),
            _ => {
                let mut random = self.random.lock().expect("not poisoned");
                self.fake.script((0..DISTURBED).map(|_| match random.u32(0..16) {
                    0 => refuse(),
                    1 => Fault::not_done(Reply::Close),
                    2 => Fault::done(Reply::Close),
                    3 => Fault::done(Reply::Status(500)),
                    4 => Fault::done(Reply::Silence),
                    // A call that the network doubles is carried out twice where keys are not taken.
                    5 if self.class == Class::Keyed => Fault::twice(),
                    _ => Fault::done(Reply::Usual),
                }));
            }
        }
    }

    /// Lets calls go well again.
    pub(super) fn calm(&self) {
        self.fake.behave();
    }

    /// How many times the reward of a player and a goal was really handed out.
    pub(super) fn handed_out(&self) -> BTreeMap<(String, String), u32> {
        let ledger = self.fake.ledger();
        let mut names = BTreeMap::new();
        for seen in self.fake.requests() {
            let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
            let text = |field: &str| body["data"][field].as_str().map(str::to_owned);
            if let (Some(key), Some(player), Some(goal)) = (seen.key, text("playerId"), text("goalId")) {
                names.insert(key, (player, goal));
            }
        }
        let mut sums: BTreeMap<(String, String), u32> = BTreeMap::new();
        for (key, entry) in ledger {
            if let Some(name) = names.get(&key) {
                *sums.entry(name.clone()).or_default() += entry.effects;
            }
        }
        sums
    }
}
