//! One connection in use, and what its failures mean.

use std::{
    error::Error as StdError,
    fmt,
    io::ErrorKind,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use deadpool_postgres::{Object, Pool, PoolError, TimeoutType};
use tokio_postgres::{Row, error::SqlState, types::ToSql};

use super::{connect::Pooler, types};
use crate::{
    contract::{BoxError, Error, PoolBusy, ServerDown},
    figures::Meter,
};

/// How much longer than the server's own time-out the client waits before it gives up on a server
/// that does not even answer.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Parameters of a statement.
pub(super) type Params<'a> = [&'a (dyn ToSql + Sync)];

/// Why a statement failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It lost against another transaction and was rolled back.
    Race { operation: &'static str, source: BoxError },
    /// Anything else.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            // For operations without a conflict of their own: trying again helps.
            Failure::Race { operation, source } => Self::Unavailable { operation, source },
            Failure::Other(error) => error,
        }
    }
}

/// What is at stake while a statement is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stake {
    /// Nothing lasting: it reads, or its transaction is still open.
    None,
    /// It commits: when its answer is lost, it may have been applied.
    Commit,
}

/// Why the client gave up by itself.
#[derive(Debug)]
struct NoAnswer(Duration);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the database did not answer within {:?}", self.0)
    }
}

impl StdError for NoAnswer {}

/// A connection taken from the pool for one operation. It goes back when this is dropped, unless
/// its state is uncertain: then it is closed.
pub(super) struct Session {
    connection: Option<Object>,
    operation: &'static str,
    meter: Arc<Meter>,
    limit: Duration,
    /// In a transaction, or broken.
    tainted: bool,
    in_transaction: bool,
    /// Whether statements may be prepared.
    may_prepare: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("operation", &self.operation).finish_non_exhaustive()
    }
}

impl Session {
    /// Waits for a connection, as long as the pool allows.
    pub(super) async fn open(
        pool: &Pool,
        pooler: &Pooler,
        operation: &'static str,
        statement: Duration,
        meter: &Arc<Meter>,
    ) -> Result<Self, Error> {
        let started = Instant::now();
        let connection = pool.get().await;
        meter.pool_wait.took(started.elapsed());
        let connection = connection.map_err(|error| {
            if matches!(error, PoolError::Timeout(_)) {
                meter.pool_timeouts.fetch_add(1, Ordering::Relaxed);
            }
            // Nothing has been sent. A wrong password counts as unavailable too: it is mended
            // outside of this process.
            let source: BoxError = match error {
                PoolError::Backend(error) if is_down(&error) => ServerDown(error.into()).into(),
                PoolError::Backend(error) => error.into(),
                PoolError::Timeout(TimeoutType::Wait) => PoolBusy.into(),
                other => other.into(),
            };
            Error::Unavailable { operation, source }
        })?;
        Ok(Self {
            connection: Some(connection),
            operation,
            meter: meter.clone(),
            limit: statement + GRACE,
            tainted: false,
            in_transaction: false,
            // Known once there is a connection.
            may_prepare: pooler.may_prepare(),
        })
    }

    /// Runs a statement that changes nothing.
    pub(super) async fn read(&mut self, sql: &str, params: &Params<'_>) -> Result<Vec<Row>, Failure> {
        self.run(Stake::None, sql, params).await
    }

    /// Runs a statement that changes something: for good when no transaction is open.
    pub(super) async fn write(&mut self, sql: &str, params: &Params<'_>) -> Result<Vec<Row>, Failure> {
        let stake = if self.in_transaction { Stake::None } else { Stake::Commit };
        self.run(stake, sql, params).await
    }

    async fn run(&mut self, stake: Stake, sql: &str, params: &Params<'_>) -> Result<Vec<Row>, Failure> {
        let started = Instant::now();
        let rows = self.query(stake, sql, params).await;
        self.meter.statement(self.operation, started.elapsed());
        rows
    }

