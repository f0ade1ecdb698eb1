//! A server over a store that can be held, slowed down and counted.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use gauntlet_server::{
    Config, Parts, Roles, Server, catalogue,
    clock::{Clock as _, SeededRandom, SystemClock},
    rewards::LogAdapter,
};
use gauntlet_store::{Between, Error, Load, Loaded, MemoryStore, Store, Write, Written};
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
impl Between for HeldStore {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn on_load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error> {
        self.asked.lock().unwrap().extend(players.iter().map(|load| load.key.player.clone()));
        self.pass().await;
        self.store.load(players).await
    }

    async fn on_commit(&self, writes: &[Write]) -> Result<Vec<Written>, Error> {
        self.pass().await;
        self.store.commit(writes).await
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
