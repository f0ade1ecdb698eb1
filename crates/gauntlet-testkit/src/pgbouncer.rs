//! A PgBouncer in front of a server of our own.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use crate::{
    binaries::{self, User},
    cluster::{self, Database, PgCluster},
};

/// Ends the program when the test process, which holds the other end of its standard input, ends.
const KEEPER: &str = r#"
trap '' INT TERM HUP QUIT
"$1" -q "$2/pgbouncer.ini" < /dev/null &
pid=$!
cat > /dev/null
kill -KILL "$pid"
rm -rf "$2"
"#;

const PORTS: usize = 5;

/// A PgBouncer in transaction mode that belongs to this process and ends with it. It listens on
/// the loopback interface only.
///
/// Four connections of the server serve all clients of a database, so that sessions get mixed up
/// whenever they can be.
#[derive(Debug)]
pub struct PgBouncer {
    keeper: Child,
    server: String,
    address: String,
}

impl PgBouncer {
    /// The one that stands in front of [`PgCluster::shared`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PgBouncer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(PgCluster::shared(), ""))
    }

    /// One of the caller's own. `settings` are lines of its configuration that win.
    #[must_use]
    pub fn start(cluster: &PgCluster, settings: &str) -> Self {
        let program = binaries::pgbouncer();
        let user = binaries::server_user();
        let server = cluster.address();
        for _ in 0..PORTS {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("its number");
            drop(listener);
            let folder = cluster::make_folder(user);
            configure(&folder, &server, address.port(), settings);
            let mut keeper = start_keeper(&program, &folder, user);
            if answers(&address.to_string(), &folder) {
                return Self { keeper, server, address: address.to_string() };
            }
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
        panic!("PgBouncer does not start on any of {PORTS} ports");
    }

    /// The way to a database through it.
    #[must_use]
    pub fn url(&self, database: &Database) -> String {
        database.url.replace(&self.server, &self.address)
    }

    /// The version of the program, such as `(1, 18)`.
    #[must_use]
    pub fn version() -> (u32, u32) {
        let output = Command::new(binaries::pgbouncer()).arg("--version").output().expect("can be run");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut numbers = text
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .split('.')
            .map_while(|number| number.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => (major, minor),
            _ => panic!("`pgbouncer --version` names no version: {text}"),
        }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn configure(folder: &Path, server: &str, port: u16, settings: &str) {
    let (host, server_port) = server.split_once(':').expect("host:port");
    let users = folder.join("users.txt");
    fs::write(&users, "\"gauntlet\" \"\"\n").expect("users.txt");
    let text = format!(
        "[databases]\n* = host={host} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\nlogfile = {}\n\
         pool_mode = transaction\nmax_client_conn = 1000\ndefault_pool_size = 4\n\
         server_idle_timeout = 1\n{settings}\n",
        users.display(),
        folder.join("log").display(),
    );
    fs::write(folder.join("pgbouncer.ini"), text).expect("pgbouncer.ini");
}

fn start_keeper(program: &PathBuf, folder: &Path, user: Option<User>) -> Child {
    let mut keeper: Command = binaries::command(Path::new("/bin/sh"), user);
    keeper
        .args(["-c", KEEPER, "gauntlet-pgbouncer-keeper"])
        .arg(program)
        .arg(folder)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh can be run")
}

/// Waits until it takes connections; false when its log says that it ended.
fn answers(address: &str, folder: &Path) -> bool {
    let begun = Instant::now();
    loop {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        // Somebody else may have taken the port: only its own word counts.
        if log.contains("process up") && TcpStream::connect(address).is_ok() {
            return true;
        }
        if log.contains("FATAL") || log.contains("address already in use") {
            return false;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "PgBouncer does not start: {log}");
        thread::sleep(Duration::from_millis(5));
    }
}
