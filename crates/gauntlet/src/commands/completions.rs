//! `gauntlet completions`.

use clap::CommandFactory as _;

use super::Context;
use crate::{
    cli::{Cli, CompletionsArgs},
    output::Failure,
};

/// Writes the script.
pub(super) fn run(context: &Context, args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gauntlet", &mut script);
    context.output.data(&String::from_utf8_lossy(&script))
}
