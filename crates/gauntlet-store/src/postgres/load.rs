//! Reading players.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::session::{Failure, Session};
use crate::{
    contract::{Error, Load, Loaded, PlayerKey, Stored},
    rows,
};

const LIVE_ONE: &str =
    "SELECT player, revision, live FROM player WHERE namespace = $1::text AND player = $2::text";
const LIVE_MANY: &str =
    "SELECT player, revision, live FROM player WHERE namespace = $1::text AND player = ANY ($2::text[])";
// The settled part as a scalar subquery and not as a join: it is looked up by its key whatever the
// planner thinks of the table's size, in the same snapshot as the live part.
const BOTH_ONE: &str = "SELECT p.player, p.revision, p.live, \
     (SELECT s.settled FROM settled s WHERE s.player = p.player AND s.namespace = p.namespace) \
     FROM player p WHERE p.namespace = $1::text AND p.player = $2::text";
const BOTH_MANY: &str = "SELECT p.player, p.revision, p.live, \
     (SELECT s.settled FROM settled s WHERE s.player = p.player AND s.namespace = p.namespace) \
     FROM player p WHERE p.namespace = $1::text AND p.player = ANY ($2::text[])";

const LOCK: &str = "SELECT 1 FROM player WHERE namespace = $1::text AND player = $2::text FOR UPDATE";

const RECEIPTS_ONE: &str = "SELECT player, receipts FROM receipt_0 \
     WHERE namespace = $1::text AND player = $2::text \
     UNION ALL SELECT player, receipts FROM receipt_1 WHERE namespace = $1::text AND player = $2::text";
const RECEIPTS_MANY: &str = "SELECT player, receipts FROM receipt_0 \
     WHERE namespace = $1::text AND player = ANY ($2::text[]) \
     UNION ALL SELECT player, receipts FROM receipt_1 \
     WHERE namespace = $1::text AND player = ANY ($2::text[])";

/// Runs every statement of this module on nobody: the session knows them and their plans from
/// now on.
pub(super) async fn rehearse(session: &mut Session) -> Result<(), Failure> {
    let nobody: [&str; 0] = [];
    for one in [LIVE_ONE, BOTH_ONE, RECEIPTS_ONE, LOCK] {
        session.read(one, &[&"", &""]).await?;
    }
    for many in [LIVE_MANY, BOTH_MANY, RECEIPTS_MANY] {
        session.read(many, &[&"", &&nobody[..]]).await?;
    }
    Ok(())
}

/// Loads players. Receipts are looked up after the documents, by a later snapshot: one that is
/// missed belongs to a revision that is newer than the one that was read.
pub(super) async fn load(session: &mut Session, players: &[Load]) -> Result<Vec<Loaded>, Error> {
    let mut answers: Vec<Loaded> =
        players.iter().map(|_| Loaded { stored: Ok(None), receipts: Vec::new() }).collect();
    // One statement for each namespace and kind of load: usually one.
    let mut groups: HashMap<(&str, bool), HashMap<&str, usize>> = HashMap::new();
    for (at, load) in players.iter().enumerate() {
        let group = groups.entry((&*load.key.namespace, load.settled)).or_default();
        group.insert(load.key.player.as_str(), at);
    }
    for ((namespace, settled), places) in groups {
        let documents = if settled { [BOTH_ONE, BOTH_MANY] } else { [LIVE_ONE, LIVE_MANY] };
        for row in rows_of(session, documents, namespace, &places).await? {
            let player: &str = get(&row, 0, session)?;
            if let Some(at) = places.get(player) {
                answers[*at].stored = stored(&players[*at].key, &row, settled).map(Some);
            }
        }
    }
    receipts(session, players, &mut answers).await?;
    Ok(answers)
}

/// Locks a player's row until the end of the transaction.
pub(super) async fn lock(session: &mut Session, key: &PlayerKey) -> Result<(), Failure> {
    session.read(LOCK, &[&&*key.namespace, &key.player]).await.map(drop)
}

/// The rows of some players of a namespace, by the statement for one of them or for many.
async fn rows_of(
    session: &mut Session,
    [one, many]: [&str; 2],
    namespace: &str,
    places: &HashMap<&str, usize>,
) -> Result<Vec<Row>, Failure> {
    let mut names: Vec<&str> = places.keys().copied().collect();
    if let [name] = names[..] {
        return session.read(one, &[&namespace, &name]).await;
    }
    // In the order of the index.
    names.sort_unstable();
    session.read(many, &[&namespace, &names]).await
}

fn stored(key: &PlayerKey, row: &Row, settled: bool) -> Result<Stored, Error> {
    let bad = |column: &'static str| {
        move |error: tokio_postgres::Error| rows::corrupt("player", column, rows::row_id(key), error)
    };
    let revision: i64 = row.try_get(1).map_err(bad("revision"))?;
    let live: &[u8] = row.try_get(2).map_err(bad("live"))?;
    let settled = if settled {
        let bytes: Option<&[u8]> =
            row.try_get(3).map_err(|error| rows::corrupt("settled", "settled", rows::row_id(key), error))?;
        Some(bytes)
    } else {
        None
    };
    rows::decode(key, revision, live, settled)
}

async fn receipts(session: &mut Session, players: &[Load], answers: &mut [Loaded]) -> Result<(), Error> {
    let mut groups: HashMap<&str, HashMap<&str, usize>> = HashMap::new();
    for (at, load) in players.iter().enumerate().filter(|(_, load)| load.receipts) {
        groups.entry(&*load.key.namespace).or_default().insert(load.key.player.as_str(), at);
    }
    for (namespace, places) in groups {
        for row in rows_of(session, [RECEIPTS_ONE, RECEIPTS_MANY], namespace, &places).await? {
            let (player, page): (&str, &[u8]) = (get(&row, 0, session)?, get(&row, 1, session)?);
            let Some(at) = places.get(player) else { continue };
            let Loaded { stored, receipts } = &mut answers[*at];
            if let Err(error) = rows::read_page(&players[*at].key, page, "receipt", receipts) {
                *stored = Err(error);
            }
        }
    }
    Ok(())
}

/// A value of an answer of ours that must be there.
pub(super) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: usize,
    session: &Session,
) -> Result<T, Error> {
    row.try_get(column)
        .map_err(|error| Error::Rejected { operation: session.operation(), source: error.into() })
}
