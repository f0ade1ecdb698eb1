//! The command line: what can be asked, with help that teaches. Flags of settings come from the
//! table of settings.

mod archive;
mod load;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

pub(crate) use archive::{AuditArgs, ExportArgs, ImportArgs};
pub(crate) use load::{LoadArgs, LoadCommand, RunArgs, SignIn};

use crate::settings::{Flags, ForMigrate, ForPlayer, ForSend, ForServe};

/// A challenge service for games: daily missions, quests, seasonal goals.
#[derive(Debug, Parser)]
#[command(
    name = "gauntlet",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  gauntlet serve                                     everything in one process, on this machine only
  gauntlet player init --player ann                  what a game client does at login
  gauntlet send stat --player ann --stat enemy_kills --value 10
  gauntlet player list --player ann
  gauntlet catalogue check challenges.json           find every fault of a catalogue file
  gauntlet load run 4 --start-server --duration 60s  put a private server under load

Settings come from flags, else the environment, else a file, else defaults:
`gauntlet settings` shows what they are and where each comes from."
)]
pub(crate) struct Cli {
    /// Where settings stand in a file.
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        display_order = 900,
        help = "A TOML file with settings, one `key = value` a line [env: GAUNTLET_CONFIG]"
    )]
    pub(crate) config: Option<String>,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service.
    Serve(ServeArgs),
    /// Bring the database's schema up to date, and end.
    Migrate(MigrateArgs),
    /// Write everything that a store keeps into a file.
    Export(ExportArgs),
    /// Fill an empty store from such a file.
    Import(ImportArgs),
    /// Compare all players with the grants that were ordered for them.
    Audit(AuditArgs),
    /// Check and compare catalogue files, or make one for load tests.
    Catalogue(CatalogueArgs),
    /// Act as a player: what a game client does, from the command line.
    Player(PlayerArgs),
    /// Send events: what the game platform does, from the command line.
    Send(SendArgs),
    /// Put a server under load, and say what happened and why.
    Load(LoadArgs),
    /// Show the settings that `serve` would use, and where each comes from.
    Settings(SettingsArgs),
    /// Ask a running service whether it is ready: the health check of containers.
    Probe(ProbeArgs),
    /// Print the description of the player API in OpenAPI 3.1.
    Openapi(OpenapiArgs),
    /// Write the proto files, to generate gRPC clients from.
    Proto(ProtoArgs),
    /// Write a completion script for a shell.
    Completions(CompletionsArgs),
}

/// `gauntlet openapi`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gauntlet openapi > openapi.json
  gauntlet openapi --base-path /game > openapi.json

A running server has it too, with its own base path and the one way of sign-in that holds there:
  curl -s http://127.0.0.1:8000/challenge/openapi.json
and a page for people, where requests can be tried, at http://127.0.0.1:8000/challenge/apidocs/.")]
pub(crate) struct OpenapiArgs {
    /// What stands in front of every path.
    #[arg(long, value_name = "PATH", default_value = "/challenge")]
    pub(crate) base_path: String,
}

/// `gauntlet proto`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gauntlet proto --out proto
  protoc -I proto --python_out=. proto/gauntlet/service.proto
  python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. proto/gauntlet/service.proto

