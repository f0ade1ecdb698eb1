//! Whether a player's document and the grants that were ordered for the player say the same.
//!
//! Both change in one transaction, so they always do, unless somebody wrote behind the service's back, restored one
//! without the other, or the service has a fault.

use std::fmt;

use crate::{ClaimState, GoalNumber, GrantKey, Player, Status, player::CycleMark};

/// How far a grant is, by its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantStanding {
    /// It is being sent.
    Sending,
    /// The reward was handed out.
    Granted,
    /// The platform refused it for good.
    Refused,
    /// Nobody can tell.
    Uncertain,
}

/// One thing that the document and the grants say differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mismatch {
    /// The goal.
    pub goal: GoalNumber,
    /// The cycle of the goal.
    pub cycle: u32,
    /// What differs.
    pub what: Difference,
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The document waits for a grant that was never ordered: the player never gets the reward.
    ClaimWithoutGrant,
    /// A grant is under way, refused or uncertain, and the document knows of no claim.
    GrantWithoutClaim,
    /// Both know of the claim, and not the same of how far it is.
    StatesDiffer,
    /// The document says claimed, and no grant says granted: the player lost the reward.
    ClaimedWithoutGrant,
    /// A grant says granted, and the document lets the goal be claimed: the player may get the reward twice.
    GrantedNotClaimed,
}

impl Difference {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClaimWithoutGrant => "the document waits for a grant that was never ordered",
            Self::GrantWithoutClaim => "there is an open grant that the document does not know of",
            Self::StatesDiffer => "document and grant differ in how far the claim is",
            Self::ClaimedWithoutGrant => "the document says claimed, and no grant was handed out",
            Self::GrantedNotClaimed => "a grant was handed out, and the document does not say claimed",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Compares a document, with its settled part, and all grants of its player.
#[must_use]
pub fn audit(player: &Player, grants: &[(GrantKey, GrantStanding)]) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let head = &player.head;
    let mut tell = |goal, cycle, what| found.push(Mismatch { goal, cycle, what });
    for claim in &head.claims {
        let key = GrantKey { goal: claim.goal, cycle: claim.cycle, epoch: head.epoch };
        let standing = grants.iter().find(|(other, _)| *other == key).map(|(_, standing)| *standing);
        let wanted = match claim.state {
            ClaimState::Pending => GrantStanding::Sending,
            ClaimState::Refused => GrantStanding::Refused,
            ClaimState::Uncertain => GrantStanding::Uncertain,
        };
        match standing {
            None => tell(claim.goal, claim.cycle, Difference::ClaimWithoutGrant),
            Some(standing) if standing != wanted => tell(claim.goal, claim.cycle, Difference::StatesDiffer),
            Some(_) => {}
        }
    }
    for (goal, cycle) in claimed(player) {
        let granted = |(key, standing): &(GrantKey, GrantStanding)| {
            key.goal == goal && key.cycle == cycle.number && *standing == GrantStanding::Granted
        };
        if !grants.iter().any(granted) {
            tell(goal, cycle.number, Difference::ClaimedWithoutGrant);
        }
    }
    // Grants of an epoch before an administrator's reset belong to a document that is no more.
    for (key, standing) in grants.iter().filter(|(key, _)| key.epoch == head.epoch) {
        let claim = player.claim(key.goal, key.cycle);
        match standing {
            GrantStanding::Granted if claim.is_none() && may_be_claimed(player, key) => {
                tell(key.goal, key.cycle, Difference::GrantedNotClaimed);
            }
            GrantStanding::Granted => {}
            _ if claim.is_none() => tell(key.goal, key.cycle, Difference::GrantWithoutClaim),
            _ => {}
        }
    }
    found.sort_unstable();
    found
}

/// Goals whose reward was handed out, as the document says, with the cycle.
fn claimed(player: &Player) -> impl Iterator<Item = (GoalNumber, CycleMark)> {
    player.goals().flat_map(|goal| {
        let now = (goal.status == Status::Claimed).then_some(goal.cycle);
        let before = goal.previous.filter(|previous| previous.status == Status::Claimed);
        now.into_iter().chain(before.map(|previous| previous.cycle)).map(|cycle| (goal.number, cycle))
    })
}

