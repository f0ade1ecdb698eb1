//! What a goal looks like to its player at a time.

use std::borrow::Cow;

use crate::{
    Catalogue, ClaimState, Goal, GoalIndex, GoalState, Player, Status, Timestamp,
    catalogue::Unclaimed,
    player::{KeptReward, Terms},
    rules::rollover::{claimable_until, current, expires_at},
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
    /// Until when a completion of an earlier cycle can still be claimed, if there is one.
    pub claimable_until: Option<Timestamp>,
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
    let Some((player, stored)) = player.and_then(|player| Some((player, player.goal(goal.number)?))) else {
        return GoalView {
            progress: 0,
            status: Status::NotStarted,
            locked,
            is_active: false,
            assigned_at: None,
            completed_at: None,
            claimed_at: None,
            expires_at: goal.cycles.of_nobody(at).end,
            claimable_until: None,
            claim: None,
            terms: None,
        };
    };
    let terms = player.terms_of(stored, catalogue, index);
    let kept = claimable_until_at(player, stored, terms, catalogue, at);
    let version = player.terms_version(catalogue, index, at);
    let state = current(player, stored, terms, at);
    GoalView {
        progress: state.progress,
        status: state.status,
        locked,
        is_active: state.active,
        assigned_at: state.assigned_at,
        completed_at: state.completed_at,
        claimed_at: state.claimed_at,
        expires_at: expires_at(&state, goal, at),
        claimable_until: kept,
        claim: player.claim(goal.number, state.cycle.number).map(|claim| claim.state),
        terms: version,
    }
}

/// The end of the first grace period that is running, also of a completion that nobody has moved
/// out of its cycle yet.
fn claimable_until_at(
    player: &Player,
    state: &GoalState,
    terms: Terms<'_>,
    catalogue: &Catalogue,
    at: Timestamp,
) -> Option<Timestamp> {
    let until = |kept: &KeptReward, goal: &Goal| {
        let waits = matches!(goal.unclaimed(), Unclaimed::Grace { .. });
        claimable_until(kept, goal).filter(|_| waits)
    };
    let ended = state.status == Status::Completed
        && state.cycle.end.is_some_and(|end| end <= at)
        && player.claim(state.number, state.cycle.number).is_none();
    let waiting = KeptReward { goal: state.number, cycle: state.cycle, completed_at: state.completed_at };
    let index = catalogue.find_number(state.number)?;
    let kept = player.head.kept.iter().filter(|kept| kept.goal == state.number);
    kept.filter_map(|kept| until(kept, player.terms_in(catalogue, index, kept.cycle.number)))
        .chain(ended.then(|| until(&waiting, terms.now)).flatten())
        .filter(|until| at < *until)
        .min()
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
    let state = player.goal(catalogue.goal(index).number)?;
    Some(current(player, state, player.terms_of(state, catalogue, index), at))
}
