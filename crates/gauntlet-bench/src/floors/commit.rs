//! One durable commit after another: a single row, a prepared statement, one connection.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde_json::json;
use tokio_postgres::NoTls;

use crate::{Result, generator::histogram};

/// Commits not counted at the beginning.
const WARM_UP: u32 = 50;

/// Commits for so long and prints what it saw, as JSON: `commits`, and `p50` and `p95` in
/// milliseconds. The table is made anew.
#[expect(clippy::print_stdout, reason = "how the floor tells what it saw")]
pub(crate) fn run(store: &str, length: Duration) -> Result<()> {
    let times = match store.strip_prefix("sqlite:") {
        Some(path) => sqlite(Path::new(path), length)?,
        None => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(postgres(store, length))?,
    };
    let millis = |quantile| crate::figures::millis(times.value_at_quantile(quantile));
    println!("{}", json!({ "commits": times.len(), "p50": millis(0.5), "p95": millis(0.95) }));
    Ok(())
}

fn record(times: &mut Histogram<u64>, number: u32, started: Instant) {
    if number >= WARM_UP {
        times.saturating_record(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
}

async fn postgres(url: &str, length: Duration) -> Result<Histogram<u64>> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    #[expect(clippy::disallowed_methods, reason = "ends by itself when the client is dropped")]
    let _detached = tokio::spawn(connection);
    let table = "DROP TABLE IF EXISTS floor; CREATE TABLE floor (id integer PRIMARY KEY, n bigint NOT NULL)";
    client.batch_execute(&format!("{table}; INSERT INTO floor VALUES (1, 0)")).await?;
    let update = client.prepare("UPDATE floor SET n = n + 1 WHERE id = 1").await?;
    let (begun, mut times) = (Instant::now(), histogram()?);
    for number in 0.. {
        if begun.elapsed() >= length {
            break;
        }
        let started = Instant::now();
        client.execute(&update, &[]).await?;
        record(&mut times, number, started);
    }
    Ok(times)
}

fn sqlite(path: &Path, length: Duration) -> Result<Histogram<u64>> {
    let connection = rusqlite::Connection::open(path)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let table = "DROP TABLE IF EXISTS floor; CREATE TABLE floor (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)";
    connection.execute_batch(&format!("{table}; INSERT INTO floor VALUES (1, 0)"))?;
    let mut update = connection.prepare("UPDATE floor SET n = n + 1 WHERE id = 1")?;
    let (begun, mut times) = (Instant::now(), histogram()?);
    for number in 0.. {
        if begun.elapsed() >= length {
            break;
        }
        let started = Instant::now();
        update.execute([])?;
        record(&mut times, number, started);
    }
    Ok(times)
}
