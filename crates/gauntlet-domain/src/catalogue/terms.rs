//! The terms of goals through the versions of a catalogue: what a goal asks for and gives, as it
//! was promised to players who got it then.
//!
//! A document does not copy terms. It says as of which version its goals are, and lists the few that
//! go on under older terms; the terms themselves stand here, once for each change of a goal.

use std::{collections::HashMap, sync::Arc};

use super::{
    Catalogue, Goal, GoalIndex, GoalNumber, Timestamp,
    definition::{ChangePolicy, GoalDefinition, Reward, Unclaimed},
};

/// A goal as some version began to define it.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// That version; 0 for the oldest that is known.
    from: u32,
    /// When it came into use, if that is known.
    since: Option<Timestamp>,
    definition: Arc<GoalDefinition>,
}

/// What is known of goals whose terms have changed, and of goals that have left.
pub(super) type History = HashMap<GoalNumber, Vec<Step>>;

/// Terms that a goal of the catalogue had in earlier versions.
#[derive(Debug, Clone)]
pub(super) struct Earlier {
    /// The first version with them.
    from: u32,
    /// The version that replaced them.
    until: u32,
    /// When it did, if that is known.
    ended: Option<Timestamp>,
    /// The goal under these terms, with the texts of today.
    goal: Goal,
    /// What that replacement meant for players who had the goal.
    policy: ChangePolicy,
}

/// A change of a goal's terms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    /// The version that made it.
    pub(crate) version: u32,
    /// When that version came into use; `None`: that is not known.
    pub(crate) at: Option<Timestamp>,
    /// What it means for players who have the goal.
    pub(crate) policy: ChangePolicy,
    /// The goal after it.
    pub(crate) goal: &'a Goal,
}

impl GoalDefinition {
    /// Whether a player would not see the difference in what the goal asks for and gives: the
    /// definitions differ at most in their texts, in who gets the goal, and in what a change means.
    #[must_use]
    pub fn has_terms_of(&self, other: &Self) -> bool {
        let with_our_texts = Self {
            id: self.id.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            default_assigned: self.default_assigned,
            on_change: self.on_change,
            ..other.clone()
        };
        *self == with_our_texts
    }

    /// Whether these terms ask for no more than the others and give no less, measured in the same
    /// way: no player would choose the others.
    #[must_use]
    pub fn is_no_harder_than(&self, other: &Self) -> bool {
        let measured_alike = Self {
            requirement: super::Requirement {
                target_value: self.requirement.target_value,
                ..other.requirement.clone()
            },
            reward: self.reward.clone(),
            prerequisites: self.prerequisites.clone(),
            unclaimed: self.unclaimed,
            ..other.clone()
        };
        self.has_terms_of(&measured_alike)
            && self.requirement.target_value <= other.requirement.target_value
            && self.reward.gives_no_less_than(&other.reward)
            && self.prerequisites.iter().all(|needed| other.prerequisites.contains(needed))
            && self.unclaimed.keeps_no_less_than(other.unclaimed)
    }
}

impl Reward {
    /// Whether it is the same thing, and at least as much of it.
    #[must_use]
    pub fn gives_no_less_than(&self, other: &Self) -> bool {
        self.kind == other.kind && self.id == other.id && self.quantity >= other.quantity
    }
}

impl Unclaimed {
    /// Whether nobody loses by it. Being given time and being granted without asking are not
    /// compared: the one needs the player, the other its prerequisites in time.
    #[must_use]
    pub const fn keeps_no_less_than(self, other: Self) -> bool {
        match (self, other) {
            (_, Self::Forfeit) | (Self::Grant, Self::Grant) => true,
            (Self::Grace { seconds }, Self::Grace { seconds: others }) => seconds >= others,
            _ => false,
        }
    }
}

/// What is known after one more version.
fn extended(previous: &Catalogue, next: &Catalogue) -> History {
    let mut history = previous.history.clone();
    let first =
        |goal: &Goal| vec![Step { from: 0, since: None, definition: Arc::new(goal.definition.clone()) }];
    for goal in previous.goals() {
        let still_there = next.find_number(goal.number).map(|index| next.goal(index));
        if still_there.is_none_or(|new| !new.definition.has_terms_of(&goal.definition)) {
            history.entry(goal.number).or_insert_with(|| first(goal));
        }
    }
    for goal in next.goals() {
        let Some(steps) = history.get_mut(&goal.number) else { continue };
        let known = steps.last().is_some_and(|step| goal.definition.has_terms_of(&step.definition));
        if !known {
            let (from, since) = (next.version(), next.since);
            steps.push(Step { from, since, definition: Arc::new(goal.definition.clone()) });
        }
    }
    history
}

