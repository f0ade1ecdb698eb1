//! Servers in processes of their own, each ended by its own handle.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread::JoinHandle,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{Failure, Result};

/// How long a server may take to get ready: under an instruction counter everything takes fifty
/// times as long.
const START: Duration = Duration::from_secs(180);

/// A child that is killed when it is dropped.
#[derive(Debug)]
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// The real binary.
#[derive(Debug)]
pub(crate) struct Product {
    child: Guard,
    log: Option<JoinHandle<Vec<String>>>,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) events: SocketAddr,
    pub(crate) ops: SocketAddr,
}

/// The last lines of a log.
const KEPT_LINES: usize = 50;

impl Product {
    /// Starts `gauntlet serve` and waits until it is ready. `under` are words to put before it,
    /// such as those of a profiler.
    pub(crate) fn start(binary: &Path, under: &[&str], store: &str, catalogue: &Path) -> Result<Self> {
        let any = "127.0.0.1:0";
        let mut command = match under.split_first() {
            None => Command::new(binary),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(binary);
                command
            }
        };
        command
            .args(["serve", "--store", store, "--auth", "mock", "--catalogue"])
            .arg(catalogue)
            // What is logged besides is the development adapter's line for each reward.
            .args(["--log-format", "json", "--log-level", "warn,gauntlet::commands=info"])
            .args(["--http", any, "--grpc", any, "--events", any, "--ops", any])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child =
            command.spawn().map_err(|error| format!("{} does not start: {error}", binary.display()))?;
        let mut child = Guard(child);
        let output = child.0.stderr.take().ok_or("no pipe")?;
        let (tell, ready) = mpsc::channel();
        let log = std::thread::spawn(move || read_log(BufReader::new(output), &tell));
        let Ok(fields) = ready.recv_timeout(START) else {
            drop(child);
            let lines = log.join().unwrap_or_default();
            return Err(format!("the server did not get ready; it said:\n{}", lines.join("\n")).into());
        };
        let address = |name: &str| -> Result<SocketAddr> {
            let url = fields[name].as_str().unwrap_or_default();
            let host = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
            host.parse().map_err(|_| Failure::from(format!("{name}: {url:?} is no address")))
        };
        Ok(Self {
            http: address("http")?,
            grpc: address("grpc")?,
            events: address("events")?,
            ops: address("ops")?,
            child,
            log: Some(log),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Asks it to stop and waits for its end; answers the last lines of its log.
    pub(crate) fn stop(mut self) -> Result<Vec<String>> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).ok_or("no process id")?;
        kill_process(pid, Signal::TERM)?;
        let status = self.child.0.wait()?;
        let lines = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
        if status.success() {
            Ok(lines)
        } else {
            Err(format!("the server ended with {status}; it said:\n{}", lines.join("\n")).into())
        }
    }
}

fn read_log(output: impl std::io::BufRead, ready: &mpsc::Sender<Value>) -> Vec<String> {
    let mut kept = Vec::new();
    for line in output.lines().map_while(std::result::Result::ok) {
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        if entry["fields"]["message"] == "ready" {
            let _gone = ready.send(entry["fields"].clone());
        }
        if kept.len() == KEPT_LINES {
            kept.remove(0);
        }
        kept.push(line);
    }
    kept
}

/// This program as a floor, in a process of its own. It ends when it is dropped, and by itself
/// when we die: it watches its standard input.
#[derive(Debug)]
pub(crate) struct Floor {
    child: Guard,
    pub(crate) address: SocketAddr,
}

impl Floor {
    /// Answers gRPC events at once, and `/static` with `bytes` bytes over HTTP.
    pub(crate) fn echo(bytes: usize) -> Result<Self> {
        let mut child = Guard(
            this_program(&["floor", "echo", "--bytes", &bytes.to_string()])?
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?,
        );
        let mut lines = BufReader::new(child.0.stdout.take().ok_or("no pipe")?).lines();
        let line = lines.next().ok_or("the floor ended at once")??;
        Ok(Self { address: line.parse()?, child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }
}

/// Runs this program as a floor that ends by itself; answers what it printed.
pub(crate) fn run_floor(arguments: &[&str]) -> Result<Value> {
    let mut child = Guard(this_program(arguments)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    let mut text = String::new();
    child.0.stdout.take().ok_or("no pipe")?.read_to_string(&mut text)?;
    let status = child.0.wait()?;
    if !status.success() {
        return Err(format!("the floor {arguments:?} ended with {status}").into());
    }
    Ok(serde_json::from_str(&text)?)
}

fn this_program(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments);
    Ok(command)
}
