//! What the server as a whole promises.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail the test with what they saw"
)]

mod access;
mod corpus;
mod cycles;
mod errors;
mod histories;
mod model;
mod openapi;
mod overload;
mod world;
