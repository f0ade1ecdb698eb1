//! The one table of settings: flags, environment, file keys, help and documentation come from it.

use super::{
    setting::{Legacy, Reader, Setting},
    values,
};

const SERVE: &[Reader] = &[Reader::Serve];
const DATABASE: &[Reader] = &[Reader::Serve, Reader::Migrate];
const STORES: &[Reader] = &[Reader::Serve, Reader::Migrate, Reader::Archive];

/// A setting of `serve` without an older spelling: the base of most rows below.
const ROW: Setting = Setting {
    key: "",
    flag: "",
    env: "",
    legacy: Legacy::None,
    default: None,
    unset: "",
    value: "",
    help: "",
    commands: SERVE,
    switch: false,
    secret: false,
};

mod observe;
mod overload;
mod rewards;
mod security;
pub(crate) use observe::*;
pub(crate) use overload::*;
pub(crate) use rewards::*;
pub(crate) use security::*;

/// Where players are stored.
pub(crate) static STORE: Setting = Setting {
    key: "store",
    flag: "store",
    env: "GAUNTLET_STORE",
    legacy: Legacy::Database,
    default: Some("sqlite:gauntlet.db"),
    value: "sqlite:PATH|postgres://...",
    help: "Where players are stored: a SQLite file for one process, PostgreSQL for any number",
    commands: STORES,
    ..ROW
};

/// How long to wait for the database at start.
pub(crate) static STORE_WAIT: Setting = Setting {
    key: "store-wait",
    flag: "store-wait",
    env: "GAUNTLET_STORE_WAIT",
    default: Some("60s"),
    value: "TIME",
    help: "How long to wait for a database that is away at start, such as 500ms, 60s or 5m",
    commands: STORES,
    ..ROW
};

/// The size of the connection pool.
pub(crate) static MAX_CONNECTIONS: Setting = Setting {
    key: "max-connections",
    flag: "max-connections",
    env: "GAUNTLET_MAX_CONNECTIONS",
    default: Some("4"),
    value: "N",
    help: "Most connections to PostgreSQL at a time; few serve hundreds of players",
    commands: DATABASE,
    ..ROW
};

/// The catalogue file.
pub(crate) static CATALOGUE: Setting = Setting {
    key: "catalogue",
    flag: "catalogue",
    env: "GAUNTLET_CATALOGUE",
    legacy: Legacy::Renamed("CHALLENGE_CONFIG_PATH"),
    unset: "the built-in sample",
    value: "FILE",
    help: "The challenges and their goals; check a file with `gauntlet catalogue check`",
    ..ROW
};

/// How often to look whether the catalogue file has changed.
pub(crate) static CATALOGUE_WATCH: Setting = Setting {
    key: "catalogue-watch",
    flag: "catalogue-watch",
    env: "GAUNTLET_CATALOGUE_WATCH",
    default: Some("2s"),
    value: "TIME",
    help: "How often to look whether the catalogue file has changed, to use it from then on; 0s: only on SIGHUP \
           or when an administrator asks",
    ..ROW
};

/// How long a new catalogue waits for other replicas.
pub(crate) static CATALOGUE_DEADLINE: Setting = Setting {
    key: "catalogue-deadline",
    flag: "catalogue-deadline",
    env: "GAUNTLET_CATALOGUE_DEADLINE",
    default: Some("30s"),
    value: "TIME",
    help: "How long a new catalogue waits for replicas that have not loaded it; shorter leaves slow ones \
           behind, longer lets one that hangs hold all up",
    ..ROW
};

/// Where the player API listens for HTTP.
pub(crate) static HTTP: Setting = Setting {
    key: "http",
    flag: "http",
    env: "GAUNTLET_HTTP",
    default: Some("127.0.0.1:8000"),
    value: "ADDR",
    help: "Where the player API listens for HTTP/JSON",
    ..ROW
};

/// Where the player API listens for gRPC.
pub(crate) static GRPC: Setting = Setting {
    key: "grpc",
    flag: "grpc",
    env: "GAUNTLET_GRPC",
    default: Some("127.0.0.1:6565"),
    value: "ADDR",
    help: "Where the player API listens for gRPC",
    ..ROW
};

