//! What every player was told: the calls and events that were acknowledged, and those of which
//! nobody can tell. The ledger predicts each player's end from it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Something that was asked for a player. Times are microseconds since the start of the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Op {
    /// When it was sent.
    pub(crate) begin: u64,
    /// When the answer was there.
    pub(crate) end: u64,
    /// It was acknowledged; else nobody can tell whether it was carried out.
    pub(crate) sure: bool,
    /// What.
    pub(crate) what: What,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// An event: a login, with its number in the run.
    Login(u32),
    /// An event: a statistic of the run's list with a value, and its number.
    Stat {
        /// Which, in the list of the book.
        stat: u16,
        /// Its value.
        value: u32,
        /// The event's number in the run.
        number: u32,
    },
    /// The default goals.
    Initialize,
    /// These goals, of one challenge, became active.
    Activate(Box<[u16]>),
    /// A claim of this goal.
    Claim(u16),
}

impl What {
    /// The event's number; `None`: it is a call.
    pub(crate) const fn event(&self) -> Option<u32> {
        match self {
            Self::Login(number) | Self::Stat { number, .. } => Some(*number),
            Self::Initialize | Self::Activate(_) | Self::Claim(_) => None,
        }
    }
}

/// The numbers of goals and statistics.
#[derive(Debug, Default)]
struct Names {
    by_name: HashMap<String, u16>,
    all: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> u16 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        // Catalogues have at most 10,000 goals.
        let number = u16::try_from(self.all.len()).unwrap_or(u16::MAX);
        self.by_name.insert(name.to_owned(), number);
        self.all.push(name.to_owned());
        number
    }
}

#[derive(Debug, Default)]
struct Pages {
    ops: Vec<Vec<Op>>,
    goals: Names,
    stats: Names,
}

/// The book of a run.
#[derive(Debug)]
pub(crate) struct Book {
    /// The players by number.
    prefix: String,
    pages: Mutex<Pages>,
}

impl Book {
    /// An empty book for that many players, whose names begin like this.
    pub(crate) fn new(prefix: &str, players: u32) -> Self {
        let ops = vec![Vec::new(); players as usize];
        Self { prefix: prefix.to_owned(), pages: Mutex::new(Pages { ops, ..Pages::default() }) }
    }

    /// The name of a player.
    pub(crate) fn player(&self, number: u32) -> String {
        format!("{}-{number:05}", self.prefix)
    }

    /// The id of an event.
    pub(crate) fn event_id(&self, number: u32) -> String {
        format!("{}-e{number:08}", self.prefix)
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a goal.
    pub(crate) fn goal(&self, id: &str) -> u16 {
        self.pages().goals.number(id)
    }

    /// The number of a statistic.
    pub(crate) fn stat(&self, code: &str) -> u16 {
        self.pages().stats.number(code)
    }

    /// Writes down what was asked for a player.
    pub(crate) fn write(&self, player: u32, op: Op) {
        if let Some(ops) = self.pages().ops.get_mut(player as usize) {
            ops.push(op);
        }
    }

    /// Everything, when the run is over.
    pub(crate) fn close(&self) -> Closed {
        let pages = std::mem::take(&mut *self.pages());
        let mut ops = pages.ops;
        for ops in &mut ops {
            ops.sort_by_key(|op| op.begin);
        }
        Closed { prefix: self.prefix.clone(), ops, goals: pages.goals.all, stats: pages.stats.all }
    }
}

/// A book in which nothing is written any more.
#[derive(Debug)]
pub(crate) struct Closed {
    prefix: String,
    /// By player, in the order in which they were sent.
    pub(crate) ops: Vec<Vec<Op>>,
    /// Ids by number.
    pub(crate) goals: Vec<String>,
    /// Codes by number.
    pub(crate) stats: Vec<String>,
}

impl Closed {
    /// The name of a player.
    pub(crate) fn player(&self, number: usize) -> String {
        format!("{}-{number:05}", self.prefix)
    }

    /// The id of an event.
    pub(crate) fn event_id(&self, number: u32) -> String {
        format!("{}-e{number:08}", self.prefix)
    }
}
