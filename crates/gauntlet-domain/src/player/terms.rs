//! Which terms hold for a player's goals: those of the catalogue, or older ones that were kept.

use super::{GoalState, Player, Status, find};
use crate::{Catalogue, Goal, GoalIndex, GoalNumber, Timestamp};

/// The catalogue version whose terms hold for one cycle of a goal: the cycle that the goal is in,
/// until it is claimed or put away, or one that has ended, while late events can still count for it
/// or its reward still waits.
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
    /// What the list is sorted by.
    pub(super) const fn place(self) -> (GoalNumber, u32) {
        (self.goal, self.cycle)
    }

    /// Whether they are those of the goal as it is.
    const fn keeps(self, goal: &GoalState) -> bool {
        goal.cycle.number == self.cycle && goal.is_promised()
    }

    /// Whether an event that comes late may still count for their cycle.
    fn are_late(self, goal: &GoalState, catalogue: &Catalogue, oldest: Option<Timestamp>) -> bool {
        if !goal.active || self.cycle >= goal.cycle.number {
            return false;
        }
        let Some(oldest) = oldest else { return true };
        let known = || catalogue.find_number(goal.number).map(|index| catalogue.goal(index));
        let ended = goal.previous.and_then(|previous| previous.cycle.end);
        ended.or_else(|| known()?.cycles.start(goal.cycle)).is_some_and(|ended| ended >= oldest)
    }
}

/// A goal as it is for a player.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// Under the terms of the cycle that the player's state is in.
    pub(crate) now: &'a Goal,
    /// As the catalogue has it, for cycles to come.
    pub(crate) next: &'a Goal,
}

impl<'a> Terms<'a> {
    /// Whether the cycle goes by terms that are not those of the catalogue.
    pub(crate) fn are_old(self) -> bool {
        !std::ptr::eq(self.now, self.next)
    }

    /// The terms by which the cycle ends. What was `taken` (claimed, or asked for) follows the
    /// catalogue.
    pub(crate) const fn of_end(self, taken: bool) -> &'a Goal {
        if taken { self.next } else { self.now }
    }

    /// The terms of the cycle that follows: those of the catalogue, unless progress is carried on,
    /// which would mean something else under other terms.
    pub(crate) const fn of_following(self, taken: bool) -> &'a Goal {
        if taken || self.now.on_expiry.reset_progress { self.next } else { self.now }
    }
}

impl GoalState {
    /// Whether the terms it is done under stay: it is being done, or done and not claimed.
    pub(crate) const fn is_promised(&self) -> bool {
        match self.status {
            Status::Claimed => false,
            Status::Completed => true,
            Status::NotStarted | Status::InProgress => self.active,
        }
    }
}

impl Player {
    /// The catalogue version as of which the settled goals are.
    #[must_use]
    pub fn settled_as_of(&self) -> u32 {
        self.settled_as_of.unwrap_or(self.head.catalogue_version)
    }

    /// The cycles that go by older terms, sorted by goal and cycle.
    #[must_use]
    pub fn held_terms(&self) -> &[HeldTerms] {
        &self.held
    }

    /// Replaces the list of cycles that go by older terms.
    pub fn hold_terms(&mut self, mut held: Vec<HeldTerms>) {
        held.sort_by_key(|terms| terms.place());
        self.held = held;
    }

    /// Whether some cycle of the goal goes by older terms.
    pub(crate) fn holds_terms_of(&self, number: GoalNumber) -> bool {
        self.held.binary_search_by_key(&number, |terms| terms.goal).is_ok()
    }

    /// The catalogue version whose terms hold for a cycle of a goal. What is not in the list is as of
    /// the document's; a cycle of which nothing is known goes by the terms of the one after it.
    pub(crate) fn version_in(&self, number: GoalNumber, cycle: u32) -> u32 {
        let at = self.held.partition_point(|terms| terms.place() < (number, cycle));
        let found = self.held.get(at).filter(|terms| terms.goal == number);
        found.map_or(self.head.catalogue_version, |terms| terms.version)
    }

