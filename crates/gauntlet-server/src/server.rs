//! Putting a server together, and taking it apart in the right order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::http::HeaderValue;
use gauntlet_domain::Catalogue;
use gauntlet_store::{
    Error as StoreError, Store,
    crash::{self, Point},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    admission::{Admission, AdmissionOptions, gate::Gate},
    api::Api,
    auth::{AuthMode, SetUpError, SignIn, Verifier, events::EventSecrets},
    catalogue::{KeepOptions, Keeper},
    clock::{Clock, Random},
    core::Core,
    engine::Engine,
    grpc, http,
    ingest::Ingest,
    lifecycle::{Readiness, Tasks},
    metrics::Sample,
    net::{
        self, Face, NetOptions,
        tls::{self, Tls, TlsError, TlsFiles},
    },
    rewards::RewardAdapter,
    shards::{Limits, Shards},
    traces::Traces,
};

/// What one process does. All of it, unless a deployment splits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Serves the player API over HTTP and gRPC.
    pub api: bool,
    /// Takes events.
    pub events: bool,
    /// Takes over grants whose sender did not come back.
    pub worker: bool,
}

impl Roles {
    /// Everything in one process.
    pub const ALL: Self = Self { api: true, events: true, worker: true };
}

/// How a server is set up. Port 0 takes a free port.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the HTTP API listens.
    pub http: SocketAddr,
    /// Where the gRPC API listens.
    pub grpc: SocketAddr,
    /// Where events come in, over gRPC and as `CloudEvents`.
    pub events: SocketAddr,
    /// Where metrics and probes listen.
    pub ops: SocketAddr,
    /// In front of every path of the HTTP API: empty, or `/` and more without a `/` at the end.
    pub base_path: String,
    /// The game's namespace; events of others are ignored.
    pub namespace: String,
    /// What this process does.
    pub roles: Roles,
    /// How callers prove who they are.
    pub auth: AuthMode,
    /// Who may deliver events.
    pub event_secrets: EventSecrets,
    /// TLS of the HTTP and gRPC API.
    pub api_tls: Option<TlsFiles>,
    /// TLS of the events port.
    pub events_tls: Option<TlsFiles>,
    /// Origins whose pages may call the HTTP API; `*`: all.
    pub cors_origins: Vec<HeaderValue>,
    /// How many claims and draws one player may make a minute, and at once; 0: any number.
    pub player_rate: u32,
    /// How late an event may come and still count for its own time. Too small, and an outage of
    /// minutes makes values stale; too large, and late events keep past cycles open.
    pub late_window: Duration,
    /// How long one call to the reward platform may take.
    pub grant_deadline: Duration,
    /// How long after the end of its calls a grant of a silent sender is taken over. Too short, and
    /// a sender that is only slow to record the answer is overtaken; too long, and players wait for
    /// what a process that died has left.
    pub grant_takeover: Duration,
    /// How often a worker looks for grants to take over.
    pub recovery_interval: Duration,
    /// How long journal rows are kept; `None`: for good.
    pub journal_retention: Option<Duration>,
    /// How long probes see the server as not ready before it stops to accept connections, so
    /// that load balancers can look elsewhere first.
    pub drain_delay: Duration,
    /// Sizes of the queues.
    pub limits: Limits,
    /// How many requests may be under way, and how long each may take.
    pub admission: AdmissionOptions,
    /// Limits of connections, and how long open requests may take to end once the server stops.
    pub net: NetOptions,
    /// Whether profiles can be taken on the operations port. Who can, can slow the process down and
    /// sees names of its functions: only for addresses that no stranger reaches.
    pub profiles: bool,
    /// Where spans of requests go; off by default.
    pub traces: Traces,
    /// How the catalogue is kept; `None`: it stays what it was at the start.
    pub catalogue: Option<KeepOptions>,
}

impl Config {
    /// Everything on free loopback ports, with the defaults of the command line otherwise.
    #[must_use]
    pub fn loopback() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            http: any,
            grpc: any,
            events: any,
            ops: any,
            base_path: "/challenge".into(),
            namespace: "gauntlet".into(),
            roles: Roles::ALL,
            auth: AuthMode::Mock,
            event_secrets: EventSecrets::default(),
            api_tls: None,
            events_tls: None,
            cors_origins: Vec::new(),
            player_rate: 0,
            late_window: Duration::from_secs(600),
            grant_deadline: Duration::from_secs(10),
            grant_takeover: Duration::from_secs(5),
            recovery_interval: Duration::from_secs(1),
            journal_retention: None,
            drain_delay: Duration::ZERO,
            limits: Limits::default(),
            admission: AdmissionOptions::default(),
            net: NetOptions::default(),
            profiles: false,
            traces: Traces::default(),
            catalogue: None,
        }
    }
}

