//! The one database of the world, and the connections through which replicas reach it: slow,
//! breaking, and sometimes carrying out a commit long after its writer was told that nobody knows.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use gauntlet_domain::{GoalNumber, Timestamp};
use gauntlet_store::{
    DueGrant, Error, Grant, GrantFilter, JournalRow, Lease, Load, Loaded, Locked, Meeting, MemoryStore,
    PlayerKey, PoolStatus, Replica, Retry, Store, Write, Written,
};
use tokio::{sync::oneshot, time::sleep};

use super::ground::{Dice, Profile, Trace, Weather};
use crate::lifecycle::Tasks;

/// What becomes of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    /// It is not carried out, and that is told.
    Unavailable,
    /// It is not carried out, and nobody knows.
    RequestLost,
    /// It is carried out, and nobody knows.
    ReplyLost,
    /// It is carried out some time after its caller was told that nobody knows.
    Late,
}

/// What happened, for the report.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) commits: AtomicU64,
    pub(super) replies_lost: AtomicU64,
    pub(super) requests_lost: AtomicU64,
    pub(super) late: AtomicU64,
    /// Late commits that were carried out, and did not lose the race meanwhile.
    pub(super) late_landed: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) locked: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Database {
    pub(super) inner: MemoryStore,
    pub(super) tally: Tally,
    /// Commits that hold this player are refused while it is so.
    pub(super) poisoned: AtomicBool,
    /// Whether faults happen.
    pub(super) stormy: AtomicBool,
    /// Operations on their way, which outlive those who asked for them.
    pub(super) tasks: Tasks,
    weather: Weather,
    dice: Dice,
    trace: Arc<Trace>,
}

/// The player whose commits are refused while the database is poisoned.
pub(super) const CULPRIT: &str = "p0";

impl Database {
    pub(super) fn new(profile: &Profile, trace: Arc<Trace>) -> Self {
        Self {
            inner: MemoryStore::new(),
            tally: Tally::default(),
            poisoned: AtomicBool::new(false),
            stormy: AtomicBool::new(!profile.quiet),
            tasks: Tasks::new(),
            weather: profile.weather,
            dice: Dice::new(profile.seed, "database"),
            trace,
        }
    }

    fn fate(&self, changes: bool) -> Fate {
        if !self.stormy.load(Ordering::SeqCst) {
            return Fate::Fine;
        }
        let w = self.weather;
        let mut throw = self.dice.below(1_000);
        for (fate, share) in [
            (Fate::Unavailable, w.unavailable),
            (Fate::RequestLost, if changes { w.request_lost } else { 0 }),
            (Fate::ReplyLost, if changes { w.reply_lost } else { 0 }),
            (Fate::Late, if changes { w.late } else { 0 }),
        ] {
            if throw < share {
                return fate;
            }
            throw -= share;
        }
        Fate::Fine
    }

    fn pause(&self) -> Duration {
        if !self.stormy.load(Ordering::SeqCst) {
            return self.dice.millis(0..3);
        }
        let throw = self.dice.below(1_000);
        if throw < self.weather.very_slow {
            self.dice.millis(1_000..16_000)
        } else if throw < self.weather.very_slow + self.weather.slow {
            self.dice.millis(10..400)
        } else {
            self.dice.millis(0..5)
        }
    }

    /// Reads documents first and receipts after them, as a database without one snapshot for
    /// several statements does.
    async fn load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error> {
        let bare = |load: &Load| Load { receipts: false, ..load.clone() };
        let bare: Vec<Load> = players.iter().map(bare).collect();
        let mut loaded = self.inner.load(&bare).await?;
        sleep(self.pause()).await;
        for (player, later) in loaded.iter_mut().zip(self.inner.load(players).await?) {
            player.receipts = later.receipts;
        }
        Ok(loaded)
    }

