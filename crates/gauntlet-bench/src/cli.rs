//! The command line.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use serde_json::json;

use crate::{
    Result,
    bench::Bench,
    floors, machine, progress,
    report::Report,
    work::{self, Work},
};

/// Measures the service beside its floors and prints a table.
#[derive(Debug, Parser)]
#[command(name = "gauntlet-bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Internal>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    /// Measure only this; may be given several times.
    #[arg(long, value_enum, value_name = "WORK")]
    only: Vec<Work>,
    /// How long each load lasts.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How often product and floor take turns.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    turns: u32,
    /// Write the figures of every turn to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The `gauntlet` to measure; without it the workspace's is built and taken.
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Fail when a goal is not met.
    #[arg(long)]
    strict: bool,
}

/// How this program starts itself.
#[derive(Debug, Subcommand)]
enum Internal {
    /// A floor in a process of its own.
    #[command(hide = true, subcommand)]
    Floor(FloorCommand),
}

#[derive(Debug, Subcommand)]
enum FloorCommand {
    /// Answers at once.
    Echo {
        /// The length of the static reply.
        #[arg(long, default_value_t = 0)]
        bytes: usize,
    },
    /// Commits one row again and again.
    Commit {
        /// Where.
        #[arg(long)]
        store: String,
        /// For how long.
        #[arg(long)]
        seconds: u64,
    },
}

/// Does what was asked.
///
/// # Errors
/// What spoils the figures, and with `--strict` goals that are not met.
pub(crate) fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Some(Internal::Floor(FloorCommand::Echo { bytes })) => floors::echo::serve(bytes),
        Some(Internal::Floor(FloorCommand::Commit { store, seconds })) => {
            floors::commit::run(&store, Duration::from_secs(seconds))
        }
        None => measure(&cli.options),
    }
}

#[expect(clippy::print_stdout, reason = "the table is what was asked for")]
fn measure(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(path) if path.is_file() => path.clone(),
        Some(path) => return Err(format!("{} is no file", path.display()).into()),
        None => build()?,
    };
    // Better now than after half an hour.
    if let Some(path) = &options.json {
        std::fs::write(path, "").map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let bench = Bench::new(binary, Duration::from_secs(options.seconds), options.turns)?;
    let about = json!({
        "machine": machine::describe(), "seconds": options.seconds, "turns": options.turns,
        "debug_build": cfg!(debug_assertions),
    });
    progress(&format!("machine: {}", machine::describe()));
    let mut report = Report::default();
    let works: &[Work] = if options.only.is_empty() { work::ALL } else { &options.only };
    let mut failed = Vec::new();
    for one in works {
        progress(&format!("== {}", one.name()));
        // The figures of the others are still worth having.
        if let Err(failure) = one.measure(&bench, &mut report) {
            progress(&format!("{} failed: {failure}", one.name()));
            failed.push(format!("{}: {failure}", one.name()));
        }
        if let Some(path) = &options.json {
            std::fs::write(path, serde_json::to_string_pretty(&report.json(&about))?)?;
        }
    }
    println!("{}", report.markdown());
    if !failed.is_empty() {
        return Err(format!("without figures: {}", failed.join("; ")).into());
    }
    match report.unmet() {
        0 => Ok(()),
        unmet if options.strict => Err(format!("{unmet} goals are not met").into()),
        unmet => {
            progress(&format!("{unmet} goals are not met"));
            Ok(())
        }
    }
}

/// Builds the product like this program was built, and finds it beside this program.
fn build() -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command.args(["build", "-p", "gauntlet"]).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    if cfg!(debug_assertions) {
        progress("this is a debug build: its figures say nothing about a release");
    } else {
        command.arg("--release");
    }
    let status = command.status().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !status.success() {
        return Err(format!("cargo build ended with {status}").into());
    }
    let path = std::env::current_exe()?.with_file_name("gauntlet");
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("{} is not there after the build; name it with --binary", path.display()).into())
}
