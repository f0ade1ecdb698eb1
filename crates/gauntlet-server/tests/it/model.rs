//! The reference model: the rules of progress once more, from the specification and not from the
//! code, as plainly as they can be said. It keeps whole lists where the product keeps as little as
//! it can, and looks at all of them again whenever it is asked. Random histories compare the two.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{Claim, Def, Event, Shown, Turn, Unclaimed, seconds, text};

mod goal;

use goal::{Cycle, Goal, Times, Versions};

/// A player.
pub(crate) struct Model {
    /// The catalogue as it is, and as it was before: the same goals under other terms.
    versions: Versions,
    pub(crate) now: i64,
    goals: BTreeMap<&'static str, Goal>,
    /// Keys of events that changed a goal that adds up.
    receipts: BTreeSet<String>,
    /// Goals that a change made begin at zero, with when, and the progress that was lost.
    pub(crate) restarts: Vec<(String, &'static str, i32)>,
}

type Refused = &'static str;
const LATE_WINDOW: i64 = 600_000;

impl Model {
    pub(crate) fn new(defs: &'static [Def], now: i64) -> Self {
        Self {
            versions: vec![defs],
            now,
            goals: BTreeMap::new(),
            receipts: BTreeSet::new(),
            restarts: Vec::new(),
        }
    }

    /// The catalogue as it is.
    pub(crate) fn defs(&self) -> &'static [Def] {
        self.versions.last().expect("there is one")
    }

    /// Another catalogue comes into use.
    pub(crate) fn change(&mut self, defs: &'static [Def]) {
        for (old, new) in self.defs().iter().zip(defs).filter(|(old, new)| !new.has_terms_of(old)) {
            let Some(goal) = self.goals.get_mut(old.id) else { continue };
            if let Some(lost) = goal.change(new, &self.versions, self.now) {
                self.restarts.push((text(Some(seconds(self.now))), new.id, lost));
            }
        }
        self.versions.push(defs);
    }

    pub(crate) fn event(&mut self, event: &Event) -> Result<(), Refused> {
        let now = self.now;
        let happened = if event.at > now + 60_000 { now } else { event.at };
        let stale = now - happened > LATE_WINDOW;
        let times = Times { now, happened, at: if stale { now } else { happened }, stale };
        let seen = self.receipts.contains(&event.key);
        let (mut changed, mut added_up) = (Vec::new(), false);
        for def in self.defs().iter().filter(|def| !(seen && def.adds_up())) {
            let Some(goal) = self.goals.get(def.id).filter(|goal| goal.active) else { continue };
            let mut next = goal.clone();
            let assigned = goal.assigned.expect("active goals were assigned");
            if happened >= assigned - 5_000 && next.count(def, &event.what, &times, &self.versions) {
                added_up |= def.adds_up();
                changed.push((def.id, next));
            }
        }
        if added_up && event.key.is_empty() {
            return Err("INVALID_INPUT");
        }
        if added_up {
            self.receipts.insert(event.key.clone());
        }
        self.goals.extend(changed);
        Ok(())
    }

    /// Answers the active goals and how many are new.
    pub(crate) fn initialize(&mut self) -> (Vec<Shown>, usize) {
        self.lose();
        let all: Vec<_> = self.defs().iter().filter(|def| self.goals.contains_key(def.id)).collect();
        for def in all {
            self.touch(def);
        }
        let new = self.defs().iter().filter(|def| def.default && !self.goals.contains_key(def.id));
        let new: Vec<_> = new.collect();
        for def in &new {
            self.activate(def, true);
        }
        (self.browse().into_iter().filter(|goal| goal.active).collect(), new.len())
    }

    pub(crate) fn set_active(&mut self, challenge: &str, goal: &str, active: bool) -> Result<Shown, Refused> {
        let def = self.find(challenge, goal)?;
        self.lose();
        self.activate(def, active);
        Ok(self.shown(def))
    }

