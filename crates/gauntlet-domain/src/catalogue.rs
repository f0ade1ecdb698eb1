//! The catalogue: what designers write, checked, and made quick to look things up in.
//!
//! [`parse`](parse::parse) turns a file into a [`Definition`] or reports every fault in it.
//! [`Catalogue::new`] joins a definition with the numbers that the goal registry gave its goal
//! ids; from then on goals are found by id, by number, by trigger and by challenge without a
//! search.

mod definition;
pub mod diff;
pub mod generate;
mod names;
pub mod parse;
pub mod schema;
mod terms;
mod write;

use std::{collections::HashMap, sync::Arc};

use crate::{
    Timestamp,
    cycle::{Calendar, Cycles},
};
pub use definition::{
    ChallengeDefinition, ChangePolicy, Definition, EventSource, GoalDefinition, GoalKind, OnExpiry, Operator,
    ProgressMode, Requirement, Reward, RewardKind, Rotation, RotationKind, Schedule, Unclaimed, Weekday,
};
pub use diff::{Difference, diff};
pub use generate::{GeneratePlan, LOAD_STATS, PlanError, generate};
pub use parse::{Fault, Faults, parse};
pub use schema::schema;
pub use write::to_json;

/// The small number that the registry gave a goal id, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoalNumber(pub u32);

/// Where a goal stands in [`Catalogue::goals`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoalIndex(u32);

impl GoalIndex {
    /// The same as a number, counted from 0.
    #[must_use]
    pub const fn position(self) -> usize {
        self.0 as usize
    }
}

/// Where a challenge stands in [`Catalogue::challenges`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChallengeIndex(u32);

/// A statistic that at least one goal of the catalogue uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatIndex(u32);

/// Which events count for a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Every login.
    Login,
    /// Every update of this statistic.
    Stat(StatIndex),
}

/// A goal, with what the definition says and what was worked out when the catalogue was made.
#[derive(Debug, Clone)]
pub struct Goal {
    /// What the designer wrote.
    pub definition: GoalDefinition,
    /// The registry's number.
    pub number: GoalNumber,
    /// The challenge it belongs to.
    pub challenge: ChallengeIndex,
    /// Which events count for it.
    pub trigger: Trigger,
    /// The goals of [`GoalDefinition::prerequisites`].
    pub prerequisites: Vec<GoalIndex>,
    /// How its cycles follow each other.
    pub cycles: Cycles,
    /// What happens at the end of a cycle.
    pub on_expiry: OnExpiry,
}

impl Goal {
    /// The goal's id, unique in the whole catalogue.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.definition.id
    }

    /// The progress that completes the goal.
    #[must_use]
    pub const fn target(&self) -> i32 {
        self.definition.requirement.target_value
    }

    /// Whether a claimed goal opens again in a later cycle.
    #[must_use]
    pub const fn reopens(&self) -> bool {
        self.on_expiry.allow_reselection && !matches!(self.cycles, Cycles::One)
    }

    /// What becomes of a completion that was not claimed when its cycle ends; [`Unclaimed::Forfeit`]
    /// also where nothing is lost then.
    #[must_use]
    pub const fn unclaimed(&self) -> Unclaimed {
        if self.on_expiry.reset_progress && !matches!(self.cycles, Cycles::One) {
            self.definition.unclaimed
        } else {
            Unclaimed::Forfeit
        }
    }
}

/// A challenge and the goals that belong to it, in the order of the file.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// Id, unique in the catalogue.
    pub id: String,
    /// Shown to players.
    pub name: String,
    /// Shown to players; may be empty.
    pub description: String,
    /// Its goals stand next to each other in [`Catalogue::goals`].
    goals: std::ops::Range<u32>,
}

/// Why a definition could not become a catalogue.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The registry gave no number for this goal id.
    #[error("goal {0:?} has no number in the registry")]
    Unnumbered(String),
}

/// A catalogue in use: immutable, shared by every request that began with it.
#[derive(Debug, Clone)]
pub struct Catalogue {
    version: u32,
    /// When it came into use; `None`: that is not known.
    since: Option<Timestamp>,
    challenges: Vec<Challenge>,
    goals: Vec<Goal>,
    challenge_by_id: HashMap<String, ChallengeIndex>,
    goal_by_id: HashMap<String, GoalIndex>,
    /// Indexed by goal number; numbers are given out densely.
    goal_by_number: Vec<Option<GoalIndex>>,
    stat_by_code: HashMap<String, StatIndex>,
    /// By statistic: whether one of its goals adds up, so that its events need receipts.
    stat_adds_up: Vec<bool>,
    login_used: bool,
    login_adds_up: bool,
    /// Goals that every player gets.
    defaults: Vec<GoalIndex>,
    /// The boundaries of global cycles, each different one once; those of earlier terms among them.
    calendars: Vec<Arc<Calendar>>,
    /// How many goals have cycles of each player's own, those of earlier terms among them.
    per_user: usize,
    /// Some goal grants unclaimed rewards by itself, or did under earlier terms.
    grants_unclaimed: bool,
    /// What earlier versions said, where that is not what this one says.
    history: terms::History,
    /// The same for goals that are in this version, ready to be used.
    earlier: HashMap<GoalNumber, Vec<terms::Earlier>>,
    last_change: u32,
    /// The version that it follows; 0: it was made without one.
    after: u32,
}

