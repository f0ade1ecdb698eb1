//! A server over a store that can be held, slowed down and counted.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use gauntlet_domain::{GoalNumber, Timestamp};
use gauntlet_server::{
    Config, Parts, Roles, Server, catalogue,
    clock::{Clock as _, SeededRandom, SystemClock},
    rewards::LogAdapter,
};
use gauntlet_store::{
    DueGrant, Error, Grant, GrantFilter, JournalRow, Lease, Load, Loaded, Locked, Meeting, MemoryStore,
    PlayerKey, PoolStatus, Replica, Retry, Store, Write, Written,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Semaphore, watch},
};

/// A store in memory whose loads and commits wait while it is held.
#[derive(Debug)]
pub(crate) struct HeldStore {
    store: MemoryStore,
    held: watch::Sender<bool>,
    /// How many calls it works on at one time, and how long each takes.
    service: Option<(Semaphore, Duration)>,
    waiting: AtomicUsize,
    /// The players that were asked for, one entry each time.
    asked: Mutex<Vec<String>>,
}

impl HeldStore {
    fn new(service: Option<(usize, Duration)>) -> Self {
        Self {
            store: MemoryStore::new(),
            held: watch::Sender::new(false),
            service: service.map(|(at_once, time)| (Semaphore::new(at_once), time)),
            waiting: AtomicUsize::new(0),
            asked: Mutex::default(),
        }
    }

    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    /// Players that were asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until so many calls are held.
    pub(crate) async fn holds(&self, calls: usize) {
        until(|| self.waiting.load(Ordering::SeqCst) == calls).await;
    }

    async fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held).await.expect("the store lives");
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        if let Some((places, time)) = &self.service {
            let _place = places.acquire().await.expect("never closed");
            tokio::time::sleep(*time).await;
        }
    }
}

/// Waits until something is so; a test that waits for ever is ended by its time limit.
pub(crate) async fn until(so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.expect("it comes true within a minute");
}

#[async_trait]
impl Store for HeldStore {
    async fn migrate(&self) -> Result<u32, Error> {
        self.store.migrate().await
    }

    async fn warm_up(&self) -> Result<(), Error> {
        self.store.warm_up().await
    }

    async fn load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error> {
        self.asked.lock().unwrap().extend(players.iter().map(|load| load.key.player.clone()));
        self.pass().await;
        self.store.load(players).await
    }

    async fn commit(&self, writes: &[Write]) -> Result<Vec<Written>, Error> {
        self.pass().await;
        self.store.commit(writes).await
    }

    async fn update_locked(&self, player: Load, decide: Locked) -> Result<Option<Written>, Error> {
        self.store.update_locked(player, decide).await
    }

    async fn take_due_grants(
        &self,
        now: Timestamp,
        lease: &Lease,
        most: u32,
    ) -> Result<Vec<DueGrant>, Error> {
        self.store.take_due_grants(now, lease, most).await
    }

    async fn retry_grant(&self, retry: &Retry, now: Timestamp) -> Result<bool, Error> {
        self.store.retry_grant(retry, now).await
    }

    async fn list_grants(&self, filter: &GrantFilter, limit: u32) -> Result<Vec<Grant>, Error> {
        self.store.list_grants(filter, limit).await
    }

    async fn pending_grants(&self) -> Result<(u64, Option<Timestamp>), Error> {
        self.store.pending_grants().await
    }

    async fn journal(&self, player: &PlayerKey, after: u64, limit: u32) -> Result<Vec<JournalRow>, Error> {
        self.store.journal(player, after, limit).await
    }

