//! PostgreSQL (run against version 15), through a bounded pool of connections.
//!
//! A commit is one statement in autocommit: one round trip, no open transaction while the process
//! does something else, and a caller that goes away leaves nothing behind.

mod address;
mod archive;
mod commit;
mod connect;
mod due;
mod grants;
mod journal;
mod load;
mod migrate;
mod receipts;
mod registry;
mod scratch;
mod session;
mod tls;
mod types;
mod warm;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use gauntlet_domain::{GoalNumber, Timestamp};
use tokio_postgres::config::Config;

use crate::contract::{
    DueGrant, Error, Grant, GrantFilter, JournalRow, Lease, Load, Loaded, Locked, LockedDecision, Meeting,
    PlayerKey, PoolStatus, Replica, Retry, Store, Write, Written,
};
use crate::figures::{Figures, Meter};
use crate::rows;
pub use archive::{PgSource, PgTarget};
use connect::{Link, Pooler};
use session::{Failure, Session};

/// How to reach PostgreSQL.
#[derive(Clone)]
pub struct PgOptions {
    /// A libpq URL (`postgres://user:password@host:port/database`) or `key=value` pairs, with
    /// `sslmode` and `sslrootcert` as in libpq; docs/postgres.md says what each mode does.
    pub url: String,
    /// Connections that may be open at most; at least 1. Too low: callers wait for each other;
    /// too high: the database spends its cores on switching.
    pub max_connections: usize,
    /// How long a caller waits for a connection before it is told that the store is unavailable.
    pub wait: Duration,
    /// How long opening a connection may take.
    pub connect: Duration,
    /// How long a statement may take, waiting for row locks included. Migrations have no limit.
    pub statement: Duration,
    /// Statements that take at least this long are logged; `None`: none are.
    pub slow: Option<Duration>,
}

impl PgOptions {
    /// The defaults: 4 connections, 2 s to wait for one and to open one, 5 s for a
    /// statement, no log of slow ones.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 4,
            wait: Duration::from_secs(2),
            connect: Duration::from_secs(2),
            statement: Duration::from_secs(5),
            slow: None,
        }
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for PgOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgOptions")
            .field("max_connections", &self.max_connections)
            .field("wait", &self.wait)
            .field("connect", &self.connect)
            .field("statement", &self.statement)
            .finish_non_exhaustive()
    }
}

/// Options that cannot work.
#[derive(Debug, thiserror::Error)]
enum BadOptions {
    #[error("the database URL cannot be read")]
    Url(#[source] tokio_postgres::Error),
    #[error("the database URL asks for TLS in a way that cannot work")]
    Tls(#[from] tls::BadTls),
    #[error("the database URL names no host")]
    NoHost,
    #[error("max_connections is 0")]
    NoConnections,
    #[error("a time-out is 0")]
    NoTime,
}

/// Players in PostgreSQL. Cheap calls share a bounded pool; see [`PgOptions`].
pub struct PgStore {
    pool: Pool,
    pooler: Arc<Pooler>,
    statement: Duration,
    meter: Arc<Meter>,
}

impl fmt::Debug for PgStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgStore").field("pool", &self.pool.status()).finish_non_exhaustive()
    }
}

impl PgStore {
    /// Checks the options and makes a pool. It opens no connection: that happens with the first
    /// call, so the database may come up later.
    ///
    /// # Errors
    /// [`Error::Rejected`] when the options cannot work.
    pub fn connect(options: &PgOptions) -> Result<Self, Error> {
        let reject = |fault: BadOptions| Error::Rejected { operation: "connect", source: fault.into() };
        let (bare, tls) = pg_config(options).map_err(reject)?;
        let config = with_session_settings(&bare, options.statement);
        let pooler = Arc::new(Pooler::default());
        let link = Link { bare, tls, statement: options.statement, pooler: Arc::clone(&pooler) };
        let manager = Manager::from_connect(
            config,
            link,
            // Fast: a connection is known to be closed without asking the database.
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(options.max_connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(options.wait))
            .create_timeout(Some(options.connect))
            .recycle_timeout(Some(options.connect))
            .build()
            .map_err(|error| Error::Rejected { operation: "connect", source: error.into() })?;
        Ok(Self { pool, pooler, statement: options.statement, meter: Arc::new(Meter::new(options.slow)) })
    }

    async fn session(&self, operation: &'static str) -> Result<Session, Error> {
        Session::open(&self.pool, &self.pooler, operation, self.statement, &self.meter).await
    }
}

fn pg_config(options: &PgOptions) -> Result<(Config, Option<tls::Connector>), BadOptions> {
    if options.max_connections == 0 {
        return Err(BadOptions::NoConnections);
    }
    if options.wait.is_zero() || options.connect.is_zero() || options.statement.as_millis() == 0 {
        return Err(BadOptions::NoTime);
    }
    // The client library does not know all of them.
    let (url, tls) = address::take(&options.url, &tls::PARAMETERS);
    let mut config: Config = url.parse().map_err(BadOptions::Url)?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(BadOptions::NoHost);
    }
    let connector = tls::connector(&tls, &mut config)?;
    if config.get_application_name().is_none() {
        config.application_name("gauntlet");
    }
    config
        .connect_timeout(options.connect)
        .tcp_user_timeout(options.statement + session::GRACE)
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(30))
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(3);
    Ok((config, connector))
}

