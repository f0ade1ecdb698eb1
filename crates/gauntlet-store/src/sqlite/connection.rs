//! Connections: settings, the meaning of failures, migrations.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior};

use crate::{
    contract::Error,
    crash::{self, Point},
    migrations::{self, Applied},
};

/// Nobody else writes, so nothing but a backup tool can make a connection wait.
const BUSY: Duration = Duration::from_secs(2);
/// Statements kept prepared for each connection; there are some 30 in all.
const STATEMENTS: usize = 64;
/// The log file is cut back to this after something big.
const LOG_BYTES: u32 = 64 << 20;
const PAGE_BYTES: u32 = 4096;
/// Memory for pages of the writer, in KiB. What is not in it is asked of the system again with
/// each transaction.
const CACHE_KIB: i32 = 16 * 1024;

/// A setting that SQLite did not take.
#[derive(Debug, thiserror::Error)]
#[error("SQLite answered {found} for {pragma}, and {wanted} is needed to keep acknowledged events")]
struct BadSetting {
    pragma: &'static str,
    wanted: &'static str,
    found: String,
}

const OPEN: &str = "open";

/// Opens or makes the file for the writing connection.
pub(super) fn open_writer(path: &Path, max_bytes: Option<u64>) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = open(path, flags)?;
    let set = || -> rusqlite::Result<()> {
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // The log is moved by a thread of its own.
        connection.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_BYTES}"), [], |_| Ok(()))?;
        if let Some(bytes) = max_bytes {
            let pages = (bytes / u64::from(PAGE_BYTES)).max(1);
            connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
        }
        Ok(())
    };
    set().map_err(|error| failure(OPEN, error))?;
    // FULL is 2. A file system without shared memory refuses WAL silently.
    check_setting(&connection, "journal_mode", "wal")?;
    check_setting(&connection, "synchronous", "2")?;
    Ok(connection)
}

/// Opens the file for the thread that moves the log.
pub(super) fn open_mover(path: &Path) -> Result<Connection, Error> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // It syncs both files in the right order.
    connection.pragma_update(None, "synchronous", "FULL").map_err(|error| failure(OPEN, error))?;
    Ok(connection)
}

/// Opens the file for reading only.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true).map_err(|error| failure(OPEN, error))?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    // Each connection has one user at a time; SQLite needs no mutex of its own.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failure(OPEN, error))?;
    connection.busy_timeout(BUSY).map_err(|error| failure(OPEN, error))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn check_setting(connection: &Connection, pragma: &'static str, wanted: &'static str) -> Result<(), Error> {
    let found = connection
        .pragma_query_value(None, pragma, |row| {
            Ok(match row.get_ref(0)? {
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                other => other.as_str()?.to_owned(),
            })
        })
        .map_err(|error| failure(OPEN, error))?;
    if found == wanted {
        return Ok(());
    }
    Err(Error::Rejected { operation: OPEN, source: BadSetting { pragma, wanted, found }.into() })
}

/// What a failure before a commit means: nothing was applied.
pub(super) fn failure(operation: &'static str, error: rusqlite::Error) -> Error {
    let unavailable = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted
                | ErrorCode::FileLockingProtocolFailed
        )
    );
    let source = error.into();
    if unavailable { Error::Unavailable { operation, source } } else { Error::Rejected { operation, source } }
}

/// What a failure of a commit means. The log may be complete on the disk although syncing it
/// failed; a later start would find it there.
pub(super) fn commit_failure(operation: &'static str, error: rusqlite::Error) -> Error {
    if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
        return Error::Unknown { operation, source: error.into() };
    }
    failure(operation, error)
}

/// Asks for nothing.
pub(super) fn ping(connection: &Connection) -> Result<(), Error> {
    connection.query_row("SELECT 1", [], |_| Ok(())).map_err(|error| failure("ping", error))
}

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migration ( \
     number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, \
     applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) STRICT";

/// Applies the migrations that are missing, each in a transaction; answers how many.
pub(super) fn migrate(connection: &mut Connection) -> Result<u32, Error> {
    let failed = |error| failure("migrate", error);
    connection.execute_batch(LEDGER).map_err(failed)?;
    let mut count = 0;
    loop {
        let applied = applied(connection).map_err(failed)?;
        let Some(migration) = migrations::next(migrations::SQLITE, &applied)? else { return Ok(count) };
        tracing::info!(number = migration.number, name = migration.name, "applying a migration");
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed)?;
        transaction.execute_batch(migration.sql).map_err(failed)?;
        crash::point(Point::Migrating);
        transaction
            .execute(
                "INSERT INTO schema_migration (number, name, checksum) VALUES (?1, ?2, ?3)",
                (migration.number, migration.name, migration.checksum()),
            )
            .map_err(failed)?;
        transaction.commit().map_err(|error| commit_failure("migrate", error))?;
        count += 1;
    }
}

fn applied(connection: &Connection) -> rusqlite::Result<Vec<Applied>> {
    let mut statement =
        connection.prepare("SELECT number, checksum FROM schema_migration ORDER BY number")?;
    let rows = statement.query_map([], |row| Ok(Applied { number: row.get(0)?, checksum: row.get(1)? }))?;
    rows.collect()
}

/// The one value of a cached statement's only row, if there is a row.
pub(super) fn value<T: rusqlite::types::FromSql>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Option<T>> {
    connection.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn pragma(connection: &Connection, name: &str) -> String {
        let value: rusqlite::types::Value =
            connection.pragma_query_value(None, name, |row| row.get(0)).expect(name);
        match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn settings_are_those_that_durability_needs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("g.db");
        let writer = open_writer(&path, Some(1 << 20)).expect("writer");
        for (name, wanted) in [
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            // The log is moved by a hook.
            ("wal_autocheckpoint", "0"),
            ("busy_timeout", "2000"),
            ("page_size", "4096"),
            ("max_page_count", "256"),
            ("query_only", "0"),
        ] {
            assert_eq!(pragma(&writer, name), wanted, "{name}");
        }
        let reader = open_reader(&path).expect("reader");
        for (name, wanted) in [("journal_mode", "wal"), ("query_only", "1"), ("busy_timeout", "2000")] {
            assert_eq!(pragma(&reader, name), wanted, "{name}");
        }
    }

    #[test]
    fn a_setting_that_was_not_taken_is_refused_by_name() {
        let connection = Connection::open_in_memory().expect("memory");
        let error = check_setting(&connection, "journal_mode", "wal").expect_err("memory has no log");
        let source = std::error::Error::source(&error).expect("a source").to_string();
        assert!(source.starts_with("SQLite answered memory for journal_mode"), "{source}");
    }

    #[test]
    fn failures_mean_what_the_contract_says() {
        let error = |code: i32| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_FULL, ffi::SQLITE_IOERR, ffi::SQLITE_IOERR_FSYNC] {
            assert!(matches!(failure("x", error(code)), Error::Unavailable { .. }), "{code}");
        }
        for code in [ffi::SQLITE_CONSTRAINT, ffi::SQLITE_CORRUPT, ffi::SQLITE_ERROR, ffi::SQLITE_TOOBIG] {
            assert!(matches!(failure("x", error(code)), Error::Rejected { .. }), "{code}");
        }
        assert!(matches!(commit_failure("x", error(ffi::SQLITE_IOERR_FSYNC)), Error::Unknown { .. }));
        assert!(matches!(commit_failure("x", error(ffi::SQLITE_FULL)), Error::Unavailable { .. }));
    }
}