/// Whether the document shows the goal, in that cycle, as completed and not claimed. Cycles that it has forgotten can
/// not be claimed.
fn may_be_claimed(player: &Player, key: &GrantKey) -> bool {
    let kept = player.head.kept.iter().any(|kept| kept.goal == key.goal && kept.cycle.number == key.cycle);
    kept || player.goal(key.goal).is_some_and(|goal| {
        let previous = goal.previous.filter(|previous| previous.cycle.number == key.cycle);
        let now = goal.cycle.number == key.cycle && goal.status != Status::Claimed;
        now || previous.is_some_and(|previous| previous.status != Status::Claimed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        GoalState, Timestamp,
        player::{Head, PendingClaim, PreviousCycle},
    };

    const GOAL: GoalNumber = GoalNumber(7);

    fn key(cycle: u32, epoch: u32) -> GrantKey {
        GrantKey { goal: GOAL, cycle, epoch }
    }

    /// A player whose goal is in cycle 3 with a status, and was claimed in cycle 2.
    fn player(status: Status, claim: Option<ClaimState>) -> Player {
        let mut goal = GoalState::new(GOAL, CycleMark { number: 3, end: None });
        goal.status = status;
        goal.previous = Some(PreviousCycle {
            cycle: CycleMark { number: 2, end: None },
            status: Status::Claimed,
            progress: 1,
            completed_at: None,
        });
        let claims =
            claim.map(|state| PendingClaim { goal: GOAL, cycle: 3, claimed_at: Timestamp::default(), state });
        let head = Head { epoch: 1, claims: claims.into_iter().collect(), ..Head::default() };
        Player::from_parts(head, vec![goal], Some(Vec::new()))
    }

    fn found(player: &Player, grants: &[(GrantKey, GrantStanding)]) -> Vec<(u32, Difference)> {
        audit(player, grants).into_iter().map(|mismatch| (mismatch.cycle, mismatch.what)).collect()
    }

    #[test]
    fn what_agrees_is_silent_and_what_differs_is_named() {
        use ClaimState as C;
        use Difference::{
            ClaimWithoutGrant, ClaimedWithoutGrant, GrantWithoutClaim, GrantedNotClaimed, StatesDiffer,
        };
        use GrantStanding::{Granted, Refused, Sending, Uncertain};
        let completed = Status::Completed;
        for (status, claim, grant, wanted) in [
            (completed, None, None, vec![]),
            (completed, Some(C::Pending), Some(Sending), vec![]),
            (completed, Some(C::Refused), Some(Refused), vec![]),
            (completed, Some(C::Uncertain), Some(Uncertain), vec![]),
            (Status::Claimed, None, Some(Granted), vec![]),
            (completed, Some(C::Pending), None, vec![ClaimWithoutGrant]),
            (completed, Some(C::Pending), Some(Granted), vec![StatesDiffer]),
            (completed, Some(C::Refused), Some(Sending), vec![StatesDiffer]),
            (Status::Claimed, None, None, vec![ClaimedWithoutGrant]),
            (Status::Claimed, None, Some(Sending), vec![GrantWithoutClaim, ClaimedWithoutGrant]),
            (completed, None, Some(Granted), vec![GrantedNotClaimed]),
            (completed, None, Some(Uncertain), vec![GrantWithoutClaim]),
        ] {
            let mut grants = vec![(key(2, 1), Granted)];
            grants.extend(grant.map(|standing| (key(3, 1), standing)));
            let wanted: Vec<_> = wanted.into_iter().map(|what| (3, what)).collect();
            assert_eq!(found(&player(status, claim), &grants), wanted, "{status:?} {claim:?} {grant:?}");
        }
    }

    #[test]
    fn the_cycle_before_is_compared_too() {
        let player = player(Status::NotStarted, None);
        assert_eq!(found(&player, &[]), [(2, Difference::ClaimedWithoutGrant)]);
        assert_eq!(found(&player, &[(key(2, 1), GrantStanding::Granted)]), []);
    }

    #[test]
    fn cycles_that_the_document_has_forgotten_and_epochs_before_a_reset_say_nothing() {
        let grants = [
            (key(2, 1), GrantStanding::Granted),
            (key(1, 1), GrantStanding::Granted),
            (key(3, 0), GrantStanding::Uncertain),
        ];
        assert_eq!(found(&player(Status::Completed, None), &grants), []);
    }
}
