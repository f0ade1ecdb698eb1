//! The journal: reading a player's rows, pruning old ones.

use gauntlet_domain::{JournalEntry, JournalKind, Timestamp};
use tokio_postgres::Row;

use super::{load::get, session::Session, types::PgTime};
use crate::{
    contract::{Error, JournalRow, PlayerKey},
    rows::{self, BadValue},
};

/// Rows deleted by one statement: few enough to be done well within its time limit.
const PRUNE_STEP: i64 = 20_000;

pub(super) async fn read(
    session: &mut Session,
    player: &PlayerKey,
    after: u64,
    limit: u32,
) -> Result<Vec<JournalRow>, Error> {
    const SQL: &str = "SELECT sequence, at, kind, goals, cycles, cycle_ends, progress FROM journal \
         WHERE player = $1::text AND namespace = $2::text AND sequence > $3::bigint \
         ORDER BY sequence LIMIT $4::bigint";
    read_with(session, SQL, player, after, limit).await
}

/// Newest first.
pub(super) async fn read_before(
    session: &mut Session,
    player: &PlayerKey,
    before: u64,
    limit: u32,
) -> Result<Vec<JournalRow>, Error> {
    const SQL: &str = "SELECT sequence, at, kind, goals, cycles, cycle_ends, progress FROM journal \
         WHERE player = $1::text AND namespace = $2::text AND sequence < $3::bigint \
         ORDER BY sequence DESC LIMIT $4::bigint";
    read_with(session, SQL, player, before, limit).await
}

async fn read_with(
    session: &mut Session,
    sql: &'static str,
    player: &PlayerKey,
    sequence: u64,
    limit: u32,
) -> Result<Vec<JournalRow>, Error> {
    let sequence = rows::wide(sequence);
    let found =
        session.read(sql, &[&player.player, &&*player.namespace, &sequence, &i64::from(limit)]).await?;
    found.iter().map(|row| journal_row(row, player, session)).collect()
}

fn journal_row(row: &Row, player: &PlayerKey, session: &Session) -> Result<JournalRow, Error> {
    let sequence: i64 = get(row, 0, session)?;
    let bad = |column: &'static str, value: String| {
        let id = format!("{}/{sequence}", rows::row_id(player));
        rows::corrupt("journal", column, id, BadValue(value))
    };
    let kind: &str = get(row, 2, session)?;
    let goals: Vec<i32> = get(row, 3, session)?;
    let numbers: Vec<i64> = get(row, 4, session)?;
    let ends: Vec<Option<PgTime>> = get(row, 5, session)?;
    let ends: Vec<_> = ends.into_iter().map(|end| end.map(|end| end.0)).collect();
    let entry = JournalEntry {
        sequence: u64::try_from(sequence).map_err(|_| bad("sequence", sequence.to_string()))?,
        at: get::<PgTime>(row, 1, session)?.0,
        kind: JournalKind::from_word(kind).ok_or_else(|| bad("kind", kind.to_owned()))?,
        cycles: rows::cycles_from(goals.len(), &numbers, &ends)
            .ok_or_else(|| bad("cycles", format!("{numbers:?}")))?,
        goals: goals
            .into_iter()
            .map(|goal| rows::goal_from(goal.into()).ok_or_else(|| bad("goals", goal.to_string())))
            .collect::<Result<_, Error>>()?,
        progress: get::<Option<Vec<i32>>>(row, 6, session)?.unwrap_or_default(),
    };
    Ok(JournalRow { player: player.clone(), entry })
}

/// Deletes some old rows; answers how many. 0: there are no more.
pub(super) async fn prune_step(session: &mut Session, before: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "WITH gone AS (DELETE FROM journal WHERE ctid = ANY (ARRAY( \
         SELECT ctid FROM journal WHERE at < $1::timestamptz LIMIT $2::bigint)) RETURNING 1) \
         SELECT count(*) FROM gone";
    let rows = session.write(SQL, &[&PgTime(before), &PRUNE_STEP]).await?;
    let count: i64 = rows.first().map_or(Ok(0), |row| get(row, 0, session))?;
    Ok(u64::try_from(count).unwrap_or(0))
}
