//! One module for each command.

mod archive;
mod catalogue;
mod completions;
mod contracts;
mod load;
mod migrate;
mod player;
mod probe;
mod send;
mod serve;
mod settings;
mod signals;
mod store;
mod tls;

use std::{collections::BTreeMap, process::ExitCode};

use crate::{
    cli::{Cli, Command},
    output::{Failure, Output},
    settings::{Environment, Layers},
};

/// What every command gets.
#[derive(Debug)]
struct Context {
    environment: Environment,
    config: Option<String>,
    output: Output,
}

impl Context {
    /// The layers of settings, with these flags on top.
    fn layers(&self, flags: BTreeMap<&'static str, String>) -> Result<Layers, Failure> {
        for (name, meant) in self.environment.misspelt() {
            self.output.warning(&format!("{name} is not a setting; did you mean {meant}?"));
        }
        Ok(Layers::load(flags, self.environment.clone(), self.config.as_deref())?)
    }
}

/// Does what was asked; answers how the program ends when it is done.
pub(crate) fn run(cli: Cli, environment: Environment, output: Output) -> Result<ExitCode, Failure> {
    let context = Context { environment, config: cli.config, output };
    let done = match cli.command {
        // The one command that has more to say than yes or no.
        Command::Load(args) => return load::run(&context, args),
        Command::Serve(args) => serve::run(&context, args),
        Command::Migrate(args) => migrate::run(&context, args),
        Command::Export(args) => archive::export(&context, args),
        Command::Import(args) => archive::import(&context, args),
        Command::Audit(args) => archive::audit(&context, args),
        Command::Catalogue(args) => catalogue::run(&context, args.command),
        Command::Player(args) => player::run(&context, args),
        Command::Send(args) => send::run(&context, args),
        Command::Settings(args) => settings::run(&context, args),
        Command::Probe(args) => probe::run(&context, &args),
        Command::Openapi(args) => contracts::openapi(&context, &args),
        Command::Proto(args) => contracts::proto(&context, &args),
        Command::Completions(args) => completions::run(&context, &args),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// A runtime for a command that makes a few calls.
fn small_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::caused("cannot start the runtime", &error))
}
