//! Players in memory: for simulation and for tests of what stands on the store. Documents are kept
//! as bytes, so that the codec takes part.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use gauntlet_domain::{GoalNumber, GrantKey, JournalEntry, Receipt, Timestamp};

use crate::contract::{
    Due, DueGrant, Error, FORGET_REPLICA_MILLIS, Grant, GrantFilter, GrantId, GrantState, JournalRow, Lease,
    Load, Loaded, Locked, LockedDecision, Meeting, PlayerKey, PoolStatus, Replica, Retry, Store, Write,
    Written,
};
use crate::rows::{self, Encoded, RECEIPT_GENERATION_MILLIS, Settled};

/// A store that forgets everything when it is dropped, otherwise like the others. One lock makes
/// every call a transaction.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    players: BTreeMap<PlayerKey, Document>,
    receipts: [BTreeMap<PlayerKey, Vec<Receipt>>; 2],
    generation: usize,
    generation_started: Timestamp,
    grants: BTreeMap<(PlayerKey, GrantKey), Grant>,
    journal: BTreeMap<(PlayerKey, u64), JournalEntry>,
    due: BTreeMap<PlayerKey, Timestamp>,
    goals: HashMap<String, GoalNumber>,
    catalogues: Vec<Version>,
    replicas: BTreeMap<String, Replica>,
}

#[derive(Debug)]
struct Version {
    text: String,
    registered_at: Timestamp,
    /// When it came into use, if it ever did.
    in_use_since: Option<Timestamp>,
}

#[derive(Debug)]
struct Document {
    revision: i64,
    live: Vec<u8>,
    settled: Option<Vec<u8>>,
}

/// Versions are counted from 1.
fn number_of(place: usize) -> u32 {
    u32::try_from(place + 1).unwrap_or(u32::MAX)
}

/// Two rows with one key, as a database would report them.
#[derive(Debug, thiserror::Error)]
#[error("duplicate key in {0}")]
struct Duplicate(&'static str);

#[derive(Debug, thiserror::Error)]
#[error("the store was closed")]
struct Closed;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces a player's documents by any bytes, for tests of what damage does. The revision
    /// stays; a player that has no row gets revision 1.
    pub fn plant(&self, player: PlayerKey, live: Vec<u8>, settled: Option<Vec<u8>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = state.players.get(&player).map_or(1, |document| document.revision);
        state.players.insert(player, Document { revision, live, settled });
    }

    fn state(&self, operation: &'static str) -> Result<MutexGuard<'_, State>, Error> {
        // Nothing in here is left half done by a panic: what may fail comes before what changes.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Error::Unavailable { operation, source: Closed.into() });
        }
        Ok(state)
    }
}

impl State {
    fn load(&self, load: &Load) -> Loaded {
        let stored = self
            .players
            .get(&load.key)
            .map(|document| {
                let settled = load.settled.then_some(document.settled.as_deref());
                rows::decode(&load.key, document.revision, &document.live, settled)
            })
            .transpose();
        let pages = self.receipts.iter().filter_map(|generation| generation.get(&load.key));
        let receipts = if load.receipts { pages.flatten().copied().collect() } else { Vec::new() };
        Loaded { stored, receipts }
    }

    fn commit(&mut self, writes: &[Write], encoded: Vec<Encoded>) -> Result<Vec<Written>, Error> {
        let holds = |write: &Write| {
            self.players.get(&write.key).map(|document| document.revision) == write.expected.map(rows::wide)
        };
        let winners: Vec<bool> = writes.iter().map(holds).collect();
        for (write, _) in writes.iter().zip(&winners).filter(|(_, wins)| **wins) {
            self.check_keys(write)?;
        }
        Ok(writes
            .iter()
            .zip(encoded)
            .zip(winners)
            .map(|((write, encoded), wins)| {
                if !wins {
                    return Written::Conflict;
                }
                self.apply(write, encoded);
                rows::done(write)
            })
            .collect())
    }

