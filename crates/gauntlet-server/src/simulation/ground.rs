//! What the world stands on: dice, the trace, clocks, and what a seed decides.

use std::{
    fmt::Display,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use gauntlet_domain::Timestamp;
use tokio::time::Instant;

use crate::{
    clock::{Clock, Random, SeededRandom},
    core::millis,
    rewards::PlatformClass,
};

/// Ten seconds before a midnight in UTC, so that daily goals roll over.
const EVENING: i64 = 1_800_057_590;

/// Random decisions of one part of the world: the same seed and name give the same ones.
#[derive(Debug)]
pub(super) struct Dice(SeededRandom);

impl Dice {
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let mixed = SeededRandom::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ fingerprint(name));
        Self(SeededRandom::new(mixed.number()))
    }

    pub(super) fn below(&self, limit: u64) -> u64 {
        self.0.number() % limit.max(1)
    }

    pub(super) fn index(&self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap_or(0)
    }

    pub(super) fn chance(&self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    pub(super) fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.below(range.end - range.start))
    }
}

/// A hash that is the same on every machine.
pub(super) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Everything that happens, in order, with the simulated time; and what should not have happened.
#[derive(Debug)]
pub(super) struct Trace {
    start: Instant,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    text: String,
    steps: u64,
    faults: Vec<String>,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), lines: Mutex::default() }
    }

    /// Writes a line and answers its number, which orders it among all others.
    pub(super) fn note(&self, line: impl Display) -> u64 {
        use std::fmt::Write as _;
        let mut lines = self.lines();
        lines.steps += 1;
        let (at, step) = (self.millis(), lines.steps);
        let _ = writeln!(lines.text, "{at:>7} #{step} {line}");
        step
    }

    /// Tells of something that must not be.
    pub(super) fn fault(&self, what: impl Display) {
        let what = format!("FAULT {what}");
        let step = self.note(&what);
        self.lines().faults.push(format!("#{step} {what}"));
    }

    pub(super) fn millis(&self) -> i64 {
        millis(self.start.elapsed())
    }

    pub(super) fn take(&self) -> (String, Vec<String>) {
        let mut lines = self.lines();
        (std::mem::take(&mut lines.text), std::mem::take(&mut lines.faults))
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A replica's wall clock: simulated time, and by how much it is wrong.
#[derive(Debug)]
pub(super) struct SimClock {
    start: Instant,
    skew: AtomicI64,
}

impl SimClock {
    pub(super) fn new(skew: i64) -> Self {
        Self { start: Instant::now(), skew: AtomicI64::new(skew) }
    }

    pub(super) fn step_to(&self, skew: i64) {
        self.skew.store(skew, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let passed = millis(self.start.elapsed());
        Timestamp::from_seconds(EVENING).plus_millis(passed + self.skew.load(Ordering::SeqCst))
    }
}

/// How often, of a thousand times, something goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) slow: u64,
    pub(super) very_slow: u64,
    pub(super) unavailable: u64,
    pub(super) request_lost: u64,
    pub(super) reply_lost: u64,
    pub(super) late: u64,
    pub(super) conflict: u64,
    pub(super) platform: u64,
    pub(super) network: u64,
}

/// What a seed decides about its world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Profile {
    pub(super) seed: u64,
    /// Long, and without faults.
    pub(super) quiet: bool,
    pub(super) replicas: usize,
    pub(super) players: usize,
    pub(super) shards: usize,
    pub(super) event_queue: usize,
    pub(super) events_per_player: u64,
    /// The longest pause between two events of a player, in milliseconds.
    pub(super) pace: u64,
    pub(super) class: PlatformClass,
    pub(super) weather: Weather,
    /// The longest pause between two strikes of the nemesis, in milliseconds.
    pub(super) respite: u64,
    /// How long faults last.
    pub(super) storm: Duration,
    /// How many catalogues come one after the other.
    pub(super) catalogues: usize,
}

impl Profile {
    pub(super) fn of(seed: u64) -> Self {
        let dice = Dice::new(seed, "profile");
        let catalogues = 1 + Dice::new(seed, "catalogues").index(4);
        let class = match seed % 3 {
            0 => PlatformClass::TakesKey { key_lifetime: Duration::from_secs(86_400) },
            // It says itself while a call is still on its way.
            1 => PlatformClass::Searchable { settle: Duration::ZERO },
            _ => PlatformClass::Neither,
        };
        // One in four: more than a fifth of any number of seeds.
        if seed.is_multiple_of(4) {
            return Self {
                seed,
                quiet: true,
                replicas: 1 + dice.index(3),
                players: 4,
                shards: 1 + dice.index(2),
                event_queue: 4_096,
                events_per_player: 400,
                pace: 60,
                class,
                weather: Weather::default(),
                respite: 0,
                storm: Duration::ZERO,
                catalogues,
            };
        }
        let weather = Weather {
            slow: dice.below(150),
            very_slow: dice.below(25),
            unavailable: dice.below(40),
            request_lost: dice.below(40),
            reply_lost: 15 + dice.below(60),
            late: dice.below(60),
            conflict: dice.below(50),
            platform: dice.below(400),
            network: dice.below(60),
        };
        Self {
            seed,
            quiet: false,
            replicas: 1 + dice.index(3),
            players: 2 + dice.index(2),
            shards: 1 + dice.index(2),
            event_queue: if dice.chance(250) { 2 } else { 4_096 },
            events_per_player: 40,
            pace: 1 + dice.below(900),
            class,
            weather,
            respite: if dice.chance(300) { 15_000 } else { 2_500 },
            storm: Duration::from_secs(20),
            catalogues,
        }
    }
}