/// Where events come in.
pub(crate) static EVENTS: Setting = Setting {
    key: "events",
    flag: "events",
    env: "GAUNTLET_EVENTS",
    default: Some("127.0.0.1:6566"),
    value: "ADDR",
    help: "Where the game platform delivers events: gRPC, and CloudEvents over HTTP",
    ..ROW
};

/// Where operators look.
pub(crate) static OPS: Setting = Setting {
    key: "ops",
    flag: "ops",
    env: "GAUNTLET_OPS",
    default: Some("127.0.0.1:8080"),
    value: "ADDR",
    help: "Where operators find metrics, probes, malformed events and profiles",
    ..ROW
};

/// What HTTP paths begin with.
pub(crate) static BASE_PATH: Setting = Setting {
    key: "base-path",
    flag: "base-path",
    env: "GAUNTLET_BASE_PATH",
    legacy: Legacy::Renamed("BASE_PATH"),
    default: Some("/challenge"),
    value: "PATH",
    help: "What every HTTP path of the player API begins with; / for none",
    ..ROW
};

/// The game.
pub(crate) static NAMESPACE: Setting = Setting {
    key: "namespace",
    flag: "namespace",
    env: "GAUNTLET_NAMESPACE",
    legacy: Legacy::Renamed("AB_NAMESPACE"),
    default: Some("gauntlet"),
    value: "NAME",
    help: "The game; tokens of other namespaces are refused and their events ignored",
    commands: &[Reader::Serve, Reader::Send],
    ..ROW
};

/// Which parts run in this process.
pub(crate) static ROLES: Setting = Setting {
    key: "roles",
    flag: "roles",
    env: "GAUNTLET_ROLES",
    default: Some("api,events,worker"),
    value: "LIST",
    help: "Which parts run in this process: api, events, worker; all of them on SQLite",
    ..ROW
};

/// How late an event may come.
pub(crate) static LATE_WINDOW: Setting = Setting {
    key: "late-window",
    flag: "late-window",
    env: "GAUNTLET_LATE_WINDOW",
    default: Some("10m"),
    value: "TIME",
    help: "How late an event may come and still count for its own time; shorter makes values stale after an \
           outage, longer keeps past cycles open",
    ..ROW
};

/// When the grant of a silent sender is taken over.
pub(crate) static REWARD_TAKEOVER: Setting = Setting {
    key: "reward-takeover",
    flag: "reward-takeover",
    env: "GAUNTLET_REWARD_TAKEOVER",
    default: Some("5s"),
    value: "TIME",
    help: "How long after its two calls' deadlines a grant whose sender is silent is taken over; shorter \
           overtakes senders that are only slow, longer makes players wait after a crash",
    ..ROW
};

/// How often grants to take over are looked for.
pub(crate) static RECOVERY_INTERVAL: Setting = Setting {
    key: "recovery-interval",
    flag: "recovery-interval",
    env: "GAUNTLET_RECOVERY_INTERVAL",
    default: Some("1s"),
    value: "TIME",
    help: "How often to look for grants to take over or to send again",
    ..ROW
};

/// How long the journal is kept.
pub(crate) static JOURNAL_RETENTION: Setting = Setting {
    key: "journal-retention",
    flag: "journal-retention",
    env: "GAUNTLET_JOURNAL_RETENTION",
    unset: "for good",
    value: "TIME",
    help: "How long to keep the journal of assignments, completions and claims, such as 90d",
    ..ROW
};

/// How long load balancers get to look elsewhere.
pub(crate) static DRAIN_DELAY: Setting = Setting {
    key: "drain-delay",
    flag: "drain-delay",
    env: "GAUNTLET_DRAIN_DELAY",
    default: Some("0s"),
    value: "TIME",
    help: "How long to serve on after a stop was asked for, so that load balancers see it first",
    ..ROW
};

/// How long open requests get.
pub(crate) static DRAIN: Setting = Setting {
    key: "drain",
    flag: "drain",
    env: "GAUNTLET_DRAIN",
    default: Some("20s"),
    value: "TIME",
    help: "How long open requests may take to end when the service stops",
    ..ROW
};

/// How much is logged.
pub(crate) static LOG_LEVEL: Setting = Setting {
    key: "log-level",
    flag: "log-level",
    env: "GAUNTLET_LOG_LEVEL",
    legacy: Legacy::Translated("LOG_LEVEL", values::log_level),
    default: Some("info"),
    value: "LEVEL",
    help: "How much is logged: error, warn, info, debug, trace or off; or with exceptions, as in \
           info,gauntlet_store=debug",
    commands: STORES,
    ..ROW
};