/// What a server works with, made by its caller.
#[derive(Debug)]
pub struct Parts {
    /// Where players live; migrated.
    pub store: Arc<dyn Store>,
    /// The catalogue to begin with; see [`crate::catalogue::prepare`].
    pub catalogue: Arc<Catalogue>,
    /// The reward platform.
    pub adapter: Arc<dyn RewardAdapter>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where random numbers come from.
    pub random: Arc<dyn Random>,
}

/// Where a server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The HTTP API, if it has that role.
    pub http: Option<SocketAddr>,
    /// The gRPC API, if it has that role.
    pub grpc: Option<SocketAddr>,
    /// Events, if it has that role.
    pub events: Option<SocketAddr>,
    /// Metrics and probes.
    pub ops: SocketAddr,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {what}")]
    Bind {
        /// Which listener.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Tokens cannot be checked.
    #[error("sign-in cannot be set up")]
    SignIn(#[from] SetUpError),
    /// Connections cannot be encrypted.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// The store does not answer.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
}

/// A running server. Dropping it leaves its tasks running: call [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    readiness: Readiness,
    engine: Engine,
    api: Api,
    ingest: Ingest,
    keeper: Option<Keeper>,
    /// Listeners and their connections, but for operations.
    faces: Tasks,
    /// The operations listener, which outlives the others.
    ops: Tasks,
    stop_faces: CancellationToken,
    stop_ops: CancellationToken,
    drain_delay: Duration,
}

