//! The archive of a file: reading all of it as it is at one moment, and filling an empty one.

use std::{fs::File, path::Path};

use async_trait::async_trait;
use rusqlite::{Connection, Row as SqlRow, types::FromSql};

use super::{
    connection::{self, commit_failure, failure},
    grants::grant_row,
    lock,
};
use crate::{
    archive::{
        BEFORE_ALL, CatalogueVersion, DuePlayer, GoalId, GrantLine, JournalLine, PAGE, PlayerDocument,
        ReceiptPage, ReceiptsSince, Row, Source, Table, Target,
    },
    contract::Error,
    rows::GRANT_COLUMNS,
};

const EXPORT: &str = "archive.export";
const IMPORT: &str = "archive.import";

/// A file that is read from beginning to end, in one reading transaction. The service may go on.
#[derive(Debug)]
pub struct SqliteSource {
    connection: Connection,
    in_use: bool,
}

impl SqliteSource {
    /// Opens a file that is there.
    ///
    /// # Errors
    /// As [`super::SqliteStore::open`], but a file in use is none; one that is missing is.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let in_use = lock(path).is_err();
        let connection = connection::open_reader(path)?;
        // The first statement begins the snapshot.
        let begin = "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1";
        connection.execute_batch(begin).map_err(|error| failure(EXPORT, error))?;
        Ok(Self { connection, in_use })
    }

    fn rows(&self, table: Table, after: Option<&Row>) -> rusqlite::Result<Vec<Row>> {
        let ([player, namespace], [first, second, third]) = after.map_or(BEFORE_ALL, Row::key);
        let sql = select(&self.connection, table)?;
        let mut statement = self.connection.prepare_cached(&sql)?;
        // Not every table has five columns in its key.
        let all: [&dyn rusqlite::ToSql; 5] = [&player, &namespace, &first, &second, &third];
        let used = match table {
            Table::ReceiptsSince if after.is_some() => return Ok(Vec::new()),
            Table::ReceiptsSince => &all[..0],
            Table::Goals => &all[..1],
            Table::Catalogues => &all[2..3],
            Table::Players | Table::Due => &all[..2],
            Table::Receipts | Table::OlderReceipts | Table::Journal => &all[..3],
            Table::Grants => &all[..],
        };
        let found = statement.query_map(used, |row| read(table, row))?;
        found.collect()
    }
}

/// Which of the two tables of receipts is current.
fn current(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT current FROM receipt_generation", [], |row| row.get(0))
}

fn name(connection: &Connection, table: Table) -> rusqlite::Result<String> {
    Ok(match table {
        Table::Goals => "goal_registry".to_owned(),
        Table::Catalogues => "catalogue_version".to_owned(),
        Table::ReceiptsSince => "receipt_generation".to_owned(),
        Table::Players => "player".to_owned(),
        Table::Receipts => format!("receipt_{}", current(connection)?),
        Table::OlderReceipts => format!("receipt_{}", 1 - current(connection)?),
        Table::Grants => "reward_grant".to_owned(),
        Table::Journal => "journal".to_owned(),
        Table::Due => "due_player".to_owned(),
    })
}

fn select(connection: &Connection, table: Table) -> rusqlite::Result<String> {
    let from = name(connection, table)?;
    Ok(match table {
        Table::Goals => {
            format!("SELECT goal_id, number FROM {from} WHERE goal_id > ?1 ORDER BY goal_id LIMIT {PAGE}")
        }
        Table::Catalogues => format!(
            "SELECT version, text, created_at, activated_at FROM {from} WHERE version > ?1 \
             ORDER BY version LIMIT {PAGE}"
        ),
        Table::ReceiptsSince => format!("SELECT started_at FROM {from}"),
        Table::Players => format!(
            "SELECT player, namespace, revision, live, (SELECT s.settled FROM settled s \
             WHERE s.player = p.player AND s.namespace = p.namespace) FROM {from} p \
             WHERE (player, namespace) > (?1, ?2) ORDER BY player, namespace LIMIT {PAGE}"
        ),
        Table::Receipts | Table::OlderReceipts => format!(
            "SELECT player, namespace, revision, receipts FROM {from} \
             WHERE (player, namespace, revision) > (?1, ?2, ?3) \
             ORDER BY player, namespace, revision LIMIT {PAGE}"
        ),
        Table::Grants => format!(
            "SELECT {GRANT_COLUMNS} FROM {from} \
             WHERE (player, namespace, goal, cycle, epoch) > (?1, ?2, ?3, ?4, ?5) \
             ORDER BY player, namespace, goal, cycle, epoch LIMIT {PAGE}"
        ),
        Table::Journal => format!(
            "SELECT player, namespace, sequence, at, kind, goals, cycles, cycle_ends, progress FROM {from} \
             WHERE (player, namespace, sequence) > (?1, ?2, ?3) \
             ORDER BY player, namespace, sequence LIMIT {PAGE}"
        ),
        Table::Due => format!(
            "SELECT player, namespace, due_at FROM {from} WHERE (player, namespace) > (?1, ?2) \
             ORDER BY player, namespace LIMIT {PAGE}"
        ),
    })
}

