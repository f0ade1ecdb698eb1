//! The reference model: the rules of progress once more, from the specification and not from the
//! code, as plainly as they can be said. It keeps whole lists where the product keeps as little as
//! it can, and looks at all of them again whenever it is asked. Random histories compare the two.
//!
//! Rotations have no cycles yet. When they have, their place is [`Goal::cycle_at`] with
//! [`Def::cycle`] and [`Def::end_of`]: a cycle is a number and an end, as for daily goals, whose
//! cycles are days; and what rolls over besides the status is `sum`, `values` and `days`.

#![expect(
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "toward zero and within 32 bits is the rule, and a peak is one of the values"
)]

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{Claim, Def, Event, Kind, Shown, What, seconds, text};

/// A player.
pub(crate) struct Model {
    pub(crate) defs: &'static [Def],
    pub(crate) now: i64,
    goals: BTreeMap<&'static str, Goal>,
    /// Keys of events that changed a goal that adds up.
    receipts: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
struct Goal {
    active: bool,
    assigned: Option<i64>,
    /// The newest cycle that a change was made in; 0 where there are none.
    cycle: i64,
    cycles: BTreeMap<i64, Cycle>,
    /// Time, value and increment of the events that counted, for goals that show a statistic.
    values: Vec<(i64, f64, f64)>,
    /// For goals that add up.
    sum: i32,
    /// For daily increments.
    days: BTreeSet<i64>,
}

/// What is known of a goal in one cycle.
#[derive(Debug, Clone, Copy, Default)]
struct Cycle {
    started: bool,
    completed: Option<i64>,
    claimed: Option<i64>,
    /// A claim that has not ended well, and when it was made.
    claim: Option<(Claim, i64)>,
}

/// An event's times: when it happened, when it counts, and whether it is too late for its own time.
struct Times {
    now: i64,
    happened: i64,
    at: i64,
    stale: bool,
}

type Refused = &'static str;
const LATE_WINDOW: i64 = 600_000;

impl Cycle {
    fn done(&self) -> bool {
        self.completed.is_some()
    }

    /// Completes it, or moves its completion to an earlier event.
    fn complete(&mut self, at: i64) {
        self.completed = Some(self.completed.map_or(seconds(at), |before| before.min(seconds(at))));
    }
}

impl Goal {
    fn in_cycle(&self, cycle: i64) -> Cycle {
        self.cycles.get(&cycle).copied().unwrap_or_default()
    }

    fn pending(&self, cycle: i64) -> bool {
        matches!(self.in_cycle(cycle).claim, Some((Claim::Pending, _)))
    }

    /// The cycle that counts at a time. Cycles only move forward, and wait for a pending claim.
    fn cycle_at(&self, def: &Def, at: i64) -> i64 {
        if self.pending(self.cycle) { self.cycle } else { self.cycle.max(def.cycle(at)) }
    }

    /// The last cycle before one in which anything happened.
    fn before(&self, cycle: i64) -> Cycle {
        self.cycles.range(..cycle).next_back().map(|(_, before)| *before).unwrap_or_default()
    }

    /// Counts an event; answers whether anything changed that has to be kept.
    fn count(&mut self, def: &Def, what: &What, times: &Times) -> bool {
        if def.kind == Kind::Daily {
            return self.count_daily(def, times);
        }
        if self.in_cycle(0).claimed.is_some() {
            return false;
        }
        match (def.kind, what) {
            (Kind::DailyIncrement, _) => self.count_day(def, times) && self.add(def, 1, times.at),
            (Kind::Increment, What::Stat { increment, .. }) => {
                let steps = if *increment == 0.0 { 1 } else { (*increment as i32).max(0) };
                self.add(def, steps, times.at)
            }
            (_, What::Login) => self.add(def, 1, times.at),
            (_, What::Stat { value, increment, .. }) => {
                let takes = !times.stale && (def.kind == Kind::Relative || *value >= 0.0);
                takes && self.follow(def, (times.at, *value, *increment))
            }
        }
    }