impl Server {
    /// Binds the listeners and begins to serve.
    ///
    /// # Errors
    /// An address that cannot be listened on, certificates that cannot be used, or a store that
    /// does not answer.
    pub async fn start(config: Config, parts: Parts) -> Result<Self, StartError> {
        let security = Security::load(&config, &parts.clock)?;
        let listeners = Listeners::bind(&config)?;
        let engine = Engine::start(&config, parts).await?;
        let server = Self {
            addresses: listeners.addresses(),
            readiness: Readiness::default(),
            api: engine.api().with_player_rate(config.player_rate),
            keeper: engine.keeper.clone(),
            ingest: engine.ingest(),
            engine,
            faces: Tasks::new(),
            ops: Tasks::new(),
            stop_faces: CancellationToken::new(),
            stop_ops: CancellationToken::new(),
            drain_delay: config.drain_delay,
        };
        server.keep_fresh(&security);
        security.wait_for_keys().await;
        server.start_faces(&config, listeners, security);
        crash::point(Point::BeforeReady);
        server.readiness.set(true);
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The use cases behind the player API's faces, for callers in the same process.
    #[must_use]
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// The one way in for events, for callers in the same process.
    #[must_use]
    pub const fn ingest(&self) -> &Ingest {
        &self.ingest
    }

    /// Reads the catalogue again, as a signal asks for. What comes of it is logged; nothing happens
    /// where the catalogue stays what it was at the start.
    pub async fn reload_catalogue(&self) {
        if let Some(keeper) = &self.keeper {
            let _told = keeper.reload().await;
        }
    }

    /// Waits until a long-lived task has died; answers which and how. The server has to be
    /// stopped then.
    pub async fn failed(&self) -> String {
        tokio::select! {
            why = self.faces.failed() => why,
            why = self.ops.failed() => why,
            why = self.engine.failed() => why,
        }
    }

    /// Stops in the order in which nothing is lost: probes first, then no new connections, open
    /// requests to their end, claims to theirs, what waits in the shards, and the store last.
    pub async fn stop(self) {
        tracing::info!("stopping: not ready from now on");
        self.readiness.set(false);
        tokio::time::sleep(self.drain_delay).await;
        self.stop_faces.cancel();
        // The operations port stays, so that the end can be watched.
        self.engine.stop(self.faces.finished()).await;
        self.stop_ops.cancel();
        self.ops.finished().await;
        tracing::info!("stopped");
    }

    /// Keeps keys and certificates as they are elsewhere.
    fn keep_fresh(&self, security: &Security) {
        let stop = &self.stop_faces;
        if let SignIn::Jwt(verifier) = &security.sign_in {
            self.faces.spawn_until("keys", stop, verifier.clone().refresh_until(stop.clone()));
        }
        for tls in [&security.api, &security.events].into_iter().flatten() {
            let reload = tls.clone().reload_until(tls::LOOK, stop.clone());
            self.faces.spawn_until("certificates", stop, reload);
        }
    }

    fn start_faces(&self, config: &Config, listeners: Listeners, security: Security) {
        let state = FaceState {
            api: self.api.clone(),
            ingest: self.ingest.clone(),
            core: self.engine.core.clone(),
            shards: self.engine.shards.clone(),
            admission: Admission::new(&self.engine.core, config.admission),
            auth: security.sign_in,
            event_secrets: config.event_secrets.clone(),
            cors_origins: config.cors_origins.clone(),
            tls: false,
            readiness: self.readiness.clone(),
            stop: self.stop_faces.clone(),
            profiles: config.profiles,
            tasks: [self.faces.clone(), self.ops.clone()].into_iter().chain(self.engine.tasks()).collect(),
        };
        let with = |tls: &Option<Tls>| FaceState { tls: tls.is_some(), ..state.clone() };
        let options = |tls: &Option<Tls>| NetOptions { tls: tls.clone(), ..config.net.clone() };
        let (api_tls, events_tls) = (&security.api, &security.events);
        if let Some(listener) = listeners.http {
            let face = with(api_tls);
            let router = http::api_router(&face, &config.base_path).with_state(());
            let gate = http::api_gate(&face, &config.base_path);
            self.serve("http", listener, (router, gate), options(api_tls));
        }
        if let Some(listener) = listeners.grpc {
            let face = with(api_tls);
            let faces = (grpc::api_router(&face).with_state(()), grpc::api_gate(&face));
            self.serve("grpc", listener, faces, options(api_tls));
        }
        if let Some(listener) = listeners.events {
            let face = with(events_tls);
            let faces = (grpc::events_face(&face), grpc::events_gate(&face));
            self.serve("events", listener, faces, options(events_tls));
        }
        let (options, stop) = (config.net.clone(), self.stop_ops.clone());
        let router = http::ops_router(&state).with_state(());
        let work = async move { net::serve(listeners.ops, router, &options, stop).await };
        self.ops.spawn_until("ops", &self.stop_ops, work);
    }

    fn serve(
        &self,
        name: &'static str,
        listener: TcpListener,
        (face, gate): (impl Face, Gate),
        options: NetOptions,
    ) {
        let stop = self.stop_faces.clone();
        let work = async move { net::serve_behind(gate, listener, face, &options, stop).await };
        self.faces.spawn_until(name, &self.stop_faces, work);
    }
}

/// What the faces are made of.
#[derive(Debug, Clone)]
pub(crate) struct FaceState {
    pub(crate) api: Api,
    pub(crate) ingest: Ingest,
    pub(crate) core: Arc<Core>,
    pub(crate) shards: Shards,
    pub(crate) admission: Admission,
    pub(crate) auth: SignIn,
    pub(crate) event_secrets: EventSecrets,
    pub(crate) cors_origins: Vec<HeaderValue>,
    /// Whether the listener encrypts.
    pub(crate) tls: bool,
    pub(crate) readiness: Readiness,
    /// Cancelled when the faces stop to take new work.
    pub(crate) stop: CancellationToken,
    /// Whether profiles can be taken.
    pub(crate) profiles: bool,
    /// The owners of the server's tasks.
    pub(crate) tasks: Arc<[Tasks]>,
}

impl FaceState {
    /// All figures, those that are only read when somebody asks included.
    pub(crate) fn render_metrics(&self) -> String {
        self.core.tell_breakers();
        self.api.tell_breaker();
        let (calls, events) = self.shards.waiting();
        let store = self.core.store();
        let sample = Sample { calls, events, pool: store.pool_status(), store: store.figures() };
        self.core.metrics().render(sample)
    }
}

/// What is checked before a request gets to a handler.
struct Security {
    sign_in: SignIn,
    api: Option<Tls>,
    events: Option<Tls>,
}

impl Security {
    fn load(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, StartError> {
        let sign_in = match &config.auth {
            AuthMode::Mock => SignIn::Mock,
            AuthMode::Jwt(options) => {
                SignIn::Jwt(Verifier::new(options.clone(), clock.clone(), config.traces.clone())?)
            }
        };
        let load = |files: &Option<TlsFiles>| files.clone().map(Tls::load).transpose();
        Ok(Self { sign_in, api: load(&config.api_tls)?, events: load(&config.events_tls)? })
    }

    /// Waits a bounded time for the keys that tokens are checked with.
    async fn wait_for_keys(&self) {
        if let SignIn::Jwt(verifier) = &self.sign_in
            && !verifier.ready().await
        {
            tracing::error!("no keys to check tokens with: callers are refused until they can be fetched");
        }
    }
}

struct Listeners {
    http: Option<TcpListener>,
    grpc: Option<TcpListener>,
    events: Option<TcpListener>,
    ops: TcpListener,
}

impl Listeners {
    fn bind(config: &Config) -> Result<Self, StartError> {
        let roles = config.roles;
        Ok(Self {
            http: bind_if(roles.api, "http", config.http)?,
            grpc: bind_if(roles.api, "grpc", config.grpc)?,
            events: bind_if(roles.events, "events", config.events)?,
            ops: bind("ops", config.ops)?,
        })
    }

    fn addresses(&self) -> Addresses {
        let address = |listener: &TcpListener| listener.local_addr().ok();
        Addresses {
            http: self.http.as_ref().and_then(address),
            grpc: self.grpc.as_ref().and_then(address),
            events: self.events.as_ref().and_then(address),
            ops: address(&self.ops).unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
        }
    }
}

fn bind_if(wanted: bool, what: &'static str, address: SocketAddr) -> Result<Option<TcpListener>, StartError> {
    wanted.then(|| bind(what, address)).transpose()
}

fn bind(what: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    net::listen(address).map_err(|source| StartError::Bind { what, address, source })
}
