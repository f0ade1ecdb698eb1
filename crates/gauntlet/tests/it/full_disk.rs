//! A disk without room under SQLite: clear refusals, nothing acknowledged is lost, and it goes on
//! by itself when there is room again.

use std::{fs, path::PathBuf, process::Command};

use tonic::transport::Channel;

use crate::{
    clients::{Ask, CATALOGUE, Client, figure, one, send, until},
    power::recorder::Recorder,
    process::{Http, Process, channel},
};

/// A database in a folder of its own, and the catalogue beside it.
struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
    store: String,
    catalogue: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("its path");
        fs::create_dir(root.join("data")).expect("a folder of its own");
        fs::write(root.join("catalogue.json"), CATALOGUE).expect("the catalogue");
        let store = format!("sqlite:{}", root.join("data/g.db").display());
        let catalogue = root.join("catalogue.json").display().to_string();
        Self { _folder: folder, root, store, catalogue }
    }

    fn start(&self, prepare: impl FnOnce(&mut Command)) -> Process {
        Process::start_with(&self.store, &["--catalogue", &self.catalogue], prepare)
    }
}

fn client(server: &Process, player: &str) -> Client {
    Client { base: server.http.as_str().into(), grpc: None, player: player.into() }
}

/// Sends events until some are refused; answers how many were acknowledged.
async fn until_refused(events: &Channel, prefix: &str) -> u64 {
    let (mut acknowledged, mut refused) = (0, 0);
    for number in 0..4_000 {
        match send(events, one("p", "hits", &format!("{prefix}-{number}"))).await {
            Ok(()) => acknowledged += 1,
            Err(status) => {
                assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
                assert!(status.message().contains("database"), "{status:?}");
                refused += 1;
            }
        }
        if refused == 20 {
            return acknowledged;
        }
    }
    panic!("{acknowledged} acknowledged, {refused} refused: there is room without end");
}

/// The player has everything that was acknowledged, and of a refused event nothing.
async fn has(server: &Process, acknowledged: u64) {
    assert_eq!(client(server, "p").goal("hits").await["progress"], acknowledged);
}

/// Events are taken again, by the same process, without anybody's help: not at once, because a
/// database that has failed is asked again after a moment only.
async fn takes_events_again(server: &Process, events: &Channel, prefix: &str) -> u64 {
    let first = format!("{prefix}-0");
    until(async || send(events, one("p", "hits", &first)).await.is_ok(), |taken| *taken).await;
    for number in 1..20 {
        send(events, one("p", "hits", &format!("{prefix}-{number}"))).await.expect("there is room");
    }
    let health = Http { base: &server.http, player: "" }.get("/healthz").body;
    assert_eq!(health["status"], "healthy");
    20
}

/// The recorder plays the disk: while it is full, files cannot grow, and a write may be cut short.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers() {
    let place = Place::new();
    let recorder = Recorder::compile(&place.root, &place.root.join("data/g.db"));
    let mut server = place.start(|command| recorder.watch(command));
    assert!(client(&server, "p").ask(Ask::Initialize).await.ok());
    let mut acknowledged = 0;
    for round in 0..3 {
        let events = channel(&server.events).await;
        recorder.disk_is_full(true);
        // There is room in the files until they have to grow.
        acknowledged += until_refused(&events, &format!("full{round}")).await;
        let other = client(&server, "q").ask(Ask::Initialize).await;
        assert_eq!(other.reason, "STORE_UNAVAILABLE", "{other:?}");
        // Reads go on, and what was acknowledged is seen.
        has(&server, acknowledged).await;
        assert!(figure(&server.ops, "gauntlet_store_errors_total") > 0.0);
        if round == 1 {
            // Killed meanwhile: it says why it does not come up, and does when there is room.
            server.kill();
            let told = starts_in_vain(&place, &recorder);
            assert!(told.contains("is there room on the disk"), "{told}");
            recorder.disk_is_full(false);
            server = place.start(|command| recorder.watch(command));
        } else {
            recorder.disk_is_full(false);
            acknowledged += takes_events_again(&server, &events, &format!("room{round}")).await;
        }
        has(&server, acknowledged).await;
    }
    server.stop();
}

/// Starts it where it cannot come up; answers what it says.
fn starts_in_vain(place: &Place, recorder: &Recorder) -> String {
    // Asked to stop after a while, so that one that does come up ends well, which is noticed.
    let mut command = Command::new("timeout");
    command.args(["20", env!("CARGO_BIN_EXE_gauntlet"), "serve", "--store-wait", "1s"]);
    command.args(["--store", &place.store, "--catalogue", &place.catalogue, "--auth", "mock"]);
    for listener in ["--http", "--grpc", "--events", "--ops"] {
        command.args([listener, "127.0.0.1:0"]);
    }
    recorder.watch(&mut command);
    let output = command.output().expect("timeout is a program of every system");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    told
}

/// The limit of the system for the size of a file answers with a signal that ends a process which
/// does not expect it.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_the_files_size_refuses_and_recovers() {
    let place = Place::new();
    let server = place.start(|command| {
        let blocks = "ulimit -S -f 1000; exec \"$0\" \"$@\"";
        *command = Command::new("sh");
        command.env_clear().args(["-c", blocks, env!("CARGO_BIN_EXE_gauntlet")]);
    });
    assert!(client(&server, "p").ask(Ask::Initialize).await.ok());
    let events = channel(&server.events).await;
    let mut acknowledged = until_refused(&events, "full").await;
    has(&server, acknowledged).await;
    let pid = server.pid().to_string();
    let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
    assert!(lifted.expect("prlimit comes with util-linux").success());
    acknowledged += takes_events_again(&server, &events, "room").await;
    has(&server, acknowledged).await;
    server.stop();
}