    fn add(&mut self, def: &Def, steps: i32, at: i64) -> bool {
        let sum = self.sum.saturating_add(steps);
        let cycle = self.cycles.entry(0).or_default();
        if steps == 0 || (sum == self.sum && cycle.done()) {
            return false;
        }
        self.sum = sum;
        cycle.started = true;
        if sum >= def.target && !cycle.done() {
            cycle.complete(at);
        }
        true
    }

    /// Once a day; a stale event counts for today, unless its own day is one of the two that are
    /// remembered.
    fn count_day(&mut self, def: &Def, times: &Times) -> bool {
        let (own, newest) = (def.day(times.happened), self.days.last().copied());
        let remembered = newest.is_some_and(|newest| own == newest || own == newest - 1);
        let day = if remembered { own } else { def.day(times.at) };
        newest.is_none_or(|newest| day >= newest - 1) && self.days.insert(day)
    }

    /// Follows a statistic: what it shows is worked out when it is looked at.
    fn follow(&mut self, def: &Def, event: (i64, f64, f64)) -> bool {
        self.values.push(event);
        let base = self.base(def);
        let peak = self.values.iter().map(|(_, value, _)| *value).fold(f64::MIN, f64::max);
        let peaks = self.values.iter().filter(|(_, value, _)| *value == peak);
        let peak_at = peaks.map(|(at, ..)| *at).min();
        let cycle = self.cycles.entry(0).or_default();
        cycle.started = true;
        if (event.1 - base) as i32 >= def.target {
            cycle.complete(event.0);
        } else if def.kind == Kind::Relative && (peak - base) as i32 >= def.target {
            cycle.complete(peak_at.expect("there is one"));
        }
        true
    }

    /// What the statistic was before the earliest event; 0 where the value itself is shown.
    fn base(&self, def: &Def) -> f64 {
        let first = self.values.iter().min_by_key(|(at, ..)| *at);
        match first {
            Some((_, value, increment)) if def.kind == Kind::Relative => value - increment.max(0.0),
            _ => 0.0,
        }
    }

    /// Completes the day on which the event happened: the current one, or, when it is not stale,
    /// the one before.
    fn count_daily(&mut self, def: &Def, times: &Times) -> bool {
        let own = def.day(times.happened);
        let mut current = self.cycle;
        if !self.pending(current) || own > current {
            current = current.max(def.day(times.now.max(times.at)));
        }
        let known = self.in_cycle(own);
        let counts = if own == current {
            known.claimed.is_none()
        } else {
            !times.stale && own == current - 1 && !known.done()
        };
        if counts {
            self.cycle = current;
            self.cycles.entry(own).or_default().complete(times.happened);
        }
        counts
    }

    fn progress(&self, def: &Def, cycle: i64) -> i32 {
        match def.kind {
            Kind::Daily => i32::from(self.in_cycle(cycle).done()),
            _ if def.adds_up() => self.sum,
            _ => {
                let newest = self.values.iter().max_by_key(|(at, ..)| *at);
                newest.map_or(0, |(_, value, _)| (value - self.base(def)) as i32)
            }
        }
    }
}

impl Model {
    pub(crate) fn new(defs: &'static [Def], now: i64) -> Self {
        Self { defs, now, goals: BTreeMap::new(), receipts: BTreeSet::new() }
    }

