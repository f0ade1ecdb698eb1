//! Goal numbers, catalogue versions and the generations of receipts.

use std::collections::HashMap;

use gauntlet_domain::{GoalNumber, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::connection::{failure, value};
use crate::{
    contract::{Error, FORGET_REPLICA_MILLIS, Meeting, Replica},
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

pub(super) fn find(connection: &Connection, text: &str) -> Result<Option<u32>, Error> {
    let newest: Option<Option<u32>> =
        value(connection, "SELECT max(version) FROM catalogue_version WHERE text = ?1", [text])
            .map_err(|error| failure("catalogue.find", error))?;
    Ok(newest.flatten())
}

pub(super) fn activate(connection: &Connection, version: u32, now: Timestamp) -> Result<bool, Error> {
    let activate = || -> rusqlite::Result<bool> {
        connection.execute(
            "UPDATE catalogue_version SET activated_at = ?2 WHERE version = ?1 AND activated_at IS NULL \
             AND version = (SELECT max(version) FROM catalogue_version)",
            (version, now.millis()),
        )?;
        let sql = "SELECT 1 FROM catalogue_version WHERE version = ?1 AND activated_at IS NOT NULL";
        Ok(value::<i64>(connection, sql, [version])?.is_some())
    };
    activate().map_err(|error| failure("catalogue.activate", error))
}

pub(super) fn used(connection: &Connection, after: u32) -> Result<Vec<(u32, Timestamp)>, Error> {
    let used = || -> rusqlite::Result<Vec<(u32, Timestamp)>> {
        let mut statement = connection.prepare_cached(
            "SELECT version, activated_at FROM catalogue_version WHERE activated_at IS NOT NULL AND version > ?1 \
             ORDER BY version",
        )?;
        let used = |row: &Row<'_>| Ok((row.get(0)?, Timestamp::from_millis(row.get(1)?)));
        statement.query_map([after], used)?.collect()
    };
    used().map_err(|error| failure("catalogue.used", error))
}

pub(super) fn meet(connection: &Connection, replica: &Replica) -> Result<Meeting, Error> {
    let meet = || -> rusqlite::Result<Meeting> {
        let old = replica.seen_at.plus_millis(-FORGET_REPLICA_MILLIS).millis();
        connection.execute("DELETE FROM replica WHERE seen_at < ?1", [old])?;
        connection.execute(
            "INSERT INTO replica (instance, loaded, seen_at) VALUES (?1, ?2, ?3) ON CONFLICT (instance) \
             DO UPDATE SET loaded = excluded.loaded, seen_at = excluded.seen_at",
            (&replica.instance, replica.loaded, replica.seen_at.millis()),
        )?;
        let newest: Option<(u32, i64)> = connection
            .query_row(
                "SELECT version, created_at FROM catalogue_version ORDER BY version DESC LIMIT 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (newest, registered_at) = newest.unwrap_or_default();
        let in_use: Option<Option<u32>> = value(
            connection,
            "SELECT max(version) FROM catalogue_version WHERE activated_at IS NOT NULL",
            [],
        )?;
        let mut statement =
            connection.prepare_cached("SELECT instance, loaded, seen_at FROM replica ORDER BY instance")?;
        let replicas = statement.query_map([], |row| {
            let seen_at = Timestamp::from_millis(row.get(2)?);
            Ok(Replica { instance: row.get(0)?, loaded: row.get(1)?, seen_at })
        })?;
        Ok(Meeting {
            newest,
            registered_at: Timestamp::from_millis(registered_at),
            in_use: in_use.flatten().unwrap_or(0),
            replicas: replicas.collect::<rusqlite::Result<_>>()?,
        })
    };
    meet().map_err(|error| failure("replica.meet", error))
}

pub(super) fn leave(connection: &Connection, instance: &str) -> Result<(), Error> {
    connection
        .execute("DELETE FROM replica WHERE instance = ?1", [instance])
        .map(drop)
        .map_err(|error| failure("replica.leave", error))
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
