//! The ledger: whether the server kept what it had acknowledged.
//!
//! Players of a run are its own, so all that happened to them stands in the [book](crate::book).
//! The rules of `gauntlet-domain` say what must have become of it, and browsing shows what has.

mod explain;
mod grants;
mod pages;
mod replay;

use std::collections::{BTreeSet, HashMap};

use gauntlet_domain::{Catalogue, GoalNumber, Timestamp, catalogue::Definition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use grants::GrantsFound;
pub(crate) use grants::compare as compare_grants;
use pages::Shown;
pub(crate) use pages::{open_claims, read_all, settled};
use replay::{Decision, alternatives};

use crate::book::Closed;

/// Differences that are shown in full.
const EXAMPLES: usize = 10;

/// A goal that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Whose.
    pub player: String,
    /// Which goal.
    pub goal: String,
    /// What the acknowledged calls and events make of it.
    pub predicted: String,
    /// What browsing shows.
    pub shown: String,
    /// What would explain it; empty: nothing that was tried.
    pub explanation: String,
}

/// What became of the goals of all players.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
pub struct StatesFound {
    /// Why it was not looked at; empty: it was.
    pub not_checked: String,
    /// Events that were acknowledged.
    pub events_acknowledged: u64,
    /// Players that were compared.
    pub players: u64,
    /// Goals that were compared.
    pub goals: u64,
    /// Players for which too much was in doubt to say what must be.
    pub undecided: u64,
    /// Players with a difference.
    pub differing_players: u64,
    /// Goals that differ.
    pub differing_goals: u64,
    /// Acknowledged events whose loss explains the differences of their players.
    pub lost_events: u64,
    /// Players with a difference that no lost event explains.
    pub unexplained_players: u64,
    /// Some of the differences.
    pub examples: Vec<Difference>,
}

/// A catalogue whose goals are numbered in the order of the file: numbers only have to differ.
///
/// # Errors
/// What the catalogue says.
pub(crate) fn number(definition: Definition) -> Result<Catalogue, String> {
    let ids: Vec<String> = definition.goal_ids().map(str::to_owned).collect();
    let numbers: HashMap<String, GoalNumber> =
        ids.into_iter().zip(0_u32..).map(|(id, number)| (id, GoalNumber(number))).collect();
    Catalogue::new(definition, 1, &numbers).map_err(|error| error.to_string())
}

/// Events that were acknowledged.
pub(crate) fn acknowledged(book: &Closed) -> u64 {
    let sure = book.ops.iter().flatten().filter(|op| op.sure && op.what.event().is_some());
    u64::try_from(sure.count()).unwrap_or(u64::MAX)
}

/// The wall clock of the book: microseconds since its start to milliseconds since 1970.
pub(crate) type Wall<'a> = &'a dyn Fn(u64) -> i64;

/// Compares what the book predicts with what browsing showed at `now`.
pub(crate) fn compare_states(
    book: &Closed,
    catalogue: &Catalogue,
    shown: &HashMap<usize, Shown>,
    wall: Wall<'_>,
    now: i64,
) -> StatesFound {
    let now = Timestamp::from_millis(now);
    let mut found = StatesFound { events_acknowledged: acknowledged(book), ..StatesFound::default() };
    for (player, ops) in book.ops.iter().enumerate().filter(|(_, ops)| !ops.is_empty()) {
        let Some(shown) = shown.get(&player) else { continue };
        let replay = replay::Replay { book, catalogue, wall, now, ops };
        match alternatives(ops) {
            Decision::TooMany => found.undecided += 1,
            Decision::Try(ways) => {
                found.players += 1;
                let mut first = None;
                let fits = ways.iter().any(|way| {
                    let predicted = replay.play(way, &[]);
                    let fits = predicted.as_ref() == Ok(shown);
                    first.get_or_insert(predicted);
                    fits
                });
                found.goals += u64::try_from(shown.len()).unwrap_or(u64::MAX);
                if !fits && let Some(predicted) = first {
                    differ(&mut found, book, player, predicted, shown, &replay, &ways);
                }
            }
        }
    }
    found
}

fn differ(
    found: &mut StatesFound,
    book: &Closed,
    player: usize,
    predicted: Result<Shown, String>,
    shown: &Shown,
    replay: &replay::Replay<'_>,
    ways: &[replay::Way],
) {
    found.differing_players += 1;
    let lost = explain::lost_events(replay, ways, shown);
    let explanation =
        lost.as_ref().map_or_else(String::new, |lost| explain::sentence(book, replay.ops, lost));
    match &lost {
        Some(lost) => found.lost_events += u64::try_from(lost.len()).unwrap_or(u64::MAX),
        None => found.unexplained_players += 1,
    }
    let predicted = match predicted {
        Ok(predicted) => predicted,
        Err(refused) => {
            let difference = Difference {
                player: book.player(player),
                goal: String::new(),
                predicted: refused,
                shown: "acknowledged".to_owned(),
                explanation,
            };
            found.differing_goals += 1;
            if found.examples.len() < EXAMPLES {
                found.examples.push(difference);
            }
            return;
        }
    };
    let none = || "not active".to_owned();
    let goals: BTreeSet<&String> = predicted.keys().chain(shown.keys()).collect();
    for goal in goals.into_iter().filter(|goal| predicted.get(*goal) != shown.get(*goal)) {
        found.differing_goals += 1;
        if found.examples.len() < EXAMPLES {
            found.examples.push(Difference {
                player: book.player(player),
                goal: goal.clone(),
                predicted: predicted.get(goal).map_or_else(none, ToString::to_string),
                shown: shown.get(goal).map_or_else(none, ToString::to_string),
                explanation: explanation.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
