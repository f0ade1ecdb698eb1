//! The real binary as a process of its own, and clients that know it only by its protocols.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;
use tonic::transport::Channel;

/// How long a server may take to say that it listens, or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `gauntlet serve`. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// Base of the HTTP API, such as `http://127.0.0.1:1234/challenge`.
    pub(crate) http: String,
    pub(crate) grpc: String,
    pub(crate) events: String,
    pub(crate) ops: String,
}

/// A server that is dead before it was ready.
#[derive(Debug)]
pub(crate) struct NotReady {
    /// The signal that has ended it; `None`: it ended by itself.
    pub(crate) signal: Option<i32>,
    /// What it has logged.
    #[expect(dead_code, reason = "shown when a test fails")]
    pub(crate) log: Vec<Value>,
}

impl Process {
    /// Starts the binary on free loopback ports and waits until it says where it listens.
    pub(crate) fn start(store: &str, more: &[&str]) -> Self {
        Self::start_with(store, more, |_| {})
    }

    /// The same, with a command that `prepare` has changed.
    pub(crate) fn start_with(store: &str, more: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        Self::launch(store, more, PATIENCE, None, prepare)
            .unwrap_or_else(|ended| panic!("the server did not get ready: {ended:#?}"))
    }

    /// The same with a time limit. A server that dies before it is ready, or takes longer and is
    /// killed for it, is an error.
    pub(crate) fn start_within(store: &str, more: &[&str], limit: Duration) -> Result<Self, NotReady> {
        Self::launch(store, more, limit, None, |_| {})
    }

    /// Starts it with a copy of its log in a file.
    pub(crate) fn start_teed(store: &str, more: &[&str], copy: File) -> Self {
        Self::launch(store, more, PATIENCE, Some(copy), |_| {})
            .unwrap_or_else(|ended| panic!("the server did not get ready: {ended:#?}"))
    }

    fn launch(
        store: &str,
        more: &[&str],
        limit: Duration,
        mut copy: Option<File>,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, NotReady> {
        let any = "127.0.0.1:0";
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        command.env_clear();
        prepare(&mut command);
        let mut child = command
            .args(["serve", "--store", store, "--player-rate", "0", "--log-format", "json"])
            .args(if more.contains(&"--auth") { &[][..] } else { &["--auth", "mock"] })
            .args(["--http", any, "--grpc", any, "--events", any, "--ops", any])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (send, ready) = mpsc::channel();
        std::thread::spawn(move || {
            // Keeps reading to the end, so that the server never waits for a full pipe.
            for line in log.lines().map_while(Result::ok) {
                if let Some(copy) = &mut copy {
                    writeln!(copy, "{line}").expect("the copy can be written");
                }
                let entry: Value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                let _gone = send.send(entry);
            }
        });
        let address = String::new;
        let mut server = Self { child, http: address(), grpc: address(), events: address(), ops: address() };
        let mut seen = Vec::new();
        let until = std::time::Instant::now() + limit;
        let fields = loop {
            match ready.recv_timeout(until.saturating_duration_since(std::time::Instant::now())) {
                Ok(entry) if entry["fields"]["message"] == "ready" => break entry["fields"].clone(),
                Ok(entry) => seen.push(entry),
                Err(waited) => {
                    // When its end of the pipe is closed, it is dead or about to be.
                    if waited == mpsc::RecvTimeoutError::Timeout {
                        server.child.kill().expect("SIGKILL can be sent");
                    }
                    let ended = server.child.wait().expect("the child can be waited for");
                    return Err(NotReady { signal: ended.signal(), log: seen });
                }
            }
        };
        let field = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        (server.http, server.grpc) = (field("http"), field("grpc"));
        (server.events, server.ops) = (field("events"), field("ops"));
        Ok(server)
    }

    /// The signal that has ended it; `None`: it runs.
    pub(crate) fn died_of(&mut self) -> Option<i32> {
        let status = self.child.try_wait().expect("the child can be waited for")?;
        Some(status.signal().unwrap_or_else(|| panic!("the server ended by itself: {status}")))
    }

    /// Asks it to stop, as an orchestrator would, and waits until it has.
    pub(crate) fn stop(self) {
        self.terminate();
        let status = self.ended();
        assert!(status.success(), "a clean stop exits with 0, not {status}");
    }

    /// Sends the signal that asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends the signal that asks it to read its catalogue again.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let asked = Command::new("kill").args([name, &pid]).status().expect("kill runs");
        assert!(asked.success());
    }

    /// Its number in the operating system.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let started = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the server did not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as a power cut would, without a chance to do anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("SIGKILL can be sent");
        self.child.wait().expect("the child can be waited for");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A reply over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    /// The catalogue version that it shows.
    pub(crate) catalogue: Option<String>,
    pub(crate) body: Value,
}

/// A game client over HTTP.
pub(crate) struct Http<'a> {
    pub(crate) base: &'a str,
    pub(crate) player: &'a str,
}

/// What lets a caller administer where the header is believed.
pub(crate) const ADMIN: &str = "gauntlet.admin.read gauntlet.admin.write";

impl Http<'_> {
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "", None)
    }

    pub(crate) fn get_if_changed(&self, path: &str, etag: &str) -> Reply {
        self.send("GET", path, "", Some(etag))
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, body, None)
    }

    pub(crate) fn put(&self, path: &str, body: &str) -> Reply {
        self.send("PUT", path, body, None)
    }

    fn send(&self, method: &str, path: &str, body: &str, etag: Option<&str>) -> Reply {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        if !self.player.is_empty() {
            // Bytes, because a text may only be ASCII and players are not.
            let player = ureq::http::HeaderValue::from_bytes(self.player.as_bytes()).expect("a header");
            request = request.header("x-mock-user-id", player);
        }
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        if path.starts_with("/v1/admin") && !self.player.is_empty() {
            request = request.header("x-mock-scope", ADMIN);
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let request = request.body(body.to_owned()).expect("a request");
        let mut reply = tokio::task::block_in_place(|| agent.run(request)).expect("a reply");
        let header =
            |name: &str| reply.headers().get(name).map(|text| text.to_str().expect("ASCII").to_owned());
        let (etag, catalogue) = (header("etag"), header("x-catalogue-version"));
        let text = reply.body_mut().read_to_string().expect("a body in UTF-8");
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Reply { status: reply.status().as_u16(), etag, catalogue, body }
    }
}

/// A gRPC channel to one of the server's ports.
pub(crate) async fn channel(url: &str) -> Channel {
    Channel::from_shared(url.to_owned()).expect("a URL").connect().await.expect("a connection")
}

/// A gRPC request of a player.
pub(crate) fn of<T>(player: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("x-mock-user-id", player.parse().expect("ASCII"));
    request
}
