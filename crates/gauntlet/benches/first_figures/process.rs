//! Servers in processes of their own.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// A server that is killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// HTTP.
    pub(crate) http: SocketAddr,
    /// gRPC of players.
    pub(crate) grpc: SocketAddr,
    /// gRPC of events.
    pub(crate) events: SocketAddr,
}

impl Server {
    /// The real binary.
    pub(crate) fn product(store: &str, catalogue: &str) -> Self {
        let any = "127.0.0.1:0";
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        command
            .args(["serve", "--store", store, "--catalogue", catalogue, "--auth", "mock"])
            .args(["--log-format", "json", "--http", any, "--grpc", any, "--events", any, "--ops", any])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = BufReader::new(child.stderr.take().expect("piped"));
        let (send, ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let entry: Value = serde_json::from_str(&line).unwrap_or_default();
                if entry["fields"]["message"] == "ready" {
                    let _gone = send.send(entry["fields"].clone());
                }
            }
        });
        let fields = ready.recv().expect("the server gets ready");
        let address = |name: &str| {
            let url = fields[name].as_str().unwrap_or_default();
            let host = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
            host.parse().unwrap_or_else(|_| panic!("{name}: {url:?} is no address"))
        };
        Self { http: address("http"), grpc: address("grpc"), events: address("events"), child }
    }

    /// The floor: answers at once, `bytes` long over HTTP and empty over gRPC.
    pub(crate) fn floor(bytes: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg(format!("--echo={bytes}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the floor starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address: SocketAddr = lines.next().expect("a line").expect("UTF-8").parse().expect("an address");
        Self { child, http: address, grpc: address, events: address }
    }

    /// CPU seconds that the process has used, to 10 ms.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("/proc");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<f64> =
            after_name.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
        (fields[11] + fields[12]) / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