    /// Answers the selected goals, the active unclaimed ones of the challenge, and the replaced.
    pub(crate) fn batch(
        &mut self,
        challenge: &str,
        goals: &[&str],
        replace: bool,
    ) -> Result<(Vec<Shown>, usize, Vec<&'static str>), Refused> {
        self.challenge(challenge)?;
        if goals.is_empty() {
            return Err("INVALID_INPUT");
        }
        let mut selected: Vec<&'static Def> = Vec::new();
        for goal in goals {
            if selected.iter().any(|def| def.id == *goal) {
                return Err("INVALID_INPUT");
            }
            selected.push(self.find(challenge, goal)?);
        }
        self.lose();
        let mut replaced = Vec::new();
        for def in self.challenge(challenge)? {
            let shown = self.shown(def);
            let chosen = selected.iter().any(|chosen| chosen.id == def.id);
            if replace && !chosen && shown.active && shown.status != "completed" {
                self.activate(def, false);
                replaced.push(def.id);
            }
        }
        for def in &selected {
            self.activate(def, true);
        }
        let all = self.challenge(challenge)?.into_iter().map(|def| self.shown(def));
        let total = all.filter(|shown| shown.active && shown.status != "claimed").count();
        Ok((selected.iter().map(|def| self.shown(def)).collect(), total, replaced))
    }

    /// What a draw may draw from.
    pub(crate) fn pool(&self, challenge: &str, count: i32, inactive: bool) -> Result<Vec<&str>, Refused> {
        let goals = self.challenge(challenge)?;
        if !(1..=100).contains(&count) {
            return Err("INVALID_INPUT");
        }
        let free = |shown: &Shown| !["completed", "claimed"].contains(&shown.status.as_str());
        let pool: Vec<_> = goals
            .into_iter()
            .map(|def| (def.id, self.shown(def)))
            .filter(|(_, shown)| free(shown) && !shown.locked && !(inactive && shown.active))
            .map(|(id, _)| id)
            .collect();
        if pool.is_empty() { Err("INSUFFICIENT_GOALS") } else { Ok(pool) }
    }

    /// Begins a claim; answers its cycle, and how much it earns.
    pub(crate) fn claim(&mut self, challenge: &str, goal: &str) -> Result<(i64, i32), Refused> {
        let def = self.find(challenge, goal)?;
        let Some(state) = self.goals.get(def.id) else { return Err("GOAL_NOT_COMPLETED") };
        // What would be lost first comes first.
        let waiting = state.kept(def, self.now, &self.versions);
        let promised = |cycle: i64| state.terms(def, cycle, &self.versions);
        let open = |cycle: i64| self.open_then(promised(cycle), def.end_of(cycle, state.begun));
        let kept = waiting.iter().map(|(cycle, _)| *cycle).find(|cycle| !open(*cycle));
        let cycle = match kept {
            Some(cycle) => cycle,
            None => self.check(def, state, &waiting)?,
        };
        let claim = Some((Claim::Pending, seconds(self.now)));
        let quantity = promised(cycle).quantity;
        self.lose();
        let goal = self.touch(def);
        let mut known = goal.in_cycle(def, cycle);
        known.claim = claim;
        goal.cycles.insert(cycle, known);
        Ok((cycle, quantity))
    }

    /// The checks of a claim of the current cycle.
    fn check(&self, def: &Def, state: &Goal, waiting: &[(i64, i64)]) -> Result<i64, Refused> {
        let cycle = state.cycle_at(def, self.now);
        let current = state.in_cycle(def, cycle);
        // Until the goal is done again, the player asks about the cycle before.
        let (at, before) = state.before(def, cycle).filter(|_| !current.done()).unwrap_or_default();
        if current.claimed.is_some() {
            return Err("GOAL_ALREADY_CLAIMED");
        }
        match current.claim.or(before.claim) {
            Some((Claim::Pending, _)) => Err("REWARD_PENDING"),
            Some((Claim::Uncertain, _)) => Err("REWARD_UNCERTAIN"),
            Some((Claim::Refused, _)) => Err("REWARD_GRANT_FAILED"),
            // It waits for a prerequisite, or it would have been claimed.
            None if waiting.iter().any(|(cycle, _)| *cycle == at) => Err("PREREQUISITES_NOT_MET"),
            None if before.done() && before.claimed.is_none() => Err("GOAL_ROTATED"),
            None if !state.active => Err("GOAL_NOT_ACTIVE"),
            None if !current.done() => Err("GOAL_NOT_COMPLETED"),
            None if self.shown(def).locked => Err("PREREQUISITES_NOT_MET"),
            None => Ok(cycle),
        }
    }

    /// Whether a prerequisite is neither done now nor was in a cycle that ended no earlier than this.
    fn open_then(&self, def: &Def, end: Option<i64>) -> bool {
        def.needs.iter().any(|need| {
            let def = self.def(need);
            let Some(goal) = self.goals.get(need) else { return true };
            let before = goal.before(def, goal.cycle_at(def, self.now));
            let before = before.filter(|(cycle, _)| def.end_of(*cycle, goal.begun) >= end);
            !self.done(need) && !before.is_some_and(|(_, known)| known.done())
        })
    }