fn with_session_settings(bare: &Config, statement: Duration) -> Config {
    let mut config = bare.clone();
    let settings = connect::startup_options(statement, bare.get_options());
    config.options(settings);
    config
}

#[async_trait]
impl Store for PgStore {
    async fn migrate(&self) -> Result<u32, Error> {
        migrate::run(&mut self.session("migrate").await?).await
    }

    async fn warm_up(&self) -> Result<(), Error> {
        let mut sessions = Vec::new();
        for number in 0..self.pool.status().max_size {
            // All at the same time, so that each is another connection.
            match self.session("warm_up").await {
                Ok(session) => sessions.push(session),
                Err(error) if number == 0 => return Err(error),
                Err(error) => {
                    let source = std::error::Error::source(&error);
                    let source = source.map(ToString::to_string);
                    tracing::warn!(
                        open = number,
                        limit = self.pool.status().max_size,
                        source,
                        "the database does not give as many connections as the pool may have"
                    );
                    break;
                }
            }
        }
        if self.pooler.may_prepare() {
            for session in &mut sessions {
                warm::prepare(session).await?;
            }
        }
        Ok(())
    }

    async fn load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error> {
        if players.is_empty() {
            return Ok(Vec::new());
        }
        load::load(&mut self.session("player.load").await?, players).await
    }

    async fn commit(&self, writes: &[Write]) -> Result<Vec<Written>, Error> {
        let encoded = rows::encode(writes)?;
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let mut session = self.session("player.commit").await?;
        match commit::commit(&mut session, writes, &encoded).await {
            // A deadlock or a serialization failure rolls the whole statement back.
            Err(Failure::Race { .. }) => Ok(vec![Written::Conflict; writes.len()]),
            other => Ok(other?),
        }
    }

    async fn update_locked(&self, player: Load, decide: Locked) -> Result<Option<Written>, Error> {
        let mut session = self.session("player.update_locked").await?;
        session.begin().await?;
        match locked(&mut session, player, decide).await {
            Ok(Some(done @ Written::Done { .. })) => match session.commit().await {
                Ok(()) => Ok(Some(done)),
                Err(Failure::Race { .. }) => Ok(Some(Written::Conflict)),
                Err(failure) => Err(failure.into()),
            },
            Ok(answer) => {
                session.roll_back().await;
                Ok(answer)
            }
            Err(failure) => {
                session.roll_back().await;
                match failure {
                    Failure::Race { .. } => Ok(Some(Written::Conflict)),
                    Failure::Other(error) => Err(error),
                }
            }
        }
    }

    async fn take_due_grants(
        &self,
        now: Timestamp,
        lease: &Lease,
        limit: u32,
    ) -> Result<Vec<DueGrant>, Error> {
        grants::take_due(&mut self.session("grant.take_due").await?, now, lease, limit).await
    }

    async fn retry_grant(&self, retry: &Retry, now: Timestamp) -> Result<bool, Error> {
        grants::retry(&mut self.session("grant.retry").await?, retry, now).await
    }

    async fn list_grants(&self, filter: &GrantFilter, limit: u32) -> Result<Vec<Grant>, Error> {
        grants::list(&mut self.session("grant.list").await?, filter, limit).await
    }

    async fn pending_grants(&self) -> Result<(u64, Option<Timestamp>), Error> {
        grants::pending(&mut self.session("grant.pending").await?).await
    }

    async fn journal(&self, player: &PlayerKey, after: u64, limit: u32) -> Result<Vec<JournalRow>, Error> {
        journal::read(&mut self.session("journal.read").await?, player, after, limit).await
    }

