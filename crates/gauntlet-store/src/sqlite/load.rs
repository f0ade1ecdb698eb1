//! Reading players and the journal.

use gauntlet_domain::{JournalEntry, JournalKind, Receipt, Timestamp};
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
    const SQL: &str = "SELECT sequence, at, kind, goals FROM journal WHERE player = ?1 AND namespace = ?2 \
         AND sequence > ?3 ORDER BY sequence LIMIT ?4";
    let read = || -> rusqlite::Result<Vec<(i64, i64, String, String)>> {
        let mut statement = connection.prepare_cached(SQL)?;
        let params = (&player.player, &player.namespace, rows::wide(after), limit);
        let found =
            statement.query_map(params, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        found.collect()
    };
    let found = read().map_err(|error| failure("journal.read", error))?;
    found.into_iter().map(|row| journal_row(player, row)).collect()
}

fn journal_row(
    player: &PlayerKey,
    (sequence, at, kind, goals): (i64, i64, String, String),
) -> Result<JournalRow, Error> {
    let id = || format!("{}/{sequence}", rows::row_id(player));
    let numbers: Vec<i64> =
        serde_json::from_str(&goals).map_err(|error| rows::corrupt("journal", "goals", id(), error))?;
    let goals = numbers
        .into_iter()
        .map(|goal| {
            let bad = || rows::corrupt("journal", "goals", id(), BadValue(goal.to_string()));
            rows::goal_from(goal).ok_or_else(bad)
        })
        .collect::<Result<_, _>>()?;
    let kind = JournalKind::from_word(&kind)
        .ok_or_else(|| rows::corrupt("journal", "kind", id(), BadValue(kind)))?;
    let number =
        u64::try_from(sequence).map_err(|error| rows::corrupt("journal", "sequence", id(), error))?;
    let entry = JournalEntry { sequence: number, at: Timestamp::from_millis(at), kind, goals };
    Ok(JournalRow { player: player.clone(), entry })
}
