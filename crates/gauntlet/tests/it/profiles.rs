//! Profiles of the real binary, as an operator takes them.

mod pprof;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pprof::{Profile, Stack, unpacked};
use serde_json::Value;

use crate::process::Process;

const PATHS: [&str; 5] = [
    "/debug/pprof/",
    "/debug/pprof/profile?seconds=1",
    "/debug/pprof/heap",
    "/debug/tasks",
    "/debug/contention?seconds=1",
];

/// How often something is tried that depends on what a busy machine lets through.
const TRIES: usize = 20;

fn start(folder: &Path, more: &[&str]) -> Process {
    Process::start(&format!("sqlite:{}", folder.join("profiles.db").display()), more)
}

fn get(server: &Process, path: &str) -> (u16, Vec<u8>) {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config.timeout_global(Some(Duration::from_secs(120))).build().into();
    let mut reply = agent.get(format!("{}{path}", server.ops)).call().expect("a reply");
    let body = reply.body_mut().with_config().limit(1 << 28).read_to_vec().expect("a body");
    (reply.status().as_u16(), body)
}

fn json(server: &Process, path: &str) -> (u16, Value) {
    let (status, body) = get(server, path);
    (status, serde_json::from_slice(&body).expect("JSON"))
}

/// Players who begin sessions until this is dropped.
struct Load {
    done: Arc<AtomicBool>,
    players: Vec<thread::JoinHandle<()>>,
}

/// In the name of every player.
const PLAYER: &str = "player-7f3a91";

impl Load {
    fn on(server: &Process) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let players = (0..2).map(|client| {
            let (done, url) = (Arc::clone(&done), format!("{}/v1/challenges", server.http));
            thread::spawn(move || {
                let agent = ureq::Agent::new_with_defaults();
                for number in 0.. {
                    let name = format!("{PLAYER}-{client}-{number}");
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    let begun =
                        agent.post(format!("{url}/initialize")).header("x-mock-user-id", &name).send_empty();
                    let mut seen =
                        agent.get(&url).header("x-mock-user-id", &name).call().expect("challenges");
                    assert_eq!(begun.expect("a session").status(), 200);
                    seen.body_mut().read_to_string().expect("a body");
                }
            })
        });
        Self { players: players.collect(), done }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        for player in self.players.drain(..) {
            let ended = player.join();
            assert!(ended.is_ok() || thread::panicking(), "the load failed");
        }
    }
}

/// A connection on which a CPU profile of a minute runs: another one is refused.
fn long_profile(server: &Process) -> TcpStream {
    let address = server.ops.strip_prefix("http://").expect("a URL");
    for _ in 0..TRIES {
        let mut stream = TcpStream::connect(address).expect("connected");
        let request = "GET /debug/pprof/profile?seconds=60 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("sent");
        let (status, body) = get(server, "/debug/pprof/profile?seconds=1");
        if status == 429 {
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(body["details"][0]["reason"], "OVERLOADED", "{body}");
            return stream;
        }
        // This one was first, and so the long one was refused.
        assert_eq!(status, 200);
    }
    panic!("two profiles at once were never refused");
}

/// Whether functions of ours are in a stack that is as deep as those of a service are.
fn is_of_ours(stack: &Stack) -> bool {
    stack.names.len() > 15 && stack.names.iter().any(|name| name.contains("gauntlet_server::"))
}

#[test]
fn profiles_are_off_unless_they_are_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path(), &[]);
    for path in PATHS {
        let (status, body) = json(&server, path);
        assert_eq!((status, &body["details"][0]["reason"]), (404, &"ROUTE_NOT_FOUND".into()), "{path}");
        let message = body["message"].as_str().expect("a message");
        assert!(message.contains("--profiles") && message.contains("loopback"), "{message}");
    }
    server.stop();
}

#[test]
fn a_public_address_and_profiles_do_not_go_together() {
    for ops in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let folder = tempfile::tempdir().expect("a folder");
        let ended = Command::new(env!("CARGO_BIN_EXE_gauntlet"))
            .args(["serve", "--profiles", "--auth", "mock", "--ops", ops])
            .env_clear()
            .current_dir(folder.path())
            .output()
            .expect("the binary starts");
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(told.contains("is no loopback address") && told.contains("use --ops 127.0.0.1:"), "{told}");
        assert_eq!(folder.path().read_dir().expect("a folder").count(), 0, "no database was made");
    }
}

#[test]
fn a_cpu_profile_under_load_shows_what_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path(), &["--profiles"]);
    let load = Load::on(&server);
    let found = (0..TRIES).any(|_| {
        let (status, body) = get(&server, "/debug/pprof/profile?seconds=1");
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let profile = Profile::read(&body);
        assert_eq!(profile.measured(), ["samples/count", "cpu/nanoseconds"]);
        profile.stacks().iter().any(is_of_ours)
    });
    assert!(found, "no function of ours in any profile");
    drop(load);
    server.stop();
}

