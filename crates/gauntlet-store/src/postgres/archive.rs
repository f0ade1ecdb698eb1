//! The archive of a database: reading all of it as it is at one moment, and filling an empty one.

use async_trait::async_trait;
use tokio_postgres::{Row as SqlRow, types::ToSql};

use super::{PgStore, grants::grant_row, load::get, session::Session, types::PgTime};
use crate::{
    archive::{
        BEFORE_ALL, CatalogueVersion, DuePlayer, GoalId, GrantLine, JournalLine, PAGE, PlayerDocument,
        ReceiptPage, ReceiptsSince, Row, Source, Table, Target,
    },
    contract::Error,
    rows::GRANT_COLUMNS,
};

/// A replica that told of itself within this time is at work.
const AT_WORK_SECONDS: i32 = 15;

/// A database that is read from beginning to end, in one snapshot. The service may go on.
#[derive(Debug)]
pub struct PgSource {
    session: Session,
    /// Which table of receipts is current, once it is known.
    current: i32,
}

/// An empty database that is filled in one transaction, which keeps everybody else away.
#[derive(Debug)]
pub struct PgTarget {
    session: Session,
}

impl PgStore {
    /// Begins to read everything.
    ///
    /// # Errors
    /// As for every statement.
    pub async fn source(&self) -> Result<PgSource, Error> {
        let mut session = self.session("archive.export").await?;
        session.begin().await?;
        session.script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        session.script(PATIENCE).await?;
        Ok(PgSource { session, current: 0 })
    }

    /// Begins to fill the database, whose schema has to be up to date.
    ///
    /// # Errors
    /// As for every statement.
    pub async fn target(&self) -> Result<PgTarget, Error> {
        let mut session = self.session("archive.import").await?;
        session.begin().await?;
        session.script(PATIENCE).await?;
        session
            .script(
                "LOCK TABLE player, settled, receipt_0, receipt_1, receipt_generation, reward_grant, journal, \
                 due_player, goal_registry, catalogue_version IN ACCESS EXCLUSIVE MODE",
            )
            .await?;
        Ok(PgTarget { session })
    }
}

/// Whoever reads the file may be slow.
const PATIENCE: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";

const fn name(table: Table, current: i32) -> &'static str {
    match table {
        Table::Goals => "goal_registry",
        Table::Catalogues => "catalogue_version",
        Table::ReceiptsSince => "receipt_generation",
        Table::Players => "player",
        Table::Receipts if current == 0 => "receipt_0",
        Table::OlderReceipts if current == 1 => "receipt_0",
        Table::Receipts | Table::OlderReceipts => "receipt_1",
        Table::Grants => "reward_grant",
        Table::Journal => "journal",
        Table::Due => "due_player",
    }
}