impl Catalogue {
    /// The same catalogue as the next version after another one, whose terms it remembers. Versions
    /// that were never in use are left out: no player has seen them.
    #[must_use]
    pub fn following(mut self, previous: &Self) -> Self {
        self.history = extended(previous, &self);
        self.last_change = previous.last_change;
        self.after = previous.version;
        let mut earlier: Vec<(GoalNumber, Vec<Earlier>)> = Vec::new();
        for at in 0..self.goals.len() {
            let current = &self.goals[at];
            let Some(steps) = self.history.get(&current.number).filter(|steps| steps.len() > 1) else {
                continue;
            };
            let (number, challenge) = (current.number, current.challenge);
            let texts = (current.definition.name.clone(), current.definition.description.clone());
            let pairs: Vec<(Step, Step)> = steps.iter().cloned().zip(steps.iter().skip(1).cloned()).collect();
            let mut list = Vec::with_capacity(pairs.len());
            for (step, next) in pairs {
                let (name, description) = texts.clone();
                let definition = GoalDefinition { name, description, ..(*step.definition).clone() };
                let prerequisites = self.linked(&definition);
                let goal = Goal { prerequisites, ..self.goal_under(definition, number, challenge) };
                let policy = next.definition.on_change;
                self.last_change = self.last_change.max(next.from);
                let (from, until, ended) = (step.from, next.from, next.since);
                list.push(Earlier { from, until, ended, goal, policy });
            }
            earlier.push((number, list));
        }
        self.earlier = earlier.into_iter().collect();
        self
    }

    /// The same with the time at which it came into use: its changes reach the cycles that goals are
    /// in then.
    #[must_use]
    pub fn in_use_since(mut self, at: Timestamp) -> Self {
        self.since = Some(at);
        for steps in self.history.values_mut() {
            for step in steps.iter_mut().filter(|step| step.from == self.version) {
                step.since = Some(at);
            }
        }
        for list in self.earlier.values_mut() {
            for terms in list.iter_mut().filter(|terms| terms.until == self.version) {
                terms.ended = Some(at);
            }
        }
        self
    }

    /// Whether it was made as what follows a version.
    #[must_use]
    pub const fn follows(&self, version: u32) -> bool {
        self.after == version
    }

    /// The newest version at which the terms of a goal changed; 0: none ever did.
    pub(crate) const fn last_change(&self) -> u32 {
        self.last_change
    }

    /// The goal under the terms that it had in a version. A version that is not known, or as new as
    /// the catalogue, has those of today.
    #[must_use]
    pub fn goal_as_of(&self, index: GoalIndex, version: u32) -> &Goal {
        let today = self.goal(index);
        if version >= self.last_change {
            return today;
        }
        let list = self.earlier.get(&today.number).map(Vec::as_slice).unwrap_or_default();
        list.iter()
            .find(|terms| (terms.from..terms.until).contains(&version))
            .map_or(today, |terms| &terms.goal)
    }

    /// A version with the terms that a goal had until a change at some time; the version of today, when
    /// no change of that time is known.
    pub(crate) fn version_before(&self, index: GoalIndex, change: Timestamp) -> u32 {
        let list = self.earlier.get(&self.goal(index).number).map(Vec::as_slice).unwrap_or_default();
        let ended = list.iter().find(|terms| terms.ended == Some(change));
        ended.map_or(self.version, |terms| terms.from)
    }

    /// Whether the goal has in a version the terms of today.
    #[must_use]
    pub fn has_terms_of_today(&self, number: GoalNumber, version: u32) -> bool {
        self.earlier.get(&number).is_none_or(|list| list.last().is_none_or(|last| last.until <= version))
    }

    /// The changes of a goal's terms after a version, in their order.
    pub(crate) fn changes_after(&self, index: GoalIndex, version: u32) -> impl Iterator<Item = Change<'_>> {
        let today = self.goal(index);
        let list = self.earlier.get(&today.number).map(Vec::as_slice).unwrap_or_default();
        list.iter().enumerate().filter(move |(_, terms)| terms.until > version).map(move |(at, terms)| {
            Change {
                version: terms.until,
                at: terms.ended,
                policy: terms.policy,
                goal: list.get(at + 1).map_or(today, |next| &next.goal),
            }
        })
    }
}

#[cfg(test)]
mod tests;
