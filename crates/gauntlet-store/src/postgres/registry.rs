//! Goal numbers and catalogue versions: small tables that every replica must agree on. Whoever
//! adds to them holds an advisory lock until its transaction ends.

use std::collections::HashMap;

use gauntlet_domain::{GoalNumber, Timestamp};

use super::{
    load::get,
    session::{Failure, Session},
    types::PgTime,
};
use crate::{
    contract::{Error, FORGET_REPLICA_MILLIS, Meeting, Replica},
    rows::{self, BadValue},
};

/// The key of the advisory lock: the bytes of "gauntreg".
const LOCK: &str = "SELECT pg_advisory_xact_lock(7449364375908017511)";

type Numbers = HashMap<String, GoalNumber>;

pub(super) async fn intern(session: &mut Session, ids: &[String]) -> Result<Numbers, Error> {
    let known = numbers(session, ids).await?;
    if ids.iter().all(|id| known.contains_key(id)) {
        return Ok(known);
    }
    session.begin().await?;
    match intern_locked(session, ids).await {
        Ok(numbers) => {
            session.commit().await?;
            Ok(numbers)
        }
        Err(failure) => {
            session.roll_back().await;
            Err(failure.into())
        }
    }
}

async fn intern_locked(session: &mut Session, ids: &[String]) -> Result<Numbers, Failure> {
    session.read(LOCK, &[]).await?;
    let mut known = numbers(session, ids).await?;
    let rows = session.read("SELECT coalesce(max(number), 0) FROM goal_registry", &[]).await?;
    let mut last: i32 = rows.first().map_or(Ok(0), |row| get(row, 0, session))?;
    let (mut new_ids, mut new_numbers) = (Vec::new(), Vec::new());
    for id in ids {
        if known.contains_key(id) {
            continue;
        }
        last += 1;
        let number = rows::goal_from(last.into()).unwrap_or(GoalNumber(0));
        known.insert(id.clone(), number);
        new_ids.push(id.as_str());
        new_numbers.push(last);
    }
    session
        .write(
            "INSERT INTO goal_registry (goal_id, number) SELECT * FROM unnest($1::text[], $2::integer[])",
            &[&new_ids, &new_numbers],
        )
        .await?;
    Ok(known)
}

async fn numbers(session: &mut Session, ids: &[String]) -> Result<Numbers, Failure> {
    let sql = "SELECT goal_id, number FROM goal_registry WHERE goal_id = ANY ($1::text[])";
    let found = session.read(sql, &[&ids]).await?;
    found
        .iter()
        .map(|row| {
            let (id, number): (String, i32) = (get(row, 0, session)?, get(row, 1, session)?);
            let number = rows::goal_from(number.into()).ok_or_else(|| {
                rows::corrupt("goal_registry", "number", id.clone(), BadValue(number.to_string()))
            })?;
            Ok((id, number))
        })
        .collect()
}

pub(super) async fn register(session: &mut Session, text: &str, now: Timestamp) -> Result<u32, Error> {
    if let Newest { version, same: true } = newest(session, text).await? {
        return Ok(version);
    }
    session.begin().await?;
    match register_locked(session, text, now).await {
        Ok(version) => {
            session.commit().await?;
            Ok(version)
        }
        Err(failure) => {
            session.roll_back().await;
            Err(failure.into())
        }
    }
}

async fn register_locked(session: &mut Session, text: &str, now: Timestamp) -> Result<u32, Failure> {
    session.read(LOCK, &[]).await?;
    let Newest { version, same } = newest(session, text).await?;
    if same {
        return Ok(version);
    }
    let version = version + 1;
    let column = i32::try_from(version).unwrap_or(i32::MAX);
    session
        .write(
            "INSERT INTO catalogue_version (version, text, created_at) \
             VALUES ($1::integer, $2::text, $3::timestamptz)",
            &[&column, &text, &PgTime(now)],
        )
        .await?;
    Ok(version)
}

struct Newest {
    /// 0: there is none.
    version: u32,
    /// Whether it has the text in question.
    same: bool,
}

async fn newest(session: &mut Session, text: &str) -> Result<Newest, Failure> {
    let sql = "SELECT version, text = $1::text FROM catalogue_version ORDER BY version DESC LIMIT 1";
    let rows = session.read(sql, &[&text]).await?;
    let Some(row) = rows.first() else { return Ok(Newest { version: 0, same: false }) };
    let (version, same): (i32, bool) = (get(row, 0, session)?, get(row, 1, session)?);
    let version = u32::try_from(version).map_err(|error| {
        Failure::from(rows::corrupt("catalogue_version", "version", version.to_string(), error))
    })?;
    Ok(Newest { version, same })
}

