//! What ties a catalogue together: ids that may occur once, and prerequisites.

use std::collections::HashMap;

use super::{
    fault::{Message, Report},
    object::Entry,
    path::Path,
    suggest::nearest,
    values::{describe, quote},
};

/// Most ids that a message about a cycle shows.
const SHOWN_OF_CYCLE: usize = 10;
/// Most unknown prerequisites that get a suggestion: each costs a pass over all goal ids.
const SUGGESTIONS: usize = 20;

/// The ids and prerequisites of a file, faulty goals included: a goal whose reward is wrong still
/// exists for the goals that wait for it.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Challenge ids with the byte offset of the first use.
    challenges: HashMap<String, usize>,
    /// Goal ids with the place of the goal in `goals`.
    goal_by_id: HashMap<String, usize>,
    goals: Vec<LinkedGoal>,
}

/// A goal as others see it.
#[derive(Debug)]
struct LinkedGoal {
    id: String,
    offset: usize,
    /// The places of challenge and goal in the file.
    place: (usize, usize),
    prerequisites: Vec<Prerequisite>,
}

/// A goal id in a list of prerequisites.
#[derive(Debug)]
pub(super) struct Prerequisite {
    pub(super) id: String,
    offset: usize,
    index: usize,
}

impl Links {
    /// Notes a challenge id; a second use of it is a fault.
    pub(super) fn add_challenge(&mut self, id: &str, entry: &Entry<'_>, report: &mut Report<'_>) {
        if let Some(first) = self.challenges.get(id) {
            reject_second_use(entry, *first, "challenge", report);
            return;
        }
        self.challenges.insert(id.to_owned(), entry.offset());
    }

    /// Notes a goal id and the goal's prerequisites; a second use of the id is a fault.
    pub(super) fn add_goal(
        &mut self,
        id: &str,
        entry: &Entry<'_>,
        place: (usize, usize),
        prerequisites: Vec<Prerequisite>,
        report: &mut Report<'_>,
    ) {
        let first = self.goal_by_id.get(id).and_then(|at| self.goals.get(*at));
        if let Some(first) = first {
            reject_second_use(entry, first.offset, "goal", report);
        } else {
            self.goal_by_id.insert(id.to_owned(), self.goals.len());
        }
        self.goals.push(LinkedGoal { id: id.to_owned(), offset: entry.offset(), place, prerequisites });
    }

    /// Checks the prerequisites of all goals, once all goals are known.
    pub(super) fn check_prerequisites(&self, report: &mut Report<'_>) {
        let mut suggestions = SUGGESTIONS;
        for goal in &self.goals {
            let mut listed = HashMap::new();
            for needed in &goal.prerequisites {
                let first = *listed.entry(needed.id.as_str()).or_insert(needed.offset);
                let message = if needed.id == goal.id {
                    Message::new("a goal cannot be its own prerequisite")
                } else if first != needed.offset {
                    Message::new(format!("listed twice; the first is on line {}", report.line(first)))
                } else if self.goal_by_id.contains_key(&needed.id) {
                    continue;
                } else {
                    let known = self.goals.iter().map(|goal| goal.id.as_str());
                    let near = (suggestions > 0).then(|| nearest(&needed.id, known)).flatten();
                    suggestions = suggestions.saturating_sub(1);
                    Message::new("no goal has this id").suggest(near)
                };
                goal.fault(needed, message.found(quote(&needed.id)), report);
            }
        }
        self.check_cycles(report);
    }

    /// Looks for goals that wait for each other, depth first and without recursion: a file may have
    /// one chain through all its goals. Every cycle is reported where it closes.
    fn check_cycles(&self, report: &mut Report<'_>) {
        let mut seen = vec![Seen::Never; self.goals.len()];
        for start in 0..self.goals.len() {
            if seen[start] != Seen::Never {
                continue;
            }
            // The goals from `start` to the one being looked at, each with its next prerequisite.
            let mut chain = vec![(start, 0)];
            seen[start] = Seen::InChain(0);
            while let Some((at, next)) = chain.pop() {
                let goal = &self.goals[at];
                let Some(needed) = goal.prerequisites.get(next) else {
                    seen[at] = Seen::Done;
                    continue;
                };
                chain.push((at, next + 1));
                let Some(&target) = self.goal_by_id.get(&needed.id) else { continue };
                match seen[target] {
                    Seen::Never => {
                        seen[target] = Seen::InChain(chain.len());
                        chain.push((target, 0));
                    }
                    Seen::InChain(from) if needed.id != goal.id => {
                        let message = Message::new(self.describe_cycle(&chain[from..]));
                        goal.fault(needed, message.found(quote(&needed.id)), report);
                    }
                    Seen::InChain(_) | Seen::Done => {}
                }
            }
        }
    }

    /// The end of a chain of goals whose last one waits for the first.
    fn describe_cycle(&self, cycle: &[(usize, usize)]) -> String {
        let id = |(at, _): &(usize, usize)| self.goals[*at].id.as_str();
        let mut ids: Vec<&str> = cycle.iter().take(SHOWN_OF_CYCLE).map(id).collect();
        if cycle.len() > ids.len() {
            ids.push("...");
        }
        ids.extend(cycle.first().map(id));
        format!("these goals wait for each other: {}", ids.join(" -> "))
    }
}

impl LinkedGoal {
    fn fault(&self, needed: &Prerequisite, message: Message, report: &mut Report<'_>) {
        let (challenge, goal) = self.place;
        let challenges = Path::Field(&Path::Root, "challenges");
        let challenge = Path::Item(&challenges, challenge);
        let goals = Path::Field(&challenge, "goals");
        let goal = Path::Item(&goals, goal);
        let prerequisites = Path::Field(&goal, "prerequisites");
        report.add(needed.offset, Path::Item(&prerequisites, needed.index), message);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    /// At this place of the chain that is being looked at.
    InChain(usize),
    Done,
}

fn reject_second_use(entry: &Entry<'_>, first: usize, what: &str, report: &mut Report<'_>) {
    let line = report.line(first);
    let message = Message::new(format!("already the id of the {what} on line {line}; ids are unique"));
    entry.fault(report, message.found(describe(entry.value)));
}

/// Reads a list of goal ids, the good ones when some are faulty; whether the goals exist is seen at
/// the end.
pub(super) fn read_prerequisites(entry: &Entry<'_>, report: &mut Report<'_>) -> Option<Vec<Prerequisite>> {
    let mut list = Vec::new();
    for (index, item) in entry.items(report)? {
        let id = super::values::id(&item, report);
        list.extend(id.map(|id| Prerequisite { id, offset: item.offset(), index }));
    }
    Some(list)
}