    async fn query(&mut self, stake: Stake, sql: &str, params: &Params<'_>) -> Result<Vec<Row>, Failure> {
        if !self.may_prepare {
            return self.run_unprepared(stake, sql, params).await;
        }
        let limit = self.limit;
        let connection = self.connection()?;
        let prepared = tokio::time::timeout(limit, connection.prepare_cached(sql)).await;
        let statement = match prepared {
            Ok(Ok(statement)) => statement,
            Ok(Err(error)) => return Err(self.failed(Stake::None, error)),
            Err(_) => return Err(self.silent(Stake::None)),
        };
        let connection = self.connection()?;
        match tokio::time::timeout(limit, connection.query(&statement, params)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(self.failed(stake, error)),
            Err(_) => Err(self.silent(stake)),
        }
    }

    /// One round trip that leaves nothing behind in the server's session.
    async fn run_unprepared(
        &mut self,
        stake: Stake,
        sql: &str,
        params: &Params<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let typed = types::typed(sql, params)
            .map_err(|source| Error::Rejected { operation: self.operation, source: source.into() })?;
        match tokio::time::timeout(self.limit, self.connection()?.query_typed(sql, &typed)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(self.failed(stake, error)),
            Err(_) => Err(self.silent(stake)),
        }
    }

    /// Runs SQL text of any number of statements, without a time limit of the client's.
    pub(super) async fn script(&mut self, sql: &str) -> Result<(), Failure> {
        let started = Instant::now();
        let done = self.connection()?.batch_execute(sql).await;
        self.meter.statement(self.operation, started.elapsed());
        done.map_err(|error| self.failed(Stake::None, error))
    }

    /// Opens a transaction.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        self.in_transaction = true;
        self.tainted = true;
        self.control("BEGIN", Stake::None).await
    }

    /// Commits the open transaction.
    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        self.control("COMMIT", Stake::Commit).await?;
        self.in_transaction = false;
        self.tainted = false;
        Ok(())
    }

    /// Rolls the open transaction back. When that fails, the connection is closed, which does it
    /// too.
    pub(super) async fn roll_back(&mut self) {
        if self.control("ROLLBACK", Stake::None).await.is_ok() {
            self.in_transaction = false;
            self.tainted = false;
        }
    }

    /// Asks for nothing, and whether the server takes writes.
    pub(super) async fn ping(&mut self) -> Result<(), Error> {
        let rows = self.read("SELECT pg_is_in_recovery()", &[]).await?;
        if rows.first().is_some_and(|row| row.get(0)) {
            let source = "the server is a standby that takes no writes".into();
            return Err(Error::Unavailable { operation: self.operation, source });
        }
        Ok(())
    }

    /// The operation's name, for errors.
    pub(super) const fn operation(&self) -> &'static str {
        self.operation
    }

    async fn control(&mut self, sql: &str, stake: Stake) -> Result<(), Failure> {
        let started = Instant::now();
        let done = tokio::time::timeout(self.limit, self.connection()?.batch_execute(sql)).await;
        self.meter.statement(self.operation, started.elapsed());
        match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.failed(stake, error)),
            Err(_) => Err(self.silent(stake)),
        }
    }

    fn connection(&self) -> Result<&Object, Failure> {
        self.connection.as_ref().ok_or_else(|| {
            let source = "the connection was lost".into();
            Failure::Other(Error::Unavailable { operation: self.operation, source })
        })
    }

    /// The server did not answer in time.
    fn silent(&mut self, stake: Stake) -> Failure {
        self.tainted = true;
        self.lost(stake, NoAnswer(self.limit).into())
    }

    fn lost(&self, stake: Stake, source: BoxError) -> Failure {
        let operation = self.operation;
        Failure::Other(match stake {
            Stake::None => Error::Unavailable { operation, source },
            Stake::Commit => Error::Unknown { operation, source },
        })
    }

    fn failed(&mut self, stake: Stake, error: tokio_postgres::Error) -> Failure {
        let operation = self.operation;
        match verdict(&error) {
            Verdict::Lost => {
                self.tainted = true;
                self.lost(stake, error.into())
            }
            Verdict::Stale => {
                self.tainted = true;
                Failure::Other(Error::Unavailable { operation, source: error.into() })
            }
            Verdict::Race => Failure::Race { operation, source: error.into() },
            Verdict::Unavailable => Failure::Other(Error::Unavailable { operation, source: error.into() }),
            Verdict::Rejected => Failure::Other(Error::Rejected { operation, source: error.into() }),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.tainted
            && let Some(connection) = self.connection.take()
        {
            // Out of the pool and closed.
            drop(Object::take(connection));
        }
    }
}