    /// Refuses what the primary keys of a database would refuse.
    fn check_keys(&self, write: &Write) -> Result<(), Error> {
        let reject =
            |table| Err(Error::Rejected { operation: "player.commit", source: Duplicate(table).into() });
        let mut keys = BTreeSet::new();
        for order in &write.orders {
            if !keys.insert(&order.key) || self.grants.contains_key(&(write.key.clone(), order.key.clone())) {
                return reject("reward_grant");
            }
        }
        let mut sequences = BTreeSet::new();
        for entry in &write.journal {
            if !sequences.insert(entry.sequence)
                || self.journal.contains_key(&(write.key.clone(), entry.sequence))
            {
                return reject("journal");
            }
        }
        Ok(())
    }

    fn apply(&mut self, write: &Write, encoded: Encoded) {
        let key = &write.key;
        let revision = write.expected.map_or(1, |revision| rows::wide(revision) + 1);
        let before = self.players.remove(key).and_then(|document| document.settled);
        let settled = match encoded.settled {
            Settled::Keep => before,
            Settled::Put(bytes) => Some(bytes),
            Settled::Remove => None,
        };
        self.players.insert(key.clone(), Document { revision, live: encoded.live, settled });
        if !write.receipts.is_empty() {
            self.receipts[self.generation].entry(key.clone()).or_default().extend(&write.receipts);
        }
        for order in &write.orders {
            let id = GrantId { player: key.clone(), key: order.key.clone() };
            let grant = Grant {
                id,
                challenge_id: order.challenge_id.clone(),
                goal_id: order.goal_id.clone(),
                reward: order.reward.clone(),
                claimed_at: order.claimed_at,
                state: GrantState::Sending,
                attempt: 1,
                lease: write.lease.clone(),
                created_at: write.at,
                updated_at: write.at,
                reason: String::new(),
            };
            self.grants.insert((key.clone(), order.key.clone()), grant);
        }
        for result in &write.results {
            let Some(grant) = self.grants.get_mut(&(key.clone(), result.key.clone())) else { continue };
            if matches!(grant.state, GrantState::Sending | GrantState::Uncertain) {
                let (state, reason) = GrantState::of_end(&result.end);
                grant.state = state;
                reason.clone_into(&mut grant.reason);
                grant.lease = None;
                grant.updated_at = write.at;
            }
        }
        match write.due {
            Due::Keep => {}
            Due::At(at) => drop(self.due.insert(key.clone(), at)),
            Due::Never => drop(self.due.remove(key)),
        }
        self.journal.extend(write.journal.iter().map(|entry| ((key.clone(), entry.sequence), entry.clone())));
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn migrate(&self) -> Result<u32, Error> {
        self.state("migrate").map(|_| 0)
    }

    async fn warm_up(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error> {
        let state = self.state("player.load")?;
        Ok(players.iter().map(|load| state.load(load)).collect())
    }

    async fn commit(&self, writes: &[Write]) -> Result<Vec<Written>, Error> {
        let encoded = rows::encode(writes)?;
        self.state("player.commit")?.commit(writes, encoded)
    }

    async fn update_locked(&self, player: Load, decide: Locked) -> Result<Option<Written>, Error> {
        let mut state = self.state("player.update_locked")?;
        let loaded = state.load(&player);
        let revision = match &loaded.stored {
            Ok(stored) => stored.as_ref().map(|stored| stored.revision),
            Err(_) => None,
        };
        let LockedDecision::Store(write) = decide(loaded) else { return Ok(None) };
        rows::check_locked(&player.key, revision, &write)?;
        let writes = std::slice::from_ref(write.as_ref());
        let encoded = rows::encode(writes)?;
        Ok(state.commit(writes, encoded)?.pop())
    }

    async fn take_due_grants(
        &self,
        now: Timestamp,
        lease: &Lease,
        limit: u32,
    ) -> Result<Vec<DueGrant>, Error> {
        let mut state = self.state("grant.take_due")?;
        let until = |grant: &Grant| grant.lease.as_ref().map(|lease| lease.until);
        let mut due: Vec<&mut Grant> = state
            .grants
            .values_mut()
            .filter(|grant| {
                grant.state == GrantState::Sending && until(grant).is_some_and(|until| until <= now)
            })
            .collect();
        due.sort_by_key(|grant| (until(grant), grant.created_at));
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(due
            .into_iter()
            .map(|grant| {
                let before = grant.lease.replace(lease.clone());
                let in_doubt = before.is_none_or(|lease| !lease.owner.is_empty());
                grant.attempt += 1;
                grant.updated_at = now;
                DueGrant { grant: grant.clone(), in_doubt }
            })
            .collect())
    }

    async fn retry_grant(&self, retry: &Retry, now: Timestamp) -> Result<bool, Error> {
        let mut state = self.state("grant.retry")?;
        let row = (retry.id.player.clone(), retry.id.key.clone());
        let current = state
            .grants
            .get_mut(&row)
            .filter(|grant| grant.state == GrantState::Sending && grant.attempt == retry.attempt);
        let Some(grant) = current else { return Ok(false) };
        let owner = grant.lease.take().filter(|_| retry.in_doubt).map(|lease| lease.owner);
        grant.lease = Some(Lease { owner: owner.unwrap_or_default(), until: retry.not_before });
        grant.reason.clone_from(&retry.reason);
        grant.updated_at = now;
        Ok(true)
    }

    async fn list_grants(&self, filter: &GrantFilter, limit: u32) -> Result<Vec<Grant>, Error> {
        let state = self.state("grant.list")?;
        let mut found: Vec<&Grant> = state
            .grants
            .values()
            .filter(|grant| filter.player.as_ref().is_none_or(|player| *player == grant.id.player))
            .filter(|grant| filter.state.is_none_or(|state| state == grant.state))
            .collect();
        // Stable: equal times stay in the order of their keys.
        found.sort_by_key(|grant| grant.created_at);
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found.into_iter().cloned().collect())
    }

    async fn pending_grants(&self) -> Result<(u64, Option<Timestamp>), Error> {
        let state = self.state("grant.pending")?;
        let sending = || state.grants.values().filter(|grant| grant.state == GrantState::Sending);
        Ok((sending().count() as u64, sending().map(|grant| grant.created_at).min()))
    }

    async fn journal(&self, player: &PlayerKey, after: u64, limit: u32) -> Result<Vec<JournalRow>, Error> {
        let state = self.state("journal.read")?;
        Ok(state
            .journal
            .range((player.clone(), after.saturating_add(1))..=(player.clone(), u64::MAX))
            .filter(|((_, sequence), _)| *sequence > after)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|((player, _), entry)| JournalRow { player: player.clone(), entry: entry.clone() })
            .collect())
    }

