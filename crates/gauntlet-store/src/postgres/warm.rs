//! What a session learns before the first player comes.

use super::{
    commit::{self, Parts},
    load,
    session::Session,
};
use crate::contract::Error;

/// An update of a player that exists, and nothing else.
const UPDATE: Parts = Parts {
    updates: true,
    creates: false,
    settles: false,
    unsettles: false,
    receipts: false,
    orders: false,
    results: false,
    journal: false,
    due: false,
    not_due: false,
};

/// The commits of single calls and events, and those of batches in which they commonly meet. Other
/// mixtures of parts are prepared when they first occur: preparing all of them would take the server
/// some 30 MB for each connection.
const COMMITS: [Parts; 17] = [
    UPDATE,
    Parts { journal: true, ..UPDATE },
    Parts { receipts: true, ..UPDATE },
    Parts { receipts: true, journal: true, ..UPDATE },
    Parts { updates: false, creates: true, ..UPDATE },
    Parts { updates: false, creates: true, journal: true, ..UPDATE },
    Parts { updates: false, creates: true, receipts: true, ..UPDATE },
    Parts { updates: false, creates: true, receipts: true, journal: true, ..UPDATE },
    Parts { creates: true, ..UPDATE },
    Parts { creates: true, journal: true, ..UPDATE },
    Parts { creates: true, receipts: true, journal: true, ..UPDATE },
    // A claim begins and ends, each alone or beside other work.
    Parts { orders: true, ..UPDATE },
    Parts { orders: true, journal: true, ..UPDATE },
    Parts { results: true, journal: true, ..UPDATE },
    Parts { results: true, settles: true, ..UPDATE },
    Parts { results: true, settles: true, journal: true, ..UPDATE },
    Parts { settles: true, journal: true, ..UPDATE },
];

/// Prepares and plans what calls and events need.
pub(super) async fn prepare(session: &mut Session) -> Result<(), Error> {
    session.ping().await?;
    load::rehearse(session).await?;
    for parts in COMMITS {
        commit::rehearse(session, parts).await?;
    }
    Ok(())
}