async fn count(session: &mut Session, table: &str) -> Result<u64, Error> {
    let rows = session.read(&format!("SELECT count(*) FROM {table}"), &[]).await?;
    let count: i64 = rows.first().map_or(Ok(0), |row| get(row, 0, session))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn select(table: Table, from: &str) -> String {
    match table {
        Table::Goals => {
            format!(
                "SELECT goal_id, number FROM {from} WHERE goal_id > $1::text ORDER BY goal_id LIMIT {PAGE}"
            )
        }
        Table::Catalogues => format!(
            "SELECT version, text, created_at, activated_at FROM {from} WHERE version > $1::bigint \
             ORDER BY version LIMIT {PAGE}"
        ),
        Table::ReceiptsSince => format!("SELECT started_at FROM {from}"),
        Table::Players => format!(
            "SELECT player, namespace, revision, live, (SELECT s.settled FROM settled s \
             WHERE s.player = p.player AND s.namespace = p.namespace) FROM {from} p \
             WHERE (player, namespace) > ($1::text, $2::text) ORDER BY player, namespace LIMIT {PAGE}"
        ),
        Table::Receipts | Table::OlderReceipts => format!(
            "SELECT player, namespace, revision, receipts FROM {from} \
             WHERE (player, namespace, revision) > ($1::text, $2::text, $3::bigint) \
             ORDER BY player, namespace, revision LIMIT {PAGE}"
        ),
        Table::Grants => format!(
            "SELECT {GRANT_COLUMNS} FROM {from} \
             WHERE (player, namespace, goal, cycle, epoch) > ($1::text, $2::text, $3::bigint, $4::bigint, $5::bigint) \
             ORDER BY player, namespace, goal, cycle, epoch LIMIT {PAGE}"
        ),
        Table::Journal => format!(
            "SELECT player, namespace, sequence, at, kind, goals, cycles, cycle_ends, progress FROM {from} \
             WHERE (player, namespace, sequence) > ($1::text, $2::text, $3::bigint) \
             ORDER BY player, namespace, sequence LIMIT {PAGE}"
        ),
        Table::Due => format!(
            "SELECT player, namespace, due_at FROM {from} WHERE (player, namespace) > ($1::text, $2::text) \
             ORDER BY player, namespace LIMIT {PAGE}"
        ),
    }
}

fn millis(row: &SqlRow, column: usize, session: &Session) -> Result<i64, Error> {
    Ok(get::<PgTime>(row, column, session)?.0.millis())
}

fn millis_or_null(row: &SqlRow, column: usize, session: &Session) -> Result<Option<i64>, Error> {
    Ok(get::<Option<PgTime>>(row, column, session)?.map(|time| time.0.millis()))
}

fn read(table: Table, row: &SqlRow, session: &Session) -> Result<Row, Error> {
    let text = |column| get::<String>(row, column, session);
    let page = || {
        Ok::<_, Error>(ReceiptPage {
            player: text(0)?,
            namespace: text(1)?,
            revision: get(row, 2, session)?,
            receipts: get(row, 3, session)?,
        })
    };
    Ok(match table {
        Table::Goals => Row::Goal(GoalId { id: text(0)?, number: get::<i32>(row, 1, session)?.into() }),
        Table::Catalogues => Row::Catalogue(CatalogueVersion {
            version: get::<i32>(row, 0, session)?.into(),
            text: text(1)?,
            created_at: millis(row, 2, session)?,
            activated_at: millis_or_null(row, 3, session)?,
        }),
        Table::ReceiptsSince => Row::ReceiptsSince(ReceiptsSince { started_at: millis(row, 0, session)? }),
        Table::Players => Row::Player(PlayerDocument {
            player: text(0)?,
            namespace: text(1)?,
            revision: get(row, 2, session)?,
            live: get(row, 3, session)?,
            settled: get(row, 4, session)?,
        }),
        Table::Receipts => Row::Receipts(page()?),
        Table::OlderReceipts => Row::OlderReceipts(page()?),
        Table::Grants => Row::Grant(grant_row(row, session)?.into()),
        Table::Journal => Row::Journal(journal(row, session)?),
        Table::Due => {
            Row::Due(DuePlayer { player: text(0)?, namespace: text(1)?, due_at: millis(row, 2, session)? })
        }
    })
}

fn journal(row: &SqlRow, session: &Session) -> Result<JournalLine, Error> {
    let ends: Vec<Option<PgTime>> = get(row, 7, session)?;
    Ok(JournalLine {
        player: get(row, 0, session)?,
        namespace: get(row, 1, session)?,
        sequence: get(row, 2, session)?,
        at: millis(row, 3, session)?,
        kind: get(row, 4, session)?,
        goals: get::<Vec<i32>>(row, 5, session)?.into_iter().map(i64::from).collect(),
        cycles: get(row, 6, session)?,
        cycle_ends: ends.into_iter().map(|end| end.map(|end| end.0.millis())).collect(),
        progress: get::<Option<Vec<i32>>>(row, 8, session)?
            .unwrap_or_default()
            .into_iter()
            .map(i64::from)
            .collect(),
    })
}

#[async_trait]
impl Source for PgSource {
    async fn schema(&mut self) -> Result<i32, Error> {
        let there = "SELECT to_regclass('schema_migration') IS NOT NULL";
        let rows = self.session.read(there, &[]).await?;
        if !rows.first().map_or(Ok(false), |row| get(row, 0, &self.session))? {
            return Ok(0);
        }
        let rows = self.session.read("SELECT coalesce(max(number), 0) FROM schema_migration", &[]).await?;
        let newest = rows.first().map_or(Ok(0), |row| get(row, 0, &self.session))?;
        if newest > 0 {
            let rows = self.session.read("SELECT current FROM receipt_generation", &[]).await?;
            self.current = rows.first().map_or(Ok(0), |row| get(row, 0, &self.session))?;
        }
        Ok(newest)
    }

    async fn in_use(&mut self) -> Result<bool, Error> {
        let sql = format!(
            "SELECT count(*) > 0 FROM replica WHERE seen_at > now() - make_interval(secs => {AT_WORK_SECONDS})"
        );
        let rows = self.session.read(&sql, &[]).await?;
        rows.first().map_or(Ok(false), |row| get(row, 0, &self.session))
    }

    async fn count(&mut self, table: Table) -> Result<u64, Error> {
        count(&mut self.session, name(table, self.current)).await
    }

    async fn page(&mut self, table: Table, after: Option<&Row>) -> Result<Vec<Row>, Error> {
        let ([player, namespace], [first, second, third]) = after.map_or(BEFORE_ALL, Row::key);
        let all: [&(dyn ToSql + Sync); 5] = [&player, &namespace, &first, &second, &third];
        let used = match table {
            Table::ReceiptsSince if after.is_some() => return Ok(Vec::new()),
            Table::ReceiptsSince => &all[..0],
            Table::Goals => &all[..1],
            Table::Catalogues => &all[2..3],
            Table::Players | Table::Due => &all[..2],
            Table::Receipts | Table::OlderReceipts | Table::Journal => &all[..3],
            Table::Grants => &all[..],
        };
        let sql = select(table, name(table, self.current));
        let found = self.session.read(&sql, used).await?;
        found.iter().map(|row| read(table, row, &self.session)).collect()
    }
}

/// Parameters of a statement that adds rows: a list for each column.
type Columns = Vec<Box<dyn ToSql + Sync + Send>>;

/// A column of rows.
fn column<R, T: ToSql + Sync + Send + 'static>(
    rows: &[&R],
    value: impl Fn(&R) -> T,
) -> Box<dyn ToSql + Sync + Send>
where
    Vec<T>: ToSql,
{
    Box::new(rows.iter().map(|row| value(row)).collect::<Vec<T>>())
}