    async fn journal_before(
        &self,
        player: &PlayerKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, Error> {
        journal::read_before(&mut self.session("journal.read").await?, player, before, limit).await
    }

    async fn take_due_players(
        &self,
        namespace: &str,
        now: Timestamp,
        again: Timestamp,
        limit: u32,
    ) -> Result<Vec<PlayerKey>, Error> {
        due::take(&mut self.session("player.take_due").await?, namespace, now, again, limit).await
    }

    async fn prune_journal(&self, before: Timestamp) -> Result<u64, Error> {
        let mut pruned = 0;
        loop {
            // A connection for each step: pruning must not keep one from the players.
            let step = journal::prune_step(&mut self.session("journal.prune").await?, before).await?;
            pruned += step;
            if step == 0 {
                return Ok(pruned);
            }
        }
    }

    async fn rotate_receipts(&self, now: Timestamp) -> Result<bool, Error> {
        receipts::rotate(&mut self.session("receipt.rotate").await?, now).await
    }

    async fn intern_goals(&self, ids: &[String]) -> Result<HashMap<String, GoalNumber>, Error> {
        registry::intern(&mut self.session("goal.intern").await?, ids).await
    }

    async fn register_catalogue(&self, text: &str, now: Timestamp) -> Result<u32, Error> {
        registry::register(&mut self.session("catalogue.register").await?, text, now).await
    }

    async fn catalogue_text(&self, version: u32) -> Result<Option<String>, Error> {
        registry::text(&mut self.session("catalogue.text").await?, version).await
    }

    async fn find_catalogue(&self, text: &str) -> Result<Option<u32>, Error> {
        registry::find(&mut self.session("catalogue.find").await?, text).await
    }

    async fn activate_catalogue(&self, version: u32, now: Timestamp) -> Result<bool, Error> {
        registry::activate(&mut self.session("catalogue.activate").await?, version, now).await
    }

    async fn used_catalogues(&self, after: u32) -> Result<Vec<(u32, Timestamp)>, Error> {
        registry::used(&mut self.session("catalogue.used").await?, after).await
    }

    async fn meet(&self, replica: &Replica) -> Result<Meeting, Error> {
        registry::meet(&mut self.session("replica.meet").await?, replica).await
    }

    async fn leave(&self, instance: &str) -> Result<(), Error> {
        registry::leave(&mut self.session("replica.leave").await?, instance).await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.session("ping").await?.ping().await
    }

    /// One player alone costs the server 63 to 84 microseconds, one of many 8 to 10.
    fn prefers_many(&self) -> bool {
        true
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn pool_status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            limit: status.max_size,
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
        }
    }

    fn figures(&self) -> Figures {
        self.meter.read(None)
    }

    async fn close(&self) {
        self.pool.close();
        // The pool has no signal for "the last one came back". Every call ends by its time-out.
        while self.pool.status().size > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The inside of a locked update: lock, then load with a new snapshot (a single locking read would
/// show the new row beside the old settled part), decide, write.
async fn locked(session: &mut Session, player: Load, decide: Locked) -> Result<Option<Written>, Failure> {
    let key = player.key.clone();
    load::lock(session, &key).await?;
    let mut loaded = load::load(session, std::slice::from_ref(&player)).await?;
    let Some(loaded) = loaded.pop() else { return Ok(None) };
    let revision = match &loaded.stored {
        Ok(stored) => stored.as_ref().map(|stored| stored.revision),
        Err(_) => None,
    };
    let LockedDecision::Store(write) = decide(loaded) else { return Ok(None) };
    rows::check_locked(&key, revision, &write)?;
    let writes = std::slice::from_ref(write.as_ref());
    let encoded = rows::encode(writes)?;
    Ok(commit::commit(session, writes, &encoded).await?.pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(options: &PgOptions) -> String {
        pg_config(options).map(|_| ()).expect_err("refused").to_string()
    }

    #[test]
    fn refuses_options_that_cannot_work() {
        assert!(fault(&PgOptions::new("postgres://u@h/d?sslmode=allow")).contains("asks for TLS"));
        assert!(fault(&PgOptions::new("postgres:///d")).contains("no host"));
        assert!(fault(&PgOptions::new("nonsense")).contains("cannot be read"));
        let none = PgOptions { max_connections: 0, ..PgOptions::new("postgres://u@h/d") };
        assert_eq!(fault(&none), "max_connections is 0");
        let none = PgOptions { statement: Duration::from_micros(1), ..PgOptions::new("postgres://u@h/d") };
        assert_eq!(fault(&none), "a time-out is 0");
    }

    #[test]
    fn settings_of_the_url_win_over_ours() {
        let url = "host=h user=u application_name=mine options='-c statement_timeout=7'";
        let options = PgOptions::new(url);
        let config = with_session_settings(&pg_config(&options).expect("fine").0, options.statement);
        assert_eq!(config.get_application_name(), Some("mine"));
        let settings = config.get_options().expect("options");
        assert!(settings.contains("statement_timeout=5000"));
        assert!(settings.ends_with("-c statement_timeout=7"), "{settings}");
    }

    #[test]
    fn a_password_is_not_printed() {
        let options = PgOptions::new("postgres://u:secret@h/d");
        assert!(!format!("{options:?}").contains("secret"));
    }
}
