//! The store behind circuit breakers: a database that is down is left alone, so that callers are
//! refused at once and nobody queues for a time-out.
//!
//! Reads and writes have a breaker each: a full disk or a standby refuses writes, and reading goes
//! on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use gauntlet_domain::{GoalNumber, Timestamp};
use gauntlet_store::{
    DueGrant, Error, Figures, Grant, GrantFilter, JournalRow, Lease, Load, Loaded, Locked, Meeting,
    PlayerKey, PoolStatus, Replica, Retry, Store, Write, Written,
};
use tokio::time::Instant;

use crate::{
    breaker::{Breaker, BreakerPolicy, BreakerState},
    traces,
};

/// A pause is short: one probe costs little, and players notice every second after the database
/// is back. A probe is given up after the longest that a call can take: waiting for a connection,
/// opening it, and a statement.
const POLICY: BreakerPolicy = BreakerPolicy {
    failures: 5,
    first_pause: Duration::from_millis(250),
    longest_pause: Duration::from_secs(1),
    probe: Duration::from_secs(12),
};

/// Why nothing was asked.
#[derive(Debug, thiserror::Error)]
#[error("the database is down or failed several times in a row, and is left alone for a moment")]
struct LeftAlone;

/// A store that is not asked while it is down.
#[derive(Debug)]
pub(crate) struct GuardedStore {
    store: Arc<dyn Store>,
    reads: Guard,
    writes: Guard,
}

impl GuardedStore {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, reads: Guard::new(), writes: Guard::new() }
    }

    /// Whether a player could be read now, as far as is known. Asking changes nothing.
    pub(crate) fn is_open(&self) -> bool {
        self.reads.has_room()
    }

    /// What the breakers let through now, by their names in metrics.
    pub(crate) fn breakers(&self) -> [(&'static str, BreakerState); 2] {
        [("database-reads", &self.reads), ("database-writes", &self.writes)]
            .map(|(name, guard)| (name, guard.breaker().state(guard.now())))
    }
}

/// One breaker, on a clock that does not step.
#[derive(Debug)]
struct Guard {
    breaker: Mutex<Breaker>,
    since: Instant,
}

impl Guard {
    fn new() -> Self {
        Self { breaker: Mutex::new(Breaker::new(POLICY)), since: Instant::now() }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(crate::core::millis(self.since.elapsed()))
    }

    fn has_room(&self) -> bool {
        self.breaker().room(self.now()) > 0
    }

    /// Runs a call, if the breaker lets it through, and learns from how it ends.
    async fn run<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let mut turn = self.turn(operation)?;
        let mut span = traces::statement(operation);
        let result = call.await;
        if let Err(error) = &result {
            span.failed(if error.is_transient() { "unavailable" } else { "rejected" });
        }
        turn.ended(result.as_ref().err());
        result
    }

    fn turn(&self, operation: &'static str) -> Result<Turn<'_>, Error> {
        let now = self.now();
        let mut breaker = self.breaker();
        if breaker.allow(now).is_err() {
            return Err(Error::Unavailable { operation, source: LeftAlone.into() });
        }
        Ok(Turn { guard: self, open: breaker.state(now) == BreakerState::Probing })
    }
}

/// A call under way. A probe that is dropped half way has failed as far as anybody knows: the
/// next may try.
struct Turn<'a> {
    guard: &'a Guard,
    /// A probe whose end is not known yet.
    open: bool,
}

impl Turn<'_> {
    fn ended(&mut self, error: Option<&Error>) {
        let probing = std::mem::take(&mut self.open);
        match error {
            // All connections in use says nothing about the database.
            Some(error) if error.is_busy() && !probing => {}
            Some(error) if error.is_down() => self.guard.breaker().is_down(self.guard.now()),
            Some(error) if error.is_transient() => self.guard.breaker().failed(self.guard.now(), None),
            _ => self.guard.breaker().succeeded(),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.open {
            self.guard.breaker().failed(self.guard.now(), None);
        }
    }
}

#[async_trait]
impl Store for GuardedStore {
    async fn migrate(&self) -> Result<u32, Error> {
        self.store.migrate().await
    }

    async fn warm_up(&self) -> Result<(), Error> {
        self.store.warm_up().await
    }

    async fn load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error> {
        self.reads.run("player.load", self.store.load(players)).await
    }

    async fn commit(&self, writes: &[Write]) -> Result<Vec<Written>, Error> {
        self.writes.run("player.commit", self.store.commit(writes)).await
    }

    async fn update_locked(&self, player: Load, decide: Locked) -> Result<Option<Written>, Error> {
        self.writes.run("player.update_locked", self.store.update_locked(player, decide)).await
    }

    async fn take_due_grants(
        &self,
        now: Timestamp,
        lease: &Lease,
        limit: u32,
    ) -> Result<Vec<DueGrant>, Error> {
        self.writes.run("grant.take_due", self.store.take_due_grants(now, lease, limit)).await
    }

    async fn retry_grant(&self, retry: &Retry, now: Timestamp) -> Result<bool, Error> {
        self.writes.run("grant.retry", self.store.retry_grant(retry, now)).await
    }

    async fn list_grants(&self, filter: &GrantFilter, limit: u32) -> Result<Vec<Grant>, Error> {
        self.reads.run("grant.list", self.store.list_grants(filter, limit)).await
    }

