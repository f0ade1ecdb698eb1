//! Players who are due: taking them.

use gauntlet_domain::Timestamp;

use super::{load::get, session::Session, types::PgTime};
use crate::contract::{Error, PlayerKey};

/// Rows that another caller is taking at this moment are skipped and not waited for.
pub(super) async fn take(
    session: &mut Session,
    namespace: &str,
    now: Timestamp,
    again: Timestamp,
    limit: u32,
) -> Result<Vec<PlayerKey>, Error> {
    const SQL: &str = "WITH due AS MATERIALIZED (SELECT player, namespace, due_at FROM due_player \
         WHERE namespace = $1::text AND due_at <= $2::timestamptz ORDER BY due_at, player LIMIT $3::bigint \
         FOR UPDATE SKIP LOCKED) \
         UPDATE due_player d SET due_at = $4::timestamptz FROM due \
         WHERE d.player = ANY (ARRAY[due.player]) AND d.namespace = due.namespace \
         RETURNING d.player, due.due_at";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&namespace, &PgTime(now), &i64::from(limit), &PgTime(again)];
    let taken = session.write(SQL, &params).await?;
    let mut players: Vec<(Timestamp, String)> = taken
        .iter()
        .map(|row| Ok((get::<PgTime>(row, 1, session)?.0, get(row, 0, session)?)))
        .collect::<Result<_, Error>>()?;
    players.sort();
    let key = |(_, player)| PlayerKey { player, namespace: namespace.into() };
    Ok(players.into_iter().map(key).collect())
}
