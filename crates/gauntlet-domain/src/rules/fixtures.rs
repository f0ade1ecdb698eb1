//! Small catalogues, and one player with a little store around it: every step loads the document
//! from bytes, as a server would, and checks what must hold whatever was asked.

use std::collections::{HashMap, HashSet};

use chrono_tz::Tz;

use crate::{
    Catalogue, Command, Context, Effects, Event, EventOutcome, EventWhat, GoalNumber, GoalView, GrantEnd,
    GrantKey, GrantOrder, GrantResult, JournalEntry, JournalKind, Player, ReceiptKey, Refusal, Reply, Status,
    Timestamp,
    catalogue::{
        ChallengeDefinition, ChangePolicy, Definition, EventSource, GoalDefinition, GoalKind, OnExpiry,
        Operator, ProgressMode, Requirement, Reward, RewardKind, Rotation, RotationKind, Schedule, Weekday,
    },
    count_event, decide, needs_receipts, view_goal,
};

/// When worlds begin.
pub(super) const NOON: &str = "2026-11-24T12:00:00Z";
/// The late window of worlds: 10 minutes.
pub(super) const WINDOW_MS: i64 = 600_000;

pub(super) const INCREMENT: GoalKind = GoalKind::Increment { daily: false };
pub(super) const DAILY_INCREMENT: GoalKind = GoalKind::Increment { daily: true };

pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

/// An absolute goal that is completed by `kills` of 10.
pub(super) fn goal(id: &str) -> GoalDefinition {
    GoalDefinition {
        id: id.to_owned(),
        name: id.to_owned(),
        description: String::new(),
        kind: GoalKind::Absolute,
        event_source: EventSource::Statistic,
        default_assigned: false,
        time_zone: Tz::UTC,
        requirement: Requirement {
            stat_code: "kills".to_owned(),
            operator: Operator::AtLeast,
            target_value: 10,
            mode: ProgressMode::Absolute,
        },
        reward: Reward { kind: RewardKind::Item, id: format!("{id}-reward"), quantity: 1 },
        prerequisites: Vec::new(),
        rotation: None,
        on_change: ChangePolicy::Keep,
    }
}

/// A goal of some kind that counts `kills`, or logins.
pub(super) fn goal_of(id: &str, kind: GoalKind, event_source: EventSource, target: i32) -> GoalDefinition {
    let mut goal = GoalDefinition { kind, event_source, ..goal(id) };
    goal.requirement.target_value = target;
    goal
}

/// A daily goal that a login completes.
pub(super) fn daily(id: &str) -> GoalDefinition {
    goal_of(id, GoalKind::Daily, EventSource::Login, 1)
}

/// A goal whose statistic counts from the cycle's first event.
pub(super) fn relative(id: &str) -> GoalDefinition {
    let mut goal = goal(id);
    goal.requirement.mode = ProgressMode::Relative;
    goal
}

pub(super) fn default_goal(goal: GoalDefinition) -> GoalDefinition {
    GoalDefinition { default_assigned: true, ..goal }
}

pub(super) fn needs(goal: GoalDefinition, prerequisites: &[&str]) -> GoalDefinition {
    GoalDefinition { prerequisites: prerequisites.iter().map(|&id| id.to_owned()).collect(), ..goal }
}

/// A goal whose weekly rotation lets it be claimed again, or does not.
pub(super) fn weekly(goal: GoalDefinition, allow_reselection: bool) -> GoalDefinition {
    let rotation = Rotation {
        enabled: true,
        kind: RotationKind::Global(Schedule::Weekly),
        on_expiry: OnExpiry { reset_progress: true, allow_reselection },
        time_zone: Tz::UTC,
        week_start: Weekday::Monday,
    };
    GoalDefinition { rotation: Some(rotation), ..goal }
}

/// A catalogue of one challenge, `c`.
pub(super) fn one(goals: Vec<GoalDefinition>) -> Catalogue {
    catalogue(vec![("c", goals)])
}

/// A catalogue; goals are numbered from 1 in the order of the alphabet, so that a goal keeps its
/// number when the ids of later catalogues come behind.
pub(super) fn catalogue(challenges: Vec<(&str, Vec<GoalDefinition>)>) -> Catalogue {
    let challenges = challenges.into_iter().map(|(id, goals)| ChallengeDefinition {
        id: id.to_owned(),
        name: id.to_owned(),
        description: String::new(),
        goals,
    });
    let definition = Definition { challenges: challenges.collect() };
    let mut ids: Vec<String> = definition.goal_ids().map(str::to_owned).collect();
    ids.sort_unstable();
    let numbers: HashMap<String, GoalNumber> = ids.into_iter().zip((1..).map(GoalNumber)).collect();
    Catalogue::new(definition, 1, &numbers).expect("every goal has a number")
}