gauntlet/service.proto is the player API; gauntlet/events/v1/events.proto and accelbyte/... are what the
game platform sends; google/rpc/... is what the details of errors are.")]
pub(crate) struct ProtoArgs {
    /// The folder to write to; it is made when it is missing.
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// `gauntlet serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gauntlet serve
      A SQLite file in this folder, the sample catalogue, mock sign-in, on this machine only.
  gauntlet serve --catalogue challenges.json --store sqlite:/var/lib/gauntlet/players.db
  gauntlet serve --store postgres://gauntlet:secret@db:5432/game --http 0.0.0.0:8000 \
      --auth jwt --jwks-url https://iam.example.com/keys --namespace arena
      PostgreSQL, reachable from other machines: players sign in with tokens.
  gauntlet serve --store postgres://... --auth mock --roles events,worker
      One of several processes on the same database.

Passwords are better kept in GAUNTLET_STORE or a settings file than in a flag that `ps` shows.")]
pub(crate) struct ServeArgs {
    /// Settings.
    #[command(flatten)]
    pub(crate) flags: Flags<ForServe>,
    /// Die at a named point, at its first passage or a later one: for tests.
    #[cfg(any(debug_assertions, feature = "crash-points"))]
    #[arg(long, value_name = "NAME[:COUNT]", hide = true)]
    pub(crate) crash_at: Option<String>,
    /// Stop when standard input ends: for a parent that must not leave the service behind, however
    /// the parent ends.
    #[arg(long, hide = true)]
    pub(crate) until_stdin_ends: bool,
}

/// `gauntlet migrate`.
#[derive(Debug, Args)]
#[command(after_help = "\
`gauntlet serve` does this at every start; run it apart when the service's own user may not change
the schema. Several may run at once: one of them migrates, the others wait.

Examples:
  gauntlet migrate --store postgres://owner:secret@db:5432/game
  gauntlet migrate --store sqlite:players.db --json")]
pub(crate) struct MigrateArgs {
    /// Settings.
    #[command(flatten)]
    pub(crate) flags: Flags<ForMigrate>,
    /// Answer in JSON.
    #[arg(long, display_order = 901)]
    pub(crate) json: bool,
}

/// `gauntlet settings`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gauntlet settings
  gauntlet settings --config gauntlet.toml --http 0.0.0.0:8000
  gauntlet settings --json")]
pub(crate) struct SettingsArgs {
    /// Settings.
    #[command(flatten)]
    pub(crate) flags: Flags<ForServe>,
    /// Answer in JSON.
    #[arg(long, display_order = 901)]
    pub(crate) json: bool,
}

/// `gauntlet probe`.
#[derive(Debug, Args)]
#[command(after_help = "\
Ends with 0 when the service says that it takes requests, else with 1. It does not ask the database.

Examples:
  gauntlet probe
  gauntlet probe --ops 127.0.0.1:9080")]
pub(crate) struct ProbeArgs {
    /// Where the service's operations port is.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) ops: SocketAddr,
}

/// `gauntlet completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gauntlet completions bash > /etc/bash_completion.d/gauntlet
  gauntlet completions zsh > ~/.zfunc/_gauntlet
  gauntlet completions fish > ~/.config/fish/completions/gauntlet.fish")]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    pub(crate) shell: clap_complete::Shell,
}

/// `gauntlet catalogue`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gauntlet catalogue check challenges.json
  gauntlet catalogue diff challenges.json new.json   what players would see change
  gauntlet catalogue schema > catalogue.schema.json  help while typing, in an editor
  gauntlet catalogue generate --challenges 10 --goals 50 --out load.json
  gauntlet catalogue generate | gauntlet catalogue check -")]
pub(crate) struct CatalogueArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: CatalogueCommand,
}

