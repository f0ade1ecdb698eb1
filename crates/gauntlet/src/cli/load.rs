//! `gauntlet load`: the load lab.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

/// `gauntlet load`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gauntlet load scenarios                             what there is
  gauntlet load run 4 --start-server --duration 60s --scale 10 --out run1
  gauntlet load compare run2 --baseline run1

The program ends with
  0  passed
  1  the command line, or the lab itself
  2  a threshold does not hold
  3  the run is invalid: it says nothing about the server
  4  the ledger is broken: the server lost, or gave twice, what it had acknowledged
  5  worse than the baseline, beyond noise
  6  there is no comparable baseline")]
pub(crate) struct LoadArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: LoadCommand,
}

/// What the lab can do.
#[derive(Debug, Subcommand)]
pub(crate) enum LoadCommand {
    /// Put a server under load, and say what happened and why.
    Run(Box<RunArgs>),
    /// List the built-in scenarios, or print one: a file to begin your own with.
    #[command(after_help = "\
Examples:
  gauntlet load scenarios
  gauntlet load scenarios sessions > mine.toml
  gauntlet load run mine.toml --start-server")]
    Scenarios {
        /// Its number or name.
        scenario: Option<String>,
    },
    /// Compare a run with earlier ones: better, worse, noise, or nobody can tell.
    #[command(after_help = "\
Examples:
  gauntlet load compare run4 --baseline run1 --baseline run2 --baseline run3
  gauntlet load compare run4 --baseline run1 --json

How far the earlier runs lie apart is the noise. With a single one nothing is called worse.")]
    Compare {
        /// The folder of the run, or its report.json.
        run: PathBuf,
        /// An earlier run; give several.
        #[arg(long, value_name = "DIR", required = true)]
        baseline: Vec<PathBuf>,
        /// Answer in JSON.
        #[arg(long, display_order = 901)]
        json: bool,
    },
    /// Write the other files of a run anew from its report.json.
    Report {
        /// The folder of the run.
        run: PathBuf,
    },
    /// Print the JSON Schema of report.json.
    Schema,
}

/// `gauntlet load run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gauntlet load run 4 --start-server --duration 60s --scale 10
      Scenario 4 in a minute, against a private server on SQLite.
  gauntlet load run 4 --start-server --store postgres://gauntlet:secret@localhost/postgres
      The whole half hour, against a private server with a new database on that PostgreSQL.
  gauntlet load run 4 --start-server --duration 60s --scale 30 --profiles --sign-in es256
      With signed tokens, and with flame graphs of the server in the report.
  gauntlet load run mine.toml --target http://host:8000/challenge --events http://host:6566 \\
      --ops http://host:8080 --catalogue challenges.json
      A server that runs already and believes x-mock-user-id (--auth mock); else add
      --sign-in es256 --keys ADDRESS, and start it with --jwks-url http://ADDRESS/keys.