/// One player, and what a store keeps of them.
#[derive(Debug)]
pub(super) struct World {
    pub(super) catalogue: Catalogue,
    pub(super) player: Player,
    pub(super) now: Timestamp,
    pub(super) seed: u64,
    pub(super) receipts: HashSet<ReceiptKey>,
    pub(super) journal: Vec<JournalEntry>,
    pub(super) orders: Vec<GrantOrder>,
    pub(super) results: Vec<GrantResult>,
    events: u64,
}

impl World {
    pub(super) fn new(catalogue: Catalogue) -> Self {
        Self {
            catalogue,
            player: Player::new(),
            now: at(NOON),
            seed: 7,
            receipts: HashSet::new(),
            journal: Vec::new(),
            orders: Vec::new(),
            results: Vec::new(),
            events: 0,
        }
    }

    /// A player who has every goal of a one-challenge catalogue.
    pub(super) fn active(goals: Vec<GoalDefinition>) -> Self {
        let ids: Vec<String> = goals.iter().map(|goal| goal.id.clone()).collect();
        let mut world = Self::new(one(goals));
        for id in ids {
            world.set_active(&id, true);
        }
        world
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context { catalogue: &self.catalogue, now: self.now, seed: self.seed, late_window_ms: WINDOW_MS }
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        self.now = self.now.plus_millis(seconds * 1000);
    }

    pub(super) fn call(&mut self, command: &Command) -> Result<Reply, Refusal> {
        let mut player = reload(&self.player);
        assert_eq!(player, self.player, "a document is the same after being written and read");
        let mut effects = Effects::default();
        let answer = decide(&mut player, command, &self.context(), &mut effects);
        if answer.is_err() {
            assert_eq!(player, self.player, "a refusal changes nothing: {command:?}");
            assert!(effects.is_empty(), "a refusal has no effects: {command:?}");
        }
        assert!(effects.receipts.is_empty());
        self.player = player;
        self.keep(effects);
        answer
    }

    /// Counts an event without the settled part, as ingestion does.
    pub(super) fn event(&mut self, event: &Event) -> EventOutcome {
        let seen = needs_receipts(event, &self.catalogue) && self.receipts.contains(&event.key);
        let mut live = Player::decode(&self.player.encode_live(), None).expect("decodes");
        let mut effects = Effects::default();
        let outcome = count_event(&mut live, event, seen, &self.context(), &mut effects);
        assert!(effects.orders.is_empty() && effects.results.is_empty());
        let settled = self.player.encode_settled();
        let player = Player::decode(&live.encode_live(), Some(settled.as_deref())).expect("decodes");
        assert_eq!(outcome == EventOutcome::Counted, player != self.player, "{event:?}");
        assert!(outcome == EventOutcome::Counted || effects.is_empty(), "{event:?}");
        self.player = player;
        self.keep(effects);
        outcome
    }

    fn keep(&mut self, effects: Effects) {
        for entry in &effects.journal {
            let last = self.journal.last().map_or(0, |entry| entry.sequence);
            assert_eq!(entry.sequence, last + 1, "sequences are consecutive");
            assert!(!entry.goals.is_empty());
            self.journal.push(entry.clone());
        }
        assert_eq!(self.player.head.journal_sequence, self.journal.len() as u64);
        for receipt in effects.receipts {
            assert!(self.receipts.insert(receipt), "an event is counted once");
        }
        self.orders.extend(effects.orders);
        self.results.extend(effects.results);
        self.check_parts();
    }

    /// Every goal stands in exactly one part, and in the right one.
    fn check_parts(&self) {
        let numbers: HashSet<GoalNumber> = self.player.goals().map(|goal| goal.number).collect();
        assert_eq!(numbers.len(), self.player.goals().count(), "a goal stands in one part");
        assert!(self.player.live().is_sorted_by_key(|goal| goal.number));
        assert!(self.player.settled().is_sorted_by_key(|goal| goal.number));
        for state in self.player.goals() {
            // What has left the catalogue stays where it is.
            let Some(index) = self.catalogue.find_number(state.number) else { continue };
            let definition = &self.catalogue.goal(index).definition;
            let reopens = definition.kind == GoalKind::Daily
                || definition.rotation.as_ref().is_some_and(|rotation| rotation.on_expiry.allow_reselection);
            let claimed = self.player.head.claims.iter().any(|claim| claim.goal == state.number);
            let settled = !claimed && (!state.active || (state.status == Status::Claimed && !reopens));
            let stands = self.player.settled().iter().any(|other| other.number == state.number);
            assert_eq!(stands, settled, "{state:?}");
        }
    }