    async fn pending_grants(&self) -> Result<(u64, Option<Timestamp>), Error> {
        self.reads.run("grant.pending", self.store.pending_grants()).await
    }

    async fn journal(&self, player: &PlayerKey, after: u64, limit: u32) -> Result<Vec<JournalRow>, Error> {
        self.reads.run("journal.read", self.store.journal(player, after, limit)).await
    }

    async fn journal_before(
        &self,
        player: &PlayerKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, Error> {
        self.reads.run("journal.read", self.store.journal_before(player, before, limit)).await
    }

    async fn take_due_players(
        &self,
        namespace: &str,
        now: Timestamp,
        again: Timestamp,
        limit: u32,
    ) -> Result<Vec<PlayerKey>, Error> {
        let taken = self.store.take_due_players(namespace, now, again, limit);
        self.writes.run("player.take_due", taken).await
    }

    async fn prune_journal(&self, before: Timestamp) -> Result<u64, Error> {
        self.writes.run("journal.prune", self.store.prune_journal(before)).await
    }

    async fn rotate_receipts(&self, now: Timestamp) -> Result<bool, Error> {
        self.writes.run("receipt.rotate", self.store.rotate_receipts(now)).await
    }

    async fn intern_goals(&self, ids: &[String]) -> Result<HashMap<String, GoalNumber>, Error> {
        self.writes.run("goal.intern", self.store.intern_goals(ids)).await
    }

    async fn register_catalogue(&self, text: &str, now: Timestamp) -> Result<u32, Error> {
        self.writes.run("catalogue.register", self.store.register_catalogue(text, now)).await
    }

    async fn catalogue_text(&self, version: u32) -> Result<Option<String>, Error> {
        self.reads.run("catalogue.text", self.store.catalogue_text(version)).await
    }

    async fn find_catalogue(&self, text: &str) -> Result<Option<u32>, Error> {
        self.reads.run("catalogue.find", self.store.find_catalogue(text)).await
    }

    async fn activate_catalogue(&self, version: u32, now: Timestamp) -> Result<bool, Error> {
        self.writes.run("catalogue.activate", self.store.activate_catalogue(version, now)).await
    }

    async fn used_catalogues(&self, after: u32) -> Result<Vec<(u32, Timestamp)>, Error> {
        self.reads.run("catalogue.used", self.store.used_catalogues(after)).await
    }

    async fn meet(&self, replica: &Replica) -> Result<Meeting, Error> {
        self.writes.run("replica.meet", self.store.meet(replica)).await
    }

    async fn leave(&self, instance: &str) -> Result<(), Error> {
        self.writes.run("replica.leave", self.store.leave(instance)).await
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    /// Probes ask the database itself, whatever the breakers say.
    async fn ping(&self) -> Result<(), Error> {
        self.store.ping().await
    }

    fn prefers_many(&self) -> bool {
        self.store.prefers_many()
    }

    fn pool_status(&self) -> PoolStatus {
        self.store.pool_status()
    }

    fn figures(&self) -> Figures {
        self.store.figures()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable() -> Error {
        Error::Unavailable { operation: "player.load", source: "gone".into() }
    }

    async fn fails(guard: &Guard) {
        let _failed = guard.run("player.load", async { Err::<(), _>(unavailable()) }).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_down_is_asked_by_one_probe_at_a_time() {
        let guard = Guard::new();
        for _ in 0..POLICY.failures {
            assert!(guard.has_room());
            fails(&guard).await;
        }
        assert!(!guard.has_room());
        let refused = guard.run("player.load", async { panic!("it is not asked") });
        let refused: Result<(), Error> = refused.await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
        tokio::time::advance(POLICY.first_pause).await;
        let probe = guard.turn("player.load").expect("the first may ask");
        assert!(guard.turn("player.load").is_err());
        drop(probe);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_nobody_waits_for_does_not_keep_it_shut() {
        let guard = Guard::new();
        for _ in 0..POLICY.failures {
            fails(&guard).await;
        }
        tokio::time::advance(POLICY.first_pause).await;
        let probe = guard.run("player.load", std::future::pending::<Result<(), Error>>());
        assert!(tokio::time::timeout(Duration::from_millis(1), probe).await.is_err());
        tokio::time::advance(POLICY.longest_pause).await;
        assert!(guard.run("player.load", async { Ok(()) }).await.is_ok());
        assert!(guard.has_room());
    }

    #[tokio::test]
    async fn a_server_that_is_down_opens_it_at_once_and_a_lost_connection_does_not() {
        let guard = Guard::new();
        fails(&guard).await;
        assert!(guard.has_room(), "one connection may have been ended alone");
        let source = gauntlet_store::ServerDown("connection refused".into()).into();
        let down = Error::Unavailable { operation: "player.load", source };
        let _down = guard.run("player.load", async { Err::<(), _>(down) }).await;
        assert!(!guard.has_room());
    }

    #[tokio::test]
    async fn a_busy_pool_and_refused_statements_do_not_open_it() {
        let guard = Guard::new();
        for _ in 0..100 {
            let source = gauntlet_store::PoolBusy.into();
            let busy = Error::Unavailable { operation: "player.load", source };
            let _busy = guard.run("player.load", async { Err::<(), _>(busy) }).await;
            let rejected = Error::Rejected { operation: "player.load", source: "no".into() };
            let _rejected = guard.run("player.load", async { Err::<(), _>(rejected) }).await;
        }
        assert!(guard.has_room());
    }
}
