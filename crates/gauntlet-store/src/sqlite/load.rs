//! Reading players and the journal.

use gauntlet_domain::{GoalNumber, JournalEntry, JournalKind, Receipt, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};

use super::connection::failure;
use crate::{
    contract::{Error, JournalRow, Load, Loaded, PlayerKey, Stored},
    rows::{self, BadValue},
};

const LOAD: &str = "player.load";

const RECEIPTS: [(&str, &str); 2] = [
    ("receipt_0", "SELECT receipts FROM receipt_0 WHERE player = ?1 AND namespace = ?2"),
    ("receipt_1", "SELECT receipts FROM receipt_1 WHERE player = ?1 AND namespace = ?2"),
];

/// Loads a player; the caller holds a transaction, so all of it is one snapshot.
pub(super) fn load(connection: &Connection, load: &Load) -> Result<Loaded, Error> {
    let failed = |error| failure(LOAD, error);
    let key = &load.key;
    let stored = document(connection, key, load.settled).map_err(failed)?;
    let mut receipts = Vec::new();
    let mut stored = stored.transpose();
    if load.receipts
        && let Err(error) = read_receipts(connection, key, &mut receipts).map_err(failed)?
    {
        stored = Err(error);
    }
    Ok(Loaded { stored, receipts })
}

/// Reads all pages of a player.
fn read_receipts(
    connection: &Connection,
    key: &PlayerKey,
    receipts: &mut Vec<Receipt>,
) -> rusqlite::Result<Result<(), Error>> {
    for (table, sql) in RECEIPTS {
        let mut statement = connection.prepare_cached(sql)?;
        let mut pages = statement.query((&key.player, &key.namespace))?;
        while let Some(row) = pages.next()? {
            let read = rows::read_page(key, row.get_ref(0)?.as_blob()?, table, receipts);
            if read.is_err() {
                return Ok(read);
            }
        }
    }
    Ok(Ok(()))
}

/// Loads a player by one statement, which is a snapshot by itself. The receipts need others.
pub(super) fn document_only(connection: &Connection, load: &Load) -> Result<Loaded, Error> {
    let stored = document(connection, &load.key, load.settled).map_err(|error| failure(LOAD, error))?;
    Ok(Loaded { stored: stored.transpose(), receipts: Vec::new() })
}

fn document(
    connection: &Connection,
    key: &PlayerKey,
    settled: bool,
) -> rusqlite::Result<Option<Result<Stored, Error>>> {
    const LIVE: &str = "SELECT revision, live FROM player WHERE player = ?1 AND namespace = ?2";
    const BOTH: &str = "SELECT revision, live, \
         (SELECT settled FROM settled WHERE player = ?1 AND namespace = ?2) \
         FROM player WHERE player = ?1 AND namespace = ?2";
    connection
        .prepare_cached(if settled { BOTH } else { LIVE })?
        .query_row((&key.player, &key.namespace), |row| {
            let revision = row.get(0)?;
            // Decoded where SQLite has it.
            let live = row.get_ref(1)?.as_blob()?;
            let settled = if settled { Some(row.get_ref(2)?.as_blob_or_null()?) } else { None };
            Ok(rows::decode(key, revision, live, settled))
        })
        .optional()
}

/// A player's journal rows after a sequence number.
pub(super) fn journal(
    connection: &Connection,
    player: &PlayerKey,
    after: u64,
    limit: u32,
) -> Result<Vec<JournalRow>, Error> {
    journal_rows(connection, player, "> ?3 ORDER BY sequence", rows::wide(after), limit)
}

/// A player's journal rows before a sequence number, newest first.
pub(super) fn journal_before(
    connection: &Connection,
    player: &PlayerKey,
    before: u64,
    limit: u32,
) -> Result<Vec<JournalRow>, Error> {
    journal_rows(connection, player, "< ?3 ORDER BY sequence DESC", rows::wide(before), limit)
}

/// A row as SQLite has it: sequence, time, kind, goals, cycles, their ends, lost progress.
type Row = (i64, i64, String, String, String, String, Option<String>);

fn journal_rows(
    connection: &Connection,
    player: &PlayerKey,
    which: &str,
    sequence: i64,
    limit: u32,
) -> Result<Vec<JournalRow>, Error> {
    let sql = format!(
        "SELECT sequence, at, kind, goals, cycles, cycle_ends, progress FROM journal \
         WHERE player = ?1 AND namespace = ?2 AND sequence {which} LIMIT ?4"
    );
    let read = || -> rusqlite::Result<Vec<Row>> {
        let mut statement = connection.prepare_cached(&sql)?;
        let params = (&player.player, &player.namespace, sequence, limit);
        let found = statement.query_map(params, |row| {
            let row =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
            Ok(row)
        })?;
        found.collect()
    };
    let found = read().map_err(|error| failure("journal.read", error))?;
    found.into_iter().map(|row| journal_row(player, row)).collect()
}

fn journal_row(player: &PlayerKey, row: Row) -> Result<JournalRow, Error> {
    let (sequence, at, kind, goals, cycles, ends, progress) = row;
    let id = || format!("{}/{sequence}", rows::row_id(player));
    let unreadable = |column| move |error: serde_json::Error| rows::corrupt("journal", column, id(), error);
    let numbers: Vec<i64> = serde_json::from_str(&goals).map_err(unreadable("goals"))?;
    let goals: Vec<GoalNumber> = numbers
        .into_iter()
        .map(|goal| {
            let bad = || rows::corrupt("journal", "goals", id(), BadValue(goal.to_string()));
            rows::goal_from(goal).ok_or_else(bad)
        })
        .collect::<Result<_, _>>()?;
    let ends: Vec<Option<i64>> = serde_json::from_str(&ends).map_err(unreadable("cycle_ends"))?;
    let ends: Vec<_> = ends.into_iter().map(|end| end.map(Timestamp::from_millis)).collect();
    let numbers: Vec<i64> = serde_json::from_str(&cycles).map_err(unreadable("cycles"))?;
    let cycles = rows::cycles_from(goals.len(), &numbers, &ends)
        .ok_or_else(|| rows::corrupt("journal", "cycles", id(), BadValue(cycles)))?;
    let kind = JournalKind::from_word(&kind)
        .ok_or_else(|| rows::corrupt("journal", "kind", id(), BadValue(kind)))?;
    let number =
        u64::try_from(sequence).map_err(|error| rows::corrupt("journal", "sequence", id(), error))?;
    let progress: Vec<i32> = progress
        .as_deref()
        .map(serde_json::from_str)
        .transpose()
        .map_err(unreadable("progress"))?
        .unwrap_or_default();
    let at = Timestamp::from_millis(at);
    let entry = JournalEntry { sequence: number, at, kind, goals, cycles, progress };
    Ok(JournalRow { player: player.clone(), entry })
}
