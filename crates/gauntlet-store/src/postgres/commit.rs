//! Writing players: one statement that is put together from the parts that a batch needs.
//!
//! `UPDATE .. FROM unnest(..)` compares and swaps; everything else is inserted only for the
//! players that came out of that (`ok`). Parts of one statement share a snapshot and a fate.
//!
//! Two habits of the SQL keep its cost bound to the rows it names, however small the tables were
//! when it was planned (plans are kept, see `session_settings`):
//! - `p.player = ANY (ARRAY[u.player])` instead of `=`: an equality of two columns would let the
//!   planner read the whole table in index order and join that; this form leaves only the look-up
//!   by key for each row of the batch, in the batch's order, which is sorted, so that two batches
//!   lock rows in the same order and cannot deadlock.
//! - `(.. IN (SELECT .. FROM ok)) IS TRUE`: stays a hashed look-up in the winners and does not
//!   become a join.

use std::{collections::HashSet, fmt::Write as _};

use gauntlet_domain::{GrantKey, Timestamp, player::CycleMark};
use tokio_postgres::types::ToSql;

use super::{
    load::get,
    session::{Failure, Session},
    types::PgTime,
};
use crate::{
    contract::{Due, Error, GrantState, Write, Written},
    rows::{self, Encoded, Settled},
};

const WINNERS: &str = "((u.player, u.namespace) IN (SELECT ok.player, ok.namespace FROM ok)) IS TRUE";

/// Writes a checked batch.
pub(super) async fn commit(
    session: &mut Session,
    writes: &[Write],
    encoded: &[Encoded],
) -> Result<Vec<Written>, Failure> {
    let mut batch: Vec<(&Write, &Encoded)> = writes.iter().zip(encoded).collect();
    batch.sort_unstable_by_key(|(write, _)| &write.key);
    let statement = Statement::of(&batch, Parts::of(&batch));
    let params: Vec<&(dyn ToSql + Sync)> =
        statement.values.iter().map(|value| value.as_ref() as &(dyn ToSql + Sync)).collect();
    let answer = session.write(&statement.sql, &params).await?;
    let row = answer.first().ok_or_else(|| {
        let source = "a commit was answered without a row".into();
        Error::Rejected { operation: session.operation(), source }
    })?;
    let winners: Option<Vec<&str>> = get(row, 0, session)?;
    let Some(players) = winners else { return Ok(writes.iter().map(rows::done).collect()) };
    let namespaces: Option<Vec<&str>> = get(row, 1, session)?;
    let winners: HashSet<(&str, &str)> = players.into_iter().zip(namespaces.unwrap_or_default()).collect();
    Ok(writes
        .iter()
        .map(|write| {
            let key = (write.key.player.as_str(), &*write.key.namespace);
            if winners.contains(&key) { rows::done(write) } else { Written::Conflict }
        })
        .collect())
}

type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// A column of `unnest(..) AS u(..)`: its name and its values. The type is that of the table's
/// column.
struct Column<'a> {
    name: &'static str,
    sql_type: &'static str,
    values: Value<'a>,
}

fn column<'a, T: ToSql + Sync + Send + 'a>(
    name: &'static str,
    sql_type: &'static str,
    values: impl Iterator<Item = T>,
) -> Column<'a> {
    Column { name, sql_type, values: Box::new(values.collect::<Vec<T>>()) }
}

/// The columns that name the players of some rows.
fn key_columns<'a>(writes: impl Iterator<Item = &'a Write> + Clone) -> [Column<'a>; 2] {
    [
        column("player", "text", writes.clone().map(|write| write.key.player.as_str())),
        column("namespace", "text", writes.map(|write| &*write.key.namespace)),
    ]
}