#[test]
fn there_is_one_cpu_profile_at_a_time_and_it_ends_with_its_client() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path(), &["--profiles"]);
    for query in ["seconds=0", "seconds=61", "seconds=x", "seconds=1&seconds=1"] {
        for path in ["/debug/pprof/profile", "/debug/contention"] {
            let (status, body) = json(&server, &format!("{path}?{query}"));
            assert_eq!(
                (status, &body["details"][0]["reason"]),
                (400, &"INVALID_INPUT".into()),
                "{path}?{query}"
            );
        }
    }
    let began = Instant::now();
    drop(long_profile(&server));
    while get(&server, "/debug/pprof/profile?seconds=1").0 != 200 {
        assert!(began.elapsed() < Duration::from_secs(55), "the profile went on without its client");
    }
    // One that runs when the service is told to stop ends with what it has.
    let mut running = long_profile(&server);
    server.stop();
    let mut reply = Vec::new();
    running.read_to_end(&mut reply).expect("a reply");
    assert!(reply.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&reply));
    let head = reply.windows(4).position(|end| end == b"\r\n\r\n").expect("a head");
    let profile = Profile::read(&reply[head + 4..]);
    assert!(profile.duration_nanos < 59_000_000_000, "{}", profile.duration_nanos);
}

#[test]
fn a_heap_profile_shows_what_is_allocated() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path(), &["--profiles"]);
    let load = Load::on(&server);
    let found = (0..TRIES).any(|_| {
        let (status, body) = get(&server, "/debug/pprof/heap");
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let profile = Profile::read(&body);
        assert_eq!(profile.measured(), ["inuse_space/bytes"]);
        let stacks = profile.stacks();
        assert!(stacks.iter().all(|stack| stack.values.len() == 1 && stack.values[0] > 0), "{stacks:#?}");
        let allocators = stacks.iter().filter(|stack| stack.names.iter().any(|name| name.contains("_rjem_")));
        assert_eq!(allocators.count(), 0, "who wants memory comes first: {stacks:#?}");
        let found = stacks.iter().any(is_of_ours);
        if !found {
            thread::sleep(Duration::from_millis(200));
        }
        found
    });
    assert!(found, "no function of ours has allocated anything");
    drop(load);
    server.stop();
}

#[test]
fn a_heap_profile_needs_an_allocator_that_samples() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("sqlite:{}", folder.path().join("profiles.db").display());
    let server =
        Process::start_with(&store, &["--profiles"], |command| _ = command.env("MALLOC_CONF", "prof:false"));
    let (status, body) = json(&server, "/debug/pprof/heap");
    assert_eq!(status, 501, "{body}");
    assert!(body["message"].as_str().expect("a message").contains("MALLOC_CONF"), "{body}");
    server.stop();
}

#[test]
fn tasks_and_waits_are_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path(), &["--profiles"]);
    let load = Load::on(&server);
    let (status, contention) = json(&server, "/debug/contention?seconds=2");
    assert_eq!(status, 200, "{contention}");
    let waits = contention["waits"].as_array().expect("waits");
    for place in ["gauntlet_shard_wait_seconds kind=\"calls\"", "gauntlet_sqlite_writer_wait_seconds"] {
        let wait = waits.iter().find(|wait| wait["place"] == place);
        let wait = wait.unwrap_or_else(|| panic!("{place} is missing: {contention:#}"));
        assert!(wait["waits"].as_u64() > Some(0) && wait["callers_waiting"].is_number(), "{wait:#}");
    }
    for probe in ["task_start", "blocking_thread"] {
        assert!(contention[probe]["count"].as_u64() > Some(0), "{contention:#}");
    }
    assert!(contention["processor"]["seconds"].is_number(), "{contention:#}");
    drop(load);

    let (status, tasks) = json(&server, "/debug/tasks");
    assert_eq!(status, 200, "{tasks}");
    for (kind, count, at) in
        [("shard", 2, "operations to come"), ("http", 1, "a connection"), ("recovery", 1, "")]
    {
        let kind = &tasks["kinds"][kind];
        assert_eq!(kind["tasks"], count, "{tasks:#}");
        assert!(at.is_empty() || kind["at"][at] == count, "{tasks:#}");
    }
    let listed = tasks["tasks"].as_array().expect("tasks");
    for shard in listed.iter().filter(|task| task["kind"] == "shard") {
        assert!(shard["polls"].as_u64() > Some(0) && shard["busy_seconds"].as_f64() > Some(0.0), "{shard:#}");
    }
    assert_eq!(tasks["queues"]["shards"].as_array().map(Vec::len), Some(2), "{tasks:#}");
    assert!(tasks["runtime"]["unlisted_tasks"].as_u64() > Some(0), "this connection is one: {tasks:#}");
    server.stop();
}

/// Profiles go to people who debug: no player, and nothing that opens a door.
#[test]
fn no_player_and_no_secret_is_in_a_profile() {
    const SECRET: &str = "a-secret-of-senders-5c1d";
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path(), &["--profiles", "--events-secrets", SECRET]);
    let load = Load::on(&server);
    for path in PATHS {
        let (status, body) = get(&server, path);
        assert_eq!(status, 200, "{path}");
        let plain = if body.starts_with(&[0x1f, 0x8b]) { unpacked(&body) } else { body };
        assert!(plain.len() > 100, "{path}");
        for word in [PLAYER, SECRET] {
            assert!(
                !plain.windows(word.len()).any(|window| window == word.as_bytes()),
                "{word} is in {path}"
            );
        }
    }
    drop(load);
    server.stop();
}