fn read(table: Table, row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    fn get<T: FromSql>(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<T> {
        row.get(column)
    }
    let json = |column: usize| -> rusqlite::Result<Vec<Option<i64>>> {
        serde_json::from_str(&get::<String>(row, column)?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
        })
    };
    let numbers =
        |column| Ok::<_, rusqlite::Error>(json(column)?.into_iter().flatten().collect::<Vec<i64>>());
    let page = || {
        Ok::<_, rusqlite::Error>(ReceiptPage {
            player: row.get(0)?,
            namespace: row.get(1)?,
            revision: row.get(2)?,
            receipts: row.get(3)?,
        })
    };
    Ok(match table {
        Table::Goals => Row::Goal(GoalId { id: get(row, 0)?, number: get(row, 1)? }),
        Table::Catalogues => Row::Catalogue(CatalogueVersion {
            version: get(row, 0)?,
            text: get(row, 1)?,
            created_at: get(row, 2)?,
            activated_at: get(row, 3)?,
        }),
        Table::ReceiptsSince => Row::ReceiptsSince(ReceiptsSince { started_at: get(row, 0)? }),
        Table::Players => Row::Player(PlayerDocument {
            player: get(row, 0)?,
            namespace: get(row, 1)?,
            revision: get(row, 2)?,
            live: get(row, 3)?,
            settled: get(row, 4)?,
        }),
        Table::Receipts => Row::Receipts(page()?),
        Table::OlderReceipts => Row::OlderReceipts(page()?),
        Table::Grants => Row::Grant(grant_row(row)?.into()),
        Table::Journal => Row::Journal(JournalLine {
            player: get(row, 0)?,
            namespace: get(row, 1)?,
            sequence: get(row, 2)?,
            at: get(row, 3)?,
            kind: get(row, 4)?,
            goals: numbers(5)?,
            cycles: numbers(6)?,
            cycle_ends: json(7)?,
            progress: if get::<Option<String>>(row, 8)?.is_some() { numbers(8)? } else { Vec::new() },
        }),
        Table::Due => {
            Row::Due(DuePlayer { player: get(row, 0)?, namespace: get(row, 1)?, due_at: get(row, 2)? })
        }
    })
}

#[async_trait]
impl Source for SqliteSource {
    async fn schema(&mut self) -> Result<i32, Error> {
        let there = "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_migration'";
        let newest = "SELECT coalesce(max(number), 0) FROM schema_migration";
        let read = || -> rusqlite::Result<i32> {
            let one = |sql| self.connection.query_row(sql, [], |row| row.get(0));
            if one(there)? == 0 { Ok(0) } else { one(newest) }
        };
        read().map_err(|error| failure(EXPORT, error))
    }

    async fn in_use(&mut self) -> Result<bool, Error> {
        Ok(self.in_use)
    }

    async fn count(&mut self, table: Table) -> Result<u64, Error> {
        count(&self.connection, table).map_err(|error| failure(EXPORT, error))
    }

    async fn page(&mut self, table: Table, after: Option<&Row>) -> Result<Vec<Row>, Error> {
        self.rows(table, after).map_err(|error| failure(EXPORT, error))
    }
}

