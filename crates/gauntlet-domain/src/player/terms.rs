//! Which terms hold for a player's goals: those of the catalogue, or older ones that were kept.

use super::{GoalState, Player, Status, find};
use crate::{Catalogue, Goal, GoalIndex, GoalNumber, Timestamp};

/// A goal that goes on under the terms of an older catalogue version, until it is claimed, put away
/// or its cycle ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldTerms {
    /// The goal.
    pub goal: GoalNumber,
    /// A catalogue version with these terms.
    pub version: u32,
    /// The cycle for which they hold.
    pub cycle: u32,
}

impl HeldTerms {
    /// Whether they still hold for the goal as it is: it is being done, in the cycle they are of.
    const fn keeps(self, goal: &GoalState) -> bool {
        goal.active && goal.cycle.number == self.cycle && !matches!(goal.status, Status::Claimed)
    }
}

impl Player {
    /// The catalogue version as of which the settled goals are.
    #[must_use]
    pub fn settled_as_of(&self) -> u32 {
        self.settled_as_of.unwrap_or(self.head.catalogue_version)
    }

    /// The live goals that go on under older terms, sorted by number.
    #[must_use]
    pub fn held_terms(&self) -> &[HeldTerms] {
        &self.held
    }

    /// Replaces the list of live goals that go on under older terms.
    pub fn hold_terms(&mut self, mut held: Vec<HeldTerms>) {
        held.sort_by_key(|terms| terms.goal);
        self.held = held;
    }

    /// The version whose terms hold for a goal at a time; `None`: those of today.
    #[must_use]
    pub fn terms_version(&self, goal: &GoalState, at: Timestamp) -> Option<u32> {
        if self.held.is_empty() {
            return None;
        }
        let at_place = self.held.binary_search_by_key(&goal.number, |terms| terms.goal).ok()?;
        let terms = self.held[at_place];
        let ended = goal.cycle.end.is_some_and(|end| end <= at);
        let claiming = self.is_claiming(goal);
        (terms.keeps(goal) && (claiming || !ended)).then_some(terms.version)
    }

    /// The goal at an index of the catalogue, under the terms that hold for this player at a time.
    #[must_use]
    pub fn terms<'a>(&self, catalogue: &'a Catalogue, index: GoalIndex, at: Timestamp) -> &'a Goal {
        if self.held.is_empty() {
            return catalogue.goal(index);
        }
        let state = self.goal(catalogue.goal(index).number);
        match state.and_then(|state| self.terms_version(state, at)) {
            Some(version) => catalogue.goal_as_of(index, version),
            None => catalogue.goal(index),
        }
    }

    /// Forgets older terms that hold no more.
    pub(super) fn drop_terms(&mut self, catalogue: &Catalogue) {
        if self.held.is_empty() {
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        held.retain(|terms| {
            // A goal that has left may come back.
            let differ = catalogue.find_number(terms.goal).is_none()
                || !catalogue.has_terms_of_today(terms.goal, terms.version);
            differ && find(&self.live, terms.goal).is_some_and(|goal| terms.keeps(goal))
        });
        self.held = held;
    }

    /// Says that the document is as of this catalogue version, in memory and for who writes it.
    pub(crate) fn is_now_as_of(&mut self, version: u32) {
        self.head.catalogue_version = self.head.catalogue_version.max(version);
        let settled = self.settled.as_ref().is_some_and(|goals| !goals.is_empty());
        self.settled_as_of = settled.then_some(self.head.catalogue_version);
    }

    /// The settled goals, to change.
    pub(crate) fn settled_mut(&mut self) -> &mut [GoalState] {
        self.settled.as_deref_mut().unwrap_or_default()
    }
}
