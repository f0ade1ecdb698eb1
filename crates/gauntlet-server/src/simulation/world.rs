//! The world: replicas over one database, and the network between them and their callers.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use gauntlet_domain::Catalogue;
use gauntlet_store::Store;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    database::{Connection, Database},
    ground::{Dice, Profile, SimClock, Trace},
    platform::Platform,
};
use crate::{
    api::Api,
    catalogue,
    clock::{Clock, SeededRandom},
    engine::Engine,
    ingest::Ingest,
    lifecycle::Tasks,
    server::{Config, Parts},
    shards::Limits,
};

/// The game's namespace.
pub(super) const NAMESPACE: &str = "game";
/// Simulated time after which a request or a shutdown counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// The catalogue file of a replica.
#[derive(Debug)]
pub(super) struct File(pub(super) Mutex<String>);

impl catalogue::Source for File {
    fn read(&self) -> std::io::Result<String> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// A replica that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) engine: Engine,
    pub(super) api: Api,
    pub(super) ingest: Ingest,
    /// Requests under way.
    faces: Tasks,
    crashed: AtomicBool,
}

/// A place where a replica runs, one after the other.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) clock: Arc<SimClock>,
    /// Whether it cannot reach the database.
    pub(super) cut: Arc<AtomicBool>,
    /// Its catalogue file.
    pub(super) file: Arc<File>,
    name: String,
    /// The one that takes requests.
    running: Mutex<Option<Arc<Running>>>,
    starts: AtomicU64,
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It was never taken.
    Refused,
    /// It may or may not have been carried out.
    Lost,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) profile: Profile,
    pub(super) trace: Arc<Trace>,
    pub(super) database: Arc<Database>,
    pub(super) platform: Arc<Platform>,
    pub(super) replicas: Vec<Replica>,
    /// Everybody who plays.
    pub(super) players: Tasks,
    /// The true time.
    pub(super) clock: SimClock,
    pub(super) crashes: AtomicU64,
    pub(super) stops: AtomicU64,
    network: Dice,
}

impl World {
    pub(super) fn new(profile: Profile, text: &str) -> Self {
        let trace = Arc::new(Trace::new());
        let database = Arc::new(Database::new(&profile, trace.clone()));
        let platform = Arc::new(Platform::new(&profile, trace.clone(), database.clone()));
        let network = Dice::new(profile.seed, "network");
        let replica = |number| Replica {
            clock: Arc::new(SimClock::new(skew(&network))),
            cut: Arc::default(),
            file: Arc::new(File(Mutex::new(text.to_owned()))),
            name: format!("r{number}"),
            running: Mutex::default(),
            starts: AtomicU64::new(0),
        };
        let replicas = (0..profile.replicas).map(replica).collect();
        Self {
            profile,
            trace,
            database,
            platform,
            replicas,
            players: Tasks::new(),
            clock: SimClock::new(0),
            crashes: AtomicU64::new(0),
            stops: AtomicU64::new(0),
            network,
        }
    }

    /// The catalogue in use, as the database tells it.
    pub(super) async fn catalogue(&self) -> Arc<Catalogue> {
        let catalogue = catalogue::in_use(&self.database.inner, None).await;
        catalogue.expect("a good catalogue").expect("replicas have begun")
    }

    /// Starts a replica, as often as it takes.
    pub(super) async fn start(&self, at: usize) {
        let replica = &self.replicas[at];
        loop {
            let start = replica.starts.fetch_add(1, Ordering::SeqCst);
            let name = format!("{}.{start}", replica.name);
            let store: Arc<dyn Store> =
                Arc::new(Connection::new(self.database.clone(), name.clone(), replica.cut.clone()));
            let text = replica.file.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Ok(beginning) = catalogue::begin(&*store, &text, replica.clock.now()).await else {
                continue;
            };
            let seed = Dice::new(self.profile.seed, &name).below(u64::MAX);
            let parts = Parts {
                store,
                catalogue: beginning.catalogue,
                adapter: self.platform.clone(),
                clock: replica.clock.clone(),
                random: Arc::new(SeededRandom::new(seed)),
            };
            let Ok(engine) = Engine::start(&self.config(replica), parts).await else { continue };
            let (api, ingest) = (engine.api(), engine.ingest());
            let running =
                Running { engine, api, ingest, faces: Tasks::new(), crashed: AtomicBool::new(false) };
            *replica.running() = Some(Arc::new(running));
            self.trace.note(format_args!("{name} takes requests"));
            return;
        }
    }