The run is valid only if the lab was not the bottleneck: see `gauntlet load --help` for exit codes.
Ctrl-C ends it early, with a report of what there is.")]
pub(crate) struct RunArgs {
    /// A built-in scenario by number or name, or a file.
    pub(crate) scenario: String,
    /// Start a private server for the run: own store, own catalogue, grants posted to the lab.
    #[arg(long)]
    pub(crate) start_server: bool,
    /// Where the private server keeps its players: `sqlite` for a file in the run's folder, or a
    /// PostgreSQL on which a new database is made for the run, and removed after it.
    #[arg(long, value_name = "sqlite|postgres://...", requires = "start_server")]
    pub(crate) store: Option<String>,
    /// Further flags of `gauntlet serve` for the private server, after `--`.
    #[arg(last = true, requires = "start_server", value_name = "SERVE FLAGS")]
    pub(crate) serve: Vec<String>,
    /// The player API of a server that runs already, with its base path.
    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "start_server",
        required_unless_present = "start_server"
    )]
    pub(crate) target: Option<String>,
    /// Its events port.
    #[arg(long, value_name = "URL", conflicts_with = "start_server")]
    pub(crate) events: Option<String>,
    /// The secret of its events port.
    #[arg(long, value_name = "SECRET", conflicts_with = "start_server")]
    pub(crate) events_token: Option<String>,
    /// Its operations port, for its metrics; once for each process, and with a name where there are
    /// several, whose metrics are added up.
    #[arg(long, value_name = "[NAME=]URL", conflicts_with = "start_server", value_parser = port)]
    pub(crate) ops: Vec<(String, String)>,
    /// The namespace of events; a server ignores those of others.
    #[arg(long, value_name = "NAME", default_value = "gauntlet")]
    pub(crate) namespace: String,
    /// Its catalogue, without which goals cannot be predicted.
    #[arg(long, value_name = "FILE", conflicts_with = "start_server")]
    pub(crate) catalogue: Option<PathBuf>,
    /// Listen here for the grants that it posts (its `--webhook-url` is `http://ADDRESS/grants`), and count them.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "start_server")]
    pub(crate) receiver: Option<SocketAddr>,
    /// The secret that the grants are signed with; without it signatures are not looked at.
    #[arg(long, value_name = "whsec_...", requires = "receiver")]
    pub(crate) webhook_secret: Option<String>,
    /// How players sign in: by a header that mock sign-in believes, or with tokens that the lab signs
    /// with a key that it makes for the run.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = SignIn::Mock)]
    pub(crate) sign_in: SignIn,
    /// Publish the key of the tokens here (the server's `--jwks-url` is `http://ADDRESS/keys`).
    #[arg(long, value_name = "ADDRESS", conflicts_with = "start_server")]
    pub(crate) keys: Option<SocketAddr>,
    /// Claims for every token beside `sub`, `namespace`, `iat` and `exp`: a JSON object.
    #[arg(long, value_name = "JSON")]
    pub(crate) claims: Option<String>,
    /// The authority of the server's certificates, for https addresses.
    #[arg(long, value_name = "FILE", conflicts_with = "start_server")]
    pub(crate) ca: Option<PathBuf>,
    /// Repeat a call that failed up to so many times, as docs/errors.md advises; tries are counted
    /// apart.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=20))]
    pub(crate) retries: u32,
    /// Take profiles of the server's processor time and memory; it has to run with `--profiles`,
    /// and the private one then does.
    #[arg(long)]
    pub(crate) profiles: bool,
    /// When [default: in the middle of the run]
    #[arg(long, value_name = "TIME", requires = "profiles", value_parser = gauntlet_lab::parse_duration)]
    pub(crate) profile_at: Option<Duration>,
    /// A control group to watch (version 2), such as a container's.
    #[arg(long = "cgroup", value_name = "NAME=DIR", value_parser = folder)]
    pub(crate) cgroups: Vec<(String, PathBuf)>,
    /// Fail the run, with 2, when latency, memory or a table grows while the load does not.
    #[arg(long)]
    pub(crate) fail_on_drift: bool,
    /// A PostgreSQL to look into with its statistics views.
    #[arg(long, value_name = "URL")]
    pub(crate) postgres: Option<String>,
    /// A process of this machine to watch.
    #[arg(long = "pid", value_name = "NAME=PID", value_parser = process)]
    pub(crate) pids: Vec<(String, u32)>,
    /// Cut the run after this time [default: the scenario's]
    #[arg(long, value_name = "TIME", value_parser = gauntlet_lab::parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// How many times shorter the waits of users are: 30 makes a session of 26 s one of 0.9 s.
    #[arg(long, value_name = "TIMES", value_parser = times)]
    pub(crate) scale: Option<f64>,
    /// How many users there are [default: the scenario's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) users: Option<u32>,
    /// How many sessions each user has at most [default: the scenario's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sessions: Option<u32>,
    /// How many players there are, users included [default: the scenario's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) players: Option<u32>,
    /// Events a second [default: the scenario's]
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<f64>,
    /// Let users begin one after the other over this time, instead of all at once.
    #[arg(long, value_name = "TIME", value_parser = gauntlet_lab::parse_duration)]
    pub(crate) ramp: Option<Duration>,
    /// Decides every draw of the lab: the same seed asks for the same things.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder for the report's files [default: load-SCENARIO in this folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

fn process(text: &str) -> Result<(String, u32), String> {
    let parsed = text.split_once('=').and_then(|(name, pid)| Some((name.to_owned(), pid.parse().ok()?)));
    parsed.ok_or_else(|| "a name and a process id, such as db=4711".to_owned())
}

/// A port, with a name in front or its address as one.
fn port(text: &str) -> Result<(String, String), String> {
    let named = text.split_once('=').filter(|(name, _)| !name.contains("://"));
    let url = named.map_or(text, |(_, url)| url);
    let Some((_, address)) = url.split_once("://") else {
        return Err("an address, such as http://host:8080 or api=http://host:8080".to_owned());
    };
    let name = named.map_or(address.trim_end_matches('/'), |(name, _)| name);
    Ok((name.to_owned(), url.to_owned()))
}

fn times(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(times) if (1.0..=1000.0).contains(&times) => Ok(times),
        Ok(times) if times > 0.0 && times < 1.0 => Err(format!(
            "waits can be made shorter, not longer; for waits {} times shorter write {}",
            (1.0 / times).round(),
            (1.0 / times).round()
        )),
        _ => Err("a number from 1 to 1000, such as 30 for waits 30 times shorter".to_owned()),
    }
}

fn folder(text: &str) -> Result<(String, PathBuf), String> {
    let parsed = text.split_once('=').map(|(name, folder)| (name.to_owned(), PathBuf::from(folder)));
    parsed.ok_or_else(|| "a name and a folder, such as db=/sys/fs/cgroup/db.service".to_owned())
}

/// How the lab's players sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignIn {
    /// The header x-mock-user-id.
    Mock,
    /// Tokens that the lab signs with ES256.
    Es256,
    /// Tokens that the lab signs with RS256.
    Rs256,
}