/// What an error of the client or the server means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The connection is gone and with it the answer.
    Lost,
    /// Rolled back; the connection's prepared statements no longer fit.
    Stale,
    /// Rolled back because of another transaction.
    Race,
    /// Rolled back for want of time, room or a writable server.
    Unavailable,
    /// Rolled back for a reason that stays.
    Rejected,
}

fn verdict(error: &tokio_postgres::Error) -> Verdict {
    let Some(db) = error.as_db_error() else {
        let lost = error.is_closed() || caused_by_io(error);
        return if lost { Verdict::Lost } else { Verdict::Rejected };
    };
    // FATAL and PANIC end the session; whether a commit under way got through, nobody says.
    if matches!(db.severity(), "FATAL" | "PANIC") {
        return Verdict::Lost;
    }
    of_state(db.code())
}

fn caused_by_io(error: &tokio_postgres::Error) -> bool {
    io_error(error).is_some()
}

fn io_error(error: &tokio_postgres::Error) -> Option<&std::io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// Whether a connection could not be opened because the server as a whole is down: nobody listens
/// (over a socket file: it is gone), or the server says that it is starting or stopping.
fn is_down(error: &tokio_postgres::Error) -> bool {
    if let Some(state) = error.code() {
        return *state == SqlState::CANNOT_CONNECT_NOW;
    }
    let nobody = [ErrorKind::ConnectionRefused, ErrorKind::NotFound];
    io_error(error).is_some_and(|error| nobody.contains(&error.kind()))
}

/// For errors that rolled the statement back and left the session alive.
fn of_state(state: &SqlState) -> Verdict {
    if *state == SqlState::T_R_DEADLOCK_DETECTED || *state == SqlState::T_R_SERIALIZATION_FAILURE {
        return Verdict::Race;
    }
    // The first after somebody threw the prepared statements away, the second after a migration
    // changed a column's type: a new connection prepares them anew.
    if *state == SqlState::INVALID_SQL_STATEMENT_NAME || *state == SqlState::FEATURE_NOT_SUPPORTED {
        return Verdict::Stale;
    }
    let transient = [
        // A proxy reports lost connections as errors of class 08; see `verdict` for real ones.
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    let code = state.code();
    // 53: no disk, memory or connections left; 57: stopped or cancelled; 58: trouble of the
    // operating system.
    if transient.contains(state) || ["53", "57", "58"].iter().any(|class| code.starts_with(class)) {
        return Verdict::Unavailable;
    }
    if code.starts_with("08") { Verdict::Lost } else { Verdict::Rejected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_mean_what_the_contract_says() {
        for (code, verdict) in [
            ("40P01", Verdict::Race),
            ("40001", Verdict::Race),
            ("57014", Verdict::Unavailable),
            ("53100", Verdict::Unavailable),
            ("53300", Verdict::Unavailable),
            ("25006", Verdict::Unavailable),
            ("55P03", Verdict::Unavailable),
            ("08006", Verdict::Lost),
            ("26000", Verdict::Stale),
            ("0A000", Verdict::Stale),
            ("22021", Verdict::Rejected),
            ("23505", Verdict::Rejected),
            ("42P01", Verdict::Rejected),
            ("XX001", Verdict::Rejected),
        ] {
            assert_eq!(of_state(&SqlState::from_code(code)), verdict, "{code}");
        }
    }
}
