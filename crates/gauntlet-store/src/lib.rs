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
//!   Receipts are looked up after (or in the same snapshot as) the documents, so none can be in
//!   neither, and one that was missed implies a revision that has moved. So a writer that remembers
//!   a player, with the receipts, need not read before it writes.
//! - **Errors are different answers**: see [`Error`]. A conflict is known not to be applied; an
//!   unknown outcome may have been; unavailable was not; corrupt names table, column and id.
//! - **Absence is not an error**: a player without a row is `None`, and is created by a write
//!   with `expected` = `None`.
//! - **Who is due is told with the write** ([`Write::due`]): when somebody has to look after a player
//!   whom nobody asks for is a function of the document, so it changes in the document's transaction.
//! - **Nothing is held while waiting**: no call keeps a connection, a lock or a transaction after
//!   it has answered.
//!
//! All back ends pass one conformance suite (`tests/it/conformance`).

pub mod archive;
mod between;
mod contract;
pub mod crash;
mod figures;
mod memory;
mod migrations;
mod postgres;
mod rows;
mod sqlite;

pub use between::Between;
pub use contract::{
    BoxError, Due, DueGrant, Error, FORGET_REPLICA_MILLIS, Grant, GrantFilter, GrantId, GrantState,
    JournalRow, Lease, Load, Loaded, Locked, LockedDecision, Meeting, PlayerKey, PoolBusy, PoolStatus,
    Replica, Retry, ServerDown, Store, Stored, Write, Written,
};
pub use figures::{Figures, Times};
pub use memory::MemoryStore;
pub use postgres::{PgOptions, PgSource, PgStore, PgTarget};
pub use sqlite::{SqliteOptions, SqliteSource, SqliteStore, SqliteTarget};
