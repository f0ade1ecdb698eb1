//! What the back ends share: checking a batch, turning documents into bytes and back, and reading
//! grant rows.

use std::collections::HashSet;

use gauntlet_domain::{
    GoalNumber, GrantKey, Player, Receipt, Timestamp,
    catalogue::{Reward, RewardKind},
    player::{CodecError, CycleMark},
};

use crate::contract::{
    BoxError, DueGrant, Error, Grant, GrantId, GrantState, Lease, PlayerKey, Stored, Write, Written,
};

/// The bytes of one write.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) live: Vec<u8>,
    pub(crate) settled: Settled,
}

/// What happens to the settled part.
#[derive(Debug)]
pub(crate) enum Settled {
    Keep,
    Put(Vec<u8>),
    Remove,
}

/// Calls that no back end could serve. They are faults of the caller.
#[derive(Debug, thiserror::Error)]
enum Misuse {
    #[error("player {0} is in the batch twice")]
    Twice(String),
    #[error("player {0} has grants to order and no lease")]
    NoLease(String),
    #[error("player {0}: the settled part changed but was not loaded")]
    NoSettled(String),
    #[error("player {0} orders a grant and ends it in one write")]
    OrderedAndEnded(String),
    #[error("player {0}: a number is greater than the database can hold")]
    TooGreat(String),
    #[error("player {0}: a locked update must write the player and revision that it was given")]
    NotLocked(String),
}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        Self::Rejected { operation: "player.commit", source: misuse.into() }
    }
}

/// Checks a batch and encodes its documents.
pub(crate) fn encode(writes: &[Write]) -> Result<Vec<Encoded>, Error> {
    let mut keys = HashSet::with_capacity(writes.len());
    writes
        .iter()
        .map(|write| {
            if !keys.insert(&write.key) {
                return Err(Misuse::Twice(row_id(&write.key)).into());
            }
            check(write)?;
            let settled = match (write.settled_changed, write.player.encode_settled()) {
                (false, _) => Settled::Keep,
                (true, Some(bytes)) => Settled::Put(bytes),
                (true, None) => Settled::Remove,
            };
            Ok(Encoded { live: write.player.encode_live(), settled })
        })
        .collect()
}

fn check(write: &Write) -> Result<(), Misuse> {
    let id = || row_id(&write.key);
    if write.settled_changed && !write.player.has_settled() {
        return Err(Misuse::NoSettled(id()));
    }
    if !write.orders.is_empty() && write.lease.is_none() {
        return Err(Misuse::NoLease(id()));
    }
    if write.orders.iter().any(|order| write.results.iter().any(|result| result.key == order.key)) {
        return Err(Misuse::OrderedAndEnded(id()));
    }
    let wide =
        [write.expected.unwrap_or(0)].into_iter().chain(write.journal.iter().map(|entry| entry.sequence));
    let goals = write
        .orders
        .iter()
        .map(|order| order.key.goal)
        .chain(write.results.iter().map(|result| result.key.goal))
        .chain(write.journal.iter().flat_map(|entry| entry.goals.iter().copied()));
    if wide.into_iter().any(|number| i64::try_from(number).is_err())
        || goals.into_iter().any(|goal| i32::try_from(goal.0).is_err())
    {
        return Err(Misuse::TooGreat(id()));
    }
    Ok(())
}

/// Checks what the function of a locked update wants to write.
pub(crate) fn check_locked(key: &PlayerKey, revision: Option<u64>, write: &Write) -> Result<(), Error> {
    if write.key == *key && write.expected == revision {
        Ok(())
    } else {
        Err(Misuse::NotLocked(row_id(key)).into())
    }
}

/// How a write ends when its revision held.
pub(crate) const fn done(write: &Write) -> Written {
    let revision = match write.expected {
        Some(revision) => revision + 1,
        None => 1,
    };
    Written::Done { revision }
}

/// A revision or sequence as databases keep it; [`encode`] has checked that it fits.
pub(crate) fn wide(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A goal number as databases keep it; [`encode`] has checked that it fits.
pub(crate) fn goal_column(goal: GoalNumber) -> i32 {
    i32::try_from(goal.0).unwrap_or(i32::MAX)
}

/// A goal number from the database.
pub(crate) fn goal_from(column: i64) -> Option<GoalNumber> {
    u32::try_from(column).ok().map(GoalNumber)
}

/// How errors name a row of a player.
pub(crate) fn row_id(key: &PlayerKey) -> String {
    format!("{}/{}", key.namespace, key.player)
}

/// A [`Error::Corrupt`] about a column.
pub(crate) fn corrupt(
    table: &'static str,
    column: &'static str,
    id: String,
    source: impl Into<BoxError>,
) -> Error {
    Error::Corrupt { table, column, id, source: source.into() }
}

/// Reads a document. `settled` is as [`Player::decode`] wants it.
#[expect(clippy::option_option, reason = "not asked for, asked for and absent, present")]
pub(crate) fn decode(
    key: &PlayerKey,
    revision: i64,
    live: &[u8],
    settled: Option<Option<&[u8]>>,
) -> Result<Stored, Error> {
    let revision =
        u64::try_from(revision).map_err(|error| corrupt("player", "revision", row_id(key), error))?;
    let player = Player::decode(live, settled).map_err(|error| {
        // The part at fault is the one that fails alone.
        let (table, column) =
            if Player::decode(live, None).is_err() { ("player", "live") } else { ("settled", "settled") };
        match error {
            CodecError::Newer(format) => Error::Newer { table, id: row_id(key), format },
            CodecError::Corrupt { .. } => corrupt(table, column, row_id(key), error),
        }
    })?;
    Ok(Stored { revision, player })
}

/// A row of `reward_grant` as the database has it.
#[derive(Debug)]
pub(crate) struct GrantRow {
    pub(crate) player: String,
    pub(crate) namespace: String,
    pub(crate) goal: i64,
    pub(crate) cycle: i64,
    pub(crate) epoch: i64,
    pub(crate) challenge_id: String,
    pub(crate) goal_id: String,
    pub(crate) reward_kind: String,
    pub(crate) reward_id: String,
    pub(crate) reward_quantity: i32,
    pub(crate) state: String,
    pub(crate) attempt: i64,
    pub(crate) lease_owner: Option<String>,
    pub(crate) lease_until: Option<Timestamp>,
    pub(crate) claimed_at: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) reason: String,
}