    async fn commit(&self, writes: Vec<Write>, fate: Fate) -> Result<Vec<Written>, Error> {
        let culprit = |write: &Write| write.key.player == CULPRIT;
        if self.poisoned.load(Ordering::SeqCst) && writes.iter().any(culprit) {
            self.tally.rejected.fetch_add(1, Ordering::SeqCst);
            return Err(Error::Rejected { operation: "player.commit", source: "on purpose".into() });
        }
        let conflict = if self.stormy.load(Ordering::SeqCst) { self.weather.conflict } else { 0 };
        let lucky: Vec<bool> = writes.iter().map(|_| !self.dice.chance(conflict)).collect();
        let tried: Vec<Write> =
            writes.iter().zip(&lucky).filter(|(_, lucky)| **lucky).map(|(write, _)| write.clone()).collect();
        let mut done = self.inner.commit(&tried).await?.into_iter();
        let written: Vec<Written> = lucky
            .iter()
            .map(|lucky| lucky.then(|| done.next()).flatten().unwrap_or(Written::Conflict))
            .collect();
        for (write, written) in writes.iter().zip(&written) {
            let (player, before) = (&write.key.player, write.expected.unwrap_or(0));
            self.trace.note(format_args!(
                "  {player}@{before} {written:?}: {} receipts leave, {} orders, {} results",
                write.receipts.len(),
                write.orders.len(),
                write.results.len()
            ));
        }
        let lost = written.iter().filter(|written| **written == Written::Conflict).count();
        self.tally.conflicts.fetch_add(lost as u64, Ordering::SeqCst);
        if fate == Fate::Late && lost < written.len() {
            self.tally.late_landed.fetch_add(1, Ordering::SeqCst);
        }
        Ok(written)
    }
}

/// A replica's way to the database.
#[derive(Debug)]
pub(super) struct Connection {
    database: Arc<Database>,
    name: String,
    closed: AtomicBool,
    /// Whether this replica cannot reach it.
    cut: Arc<AtomicBool>,
}

impl Connection {
    pub(super) const fn new(database: Arc<Database>, name: String, cut: Arc<AtomicBool>) -> Self {
        Self { database, name, closed: AtomicBool::new(false), cut }
    }

    /// Carries an operation out as fate will have it. It is carried out in a task of the
    /// database, so that its caller may die meanwhile.
    async fn perform<T, W, F>(
        &self,
        operation: &'static str,
        what: String,
        changes: bool,
        work: W,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(Arc<Database>, Fate) -> F,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (database, trace) = (&self.database, &self.database.trace);
        if self.closed.load(Ordering::SeqCst) {
            trace.fault(format_args!("{} {operation} after close", self.name));
            return Err(unavailable(operation));
        }
        let cut = self.cut.load(Ordering::SeqCst);
        let fate = match if cut { Fate::Unavailable } else { database.fate(changes) } {
            // The text of a catalogue that arrives after a later one would be a step back.
            Fate::Late if operation == "catalogue.register" => Fate::RequestLost,
            fate => fate,
        };
        let step = trace.note(format_args!("{} {operation} {what}: {fate:?}", self.name));
        self.count(operation, fate);
        let (reply, answer) = oneshot::channel();
        if !matches!(fate, Fate::Unavailable | Fate::RequestLost) {
            let pause = match fate {
                // Some race with the reload, some come when everybody has forgotten them.
                Fate::Late if database.dice.chance(500) => database.dice.millis(0..30),
                Fate::Late => database.dice.millis(5..8_000),
                _ => database.pause(),
            };
            // What was sent by a process that died may or may not arrive.
            let frail = fate != Fate::Late && database.dice.chance(300);
            let work = work(database.clone(), fate);
            let trace = trace.clone();
            database.tasks.spawn("database", async move {
                sleep(pause).await;
                if frail && reply.is_closed() {
                    trace.note(format_args!("{operation} of #{step} died with its sender"));
                    return;
                }
                let result = work.await;
                trace.note(format_args!("{operation} of #{step} carried out, {}", word(&result)));
                drop(reply.send(result));
            });
        }
        let result = match fate {
            Fate::Fine | Fate::ReplyLost => answer.await.unwrap_or_else(|_| Err(unavailable(operation))),
            Fate::Late | Fate::RequestLost | Fate::Unavailable => Err(unavailable(operation)),
        };
        sleep(database.pause()).await;
        match fate {
            Fate::Fine | Fate::Unavailable => result,
            Fate::ReplyLost | Fate::RequestLost | Fate::Late => Err(unknown(operation)),
        }
    }

