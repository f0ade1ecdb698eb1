//! PostgreSQL's own statistics views: differences between the start, the middle and the end of the
//! run. Nothing here knows a table of the server by name.

use std::collections::BTreeMap;

use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::{Collected, Figure, Statement, Track, Values};
use crate::{http::chain, units::float};

/// Statements that are shown.
const STATEMENTS: usize = 15;

/// One row of figures about the database that the lab is connected to.
const DATABASE: &str = "SELECT xact_commit AS commits, xact_rollback AS rollbacks, blks_read AS blocks_read, \
    blks_hit AS blocks_hit, tup_inserted AS rows_inserted, tup_updated AS rows_updated, deadlocks, \
    temp_bytes AS temporary_bytes, pg_database_size(datid) AS size_bytes \
    FROM pg_stat_database WHERE datname = current_database()";
/// The write-ahead log of the whole server.
const LOG: &str = "SELECT pg_current_wal_lsn() - '0/0' AS wal_bytes";
/// Every table of the users, by name.
const TABLES: &str = "SELECT schemaname || '.' || relname AS name, seq_scan, idx_scan, n_tup_upd, n_tup_hot_upd, \
    n_live_tup, n_dead_tup, pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables";
/// The largest tables: a table that is not cleaned up has more bytes for each row as time goes by.
/// The counts are the server's estimates.
const BLOAT: &str = "SELECT relname AS name, n_live_tup AS live, n_dead_tup AS dead, \
    pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables WHERE n_live_tup >= 1000 \
    ORDER BY pg_total_relation_size(relid) DESC LIMIT 4";
/// Who is connected, beside the lab and PostgreSQL's own workers, whose kind only those may see who may see
/// all statistics.
const ACTIVITY: &str = "SELECT count(*) AS all, count(*) FILTER (WHERE state = 'active') AS active, \
    count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction, \
    count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting_for_locks FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid() \
    AND coalesce(backend_type, 'client backend') = 'client backend'";
/// Statements of this database but the lab's own; the extension may be missing.
const STATEMENT_FIGURES: &str = "SELECT queryid, left(regexp_replace(query, '\\s+', ' ', 'g'), 120) AS query, \
    sum(calls) AS calls, sum(total_exec_time) AS total, sum(rows) AS rows FROM pg_stat_statements \
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND query !~ 'pg_stat_|pg_current_wal' GROUP BY 1, 2";

type Row = BTreeMap<String, String>;
/// Calls, milliseconds, rows and text by id.
type Statements = BTreeMap<String, (f64, f64, f64, String)>;

/// A connection of the lab's own.
pub(super) struct Postgres {
    client: Option<Client>,
    _driver: JoinSet<()>,
    problem: String,
    no_statements: String,
    looks: Vec<(&'static str, Values)>,
    first_statements: Statements,
    connections: [Track; 3],
    /// By name of the track.
    tables: BTreeMap<String, Track>,
}

impl Postgres {
    pub(super) async fn start(url: &str, own: bool) -> Self {
        let mut driver = JoinSet::new();
        let (client, problem) = match tokio_postgres::connect(url, NoTls).await {
            Ok((client, connection)) => {
                driver.spawn(async move {
                    // The next query tells that it is gone.
                    let _told = connection.await;
                });
                (Some(client), String::new())
            }
            Err(error) => (None, format!("cannot connect: {}", chain(&error))),
        };
        let connections = ["connections", "connections at work", "waiting for locks"].map(|name| Track {
            name: format!("PostgreSQL: {name}"),
            unit: String::new(),
            points: Vec::new(),
        });
        let mut new = Self {
            client,
            _driver: driver,
            problem,
            no_statements: String::new(),
            looks: Vec::new(),
            first_statements: Statements::new(),
            connections,
            tables: BTreeMap::new(),
        };
        if own && let Some(client) = &new.client {
            // If it cannot be, the figures by statement are missing, and that is said.
            let _said = client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await;
        }
        new.look("start").await;
        new.first_statements = new.statements().await;
        new
    }

    async fn rows(&mut self, query: &str) -> Vec<Row> {
        let Some(client) = &self.client else { return Vec::new() };
        match client.simple_query(query).await {
            Ok(messages) => messages.iter().filter_map(row).collect(),
            Err(error) => {
                self.problem = chain(&error);
                Vec::new()
            }
        }
    }

    /// Looks at the counters of database, log and tables.
    pub(super) async fn look(&mut self, when: &'static str) {
        let mut values = Values::new();
        for query in [DATABASE, LOG] {
            for row in self.rows(query).await {
                values
                    .extend(row.iter().filter_map(|(name, value)| Some((name.clone(), value.parse().ok()?))));
            }
        }
        for row in self.rows(TABLES).await {
            let table = row.get("name").cloned().unwrap_or_default();
            let figures = row.iter().filter_map(|(name, value)| Some((name, value.parse().ok()?)));
            values.extend(figures.map(|(name, value)| (format!("{table}: {name}"), value)));
        }
        self.looks.push((when, values));
    }

