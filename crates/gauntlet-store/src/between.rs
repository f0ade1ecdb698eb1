//! A store with something between it and its callers: tests hold, count or break calls there.

use std::{collections::HashMap, fmt::Debug};

use async_trait::async_trait;
use gauntlet_domain::{GoalNumber, Timestamp};

use crate::{
    DueGrant, Error, Figures, Grant, GrantFilter, JournalRow, Lease, Load, Loaded, Locked, Meeting,
    PlayerKey, PoolStatus, Replica, Retry, Store, Write, Written,
};

/// What stands between. It is a store, too: what it does not do itself goes on to the one behind it.
#[async_trait]
pub trait Between: Send + Sync + Debug {
    /// The store behind it.
    fn store(&self) -> &dyn Store;

    /// Instead of [`Store::load`].
    async fn on_load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error> {
        self.store().load(players).await
    }

    /// Instead of [`Store::commit`].
    async fn on_commit(&self, writes: &[Write]) -> Result<Vec<Written>, Error> {
        self.store().commit(writes).await
    }
}

#[async_trait]
impl<B: Between> Store for B {
    async fn migrate(&self) -> Result<u32, Error> {
        self.store().migrate().await
    }

    async fn warm_up(&self) -> Result<(), Error> {
        self.store().warm_up().await
    }

    async fn load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error> {
        self.on_load(players).await
    }

    async fn commit(&self, writes: &[Write]) -> Result<Vec<Written>, Error> {
        self.on_commit(writes).await
    }

    async fn update_locked(&self, player: Load, decide: Locked) -> Result<Option<Written>, Error> {
        self.store().update_locked(player, decide).await
    }

    async fn take_due_grants(
        &self,
        now: Timestamp,
        lease: &Lease,
        limit: u32,
    ) -> Result<Vec<DueGrant>, Error> {
        self.store().take_due_grants(now, lease, limit).await
    }

    async fn retry_grant(&self, retry: &Retry, now: Timestamp) -> Result<bool, Error> {
        self.store().retry_grant(retry, now).await
    }

    async fn list_grants(&self, filter: &GrantFilter, limit: u32) -> Result<Vec<Grant>, Error> {
        self.store().list_grants(filter, limit).await
    }

    async fn pending_grants(&self) -> Result<(u64, Option<Timestamp>), Error> {
        self.store().pending_grants().await
    }

    async fn journal(&self, player: &PlayerKey, after: u64, limit: u32) -> Result<Vec<JournalRow>, Error> {
        self.store().journal(player, after, limit).await
    }

    async fn journal_before(
        &self,
        player: &PlayerKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, Error> {
        self.store().journal_before(player, before, limit).await
    }

    async fn take_due_players(
        &self,
        namespace: &str,
        now: Timestamp,
        again: Timestamp,
        limit: u32,
    ) -> Result<Vec<PlayerKey>, Error> {
        self.store().take_due_players(namespace, now, again, limit).await
    }

    async fn prune_journal(&self, before: Timestamp) -> Result<u64, Error> {
        self.store().prune_journal(before).await
    }

    async fn rotate_receipts(&self, now: Timestamp) -> Result<bool, Error> {
        self.store().rotate_receipts(now).await
    }

    async fn intern_goals(&self, ids: &[String]) -> Result<HashMap<String, GoalNumber>, Error> {
        self.store().intern_goals(ids).await
    }

    async fn register_catalogue(&self, text: &str, now: Timestamp) -> Result<u32, Error> {
        self.store().register_catalogue(text, now).await
    }

    async fn catalogue_text(&self, version: u32) -> Result<Option<String>, Error> {
        self.store().catalogue_text(version).await
    }

    async fn find_catalogue(&self, text: &str) -> Result<Option<u32>, Error> {
        self.store().find_catalogue(text).await
    }

    async fn activate_catalogue(&self, version: u32, now: Timestamp) -> Result<bool, Error> {
        self.store().activate_catalogue(version, now).await
    }

    async fn used_catalogues(&self, after: u32) -> Result<Vec<(u32, Timestamp)>, Error> {
        self.store().used_catalogues(after).await
    }

    async fn meet(&self, replica: &Replica) -> Result<Meeting, Error> {
        self.store().meet(replica).await
    }

    async fn leave(&self, instance: &str) -> Result<(), Error> {
        self.store().leave(instance).await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.store().ping().await
    }

    fn prefers_many(&self) -> bool {
        self.store().prefers_many()
    }

    fn is_shared(&self) -> bool {
        self.store().is_shared()
    }

    fn pool_status(&self) -> PoolStatus {
        self.store().pool_status()
    }

    fn figures(&self) -> Figures {
        self.store().figures()
    }

    async fn close(&self) {
        self.store().close().await;
    }
}
