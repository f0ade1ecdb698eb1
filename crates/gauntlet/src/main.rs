//! Gauntlet: a challenge service for games, in one program.
//!
//! The only crate that prints, reads the environment and ends the process: `settings` decides what
//! is wanted, `commands` do it, `output` says what came of it.

#[cfg(unix)]
mod allocator;
mod cli;
mod commands;
mod export;
mod logging;
mod output;
mod settings;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    cli::Cli,
    output::{Failure, Output},
    settings::Environment,
};

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let output = Output::new(environment.no_color());
    match run(environment, output) {
        Ok(code) => code,
        Err(Some(failure)) => {
            output.failure(&failure);
            ExitCode::FAILURE
        }
        Err(None) => ExitCode::FAILURE,
    }
}

/// Does what the command line says; `None`: it could not be read, and that is said already.
fn run(environment: Environment, output: Output) -> Result<ExitCode, Option<Failure>> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return if output.usage(&error) { Ok(ExitCode::SUCCESS) } else { Err(None) },
    };
    commands::run(cli, environment, output).map_err(Some)
}