/// How logs look.
pub(crate) static LOG_FORMAT: Setting = Setting {
    key: "log-format",
    flag: "log-format",
    env: "GAUNTLET_LOG_FORMAT",
    default: Some("auto"),
    value: "auto|json|text",
    help: "How logs look: auto is text in a terminal and JSON elsewhere; they go to standard error",
    commands: STORES,
    ..ROW
};

/// The server that `player` asks.
pub(crate) static SERVER: Setting = Setting {
    key: "server",
    flag: "server",
    env: "GAUNTLET_SERVER",
    default: Some("http://127.0.0.1:8000/challenge"),
    value: "URL",
    help: "The player API to ask, with its base path",
    commands: &[Reader::Player],
    ..ROW
};

/// The server that `send` sends to.
pub(crate) static EVENTS_URL: Setting = Setting {
    key: "events-url",
    flag: "events",
    env: "GAUNTLET_EVENTS_URL",
    default: Some("http://127.0.0.1:6566"),
    value: "URL",
    help: "Where to send events",
    commands: &[Reader::Send],
    ..ROW
};

/// Who to be.
pub(crate) static PLAYER: Setting = Setting {
    key: "player",
    flag: "player",
    env: "GAUNTLET_PLAYER",
    unset: "it has to be named",
    value: "ID",
    help: "The player to act as",
    commands: &[Reader::Player, Reader::Send],
    ..ROW
};

/// Every setting, in the order of help texts and documentation.
pub(crate) static ALL: [&Setting; 69] = [
    &STORE,
    &CATALOGUE,
    &CATALOGUE_WATCH,
    &CATALOGUE_DEADLINE,
    &HTTP,
    &GRPC,
    &EVENTS,
    &OPS,
    &BASE_PATH,
    &NAMESPACE,
    &AUTH,
    &JWKS_URL,
    &JWT_ISSUER,
    &JWT_AUDIENCE,
    &JWT_NAMESPACE_CLAIM,
    &JWT_SKEW,
    &JWKS_REFRESH,
    &JWKS_MAX_AGE,
    &EVENTS_AUTH,
    &EVENTS_SECRETS,
    &EVENTS_CLIENT_CA,
    &TLS_CERT,
    &TLS_KEY,
    &API_CLIENT_CA,
    &CORS_ORIGIN,
    &PLAYER_RATE,
    &REWARDS,
    &ALLOW_MOCK_WITH_REAL_REWARDS,
    &REWARD_DEADLINE,
    &WEBHOOK_URL,
    &WEBHOOK_SECRET,
    &WEBHOOK_CLASS,
    &WEBHOOK_KEY_LIFETIME,
    &WEBHOOK_SEARCH_URL,
    &WEBHOOK_SETTLE,
    &AGS_URL,
    &AGS_CLIENT_ID,
    &AGS_CLIENT_SECRET,
    &AGS_GRANTS,
    &AGS_KEY_LIFETIME,
    &MAX_CONNECTIONS,
    &STORE_WAIT,
    &ROLES,
    &MAX_READS,
    &MAX_WRITES,
    &MAX_CLAIMS,
    &MAX_EVENTS,
    &ADAPTIVE,
    &LATE_WINDOW,
    &REWARD_TAKEOVER,
    &RECOVERY_INTERVAL,
    &JOURNAL_RETENTION,
    &DRAIN_DELAY,
    &DRAIN,
    &LOG_LEVEL,
    &LOG_FORMAT,
    &SLOW_STATEMENT,
    &PROFILES,
    &OTLP_ENDPOINT,
    &TRACE_RATIO,
    &TRACE_SERVICE,
    &TRACE_ATTRIBUTES,
    &SERVER,
    &EVENTS_URL,
    &PLAYER,
    &TOKEN,
    &CA,
    &CLIENT_CERT,
    &CLIENT_KEY,
];

/// The settings that a command reads.
pub(crate) fn of(reader: Reader) -> impl Iterator<Item = &'static Setting> {
    ALL.into_iter().filter(move |setting| setting.commands.contains(&reader))
}