    fn count(&self, operation: &'static str, fate: Fate) {
        let tally = &self.database.tally;
        let one = |counter: &AtomicU64| counter.fetch_add(1, Ordering::SeqCst);
        match operation {
            "player.commit" => one(&tally.commits),
            "player.update_locked" => one(&tally.locked),
            _ => return,
        };
        match fate {
            Fate::ReplyLost => one(&tally.replies_lost),
            Fate::RequestLost => one(&tally.requests_lost),
            Fate::Late => one(&tally.late),
            Fate::Fine | Fate::Unavailable => return,
        };
    }
}

const fn word<T>(result: &Result<T, Error>) -> &'static str {
    if result.is_ok() { "well" } else { "refused" }
}

fn unavailable(operation: &'static str) -> Error {
    Error::Unavailable { operation, source: "on purpose".into() }
}

fn unknown(operation: &'static str) -> Error {
    Error::Unknown { operation, source: "on purpose".into() }
}

#[async_trait]
impl Store for Connection {
    async fn migrate(&self) -> Result<u32, Error> {
        self.database.inner.migrate().await
    }

    async fn warm_up(&self) -> Result<(), Error> {
        self.database.inner.warm_up().await
    }

    async fn load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error> {
        let players = players.to_vec();
        let what = players.iter().map(|load| load.key.player.as_str()).collect::<Vec<_>>().join(" ");
        let work = |database: Arc<Database>, _| async move { database.load(&players).await };
        self.perform("player.load", what, false, work).await
    }

    async fn commit(&self, writes: &[Write]) -> Result<Vec<Written>, Error> {
        let writes = writes.to_vec();
        let name = |write: &Write| format!("{}@{}", write.key.player, write.expected.unwrap_or(0));
        let what = writes.iter().map(name).collect::<Vec<_>>().join(" ");
        let work = |database: Arc<Database>, fate| async move { database.commit(writes, fate).await };
        self.perform("player.commit", what, true, work).await
    }

    async fn update_locked(&self, player: Load, decide: Locked) -> Result<Option<Written>, Error> {
        let what = player.key.player.clone();
        let work = |database: Arc<Database>, _| async move {
            let culprit = player.key.player == CULPRIT && database.poisoned.load(Ordering::SeqCst);
            if culprit {
                return Err(Error::Rejected {
                    operation: "player.update_locked",
                    source: "on purpose".into(),
                });
            }
            database.inner.update_locked(player, decide).await
        };
        self.perform("player.update_locked", what, true, work).await
    }

    async fn take_due_grants(
        &self,
        now: Timestamp,
        lease: &Lease,
        limit: u32,
    ) -> Result<Vec<DueGrant>, Error> {
        let lease = lease.clone();
        let work = move |database: Arc<Database>, _| async move {
            let taken = database.inner.take_due_grants(now, &lease, limit).await?;
            for DueGrant { grant, .. } in &taken {
                database.trace.note(format_args!("  taken over: {:?} attempt {}", grant.id, grant.attempt));
            }
            Ok(taken)
        };
        self.perform("grant.take_due", String::new(), true, work).await
    }

    async fn retry_grant(&self, retry: &Retry, now: Timestamp) -> Result<bool, Error> {
        let retry = retry.clone();
        let work =
            move |database: Arc<Database>, _| async move { database.inner.retry_grant(&retry, now).await };
        self.perform("grant.retry", String::new(), true, work).await
    }

    async fn list_grants(&self, filter: &GrantFilter, limit: u32) -> Result<Vec<Grant>, Error> {
        self.database.inner.list_grants(filter, limit).await
    }

    async fn pending_grants(&self) -> Result<(u64, Option<Timestamp>), Error> {
        let work = |database: Arc<Database>, _| async move { database.inner.pending_grants().await };
        self.perform("grant.pending", String::new(), false, work).await
    }

    async fn journal(&self, player: &PlayerKey, after: u64, limit: u32) -> Result<Vec<JournalRow>, Error> {
        self.database.inner.journal(player, after, limit).await
    }

