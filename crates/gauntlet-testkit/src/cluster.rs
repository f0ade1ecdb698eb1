//! A PostgreSQL server of our own.

use std::{
    fs,
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
};

use crate::binaries::{self, User};

/// Tries with another port: between choosing a free one and using it, anybody may take it.
const PORTS: usize = 5;

/// Waits for the end of the test process, which holds the other end of its standard input, then
/// stops the server and removes its folder: also after a SIGKILL. Signals that a terminal sends to
/// the tests are none of its business.
const KEEPER: &str = r#"
trap '' INT TERM HUP QUIT
cat > /dev/null
"$1/pg_ctl" -D "$2/data" -m immediate -w stop > /dev/null 2>&1
rm -rf "$2"
"#;

/// A PostgreSQL server that belongs to this process and ends with it, however it ends. It listens
/// on the loopback interface only, and keeps its files in a temporary folder.
///
/// Durability is the server's default (fsync on, `synchronous_commit` on): what tests see is what
/// production does.
#[derive(Debug)]
pub struct PgCluster {
    programs: PathBuf,
    folder: PathBuf,
    user: Option<User>,
    /// Lines for the end of `postgresql.conf`.
    settings: String,
    port: AtomicU16,
    databases: AtomicU32,
    keeper: Child,
}

/// An empty database, made for one test.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name, unique in the cluster.
    pub name: String,
    /// `postgres://user@127.0.0.1:port/name`.
    pub url: String,
}

