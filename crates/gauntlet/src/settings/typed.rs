//! What each command gets to work with.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use gauntlet_server::AdmissionOptions;
use tonic::transport::Uri;

use super::{
    Fault, Layers, Reading,
    guard::AuthFacts,
    rewards::RewardSettings,
    security::SecuritySettings,
    table,
    values::{self, LogFormat, Roles, StoreChoice},
};

/// How to reach the store.
#[derive(Debug, Clone)]
pub(crate) struct StoreSettings {
    /// Which store.
    pub(crate) choice: StoreChoice,
    /// How long to wait for it at start.
    pub(crate) wait: Duration,
    /// The size of the pool.
    pub(crate) max_connections: usize,
    /// Statements that take at least this long are logged.
    pub(crate) slow: Duration,
}

/// What to log, and how.
#[derive(Debug, Clone)]
pub(crate) struct LogSettings {
    /// A level, and exceptions.
    pub(crate) filter: String,
    /// The format.
    pub(crate) format: LogFormat,
}

/// Where spans go.
#[derive(Debug, Clone)]
pub(crate) struct TraceSettings {
    /// The collector; `None`: there are none.
    pub(crate) endpoint: Option<Uri>,
    /// How many of the requests whose caller has not decided are sampled.
    pub(crate) ratio: f64,
    /// What this service is called.
    pub(crate) service: String,
    /// What else is said of this process.
    pub(crate) attributes: Vec<(String, String)>,
}

/// How much may be under way at once.
fn admission(reading: &mut Reading<'_>) -> Option<AdmissionOptions> {
    let mut places = |setting| reading.required(setting, values::places);
    let (reads, writes) = (places(&table::MAX_READS), places(&table::MAX_WRITES));
    let (claims, events) = (places(&table::MAX_CLAIMS), places(&table::MAX_EVENTS));
    let adaptive = reading.required(&table::ADAPTIVE, values::boolean);
    let (reads, writes, claims, events) = (reads?, writes?, claims?, events?);
    Some(AdmissionOptions {
        reads,
        writes,
        claims,
        events,
        adaptive: adaptive?,
        ..AdmissionOptions::default()
    })
}

/// Settings of `gauntlet serve`.
#[derive(Debug, Clone)]
pub(crate) struct ServeSettings {
    /// The store.
    pub(crate) store: StoreSettings,
    /// Logging.
    pub(crate) log: LogSettings,
    /// Where spans go.
    pub(crate) traces: TraceSettings,
    /// The catalogue file; `None`: the sample.
    pub(crate) catalogue: Option<PathBuf>,
    /// How often to look whether that has changed; zero: never.
    pub(crate) catalogue_watch: Duration,
    /// How long a new catalogue waits for other replicas.
    pub(crate) catalogue_deadline: Duration,
    /// The player API over HTTP.
    pub(crate) http: SocketAddr,
    /// The player API over gRPC.
    pub(crate) grpc: SocketAddr,
    /// Events.
    pub(crate) events: SocketAddr,
    /// Operations.
    pub(crate) ops: SocketAddr,
    /// What HTTP paths begin with; empty for nothing.
    pub(crate) base_path: String,
    /// The game.
    pub(crate) namespace: String,
    /// Sign-in and transport security.
    pub(crate) security: SecuritySettings,
    /// Who hands rewards out.
    pub(crate) rewards: RewardSettings,
    /// The second switch for mock sign-in.
    pub(crate) allow_mock_with_real_rewards: bool,
    /// How much may be under way at once.
    pub(crate) admission: AdmissionOptions,
    /// What runs in this process.
    pub(crate) roles: Roles,
    /// How late an event may come.
    pub(crate) late_window: Duration,
    /// How long after its calls a grant of a silent sender is taken over.
    pub(crate) grant_takeover: Duration,
    /// How often grants to take over are looked for.
    pub(crate) recovery_interval: Duration,
    /// How long the journal is kept; `None`: for good.
    pub(crate) journal_retention: Option<Duration>,
    /// How long to serve on after a stop was asked for.
    pub(crate) drain_delay: Duration,
    /// How long open requests may take to end.
    pub(crate) drain: Duration,
    /// Whether profiles can be taken on the operations port.
    pub(crate) profiles: bool,
}