impl Catalogue {
    /// Joins a checked definition with the version and the goal numbers that the store gave it.
    ///
    /// # Errors
    /// [`Error::Unnumbered`] when `numbers` lacks a goal of the definition.
    pub fn new<S: std::hash::BuildHasher>(
        definition: Definition,
        version: u32,
        numbers: &HashMap<String, GoalNumber, S>,
    ) -> Result<Self, Error> {
        let mut catalogue = Self {
            version,
            since: None,
            challenges: Vec::new(),
            goals: Vec::new(),
            challenge_by_id: HashMap::new(),
            goal_by_id: HashMap::new(),
            goal_by_number: Vec::new(),
            stat_by_code: HashMap::new(),
            stat_adds_up: Vec::new(),
            login_used: false,
            login_adds_up: false,
            defaults: Vec::new(),
            calendars: Vec::new(),
            per_user: 0,
            grants_unclaimed: false,
            history: terms::History::new(),
            earlier: HashMap::new(),
            last_change: 0,
            after: 0,
        };
        for challenge in definition.challenges {
            let index = ChallengeIndex(index_u32(catalogue.challenges.len()));
            let first = index_u32(catalogue.goals.len());
            for goal in challenge.goals {
                let number = *numbers.get(&goal.id).ok_or_else(|| Error::Unnumbered(goal.id.clone()))?;
                catalogue.add_goal(goal, number, index);
            }
            let goals = first..index_u32(catalogue.goals.len());
            catalogue.challenge_by_id.insert(challenge.id.clone(), index);
            catalogue.challenges.push(Challenge {
                id: challenge.id,
                name: challenge.name,
                description: challenge.description,
                goals,
            });
        }
        catalogue.link_prerequisites();
        Ok(catalogue)
    }

    fn add_goal(&mut self, definition: GoalDefinition, number: GoalNumber, challenge: ChallengeIndex) {
        let index = GoalIndex(index_u32(self.goals.len()));
        let slot = number.0 as usize;
        if self.goal_by_number.len() <= slot {
            self.goal_by_number.resize(slot + 1, None);
        }
        self.goal_by_number[slot] = Some(index);
        if definition.default_assigned {
            self.defaults.push(index);
        }
        self.goal_by_id.insert(definition.id.clone(), index);
        let goal = self.goal_under(definition, number, challenge);
        self.goals.push(goal);
    }

    /// A goal under a definition, which may be one of an earlier version. Its prerequisites are not
    /// linked yet.
    fn goal_under(
        &mut self,
        definition: GoalDefinition,
        number: GoalNumber,
        challenge: ChallengeIndex,
    ) -> Goal {
        let trigger = self.trigger_of(&definition);
        let calendars = &mut self.calendars;
        let cycles = Cycles::of(&definition, |made| shared(calendars, made));
        self.per_user += usize::from(matches!(cycles, Cycles::PerUser { .. }));
        let on_expiry = definition.on_expiry();
        let prerequisites = Vec::new();
        let goal = Goal { definition, number, challenge, trigger, prerequisites, cycles, on_expiry };
        self.grants_unclaimed |= goal.unclaimed() == Unclaimed::Grant;
        goal
    }

    /// Which events count under a definition; from now on they are among those that are used.
    fn trigger_of(&mut self, definition: &GoalDefinition) -> Trigger {
        match definition.event_source {
            EventSource::Login => {
                self.login_used = true;
                self.login_adds_up |= definition.adds_up();
                Trigger::Login
            }
            EventSource::Statistic => {
                let next = StatIndex(index_u32(self.stat_by_code.len()));
                let code = definition.requirement.stat_code.clone();
                let stat = *self.stat_by_code.entry(code).or_insert(next);
                self.stat_adds_up.resize(self.stat_by_code.len(), false);
                self.stat_adds_up[stat.0 as usize] |= definition.adds_up();
                Trigger::Stat(stat)
            }
        }
    }

