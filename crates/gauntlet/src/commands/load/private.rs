//! The private server of a load run: this program again, as a process of its own, with a store
//! that is new and ends with the run.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use gauntlet_store::{PgOptions, PgStore};
use serde_json::Value;

use crate::{cli::RunArgs, output::Failure};

/// How long the server may take to say that it is ready.
const START: Duration = Duration::from_secs(60);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(30);
/// Signs what only the lab reads, on loopback.
pub(super) const SECRET: &str = "whsec_bG9hZCBsYWI6IG5vdGhpbmcgb2YgdmFsdWUgaXMgc2lnbmVk";

/// The server of a run.
pub(super) struct Private {
    child: Child,
    store: Store,
    pub(super) http: String,
    pub(super) events: String,
    pub(super) ops: String,
    flags: Vec<String>,
}

/// What the lab listens on for the server, and what it wants of it.
pub(super) struct Wanted<'a> {
    /// The text of the catalogue.
    pub(super) catalogue: &'a str,
    /// Where grants are posted.
    pub(super) webhook: &'a str,
    /// Where the keys of tokens are; `None`: mock sign-in.
    pub(super) keys: Option<&'a str>,
}

/// Where it keeps its players.
enum Store {
    Sqlite(String),
    /// The database of the run, beside the one that was named.
    Postgres {
        named: String,
        name: String,
        url: String,
    },
}

impl Drop for Private {
    fn drop(&mut self) {
        // After `end` it is gone already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Private {
    /// Starts it and waits until it is ready. Its log is `server.log` in the run's folder.
    pub(super) async fn start(
        args: &RunArgs,
        out: &Path,
        wanted: &Wanted<'_>,
        run: u64,
    ) -> Result<Self, Failure> {
        let file = out.join("catalogue.json");
        std::fs::write(&file, wanted.catalogue)
            .map_err(|error| Failure::caused(format_args!("cannot write {}", file.display()), &error))?;
        let store = Store::make(args.store.as_deref(), out, run).await?;
        let (child, ready) = match launch(args, out, &file, &store, wanted) {
            Ok(started) => started,
            Err(failure) => {
                store.remove().await?;
                return Err(failure);
            }
        };
        let url = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        let (http, events, ops) = (url("http"), url("events"), url("ops"));
        Ok(Self { child, store, http, events, ops, flags: args.serve.clone() })
    }

    /// Its number in the operating system.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The database to look into.
    pub(super) fn database(&self) -> Option<String> {
        match &self.store {
            Store::Sqlite(_) => None,
            Store::Postgres { url, .. } => Some(url.clone()),
        }
    }

    /// What the report says of it.
    pub(super) fn configuration(&self) -> BTreeMap<String, String> {
        let store = match &self.store {
            Store::Sqlite(_) => "sqlite",
            Store::Postgres { .. } => "postgres",
        };
        let facts = [
            ("server", "private, gauntlet ".to_owned() + env!("CARGO_PKG_VERSION")),
            ("store", store.to_owned()),
            ("serve flags", self.flags.join(" ")),
        ];
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Stops it, and removes its database.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        terminate(&mut self.child);
        let until = Instant::now() + STOP;
        let ended = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(50)).await,
                Ok(None) | Err(_) => break None,
            }
        };
        self.store.remove().await?;
        match ended {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                Err(Failure::new(format!("the private server ended with {status}; see server.log")))
            }
            None => Err(Failure::new(format!("the private server did not stop in {STOP:?} and was killed"))),
        }
    }
}

#[cfg(unix)]
fn terminate(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process};
    // It was not waited for yet, so the number is still its own.
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _gone = kill_process(pid, Signal::TERM);
    }
}

#[cfg(not(unix))]
fn terminate(child: &mut Child) {
    let _gone = child.kill();
}