impl StoreSettings {
    fn of(reading: &mut Reading<'_>) -> Option<Self> {
        let choice = reading.required(&table::STORE, values::store);
        let wait = reading.required(&table::STORE_WAIT, values::duration);
        let max_connections = reading.required(&table::MAX_CONNECTIONS, values::connections);
        let slow = reading.required(&table::SLOW_STATEMENT, values::duration);
        Some(Self { choice: choice?, wait: wait?, max_connections: max_connections?, slow: slow? })
    }
}

impl LogSettings {
    fn of(reading: &mut Reading<'_>) -> Option<Self> {
        let filter = reading.required(&table::LOG_LEVEL, values::log_filter);
        let format = reading.required(&table::LOG_FORMAT, values::log_format);
        Some(Self { filter: filter?, format: format? })
    }
}

impl TraceSettings {
    fn of(reading: &mut Reading<'_>) -> Option<Self> {
        let endpoint = reading.optional(&table::OTLP_ENDPOINT, values::collector);
        let ratio = reading.required(&table::TRACE_RATIO, values::ratio);
        let service = reading.required(&table::TRACE_SERVICE, values::service_name);
        let attributes = reading.optional(&table::TRACE_ATTRIBUTES, values::attributes);
        let (endpoint, attributes) = (endpoint?, attributes?.unwrap_or_default());
        Some(Self { endpoint, ratio: ratio?, service: service?, attributes })
    }
}

impl ServeSettings {
    /// Reads every setting of `gauntlet serve`.
    pub(crate) fn read(layers: &Layers) -> Result<Self, Vec<Fault>> {
        let mut reading = layers.read();
        // All are read before the first `?`, so that all faults are noted.
        let store = StoreSettings::of(&mut reading);
        let log = LogSettings::of(&mut reading);
        let traces = TraceSettings::of(&mut reading);
        let catalogue = reading.optional(&table::CATALOGUE, |path| Ok(PathBuf::from(path)));
        let catalogue_watch = reading.required(&table::CATALOGUE_WATCH, values::duration);
        let catalogue_deadline = reading.required(&table::CATALOGUE_DEADLINE, values::duration);
        let http = reading.required(&table::HTTP, values::address);
        let grpc = reading.required(&table::GRPC, values::address);
        let events = reading.required(&table::EVENTS, values::address);
        let ops = reading.required(&table::OPS, values::address);
        let base_path = reading.required(&table::BASE_PATH, values::base_path);
        let namespace = reading.required(&table::NAMESPACE, values::id);
        let security = SecuritySettings::of(&mut reading);
        let rewards = RewardSettings::of(&mut reading);
        let allow = reading.required(&table::ALLOW_MOCK_WITH_REAL_REWARDS, values::boolean);
        let admission = admission(&mut reading);
        let roles = reading.required(&table::ROLES, values::roles);
        let late_window = reading.required(&table::LATE_WINDOW, values::duration);
        let grant_takeover = reading.required(&table::REWARD_TAKEOVER, values::duration);
        let recovery_interval = reading.required(&table::RECOVERY_INTERVAL, values::positive_duration);
        let journal_retention = reading.optional(&table::JOURNAL_RETENTION, values::duration);
        let drain_delay = reading.required(&table::DRAIN_DELAY, values::duration);
        let drain = reading.required(&table::DRAIN, values::duration);
        let profiles = reading.required(&table::PROFILES, values::boolean);
        let settings = || {
            Some(Self {
                store: store?,
                log: log?,
                traces: traces?,
                catalogue: catalogue?,
                catalogue_watch: catalogue_watch?,
                catalogue_deadline: catalogue_deadline?,
                http: http?,
                grpc: grpc?,
                events: events?,
                ops: ops?,
                base_path: base_path?,
                namespace: namespace?,
                security: security?,
                rewards: rewards?,
                allow_mock_with_real_rewards: allow?,
                admission: admission?,
                roles: roles?,
                late_window: late_window?,
                grant_takeover: grant_takeover?,
                recovery_interval: recovery_interval?,
                journal_retention: journal_retention?,
                drain_delay: drain_delay?,
                drain: drain?,
                profiles: profiles?,
            })
        };
        reading.finish(settings())
    }

    /// What decides about mock sign-in.
    pub(crate) fn auth_facts(&self) -> AuthFacts {
        let listeners = [self.http, self.grpc, self.events, self.ops];
        AuthFacts {
            named: self.security.auth,
            all_loopback: listeners.iter().all(|address| address.ip().is_loopback()),
            sqlite: matches!(self.store.choice, StoreChoice::Sqlite(_)),
            real_rewards: self.rewards.are_real(),
            allow_with_real_rewards: self.allow_mock_with_real_rewards,
        }
    }
}

