//! What became of a challenge's goals in cycles that have ended.

use gauntlet_domain::{
    Catalogue, ChallengeIndex, JournalEntry, Player, Timestamp,
    history::{PastCycle, past_cycles},
};
use gauntlet_proto::service as proto;
use gauntlet_store::PlayerKey;

use super::messages::{reward, time};
use crate::{core::Core, error::ApiError};

/// Cycles of a page when the caller does not say how many.
const PAGE: usize = 20;
/// Cycles of a page at most.
pub(crate) const LARGEST_PAGE: usize = 100;
/// Journal rows read in one statement.
const CHUNK: u32 = 500;
/// Journal rows looked through at most, newest first: some months of a player who does a dozen
/// goals a day. What is older is not shown, so that one request stays a few milliseconds of work.
const MOST_ROWS: usize = 5_000;

/// Which part of the history is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    size: usize,
    /// Only cycles that ended before.
    before: Option<Timestamp>,
}

impl Page {
    /// Reads what a request says. A page token is the end of the last cycle of the page before, in
    /// seconds since 1970; callers hand it back as they got it.
    pub(super) fn of(size: i32, token: &str) -> Result<Self, ApiError> {
        let size = match usize::try_from(size) {
            Ok(0) => PAGE,
            Ok(size) if size <= LARGEST_PAGE => size,
            _ => {
                return Err(ApiError::invalid(
                    "page_size",
                    format!("is {size}; allowed are 1 to {LARGEST_PAGE}"),
                ));
            }
        };
        let before = if token.is_empty() {
            None
        } else {
            let unknown = |_: std::num::ParseIntError| {
                ApiError::invalid("page_token", "is not one that this API gave out")
            };
            Some(Timestamp::from_seconds(token.parse().map_err(unknown)?))
        };
        Ok(Self { size, before })
    }
}

/// The player's newest journal rows.
pub(super) async fn read(core: &Core, key: &PlayerKey) -> Result<Vec<JournalEntry>, ApiError> {
    let mut entries: Vec<JournalEntry> = Vec::new();
    let mut before = u64::MAX;
    while entries.len() < MOST_ROWS {
        let rows = core.store().journal_before(key, before, CHUNK).await;
        let rows = rows.map_err(|error| core.failed(&error))?;
        let Some(last) = rows.last() else { break };
        before = last.entry.sequence;
        let full = rows.len() == CHUNK as usize;
        entries.extend(rows.into_iter().map(|row| row.entry));
        if !full {
            break;
        }
    }
    Ok(entries)
}

/// One page of a challenge's history.
pub(super) fn page(
    catalogue: &Catalogue,
    challenge: ChallengeIndex,
    entries: &[JournalEntry],
    player: Option<&Player>,
    page: Page,
    now: Timestamp,
) -> proto::GetChallengeHistoryResponse {
    let mut cycles = past_cycles(entries, player, catalogue, challenge, now);
    if let Some(before) = page.before {
        cycles.retain(|cycle| cycle.end < before);
    }
    let more = cycles.len() > page.size;
    cycles.truncate(page.size);
    let last = cycles.last().filter(|_| more).map(|cycle| cycle.end.seconds().to_string());
    proto::GetChallengeHistoryResponse {
        challenge_id: catalogue.challenge(challenge).id.clone(),
        cycles: cycles.iter().map(|cycle| message(catalogue, cycle)).collect(),
        next_page_token: last.unwrap_or_default(),
    }
}

fn message(catalogue: &Catalogue, cycle: &PastCycle) -> proto::PastCycle {
    let goals = cycle.goals.iter().map(|past| {
        let goal = catalogue.goal_as_of(past.goal, past.terms);
        proto::PastGoal {
            goal_id: goal.definition.id.clone(),
            name: goal.definition.name.clone(),
            cycle: past.cycle,
            outcome: past.outcome.as_str().into(),
            completed_at: time(past.completed_at),
            claimed_at: time(past.claimed_at),
            reward: Some(reward(&goal.definition.reward)),
            lost_progress: past.lost_progress.unwrap_or_default(),
        }
    });
    proto::PastCycle { end_time: cycle.end.to_rfc3339(), goals: goals.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_what_is_asked_for_within_limits() {
        assert_eq!(Page::of(0, "").unwrap(), Page { size: PAGE, before: None });
        let page = Page::of(100, "1795564800").unwrap();
        assert_eq!(page, Page { size: 100, before: Some(Timestamp::from_seconds(1_795_564_800)) });
        for (size, token) in [(-1, ""), (101, ""), (1, "soon"), (1, "1.5"), (1, " 1")] {
            assert!(Page::of(size, token).is_err(), "{size} {token:?}");
        }
    }
}
