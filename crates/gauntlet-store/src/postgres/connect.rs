//! Opening connections: to the server itself, or to a pooler in front of it.
//!
//! A pooler in transaction mode (PgBouncer) lends a connection of the server to each transaction.
//! What belongs to a session is therefore not ours: its settings, and its prepared statements.
//! Nobody has to tell the store; each new connection is asked:
//! - Our session settings travel as the startup parameter `options`, with a mark among them. A
//!   pooler refuses the parameter or drops it; a session without the mark has a pooler in front.
//! - Then a statement is prepared, and the server asked for its name. A pooler that keeps track
//!   of prepared statements gave it a name of its own; one that does not would let two clients
//!   use the same name for different statements, so none are prepared there.

use std::{
    fmt::Write as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::Connect;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinHandle,
};
use tokio_postgres::{Client, Connection, Error, NoTls, SimpleQueryMessage, config::Config, error::SqlState};

use super::tls::Connector;

/// Settings of every session: names and values.
///
/// All statements reach their rows by a key, whatever the tables hold. Two things make the planner
/// see that: generic plans (planning a commit costs more than running it), and no sequential scans
/// (a plan made while a table was nearly empty would otherwise stay until the next ANALYZE, and
/// read the whole table by then). JIT would compile what takes microseconds.
fn session_settings(statement: Duration) -> [(&'static str, String); 6] {
    let millis = statement.as_millis().to_string();
    [
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        ("enable_seqscan", "off".to_owned()),
        ("jit", "off".to_owned()),
        ("default_transaction_isolation", "read committed".to_owned()),
        ("statement_timeout", millis.clone()),
        ("idle_in_transaction_session_timeout", millis),
    ]
}

/// The settings as the startup parameter `options`; what the URL asks for comes last and wins.
pub(super) fn startup_options(statement: Duration, own: Option<&str>) -> String {
    let mut options = String::new();
    for (name, value) in session_settings(statement) {
        // Writing to a String cannot fail.
        let _ = write!(options, "-c {name}={} ", value.replace(' ', "\\ "));
    }
    options.push_str("-c client_min_messages=warning -c ");
    options.push_str(MARK);
    options.push_str("=on");
    if let Some(own) = own {
        options.push(' ');
        options.push_str(own);
    }
    options
}

/// A setting of ours that no server has by itself.
const MARK: &str = "gauntlet.session";

/// What is known of what stands between us and the server.
#[derive(Debug, Default)]
pub(super) struct Pooler {
    /// The startup parameter `options` was refused.
    no_options: AtomicBool,
    /// Prepared statements of several clients would be mixed up.
    no_prepared: AtomicBool,
    /// What is to be said of the server's settings was said.
    told: AtomicBool,
}

impl Pooler {
    /// Whether statements may be prepared. Once they may not, they never may again: that is right
    /// everywhere, and only costs the server a plan for each call.
    pub(super) fn may_prepare(&self) -> bool {
        !self.no_prepared.load(Ordering::Relaxed)
    }
}

/// Opens the connections of a pool.
pub(super) struct Link {
    /// The configuration without our session settings, for poolers that refuse them.
    pub(super) bare: Config,
    /// `None`: nothing is encrypted.
    pub(super) tls: Option<Connector>,
    pub(super) statement: Duration,
    pub(super) pooler: Arc<Pooler>,
}

type Opening<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

impl Connect for Link {
    fn connect(&self, config: &Config) -> Opening<'_, (Client, JoinHandle<()>)> {
        let config = config.clone();
        Box::pin(self.open_and_ask(config))
    }
}

impl Link {
    async fn open_and_ask(&self, config: Config) -> Result<(Client, JoinHandle<()>), Error> {
        let refused = &self.pooler.no_options;
        let (client, task) = if refused.load(Ordering::Relaxed) {
            self.open(&self.bare).await?
        } else {
            match self.open(&config).await {
                Err(error) if is_refused_parameter(&error) => {
                    let opened = self.open(&self.bare).await?;
                    refused.store(true, Ordering::Relaxed);
                    opened
                }
                opened => opened?,
            }
        };
        if let Err(error) = self.ask(&client).await {
            task.abort();
            return Err(error);
        }
        Ok((client, task))
    }

