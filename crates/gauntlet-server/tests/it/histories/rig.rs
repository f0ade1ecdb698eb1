//! A server in this process, over one of the stores, with a clock and a platform that do as they
//! are told.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use gauntlet_domain::Timestamp;
use gauntlet_proto::{
    service as proto,
    statistic::{StatItem, StatItemUpdated},
};
use gauntlet_server::{
    Config, Parts, Roles, Server,
    api::Caller,
    catalogue,
    clock::{FixedClock, SeededRandom},
    rewards::{GrantAnswer, GrantCall, PlatformClass, RewardAdapter, Search},
};
use gauntlet_store::{MemoryStore, PgOptions, PgStore, SqliteOptions, SqliteStore, Store};
use gauntlet_testkit::PgCluster;
use tokio::{runtime::Runtime, sync::oneshot};

use super::steps::{Answer, DEFS, catalogue_text};
use crate::world::Def;

/// One server for many histories: each has a player of its own, one after the other.
pub(crate) struct Rig {
    runtime: Runtime,
    server: Option<Server>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) platform: Arc<Platform>,
    file: Arc<File>,
    players: AtomicU64,
    _folder: Option<tempfile::TempDir>,
}

/// What the platform does with a grant: it tells that it was asked, and waits to be told.
pub(crate) type Plan = (oneshot::Sender<()>, oneshot::Receiver<Answer>);

/// The catalogue's file.
#[derive(Debug)]
struct File(Mutex<String>);

impl catalogue::Source for File {
    fn read(&self) -> std::io::Result<String> {
        Ok(self.0.lock().unwrap().clone())
    }
}

#[derive(Debug, Default)]
pub(crate) struct Platform {
    pub(crate) next: Mutex<Option<Plan>>,
    /// Keys that it has seen twice.
    pub(crate) twice: Mutex<Vec<String>>,
    seen: Mutex<HashSet<String>>,
}

#[async_trait]
impl RewardAdapter for Platform {
    fn name(&self) -> &'static str {
        "told"
    }

    fn class(&self, _kind: gauntlet_domain::catalogue::RewardKind) -> PlatformClass {
        PlatformClass::Neither
    }

    async fn grant(&self, call: &GrantCall) -> GrantAnswer {
        let key = call.idempotency_key.clone();
        if !self.seen.lock().unwrap().insert(key.clone()) {
            self.twice.lock().unwrap().push(key);
        }
        let plan = self.next.lock().unwrap().take();
        let Some((asked, answer)) = plan else {
            return GrantAnswer::Refused("nobody expected this grant".into());
        };
        let _ = asked.send(());
        match answer.await.unwrap_or(Answer::Lost) {
            Answer::Granted => GrantAnswer::Granted,
            Answer::Refused => GrantAnswer::Refused("no such item".into()),
            Answer::Lost => GrantAnswer::Ambiguous("reply lost".into()),
        }
    }

    async fn search(&self, _: &GrantCall) -> Search {
        Search::Unanswered("cannot be searched".into())
    }
}

impl Rig {
    pub(crate) fn memory() -> Self {
        Self::new(None, |_| async { Arc::new(MemoryStore::new()) as Arc<dyn Store> })
    }

    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::new(Some(folder), |folder| async move {
            let options = SqliteOptions::new(folder.expect("was given").join("gauntlet.db"));
            Arc::new(SqliteStore::open(&options).expect("opens")) as Arc<dyn Store>
        })
    }

    pub(crate) fn postgres() -> Self {
        Self::new(None, |_| async {
            let database = PgCluster::shared().database().await;
            let options = PgOptions { max_connections: 5, ..PgOptions::new(&database.url) };
            Arc::new(PgStore::connect(&options).expect("fine options")) as Arc<dyn Store>
        })
    }

    fn new<F>(folder: Option<tempfile::TempDir>, open: impl FnOnce(Option<std::path::PathBuf>) -> F) -> Self
    where
        F: Future<Output = Arc<dyn Store>>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(1_780_000_000)));
        let platform = Arc::new(Platform::default());
        let file = Arc::new(File(Mutex::new(catalogue_text(DEFS))));
        let keep = catalogue::KeepOptions {
            source: file.clone(),
            watch: None,
            deadline: std::time::Duration::from_secs(30),
        };
        let (server, store) = runtime.block_on(async {
            let store = open(folder.as_ref().map(|folder| folder.path().to_owned())).await;
            store.migrate().await.expect("migrates");
            let now = Timestamp::from_seconds(1_780_000_000);
            let catalogue = catalogue::prepare(&*store, &catalogue_text(DEFS), now).await;
            let parts = Parts {
                store: store.clone(),
                catalogue: catalogue.unwrap_or_else(|error| panic!("{error:?}")),
                adapter: platform.clone(),
                clock: clock.clone(),
                random: Arc::new(SeededRandom::new(7)),
            };
            // No recovery: it looks at the wall clock for when to look.
            let config = Config {
                roles: Roles { worker: false, ..Roles::ALL },
                catalogue: Some(keep),
                ..Config::loopback()
            };
            (Server::start(config, parts).await.expect("starts"), store)
        });
        let (server, players) = (Some(server), AtomicU64::new(0));
        Self { runtime, server, store, clock, platform, file, players, _folder: folder }
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().expect("runs until the rig is dropped")
    }

    /// The name of a player that nobody has seen.
    pub(crate) fn player(&self) -> String {
        format!("player {}", self.players.fetch_add(1, Ordering::Relaxed))
    }

    /// Changes the catalogue's file and has it read again.
    pub(crate) async fn change(&self, defs: &[Def]) -> Result<(), String> {
        *self.file.0.lock().unwrap() = catalogue_text(defs);
        let mut status = proto::CatalogueStatus::default();
        // The keeper goes round by itself, too, and its word may be older than this: then the version
        // comes into use with the next look.
        for _ in 0..100 {
            let reloaded = self.server().api().reload_catalogue().await;
            status = reloaded.map_err(|error| error.to_string())?;
            if status.version == status.newest_version {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Err(format!("it does not come into use: {status:?}"))
    }

    /// Lets somebody else be granted a reward, so that the breaker, which all histories of the rig
    /// share, does not open over the answers that they lose.
    pub(crate) async fn please_the_breaker(&self) {
        let (api, caller) = (self.server().api(), Caller { player: self.player() });
        let active =
            proto::SetGoalActiveRequest { challenge_id: "c".into(), goal_id: "c1".into(), is_active: true };
        api.set_goal_active(&caller, active).await.expect("activated");
        // Whichever of them the goal counts, and however many it asks for.
        for stat_code in ["kills", "wins"] {
            let item = StatItem { stat_code: stat_code.into(), latest_value: 1_000.0, ..StatItem::default() };
            let event = StatItemUpdated {
                id: stat_code.into(),
                user_id: caller.player.clone(),
                payload: Some(item),
                ..StatItemUpdated::default()
            };
            self.server().ingest().stat(event).await.expect("counted");
        }
        let (ask, _asked) = oneshot::channel();
        let (say, said) = oneshot::channel();
        *self.platform.next.lock().unwrap() = Some((ask, said));
        say.send(Answer::Granted).expect("the plan is there");
        let claim = proto::ClaimRewardRequest { challenge_id: "c".into(), goal_id: "c1".into() };
        api.claim(&caller, claim).await.expect("granted");
    }

    pub(crate) fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(server) = self.server.take()
            && !std::thread::panicking()
        {
            self.runtime.block_on(server.stop());
        }
    }
}