/// The time of a number of milliseconds that stands in a column of the list.
fn time(name: &str) -> String {
    format!("timestamptz 'epoch' + {name} * interval '1 millisecond'")
}

/// The literal of a list, which a list of lists cannot hold.
fn literal(values: impl Iterator<Item = Option<i64>>) -> String {
    let words: Vec<String> =
        values.map(|value| value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())).collect();
    format!("{{{}}}", words.join(","))
}

impl PgTarget {
    async fn add(&mut self, sql: &str, columns: &Columns) -> Result<(), Error> {
        let columns: Vec<&(dyn ToSql + Sync)> =
            columns.iter().map(|column| &**column as &(dyn ToSql + Sync)).collect();
        self.session.write(sql, &columns).await?;
        Ok(())
    }

    async fn put_goals(&mut self, rows: &[&GoalId]) -> Result<(), Error> {
        let columns: Columns = vec![column(rows, |row| row.id.clone()), column(rows, |row| row.number)];
        let sql = "INSERT INTO goal_registry (goal_id, number) \
             SELECT u.a, u.b::integer FROM unnest($1::text[], $2::bigint[]) AS u (a, b)";
        self.add(sql, &columns).await
    }

    async fn put_catalogues(&mut self, rows: &[&CatalogueVersion]) -> Result<(), Error> {
        let columns: Columns = vec![
            column(rows, |row| row.version),
            column(rows, |row| row.text.clone()),
            column(rows, |row| row.created_at),
            column(rows, |row| row.activated_at),
        ];
        let sql = format!(
            "INSERT INTO catalogue_version (version, text, created_at, activated_at) \
             SELECT u.a::integer, u.b, {}, {} \
             FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS u (a, b, c, d)",
            time("u.c"),
            time("u.d"),
        );
        self.add(&sql, &columns).await
    }

    async fn put_players(&mut self, rows: &[&PlayerDocument]) -> Result<(), Error> {
        let columns: Columns = vec![
            column(rows, |row| row.player.clone()),
            column(rows, |row| row.namespace.clone()),
            column(rows, |row| row.revision),
            column(rows, |row| row.live.clone()),
        ];
        let sql = "INSERT INTO player (player, namespace, revision, live) \
             SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[])";
        self.add(sql, &columns).await?;
        let columns: Columns = vec![
            column(rows, |row| row.player.clone()),
            column(rows, |row| row.namespace.clone()),
            column(rows, |row| row.settled.clone()),
        ];
        let sql = "INSERT INTO settled (player, namespace, settled) \
             SELECT u.a, u.b, u.c FROM unnest($1::text[], $2::text[], $3::bytea[]) AS u (a, b, c) \
             WHERE u.c IS NOT NULL";
        self.add(sql, &columns).await
    }

    async fn put_receipts(&mut self, table: &str, rows: &[&ReceiptPage]) -> Result<(), Error> {
        let columns: Columns = vec![
            column(rows, |row| row.player.clone()),
            column(rows, |row| row.namespace.clone()),
            column(rows, |row| row.revision),
            column(rows, |row| row.receipts.clone()),
        ];
        let sql = format!(
            "INSERT INTO {table} (player, namespace, revision, receipts) \
             SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[])"
        );
        self.add(&sql, &columns).await
    }

