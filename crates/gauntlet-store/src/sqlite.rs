//! SQLite: one file, one process, one writer.
//!
//! All writes go to a thread that owns the writing connection; each is one transaction, durable
//! when it is answered (WAL with synchronous FULL). Reads are done by the caller itself on one of
//! a few reading connections: a player takes about 5 microseconds, and a hop to another thread
//! alone would take 8. What begins to read after a commit was answered sees it.

mod archive;
mod commit;
mod connection;
mod grants;
mod load;
mod mover;
mod readers;
mod registry;
mod writer;

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use gauntlet_domain::{GoalNumber, Timestamp};
use rusqlite::Connection;

use crate::contract::{
    DueGrant, Error, Grant, GrantFilter, JournalRow, Lease, Load, Loaded, Locked, LockedDecision, Meeting,
    PlayerKey, PoolStatus, Replica, Retry, Store, Write, Written,
};
use crate::figures::{Figures, Meter};
use crate::rows;
pub use archive::{SqliteSource, SqliteTarget};
use mover::Mover;
use readers::{Commits, Readers, Reading};
use writer::Writer;

/// Where the file is.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database file; made when it is missing, as are a write-ahead log and a lock file beside
    /// it (`-wal`, `-shm`, `.lock`). It must be on a local disk.
    pub path: PathBuf,
    /// Reading connections; at least 1. Readers beyond this many at the same instant wait for
    /// each other.
    pub readers: usize,
    /// Bytes that the file may grow to (to a page of 4096); `None`: as far as the disk goes. A full
    /// database answers [`Error::Unavailable`] to what would make it grow.
    pub max_bytes: Option<u64>,
    /// Readings and transactions that take at least this long are logged; `None`: none are.
    pub slow: Option<Duration>,
}

impl SqliteOptions {
    /// The defaults: 4 readers, no limit, no log of slow statements.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers: 4, max_bytes: None, slow: None }
    }
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
enum BadFile {
    #[error("{} is in use by another process (or another store of this one); one SQLite file serves one process, use PostgreSQL for several", .0.display())]
    InUse(PathBuf),
    #[error("{} cannot be opened", .path.display())]
    Lock { path: PathBuf, source: std::io::Error },
    #[error("a path is needed; for a database in memory there is another store")]
    InMemory,
    #[error("readers is 0")]
    NoReaders,
}

/// Players in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: Arc<Readers>,
    meter: Arc<Meter>,
    /// The write-ahead log.
    log: PathBuf,
}

/// Players read before other tasks of the thread get their turn: about a third of a millisecond.
const LOAD_STEP: usize = 64;

#[derive(Debug, thiserror::Error)]
#[error("the store was closed")]
struct Closed;

impl SqliteStore {
    /// Opens or makes the file, and refuses when another process has it open. Blocks for as long
    /// as the disk takes. The schema comes with [`Store::migrate`].
    ///
    /// # Errors
    /// [`Error::Rejected`] when the file is in use, is not a database, or cannot be opened with the
    /// settings that durability needs; [`Error::Unavailable`] for troubles of the disk.
    pub fn open(options: &SqliteOptions) -> Result<Self, Error> {
        let reject = |fault: BadFile| Error::Rejected { operation: "open", source: fault.into() };
        if options.path.as_os_str().is_empty() || options.path == Path::new(":memory:") {
            return Err(reject(BadFile::InMemory));
        }
        if options.readers == 0 {
            return Err(reject(BadFile::NoReaders));
        }
        let lock = lock(&options.path).map_err(reject)?;
        let meter = Arc::new(Meter::new(options.slow));
        let mut connection = connection::open_writer(&options.path, options.max_bytes)?;
        let commits = Commits::default();
        let readers = Arc::new(Readers::open(&options.path, options.readers, commits.clone())?);
        let mover = Mover::start(&options.path, &mut connection, &readers, &meter)?;
        let writer = Writer::start(connection, Some(mover), lock, commits, &meter)?;
        let log = beside(&options.path, "-wal");
        Ok(Self { writer, readers, meter, log })
    }

