//! Applying migrations.

use super::{
    load::get,
    session::{Failure, Session},
};
use crate::{
    contract::Error,
    crash::{self, Point},
    migrations::{self, Applied, Migration},
};

/// One replica at a time: the bytes of "gauntmig".
const LOCK: &str = "SELECT pg_advisory_xact_lock(7449364375907690855)";

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migration ( \
     number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, \
     applied_at timestamptz NOT NULL DEFAULT now())";

/// Applies what is missing, each step in a transaction of its own; answers how many.
pub(super) async fn run(session: &mut Session) -> Result<u32, Error> {
    warn_of_loss(session).await?;
    let mut applied = 0;
    loop {
        session.begin().await?;
        match step(session).await {
            Ok(true) => session.commit().await?,
            Ok(false) => {
                session.commit().await?;
                return Ok(applied);
            }
            Err(failure) => {
                session.roll_back().await;
                return Err(failure.into());
            }
        }
        applied += 1;
    }
}

async fn step(session: &mut Session) -> Result<bool, Failure> {
    // Waiting for another replica is limited by the statement time-out: the caller tries again.
    session.read(LOCK, &[]).await?;
    session.script(LEDGER).await?;
    let rows = session.read("SELECT number, checksum FROM schema_migration ORDER BY number", &[]).await?;
    let applied: Vec<Applied> = rows
        .iter()
        .map(|row| Ok(Applied { number: get(row, 0, session)?, checksum: get(row, 1, session)? }))
        .collect::<Result<_, Error>>()?;
    let Some(migration) = migrations::next(migrations::POSTGRES, &applied)? else { return Ok(false) };
    apply(session, migration).await?;
    Ok(true)
}

async fn apply(session: &mut Session, migration: &Migration) -> Result<(), Failure> {
    tracing::info!(number = migration.number, name = migration.name, "applying a migration");
    session.script("SET LOCAL statement_timeout = 0").await?;
    session.script(migration.sql).await?;
    crash::point(Point::Migrating);
    session
        .write(
            "INSERT INTO schema_migration (number, name, checksum) VALUES ($1::integer, $2::text, $3::text)",
            &[&migration.number, &migration.name, &migration.checksum()],
        )
        .await
        .map(drop)
}

/// Durability is the server's to keep.
async fn warn_of_loss(session: &mut Session) -> Result<(), Error> {
    let sql = "SELECT current_setting('synchronous_commit'), current_setting('fsync')";
    let rows = session.read(sql, &[]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (commit, fsync): (&str, &str) = (get(row, 0, session)?, get(row, 1, session)?);
    if commit == "off" || fsync == "off" {
        tracing::warn!(
            synchronous_commit = commit,
            fsync,
            "the database may lose acknowledged events and claims when it crashes"
        );
    }
    Ok(())
}