fn grant_key_columns<'a>(keys: impl Iterator<Item = &'a GrantKey> + Clone) -> [Column<'a>; 3] {
    [
        column("goal", "integer", keys.clone().map(|key| rows::goal_column(key.goal))),
        column("cycle", "bigint", keys.clone().map(|key| i64::from(key.cycle))),
        column("epoch", "bigint", keys.map(|key| i64::from(key.epoch))),
    ]
}

type Batch<'a> = [(&'a Write, &'a Encoded)];

#[derive(Default)]
struct Statement<'a> {
    sql: String,
    values: Vec<Value<'a>>,
}

/// Which parts a statement has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each a yes or no")]
pub(super) struct Parts {
    /// Players that exist.
    pub(super) updates: bool,
    /// Players that do not.
    pub(super) creates: bool,
    /// Settled parts to write.
    pub(super) settles: bool,
    /// Settled parts to remove.
    pub(super) unsettles: bool,
    pub(super) receipts: bool,
    pub(super) orders: bool,
    pub(super) results: bool,
    pub(super) journal: bool,
    /// Players to look after at a time.
    pub(super) due: bool,
    /// Players who need no looking after any more.
    pub(super) not_due: bool,
}

impl Parts {
    fn of(batch: &Batch<'_>) -> Self {
        let mut parts = Self::default();
        for (write, bytes) in batch {
            parts.updates |= write.expected.is_some();
            parts.creates |= write.expected.is_none();
            parts.settles |= matches!(bytes.settled, Settled::Put(_));
            parts.unsettles |= matches!(bytes.settled, Settled::Remove);
            parts.receipts |= !write.receipts.is_empty();
            // Orders without a lease were refused before.
            parts.orders |= write.lease.is_some() && !write.orders.is_empty();
            parts.results |= !write.results.is_empty();
            parts.journal |= !write.journal.is_empty();
            parts.due |= matches!(write.due, Due::At(_));
            parts.not_due |= write.due == Due::Never;
        }
        parts
    }
}

/// Runs the statement of these parts on nobody, which changes nothing: the session knows it and
/// its plan from now on.
pub(super) async fn rehearse(session: &mut Session, parts: Parts) -> Result<(), Failure> {
    let statement = Statement::of(&[], parts);
    let params: Vec<&(dyn ToSql + Sync)> =
        statement.values.iter().map(|value| value.as_ref() as &(dyn ToSql + Sync)).collect();
    session.write(&statement.sql, &params).await.map(drop)
}

impl<'a> Statement<'a> {
    fn of(batch: &Batch<'a>, parts: Parts) -> Self {
        let mut statement = Self { sql: String::with_capacity(2_048), values: Vec::new() };
        statement.sql.push_str("WITH ");
        // Where there is one of them only, it is `ok` itself: each more costs a copy of the rows.
        let both = parts.updates && parts.creates;
        if parts.updates {
            statement.update(batch, if both { "written" } else { "ok" });
        }
        if both {
            statement.sql.push_str(", ");
        }
        if parts.creates {
            statement.create(batch, if both { "created" } else { "ok" });
        }
        if both {
            statement.sql.push_str(", ok AS (SELECT * FROM written UNION ALL SELECT * FROM created)");
        }
        if parts.settles {
            statement.settle(batch);
        }
        if parts.unsettles {
            statement.unsettle(batch);
        }
        if parts.receipts {
            statement.receipts(batch);
        }
        if parts.orders {
            statement.orders(batch);
        }
        if parts.results {
            statement.results(batch);
        }
        if parts.journal {
            statement.journal(batch);
        }
        if parts.due {
            statement.due(batch);
        }
        if parts.not_due {
            statement.not_due(batch);
        }
        statement.answer(batch);
        statement
    }

    /// `unnest($1::text[], ..) AS u(player, ..)` of these columns.
    fn source(&mut self, columns: impl IntoIterator<Item = Column<'a>>) -> String {
        let (mut arrays, mut names) = (String::new(), String::new());
        for Column { name, sql_type, values } in columns {
            self.values.push(values);
            let comma = if names.is_empty() { "" } else { ", " };
            names.push_str(comma);
            names.push_str(name);
            // Writing to a String cannot fail.
            let _ = write!(arrays, "{comma}${}::{sql_type}[]", self.values.len());
        }
        format!("unnest({arrays}) AS u({names})")
    }