    /// Ends a claim; answers when it was made. `end`: `None` when the reward was granted.
    pub(crate) fn settle(&mut self, goal: &str, cycle: i64, end: Option<Claim>) -> String {
        let cycle = self.goals.get_mut(goal).and_then(|goal| goal.cycles.get_mut(&cycle));
        let cycle = cycle.expect("it was begun");
        let (_, at) = cycle.claim.take().expect("it was begun");
        match end {
            Some(end) => cycle.claim = Some((end, at)),
            None => cycle.claimed = Some(at),
        }
        text(Some(at))
    }

    pub(crate) fn browse(&self) -> Vec<Shown> {
        self.defs().iter().map(|def| self.shown(def)).collect()
    }

    fn shown(&self, def: &Def) -> Shown {
        let unknown = Goal::default();
        let goal = self.goals.get(def.id).unwrap_or(&unknown);
        let cycle = goal.cycle_at(def, self.now);
        let current = goal.in_cycle(def, cycle);
        let for_good = current.claimed.is_some() && !def.reselect && def.turn != Turn::Never;
        let end = def.end_of(cycle, goal.begun).filter(|_| !for_good);
        let terms = goal.terms(def, cycle, &self.versions);
        let waits = |at: i64| matches!(goal.terms(def, at, &self.versions).unclaimed, Unclaimed::Grace(_));
        let kept = goal.kept(def, self.now, &self.versions).into_iter();
        let until = kept.filter(|(at, _)| waits(*at)).map(|(_, until)| until).min();
        let expires_in = end.map_or(0, |end| ((end - self.now) / 1000).max(0));
        let status = match current {
            Cycle { claimed: Some(_), .. } => "claimed",
            Cycle { completed: Some(_), .. } => "completed",
            Cycle { started: true, .. } => "in_progress",
            _ => "not_started",
        };
        let claim = match current.claim {
            Some((Claim::Pending, _)) => "pending",
            Some((Claim::Uncertain, _)) => "uncertain",
            Some((Claim::Refused, _)) => "refused",
            None => "",
        };
        Shown {
            goal: def.id.into(),
            progress: goal.progress(def, cycle),
            status: status.into(),
            locked: terms.needs.iter().any(|need| !self.done(need)),
            active: goal.active,
            assigned_at: text(goal.assigned),
            completed_at: text(current.completed),
            claimed_at: text(current.claimed),
            expires_at: text(end),
            expires_in: i32::try_from(expires_in).expect("a few days"),
            claim: claim.into(),
            claimable_until: text(until),
            terms: (terms.target, terms.quantity),
        }
    }

    fn def(&self, id: &str) -> &'static Def {
        self.defs().iter().find(|def| def.id == id).expect("prerequisites exist")
    }

    fn done(&self, id: &str) -> bool {
        let def = self.def(id);
        let goal = self.goals.get(id);
        goal.is_some_and(|goal| goal.in_cycle(def, goal.cycle_at(def, self.now)).done())
    }

    /// What every call does that changes anything.
    fn lose(&mut self) {
        for def in self.defs() {
            if let Some(goal) = self.goals.get_mut(def.id) {
                goal.lose(def, self.now, &self.versions);
            }
        }
    }

    /// The goal's state, in the cycle that counts now.
    fn touch(&mut self, def: &Def) -> &mut Goal {
        let now = self.now;
        let goal = self.goals.entry(def.id).or_default();
        goal.cycle = goal.cycle_at(def, now);
        goal
    }

    fn activate(&mut self, def: &Def, active: bool) {
        let now = self.now;
        let goal = self.touch(def);
        if active && !goal.active {
            goal.assigned = Some(seconds(now));
            goal.begun = goal.begun.or(goal.assigned);
            goal.cycle = goal.cycle_at(def, now);
        }
        goal.active = active || goal.pending(goal.cycle);
        if !goal.active && !goal.in_cycle(def, goal.cycle).done() {
            goal.forget_terms(def, goal.cycle);
        }
    }

    fn challenge(&self, challenge: &str) -> Result<Vec<&'static Def>, Refused> {
        let goals: Vec<_> = self.defs().iter().filter(|def| def.challenge == challenge).collect();
        if goals.is_empty() { Err("CHALLENGE_NOT_FOUND") } else { Ok(goals) }
    }

    fn find(&self, challenge: &str, goal: &str) -> Result<&'static Def, Refused> {
        let goals = self.challenge(challenge)?;
        goals.into_iter().find(|def| def.id == goal).ok_or("GOAL_NOT_FOUND")
    }
}
