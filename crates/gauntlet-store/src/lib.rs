//! Where players live: one contract, three back ends.
//!
//! # The contract
//! A player is one document with a revision. Every change is *load, pure function,
//! compare-and-swap*: [`Store::load`] answers documents with their revisions, the caller changes
//! them in memory with the domain's functions, and [`Store::commit`] writes each one **if its
//! revision still holds, together with everything that the operation causes** (grants, receipts,
//! journal rows), in one durable transaction for the whole batch.
//!
//! - **Durable**: when `commit` answers [`Written::Done`], the change survives the death of the
//!   process, and of the machine as far as the disk keeps its promises.
//! - **Each player stands alone**: a player whose revision has moved is answered
//!   [`Written::Conflict`] and nothing of it is stored; the others of the batch are written.
//! - **Reads are true**: `load` sees every commit that was acknowledged before it was called.
//!   Receipts are looked up after (or in the same snapshot as) the documents, so a receipt that
//!   was missed implies a revision that has moved.
//! - **A receipt that nobody looked for** ([`Write::unseen`]) and that exists is a conflict like a
//!   revision that has moved: a writer that remembers a player need not read before it writes.
//! - **Errors are different answers**: see [`Error`]. A conflict is known not to be applied; an
//!   unknown outcome may have been; unavailable was not; corrupt names table, column and id.
//! - **Absence is not an error**: a player without a row is `None`, and is created by a write
//!   with `expected` = `None`.
//! - **Nothing is held while waiting**: no call keeps a connection, a lock or a transaction after
//!   it has answered.
//!
//! All back ends pass one conformance suite (`tests/it/conformance`).

mod contract;
pub mod crash;
mod figures;
mod memory;
mod migrations;
mod postgres;
mod rows;
mod sqlite;

pub use contract::{
    BoxError, DueGrant, Error, FORGET_REPLICA_MILLIS, Grant, GrantFilter, GrantId, GrantState, JournalRow,
    Lease, Load, Loaded, Locked, LockedDecision, Meeting, PlayerKey, PoolBusy, PoolStatus, Replica, Retry,
    ServerDown, Store, Stored, Write, Written,
};
pub use figures::{Figures, Times};
pub use memory::MemoryStore;
pub use postgres::{PgOptions, PgStore};
pub use sqlite::{SqliteOptions, SqliteStore};