    /// Who was written, and nobody when everybody was: usually there is nothing to tell.
    fn answer(&mut self, batch: &Batch<'a>) {
        let all = i64::try_from(batch.len()).unwrap_or(i64::MAX);
        self.values.push(Box::new(all));
        let count = self.values.len();
        let column = |name: &str| {
            format!(
                "CASE WHEN (SELECT count(*) FROM ok) <> ${count}::bigint \
                 THEN (SELECT coalesce(array_agg(ok.{name}), '{{}}') FROM ok) END"
            )
        };
        let _ = write!(self.sql, " SELECT {}, {}", column("player"), column("namespace"));
    }

    /// Adds a part after `ok`.
    fn part(&mut self, name: &str, sql: &str) {
        let _ = write!(self.sql, ", {name} AS ({sql})");
    }

    fn update(&mut self, batch: &Batch<'a>, name: &str) {
        let old = batch.iter().copied().filter(|(write, _)| write.expected.is_some());
        let source = self.source(key_columns(old.clone().map(|(write, _)| write)).into_iter().chain([
            column("revision", "bigint", old.clone().filter_map(|(write, _)| write.expected).map(rows::wide)),
            column("live", "bytea", old.map(|(_, bytes)| bytes.live.as_slice())),
        ]));
        let _ = write!(
            self.sql,
            "{name} AS (UPDATE player p SET revision = p.revision + 1, live = u.live FROM {source} \
             WHERE p.player = ANY (ARRAY[u.player]) AND p.namespace = u.namespace \
             AND p.revision = u.revision RETURNING p.player, p.namespace)"
        );
    }

    fn create(&mut self, batch: &Batch<'a>, name: &str) {
        let new = batch.iter().copied().filter(|(write, _)| write.expected.is_none());
        let source =
            self.source(key_columns(new.clone().map(|(write, _)| write)).into_iter().chain([column(
                "live",
                "bytea",
                new.map(|(_, bytes)| bytes.live.as_slice()),
            )]));
        let _ = write!(
            self.sql,
            "{name} AS (INSERT INTO player (player, namespace, revision, live) \
             SELECT u.player, u.namespace, 1, u.live FROM {source} \
             ON CONFLICT DO NOTHING RETURNING player, namespace)"
        );
    }

    fn settle(&mut self, batch: &Batch<'a>) {
        let put = batch.iter().copied().filter_map(|(write, bytes)| match &bytes.settled {
            Settled::Put(bytes) => Some((write, bytes.as_slice())),
            _ => None,
        });
        let source =
            self.source(key_columns(put.clone().map(|(write, _)| write)).into_iter().chain([column(
                "settled",
                "bytea",
                put.map(|(_, bytes)| bytes),
            )]));
        let sql = format!(
            "INSERT INTO settled (player, namespace, settled) \
             SELECT u.player, u.namespace, u.settled FROM {source} WHERE {WINNERS} \
             ON CONFLICT (player, namespace) DO UPDATE SET settled = excluded.settled"
        );
        self.part("settled_put", &sql);
    }

    fn unsettle(&mut self, batch: &Batch<'a>) {
        let removed = batch
            .iter()
            .copied()
            .filter(|(_, bytes)| matches!(bytes.settled, Settled::Remove))
            .map(|(write, _)| write);
        let source = self.source(key_columns(removed));
        let sql = format!(
            "DELETE FROM settled s USING {source} \
             WHERE s.player = ANY (ARRAY[u.player]) AND s.namespace = u.namespace AND {WINNERS}"
        );
        self.part("settled_removed", &sql);
    }