    async fn statements(&mut self) -> Statements {
        let Some(client) = &self.client else { return Statements::new() };
        let rows: Vec<Row> = match client.simple_query(STATEMENT_FIGURES).await {
            Ok(messages) => messages.iter().filter_map(row).collect(),
            Err(error) => {
                let told =
                    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
                self.no_statements = format!("no figures by statement: {told}");
                return Statements::new();
            }
        };
        let number =
            |row: &Row, name: &str| row.get(name).and_then(|text| text.parse().ok()).unwrap_or_default();
        rows.iter()
            .map(|row| {
                let text = row.get("query").cloned().unwrap_or_default();
                let figures = (number(row, "calls"), number(row, "total"), number(row, "rows"), text);
                (row.get("queryid").cloned().unwrap_or_default(), figures)
            })
            .collect()
    }

    /// Looks at what is shown over time: connections, and how full of dead rows the tables are.
    pub(super) async fn look_often(&mut self, at: f64) {
        for row in self.rows(BLOAT).await {
            let number = |name: &str| row.get(name).and_then(|text| text.parse::<f64>().ok());
            let (Some(table), Some(live), Some(dead), Some(bytes)) =
                (row.get("name"), number("live"), number("dead"), number("bytes"))
            else {
                continue;
            };
            let figures =
                [("bytes for each row", "bytes", bytes / live), ("dead rows for each row", "", dead / live)];
            for (what, unit, value) in figures {
                let name = format!("table {table}: {what}");
                let track = self.tables.entry(name.clone()).or_insert_with(|| Track {
                    name,
                    unit: unit.to_owned(),
                    points: Vec::new(),
                });
                track.points.push((at, value));
            }
        }
        for row in self.rows(ACTIVITY).await {
            let names = ["all", "active", "waiting_for_locks"];
            for (track, name) in self.connections.iter_mut().zip(names) {
                if let Some(value) = row.get(name).and_then(|text| text.parse().ok()) {
                    track.points.push((at, value));
                }
            }
        }
    }

    pub(super) async fn finish(mut self, events: u64) -> Collected {
        self.look("end").await;
        let last = self.statements().await;
        let (first, end) = match self.looks.as_slice() {
            [(_, first), .., (_, end)] => (first.clone(), end.clone()),
            _ => (Values::new(), Values::new()),
        };
        let middle = self.looks.iter().find(|(when, _)| *when == "middle").map(|(_, values)| values.clone());
        let mut figures = Vec::new();
        for (name, value) in &end {
            let before = first.get(name).copied().unwrap_or_default();
            let level = ["_live_tup", "_dead_tup", "bytes"].iter().any(|end| name.ends_with(end))
                && name != "wal_bytes";
            let figure = |name: String, value: f64| Figure { name, value, unit: String::new() };
            if level && name != "temporary_bytes" {
                figures.push(figure(format!("{name}, at the end"), *value));
                if let Some(middle) = middle.as_ref().and_then(|middle| middle.get(name)) {
                    figures.push(figure(format!("{name}, in the middle"), *middle));
                }
            }
            figures.push(figure(format!("{name}, difference"), value - before));
        }
        let log = end.get("wal_bytes").zip(first.get("wal_bytes")).map(|(end, first)| end - first);
        if let Some(log) = log.filter(|_| events > 0) {
            let unit = "bytes".to_owned();
            figures.push(Figure { name: "WAL for each event".to_owned(), value: log / float(events), unit });
        }
        let most = self.connections[0].points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        figures.push(Figure { name: "connections, at most".to_owned(), value: most, unit: String::new() });
        let problems: Vec<&str> = [self.problem.as_str(), self.no_statements.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        Collected {
            name: "PostgreSQL".to_owned(),
            missing: problems.join("; "),
            // Figures by statement need an extension that many servers do not have.
            required: self.no_statements.is_empty() || !self.problem.is_empty(),
            tracks: self
                .connections
                .into_iter()
                .chain(self.tables.into_values())
                .filter(|track| !track.points.is_empty())
                .collect(),
            figures,
            statements: differences(&self.first_statements, &last),
        }
    }
}

/// What the statements did between two looks; the dearest first.
fn differences(first: &Statements, last: &Statements) -> Vec<Statement> {
    let nothing = (0.0, 0.0, 0.0, String::new());
    let mut found: Vec<Statement> = last
        .iter()
        .map(|(id, (calls, total, rows, text))| {
            let before = first.get(id).unwrap_or(&nothing);
            let (calls, total_ms) = (calls - before.0, total - before.1);
            let mean_ms = if calls > 0.0 { total_ms / calls } else { 0.0 };
            Statement { text: text.clone(), calls, total_ms, mean_ms, rows: rows - before.2 }
        })
        .filter(|statement| statement.calls > 0.0)
        .collect();
    found.sort_by(|one, other| other.total_ms.total_cmp(&one.total_ms));
    found.truncate(STATEMENTS);
    found
}

fn row(message: &SimpleQueryMessage) -> Option<Row> {
    let SimpleQueryMessage::Row(row) = message else { return None };
    let column = |(at, column): (usize, &tokio_postgres::SimpleColumn)| {
        Some((column.name().to_owned(), row.get(at)?.to_owned()))
    };
    Some(row.columns().iter().enumerate().filter_map(column).collect())
}