/// The columns of a [`GrantRow`], in its order.
pub(crate) const GRANT_COLUMNS: &str = "player, namespace, goal, cycle, epoch, challenge_id, goal_id, \
     reward_kind, reward_id, reward_quantity, state, attempt, lease_owner, lease_until, claimed_at, \
     created_at, updated_at, reason";

/// A value that this release does not know, or that no release writes.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a value of this column")]
pub(crate) struct BadValue(pub(crate) String);

impl GrantRow {
    /// Reads the row.
    pub(crate) fn into_grant(self) -> Result<Grant, Error> {
        let key = PlayerKey { player: self.player, namespace: self.namespace.into() };
        let id = format!("{}/{}/{}/{}", row_id(&key), self.goal, self.cycle, self.epoch);
        let bad = |column, value: String| corrupt("reward_grant", column, id.clone(), BadValue(value));
        let number = |column, value: i64| u32::try_from(value).map_err(|_| bad(column, value.to_string()));
        let goal = GoalNumber(number("goal", self.goal)?);
        let cycle = number("cycle", self.cycle)?;
        let epoch = number("epoch", self.epoch)?;
        let attempt = number("attempt", self.attempt)?;
        let kind = [RewardKind::Item, RewardKind::Wallet]
            .into_iter()
            .find(|kind| kind.as_str() == self.reward_kind)
            .ok_or_else(|| bad("reward_kind", self.reward_kind.clone()))?;
        let state = GrantState::from_word(&self.state).ok_or_else(|| bad("state", self.state.clone()))?;
        let lease = match (self.lease_owner, self.lease_until) {
            (Some(owner), Some(until)) => Some(Lease { owner, until }),
            (None, None) => None,
            _ => return Err(bad("lease_owner", "half a lease".to_owned())),
        };
        Ok(Grant {
            id: GrantId { player: key, key: GrantKey { goal, cycle, epoch } },
            challenge_id: self.challenge_id,
            goal_id: self.goal_id,
            reward: Reward { kind, id: self.reward_id, quantity: self.reward_quantity },
            claimed_at: self.claimed_at,
            state,
            attempt,
            lease,
            created_at: self.created_at,
            updated_at: self.updated_at,
            reason: self.reason,
        })
    }
}

/// Grants that were just taken over. One that cannot be read must not keep the others from being
/// sent; its lease runs out and it is logged again then.
///
/// Each row comes with the owner of the lease before: an empty one gave it back without doubt.
pub(crate) fn readable(rows: impl IntoIterator<Item = (GrantRow, Option<String>)>) -> Vec<DueGrant> {
    rows.into_iter()
        .filter_map(|(row, owner)| {
            let in_doubt = owner.is_none_or(|owner| !owner.is_empty());
            row.into_grant()
                .map(|grant| DueGrant { grant, in_doubt })
                .inspect_err(|error| {
                    tracing::error!(
                        error = error as &dyn std::error::Error,
                        "skipped a grant that cannot be read"
                    );
                })
                .ok()
        })
        .collect()
}

/// A page of receipts as it is stored.
pub(crate) fn page(receipts: &[Receipt]) -> Vec<u8> {
    receipts.iter().flat_map(|receipt| receipt.0.to_le_bytes()).collect()
}

/// Reads a page of receipts into those of its player.
pub(crate) fn read_page(
    key: &PlayerKey,
    page: &[u8],
    table: &'static str,
    receipts: &mut Vec<Receipt>,
) -> Result<(), Error> {
    let (whole, rest) = page.as_chunks::<8>();
    if !rest.is_empty() {
        let bad = BadValue(format!("{} bytes", page.len()));
        return Err(corrupt(table, "receipts", row_id(key), bad));
    }
    receipts.extend(whole.iter().map(|bytes| Receipt(u64::from_le_bytes(*bytes))));
    Ok(())
}

/// How old the current generation of receipts gets.
pub(crate) const RECEIPT_GENERATION_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The cycles of a journal row's goals from its two columns; `None` when they make no sense.
pub(crate) fn cycles_from(
    goals: usize,
    numbers: &[i64],
    ends: &[Option<Timestamp>],
) -> Option<Vec<CycleMark>> {
    // Rows of earlier releases have none.
    if numbers.len() != ends.len() || !(numbers.is_empty() || numbers.len() == goals) {
        return None;
    }
    let mark = |(number, end): (&i64, &Option<Timestamp>)| {
        Some(CycleMark { number: u32::try_from(*number).ok()?, end: *end })
    };
    numbers.iter().zip(ends).map(mark).collect()
}
