//! The generations of receipts.

use gauntlet_domain::Timestamp;

use super::{
    load::get,
    session::{Failure, Session},
    types::PgTime,
};
use crate::{
    contract::Error,
    crash::{self, Point},
    rows::RECEIPT_GENERATION_MILLIS,
};

pub(super) async fn rotate(session: &mut Session, now: Timestamp) -> Result<bool, Error> {
    if due(session, now, false).await?.is_none() {
        return Ok(false);
    }
    session.begin().await?;
    let rotated = rotate_locked(session, now).await;
    match rotated {
        Ok(true) => session.commit().await?,
        _ => session.roll_back().await,
    }
    Ok(rotated?)
}

/// The generation to empty and start, when it is time.
async fn due(session: &mut Session, now: Timestamp, lock: bool) -> Result<Option<i32>, Failure> {
    let sql = format!(
        "SELECT current, started_at FROM receipt_generation{}",
        if lock { " FOR UPDATE" } else { "" }
    );
    let rows = session.read(&sql, &[]).await?;
    let Some(row) = rows.first() else {
        let source = "the table receipt_generation is empty".into();
        return Err(Error::Rejected { operation: session.operation(), source }.into());
    };
    let current: i32 = get(row, 0, session)?;
    let started: PgTime = get(row, 1, session)?;
    Ok((now.since(started.0) >= RECEIPT_GENERATION_MILLIS).then_some(1 - current))
}

async fn rotate_locked(session: &mut Session, now: Timestamp) -> Result<bool, Failure> {
    // TRUNCATE waits for the commits under way, and those that come wait behind it: a caller that
    // holds the table for long must not hold up the whole service. The next call tries again.
    session.script("SET LOCAL lock_timeout = '1s'").await?;
    // Another replica may have been faster: look again, under the lock of the row.
    let Some(next) = due(session, now, true).await? else { return Ok(false) };
    session.script(&format!("TRUNCATE receipt_{next}")).await?;
    crash::point(Point::RotatingReceipts);
    session
        .write(
            "UPDATE receipt_generation SET current = $1::integer, started_at = $2::timestamptz",
            &[&next, &PgTime(now)],
        )
        .await?;
    Ok(true)
}
