//! Calls: the operations of the player API and of the reward worker, as one closed set.

use crate::{
    Catalogue, Effects, GoalIndex, GoalNumber, GrantEnd, GrantKey, GrantOrder, JournalEntry, JournalKind,
    Player, Timestamp,
    player::CycleMark,
    rules::{GoalView, assign, claim, select, terms::follow_catalogue, unclaimed},
};

/// What every rule may look at beside the document.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The catalogue that the operation began with.
    pub catalogue: &'a Catalogue,
    /// The current time.
    pub now: Timestamp,
    /// A random number, new for each operation; the same number gives the same draw.
    pub seed: u64,
    /// How late an event may come and still count for its own time, in milliseconds.
    pub late_window_ms: i64,
}

/// A call that may change a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Assign every default goal that the player lacks.
    Initialize,
    /// Make one goal active or inactive.
    SetActive {
        /// The challenge.
        challenge: String,
        /// The goal, which must belong to it.
        goal: String,
        /// Active or not.
        active: bool,
    },
    /// Activate the named goals.
    BatchSelect {
        /// The challenge.
        challenge: String,
        /// Goals of it; not empty, no duplicates.
        goals: Vec<String>,
        /// Deactivate the other open goals of the challenge.
        replace_existing: bool,
    },
    /// Activate goals drawn at random.
    RandomSelect {
        /// The challenge.
        challenge: String,
        /// How many; greater than zero.
        count: i32,
        /// Deactivate the other open goals of the challenge.
        replace_existing: bool,
        /// Draw only goals that are not active.
        exclude_active: bool,
    },
    /// Check a claim and order its grant.
    BeginClaim {
        /// The challenge.
        challenge: String,
        /// The goal, which must belong to it.
        goal: String,
    },
    /// Order the grants of completions that are rewarded without being asked for ([`due`](super::due)).
    GrantUnclaimed,
    /// Record how a grant ended.
    SettleClaim {
        /// Which grant.
        key: GrantKey,
        /// How it ended.
        end: GrantEnd,
    },
}

/// The answer to a call that was carried out. Goals are named by their index in the catalogue of
/// the [`Context`].
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// To [`Command::Initialize`].
    Initialized {
        /// The active goals, in the order of the catalogue.
        assigned: Vec<(GoalIndex, GoalView)>,
        /// How many of them were assigned by this call.
        new_assignments: i32,
    },
    /// To [`Command::SetActive`].
    ActiveSet {
        /// The goal after the call.
        goal: GoalIndex,
        /// Its state.
        view: GoalView,
    },
    /// To [`Command::BatchSelect`] and [`Command::RandomSelect`].
    Selected {
        /// The selected goals, in the order asked for or drawn.
        selected: Vec<(GoalIndex, GoalView)>,
        /// Active, unclaimed goals of the challenge after the call.
        total_active: i32,
        /// Goals that the selection deactivated.
        replaced: Vec<GoalIndex>,
    },
    /// To [`Command::BeginClaim`]: the grant to make.
    ClaimBegun {
        /// The goal.
        goal: GoalIndex,
        /// The same order that is stored.
        order: GrantOrder,
    },
    /// To [`Command::GrantUnclaimed`]: the grants to make, which are stored.
    UnclaimedGranted {
        /// The orders.
        orders: Vec<GrantOrder>,
    },
    /// To [`Command::SettleClaim`].
    ClaimSettled,
}