impl Store {
    async fn make(wanted: Option<&str>, out: &Path, run: u64) -> Result<Self, Failure> {
        let Some(url) = wanted.filter(|wanted| *wanted != "sqlite") else {
            let file = out.join("players.db");
            for name in ["players.db", "players.db-wal", "players.db-shm"] {
                match std::fs::remove_file(out.join(name)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Failure::caused(
                            format_args!("cannot remove {name} of an earlier run"),
                            &error,
                        ));
                    }
                    _ => {}
                }
            }
            return Ok(Self::Sqlite(format!("sqlite:{}", file.display())));
        };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(Failure::new("--store: sqlite, or postgres:// with the address of a server"));
        }
        let name = format!("gauntlet_load_{run:016x}");
        let store = admin(url)?;
        store.create_database(&name).await.map_err(|error| {
            Failure::caused("cannot make a database for the run", &error)
                .hint("the user of --store needs the right to make databases: ALTER ROLE ... CREATEDB")
        })?;
        let url_of_run = beside(url, &name);
        Ok(Self::Postgres { named: url.to_owned(), name, url: url_of_run })
    }

    fn url(&self) -> &str {
        match self {
            Self::Sqlite(url) | Self::Postgres { url, .. } => url,
        }
    }

    async fn remove(&self) -> Result<(), Failure> {
        let Self::Postgres { named, name, .. } = self else { return Ok(()) };
        admin(named)?.drop_database(name).await.map_err(|error| {
            Failure::caused(format_args!("cannot remove the database {name} of the run"), &error)
        })
    }
}

fn admin(url: &str) -> Result<PgStore, Failure> {
    let options = PgOptions { max_connections: 1, ..PgOptions::new(url) };
    PgStore::connect(&options).map_err(|error| Failure::caused("--store cannot be used", &error))
}

/// The same address with another database.
fn beside(url: &str, name: &str) -> String {
    let (address, parameters) = match url.split_once('?') {
        Some((address, parameters)) => (address, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find('/').map_or(address.len(), |at| host + at);
    format!("{}/{name}{parameters}", &address[..end])
}

/// Starts the process; answers it and what it says when it is ready.
fn launch(
    args: &RunArgs,
    out: &Path,
    catalogue: &Path,
    store: &Store,
    wanted: &Wanted<'_>,
) -> Result<(Child, Value), Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure::caused("cannot find this program", &error))?;
    let any = "127.0.0.1:0";
    let mut command = Command::new(program);
    // A Ctrl-C in the terminal is for the lab, which still has to ask the server about the end.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command
        // Settings of whoever runs the lab are none of the private server's.
        .env_clear()
        .args(["serve", "--player-rate", "0", "--log-format", "json", "--until-stdin-ends", "--catalogue"])
        .arg(catalogue)
        .args(match wanted.keys {
            None => vec!["--auth", "mock"],
            Some(keys) => vec!["--auth", "jwt", "--jwks-url", keys],
        })
        .args(args.profiles.then_some("--profiles"))
        .args(["--http", any, "--grpc", any, "--events", any, "--ops", any, "--store", store.url()])
        .args(["--rewards", "webhook", "--webhook-url", wanted.webhook, "--webhook-secret", SECRET])
        .args([
            "--webhook-class",
            "takes-key",
            "--allow-mock-with-real-rewards",
            "--namespace",
            &args.namespace,
        ])
        .args(&args.serve)
        // Held until the lab ends, however it ends: then the server ends, too.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::caused("cannot start the private server", &error))?;
    let path = out.join("server.log");
    let log = File::create(&path)
        .map_err(|error| Failure::caused(format_args!("cannot write {}", path.display()), &error));
    let (Some(errors), Ok(mut log)) = (child.stderr.take(), log) else {
        let _gone = child.kill();
        return Err(Failure::new(format!("cannot keep the private server's log in {}", path.display())));
    };
    let (tell, ready) = mpsc::channel();
    std::thread::spawn(move || {
        // Reads to the end, so that the server never waits for a full pipe.
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            // A log that cannot be written is no reason to end the run.
            let _lost = writeln!(log, "{line}");
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            if entry["fields"]["message"] == "ready" {
                let _gone = tell.send(entry["fields"].clone());
            }
        }
    });
    if let Ok(fields) = ready.recv_timeout(START) {
        return Ok((child, fields));
    }
    let _gone = child.kill();
    let _gone = child.wait();
    let said = std::fs::read_to_string(&path).unwrap_or_default();
    let last = said.lines().last().unwrap_or_default().to_owned();
    Err(Failure::new("the private server did not get ready").hint(format!("its last words: {last}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_s_database_stands_beside_the_named_one() {
        for (url, other) in [
            ("postgres://u:p@h:5432/game?sslmode=require", "postgres://u:p@h:5432/x?sslmode=require"),
            ("postgres://u@h", "postgres://u@h/x"),
            ("postgresql://h/game", "postgresql://h/x"),
        ] {
            assert_eq!(beside(url, "x"), other);
        }
    }
}