/// What to do with catalogues.
#[derive(Debug, Subcommand)]
pub(crate) enum CatalogueCommand {
    /// List every fault of a file, with line and column.
    #[command(after_help = "\
Examples:
  gauntlet catalogue check challenges.json
  gauntlet catalogue check challenges.json --json    the faults, for an editor or a script")]
    Check {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// Answer in JSON.
        #[arg(long, display_order = 901)]
        json: bool,
    },
    /// Say what a new file would change for players, and what becomes of those who have the goals.
    #[command(after_help = "\
Examples:
  gauntlet catalogue diff challenges.json new.json
  gauntlet catalogue diff challenges.json new.json --json
  git show HEAD:challenges.json | gauntlet catalogue diff - challenges.json

What a change of a goal means for players who have it is decided by the new file's onChange of that
goal: keep (the default), upgrade_if_easier or restart.")]
    Diff {
        /// The catalogue that is in use; `-` for standard input.
        old: PathBuf,
        /// The one that shall follow; `-` for standard input.
        new: PathBuf,
        /// Answer in JSON.
        #[arg(long, display_order = 901)]
        json: bool,
    },
    /// Print the JSON Schema of catalogue files, for editors.
    #[command(after_help = "\
Examples:
  gauntlet catalogue schema > catalogue.schema.json
      then begin a catalogue with: { \"$schema\": \"./catalogue.schema.json\", \"challenges\": [ ... ] }

The schema knows fields, words and limits. What ties goals together, such as prerequisites, only
`gauntlet catalogue check` sees.")]
    Schema,
    /// Write a catalogue made by a plan: the same plan gives the same file.
    #[command(after_help = "\
Examples:
  gauntlet catalogue generate                        the catalogue of the load scenarios
  gauntlet catalogue generate --challenges 2 --goals 5 --daily-goals 0
  gauntlet catalogue generate --stats kills,wins --seed 7 --out load.json")]
    Generate(GenerateArgs),
}

/// The plan of a generated catalogue.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// How many challenges, the daily one not counted.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) challenges: usize,
    /// How many goals each of them has.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) goals: usize,
    /// The statistics that goals count, in turn [default: those that load scenarios send]
    #[arg(long, value_name = "CODE,...", value_delimiter = ',')]
    pub(crate) stats: Vec<String>,
    /// How many goals every player gets at initialization, spread over the challenges [default: 10,
    /// or all when there are fewer]
    #[arg(long, value_name = "N")]
    pub(crate) default_goals: Option<usize>,
    /// How many goals the daily challenge has: 0 for no such challenge, else 3 or more.
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(crate) daily_goals: usize,
    /// Plans that differ in the seed differ in kinds, targets and rewards, not in ids.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where to write it [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `gauntlet player`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gauntlet player init --player ann
  gauntlet player list --player ann --active
  gauntlet player select --player ann daily-missions daily-win daily-headshot
  gauntlet player draw --player ann weekly-hunt --count 2 --replace
  gauntlet player claim --player ann first-steps first-login
  GAUNTLET_PLAYER=ann gauntlet player list --json

A server with --auth jwt is shown a token: GAUNTLET_TOKEN=... gauntlet player list. Else the player is
named in the header x-mock-user-id, which a server with mock sign-in believes.")]
pub(crate) struct PlayerArgs {
    /// Settings.
    #[command(flatten)]
    pub(crate) flags: Flags<ForPlayer>,
    /// Print the server's reply as it is, a refusal's too.
    #[arg(long, global = true, display_order = 901)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: PlayerCommand,
}

/// What a player can do.
#[derive(Debug, Subcommand)]
pub(crate) enum PlayerCommand {
    /// Assign the default goals and show what is active: what a client does at every login.
    #[command(after_help = "\
Example:
  gauntlet player init --player ann

A star marks the goals that events count for.")]
    Init,
    /// Show challenges, goals and progress.
    #[command(after_help = "\
Examples:
  gauntlet player list --player ann                  everything
  gauntlet player list --player ann first-steps      one challenge
  gauntlet player list --player ann --active --json

A star marks the goals that events count for.")]
    List {
        /// Only this challenge.
        challenge: Option<String>,
        /// Only active goals.
        #[arg(long)]
        active: bool,
    },
    /// Activate goals by name: all of them or none.
    #[command(after_help = "\
Examples:
  gauntlet player select --player ann daily-missions daily-win daily-headshot
  gauntlet player select --player ann daily-missions daily-win --replace")]
    Select {
        /// The challenge.
        challenge: String,
        /// The goals.
        #[arg(required = true)]
        goals: Vec<String>,
        /// Deactivate the challenge's other goals that are not completed.
        #[arg(long)]
        replace: bool,
    },
    /// Activate goals drawn at random.
    #[command(after_help = "\
Examples:
  gauntlet player draw --player ann weekly-hunt --count 2
  gauntlet player draw --player ann weekly-hunt --count 2 --replace

Fewer goals than asked for are drawn when there are no more to draw from.")]
    Draw {
        /// The challenge.
        challenge: String,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
        count: i32,
        /// Deactivate the challenge's other goals that are not completed.
        #[arg(long)]
        replace: bool,
        /// Draw only from goals that are not active.
        #[arg(long)]
        exclude_active: bool,
    },
    /// Activate or deactivate one goal.
    #[command(after_help = "\
Examples:
  gauntlet player activate --player ann daily-missions daily-win
  gauntlet player activate --player ann daily-missions daily-win --off")]
    Activate {
        /// The challenge.
        challenge: String,
        /// The goal.
        goal: String,
        /// Deactivate it; progress is kept.
        #[arg(long)]
        off: bool,
    },
    /// Show what became of a challenge's goals in cycles that have ended.
    #[command(after_help = "\
Examples:
  gauntlet player history --player ann every-day
  gauntlet player history --player ann every-day --size 5

Claimed, lost, or completed: not claimed so far, and not lost.")]
    History {
        /// The challenge.
        challenge: String,
        /// How many cycles at most, 1 to 100.
        #[arg(long, value_name = "N", default_value_t = 20, allow_negative_numbers = true)]
        size: i32,
        /// Go on where an earlier page ended.
        #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
        page: String,
    },
    /// Show when a challenge's cycle ends and what the next one is.
    #[command(after_help = "\
Example:
  gauntlet player rotation --player ann weekly-hunt")]
    Rotation {
        /// The challenge.
        challenge: String,
    },
    /// Claim the reward of a completed goal.
    #[command(after_help = "\
Example:
  gauntlet player claim --player ann first-steps first-login")]
    Claim {
        /// The challenge.
        challenge: String,
        /// The goal.
        goal: String,
    },
}

/// `gauntlet send`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gauntlet send login --player ann
  gauntlet send stat --player ann --stat enemy_kills --value 10
  gauntlet send stat --player ann --stat enemy_kills --value 11 --inc 1 --at 2026-01-31T12:00:00Z
  gauntlet send stat --player ann --stat wins --value 1 --id match-42 --count 2
      The same event twice: a redelivery, which changes nothing.

An acknowledged event is stored, with what it changed.")]
pub(crate) struct SendArgs {
    /// Settings.
    #[command(flatten)]
    pub(crate) flags: Flags<ForSend>,
    /// Answer in JSON.
    #[arg(long, global = true, display_order = 901)]
    pub(crate) json: bool,
    /// What to send.
    #[command(subcommand)]
    pub(crate) command: SendCommand,
}

/// What the platform sends.
#[derive(Debug, Subcommand)]
pub(crate) enum SendCommand {
    /// The player has logged in.
    #[command(after_help = "\
Examples:
  gauntlet send login --player ann
  gauntlet send login --player ann --at 2026-01-31T12:00:00Z")]
    Login {
        /// How.
        #[command(flatten)]
        how: SendHow,
    },
    /// A statistic of the player has changed.
    #[command(after_help = "\
Examples:
  gauntlet send stat --player ann --stat enemy_kills --value 10
  gauntlet send stat --player ann --stat enemy_kills --value 11 --inc 1
  gauntlet send stat --player ann --stat wins --value 1 --id match-42 --count 2
      The same event twice: a redelivery, which changes nothing.")]
    Stat {
        /// Which statistic.
        #[arg(long, value_name = "CODE")]
        stat: String,
        /// Its value after the change.
        #[arg(long, value_name = "V", allow_negative_numbers = true)]
        value: f64,
        /// By how much it changed; 0: not said.
        #[arg(long, value_name = "I", default_value_t = 0.0, allow_negative_numbers = true)]
        inc: f64,
        /// How.
        #[command(flatten)]
        how: SendHow,
    },
}

/// How events are sent.
#[derive(Debug, Args)]
pub(crate) struct SendHow {
    /// The event's id; with --count, the same for all [default: a new one for each event]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// When it happened, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// How many events to send, one after the other.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) count: u32,
}