    /// Lets `read` use a reading connection: one snapshot.
    fn read<T>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read_by(operation, Reading::Statements, read)
    }

    fn read_by<T>(
        &self,
        operation: &'static str,
        reading: Reading,
        read: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let asked = Instant::now();
        let mut guard = self.readers.take();
        let started = Instant::now();
        self.meter.pool_wait.took(started - asked);
        let Some(reader) = guard.as_mut() else {
            return Err(Error::Unavailable { operation, source: Closed.into() });
        };
        let answer = self.readers.read(reader, operation, reading, read);
        self.meter.statement(operation, started.elapsed());
        answer
    }
}

/// The file whose name is that of the database and an ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Takes the lock that keeps other processes away for as long as the file handle lives, however
/// the process ends. (SQLite's own locks allow many processes; our readers, and the rule that one
/// process runs the workers, do not.)
fn lock(path: &Path) -> Result<File, BadFile> {
    let name = beside(path, ".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(|source| BadFile::Lock { path: name.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(BadFile::InUse(path.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(BadFile::Lock { path: name, source }),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn migrate(&self) -> Result<u32, Error> {
        self.writer.run("migrate", connection::migrate).await
    }

    async fn warm_up(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error> {
        if let [load] = players
            && !load.receipts
        {
            let loaded = self.read_by("player.load", Reading::Statement, |connection| {
                load::document_only(connection, load)
            });
            return loaded.map(|loaded| vec![loaded]);
        }
        let mut answers = Vec::with_capacity(players.len());
        for (at, step) in players.chunks(LOAD_STEP).enumerate() {
            if at > 0 {
                tokio::task::yield_now().await;
            }
            self.read("player.load", |connection| {
                for load in step {
                    answers.push(load::load(connection, load)?);
                }
                Ok(())
            })?;
        }
        Ok(answers)
    }

    async fn commit(&self, writes: &[Write]) -> Result<Vec<Written>, Error> {
        // Encoded here and not in the writer's thread, which is the one that everybody waits for.
        let encoded = rows::encode(writes)?;
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let batch: Vec<_> = writes.iter().map(commit::without_document).zip(encoded).collect();
        self.writer
            .transaction("player.commit", move |transaction| {
                batch.iter().map(|(write, encoded)| commit::write(transaction, write, encoded)).collect()
            })
            .await
    }

    async fn update_locked(&self, player: Load, decide: Locked) -> Result<Option<Written>, Error> {
        // There is one writer: being in its thread is the lock.
        self.writer
            .transaction("player.update_locked", move |transaction| {
                let loaded = load::load(transaction, &player)?;
                let revision = match &loaded.stored {
                    Ok(stored) => stored.as_ref().map(|stored| stored.revision),
                    Err(_) => None,
                };
                let LockedDecision::Store(write) = decide(loaded) else { return Ok(None) };
                rows::check_locked(&player.key, revision, &write)?;
                let encoded = rows::encode(std::slice::from_ref(write.as_ref()))?;
                encoded.first().map(|encoded| commit::write(transaction, &write, encoded)).transpose()
            })
            .await
    }

    async fn take_due_grants(
        &self,
        now: Timestamp,
        lease: &Lease,
        limit: u32,
    ) -> Result<Vec<DueGrant>, Error> {
        let lease = lease.clone();
        self.writer
            .transaction("grant.take_due", move |transaction| {
                grants::take_due(transaction, now, &lease, limit)
            })
            .await
    }

    async fn retry_grant(&self, retry: &Retry, now: Timestamp) -> Result<bool, Error> {
        let retry = retry.clone();
        self.writer
            .transaction("grant.retry", move |transaction| grants::retry(transaction, &retry, now))
            .await
    }

    async fn list_grants(&self, filter: &GrantFilter, limit: u32) -> Result<Vec<Grant>, Error> {
        self.read("grant.list", |connection| grants::list(connection, filter, limit))
    }

    async fn pending_grants(&self) -> Result<(u64, Option<Timestamp>), Error> {
        self.read("grant.pending", grants::pending)
    }

    async fn journal(&self, player: &PlayerKey, after: u64, limit: u32) -> Result<Vec<JournalRow>, Error> {
        self.read("journal.read", |connection| load::journal(connection, player, after, limit))
    }

    async fn journal_before(
        &self,
        player: &PlayerKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, Error> {
        self.read("journal.read", |connection| load::journal_before(connection, player, before, limit))
    }

    async fn take_due_players(
        &self,
        namespace: &str,
        now: Timestamp,
        again: Timestamp,
        limit: u32,
    ) -> Result<Vec<PlayerKey>, Error> {
        let namespace = namespace.to_owned();
        self.writer
            .transaction("player.take_due", move |transaction| {
                commit::take_due(transaction, &namespace, now, again, limit)
            })
            .await
    }

    async fn prune_journal(&self, before: Timestamp) -> Result<u64, Error> {
        let mut pruned = 0;
        loop {
            // A transaction for each step, so that players are not kept waiting.
            let step = self
                .writer
                .transaction("journal.prune", move |transaction| commit::prune_step(transaction, before))
                .await?;
            pruned += step;
            if step == 0 {
                return Ok(pruned);
            }
        }
    }

    async fn rotate_receipts(&self, now: Timestamp) -> Result<bool, Error> {
        self.writer
            .transaction("receipt.rotate", move |transaction| registry::rotate_receipts(transaction, now))
            .await
    }

    async fn intern_goals(&self, ids: &[String]) -> Result<HashMap<String, GoalNumber>, Error> {
        let ids = ids.to_vec();
        self.writer.transaction("goal.intern", move |transaction| registry::intern(transaction, &ids)).await
    }

    async fn register_catalogue(&self, text: &str, now: Timestamp) -> Result<u32, Error> {
        let text = text.to_owned();
        self.writer
            .transaction("catalogue.register", move |transaction| registry::register(transaction, &text, now))
            .await
    }

    async fn catalogue_text(&self, version: u32) -> Result<Option<String>, Error> {
        self.read("catalogue.text", |connection| registry::text(connection, version))
    }

    async fn find_catalogue(&self, text: &str) -> Result<Option<u32>, Error> {
        self.read("catalogue.find", |connection| registry::find(connection, text))
    }

    async fn activate_catalogue(&self, version: u32, now: Timestamp) -> Result<bool, Error> {
        self.writer
            .transaction("catalogue.activate", move |transaction| {
                registry::activate(transaction, version, now)
            })
            .await
    }

    async fn used_catalogues(&self, after: u32) -> Result<Vec<(u32, Timestamp)>, Error> {
        self.read("catalogue.used", |connection| registry::used(connection, after))
    }

    async fn meet(&self, replica: &Replica) -> Result<Meeting, Error> {
        let replica = replica.clone();
        self.writer
            .transaction("replica.meet", move |transaction| registry::meet(transaction, &replica))
            .await
    }

    async fn leave(&self, instance: &str) -> Result<(), Error> {
        let instance = instance.to_owned();
        self.writer
            .transaction("replica.leave", move |transaction| registry::leave(transaction, &instance))
            .await
    }

    async fn ping(&self) -> Result<(), Error> {
        // Both sides: a file that can be read, and a writer that is alive.
        self.read("ping", connection::ping)?;
        self.writer.run("ping", |connection| connection::ping(connection)).await
    }

    /// A second process on the file is refused.
    fn is_shared(&self) -> bool {
        false
    }

    fn pool_status(&self) -> PoolStatus {
        let (limit, idle) = self.readers.status();
        PoolStatus { limit, open: limit, idle, waiting: self.writer.waiting() }
    }

    fn prefers_many(&self) -> bool {
        false
    }

    fn figures(&self) -> Figures {
        self.meter.read(Some(&self.log))
    }

    async fn close(&self) {
        self.writer.close().await;
        self.readers.close();
    }
}