/// Why the rules do not allow a call. Nothing was changed but what a new version of the catalogue
/// changes on every touch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such challenge.
    #[error("challenge {0:?} does not exist")]
    ChallengeNotFound(String),
    /// No such goal in that challenge.
    #[error("goal {goal:?} does not exist in challenge {challenge:?}")]
    GoalNotFound {
        /// The challenge asked for.
        challenge: String,
        /// The goal asked for.
        goal: String,
    },
    /// The target was not reached.
    #[error("goal {goal:?} is not completed: progress {progress} of {target}")]
    GoalNotCompleted {
        /// The goal.
        goal: String,
        /// Its progress.
        progress: i32,
        /// Its target.
        target: i32,
    },
    /// The goal is not active.
    #[error("goal {0:?} is not active")]
    GoalNotActive(String),
    /// Other goals have to be completed first.
    #[error("goal {goal:?} needs {} completed first", open.join(", "))]
    PrerequisitesNotMet {
        /// The goal.
        goal: String,
        /// The goals that are open.
        open: Vec<String>,
    },
    /// It was completed in a cycle that has ended.
    #[error("goal {0:?} was completed in a cycle that has ended")]
    GoalRotated(String),
    /// The reward was granted before.
    #[error("the reward of goal {goal:?} was claimed at {claimed_at}")]
    GoalAlreadyClaimed {
        /// The goal.
        goal: String,
        /// When.
        claimed_at: Timestamp,
    },
    /// A claim of this goal waits for its grant.
    #[error("the reward of goal {goal:?} is being granted")]
    ClaimPending {
        /// The goal.
        goal: String,
        /// The grant to wait for.
        key: GrantKey,
    },
    /// The grant of this goal can only be settled by an operator.
    #[error("nobody can tell whether the reward of goal {0:?} was granted; an operator settles it")]
    ClaimUncertain(String),
    /// The platform refused the grant for good.
    #[error("the reward platform refused the reward of goal {0:?}")]
    ClaimRefused(String),
    /// Nothing can be drawn.
    #[error(
        "INSUFFICIENT_GOALS: {available} goals of challenge {challenge:?} can be drawn, {requested} were asked for"
    )]
    InsufficientGoals {
        /// The challenge.
        challenge: String,
        /// How many could be drawn (0).
        available: i32,
        /// How many were asked for.
        requested: i32,
    },
    /// A field has a value that it may not have.
    #[error("{field} {problem}")]
    InvalidInput {
        /// The field.
        field: &'static str,
        /// What is wrong with it, to be read after its name.
        problem: String,
    },
}

/// Carries out a call: changes the document in memory and adds to `effects`, or refuses and
/// leaves both alone, but for what a new version of the catalogue changes on every touch.
///
/// The document must have its settled part at hand. Whether anything has to be stored is told by
/// comparing the document with the one before.
///
/// # Errors
/// The [`Refusal`] that the rules give.
pub fn decide(
    player: &mut Player,
    command: &Command,
    context: &Context<'_>,
    effects: &mut Effects,
) -> Result<Reply, Refusal> {
    debug_assert!(player.has_settled(), "calls need the whole document");
    let _changed = follow_catalogue(player, context, effects);
    match command {
        Command::Initialize => Ok(assign::initialize(player, context, effects)),
        Command::SetActive { challenge, goal, active } => {
            let goal = find_goal(context.catalogue, challenge, goal)?;
            Ok(assign::set_active(player, goal, *active, context, effects))
        }
        Command::BatchSelect { challenge, goals, replace_existing } => {
            select::batch(player, challenge, goals, *replace_existing, context, effects)
        }
        Command::RandomSelect { challenge, count, replace_existing, exclude_active } => {
            let draw = select::Draw {
                count: *count,
                replace_existing: *replace_existing,
                exclude_active: *exclude_active,
            };
            select::random(player, challenge, draw, context, effects)
        }
        Command::BeginClaim { challenge, goal } => {
            let goal = find_goal(context.catalogue, challenge, goal)?;
            claim::begin(player, goal, context, effects)
        }
        Command::GrantUnclaimed => Ok(unclaimed::grant_unclaimed(player, context, effects)),
        Command::SettleClaim { key, end } => {
            claim::settle(player, key, end, context, effects);
            Ok(Reply::ClaimSettled)
        }
    }
}

/// Finds a goal that must belong to the challenge.
pub(super) fn find_goal(catalogue: &Catalogue, challenge: &str, goal: &str) -> Result<GoalIndex, Refusal> {
    let parent = catalogue
        .find_challenge(challenge)
        .ok_or_else(|| Refusal::ChallengeNotFound(challenge.to_owned()))?;
    catalogue
        .find_goal(goal)
        .filter(|index| catalogue.goal(*index).challenge == parent)
        .ok_or_else(|| Refusal::GoalNotFound { challenge: challenge.to_owned(), goal: goal.to_owned() })
}

/// Appends a journal row with the player's next sequence number; nothing when no goal is named.
pub(super) fn journal(
    player: &mut Player,
    effects: &mut Effects,
    at: Timestamp,
    kind: JournalKind,
    goals: Vec<(GoalNumber, CycleMark)>,
) {
    let (goals, cycles) = goals.into_iter().unzip();
    append(player, effects, JournalEntry { sequence: 0, at, kind, goals, cycles, progress: Vec::new() });
}

/// Appends a row that has no number yet; nothing when it names no goal.
pub(super) fn append(player: &mut Player, effects: &mut Effects, mut entry: JournalEntry) {
    if entry.goals.is_empty() {
        return;
    }
    // A stored number may be anything; the store refuses a row that stands there already.
    player.head.journal_sequence = player.head.journal_sequence.saturating_add(1);
    entry.sequence = player.head.journal_sequence;
    effects.journal.push(entry);
}

#[cfg(test)]
mod tests;
