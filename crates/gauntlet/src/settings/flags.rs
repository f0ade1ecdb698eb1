//! The table as command line flags.

use std::{collections::BTreeMap, marker::PhantomData};

use clap::{Arg, ArgMatches, Command};

use super::{
    setting::{Reader, Setting},
    table,
};

/// The command that some [`Flags`] belong to.
pub(crate) trait Scope {
    /// Whose settings are offered.
    const READER: Reader;
    /// Whether they may also stand behind a subcommand.
    const GLOBAL: bool = false;
}

/// Flags of `gauntlet serve` and `gauntlet settings`.
#[derive(Debug)]
pub(crate) struct ForServe;
/// Flags of `gauntlet migrate`.
#[derive(Debug)]
pub(crate) struct ForMigrate;
/// Flags of `gauntlet export`, `import` and `audit`.
#[derive(Debug)]
pub(crate) struct ForArchive;
/// Flags of `gauntlet player`.
#[derive(Debug)]
pub(crate) struct ForPlayer;
/// Flags of `gauntlet send`.
#[derive(Debug)]
pub(crate) struct ForSend;

impl Scope for ForServe {
    const READER: Reader = Reader::Serve;
}
impl Scope for ForMigrate {
    const READER: Reader = Reader::Migrate;
}
impl Scope for ForArchive {
    const READER: Reader = Reader::Archive;
}
impl Scope for ForPlayer {
    const READER: Reader = Reader::Player;
    const GLOBAL: bool = true;
}
impl Scope for ForSend {
    const READER: Reader = Reader::Send;
    const GLOBAL: bool = true;
}

/// The settings of a command that were given as flags. They are only gathered here; values are
/// read, and refused, in one place for all layers.
#[derive(Debug)]
pub(crate) struct Flags<S> {
    /// Values by the key of their setting.
    pub(crate) values: BTreeMap<&'static str, String>,
    scope: PhantomData<S>,
}

impl<S: Scope> clap::Args for Flags<S> {
    fn augment_args(command: Command) -> Command {
        table::of(S::READER).fold(command, |command, setting| command.arg(arg(setting, S::GLOBAL)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Scope> clap::FromArgMatches for Flags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given =
            |setting: &'static Setting| Some((setting.key, matches.get_one::<String>(setting.key)?.clone()));
        Ok(Self { values: table::of(S::READER).filter_map(given).collect(), scope: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn arg(setting: &'static Setting, global: bool) -> Arg {
    let arg = Arg::new(setting.key)
        .long(setting.flag)
        .value_name(setting.value)
        .help(setting.help_line())
        .help_heading("Settings")
        .global(global);
    if setting.switch { arg.num_args(0..=1).require_equals(true).default_missing_value("true") } else { arg }
}
