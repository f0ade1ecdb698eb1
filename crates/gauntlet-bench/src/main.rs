//! `gauntlet-bench`: the product beside its floors, in one run on one machine.
//!
//! ```text
//! cargo run --release -p gauntlet-bench -- [--only WORK] [--seconds N] [--turns N] [--json FILE]
//! ```
//!
//! The product is the real binary in a process of its own. Each floor, a server of the same stack
//! that does nothing or a database that commits one row, is a process of its own too. They take
//! turns, so that a noisy machine spoils both alike; what counts are medians and their ratios. The
//! load generator shares the machine with them, and what it uses is measured as well.
//!
//! It is no part of the product, and nothing of the product depends on it.

mod bench;
mod catalogues;
mod cli;
mod figures;
mod floors;
mod generator;
mod http;
mod machine;
mod players;
mod process;
mod report;
mod requests;
mod stand;
mod work;

use std::process::ExitCode;

use clap::Parser as _;

/// Why there are no figures: something on the way did not go well, and would have spoiled them.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Of everything here.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

#[expect(clippy::print_stderr, reason = "why it failed")]
fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            let mut cause = failure.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

/// Tells what is going on.
#[expect(clippy::print_stderr, reason = "progress")]
pub(crate) fn progress(text: &str) {
    eprintln!("{text}");
}