    /// A goal under the terms that hold, or held, for one of its cycles.
    pub(crate) fn terms_in<'a>(&self, catalogue: &'a Catalogue, index: GoalIndex, cycle: u32) -> &'a Goal {
        catalogue.goal_as_of(index, self.version_in(catalogue.goal(index).number, cycle))
    }

    /// A goal under the terms that hold for what the player has of it.
    pub(crate) fn terms_of<'a>(
        &self,
        goal: &GoalState,
        catalogue: &'a Catalogue,
        index: GoalIndex,
    ) -> Terms<'a> {
        let next = catalogue.goal(index);
        let promised = goal.is_promised();
        let now = if promised { self.terms_in(catalogue, index, goal.cycle.number) } else { next };
        Terms { now, next }
    }

    /// The goal at an index of the catalogue, under the terms that hold for this player at a time.
    #[must_use]
    pub fn terms<'a>(&self, catalogue: &'a Catalogue, index: GoalIndex, at: Timestamp) -> &'a Goal {
        let today = catalogue.goal(index);
        let Some(goal) = self.goal(today.number) else { return today };
        let terms = self.terms_of(goal, catalogue, index);
        let lasts = || self.is_claiming(goal) || terms.now.cycles.next(goal, at).is_none();
        if !terms.are_old() || lasts() {
            return terms.now;
        }
        terms.of_following(self.claim(goal.number, goal.cycle.number).is_some())
    }

    /// The version whose terms hold for a goal at a time; `None`: those of today.
    #[must_use]
    pub fn terms_version(&self, catalogue: &Catalogue, index: GoalIndex, at: Timestamp) -> Option<u32> {
        let today = catalogue.goal(index);
        let old = !std::ptr::eq(self.terms(catalogue, index, at), today);
        let goal = self.goal(today.number).filter(|_| old)?;
        Some(self.version_in(goal.number, goal.cycle.number))
    }

    /// Writes down the terms of a cycle that outlives its end, where they were only known from the one
    /// after it.
    pub(crate) fn pin_terms(&mut self, number: GoalNumber, cycle: u32) {
        let version = self.version_in(number, cycle);
        let at = self.held.partition_point(|terms| terms.place() < (number, cycle));
        let pinned = self.held.get(at).is_some_and(|terms| terms.place() == (number, cycle));
        if !pinned && version != self.head.catalogue_version {
            self.held.insert(at, HeldTerms { goal: number, version, cycle });
        }
    }

    /// Takes the terms of a goal over the end of a cycle, with its progress.
    pub(crate) fn carry_terms(&mut self, number: GoalNumber, from: u32, to: u32) {
        let at = self.held.partition_point(|terms| terms.place() < (number, from));
        if let Some(terms) = self.held.get_mut(at).filter(|terms| terms.place() == (number, from)) {
            terms.cycle = to;
        }
    }

    /// Forgets older terms that hold no more; those of ended cycles, for which only late events would
    /// need them, when these cycles ended before `oldest` (`None`: never).
    pub(super) fn drop_terms(&mut self, catalogue: &Catalogue, oldest: Option<Timestamp>) {
        if self.held.is_empty() {
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        held.retain(|terms| {
            // A goal that has left may come back.
            let differ = catalogue.find_number(terms.goal).is_none()
                || !catalogue.has_terms_of_today(terms.goal, terms.version);
            let waits = self.head.kept.iter().any(|kept| (kept.goal, kept.cycle.number) == terms.place());
            let settled = self.settled.as_deref();
            let state = find(&self.live, terms.goal).or_else(|| find(settled?, terms.goal));
            let counts = match state {
                Some(goal) => terms.keeps(goal) || terms.are_late(goal, catalogue, oldest),
                // It may be settled, which events do not look at.
                None => settled.is_none(),
            };
            differ && (waits || counts)
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
