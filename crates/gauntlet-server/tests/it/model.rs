//! The reference model: the rules of progress once more, from the specification and not from the
//! code, as plainly as they can be said. It keeps whole lists where the product keeps as little as
//! it can, and looks at all of them again whenever it is asked. Random histories compare the two.

#![expect(
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "toward zero and within 32 bits is the rule, and a peak is one of the values"
)]

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{Claim, Def, Event, Kind, Policy, Shown, Turn, Unclaimed, What, seconds, text};

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

/// A catalogue through time.
type Versions = Vec<&'static [Def]>;

#[derive(Debug, Clone, Default)]
struct Goal {
    active: bool,
    assigned: Option<i64>,
    /// When it was assigned first: cycles of the player's own begin then.
    begun: Option<i64>,
    /// The newest cycle that a change was made in; 0 where there are none.
    cycle: i64,
    cycles: BTreeMap<i64, Cycle>,
    /// What events showed, by the cycle that it belongs to; one for good where progress is carried on.
    shows: BTreeMap<i64, Progress>,
    /// For daily increments.
    days: BTreeSet<i64>,
    /// Which version of the catalogue a cycle goes by, written down when the goal changes.
    terms: BTreeMap<i64, usize>,
}

/// What events showed.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// Time, value and increment of the events that counted, for goals that show a statistic.
    values: Vec<(i64, f64, f64)>,
    /// For goals that add up: how much, and the time of the newest event.
    sum: i32,
    newest: Option<i64>,
}

/// What is known of a goal in one cycle.
#[derive(Debug, Clone, Copy, Default)]
struct Cycle {
    started: bool,
    completed: Option<i64>,
    claimed: Option<i64>,
    /// A claim that has not ended well, and when it was made.
    claim: Option<(Claim, i64)>,
    /// It was completed, and its time to be claimed is over.
    lost: bool,
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

    /// Claimed, or asked for: one completion is not asked for in two cycles.
    fn taken(&self) -> bool {
        self.claimed.is_some() || self.claim.is_some()
    }

    /// Completes it, or moves its completion to an earlier event.
    fn complete(&mut self, at: i64) {
        self.completed = Some(self.completed.map_or(seconds(at), |before| before.min(seconds(at))));
    }
}

impl Goal {
    /// What a cycle looks like: as it was left, or, where progress is carried on, as the last one
    /// left it; open again, when that one was claimed.
    fn in_cycle(&self, def: &Def, cycle: i64) -> Cycle {
        match self.cycles.range(..=cycle).next_back() {
            Some((at, known)) if *at == cycle => *known,
            Some((_, before)) if !def.reset && before.taken() => Cycle { started: true, ..Cycle::default() },
            Some((_, before)) if !def.reset => *before,
            _ => Cycle::default(),
        }
    }

    /// The version that a cycle goes by: what is written down, which is carried on with progress; today's,
    /// once it was claimed.
    fn version_in(&self, def: &Def, cycle: i64, today: usize) -> usize {
        if self.cycles.get(&cycle).is_some_and(|known| known.claimed.is_some()) {
            return today;
        }
        let written = match self.terms.range(..=cycle).next_back() {
            Some((at, version)) if *at == cycle => Some(version),
            Some((at, version)) if !def.reset => {
                let taken = self.cycles.range(*at..cycle).any(|(_, known)| known.taken());
                Some(version).filter(|_| !taken)
            }
            _ => None,
        };
        written.copied().unwrap_or(today)
    }

