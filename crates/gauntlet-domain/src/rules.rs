//! The rules: what calls and events do to a player document.

mod assign;
mod call;
mod claim;
mod event;
pub mod history;
mod rollover;
mod select;
mod terms;
mod unclaimed;
mod view;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod properties;

pub use call::{Command, Context, Refusal, Reply, decide};
pub use event::{Event, EventOutcome, EventWhat, count_event, needs_receipts};
pub use terms::show_under;
pub use unclaimed::due;
pub use view::{GoalView, view_goal};
