//! One goal of the reference model: what it remembers, and what events, claims and changes do to it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "toward zero and within 32 bits is the rule, and a peak is one of the values"
)]

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{Claim, Def, Kind, Policy, Turn, Unclaimed, What, seconds};

/// A catalogue through time.
pub(super) type Versions = Vec<&'static [Def]>;

#[derive(Debug, Clone, Default)]
pub(super) struct Goal {
    pub(super) active: bool,
    pub(super) assigned: Option<i64>,
    /// When it was assigned first: cycles of the player's own begin then.
    pub(super) begun: Option<i64>,
    /// The newest cycle that a change was made in; 0 where there are none.
    pub(super) cycle: i64,
    pub(super) cycles: BTreeMap<i64, Cycle>,
    /// What events showed, by the cycle that it belongs to; one for good where progress is carried on.
    pub(super) shows: BTreeMap<i64, Progress>,
    /// For daily increments.
    pub(super) days: BTreeSet<i64>,
    /// Which version of the catalogue a cycle goes by, written down when the goal changes.
    pub(super) terms: BTreeMap<i64, usize>,
}

/// What events showed.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Time, value and increment of the events that counted, for goals that show a statistic.
    pub(super) values: Vec<(i64, f64, f64)>,
    /// For goals that add up: how much, and the time of the newest event.
    pub(super) sum: i32,
    pub(super) newest: Option<i64>,
}

/// What is known of a goal in one cycle.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cycle {
    pub(super) started: bool,
    pub(super) completed: Option<i64>,
    pub(super) claimed: Option<i64>,
    /// A claim that has not ended well, and when it was made.
    pub(super) claim: Option<(Claim, i64)>,
    /// It was completed, and its time to be claimed is over.
    pub(super) lost: bool,
}

/// An event's times: when it happened, when it counts, and whether it is too late for its own time.
pub(super) struct Times {
    pub(super) now: i64,
    pub(super) happened: i64,
    pub(super) at: i64,
    pub(super) stale: bool,
}

impl Cycle {
    pub(super) fn done(&self) -> bool {
        self.completed.is_some()
    }

    /// Claimed, or asked for: one completion is not asked for in two cycles.
    pub(super) fn taken(&self) -> bool {
        self.claimed.is_some() || self.claim.is_some()
    }

    /// Completes it, or moves its completion to an earlier event.
    pub(super) fn complete(&mut self, at: i64) {
        self.completed = Some(self.completed.map_or(seconds(at), |before| before.min(seconds(at))));
    }
}

impl Goal {
    /// What a cycle looks like: as it was left, or, where progress is carried on, as the last one
    /// left it; open again, when that one was claimed.
    pub(super) fn in_cycle(&self, def: &Def, cycle: i64) -> Cycle {
        match self.cycles.range(..=cycle).next_back() {
            Some((at, known)) if *at == cycle => *known,
            Some((_, before)) if !def.reset && before.taken() => Cycle { started: true, ..Cycle::default() },
            Some((_, before)) if !def.reset => *before,
            _ => Cycle::default(),
        }
    }

    /// The version that a cycle goes by: what is written down, which is carried on with progress; today's,
    /// once it was claimed.
    pub(super) fn version_in(&self, def: &Def, cycle: i64, today: usize) -> usize {
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

    pub(super) fn terms(&self, def: &Def, cycle: i64, versions: &Versions) -> &'static Def {
        let defs = versions[self.version_in(def, cycle, versions.len() - 1)];
        defs.iter().find(|other| other.id == def.id).expect("the same goals")
    }

    pub(super) fn pending(&self, cycle: i64) -> bool {
        let known = self.cycles.get(&cycle).copied().unwrap_or_default();
        matches!(known.claim, Some((Claim::Pending, _)))
    }

    /// Whether it was claimed, or asked for, for good.
    pub(super) fn for_good(&self, def: &Def) -> bool {
        let known = self.cycles.get(&self.cycle).copied().unwrap_or_default();
        def.turn != Turn::Never && !def.reselect && known.taken()
    }

    /// The cycle that counts at a time. Cycles only move forward, wait for a pending claim, and stop
    /// with one that was claimed for good.
    pub(super) fn cycle_at(&self, def: &Def, at: i64) -> i64 {
        if self.pending(self.cycle) || self.for_good(def) {
            self.cycle
        } else {
            self.cycle.max(def.cycle(at, self.begun))
        }
    }

    /// The last cycle before one in which anything happened that matters later: where progress is
    /// carried on, that it was claimed.
    pub(super) fn before(&self, def: &Def, cycle: i64) -> Option<(i64, Cycle)> {
        let matters = |known: &Cycle| def.reset || known.taken();
        let known = self.cycles.range(..cycle).rev().find(|(_, known)| matters(known));
        known.map(|(at, known)| (*at, *known))
    }

    pub(super) fn shows(&self, def: &Def, cycle: i64) -> Progress {
        self.shows.get(&if def.reset { cycle } else { 0 }).cloned().unwrap_or_default()
    }

    /// Counts an event; answers whether anything changed that has to be kept.
    pub(super) fn count(&mut self, def: &Def, what: &What, times: &Times, versions: &Versions) -> bool {
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
    pub(super) fn count_in(&mut self, def: &Def, what: &What, times: &Times, cycle: i64) -> bool {
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

    pub(super) fn add(&mut self, def: &Def, steps: i32, at: i64, cycle: i64) -> bool {
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
    pub(super) fn count_day(&mut self, def: &Def, times: &Times) -> bool {
        let (own, newest) = (def.day(times.happened), self.days.last().copied());
        let remembered = newest.is_some_and(|newest| own == newest || own == newest - 1);
        let day = if remembered { own } else { def.day(times.at) };
        newest.is_none_or(|newest| day >= newest - 1) && self.days.insert(day)
    }

    /// Follows a statistic: what it shows is worked out when it is looked at.
    pub(super) fn follow(&mut self, def: &Def, event: (i64, f64, f64), cycle: i64) -> bool {
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
    pub(super) fn base(&self, def: &Def, cycle: i64) -> f64 {
        let shows = self.shows(def, cycle);
        let first = shows.values.iter().min_by_key(|(at, ..)| *at);
        match first {
            Some((_, value, increment)) if def.kind == Kind::Relative => value - increment.max(0.0),
            _ => 0.0,
        }
    }

    pub(super) fn progress(&self, def: &Def, cycle: i64) -> i32 {
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
    pub(super) fn until(&self, def: &Def, cycle: i64, now: i64, versions: &Versions) -> Option<i64> {
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
    pub(super) fn kept(&self, def: &Def, now: i64, versions: &Versions) -> Vec<(i64, i64)> {
        let current = self.cycle_at(def, now);
        let earlier = self.cycles.range(..current).map(|(cycle, _)| *cycle);
        earlier.filter_map(|cycle| Some((cycle, self.until(def, cycle, now, versions)?))).collect()
    }

    /// Notes what can no longer be claimed. The server does it with every call that changes anything.
    pub(super) fn lose(&mut self, def: &Def, now: i64, versions: &Versions) {
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
    pub(super) fn change(&mut self, new: &Def, versions: &Versions, now: i64) -> Option<i32> {
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
    pub(super) fn forget_terms(&mut self, def: &Def, cycle: i64) {
        self.terms.retain(|at, _| def.reset && *at < cycle);
    }

    pub(super) fn restart(&mut self, def: &Def, cycle: i64) {
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