fn count(connection: &Connection, table: Table) -> rusqlite::Result<u64> {
    let sql = format!("SELECT count(*) FROM {}", name(connection, table)?);
    let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// An empty file that is filled in one transaction.
#[derive(Debug)]
pub struct SqliteTarget {
    connection: Connection,
    _lock: File,
}

impl SqliteTarget {
    /// Opens or makes the file, brings its schema up to date and begins the transaction.
    ///
    /// # Errors
    /// As [`super::SqliteStore::open`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let lock = lock(path).map_err(|fault| Error::Rejected { operation: IMPORT, source: fault.into() })?;
        let mut connection = connection::open_writer(path, None)?;
        connection::migrate(&mut connection)?;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| failure(IMPORT, error))?;
        Ok(Self { connection, _lock: lock })
    }

    fn put_one(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute(params).map(|_| ())
    }

    fn add(&self, row: &Row) -> rusqlite::Result<()> {
        match row {
            Row::Goal(row) => self.put_one(
                "INSERT INTO goal_registry (goal_id, number) VALUES (?1, ?2)",
                &[&row.id, &row.number],
            ),
            Row::Catalogue(row) => self.put_one(
                "INSERT INTO catalogue_version (version, text, created_at, activated_at) VALUES (?1, ?2, ?3, ?4)",
                &[&row.version, &row.text, &row.created_at, &row.activated_at],
            ),
            Row::ReceiptsSince(row) => self
                .put_one("UPDATE receipt_generation SET current = 0, started_at = ?1", &[&row.started_at]),
            Row::Player(row) => self.add_player(row),
            Row::Receipts(row) => self.add_receipts("receipt_0", row),
            Row::OlderReceipts(row) => self.add_receipts("receipt_1", row),
            Row::Grant(row) => self.add_grant(row),
            Row::Journal(row) => self.put_one(
                "INSERT INTO journal (player, namespace, sequence, at, kind, goals, cycles, cycle_ends, \
                 progress) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, nullif(?9, '[]'))",
                &[
                    &row.player,
                    &row.namespace,
                    &row.sequence,
                    &row.at,
                    &row.kind,
                    &list(&row.goals)?,
                    &list(&row.cycles)?,
                    &list(&row.cycle_ends)?,
                    &list(&row.progress)?,
                ],
            ),
            Row::Due(row) => self.put_one(
                "INSERT INTO due_player (player, namespace, due_at) VALUES (?1, ?2, ?3)",
                &[&row.player, &row.namespace, &row.due_at],
            ),
        }
    }

    fn add_player(&self, row: &PlayerDocument) -> rusqlite::Result<()> {
        self.put_one(
            "INSERT INTO player (player, namespace, revision, live) VALUES (?1, ?2, ?3, ?4)",
            &[&row.player, &row.namespace, &row.revision, &row.live],
        )?;
        let Some(settled) = &row.settled else { return Ok(()) };
        self.put_one(
            "INSERT INTO settled (player, namespace, settled) VALUES (?1, ?2, ?3)",
            &[&row.player, &row.namespace, settled],
        )
    }

    fn add_receipts(&self, table: &str, row: &ReceiptPage) -> rusqlite::Result<()> {
        self.put_one(
            &format!("INSERT INTO {table} (player, namespace, revision, receipts) VALUES (?1, ?2, ?3, ?4)"),
            &[&row.player, &row.namespace, &row.revision, &row.receipts],
        )
    }

    fn add_grant(&self, row: &GrantLine) -> rusqlite::Result<()> {
        self.put_one(
            &format!(
                "INSERT INTO reward_grant ({GRANT_COLUMNS}) VALUES \
                 (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
            ),
            &[
                &row.player,
                &row.namespace,
                &row.goal,
                &row.cycle,
                &row.epoch,
                &row.challenge_id,
                &row.goal_id,
                &row.reward_kind,
                &row.reward_id,
                &row.reward_quantity,
                &row.state,
                &row.attempt,
                &row.lease_owner,
                &row.lease_until,
                &row.claimed_at,
                &row.created_at,
                &row.updated_at,
                &row.reason,
            ],
        )
    }
}

/// A list as the journal keeps it.
fn list(values: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(values).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

#[async_trait]
impl Target for SqliteTarget {
    async fn rows(&mut self) -> Result<u64, Error> {
        // The row of the generations is always there.
        let tables = Table::ALL.into_iter().filter(|table| *table != Table::ReceiptsSince);
        let counts = tables.map(|table| count(&self.connection, table));
        counts.sum::<rusqlite::Result<u64>>().map_err(|error| failure(IMPORT, error))
    }

    async fn put(&mut self, rows: Vec<Row>) -> Result<(), Error> {
        rows.iter().try_for_each(|row| self.add(row)).map_err(|error| failure(IMPORT, error))
    }

    async fn finish(self: Box<Self>) -> Result<(), Error> {
        self.connection.execute_batch("COMMIT").map_err(|error| commit_failure(IMPORT, error))?;
        // From the log into the file, so that a copy of the file is whole.
        let moved = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        moved.map_err(|error| failure(IMPORT, error))
    }
}
