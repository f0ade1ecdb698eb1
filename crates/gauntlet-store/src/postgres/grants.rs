//! Grants: taking over, giving back, listing.

use gauntlet_domain::Timestamp;
use tokio_postgres::{Row, types::ToSql};

use super::{load::get, session::Session, types::PgTime};
use crate::{
    contract::{DueGrant, Error, Grant, GrantFilter, GrantState, Lease, Retry},
    rows::{self, GRANT_COLUMNS, GrantRow},
};

/// Rows that another caller is taking at this moment are skipped and not waited for.
pub(super) async fn take_due(
    session: &mut Session,
    now: Timestamp,
    lease: &Lease,
    limit: u32,
) -> Result<Vec<DueGrant>, Error> {
    let columns: Vec<String> = GRANT_COLUMNS.split(", ").map(|name| format!("g.{name}")).collect();
    let sql = format!(
        "WITH due AS MATERIALIZED (SELECT player, namespace, goal, cycle, epoch, lease_until, lease_owner FROM reward_grant \
         WHERE state = '{sending}' AND lease_until <= $1::timestamptz ORDER BY lease_until LIMIT $2::bigint \
         FOR UPDATE SKIP LOCKED) \
         UPDATE reward_grant g SET attempt = g.attempt + 1, lease_owner = $3::text, \
         lease_until = $4::timestamptz, updated_at = $1::timestamptz FROM due \
         WHERE g.player = ANY (ARRAY[due.player]) AND g.namespace = due.namespace AND g.goal = due.goal \
         AND g.cycle = due.cycle AND g.epoch = due.epoch \
         RETURNING {columns}, due.lease_until, due.lease_owner",
        sending = GrantState::Sending.as_str(),
        columns = columns.join(", "),
    );
    let params: [&(dyn ToSql + Sync); 4] =
        [&PgTime(now), &i64::from(limit), &lease.owner, &PgTime(lease.until)];
    let taken = session.write(&sql, &params).await?;
    let mut taken: Vec<(Timestamp, GrantRow, Option<String>)> = taken
        .iter()
        .map(|row| {
            let due = get::<PgTime>(row, columns.len(), session)?.0;
            Ok((due, grant_row(row, session)?, get(row, columns.len() + 1, session)?))
        })
        .collect::<Result<_, Error>>()?;
    taken.sort_by_key(|(due, row, _)| (*due, row.created_at));
    Ok(rows::readable(taken.into_iter().map(|(_, row, owner)| (row, owner))))
}

pub(super) async fn retry(session: &mut Session, retry: &Retry, now: Timestamp) -> Result<bool, Error> {
    let sql = format!(
        "UPDATE reward_grant SET lease_owner = CASE WHEN $10::boolean THEN lease_owner ELSE '' END, lease_until = $1::timestamptz, reason = $2::text, \
         updated_at = $3::timestamptz WHERE player = $4::text AND namespace = $5::text \
         AND goal = $6::integer AND cycle = $7::bigint AND epoch = $8::bigint AND attempt = $9::bigint \
         AND state = '{}' RETURNING 1",
        GrantState::Sending.as_str()
    );
    let (player, key) = (&retry.id.player, &retry.id.key);
    let changed = session
        .write(
            &sql,
            &[
                &PgTime(retry.not_before),
                &retry.reason,
                &PgTime(now),
                &player.player,
                &&*player.namespace,
                &rows::goal_column(key.goal),
                &i64::from(key.cycle),
                &i64::from(key.epoch),
                &i64::from(retry.attempt),
                &retry.in_doubt,
            ],
        )
        .await?;
    Ok(!changed.is_empty())
}

pub(super) async fn list(
    session: &mut Session,
    filter: &GrantFilter,
    limit: u32,
) -> Result<Vec<Grant>, Error> {
    // The state is part of the text, so that its index fits.
    let state = filter.state.map(|state| format!(" AND state = '{}'", state.as_str()));
    let state = state.unwrap_or_default();
    let mut sql = format!("SELECT {GRANT_COLUMNS} FROM reward_grant WHERE true{state}");
    let limit = i64::from(limit);
    let namespace = filter.player.as_ref().map_or("", |key| &*key.namespace);
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&limit];
    if let Some(key) = &filter.player {
        sql.push_str(" AND player = $2::text AND namespace = $3::text");
        params.extend([&key.player as &(dyn ToSql + Sync), &namespace]);
    }
    sql.push_str(" ORDER BY created_at, player, namespace, goal, cycle, epoch LIMIT $1::bigint");
    let rows = session.read(&sql, &params).await?;
    rows.iter().map(|row| grant_row(row, session)?.into_grant()).collect()
}

pub(super) async fn pending(session: &mut Session) -> Result<(u64, Option<Timestamp>), Error> {
    let sql = format!(
        "SELECT count(*), min(created_at) FROM reward_grant WHERE state = '{}'",
        GrantState::Sending.as_str()
    );
    let rows = session.read(&sql, &[]).await?;
    let Some(row) = rows.first() else { return Ok((0, None)) };
    let count: i64 = get(row, 0, session)?;
    let oldest: Option<PgTime> = get(row, 1, session)?;
    Ok((u64::try_from(count).unwrap_or(0), oldest.map(|time| time.0)))
}

pub(super) fn grant_row(row: &Row, session: &Session) -> Result<GrantRow, Error> {
    let text = |column| get::<String>(row, column, session);
    let time = |column| Ok::<_, Error>(get::<PgTime>(row, column, session)?.0);
    Ok(GrantRow {
        player: text(0)?,
        namespace: text(1)?,
        goal: i64::from(get::<i32>(row, 2, session)?),
        cycle: get(row, 3, session)?,
        epoch: get(row, 4, session)?,
        challenge_id: text(5)?,
        goal_id: text(6)?,
        reward_kind: text(7)?,
        reward_id: text(8)?,
        reward_quantity: get(row, 9, session)?,
        state: text(10)?,
        attempt: get(row, 11, session)?,
        lease_owner: get(row, 12, session)?,
        lease_until: get::<Option<PgTime>>(row, 13, session)?.map(|time| time.0),
        claimed_at: time(14)?,
        created_at: time(15)?,
        updated_at: time(16)?,
        reason: text(17)?,
    })
}
