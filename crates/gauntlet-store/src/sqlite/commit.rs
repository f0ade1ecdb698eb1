//! Writing players, in the writer's transaction.

use gauntlet_domain::{Player, Timestamp};
use rusqlite::Connection;

use super::connection::failure;
use crate::{
    contract::{Due, Error, GrantState, PlayerKey, Write, Written},
    rows::{self, Encoded, Settled},
};

/// A copy of a write for the other thread, without the document, which travels as bytes.
pub(super) fn without_document(write: &Write) -> Write {
    Write {
        player: Player::default(),
        key: write.key.clone(),
        expected: write.expected,
        settled_changed: write.settled_changed,
        receipts: write.receipts.clone(),
        orders: write.orders.clone(),
        lease: write.lease.clone(),
        results: write.results.clone(),
        journal: write.journal.clone(),
        due: write.due,
        at: write.at,
    }
}

/// Compares and swaps one player, and stores what goes with it.
pub(super) fn write(connection: &Connection, write: &Write, encoded: &Encoded) -> Result<Written, Error> {
    let all = || -> rusqlite::Result<Written> {
        if !swap(connection, write, encoded)? {
            return Ok(Written::Conflict);
        }
        settle(connection, write, encoded)?;
        receipts(connection, write)?;
        orders(connection, write)?;
        results(connection, write)?;
        journal(connection, write)?;
        due(connection, write)?;
        Ok(rows::done(write))
    };
    all().map_err(|error| failure("player.commit", error))
}

fn execute(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(params)
}

fn swap(connection: &Connection, write: &Write, encoded: &Encoded) -> rusqlite::Result<bool> {
    const UPDATE: &str = "UPDATE player SET revision = revision + 1, live = ?4 \
         WHERE player = ?1 AND namespace = ?2 AND revision = ?3";
    const INSERT: &str = "INSERT INTO player (player, namespace, revision, live) VALUES (?1, ?2, 1, ?3) \
         ON CONFLICT DO NOTHING";
    let (key, live) = (&write.key, &encoded.live);
    let changed = match write.expected {
        Some(revision) => {
            execute(connection, UPDATE, (&key.player, &key.namespace, rows::wide(revision), live))?
        }
        None => execute(connection, INSERT, (&key.player, &key.namespace, live))?,
    };
    Ok(changed == 1)
}

fn settle(connection: &Connection, write: &Write, encoded: &Encoded) -> rusqlite::Result<()> {
    const PUT: &str = "INSERT INTO settled (player, namespace, settled) VALUES (?1, ?2, ?3) \
         ON CONFLICT (player, namespace) DO UPDATE SET settled = excluded.settled";
    const REMOVE: &str = "DELETE FROM settled WHERE player = ?1 AND namespace = ?2";
    let key = &write.key;
    match &encoded.settled {
        Settled::Keep => Ok(0),
        Settled::Put(bytes) => execute(connection, PUT, (&key.player, &key.namespace, bytes)),
        Settled::Remove => execute(connection, REMOVE, (&key.player, &key.namespace)),
    }
    .map(drop)
}

fn receipts(connection: &Connection, write: &Write) -> rusqlite::Result<()> {
    // Of the two statements, the one whose generation is not current inserts nothing.
    const INSERT: [&str; 2] = [
        "INSERT INTO receipt_0 (player, namespace, revision, receipts) \
         SELECT ?1, ?2, ?3, ?4 FROM receipt_generation WHERE current = 0",
        "INSERT INTO receipt_1 (player, namespace, revision, receipts) \
         SELECT ?1, ?2, ?3, ?4 FROM receipt_generation WHERE current = 1",
    ];
    if write.receipts.is_empty() {
        return Ok(());
    }
    let (key, page) = (&write.key, rows::page(&write.receipts));
    let revision = rows::wide(write.expected.unwrap_or(0)) + 1;
    for sql in INSERT {
        execute(connection, sql, (&key.player, &key.namespace, revision, &page))?;
    }
    Ok(())
}

fn orders(connection: &Connection, write: &Write) -> rusqlite::Result<()> {
    const INSERT: &str = "INSERT INTO reward_grant (player, namespace, goal, cycle, epoch, challenge_id, \
         goal_id, reward_kind, reward_id, reward_quantity, state, attempt, lease_owner, lease_until, \
         claimed_at, created_at, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'sending', 1, ?11, ?12, ?13, ?14, ?14)";
    // Orders without a lease were refused before.
    let Some(lease) = &write.lease else { return Ok(()) };
    for order in &write.orders {
        execute(
            connection,
            INSERT,
            rusqlite::params![
                write.key.player,
                write.key.namespace,
                rows::goal_column(order.key.goal),
                order.key.cycle,
                order.key.epoch,
                order.challenge_id,
                order.goal_id,
                order.reward.kind.as_str(),
                order.reward.id,
                order.reward.quantity,
                lease.owner,
                lease.until.millis(),
                order.claimed_at.millis(),
                write.at.millis(),
            ],
        )?;
    }
    Ok(())
}