    async fn journal_before(
        &self,
        player: &PlayerKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, Error> {
        let state = self.state("journal.read")?;
        Ok(state
            .journal
            .range((player.clone(), 0)..(player.clone(), before))
            .rev()
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|((player, _), entry)| JournalRow { player: player.clone(), entry: entry.clone() })
            .collect())
    }

    async fn take_due_players(
        &self,
        namespace: &str,
        now: Timestamp,
        again: Timestamp,
        limit: u32,
    ) -> Result<Vec<PlayerKey>, Error> {
        let mut state = self.state("player.take_due")?;
        let due = state.due.iter().filter(|(key, at)| &*key.namespace == namespace && **at <= now);
        let mut due: Vec<(Timestamp, PlayerKey)> = due.map(|(key, at)| (*at, key.clone())).collect();
        due.sort();
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let players: Vec<PlayerKey> = due.into_iter().map(|(_, key)| key).collect();
        state.due.extend(players.iter().map(|key| (key.clone(), again)));
        Ok(players)
    }

    async fn prune_journal(&self, before: Timestamp) -> Result<u64, Error> {
        let mut state = self.state("journal.prune")?;
        let all = state.journal.len();
        state.journal.retain(|_, entry| entry.at >= before);
        Ok((all - state.journal.len()) as u64)
    }