/// Settings of `gauntlet export`, `import` and `audit`, which have one connection.
#[derive(Debug, Clone)]
pub(crate) struct ArchiveSettings {
    /// Which store.
    pub(crate) choice: StoreChoice,
    /// How long to wait for it.
    pub(crate) wait: Duration,
    /// Logging.
    pub(crate) log: LogSettings,
}

impl ArchiveSettings {
    /// Reads every setting of these commands.
    pub(crate) fn read(layers: &Layers) -> Result<Self, Vec<Fault>> {
        let mut reading = layers.read();
        let choice = reading.required(&table::STORE, values::store);
        let wait = reading.required(&table::STORE_WAIT, values::duration);
        let log = LogSettings::of(&mut reading);
        let settings = || Some(Self { choice: choice?, wait: wait?, log: log? });
        reading.finish(settings())
    }
}

/// Settings of `gauntlet migrate`.
#[derive(Debug, Clone)]
pub(crate) struct MigrateSettings {
    /// The store.
    pub(crate) store: StoreSettings,
    /// Logging.
    pub(crate) log: LogSettings,
}

impl MigrateSettings {
    /// Reads every setting of `gauntlet migrate`.
    pub(crate) fn read(layers: &Layers) -> Result<Self, Vec<Fault>> {
        let mut reading = layers.read();
        let store = StoreSettings::of(&mut reading);
        let log = LogSettings::of(&mut reading);
        let settings = || Some(Self { store: store?, log: log? });
        reading.finish(settings())
    }
}

/// Settings of `gauntlet player`.
#[derive(Debug, Clone)]
pub(crate) struct PlayerSettings {
    /// The server, without a slash at the end.
    pub(crate) server: String,
    /// Who to be; `None`: whom the token names.
    pub(crate) player: Option<String>,
    /// Encryption and proof.
    pub(crate) tls: ClientTls,
}

/// How a client proves who it is, and whom it trusts.
#[derive(Clone)]
pub(crate) struct ClientTls {
    /// What is shown as a bearer token.
    pub(crate) token: Option<String>,
    /// The authority of the server's certificate.
    pub(crate) ca: Option<PathBuf>,
    /// The client's own certificate.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key.
    pub(crate) key: Option<PathBuf>,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Tokens stay out of logs.
        f.debug_struct("ClientTls").field("ca", &self.ca).finish_non_exhaustive()
    }
}

impl ClientTls {
    fn of(reading: &mut Reading<'_>) -> Option<Self> {
        let path = |text: &str| Ok(PathBuf::from(text));
        let token = reading.optional(&table::TOKEN, values::security::token);
        let ca = reading.optional(&table::CA, path);
        let certificate = reading.optional(&table::CLIENT_CERT, path);
        let key = reading.optional(&table::CLIENT_KEY, path);
        Some(Self { token: token?, ca: ca?, certificate: certificate?, key: key? })
    }
}

impl PlayerSettings {
    /// Reads every setting of `gauntlet player`.
    pub(crate) fn read(layers: &Layers) -> Result<Self, Vec<Fault>> {
        let mut reading = layers.read();
        let server = reading.required(&table::SERVER, values::url);
        let tls = ClientTls::of(&mut reading);
        let player = match &tls {
            Some(ClientTls { token: Some(_), .. }) => reading.optional(&table::PLAYER, values::id),
            _ => reading.required(&table::PLAYER, values::id).map(Some),
        };
        let settings = || Some(Self { server: server?, player: player?, tls: tls? });
        reading.finish(settings())
    }
}

/// Settings of `gauntlet send`.
#[derive(Debug, Clone)]
pub(crate) struct SendSettings {
    /// The events port.
    pub(crate) events: String,
    /// Who to be.
    pub(crate) player: String,
    /// The game.
    pub(crate) namespace: String,
    /// Encryption and proof.
    pub(crate) tls: ClientTls,
}

impl SendSettings {
    /// Reads every setting of `gauntlet send`.
    pub(crate) fn read(layers: &Layers) -> Result<Self, Vec<Fault>> {
        let mut reading = layers.read();
        let events = reading.required(&table::EVENTS_URL, values::url);
        let player = reading.required(&table::PLAYER, values::id);
        let namespace = reading.required(&table::NAMESPACE, values::id);
        let tls = ClientTls::of(&mut reading);
        let settings = || Some(Self { events: events?, player: player?, namespace: namespace?, tls: tls? });
        reading.finish(settings())
    }
}