    fn link_prerequisites(&mut self) {
        for at in 0..self.goals.len() {
            self.goals[at].prerequisites = self.linked(&self.goals[at].definition);
        }
    }

    /// The prerequisites of a definition that are in this catalogue.
    fn linked(&self, definition: &GoalDefinition) -> Vec<GoalIndex> {
        definition.prerequisites.iter().filter_map(|id| self.goal_by_id.get(id).copied()).collect()
    }

    /// The version that the store gave this catalogue; a later one is greater.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// All challenges, in the order of the file.
    #[must_use]
    pub fn challenges(&self) -> &[Challenge] {
        &self.challenges
    }

    /// All goals, in the order of the file.
    #[must_use]
    pub fn goals(&self) -> &[Goal] {
        &self.goals
    }

    /// All goals with their indexes, in the order of the file.
    pub fn goals_with_indexes(&self) -> impl Iterator<Item = (GoalIndex, &Goal)> {
        (0..index_u32(self.goals.len())).map(GoalIndex).zip(&self.goals)
    }

    /// The goals of a challenge with their indexes, in the order of the file.
    pub fn goals_of(&self, challenge: ChallengeIndex) -> impl Iterator<Item = (GoalIndex, &Goal)> {
        let range = self.challenges[challenge.0 as usize].goals.clone();
        range.map(|at| (GoalIndex(at), &self.goals[at as usize]))
    }

    /// The goal at an index of this catalogue.
    ///
    /// # Panics
    /// With an index of another catalogue.
    #[must_use]
    pub fn goal(&self, index: GoalIndex) -> &Goal {
        &self.goals[index.0 as usize]
    }

    /// The challenge at an index of this catalogue.
    ///
    /// # Panics
    /// With an index of another catalogue.
    #[must_use]
    pub fn challenge(&self, index: ChallengeIndex) -> &Challenge {
        &self.challenges[index.0 as usize]
    }

    /// Indexes of all challenges, in the order of the file.
    pub fn challenge_indexes(&self) -> impl Iterator<Item = ChallengeIndex> + use<> {
        (0..index_u32(self.challenges.len())).map(ChallengeIndex)
    }

    /// Finds a challenge by its id.
    #[must_use]
    pub fn find_challenge(&self, id: &str) -> Option<ChallengeIndex> {
        self.challenge_by_id.get(id).copied()
    }

    /// Finds a goal by its id.
    #[must_use]
    pub fn find_goal(&self, id: &str) -> Option<GoalIndex> {
        self.goal_by_id.get(id).copied()
    }

    /// Finds a goal by its registry number; `None` for a goal that has left the catalogue.
    #[must_use]
    pub fn find_number(&self, number: GoalNumber) -> Option<GoalIndex> {
        self.goal_by_number.get(number.0 as usize).copied().flatten()
    }

    /// The statistic with this code, if any goal uses it.
    #[must_use]
    pub fn find_stat(&self, code: &str) -> Option<StatIndex> {
        self.stat_by_code.get(code).copied()
    }

    /// The goals that every player gets, in the order of the file.
    #[must_use]
    pub fn default_goals(&self) -> &[GoalIndex] {
        &self.defaults
    }

    /// The boundaries of global cycles, each different one once; those of earlier terms among them.
    #[must_use]
    pub fn calendars(&self) -> &[Arc<Calendar>] {
        &self.calendars
    }

    /// Whether some goal has cycles of each player's own, or had under earlier terms.
    #[must_use]
    pub const fn has_per_user_cycles(&self) -> bool {
        self.per_user > 0
    }

    /// Whether some goal grants unclaimed rewards by itself, or did under earlier terms.
    #[must_use]
    pub const fn grants_unclaimed(&self) -> bool {
        self.grants_unclaimed
    }

    /// Whether any goal counts logins.
    #[must_use]
    pub const fn uses_logins(&self) -> bool {
        self.login_used
    }

    /// Whether any goal with this trigger adds up ([`GoalDefinition::adds_up`]).
    #[must_use]
    pub fn adds_up(&self, trigger: Trigger) -> bool {
        match trigger {
            Trigger::Login => self.login_adds_up,
            Trigger::Stat(stat) => self.stat_adds_up[stat.0 as usize],
        }
    }
}

/// The calendar of an earlier goal with the same boundaries, or this one. The newest are looked at
/// first: goals that share one stand together.
fn shared(calendars: &mut Vec<Arc<Calendar>>, made: Calendar) -> Arc<Calendar> {
    if let Some(known) = calendars.iter().rev().find(|known| ***known == made) {
        return Arc::clone(known);
    }
    let made = Arc::new(made);
    calendars.push(Arc::clone(&made));
    made
}

/// Catalogues are limited far below this by the size of the file.
fn index_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