    async fn rotate_receipts(&self, now: Timestamp) -> Result<bool, Error> {
        let mut state = self.state("receipt.rotate")?;
        if now.since(state.generation_started) < RECEIPT_GENERATION_MILLIS {
            return Ok(false);
        }
        let next = 1 - state.generation;
        state.receipts[next].clear();
        state.generation = next;
        state.generation_started = now;
        Ok(true)
    }

    async fn intern_goals(&self, ids: &[String]) -> Result<HashMap<String, GoalNumber>, Error> {
        let mut state = self.state("goal.intern")?;
        Ok(ids
            .iter()
            .map(|id| {
                let next = u32::try_from(state.goals.len() + 1).unwrap_or(u32::MAX);
                (id.clone(), *state.goals.entry(id.clone()).or_insert(GoalNumber(next)))
            })
            .collect())
    }

    async fn register_catalogue(&self, text: &str, now: Timestamp) -> Result<u32, Error> {
        let mut state = self.state("catalogue.register")?;
        if state.catalogues.last().is_none_or(|newest| newest.text != text) {
            state.catalogues.push(Version { text: text.to_owned(), registered_at: now, in_use_since: None });
        }
        Ok(u32::try_from(state.catalogues.len()).unwrap_or(u32::MAX))
    }

    async fn catalogue_text(&self, version: u32) -> Result<Option<String>, Error> {
        let state = self.state("catalogue.text")?;
        let place = usize::try_from(version).ok().and_then(|version| version.checked_sub(1));
        Ok(place.and_then(|place| state.catalogues.get(place)).map(|version| version.text.clone()))
    }

    async fn find_catalogue(&self, text: &str) -> Result<Option<u32>, Error> {
        let state = self.state("catalogue.find")?;
        let place = state.catalogues.iter().rposition(|version| version.text == text);
        Ok(place.map(number_of))
    }

    async fn activate_catalogue(&self, version: u32, now: Timestamp) -> Result<bool, Error> {
        let mut state = self.state("catalogue.activate")?;
        let newest = state.catalogues.len();
        let Some(place) = usize::try_from(version).ok().and_then(|version| version.checked_sub(1)) else {
            return Ok(false);
        };
        let Some(found) = state.catalogues.get_mut(place) else { return Ok(false) };
        if place + 1 == newest {
            found.in_use_since.get_or_insert(now);
        }
        Ok(found.in_use_since.is_some())
    }

    async fn used_catalogues(&self, after: u32) -> Result<Vec<(u32, Timestamp)>, Error> {
        let state = self.state("catalogue.used")?;
        let all = state.catalogues.iter().enumerate();
        let used = all.filter_map(|(place, version)| Some((number_of(place), version.in_use_since?)));
        Ok(used.filter(|(version, _)| *version > after).collect())
    }

    async fn meet(&self, replica: &Replica) -> Result<Meeting, Error> {
        let mut state = self.state("replica.meet")?;
        let old = replica.seen_at.plus_millis(-FORGET_REPLICA_MILLIS);
        state.replicas.retain(|_, other| other.seen_at >= old);
        state.replicas.insert(replica.instance.clone(), replica.clone());
        let newest = state.catalogues.last();
        let in_use = state.catalogues.iter().rposition(|version| version.in_use_since.is_some());
        Ok(Meeting {
            newest: state.catalogues.len().checked_sub(1).map_or(0, number_of),
            registered_at: newest.map(|version| version.registered_at).unwrap_or_default(),
            in_use: in_use.map_or(0, number_of),
            replicas: state.replicas.values().cloned().collect(),
        })
    }

    async fn leave(&self, instance: &str) -> Result<(), Error> {
        self.state("replica.leave")?.replicas.remove(instance);
        Ok(())
    }

    async fn ping(&self) -> Result<(), Error> {
        self.state("ping").map(drop)
    }

    fn pool_status(&self) -> PoolStatus {
        PoolStatus { limit: 1, open: 1, idle: 1, waiting: 0 }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn prefers_many(&self) -> bool {
        false
    }

    fn figures(&self) -> crate::Figures {
        crate::Figures::default()
    }

    async fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    }
}
