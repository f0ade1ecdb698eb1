//! All that a store keeps, as lines of text: to move it to another store, to keep it, and to look through it.
//!
//! Both databases give the same rows in the same order (by table, then by key, compared as bytes), so the file of a store
//! and of its copy are the same to the byte. What belongs to running processes, the table `replica`, is left out.
//! `docs/operations.md` describes the file.

mod audit;
mod file;
mod row;

use async_trait::async_trait;

use crate::contract::Error;

pub use audit::{AuditReport, audit};
pub use file::{ArchiveError, Counts, Summary, export, import};
pub(crate) use row::BEFORE_ALL;
pub use row::{
    CatalogueVersion, DuePlayer, GoalId, GrantLine, JournalLine, Key, PlayerDocument, ReceiptPage,
    ReceiptsSince, Row, Table,
};

/// The newest migration that the rows are of; see `migrations`.
#[must_use]
pub fn schema() -> i32 {
    crate::migrations::POSTGRES.last().map_or(0, |migration| migration.number)
}

/// Rows asked for at a time.
pub const PAGE: u32 = 500;

/// A store that is read from beginning to end, as it was at one moment.
#[async_trait]
pub trait Source: Send {
    /// The newest migration of the database; 0: none was applied.
    async fn schema(&mut self) -> Result<i32, Error>;
    /// Whether a process of the service seems to work on the store.
    async fn in_use(&mut self) -> Result<bool, Error>;
    /// How many rows a table has.
    async fn count(&mut self, table: Table) -> Result<u64, Error>;
    /// The next rows of a table, in the order of their keys: at most [`PAGE`], after a row that was read before.
    async fn page(&mut self, table: Table, after: Option<&Row>) -> Result<Vec<Row>, Error>;
}

/// A store that is filled, all of it or nothing.
#[async_trait]
pub trait Target: Send {
    /// How many rows it has. Nobody else can write until this is dropped.
    async fn rows(&mut self) -> Result<u64, Error>;
    /// Adds rows, all of one table.
    async fn put(&mut self, rows: Vec<Row>) -> Result<(), Error>;
    /// Makes everything durable. Without it, nothing was added.
    async fn finish(self: Box<Self>) -> Result<(), Error>;
}