fn results(connection: &Connection, write: &Write) -> rusqlite::Result<()> {
    const UPDATE: &str = "UPDATE reward_grant SET state = ?6, reason = ?7, updated_at = ?8, \
         lease_owner = NULL, lease_until = NULL WHERE player = ?1 AND namespace = ?2 AND goal = ?3 \
         AND cycle = ?4 AND epoch = ?5 AND state IN ('sending', 'uncertain')";
    for result in &write.results {
        let (state, reason) = GrantState::of_end(&result.end);
        execute(
            connection,
            UPDATE,
            (
                &write.key.player,
                &write.key.namespace,
                rows::goal_column(result.key.goal),
                result.key.cycle,
                result.key.epoch,
                state.as_str(),
                reason,
                write.at.millis(),
            ),
        )?;
    }
    Ok(())
}

fn journal(connection: &Connection, write: &Write) -> rusqlite::Result<()> {
    const INSERT: &str = "INSERT INTO journal (player, namespace, sequence, at, kind, goals, cycles, cycle_ends, \
         progress) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    for entry in &write.journal {
        let goals = json_list(entry.goals.iter().map(|goal| goal.0.to_string()));
        let cycles = json_list(entry.cycles.iter().map(|cycle| cycle.number.to_string()));
        let ends = entry.cycles.iter().map(|cycle| cycle.end.map(Timestamp::millis));
        let ends = json_list(ends.map(|end| end.map_or_else(|| "null".to_owned(), |end| end.to_string())));
        let (sequence, at) = (rows::wide(entry.sequence), entry.at.millis());
        let (key, kind) = (&write.key, entry.kind.as_str());
        let lost = entry.progress.iter().map(ToString::to_string);
        let lost = (!entry.progress.is_empty()).then(|| json_list(lost));
        let row = (&key.player, &key.namespace, sequence, at, kind, goals, cycles, ends, lost);
        execute(connection, INSERT, row)?;
    }
    Ok(())
}

fn json_list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn due(connection: &Connection, write: &Write) -> rusqlite::Result<()> {
    const PUT: &str = "INSERT INTO due_player (player, namespace, due_at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (player, namespace) DO UPDATE SET due_at = excluded.due_at";
    const REMOVE: &str = "DELETE FROM due_player WHERE player = ?1 AND namespace = ?2";
    let key = &write.key;
    match write.due {
        Due::Keep => Ok(0),
        Due::At(at) => execute(connection, PUT, (&key.player, &key.namespace, at.millis())),
        Due::Never => execute(connection, REMOVE, (&key.player, &key.namespace)),
    }
    .map(drop)
}

/// Takes players who are due; each is due again later.
pub(super) fn take_due(
    connection: &Connection,
    namespace: &str,
    now: Timestamp,
    again: Timestamp,
    limit: u32,
) -> Result<Vec<PlayerKey>, Error> {
    const SQL: &str = "SELECT player FROM due_player WHERE namespace = ?1 AND due_at <= ?2 \
         ORDER BY due_at, player LIMIT ?3";
    const PUT: &str = "UPDATE due_player SET due_at = ?3 WHERE player = ?1 AND namespace = ?2";
    let take = || -> rusqlite::Result<Vec<PlayerKey>> {
        let players = connection
            .prepare_cached(SQL)?
            .query_map((namespace, now.millis(), limit), |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()?;
        for player in &players {
            execute(connection, PUT, (player, namespace, again.millis()))?;
        }
        let key = |player| PlayerKey { player, namespace: namespace.into() };
        Ok(players.into_iter().map(key).collect())
    };
    take().map_err(|error| failure("player.take_due", error))
}

/// Deletes some old journal rows; answers how many. 0: there are no more.
pub(super) fn prune_step(connection: &Connection, before: Timestamp) -> Result<u64, Error> {
    // Few enough rows to keep the writer for some milliseconds only.
    const SQL: &str = "DELETE FROM journal WHERE (player, namespace, sequence) IN ( \
         SELECT player, namespace, sequence FROM journal WHERE at < ?1 LIMIT 1000)";
    execute(connection, SQL, [before.millis()])
        .map(|count| count as u64)
        .map_err(|error| failure("journal.prune", error))
}
