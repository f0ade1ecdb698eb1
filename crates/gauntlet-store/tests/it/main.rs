//! The store's contract, on every back end.

#![expect(clippy::expect_used, clippy::panic, reason = "all of it is test code, helpers included")]

mod archive;
mod conformance;
mod fixture;
mod make;
mod migrations;
mod pgbouncer;
mod postgres;
mod sqlite;
