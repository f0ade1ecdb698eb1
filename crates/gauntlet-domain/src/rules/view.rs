//! What a goal looks like to its player at a time.

use std::borrow::Cow;

use crate::{
    Catalogue, ClaimState, Goal, GoalIndex, GoalState, Player, Status, Timestamp, cycle::cycle_at,
    rules::rollover::current,
};

/// A goal as a player sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoalView {
    /// Against the target.
    pub progress: i32,
    /// How far it is.
    pub status: Status,
    /// A prerequisite is neither completed nor claimed.
    pub locked: bool,
    /// Events count for it.
    pub is_active: bool,
    /// When it last became active.
    pub assigned_at: Option<Timestamp>,
    /// When the target was first reached.
    pub completed_at: Option<Timestamp>,
    /// When the reward was claimed.
    pub claimed_at: Option<Timestamp>,
    /// When the cycle ends.
    pub expires_at: Option<Timestamp>,
    /// What is known of a grant that has not ended well.
    pub claim: Option<ClaimState>,
    /// The catalogue version whose terms hold for the player; `None`: those of today.
    pub terms: Option<u32>,
}

/// The goal as `player` (`None`: a player without a row) sees it at a time.
#[must_use]
pub fn view_goal(
    player: Option<&Player>,
    catalogue: &Catalogue,
    index: GoalIndex,
    at: Timestamp,
) -> GoalView {
    let goal = player.map_or_else(|| catalogue.goal(index), |player| player.terms(catalogue, index, at));
    let locked = !open_prerequisites(player, catalogue, goal, at).is_empty();
    let Some((player, state)) = player.and_then(|player| Some((player, player.goal(goal.number)?))) else {
        return GoalView {
            progress: 0,
            status: Status::NotStarted,
            locked,
            is_active: false,
            assigned_at: None,
            completed_at: None,
            claimed_at: None,
            expires_at: cycle_at(goal, at).end,
            claim: None,
            terms: None,
        };
    };
    let terms = player.terms_version(state, at);
    let state = current(player, state, goal, at);
    GoalView {
        progress: state.progress,
        status: state.status,
        locked,
        is_active: state.active,
        assigned_at: state.assigned_at,
        completed_at: state.completed_at,
        claimed_at: state.claimed_at,
        expires_at: state.cycle.end,
        claim: player.claim(goal.number, state.cycle.number).map(|claim| claim.state),
        terms,
    }
}

/// The prerequisites of a goal that are neither completed nor claimed.
pub(super) fn open_prerequisites(
    player: Option<&Player>,
    catalogue: &Catalogue,
    goal: &Goal,
    at: Timestamp,
) -> Vec<GoalIndex> {
    let done = |index: GoalIndex| {
        player.is_some_and(|player| {
            current_state(player, catalogue, index, at).is_some_and(|state| state.status.is_done())
        })
    };
    goal.prerequisites.iter().copied().filter(|index| !done(*index)).collect()
}

/// The player's state of a goal at a time, if there is one.
pub(super) fn current_state<'a>(
    player: &'a Player,
    catalogue: &Catalogue,
    index: GoalIndex,
    at: Timestamp,
) -> Option<Cow<'a, GoalState>> {
    let goal = player.terms(catalogue, index, at);
    player.goal(goal.number).map(|state| current(player, state, goal, at))
}