pub(super) async fn text(session: &mut Session, version: u32) -> Result<Option<String>, Error> {
    let sql = "SELECT text FROM catalogue_version WHERE version = $1::bigint";
    let rows = session.read(sql, &[&i64::from(version)]).await?;
    rows.first().map(|row| get(row, 0, session)).transpose()
}

pub(super) async fn find(session: &mut Session, text: &str) -> Result<Option<u32>, Error> {
    let sql = "SELECT coalesce(max(version), 0) FROM catalogue_version WHERE text = $1::text";
    let rows = session.read(sql, &[&text]).await?;
    let newest = rows.first().map_or(Ok(0), |row| version_of(row, 0, session))?;
    Ok((newest > 0).then_some(newest))
}

/// Later versions are registered under the same lock, so that none comes in between.
pub(super) async fn activate(session: &mut Session, version: u32, now: Timestamp) -> Result<bool, Error> {
    session.begin().await?;
    match activate_locked(session, version, now).await {
        Ok(in_use) => {
            session.commit().await?;
            Ok(in_use)
        }
        Err(failure) => {
            session.roll_back().await;
            Err(failure.into())
        }
    }
}

async fn activate_locked(session: &mut Session, version: u32, now: Timestamp) -> Result<bool, Failure> {
    session.read(LOCK, &[]).await?;
    let wanted = i64::from(version);
    session
        .write(
            "UPDATE catalogue_version SET activated_at = $2::timestamptz WHERE version = $1::bigint \
             AND activated_at IS NULL AND version = (SELECT max(version) FROM catalogue_version)",
            &[&wanted, &PgTime(now)],
        )
        .await?;
    let sql = "SELECT 1 FROM catalogue_version WHERE version = $1::bigint AND activated_at IS NOT NULL";
    Ok(!session.read(sql, &[&wanted]).await?.is_empty())
}

pub(super) async fn used(session: &mut Session, after: u32) -> Result<Vec<(u32, Timestamp)>, Error> {
    let sql = "SELECT version, activated_at FROM catalogue_version WHERE activated_at IS NOT NULL \
         AND version > $1::bigint ORDER BY version";
    let rows = session.read(sql, &[&i64::from(after)]).await?;
    let used = |row| Ok((version_of(row, 0, session)?, get::<PgTime>(row, 1, session)?.0));
    rows.iter().map(used).collect()
}

/// Three statements and no transaction: each sees at least what was there when the first had ended.
pub(super) async fn meet(session: &mut Session, replica: &Replica) -> Result<Meeting, Error> {
    let loaded = i32::try_from(replica.loaded).unwrap_or(i32::MAX);
    let (seen, old) = (PgTime(replica.seen_at), PgTime(replica.seen_at.plus_millis(-FORGET_REPLICA_MILLIS)));
    session
        .write(
            "WITH gone AS (DELETE FROM replica WHERE seen_at < $4::timestamptz AND instance <> $1::text) \
             INSERT INTO replica (instance, loaded, seen_at) \
             VALUES ($1::text, $2::integer, $3::timestamptz) ON CONFLICT (instance) \
             DO UPDATE SET loaded = excluded.loaded, seen_at = excluded.seen_at",
            &[&replica.instance, &loaded, &seen, &old],
        )
        .await?;
    let sql = "SELECT version, created_at, coalesce((SELECT max(version) FROM catalogue_version \
         WHERE activated_at IS NOT NULL), 0) FROM catalogue_version ORDER BY version DESC LIMIT 1";
    let rows = session.read(sql, &[]).await?;
    let (newest, registered_at, in_use) = match rows.first() {
        None => (0, Timestamp::default(), 0),
        Some(row) => {
            (version_of(row, 0, session)?, get::<PgTime>(row, 1, session)?.0, version_of(row, 2, session)?)
        }
    };
    let sql = "SELECT instance, loaded, seen_at FROM replica ORDER BY instance";
    let rows = session.read(sql, &[]).await?;
    let replicas = rows.iter().map(|row| {
        Ok(Replica {
            instance: get(row, 0, session)?,
            loaded: version_of(row, 1, session)?,
            seen_at: get::<PgTime>(row, 2, session)?.0,
        })
    });
    Ok(Meeting { newest, registered_at, in_use, replicas: replicas.collect::<Result<_, Error>>()? })
}

pub(super) async fn leave(session: &mut Session, instance: &str) -> Result<(), Error> {
    session.write("DELETE FROM replica WHERE instance = $1::text", &[&instance]).await?;
    Ok(())
}

fn version_of(row: &tokio_postgres::Row, column: usize, session: &Session) -> Result<u32, Error> {
    let version: i32 = get(row, column, session)?;
    u32::try_from(version)
        .map_err(|error| rows::corrupt("catalogue_version", "version", version.to_string(), error))
}