    async fn put_grants(&mut self, rows: &[&GrantLine]) -> Result<(), Error> {
        let columns: Columns = vec![
            column(rows, |row| row.player.clone()),
            column(rows, |row| row.namespace.clone()),
            column(rows, |row| row.goal),
            column(rows, |row| row.cycle),
            column(rows, |row| row.epoch),
            column(rows, |row| row.challenge_id.clone()),
            column(rows, |row| row.goal_id.clone()),
            column(rows, |row| row.reward_kind.clone()),
            column(rows, |row| row.reward_id.clone()),
            column(rows, |row| row.reward_quantity),
            column(rows, |row| row.state.clone()),
            column(rows, |row| row.attempt),
            column(rows, |row| row.lease_owner.clone()),
            column(rows, |row| row.lease_until),
            column(rows, |row| row.claimed_at),
            column(rows, |row| row.created_at),
            column(rows, |row| row.updated_at),
            column(rows, |row| row.reason.clone()),
        ];
        let sql = format!(
            "INSERT INTO reward_grant ({GRANT_COLUMNS}) \
             SELECT a, b, c::integer, d, e, f, g, h, i, j::integer, k, l, m, {}, {}, {}, {}, r \
             FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], \
             $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::bigint[], $13::text[], \
             $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::text[]) \
             AS u (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)",
            time("n"),
            time("o"),
            time("p"),
            time("q"),
        );
        self.add(&sql, &columns).await
    }

    async fn put_journal(&mut self, rows: &[&JournalLine]) -> Result<(), Error> {
        let some = |values: &[i64]| literal(values.iter().copied().map(Some));
        let columns: Columns = vec![
            column(rows, |row| row.player.clone()),
            column(rows, |row| row.namespace.clone()),
            column(rows, |row| row.sequence),
            column(rows, |row| row.at),
            column(rows, |row| row.kind.clone()),
            column(rows, |row| some(&row.goals)),
            column(rows, |row| some(&row.cycles)),
            column(rows, |row| literal(row.cycle_ends.iter().copied())),
            column(rows, |row| some(&row.progress)),
        ];
        let sql = format!(
            "INSERT INTO journal (player, namespace, sequence, at, kind, goals, cycles, cycle_ends, progress) \
             SELECT u.a, u.b, u.c, {}, u.e, u.f::integer[], u.g::bigint[], \
             ARRAY(SELECT {} FROM unnest(u.h::bigint[]) WITH ORDINALITY AS v (x, place) ORDER BY place), \
             nullif(u.i, '{{}}')::integer[] \
             FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], \
             $7::text[], $8::text[], $9::text[]) AS u (a, b, c, d, e, f, g, h, i)",
            time("u.d"),
            time("v.x"),
        );
        self.add(&sql, &columns).await
    }

    async fn put_due(&mut self, rows: &[&DuePlayer]) -> Result<(), Error> {
        let columns: Columns = vec![
            column(rows, |row| row.player.clone()),
            column(rows, |row| row.namespace.clone()),
            column(rows, |row| row.due_at),
        ];
        let sql = format!(
            "INSERT INTO due_player (player, namespace, due_at) SELECT u.a, u.b, {} \
             FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u (a, b, c)",
            time("u.c"),
        );
        self.add(&sql, &columns).await
    }
}

/// The rows of one kind.
macro_rules! of {
    ($rows:expr, $kind:ident) => {
        $rows
            .iter()
            .filter_map(|row| match row {
                Row::$kind(row) => Some(row),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
}

#[async_trait]
impl Target for PgTarget {
    async fn rows(&mut self) -> Result<u64, Error> {
        let mut all = 0;
        // The row of the generations is always there.
        for table in Table::ALL.into_iter().filter(|table| *table != Table::ReceiptsSince) {
            all += count(&mut self.session, name(table, 0)).await?;
        }
        Ok(all)
    }

    async fn put(&mut self, rows: Vec<Row>) -> Result<(), Error> {
        let Some(first) = rows.first() else { return Ok(()) };
        match first.table() {
            Table::Goals => self.put_goals(&of!(rows, Goal)).await,
            Table::Catalogues => self.put_catalogues(&of!(rows, Catalogue)).await,
            Table::ReceiptsSince => {
                let since = of!(rows, ReceiptsSince);
                let columns: Columns = vec![column(&since, |row| row.started_at)];
                let sql = format!(
                    "UPDATE receipt_generation SET current = 0, started_at = {} FROM unnest($1::bigint[]) AS u (a)",
                    time("u.a"),
                );
                self.add(&sql, &columns).await
            }
            Table::Players => self.put_players(&of!(rows, Player)).await,
            Table::Receipts => self.put_receipts("receipt_0", &of!(rows, Receipts)).await,
            Table::OlderReceipts => self.put_receipts("receipt_1", &of!(rows, OlderReceipts)).await,
            Table::Grants => self.put_grants(&of!(rows, Grant)).await,
            Table::Journal => self.put_journal(&of!(rows, Journal)).await,
            Table::Due => self.put_due(&of!(rows, Due)).await,
        }
    }

    async fn finish(self: Box<Self>) -> Result<(), Error> {
        let mut target = *self;
        target.session.commit().await?;
        Ok(())
    }
}
