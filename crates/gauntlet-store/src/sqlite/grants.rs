//! Grants: taking over, giving back, listing.

use gauntlet_domain::Timestamp;
use rusqlite::{Connection, Row, params};

use super::connection::failure;
use crate::{
    contract::{DueGrant, Error, Grant, GrantFilter, Lease, Retry},
    rows::{self, GRANT_COLUMNS, GrantRow},
};

pub(super) fn take_due(
    connection: &Connection,
    now: Timestamp,
    lease: &Lease,
    limit: u32,
) -> Result<Vec<DueGrant>, Error> {
    let take = || -> rusqlite::Result<Vec<(GrantRow, Option<String>)>> {
        // Reading and writing need no more care: there is one writer.
        let sql = format!(
            "SELECT {GRANT_COLUMNS} FROM reward_grant WHERE state = 'sending' AND lease_until <= ?1 \
             ORDER BY lease_until, created_at LIMIT ?2"
        );
        let mut due = connection
            .prepare_cached(&sql)?
            .query_map((now.millis(), limit), grant_row)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let mut update = connection.prepare_cached(
            "UPDATE reward_grant SET attempt = ?6, lease_owner = ?7, lease_until = ?8, updated_at = ?9 \
             WHERE player = ?1 AND namespace = ?2 AND goal = ?3 AND cycle = ?4 AND epoch = ?5",
        )?;
        let mut owners = Vec::with_capacity(due.len());
        for row in &mut due {
            row.attempt += 1;
            owners.push(row.lease_owner.replace(lease.owner.clone()));
            row.lease_until = Some(lease.until);
            row.updated_at = now;
            update.execute(params![
                row.player,
                row.namespace,
                row.goal,
                row.cycle,
                row.epoch,
                row.attempt,
                lease.owner,
                lease.until.millis(),
                now.millis(),
            ])?;
        }
        Ok(due.into_iter().zip(owners).collect())
    };
    Ok(rows::readable(take().map_err(|error| failure("grant.take_due", error))?))
}

pub(super) fn retry(connection: &Connection, retry: &Retry, now: Timestamp) -> Result<bool, Error> {
    let (player, key) = (&retry.id.player, &retry.id.key);
    let update = || -> rusqlite::Result<usize> {
        connection
            .prepare_cached(
                "UPDATE reward_grant SET lease_owner = CASE WHEN ?10 THEN lease_owner ELSE '' END, lease_until = ?1, reason = ?2, updated_at = ?3 \
                 WHERE player = ?4 AND namespace = ?5 AND goal = ?6 AND cycle = ?7 AND epoch = ?8 \
                 AND attempt = ?9 AND state = 'sending'",
            )?
            .execute(params![
                retry.not_before.millis(),
                retry.reason,
                now.millis(),
                player.player,
                player.namespace,
                key.goal.0,
                key.cycle,
                key.epoch,
                retry.attempt,
                retry.in_doubt,
            ])
    };
    update().map(|changed| changed == 1).map_err(|error| failure("grant.retry", error))
}

pub(super) fn list(connection: &Connection, filter: &GrantFilter, limit: u32) -> Result<Vec<Grant>, Error> {
    // The state is part of the text, so that its index fits.
    let state = filter.state.map(|state| format!(" AND state = '{}'", state.as_str()));
    let state = state.unwrap_or_default();
    let mut sql = format!("SELECT {GRANT_COLUMNS} FROM reward_grant WHERE true{state}");
    let (player, namespace) = match &filter.player {
        Some(key) => {
            sql.push_str(" AND player = ?2 AND namespace = ?3");
            (Some(&key.player), Some(&key.namespace))
        }
        None => (None, None),
    };
    sql.push_str(" ORDER BY created_at, player, namespace, goal, cycle, epoch LIMIT ?1");
    let read = || -> rusqlite::Result<Vec<GrantRow>> {
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = match player {
            Some(_) => statement.query_map(params![limit, player, namespace], grant_row)?,
            None => statement.query_map([limit], grant_row)?,
        };
        rows.collect()
    };
    read().map_err(|error| failure("grant.list", error))?.into_iter().map(GrantRow::into_grant).collect()
}

pub(super) fn pending(connection: &Connection) -> Result<(u64, Option<Timestamp>), Error> {
    let read = || -> rusqlite::Result<(i64, Option<i64>)> {
        connection
            .prepare_cached("SELECT count(*), min(created_at) FROM reward_grant WHERE state = 'sending'")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
    };
    let (count, oldest) = read().map_err(|error| failure("grant.pending", error))?;
    Ok((u64::try_from(count).unwrap_or(0), oldest.map(Timestamp::from_millis)))
}

pub(super) fn grant_row(row: &Row<'_>) -> rusqlite::Result<GrantRow> {
    let time = |column| row.get(column).map(Timestamp::from_millis);
    Ok(GrantRow {
        player: row.get(0)?,
        namespace: row.get(1)?,
        goal: row.get(2)?,
        cycle: row.get(3)?,
        epoch: row.get(4)?,
        challenge_id: row.get(5)?,
        goal_id: row.get(6)?,
        reward_kind: row.get(7)?,
        reward_id: row.get(8)?,
        reward_quantity: row.get(9)?,
        state: row.get(10)?,
        attempt: row.get(11)?,
        lease_owner: row.get(12)?,
        lease_until: row.get::<_, Option<i64>>(13)?.map(Timestamp::from_millis),
        claimed_at: time(14)?,
        created_at: time(15)?,
        updated_at: time(16)?,
        reason: row.get(17)?,
    })
}