    fn config(&self, replica: &Replica) -> Config {
        let Profile { shards, event_queue, .. } = self.profile;
        Config {
            namespace: NAMESPACE.into(),
            grant_deadline: Duration::from_secs(2),
            journal_retention: Some(Duration::from_secs(86_400)),
            limits: Limits { shards, call_queue: 1_024, event_queue },
            catalogue: Some(catalogue::KeepOptions {
                source: replica.file.clone(),
                watch: None,
                // Less than it takes to give a silent replica up: some are not waited for.
                deadline: Duration::from_secs(8),
            }),
            ..Config::loopback()
        }
    }

    /// Kills a replica: none of its tasks takes another step. What it has sent to the database
    /// may still arrive.
    pub(super) async fn crash(&self, at: usize) {
        let Some(running) = self.replicas[at].running().take() else { return };
        self.trace.note(format_args!("r{at} crashes"));
        self.crashes.fetch_add(1, Ordering::SeqCst);
        running.crashed.store(true, Ordering::SeqCst);
        running.faces.kill();
        running.engine.kill().await;
        running.faces.finished().await;
    }

    /// Stops a replica as a deployment does.
    pub(super) async fn stop(&self, at: usize) {
        let Some(running) = self.replicas[at].running().take() else { return };
        self.trace.note(format_args!("r{at} stops"));
        self.stops.fetch_add(1, Ordering::SeqCst);
        if let Some(why) = running.engine.failed().now_or_never() {
            self.trace.fault(format_args!("r{at}: {why}"));
        }
        if timeout(PATIENCE, running.engine.stop(running.faces.finished())).await.is_err() {
            self.trace.fault(format_args!("r{at} does not stop"));
        }
        self.trace.note(format_args!("r{at} has stopped"));
    }

    /// Sends a request to some replica and waits for its answer, but no longer than the caller
    /// has patience for.
    pub(super) async fn ask<T, W, F>(&self, patience: Option<Duration>, work: W) -> Result<T, Missing>
    where
        T: Send + 'static,
        W: FnOnce(Arc<Running>) -> F,
        F: Future<Output = T> + Send + 'static,
    {
        let at = self.network.index(self.replicas.len());
        self.ask_at(at, patience, work).await
    }

    /// The same with a replica of the caller's choice.
    pub(super) async fn ask_at<T, W, F>(
        &self,
        at: usize,
        patience: Option<Duration>,
        work: W,
    ) -> Result<T, Missing>
    where
        T: Send + 'static,
        W: FnOnce(Arc<Running>) -> F,
        F: Future<Output = T> + Send + 'static,
    {
        let stormy = self.database.stormy.load(Ordering::SeqCst);
        let breaks = || stormy && self.network.chance(self.profile.weather.network);
        sleep(self.network.millis(0..3)).await;
        if breaks() {
            return Err(Missing::Lost);
        }
        let Some(running) = self.replicas[at].running().clone() else { return Err(Missing::Refused) };
        let (reply, answer) = oneshot::channel();
        // A listener drops the work of a client that hangs up, or it does not.
        let hung_up = CancellationToken::new();
        let drops = patience.is_some() && self.network.chance(500);
        let (gone, work) = (hung_up.clone(), work(running.clone()));
        running.faces.spawn("request", async move {
            tokio::select! {
                biased;
                () = gone.cancelled(), if drops => {}
                answer = work => drop(reply.send(answer)),
            }
        });
        let answer = match timeout(patience.unwrap_or(PATIENCE), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                if !running.crashed.load(Ordering::SeqCst) {
                    self.trace.fault(format_args!("r{at} dropped a request"));
                }
                return Err(Missing::Lost);
            }
            Err(_) => {
                if patience.is_none() {
                    self.trace.fault(format_args!("r{at} does not answer"));
                }
                hung_up.cancel();
                return Err(Missing::Lost);
            }
        };
        sleep(self.network.millis(0..3)).await;
        if breaks() { Err(Missing::Lost) } else { Ok(answer) }
    }

    /// Whether the reward platform and the database do as they should from now on.
    pub(super) fn calm_down(&self) {
        self.database.stormy.store(false, Ordering::SeqCst);
        self.database.poisoned.store(false, Ordering::SeqCst);
        self.platform.stormy.store(false, Ordering::SeqCst);
        for replica in &self.replicas {
            replica.cut.store(false, Ordering::SeqCst);
        }
        self.trace.note("the storm is over");
    }
}

impl Replica {
    fn running(&self) -> std::sync::MutexGuard<'_, Option<Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By how much a clock is wrong: any two differ by less than what leases allow for.
pub(super) fn skew(dice: &Dice) -> i64 {
    i64::try_from(dice.below(2_000)).unwrap_or(0) - 1_000
}
