//! The rules of Gauntlet, and nothing else: no clock, no random source, no input or output.
//!
//! Time and randomness are arguments, so every rule can be tested by a table and replayed by a
//! simulation. The words used here are the words of the whole project:
//!
//! | word | meaning |
//! |---|---|
//! | **catalogue** | what designers write: challenges and their goals ([`Catalogue`]) |
//! | **challenge** | a named group of goals |
//! | **goal** | one thing to do, with a requirement and a reward |
//! | **player** | everything that events and calls can change about one player: the document ([`Player`]) |
//! | **live, settled** | the part of a document that events may touch; the part that only a call can touch again |
//! | **assignment** | a goal that the player has; it is *active* while events count for it |
//! | **progress** | what is shown against the target |
//! | **cycle** | the span of time in which a goal can be done and claimed once ([`cycle`]) |
//! | **rollover** | going over to the next cycle when one has ended; it comes first on every touch |
//! | **history** | what became of goals in cycles that have ended ([`history`]) |
//! | **event** | a login or a changed statistic that the game platform reports ([`Event`]) |
//! | **claim** | a player asking for the reward of a completed goal |
//! | **grant** | the order to the outside platform to hand a reward out, with a natural key ([`GrantKey`]) |
//! | **receipt** | the id of an event that was counted, kept so that a second delivery changes nothing |
//! | **journal** | one appended row for each operation that assigned, completed, claimed, expired or repaired |
//! | **refusal** | the answer to a call that the rules do not allow ([`Refusal`]) |
//!
//! Every operation is [`decide`] (a call) or [`count_event`] (an event): a function of the
//! document, the catalogue, the time and a seed, that changes the document in memory and lists
//! what has to be stored with it ([`Effects`]).

pub mod audit;
pub mod catalogue;
pub mod cycle;
mod effects;
pub mod limits;
pub mod player;
mod receipt;
mod rules;
mod time;

pub use catalogue::{Catalogue, Challenge, ChallengeIndex, Goal, GoalIndex, GoalNumber};
pub use effects::{Effects, GrantEnd, GrantKey, GrantOrder, GrantResult, JournalEntry, JournalKind};
pub use player::{ClaimState, GoalState, Player, Status};
pub use receipt::{PAGE, Receipt, ReceiptKey};
pub use rules::{
    Command, Context, Event, EventOutcome, EventWhat, GoalView, Refusal, Reply, count_event, decide, due,
    history, needs_receipts, show_under, view_goal,
};
pub use time::{ParseTimeError, Timestamp};