    async fn open(&self, config: &Config) -> Result<(Client, JoinHandle<()>), Error> {
        match &self.tls {
            None => Ok(drive(config.connect(NoTls).await?)),
            Some(tls) => Ok(drive(config.connect(tls.clone()).await?)),
        }
    }

    /// Finds out whether a pooler is in between, and what it can do.
    async fn ask(&self, client: &Client) -> Result<(), Error> {
        let mark = format!("SELECT current_setting('{MARK}', true)");
        if single(client, &mark).await?.as_deref() == Some("on") {
            return Ok(());
        }
        if !keeps_track(client).await? {
            self.pooler.no_prepared.store(true, Ordering::Relaxed);
        }
        if !self.pooler.told.swap(true, Ordering::Relaxed) {
            tracing::info!(
                prepared_statements = self.pooler.may_prepare(),
                "there is a connection pooler in front of the database"
            );
            self.tell_settings(client).await?;
        }
        Ok(())
    }

    /// Sessions belong to the pooler: their settings come from the server, and its operator hears
    /// which of ours are missing.
    async fn tell_settings(&self, client: &Client) -> Result<(), Error> {
        let mut missing = Vec::new();
        for (name, wanted) in session_settings(self.statement) {
            let found =
                single(client, &format!("SELECT setting FROM pg_settings WHERE name = '{name}'")).await?;
            if found.as_deref() != Some(&wanted) {
                missing.push((name, wanted));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let names = single(
            client,
            "SELECT quote_ident(current_user) || ' IN DATABASE ' || quote_ident(current_database())",
        );
        let names = names.await?.unwrap_or_default();
        let mend: Vec<String> = missing
            .iter()
            .map(|(name, value)| format!("ALTER ROLE {names} SET {name} = '{value}';"))
            .collect();
        tracing::warn!(
            mend = mend.join(" "),
            "a pooler keeps session settings from the database: make them defaults of the role"
        );
        Ok(())
    }
}

/// Runs a connection in a task of its own.
fn drive<S, T>((client, connection): (Client, Connection<S, T>)) -> (Client, JoinHandle<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    #[expect(
        clippy::disallowed_methods,
        reason = "the pool owns the handle, and ends the task with its connection"
    )]
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "a connection to the database broke");
        }
    });
    (client, task)
}

/// A pooler that does not know a startup parameter, or what `options` holds, refuses the client
/// with a protocol violation.
fn is_refused_parameter(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::PROTOCOL_VIOLATION && error.message().contains("startup parameter")
    })
}

/// Whether the server knows a prepared statement by another name than the client does.
async fn keeps_track(client: &Client) -> Result<bool, Error> {
    // One transaction, so that the server's connection stays the same.
    client.batch_execute("BEGIN").await?;
    let known = name_at_the_server(client).await;
    client.batch_execute("ROLLBACK").await?;
    match known {
        // Clients number their statements: s0, s1 and so on.
        Ok(name) => Ok(name.is_some_and(|name| !is_numbered(&name))),
        // Somebody else's statement of that name is in the way.
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_PSTATEMENT) => Ok(false),
        Err(error) if error.as_db_error().is_some() => {
            tracing::warn!(%error, "the pooler takes no prepared statements");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn name_at_the_server(client: &Client) -> Result<Option<String>, Error> {
    // The newest first: a statement that somebody left behind does not mislead.
    let sql = "SELECT name /* asked by gauntlet */ FROM pg_prepared_statements WHERE statement LIKE '%asked by gauntlet%' \
         ORDER BY prepare_time DESC LIMIT 1";
    // Closed when it is dropped, before the transaction ends.
    let statement = client.prepare(sql).await?;
    let row = client.query_opt(&statement, &[]).await?;
    row.map(|row| row.try_get(0)).transpose()
}

fn is_numbered(name: &str) -> bool {
    name.strip_prefix('s').is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The one value that a simple query answers.
async fn single(client: &Client, sql: &str) -> Result<Option<String>, Error> {
    let answer = client.simple_query(sql).await?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten().map(str::to_owned),
        _ => None,
    }))
}
