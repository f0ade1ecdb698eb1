//! Goal numbers, catalogue versions and the generations of receipts.

use std::collections::HashMap;

use gauntlet_domain::{GoalNumber, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};

use super::connection::{failure, value};
use crate::{
    contract::Error,
    crash::{self, Point},
    rows::{self, BadValue, RECEIPT_GENERATION_MILLIS},
};

pub(super) fn intern(connection: &Connection, ids: &[String]) -> Result<HashMap<String, GoalNumber>, Error> {
    let failed = |error| failure("goal.intern", error);
    ids.iter()
        .map(|id| {
            let number = number(connection, id).map_err(failed)?;
            let goal = rows::goal_from(number).ok_or_else(|| {
                rows::corrupt("goal_registry", "number", id.clone(), BadValue(number.to_string()))
            })?;
            Ok((id.clone(), goal))
        })
        .collect()
}

fn number(connection: &Connection, id: &str) -> rusqlite::Result<i64> {
    let known = value(connection, "SELECT number FROM goal_registry WHERE goal_id = ?1", [id])?;
    if let Some(number) = known {
        return Ok(number);
    }
    connection
        .prepare_cached(
            "INSERT INTO goal_registry (goal_id, number) \
             SELECT ?1, coalesce(max(number), 0) + 1 FROM goal_registry RETURNING number",
        )?
        .query_row([id], |row| row.get(0))
}

pub(super) fn register(connection: &Connection, text: &str, now: Timestamp) -> Result<u32, Error> {
    let failed = |error| failure("catalogue.register", error);
    let newest: Option<(u32, bool)> = connection
        .query_row(
            "SELECT version, text = ?1 FROM catalogue_version ORDER BY version DESC LIMIT 1",
            [text],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .map_err(failed)?;
    let version = match newest {
        Some((version, true)) => return Ok(version),
        Some((version, false)) => version + 1,
        None => 1,
    };
    connection
        .execute(
            "INSERT INTO catalogue_version (version, text, created_at) VALUES (?1, ?2, ?3)",
            (version, text, now.millis()),
        )
        .map_err(failed)?;
    Ok(version)
}

pub(super) fn text(connection: &Connection, version: u32) -> Result<Option<String>, Error> {
    value(connection, "SELECT text FROM catalogue_version WHERE version = ?1", [version])
        .map_err(|error| failure("catalogue.text", error))
}

pub(super) fn rotate_receipts(connection: &Connection, now: Timestamp) -> Result<bool, Error> {
    let rotate = || -> rusqlite::Result<bool> {
        let (current, started): (i64, i64) =
            connection.query_row("SELECT current, started_at FROM receipt_generation", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        if now.since(Timestamp::from_millis(started)) < RECEIPT_GENERATION_MILLIS {
            return Ok(false);
        }
        let next = 1 - current;
        // Without a condition SQLite drops the table's pages and does not walk its rows.
        connection.execute(&format!("DELETE FROM receipt_{next}"), [])?;
        crash::point(Point::RotatingReceipts);
        connection
            .execute("UPDATE receipt_generation SET current = ?1, started_at = ?2", (next, now.millis()))?;
        Ok(true)
    };
    rotate().map_err(|error| failure("receipt.rotate", error))
}