impl PgCluster {
    /// The one server that the tests of this process share, started by the first that asks.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PgCluster> = OnceLock::new();
        SHARED.get_or_init(Self::private)
    }

    /// A server of the caller's own, for tests that stop it. It ends when it is dropped.
    #[must_use]
    pub fn private() -> Self {
        Self::private_with(&[])
    }

    /// The same with settings of the server, as `postgresql.conf` takes them: for benchmarks.
    #[must_use]
    pub fn private_with(settings: &[(&str, &str)]) -> Self {
        let programs = binaries::folder();
        let user = binaries::server_user();
        let folder = make_folder(user);
        // From here on the folder is removed whatever happens.
        let keeper = start_keeper(&programs, &folder, user);
        let cluster = Self {
            programs,
            folder,
            user,
            settings: settings.iter().flat_map(|(name, value)| [name, " = ", value, "\n"]).collect(),
            port: AtomicU16::new(0),
            databases: AtomicU32::new(0),
            keeper,
        };
        cluster.initialise();
        cluster.start_on_a_free_port();
        cluster
    }

    /// Makes an empty database.
    pub async fn database(&self) -> Database {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let client = connect(&self.url("postgres")).await;
        client
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
            .await
            .expect("CREATE DATABASE");
        let url = self.url(&name);
        Database { name, url }
    }

    /// Writes a file that only the server can read, such as its key, beside its data.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::{OpenOptionsExt as _, chown};
        let path = self.folder.join(name);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        std::io::Write::write_all(&mut file.expect("creates"), text.as_bytes()).expect("writes");
        if let Some(user) = self.user {
            chown(&path, Some(user.uid), Some(user.gid)).expect("chown");
        }
        path
    }

    /// Stops the server as a crash would: no goodbye to its clients, nothing written that was not
    /// written already.
    pub fn stop(&self) {
        self.control(&["-m", "immediate", "-w", "stop"]);
    }

    /// Starts a stopped server on its old port, and waits until it takes connections.
    pub fn start(&self) {
        self.control(&["-w", "-t", "60", "-l", &self.log(), "start"]);
    }

    /// [`PgCluster::stop`], then [`PgCluster::start`].
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    /// The id of the server's first process, whose children are all others.
    #[must_use]
    pub fn postmaster(&self) -> u32 {
        let file = self.folder.join("data/postmaster.pid");
        let text = fs::read_to_string(file).expect("the server runs");
        text.lines().next().and_then(|line| line.trim().parse().ok()).expect("a process id")
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://gauntlet@{}/{database}", self.address())
    }

    /// `127.0.0.1:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.load(Ordering::Relaxed))
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    fn log(&self) -> String {
        self.folder.join("log").display().to_string()
    }

    fn initialise(&self) {
        // Not synced: a crash of the machine ends the tests anyway.
        let mut initdb = binaries::command(&self.programs.join("initdb"), self.user);
        initdb.args(["-D", &self.data(), "-U", "gauntlet", "-A", "trust", "-E", "UTF8"]);
        initdb.args(["--locale=C", "--no-sync"]);
        let output = initdb.output().expect("initdb can be run");
        assert!(
            output.status.success(),
            "initdb failed in {}: {}",
            self.folder.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn start_on_a_free_port(&self) {
        for _ in 0..PORTS {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let port = listener.local_addr().expect("its number").port();
            drop(listener);
            self.port.store(port, Ordering::Relaxed);
            let settings = format!(
                "listen_addresses = '127.0.0.1'\nport = {port}\nmax_connections = {}\n\
                 unix_socket_directories = '{}'\n{}",
                max_connections(),
                self.folder.display(),
                self.settings
            );
            // Settings that stand later in the file win.
            let file = self.folder.join("data/postgresql.conf");
            let before = fs::read_to_string(&file).expect("postgresql.conf");
            fs::write(&file, format!("{before}\n{settings}")).expect("postgresql.conf");
            if self.try_control(&["-w", "-t", "60", "-l", &self.log(), "start"]).is_ok() {
                return;
            }
        }
        panic!("the PostgreSQL server does not start; its log says:\n{}", self.log_text());
    }

    fn control(&self, arguments: &[&str]) {
        if let Err(message) = self.try_control(arguments) {
            panic!("pg_ctl {} failed: {message}\nlog:\n{}", arguments.join(" "), self.log_text());
        }
    }

    fn try_control(&self, arguments: &[&str]) -> Result<(), String> {
        // Output goes nowhere and not into a pipe: the server would hold the pipe open.
        let status = binaries::command(&self.programs.join("pg_ctl"), self.user)
            .args(["-D", &self.data()])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(status.to_string()) }
    }

    fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for PgCluster {
    fn drop(&mut self) {
        // The keeper sees the end of its input and cleans up.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// 100, and more where more than five tests run at the same time.
fn max_connections() -> usize {
    let tests = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (20 * tests).max(100)
}

pub(crate) fn make_folder(user: Option<User>) -> PathBuf {
    let folder =
        tempfile::Builder::new().prefix("gauntlet-pg-").tempdir().expect("a temporary folder").keep();
    if let Some(user) = user {
        std::os::unix::fs::chown(&folder, Some(user.uid), Some(user.gid)).expect("chown");
    }
    folder
}

fn start_keeper(programs: &Path, folder: &Path, user: Option<User>) -> Child {
    let mut keeper: Command = binaries::command(Path::new("/bin/sh"), user);
    keeper
        .args(["-c", KEEPER, "gauntlet-pg-keeper"])
        .args([programs, folder])
        // Its own group: a signal to the group of the tests does not reach it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh can be run")
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("the private server answers");
    #[expect(clippy::disallowed_methods, reason = "ends by itself when the client is dropped")]
    let _detached = tokio::spawn(connection);
    client
}

/// What the sessions of a database do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sessions {
    /// All that are open, but for the one that asks.
    pub open: usize,
    /// Those that wait inside an open transaction for their client.
    pub in_transaction: usize,
}

impl Database {
    /// What the sessions of this database do, as the server sees it.
    pub async fn sessions(&self) -> Sessions {
        let client = self.client().await;
        let count = "SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%') \
             FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let row = client.query_one(count, &[]).await.expect("pg_stat_activity");
        let number = |at| usize::try_from(row.get::<_, i64>(at)).expect("a count");
        Sessions { open: number(0), in_transaction: number(1) }
    }

    /// Ends one session of the service, as an administrator would; false: it has none.
    pub async fn end_a_session(&self) -> bool {
        let client = self.client().await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'gauntlet' ORDER BY random() LIMIT 1";
        let row = client.query_opt(end, &[]).await.expect("pg_stat_activity");
        row.is_some_and(|row| row.get(0))
    }

    /// A plain connection, for tests that look at tables or damage them.
    pub async fn client(&self) -> tokio_postgres::Client {
        connect(&self.url).await
    }
}