    async fn journal_before(
        &self,
        player: &PlayerKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, Error> {
        self.database.inner.journal_before(player, before, limit).await
    }

    async fn take_due_players(
        &self,
        namespace: &str,
        now: Timestamp,
        again: Timestamp,
        limit: u32,
    ) -> Result<Vec<PlayerKey>, Error> {
        let namespace = namespace.to_owned();
        let work = move |database: Arc<Database>, _| async move {
            let taken = database.inner.take_due_players(&namespace, now, again, limit).await?;
            for key in &taken {
                database.trace.note(format_args!("  due: {}", key.player));
            }
            Ok(taken)
        };
        self.perform("player.take_due", String::new(), true, work).await
    }

    async fn prune_journal(&self, before: Timestamp) -> Result<u64, Error> {
        let work =
            move |database: Arc<Database>, _| async move { database.inner.prune_journal(before).await };
        self.perform("journal.prune", String::new(), true, work).await
    }

    async fn rotate_receipts(&self, now: Timestamp) -> Result<bool, Error> {
        let work = move |database: Arc<Database>, _| async move { database.inner.rotate_receipts(now).await };
        self.perform("receipt.rotate", String::new(), true, work).await
    }

    async fn intern_goals(&self, ids: &[String]) -> Result<HashMap<String, GoalNumber>, Error> {
        let ids = ids.to_vec();
        let work = |database: Arc<Database>, _| async move { database.inner.intern_goals(&ids).await };
        self.perform("goal.intern", String::new(), true, work).await
    }

    async fn register_catalogue(&self, text: &str, now: Timestamp) -> Result<u32, Error> {
        let text = text.to_owned();
        let work = move |database: Arc<Database>, _| async move {
            database.inner.register_catalogue(&text, now).await
        };
        self.perform("catalogue.register", String::new(), true, work).await
    }

    async fn catalogue_text(&self, version: u32) -> Result<Option<String>, Error> {
        let work =
            move |database: Arc<Database>, _| async move { database.inner.catalogue_text(version).await };
        self.perform("catalogue.text", version.to_string(), false, work).await
    }

    async fn find_catalogue(&self, text: &str) -> Result<Option<u32>, Error> {
        let text = text.to_owned();
        let work =
            move |database: Arc<Database>, _| async move { database.inner.find_catalogue(&text).await };
        self.perform("catalogue.find", String::new(), false, work).await
    }

    async fn activate_catalogue(&self, version: u32, now: Timestamp) -> Result<bool, Error> {
        let work = move |database: Arc<Database>, _| async move {
            database.inner.activate_catalogue(version, now).await
        };
        self.perform("catalogue.activate", version.to_string(), true, work).await
    }

    async fn used_catalogues(&self, after: u32) -> Result<Vec<(u32, Timestamp)>, Error> {
        let work =
            move |database: Arc<Database>, _| async move { database.inner.used_catalogues(after).await };
        self.perform("catalogue.used", format!("after {after}"), false, work).await
    }

    async fn meet(&self, replica: &Replica) -> Result<Meeting, Error> {
        let (replica, what) = (replica.clone(), format!("with version {}", replica.loaded));
        let work = move |database: Arc<Database>, _| async move { database.inner.meet(&replica).await };
        self.perform("replica.meet", what, true, work).await
    }

    async fn leave(&self, instance: &str) -> Result<(), Error> {
        let instance = instance.to_owned();
        let work = move |database: Arc<Database>, _| async move { database.inner.leave(&instance).await };
        self.perform("replica.leave", String::new(), true, work).await
    }

    fn is_shared(&self) -> bool {
        self.database.inner.is_shared()
    }

    async fn ping(&self) -> Result<(), Error> {
        self.database.inner.ping().await
    }

    fn pool_status(&self) -> PoolStatus {
        self.database.inner.pool_status()
    }

    fn prefers_many(&self) -> bool {
        false
    }

    fn figures(&self) -> gauntlet_store::Figures {
        gauntlet_store::Figures::default()
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.database.trace.note(format_args!("{} closed its store", self.name));
    }
}