    async fn journal_before(
        &self,
        player: &PlayerKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, Error> {
        self.store.journal_before(player, before, limit).await
    }

    async fn take_due_players(
        &self,
        namespace: &str,
        now: Timestamp,
        again: Timestamp,
        limit: u32,
    ) -> Result<Vec<PlayerKey>, Error> {
        self.store.take_due_players(namespace, now, again, limit).await
    }

    async fn prune_journal(&self, before: Timestamp) -> Result<u64, Error> {
        self.store.prune_journal(before).await
    }

    async fn rotate_receipts(&self, now: Timestamp) -> Result<bool, Error> {
        self.store.rotate_receipts(now).await
    }

    async fn intern_goals(&self, ids: &[String]) -> Result<HashMap<String, GoalNumber>, Error> {
        self.store.intern_goals(ids).await
    }

    async fn register_catalogue(&self, text: &str, now: Timestamp) -> Result<u32, Error> {
        self.store.register_catalogue(text, now).await
    }

    async fn catalogue_text(&self, version: u32) -> Result<Option<String>, Error> {
        self.store.catalogue_text(version).await
    }

    async fn find_catalogue(&self, text: &str) -> Result<Option<u32>, Error> {
        self.store.find_catalogue(text).await
    }

    async fn activate_catalogue(&self, version: u32, now: Timestamp) -> Result<bool, Error> {
        self.store.activate_catalogue(version, now).await
    }

    async fn used_catalogues(&self, after: u32) -> Result<Vec<(u32, Timestamp)>, Error> {
        self.store.used_catalogues(after).await
    }

    async fn meet(&self, replica: &Replica) -> Result<Meeting, Error> {
        self.store.meet(replica).await
    }

    async fn leave(&self, instance: &str) -> Result<(), Error> {
        self.store.leave(instance).await
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    async fn ping(&self) -> Result<(), Error> {
        self.store.ping().await
    }

    fn pool_status(&self) -> PoolStatus {
        self.store.pool_status()
    }

    fn prefers_many(&self) -> bool {
        self.store.prefers_many()
    }

    fn figures(&self) -> gauntlet_store::Figures {
        self.store.figures()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

const CATALOGUE: &str = r#"{"challenges":[{"challengeId":"c","name":"c","goals":[
    {"goalId":"g","name":"g","type":"absolute","eventSource":"statistic","defaultAssigned":true,
     "requirement":{"statCode":"kills","operator":">=","targetValue":5},
     "reward":{"type":"ITEM","rewardId":"sword","quantity":1}}]}]}"#;

pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) store: Arc<HeldStore>,
}

impl Rig {
    /// A server with one shard, so that every write waits for the one before it.
    pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Self {
        Self::over(HeldStore::new(None), change).await
    }

    /// A server whose store does so many things at once, each in that time.
    pub(crate) async fn paced(at_once: usize, time: Duration, change: impl FnOnce(&mut Config)) -> Self {
        Self::over(HeldStore::new(Some((at_once, time))), change).await
    }

    async fn over(store: HeldStore, change: impl FnOnce(&mut Config)) -> Self {
        let store = Arc::new(store);
        let catalogue = catalogue::prepare(&*store, CATALOGUE, SystemClock.now()).await;
        let parts = Parts {
            store: store.clone(),
            catalogue: catalogue.unwrap_or_else(|error| panic!("{error:?}")),
            adapter: Arc::new(LogAdapter),
            clock: Arc::new(SystemClock),
            random: Arc::new(SeededRandom::new(7)),
        };
        let mut config = Config { roles: Roles { worker: false, ..Roles::ALL }, ..Config::loopback() };
        config.limits.shards = 1;
        change(&mut config);
        Self { server: Server::start(config, parts).await.expect("starts"), store }
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.server.addresses().http.expect("it has the role")
    }

    pub(crate) fn grpc(&self) -> SocketAddr {
        self.server.addresses().grpc.expect("it has the role")
    }

    pub(crate) fn events(&self) -> SocketAddr {
        self.server.addresses().events.expect("it has the role")
    }

    pub(crate) async fn browse(&self, player: &str) -> Answer {
        ask(self.http(), "GET", "/challenge/v1/challenges", player, "").await
    }

    pub(crate) async fn initialize(&self, player: &str, headers: &str) -> Answer {
        ask(self.http(), "POST", "/challenge/v1/challenges/initialize", player, headers).await
    }

    /// A figure of the metrics, 0 when it is not there yet.
    pub(crate) async fn figure(&self, name: &str) -> f64 {
        let text = ask(self.server.addresses().ops, "GET", "/metrics", "x", "").await.body;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0.0, |value| value.trim().parse().expect("a number"))
    }
}

/// An answer over HTTP/1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn is(&self, status: u16, word: &str) -> bool {
        self.status == status && self.body.contains(word)
    }
}

/// Asks on a connection of its own.
pub(crate) async fn ask(to: SocketAddr, method: &str, path: &str, player: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(to).await.expect("connects");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nx-mock-user-id: {player}\r\nconnection: close\r\n\
         content-length: 0\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("is sent");
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.expect("is answered");
    let text = String::from_utf8_lossy(&text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}
