//! What an operation wants stored together with the changed document, in one transaction.

use std::fmt::Write as _;

use crate::{GoalNumber, Timestamp, catalogue::Reward, player::CycleMark};

/// Everything beside the document that one operation writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Grants to order.
    pub orders: Vec<GrantOrder>,
    /// Grants whose result became known.
    pub results: Vec<GrantResult>,
    /// What happened, for history.
    pub journal: Vec<JournalEntry>,
}

impl Effects {
    /// Whether nothing has to be stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.results.is_empty() && self.journal.is_empty()
    }

    /// Adds what a later operation on the same player wants stored.
    pub fn append(&mut self, mut other: Self) {
        self.orders.append(&mut other.orders);
        self.results.append(&mut other.results);
        self.journal.append(&mut other.journal);
    }
}

/// Names one grant of one player for good: a goal can be claimed once in a cycle, and again only
/// after an operator raised the document's epoch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantKey {
    /// The goal.
    pub goal: GoalNumber,
    /// The cycle it was completed in.
    pub cycle: u32,
    /// The document's epoch.
    pub epoch: u32,
}

impl GrantKey {
    /// The idempotency key that the platform sees: every part with its length in front, so that
    /// no two grants have the same text whatever their ids contain.
    #[must_use]
    pub fn idempotency_key(&self, namespace: &str, player: &str, challenge: &str, goal: &str) -> String {
        let mut key = String::with_capacity(64 + namespace.len() + player.len() + goal.len());
        for part in [namespace, player, challenge, goal] {
            let _ = write!(key, "{}:{part}/", part.len());
        }
        let _ = write!(key, "cycle:{}/epoch:{}", self.cycle, self.epoch);
        key
    }
}

/// A reward to hand out, as it is stored before the platform is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantOrder {
    /// Its natural key.
    pub key: GrantKey,
    /// The challenge's id at the time of the claim.
    pub challenge_id: String,
    /// The goal's id.
    pub goal_id: String,
    /// What to hand out; a later catalogue does not change it.
    pub reward: Reward,
    /// When the player asked, in whole seconds.
    pub claimed_at: Timestamp,
}

/// How a grant ended, stored with the document that says the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantResult {
    /// Which grant.
    pub key: GrantKey,
    /// How it ended.
    pub end: GrantEnd,
}

/// How a grant ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantEnd {
    /// The platform has handed the reward out.
    Granted,
    /// The platform refused for good; the reason is for operators.
    Refused(String),
    /// Nobody can tell; an operator settles it. The reason is for operators.
    Uncertain(String),
}

/// One row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Counts up by one for each row of the player.
    pub sequence: u64,
    /// When it happened; for completions the time of the completing event.
    pub at: Timestamp,
    /// What happened.
    pub kind: JournalKind,
    /// To which goals; never empty.
    pub goals: Vec<GoalNumber>,
    /// In which cycle of each goal, in the order of `goals`; empty in rows of a release that did
    /// not write it.
    pub cycles: Vec<CycleMark>,
    /// What each goal's progress was, in rows that tell of lost progress
    /// ([`JournalKind::Restarted`]); empty in all others.
    pub progress: Vec<i32>,
}

/// What a journal row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JournalKind {
    /// Goals became active.
    Assigned,
    /// Goals were completed.
    Completed,
    /// A reward was granted.
    Claimed,
    /// A completion was lost because its cycle ended unclaimed.
    Expired,
    /// A change of the catalogue made goals begin at zero that had some progress.
    Restarted,
    /// An operator changed something.
    Repaired,
}

impl JournalKind {
    /// The word stored in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Completed => "completed",
            Self::Claimed => "claimed",
            Self::Expired => "expired",
            Self::Restarted => "restarted",
            Self::Repaired => "repaired",
        }
    }

    /// Reads the word back; `None` for a word that a newer release wrote.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all =
            [Self::Assigned, Self::Completed, Self::Claimed, Self::Expired, Self::Restarted, Self::Repaired];
        all.into_iter().find(|kind| kind.as_str() == word)
    }
}
