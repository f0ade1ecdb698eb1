//! Reading connections, and the snapshots that they keep.
//!
//! To begin and end a reading transaction takes SQLite system calls for its locks, half of what
//! reading a player cost. While nothing is written, every transaction would see the same. So
//! a reader that finds no commit since its last reading begins a transaction and leaves it open; the
//! next commit ends it, at the latest when the reader is used again. The log cannot begin anew under
//! an open transaction, so whoever moves it calls for [`Readers::rest`] first.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use rusqlite::Connection;

use super::connection::{failure, open_reader};
use crate::contract::Error;

/// What a reader does without a transaction around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// One statement, which is a snapshot by itself.
    Statement,
    /// Several, which have to see the same.
    Statements,
}

/// How often the writer has finished something. A commit is answered after it was counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Commits(Arc<AtomicU64>);

impl Commits {
    /// Counts one more.
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn seen(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The reading connections of a store.
#[derive(Debug)]
pub(super) struct Readers {
    /// Empty after [`Readers::close`].
    all: Vec<Mutex<Option<Reader>>>,
    turn: AtomicUsize,
    commits: Commits,
}

/// A connection for reading, which is used by one at a time.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    /// The commits that were counted before its last reading.
    last: Option<u64>,
    /// Whether a transaction is open since then.
    kept: bool,
}

impl Readers {
    /// Opens so many.
    pub(super) fn open(path: &Path, count: usize, commits: Commits) -> Result<Self, Error> {
        let open = |_| {
            let reader = Reader { connection: open_reader(path)?, last: None, kept: false };
            Ok(Mutex::new(Some(reader)))
        };
        let all = (0..count).map(open).collect::<Result<_, Error>>()?;
        Ok(Self { all, turn: AtomicUsize::new(0), commits })
    }

    /// One that is free, or the first that becomes so; nothing in it: the store was closed.
    pub(super) fn take(&self) -> MutexGuard<'_, Option<Reader>> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let free =
            (0..self.all.len()).find_map(|step| self.all[(first + step) % self.all.len()].try_lock().ok());
        // All are busy for some microseconds: wait for one.
        free.unwrap_or_else(|| {
            self.all[first % self.all.len()].lock().unwrap_or_else(PoisonError::into_inner)
        })
    }

    /// Lets `read` read what has been committed. What was answered before is seen.
    pub(super) fn read<T>(
        &self,
        reader: &mut Reader,
        operation: &'static str,
        reading: Reading,
        read: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let failed = |error| failure(operation, error);
        let seen = self.commits.seen();
        let is_quiet = reader.last == Some(seen);
        if !is_quiet {
            reader.rest().map_err(failed)?;
            reader.last = Some(seen);
        }
        if is_quiet || reading == Reading::Statements {
            reader.begin().map_err(failed)?;
        }
        let answer = read(&reader.connection);
        // The log may grow under a reader that is not used again.
        let rested = if is_quiet && answer.is_ok() { Ok(()) } else { reader.rest() };
        let answer = answer?;
        rested.map_err(failed).map(|()| answer)
    }

    /// Ends the transactions that are kept open, but for those of readers that are at work: the log
    /// is asked about again.
    pub(super) fn rest(&self) {
        for mut guard in self.all.iter().filter_map(|reader| reader.try_lock().ok()) {
            if let Some(reader) = guard.as_mut() {
                // A transaction that cannot be ended now is ended by the next reading, or fails it.
                let _ended = reader.rest();
            }
        }
    }

    /// How many there are, and how many of them nobody uses.
    pub(super) fn status(&self) -> (usize, usize) {
        (self.all.len(), self.all.iter().filter(|reader| reader.try_lock().is_ok()).count())
    }

    /// Closes them.
    pub(super) fn close(&self) {
        for reader in &self.all {
            *reader.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Reader {
    fn begin(&mut self) -> rusqlite::Result<()> {
        if !self.kept {
            self.connection.prepare_cached("BEGIN")?.execute([])?;
            self.kept = true;
        }
        Ok(())
    }

    fn rest(&mut self) -> rusqlite::Result<()> {
        if self.kept {
            // A failed reading may have ended it.
            if !self.connection.is_autocommit() {
                self.connection.prepare_cached("ROLLBACK")?.execute([])?;
            }
            self.kept = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::connection::open_writer;

    struct Rig {
        _folder: tempfile::TempDir,
        writer: Connection,
        commits: Commits,
        readers: Readers,
    }

    impl Rig {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("db");
            let writer = open_writer(&path, None).expect("a writer");
            writer.execute_batch("CREATE TABLE t (a)").expect("a table");
            let commits = Commits::default();
            let readers = Readers::open(&path, 1, commits.clone()).expect("readers");
            Self { _folder: folder, writer, commits, readers }
        }

        fn write(&self) {
            self.writer.execute_batch("INSERT INTO t VALUES (1)").expect("written");
            self.commits.count();
        }

        fn rows(&self, reading: Reading) -> i64 {
            let mut guard = self.readers.take();
            let read = |connection: &Connection| {
                connection
                    .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
                    .map_err(|error| failure("count", error))
            };
            self.readers.read(guard.as_mut().expect("open"), "count", reading, read).expect("read")
        }

        fn keeps(&self) -> bool {
            self.readers.take().as_ref().is_some_and(|reader| !reader.connection.is_autocommit())
        }

        /// Whether the whole log can be moved and begun anew.
        fn log_begins_anew(&self) -> bool {
            let blocked: i64 = self
                .writer
                .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))
                .expect("a checkpoint");
            blocked == 0
        }
    }

    #[test]
    fn what_was_counted_is_seen_at_once() {
        let rig = Rig::new();
        for (at, reading) in (1..20).zip([Reading::Statement, Reading::Statements].into_iter().cycle()) {
            rig.write();
            for _ in 0..=at % 4 {
                assert_eq!(rig.rows(reading), at);
            }
        }
    }

    #[test]
    fn a_snapshot_is_kept_only_while_nothing_is_written() {
        let rig = Rig::new();
        rig.rows(Reading::Statement);
        assert!(!rig.keeps(), "the first after a commit");
        rig.rows(Reading::Statements);
        assert!(rig.keeps());
        rig.write();
        rig.rows(Reading::Statements);
        assert!(!rig.keeps());
    }

    #[test]
    fn the_log_begins_anew_once_readers_rest() {
        let rig = Rig::new();
        rig.rows(Reading::Statement);
        rig.rows(Reading::Statement);
        rig.write();
        rig.writer.busy_timeout(std::time::Duration::ZERO).expect("set");
        assert!(!rig.log_begins_anew(), "else there is nothing to rest for");
        rig.readers.rest();
        assert!(rig.log_begins_anew());
        assert_eq!(rig.rows(Reading::Statement), 1);
    }

    #[test]
    fn a_reading_that_fails_keeps_nothing() {
        let rig = Rig::new();
        rig.rows(Reading::Statement);
        rig.rows(Reading::Statement);
        let mut guard = rig.readers.take();
        let failed: Result<(), Error> =
            rig.readers.read(guard.as_mut().expect("open"), "x", Reading::Statement, |_| {
                Err(Error::Rejected { operation: "x", source: "on purpose".into() })
            });
        assert!(failed.is_err());
        drop(guard);
        assert!(!rig.keeps());
    }
}
