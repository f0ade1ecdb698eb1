//! History: what became of a challenge's goals in cycles that have ended, from the journal.

use std::collections::{BTreeMap, HashMap};

use crate::{
    Catalogue, ChallengeIndex, Goal, GoalIndex, GoalNumber, JournalEntry, JournalKind, Player, Timestamp,
    player::CycleMark, rules::unclaimed::is_claimable,
};

/// Cycles that ended at one time, with what happened in them. When a change of the catalogue made a
/// goal begin at zero, what the player had until then counts as a cycle that ended with the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCycle {
    /// When they ended.
    pub end: Timestamp,
    /// Goals that were completed in them, or began anew, in the order of the catalogue.
    pub goals: Vec<PastGoal>,
}

/// A goal that was completed in a cycle that has ended, or that a change of the catalogue made begin
/// at zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastGoal {
    /// The goal.
    pub goal: GoalIndex,
    /// The cycle's number, as in the grant's key.
    pub cycle: u32,
    /// A catalogue version with the terms that the cycle went by, as far as they are still known.
    pub terms: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// When the target was reached, if the journal still knows.
    pub completed_at: Option<Timestamp>,
    /// When the reward was granted.
    pub claimed_at: Option<Timestamp>,
    /// The progress that was lost, for [`Outcome::Restarted`].
    pub lost_progress: Option<i32>,
}

/// What became of a completion, or of what was not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not claimed so far, and is not lost.
    Completed,
    /// The reward was granted.
    Claimed,
    /// The cycle ended, and nobody had claimed it.
    Lost,
    /// It was not completed, and a change of the catalogue made the goal begin at zero.
    Restarted,
}

impl Outcome {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Claimed => "claimed",
            Self::Lost => "lost",
            Self::Restarted => "restarted",
        }
    }
}

/// What the journal tells of one goal in one cycle.
#[derive(Debug, Default)]
struct Told {
    end: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    claimed_at: Option<Timestamp>,
    lost: bool,
}

/// The past cycles of a challenge, those that ended last first.
///
/// `entries` are journal rows of the player in any order; rows without cycles, goals of other
/// challenges and goals that have left the catalogue are passed over. The journal is told late: a
/// completion that nobody looked at since its cycle ended has no row that says it is lost, so the
/// document is asked, too.
#[must_use]
pub fn past_cycles<'a>(
    entries: impl IntoIterator<Item = &'a JournalEntry>,
    player: Option<&Player>,
    catalogue: &Catalogue,
    challenge: ChallengeIndex,
    now: Timestamp,
) -> Vec<PastCycle> {
    let mut told: HashMap<(GoalNumber, u32), Told> = HashMap::new();
    let mut cycles: BTreeMap<Timestamp, Vec<PastGoal>> = BTreeMap::new();
    for entry in entries {
        if entry.kind == JournalKind::Restarted {
            let goals = restarts(entry, catalogue, challenge);
            cycles.entry(entry.at.whole_seconds()).or_default().extend(goals);
            continue;
        }
        for (goal, cycle) in entry.goals.iter().zip(&entry.cycles) {
            let told = told.entry((*goal, cycle.number)).or_default();
            told.end = told.end.or(cycle.end);
            match entry.kind {
                JournalKind::Completed => {
                    told.completed_at = Some(told.completed_at.map_or(entry.at, |at| at.min(entry.at)));
                }
                JournalKind::Claimed => told.claimed_at = Some(entry.at),
                JournalKind::Expired => told.lost = true,
                JournalKind::Assigned | JournalKind::Restarted | JournalKind::Repaired => {}
            }
        }
    }
    for ((number, cycle), told) in told {
        let Some(index) = catalogue.find_number(number) else { continue };
        let goal = catalogue.goal(index);
        let happened = told.lost || told.completed_at.is_some() || told.claimed_at.is_some();
        let ended = told.end.filter(|end| *end <= now && happened);
        let Some(end) = ended.filter(|_| goal.challenge == challenge) else { continue };
        let mark = CycleMark { number: cycle, end: told.end };
        let terms = player.map_or(catalogue.version(), |player| player.version_in(number, cycle));
        let under = catalogue.goal_as_of(index, terms);
        let past = PastGoal {
            goal: index,
            cycle,
            terms,
            outcome: outcome(&told, player, under, mark, now),
            completed_at: told.completed_at,
            claimed_at: told.claimed_at,
            lost_progress: None,
        };
        cycles.entry(end).or_default().push(past);
    }
    let newest_first = cycles.into_iter().rev().filter(|(_, goals)| !goals.is_empty());
    newest_first
        .map(|(end, mut goals)| {
            goals.sort_unstable_by_key(|past| (past.goal, past.cycle));
            PastCycle { end, goals }
        })
        .collect()
}

/// The goals of a challenge that began anew.
fn restarts(entry: &JournalEntry, catalogue: &Catalogue, challenge: ChallengeIndex) -> Vec<PastGoal> {
    let goals = entry.goals.iter().zip(&entry.cycles).zip(&entry.progress);
    let here = goals.filter_map(|((number, cycle), progress)| {
        let goal = catalogue.find_number(*number).filter(|goal| catalogue.goal(*goal).challenge == challenge);
        goal.map(|goal| (goal, cycle.number, *progress))
    });
    here.map(|(goal, cycle, progress)| PastGoal {
        goal,
        cycle,
        terms: catalogue.version_before(goal, entry.at),
        outcome: Outcome::Restarted,
        completed_at: None,
        claimed_at: None,
        lost_progress: Some(progress),
    })
    .collect()
}

fn outcome(told: &Told, player: Option<&Player>, goal: &Goal, cycle: CycleMark, now: Timestamp) -> Outcome {
    if told.claimed_at.is_some() {
        Outcome::Claimed
    } else if told.lost {
        Outcome::Lost
    } else if !goal.on_expiry.reset_progress
        || player.is_some_and(|player| is_claimable(player, goal, cycle, now))
    {
        // Carried on, or still to be had.
        Outcome::Completed
    } else {
        Outcome::Lost
    }
}

#[cfg(test)]
mod tests;