    /// Pages of receipts that leave their documents.
    fn receipts(&mut self, batch: &Batch<'a>) {
        let all = batch.iter().copied().map(|(write, _)| write).filter(|write| !write.receipts.is_empty());
        let source = self.source(key_columns(all.clone()).into_iter().chain([
            column(
                "revision",
                "bigint",
                all.clone().map(|write| rows::wide(write.expected.unwrap_or(0)) + 1),
            ),
            column("receipts", "bytea", all.map(|write| rows::page(&write.receipts))),
        ]));
        self.part("page", &format!("SELECT u.* FROM {source} WHERE {WINNERS}"));
        // The condition is evaluated once: the generation that is not current costs nothing.
        for generation in [0, 1] {
            let sql = format!(
                "INSERT INTO receipt_{generation} (player, namespace, revision, receipts) \
                 SELECT p.player, p.namespace, p.revision, p.receipts FROM page p \
                 WHERE (SELECT current FROM receipt_generation) = {generation}"
            );
            self.part(&format!("page_{generation}"), &sql);
        }
    }

    fn orders(&mut self, batch: &Batch<'a>) {
        let all = batch.iter().copied().flat_map(|(write, _)| {
            // Orders without a lease were refused before.
            write
                .lease
                .iter()
                .flat_map(move |lease| write.orders.iter().map(move |order| (write, lease, order)))
        });
        let columns = key_columns(all.clone().map(|(write, ..)| write))
            .into_iter()
            .chain(grant_key_columns(all.clone().map(|(.., order)| &order.key)))
            .chain([
                column("challenge_id", "text", all.clone().map(|(.., order)| order.challenge_id.as_str())),
                column("goal_id", "text", all.clone().map(|(.., order)| order.goal_id.as_str())),
                column("reward_kind", "text", all.clone().map(|(.., order)| order.reward.kind.as_str())),
                column("reward_id", "text", all.clone().map(|(.., order)| order.reward.id.as_str())),
                column("reward_quantity", "integer", all.clone().map(|(.., order)| order.reward.quantity)),
                column("lease_owner", "text", all.clone().map(|(_, lease, _)| lease.owner.as_str())),
                column("lease_until", "timestamptz", all.clone().map(|(_, lease, _)| PgTime(lease.until))),
                column("claimed_at", "timestamptz", all.clone().map(|(.., order)| PgTime(order.claimed_at))),
                column("at", "timestamptz", all.map(|(write, ..)| PgTime(write.at))),
            ]);
        let source = self.source(columns);
        let sending = GrantState::Sending.as_str();
        let sql = format!(
            "INSERT INTO reward_grant (player, namespace, goal, cycle, epoch, challenge_id, goal_id, \
             reward_kind, reward_id, reward_quantity, state, attempt, lease_owner, lease_until, \
             claimed_at, created_at, updated_at) \
             SELECT u.player, u.namespace, u.goal, u.cycle, u.epoch, u.challenge_id, u.goal_id, \
             u.reward_kind, u.reward_id, u.reward_quantity, '{sending}', 1, u.lease_owner, u.lease_until, \
             u.claimed_at, u.at, u.at FROM {source} WHERE {WINNERS}"
        );
        self.part("ordered", &sql);
    }

    fn results(&mut self, batch: &Batch<'a>) {
        let all = batch.iter().copied().flat_map(|(write, _)| {
            write.results.iter().map(move |result| (write, result, GrantState::of_end(&result.end)))
        });
        let columns = key_columns(all.clone().map(|(write, ..)| write))
            .into_iter()
            .chain(grant_key_columns(all.clone().map(|(_, result, _)| &result.key)))
            .chain([
                column("state", "text", all.clone().map(|(.., (state, _))| state.as_str())),
                column("reason", "text", all.clone().map(|(.., (_, reason))| reason)),
                column("at", "timestamptz", all.map(|(write, ..)| PgTime(write.at))),
            ]);
        let source = self.source(columns);
        let (sending, uncertain) = (GrantState::Sending.as_str(), GrantState::Uncertain.as_str());
        let sql = format!(
            "UPDATE reward_grant g SET state = u.state, reason = u.reason, updated_at = u.at, \
             lease_owner = NULL, lease_until = NULL FROM {source} \
             WHERE g.player = ANY (ARRAY[u.player]) AND g.namespace = u.namespace AND g.goal = u.goal \
             AND g.cycle = u.cycle AND g.epoch = u.epoch AND g.state IN ('{sending}', '{uncertain}') \
             AND {WINNERS}"
        );
        self.part("ended", &sql);
    }