    /// The challenge that a goal belongs to.
    fn challenge_of(&self, goal: &str) -> String {
        let index = self.catalogue.find_goal(goal).expect(goal);
        self.catalogue.challenge(self.catalogue.goal(index).challenge).id.clone()
    }

    pub(super) fn initialize(&mut self) -> (Vec<String>, i32) {
        let Ok(Reply::Initialized { assigned, new_assignments }) = self.call(&Command::Initialize) else {
            panic!("initializing is always allowed");
        };
        let ids = assigned.iter().map(|(index, _)| self.catalogue.goal(*index).id().to_owned());
        (ids.collect(), new_assignments)
    }

    pub(super) fn set_active(&mut self, goal: &str, active: bool) -> GoalView {
        let command =
            Command::SetActive { challenge: self.challenge_of(goal), goal: goal.to_owned(), active };
        match self.call(&command) {
            Ok(Reply::ActiveSet { view, .. }) => view,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn claim(&mut self, goal: &str) -> Result<GrantKey, Refusal> {
        let command = Command::BeginClaim { challenge: self.challenge_of(goal), goal: goal.to_owned() };
        match self.call(&command)? {
            Reply::ClaimBegun { order, .. } => Ok(order.key),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn settle(&mut self, key: &GrantKey, end: GrantEnd) {
        assert_eq!(self.call(&Command::SettleClaim { key: key.clone(), end }), Ok(Reply::ClaimSettled));
    }

    /// Claims and grants.
    pub(super) fn claim_granted(&mut self, goal: &str) {
        let key = self.claim(goal).expect("can be claimed");
        self.settle(&key, GrantEnd::Granted);
    }

    /// The next event, with an id of its own.
    pub(super) fn make(&mut self, what: EventWhat, at: Timestamp) -> Event {
        self.events += 1;
        event(what, at, &format!("event-{}", self.events))
    }

    pub(super) fn login(&mut self) -> EventOutcome {
        self.login_at(self.now)
    }

    pub(super) fn login_at(&mut self, at: Timestamp) -> EventOutcome {
        let event = self.make(EventWhat::Login, at);
        self.event(&event)
    }

    pub(super) fn kills(&mut self, value: f64, increment: f64) -> EventOutcome {
        self.kills_at(value, increment, self.now)
    }

    pub(super) fn kills_at(&mut self, value: f64, increment: f64, at: Timestamp) -> EventOutcome {
        let event = self.make(kills(value, increment), at);
        self.event(&event)
    }

    pub(super) fn view(&self, goal: &str) -> GoalView {
        let index = self.catalogue.find_goal(goal).expect(goal);
        view_goal(Some(&self.player), &self.catalogue, index, self.now)
    }

    pub(super) fn progress(&self, goal: &str) -> (i32, Status) {
        let view = self.view(goal);
        (view.progress, view.status)
    }

    pub(super) fn number(&self, goal: &str) -> GoalNumber {
        self.catalogue.goal(self.catalogue.find_goal(goal).expect(goal)).number
    }

    pub(super) fn is_live(&self, goal: &str) -> bool {
        let number = self.number(goal);
        self.player.live().iter().any(|state| state.number == number)
    }

    pub(super) fn is_settled(&self, goal: &str) -> bool {
        let number = self.number(goal);
        self.player.settled().iter().any(|state| state.number == number)
    }

    /// The journal since a row, as kinds with goal ids.
    pub(super) fn journal_since(&self, rows: usize) -> Vec<(JournalKind, Vec<String>)> {
        let id = |number: &GoalNumber| {
            let index = self.catalogue.find_number(*number).expect("in the catalogue");
            self.catalogue.goal(index).id().to_owned()
        };
        let rows = self.journal.iter().skip(rows);
        rows.map(|entry| (entry.kind, entry.goals.iter().map(id).collect())).collect()
    }
}

/// Writes a document and reads it again.
pub(super) fn reload(player: &Player) -> Player {
    let settled = player.encode_settled();
    Player::decode(&player.encode_live(), Some(settled.as_deref())).expect("decodes")
}

pub(super) fn event(what: EventWhat, at: Timestamp, id: &str) -> Event {
    let kind = if what == EventWhat::Login { "login" } else { "stat" };
    let key = ReceiptKey { source: "test".into(), kind: kind.to_owned().into(), id: id.to_owned() };
    Event { what, key, at }
}

pub(super) fn kills(value: f64, increment: f64) -> EventWhat {
    EventWhat::Stat { code: "kills".to_owned(), value, increment }
}