    fn terms(&self, def: &Def, cycle: i64, versions: &Versions) -> &'static Def {
        let defs = versions[self.version_in(def, cycle, versions.len() - 1)];
        defs.iter().find(|other| other.id == def.id).expect("the same goals")
    }

    fn pending(&self, cycle: i64) -> bool {
        let known = self.cycles.get(&cycle).copied().unwrap_or_default();
        matches!(known.claim, Some((Claim::Pending, _)))
    }

    /// Whether it was claimed, or asked for, for good.
    fn for_good(&self, def: &Def) -> bool {
        let known = self.cycles.get(&self.cycle).copied().unwrap_or_default();
        def.turn != Turn::Never && !def.reselect && known.taken()
    }

    /// The cycle that counts at a time. Cycles only move forward, wait for a pending claim, and stop
    /// with one that was claimed for good.
    fn cycle_at(&self, def: &Def, at: i64) -> i64 {
        if self.pending(self.cycle) || self.for_good(def) {
            self.cycle
        } else {
            self.cycle.max(def.cycle(at, self.begun))
        }
    }

    /// The last cycle before one in which anything happened that matters later: where progress is
    /// carried on, that it was claimed.
    fn before(&self, def: &Def, cycle: i64) -> Option<(i64, Cycle)> {
        let matters = |known: &Cycle| def.reset || known.taken();
        let known = self.cycles.range(..cycle).rev().find(|(_, known)| matters(known));
        known.map(|(at, known)| (*at, *known))
    }

    fn shows(&self, def: &Def, cycle: i64) -> Progress {
        self.shows.get(&if def.reset { cycle } else { 0 }).cloned().unwrap_or_default()
    }

    /// Counts an event; answers whether anything changed that has to be kept.
    fn count(&mut self, def: &Def, what: &What, times: &Times, versions: &Versions) -> bool {
        if self.for_good(def) && self.in_cycle(def, self.cycle).claimed.is_some() {
            return false;
        }
        // Daily goals go by the event's own day, however late it comes.
        let own = if def.kind == Kind::Daily { times.happened } else { times.at };
        let moves = !self.pending(self.cycle) || def.cycle(times.happened, self.begun) > self.cycle;
        let mut current = self.cycle;
        if moves && !self.for_good(def) {
            current = current.max(def.cycle(times.now.max(times.at), self.begun));
        }
        let own = def.cycle(own, self.begun).min(current);
        let known = self.in_cycle(def, own);
        let counts = match current - own {
            0 => known.claimed.is_none(),
            1 if def.reset => !times.stale && !known.done(),
            // Progress is carried on, unless the cycle before was claimed.
            1 => {
                !self.cycles.get(&own).is_some_and(Cycle::taken)
                    && self.in_cycle(def, current).claimed.is_none()
            }
            _ => false,
        };
        let place = if def.reset { own } else { current };
        let terms = self.terms(def, place, versions);
        if !counts || !terms.takes(what) || !self.count_in(terms, what, times, place) {
            return false;
        }
        self.cycle = current;
        true
    }

    /// Counts an event in a cycle.
    fn count_in(&mut self, def: &Def, what: &What, times: &Times, cycle: i64) -> bool {
        match (def.kind, what) {
            (Kind::Daily, _) => {
                let mut known = self.in_cycle(def, cycle);
                known.started = true;
                known.complete(times.happened);
                self.cycles.insert(cycle, known);
                true
            }
            (Kind::DailyIncrement, _) => self.count_day(def, times) && self.add(def, 1, times.at, cycle),
            (Kind::Increment, What::Stat { increment, .. }) => {
                let steps = if *increment == 0.0 { 1 } else { (*increment as i32).max(0) };
                self.add(def, steps, times.at, cycle)
            }
            (_, What::Login) => self.add(def, 1, times.at, cycle),
            (_, What::Stat { value, increment, .. }) => {
                let takes = !times.stale && (def.kind == Kind::Relative || *value >= 0.0);
                takes && self.follow(def, (times.at, *value, *increment), cycle)
            }
        }
    }

    fn add(&mut self, def: &Def, steps: i32, at: i64, cycle: i64) -> bool {
        let mut known = self.in_cycle(def, cycle);
        let shows = self.shows.entry(if def.reset { cycle } else { 0 }).or_default();
        let sum = shows.sum.saturating_add(steps);
        if steps == 0 || (sum == shows.sum && known.done()) {
            return false;
        }
        shows.sum = sum;
        shows.newest = shows.newest.max(Some(at));
        known.started = true;
        if sum >= def.target && !known.done() {
            known.complete(at);
        }
        self.cycles.insert(cycle, known);
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
    fn follow(&mut self, def: &Def, event: (i64, f64, f64), cycle: i64) -> bool {
        self.shows.entry(if def.reset { cycle } else { 0 }).or_default().values.push(event);
        let mut known = self.in_cycle(def, cycle);
        let (shows, base) = (self.shows(def, cycle), self.base(def, cycle));
        // Where progress is carried on, peaks of a cycle that was claimed complete no later one.
        let opened = if def.reset { None } else { self.before(def, cycle).map(|(at, _)| at) };
        let counts = |at: i64| opened.is_none_or(|opened| def.cycle(at, self.begun) > opened);
        let values = || shows.values.iter().filter(|(at, ..)| counts(*at));
        let peak = values().map(|(_, value, _)| *value).fold(f64::MIN, f64::max);
        let peak_at = values().filter(|(_, value, _)| *value == peak).map(|(at, ..)| *at).min();
        known.started = true;
        if (event.1 - base) as i32 >= def.target {
            known.complete(event.0);
        } else if def.kind == Kind::Relative && (peak - base) as i32 >= def.target {
            known.complete(peak_at.expect("there is one"));
        }
        self.cycles.insert(cycle, known);
        true
    }

    /// What the statistic was before the earliest event; 0 where the value itself is shown.
    fn base(&self, def: &Def, cycle: i64) -> f64 {
        let shows = self.shows(def, cycle);
        let first = shows.values.iter().min_by_key(|(at, ..)| *at);
        match first {
            Some((_, value, increment)) if def.kind == Kind::Relative => value - increment.max(0.0),
            _ => 0.0,
        }
    }

    fn progress(&self, def: &Def, cycle: i64) -> i32 {
        match def.kind {
            Kind::Daily => i32::from(self.in_cycle(def, cycle).done()),
            _ if def.adds_up() => self.shows(def, cycle).sum,
            _ => {
                let shows = self.shows(def, cycle);
                let newest = shows.values.iter().max_by_key(|(at, ..)| *at);
                newest.map_or(0, |(_, value, _)| (value - self.base(def, cycle)) as i32)
            }
        }
    }

    /// Until when what was completed in an earlier cycle can be claimed, if it can.
    fn until(&self, def: &Def, cycle: i64, now: i64, versions: &Versions) -> Option<i64> {
        let def = self.terms(def, cycle, versions);
        let known = self.cycles.get(&cycle).filter(|known| known.done() && !known.taken() && !known.lost);
        let end = known.filter(|_| def.reset).and_then(|_| def.end_of(cycle, self.begun))?;
        let until = match def.unclaimed {
            Unclaimed::Forfeit => None,
            Unclaimed::Grace(length) => Some(end + length),
            Unclaimed::Grant => Some(i64::MAX),
        };
        until.filter(|until| now < *until)
    }

    /// The earlier cycles whose completion can still be claimed, the oldest first.
    fn kept(&self, def: &Def, now: i64, versions: &Versions) -> Vec<(i64, i64)> {
        let current = self.cycle_at(def, now);
        let earlier = self.cycles.range(..current).map(|(cycle, _)| *cycle);
        earlier.filter_map(|cycle| Some((cycle, self.until(def, cycle, now, versions)?))).collect()
    }

    /// Notes what can no longer be claimed. The server does it with every call that changes anything.
    fn lose(&mut self, def: &Def, now: i64, versions: &Versions) {
        let current = self.cycle_at(def, now);
        let lost: Vec<i64> = self.cycles.range(..current).map(|(cycle, _)| *cycle).collect();
        for cycle in lost {
            if self.until(def, cycle, now, versions).is_none()
                && let Some(known) = self.cycles.get_mut(&cycle)
            {
                known.lost |= known.done();
            }
        }
    }

    /// The goal changes now. Answers the progress that is lost by it, if it begins at zero.
    fn change(&mut self, new: &Def, versions: &Versions, now: i64) -> Option<i32> {
        let today = versions.len() - 1;
        let cycle = self.cycle_at(new, now);
        self.cycle = cycle;
        let known: Vec<i64> = self.cycles.keys().copied().chain([cycle - 1, cycle]).collect();
        for at in known {
            let version = self.version_in(new, at, today);
            self.terms.insert(at, version);
        }
        let (state, held) = (self.in_cycle(new, cycle), self.terms(new, cycle, versions));
        if state.done() {
            return None;
        }
        let progress = self.progress(new, cycle);
        let easier = new.policy == Policy::UpgradeIfEasier && new.is_no_harder_than(held);
        if new.policy == Policy::Restart || easier || !self.active {
            self.forget_terms(new, cycle);
        }
        if new.policy == Policy::Restart {
            self.restart(new, cycle);
            return state.started.then_some(progress);
        }
        if easier && self.active && progress >= new.target {
            let shows = self.shows(new, cycle);
            let newest = shows.values.iter().map(|(at, ..)| *at).max().max(shows.newest);
            let at = newest.or(self.assigned).expect("active goals were assigned");
            let mut done = state;
            done.complete(at);
            self.cycles.insert(cycle, done);
        }
        None
    }

    /// From now on the goal goes by the catalogue.
    fn forget_terms(&mut self, def: &Def, cycle: i64) {
        self.terms.retain(|at, _| def.reset && *at < cycle);
    }

    fn restart(&mut self, def: &Def, cycle: i64) {
        self.days.clear();
        if def.reset {
            self.cycles.remove(&cycle);
            self.shows.remove(&cycle);
        } else {
            self.cycles.insert(cycle, Cycle::default());
            self.shows.clear();
        }
    }
}

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
