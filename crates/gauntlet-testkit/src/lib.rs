//! What the tests of several crates need: a real PostgreSQL that belongs to the test process, a
//! PgBouncer and a faulty network in front of it, and a reward platform that does as it is told.
//!
//! A test that cannot have its database fails; it is never skipped.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "test support: what it needs and cannot have must fail the test, with the reason"
)]

mod binaries;
mod cluster;
mod pgbouncer;
mod platform;
mod proxy;

pub use cluster::{Database, PgCluster, Sessions};
pub use pgbouncer::PgBouncer;
pub use platform::{Entry, FakePlatform, Fault, Memory, Reply, Seen};
pub use proxy::Proxy;
