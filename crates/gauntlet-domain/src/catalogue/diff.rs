//! What a new catalogue would change, in the words of designers and players.

use std::{collections::HashMap, fmt};

use serde::Serialize;

mod words;

use super::definition::{ChallengeDefinition, ChangePolicy, Definition, GoalDefinition};

/// Everything that is different between two catalogues, in the order of the new one; what has left
/// comes last. Empty: they say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// One for each challenge and goal that differs.
    pub changes: Vec<Change>,
}

/// A challenge or a goal that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What became of it.
    pub what: What,
    /// The challenge's id, in the new catalogue where it is there.
    pub challenge: String,
    /// The goal's id; `None` for a challenge.
    pub goal: Option<String>,
    /// What players read, in the new catalogue where it is there.
    pub name: String,
    /// What is different, field by field.
    pub fields: Vec<FieldChange>,
    /// What it means for players.
    pub effects: Vec<&'static str>,
}

/// What became of a challenge or a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The old catalogue has none of this id.
    New,
    /// Both have it.
    Changed,
    /// The new catalogue has none of this id.
    Gone,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Which, in the words of players: `target`, `counts`, `reward`, `begins anew`.
    pub field: &'static str,
    /// What the old catalogue says.
    pub old: String,
    /// What the new one says.
    pub new: String,
}

const KEEP: &str = "players who have it go on under the old terms until they claim it, put it away or its \
                    cycle ends; everybody else gets the new ones (onChange: keep)";
const UPGRADE: &str = "players who have it get the new terms, which are no harder; who has enough is done at \
                       once (onChange: upgrade_if_easier)";
const NO_UPGRADE: &str = "the new terms are not easier in every way: players who have it go on under the old \
                          ones until they claim it, put it away or its cycle ends (onChange: upgrade_if_easier)";
const RESTART: &str = "players who have it begin at zero under the new terms, but for those who have completed it (onChange: restart)";
const COMPLETED: &str = "who has completed it and not claimed gets the old reward";
const TEXTS: &str = "all players see the new texts at once";
const NOW_DEFAULT: &str = "players who lack it get it when their next session begins";
const NO_DEFAULT: &str = "new players have to pick or draw it; who has it keeps it";
const NEW_DEFAULT: &str = "every player gets it when the next session begins";
const NEW_TO_PICK: &str = "players can pick or draw it";
const GONE: &str = "it is not shown any more and events do not count for it; what is completed cannot be \
                    claimed; progress is kept and comes back with the goal";
const GONE_CHALLENGE: &str = "it is not shown any more";
const MOVED: &str = "it is shown in the other challenge; progress stays";
const POLICY: &str = "changes after this one follow the new policy";

/// Compares two catalogues.
#[must_use]
pub fn diff(old: &Definition, new: &Definition) -> Difference {
    let before = Index::of(old);
    let after = Index::of(new);
    let mut changes = Vec::new();
    for challenge in &new.challenges {
        changes.extend(challenge_change(before.challenges.get(challenge.id.as_str()).copied(), challenge));
        for goal in &challenge.goals {
            changes.extend(goal_change(before.goals.get(goal.id.as_str()).copied(), challenge, goal));
        }
    }
    for challenge in &old.challenges {
        if !after.challenges.contains_key(challenge.id.as_str()) {
            changes.push(gone(challenge, None, &challenge.name, GONE_CHALLENGE));
        }
        for goal in &challenge.goals {
            if !after.goals.contains_key(goal.id.as_str()) {
                changes.push(gone(challenge, Some(goal.id.clone()), &goal.name, GONE));
            }
        }
    }
    Difference { changes }
}

/// A catalogue by ids.
struct Index<'a> {
    challenges: HashMap<&'a str, &'a ChallengeDefinition>,
    goals: HashMap<&'a str, (&'a ChallengeDefinition, &'a GoalDefinition)>,
}

impl<'a> Index<'a> {
    fn of(definition: &'a Definition) -> Self {
        let challenges = definition.challenges.iter().map(|challenge| (challenge.id.as_str(), challenge));
        let goals = definition.challenges.iter().flat_map(|challenge| {
            challenge.goals.iter().map(move |goal| (goal.id.as_str(), (challenge, goal)))
        });
        Self { challenges: challenges.collect(), goals: goals.collect() }
    }
}