    fn journal(&mut self, batch: &Batch<'a>) {
        let all = batch
            .iter()
            .copied()
            .flat_map(|(write, _)| write.journal.iter().map(move |entry| (write, entry)));
        let time = |at: Timestamp| PgTime(at);
        let columns = key_columns(all.clone().map(|(write, _)| write)).into_iter().chain([
            column("sequence", "bigint", all.clone().map(|(_, entry)| rows::wide(entry.sequence))),
            column("at", "timestamptz", all.clone().map(|(_, entry)| time(entry.at))),
            column("kind", "text", all.clone().map(|(_, entry)| entry.kind.as_str())),
            // Arrays of different lengths cannot be unnested from one parameter: each travels as
            // its text.
            column(
                "goals",
                "text",
                all.clone().map(|(_, entry)| array_text(entry.goals.iter().map(|goal| goal.0))),
            ),
            column(
                "cycles",
                "text",
                all.clone().map(|(_, entry)| array_text(entry.cycles.iter().map(|cycle| cycle.number))),
            ),
            column(
                "cycle_ends",
                "text",
                all.clone().map(|(_, entry)| array_text(entry.cycles.iter().map(end_text))),
            ),
            column("progress", "text", all.map(|(_, entry)| array_text(entry.progress.iter()))),
        ]);
        let source = self.source(columns);
        let sql = format!(
            "INSERT INTO journal (player, namespace, sequence, at, kind, goals, cycles, cycle_ends, \
             progress) \
             SELECT u.player, u.namespace, u.sequence, u.at, u.kind, u.goals::integer[], \
             u.cycles::bigint[], u.cycle_ends::timestamptz[], \
             nullif(u.progress, '{{}}')::integer[] FROM {source} WHERE {WINNERS}"
        );
        self.part("journalled", &sql);
    }

    fn due(&mut self, batch: &Batch<'a>) {
        let all = batch.iter().copied().filter_map(|(write, _)| match write.due {
            Due::At(at) => Some((write, at)),
            Due::Keep | Due::Never => None,
        });
        let source =
            self.source(key_columns(all.clone().map(|(write, _)| write)).into_iter().chain([column(
                "due_at",
                "timestamptz",
                all.map(|(_, at)| PgTime(at)),
            )]));
        let sql = format!(
            "INSERT INTO due_player (player, namespace, due_at) \
             SELECT u.player, u.namespace, u.due_at FROM {source} WHERE {WINNERS} \
             ON CONFLICT (player, namespace) DO UPDATE SET due_at = excluded.due_at"
        );
        self.part("due_put", &sql);
    }

    fn not_due(&mut self, batch: &Batch<'a>) {
        let all = batch.iter().copied().filter(|(write, _)| write.due == Due::Never);
        let source = self.source(key_columns(all.map(|(write, _)| write)));
        let sql = format!(
            "DELETE FROM due_player d USING {source} \
             WHERE d.player = ANY (ARRAY[u.player]) AND d.namespace = u.namespace AND {WINNERS}"
        );
        self.part("due_removed", &sql);
    }
}

fn array_text(items: impl Iterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    format!("{{{}}}", items.join(","))
}

fn end_text(cycle: &CycleMark) -> String {
    cycle.end.map_or_else(|| "NULL".to_owned(), Timestamp::to_rfc3339)
}