    pub(crate) fn event(&mut self, event: &Event) -> Result<(), Refused> {
        let now = self.now;
        let happened = if event.at > now + 60_000 { now } else { event.at };
        let stale = now - happened > LATE_WINDOW;
        let times = Times { now, happened, at: if stale { now } else { happened }, stale };
        let seen = self.receipts.contains(&event.key);
        let (mut changed, mut added_up) = (Vec::new(), false);
        for def in self.defs.iter().filter(|def| def.takes(&event.what) && !(seen && def.adds_up())) {
            let Some(goal) = self.goals.get(def.id).filter(|goal| goal.active) else { continue };
            let mut next = goal.clone();
            let assigned = goal.assigned.expect("active goals were assigned");
            if happened >= assigned - 5_000 && next.count(def, &event.what, &times) {
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
        let all: Vec<_> = self.defs.iter().filter(|def| self.goals.contains_key(def.id)).collect();
        for def in all {
            self.touch(def);
        }
        let new = self.defs.iter().filter(|def| def.default && !self.goals.contains_key(def.id));
        let new: Vec<_> = new.collect();
        for def in &new {
            self.activate(def, true);
        }
        (self.browse().into_iter().filter(|goal| goal.active).collect(), new.len())
    }

    pub(crate) fn set_active(&mut self, challenge: &str, goal: &str, active: bool) -> Result<Shown, Refused> {
        let def = self.find(challenge, goal)?;
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

    /// Begins a claim; answers its cycle.
    pub(crate) fn claim(&mut self, challenge: &str, goal: &str) -> Result<i64, Refused> {
        let def = self.find(challenge, goal)?;
        let Some(state) = self.goals.get(def.id) else { return Err("GOAL_NOT_COMPLETED") };
        let cycle = state.cycle_at(def, self.now);
        let current = state.in_cycle(cycle);
        // Until the goal is done again, the player asks about the cycle before.
        let before = if current.done() { Cycle::default() } else { state.before(cycle) };
        if current.claimed.is_some() {
            return Err("GOAL_ALREADY_CLAIMED");
        }
        match current.claim.or(before.claim) {
            Some((Claim::Pending, _)) => return Err("REWARD_PENDING"),
            Some((Claim::Uncertain, _)) => return Err("REWARD_UNCERTAIN"),
            Some((Claim::Refused, _)) => return Err("REWARD_GRANT_FAILED"),
            None if before.done() && before.claimed.is_none() => return Err("GOAL_ROTATED"),
            None if !state.active => return Err("GOAL_NOT_ACTIVE"),
            None if !current.done() => return Err("GOAL_NOT_COMPLETED"),
            None if self.shown(def).locked => return Err("PREREQUISITES_NOT_MET"),
            None => {}
        }
        let claim = Some((Claim::Pending, seconds(self.now)));
        self.goals.get_mut(def.id).expect("seen above").cycles.entry(cycle).or_default().claim = claim;
        Ok(cycle)
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
        self.defs.iter().map(|def| self.shown(def)).collect()
    }

    fn shown(&self, def: &Def) -> Shown {
        let unknown = Goal::default();
        let goal = self.goals.get(def.id).unwrap_or(&unknown);
        let cycle = goal.cycle_at(def, self.now);
        let current = goal.in_cycle(cycle);
        let end = def.end_of(cycle, self.now);
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
            locked: def.needs.iter().any(|need| !self.done(need)),
            active: goal.active,
            assigned_at: text(goal.assigned),
            completed_at: text(current.completed),
            claimed_at: text(current.claimed),
            expires_at: text(end),
            expires_in: i32::try_from(expires_in).expect("a few days"),
            claim: claim.into(),
        }
    }

    fn done(&self, id: &str) -> bool {
        let def = self.defs.iter().find(|def| def.id == id).expect("prerequisites exist");
        let goal = self.goals.get(id);
        goal.is_some_and(|goal| goal.in_cycle(goal.cycle_at(def, self.now)).done())
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
        }
        goal.active = active || goal.pending(goal.cycle);
    }

    fn challenge(&self, challenge: &str) -> Result<Vec<&'static Def>, Refused> {
        let goals: Vec<_> = self.defs.iter().filter(|def| def.challenge == challenge).collect();
        if goals.is_empty() { Err("CHALLENGE_NOT_FOUND") } else { Ok(goals) }
    }

    fn find(&self, challenge: &str, goal: &str) -> Result<&'static Def, Refused> {
        let goals = self.challenge(challenge)?;
        goals.into_iter().find(|def| def.id == goal).ok_or("GOAL_NOT_FOUND")
    }
}