fn challenge_change(old: Option<&ChallengeDefinition>, new: &ChallengeDefinition) -> Option<Change> {
    let (what, fields, effects) = match old {
        None => (What::New, Vec::new(), Vec::new()),
        Some(old) => {
            let mut fields = Vec::new();
            note(&mut fields, "name", &old.name, &new.name);
            note(&mut fields, "description", &old.description, &new.description);
            if fields.is_empty() {
                return None;
            }
            (What::Changed, fields, vec![TEXTS])
        }
    };
    Some(Change { what, challenge: new.id.clone(), goal: None, name: new.name.clone(), fields, effects })
}

fn gone(challenge: &ChallengeDefinition, goal: Option<String>, name: &str, effect: &'static str) -> Change {
    Change {
        what: What::Gone,
        challenge: challenge.id.clone(),
        goal,
        name: name.to_owned(),
        fields: Vec::new(),
        effects: vec![effect],
    }
}

fn goal_change(
    old: Option<(&ChallengeDefinition, &GoalDefinition)>,
    challenge: &ChallengeDefinition,
    new: &GoalDefinition,
) -> Option<Change> {
    let (what, fields, effects) = match old {
        None => {
            let effect = if new.default_assigned { NEW_DEFAULT } else { NEW_TO_PICK };
            (What::New, words::terms(new), vec![effect])
        }
        Some((parent, old)) => {
            let mut fields = words::changed_terms(old, new);
            note(&mut fields, "challenge", &parent.id, &challenge.id);
            note(&mut fields, "given to", words::given(old), words::given(new));
            note(&mut fields, "name", &old.name, &new.name);
            note(&mut fields, "description", &old.description, &new.description);
            note(&mut fields, "on change", words::policy(old), words::policy(new));
            if fields.is_empty() {
                return None;
            }
            (What::Changed, fields, effects(parent.id != challenge.id, old, new))
        }
    };
    let (challenge, goal, name) = (challenge.id.clone(), Some(new.id.clone()), new.name.clone());
    Some(Change { what, challenge, goal, name, fields, effects })
}

fn effects(moved: bool, old: &GoalDefinition, new: &GoalDefinition) -> Vec<&'static str> {
    let mut effects = Vec::new();
    if !new.has_terms_of(old) {
        effects.push(match new.on_change {
            ChangePolicy::Keep => KEEP,
            ChangePolicy::UpgradeIfEasier if new.is_no_harder_than(old) => UPGRADE,
            ChangePolicy::UpgradeIfEasier => NO_UPGRADE,
            ChangePolicy::Restart => RESTART,
        });
        if new.reward != old.reward {
            effects.push(COMPLETED);
        }
    }
    let texts = new.name != old.name || new.description != old.description;
    for (said, effect) in [
        (moved, MOVED),
        (new.default_assigned && !old.default_assigned, NOW_DEFAULT),
        (old.default_assigned && !new.default_assigned, NO_DEFAULT),
        (texts, TEXTS),
        (effects.is_empty() && new.on_change != old.on_change, POLICY),
    ] {
        if said {
            effects.push(effect);
        }
    }
    effects
}

fn note(fields: &mut Vec<FieldChange>, field: &'static str, old: &str, new: &str) {
    if old != new {
        fields.push(FieldChange { field, old: old.to_owned(), new: new.to_owned() });
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        let count = self.changes.len();
        match count {
            0 => f.write_str("no differences"),
            1 => f.write_str("1 difference"),
            _ => write!(f, "{count} differences"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::New => "new",
            What::Changed => "changed",
            What::Gone => "gone",
        };
        match &self.goal {
            None => writeln!(f, "challenge {} ({}): {what}", self.challenge, self.name)?,
            Some(goal) => writeln!(f, "goal {goal} ({}) of {}: {what}", self.name, self.challenge)?,
        }
        for FieldChange { field, old, new } in &self.fields {
            match self.what {
                What::Changed => writeln!(f, "  {field}: {old:?} -> {new:?}")?,
                What::New | What::Gone => writeln!(f, "  {field}: {new:?}")?,
            }
        }
        for effect in &self.effects {
            writeln!(f, "  => {effect}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
