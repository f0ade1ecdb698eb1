//! `gauntlet load`: the lab with a private server of its own, as a user runs it.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use gauntlet_testkit::PgCluster;
use serde_json::Value;

use crate::{cli::secure::certificates, process::Process};

/// Scenario 4, small and short, but whole: users, events, claims, grants.
const SMALL: [&str; 12] = [
    "load",
    "run",
    "4",
    "--start-server",
    "--scale",
    "20",
    "--users",
    "8",
    "--players",
    "40",
    "--rate",
    "60",
];

fn command(args: &[&str], out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
    command.env_clear().args(SMALL).args(args).arg("--out").arg(out);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn gauntlet(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gauntlet")).env_clear().args(args).output().unwrap()
}

/// The report, which is what the program's own schema says.
fn report(out: &Path) -> Value {
    let report = serde_json::from_str(&fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    let schema = serde_json::from_slice(&gauntlet(&["load", "schema"]).stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<String> = validator.iter_errors(&report).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    report
}

/// A busy machine may fail thresholds or make the run invalid; it may not break the ledger.
fn assert_clean(ended: &Output, out: &Path) -> Value {
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(matches!(ended.status.code(), Some(0 | 2 | 3)), "{said}");
    let report = report(out);
    assert_eq!(report["verdict"]["code"], ended.status.code().unwrap(), "{said}");
    let (states, grants) = (&report["states"], &report["grants"]);
    assert_eq!(
        (states["not_checked"].as_str(), states["differing_goals"].as_u64()),
        (Some(""), Some(0)),
        "{states}"
    );
    assert_eq!(states["players"].as_u64().unwrap() + states["undecided"].as_u64().unwrap(), 40, "{states}");
    let count = |name: &str| grants[name].as_u64().unwrap();
    assert_eq!(grants["not_checked"], "");
    assert_eq!(count("missing") + count("doubled") + count("unasked"), 0, "{grants}");
    assert_eq!(count("grants"), count("claims_ok") + count("settled_later"), "{grants}");
    assert_eq!(report["failed"], 0, "{:#}", report["causes"]);
    report
}

fn collector<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["collected"].as_array().unwrap();
    all.iter().find(|collected| collected["name"] == name).unwrap_or_else(|| panic!("{name}: {all:#?}"))
}

#[test]
fn a_private_server_on_sqlite_keeps_what_it_acknowledges() {
    let folder = tempfile::tempdir().unwrap();
    let ended = command(&["--duration", "6s"], folder.path()).output().unwrap();
    let report = assert_clean(&ended, folder.path());
    assert!(report["states"]["events_acknowledged"].as_u64().unwrap() > 100);
    assert!(report["grants"]["claims_ok"].as_u64().unwrap() > 0, "{}", report["grants"]);
    assert_eq!(collector(&report, "server metrics")["missing"], "");
    assert_eq!(collector(&report, "process: server")["missing"], "");
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.len() < 2_000_000 && page.contains("<svg"));

    // The page can be made anew, and the run compared with itself.
    let folder = folder.path().to_str().unwrap();
    assert_eq!(gauntlet(&["load", "report", folder]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(Path::new(folder).join("report.html")).unwrap(), page);
    let compared = gauntlet(&["load", "compare", folder, "--baseline", folder, "--baseline", folder]);
    let valid = report["verdict"]["code"] != 3;
    assert_eq!(compared.status.code(), Some(if valid { 0 } else { 6 }), "{compared:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_server_on_postgresql_gets_a_database_that_goes_with_it() {
    let database = PgCluster::shared().database().await;
    let folder = tempfile::tempdir().unwrap();
    let ended = command(&["--duration", "3s", "--store", &database.url], folder.path()).output().unwrap();
    let report = assert_clean(&ended, folder.path());
    let postgres = collector(&report, "PostgreSQL");
    let missing = postgres["missing"].as_str().unwrap();
    assert!(missing.is_empty() || missing.starts_with("no figures by statement"), "{missing}");
    let figures = postgres["figures"].as_array().unwrap();
    assert!(figures.iter().any(|figure| figure["name"] == "WAL for each event"), "{figures:#?}");
    let log = fs::read_to_string(folder.path().join("server.log")).unwrap();
    let name =
        log.split("gauntlet_load_").nth(1).map(|rest| format!("gauntlet_load_{}", &rest[..16])).unwrap();
    // It was another database than the named one, and it is gone.
    let url = database.url.replace(&database.name, &name);
    assert_ne!(url, database.url);
    let mut migrate = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
    let gone = migrate.env_clear().args(["migrate", "--store", &url, "--store-wait", "0s"]).output().unwrap();
    let said = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(gone.status.code() == Some(1) && said.contains("does not exist"), "{said}");
}

#[test]
fn ctrl_c_ends_a_run_early_with_a_valid_report() {
    let folder = tempfile::tempdir().unwrap();
    // A terminal tells all processes of the group; the private server must not listen.
    let child = command(&["--duration", "1h"], folder.path()).process_group(0).spawn().unwrap();
    wait_for_load(&child, folder.path());
    let asked = Command::new("kill").args(["-INT", "--", &format!("-{}", child.id())]).status().unwrap();
    assert!(asked.success());
    let ended = child.wait_with_output().unwrap();
    let report = assert_clean(&ended, folder.path());
    assert_eq!(
        (report["complete"].as_bool(), report["scenario"]["stopped_early"].as_bool()),
        (Some(true), Some(true))
    );
}

/// Nobody can clean up after a SIGKILL, so what is left behind must be of use, and the server that
/// the lab has started must end by itself.
#[test]
fn a_killed_lab_leaves_a_readable_report_and_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(&["--duration", "1h"], folder.path()).spawn().unwrap();
    wait_for_load(&child, folder.path());
    let log = fs::read_to_string(folder.path().join("server.log")).unwrap();
    let ready: Value = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|entry| entry["fields"]["message"] == "ready")
        .unwrap();
    let server = ready["fields"]["events"].as_str().unwrap().trim_start_matches("http://").to_owned();
    assert!(std::net::TcpStream::connect(&server).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();

    let report = report(folder.path());
    assert_eq!((report["complete"].as_bool(), report["verdict"]["code"].as_u64()), (Some(false), Some(3)));
    assert_eq!(report["verdict"]["headline"], "the run has not ended");
    let anew = gauntlet(&["load", "report", folder.path().to_str().unwrap()]);
    assert_eq!(anew.status.code(), Some(0), "{anew:?}");
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("the run has not ended") && page.contains("<svg"));

    let started = Instant::now();
    while std::net::TcpStream::connect(&server).is_ok() {
        assert!(started.elapsed() < Duration::from_secs(60), "the server at {server} outlives its lab");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn players_can_sign_in_with_tokens_of_the_lab() {
    for how in ["es256", "rs256"] {
        let folder = tempfile::tempdir().unwrap();
        let ended = command(&["--duration", "3s", "--sign-in", how], folder.path()).output().unwrap();
        let report = assert_clean(&ended, folder.path());
        assert!(report["grants"]["claims_ok"].as_u64().unwrap() > 0, "{}", report["grants"]);
        assert_eq!(report["configuration"]["sign-in"], format!("TOKENS, {}", how.to_uppercase()));
    }
}

/// The server is there first, without a key to check tokens with, and fetches it when it meets one.
#[test]
fn a_server_that_runs_already_fetches_the_key_of_the_lab() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let keys = format!("127.0.0.1:{port}");
    let store = format!("sqlite:{}", folder.path().join("g.db").display());
    let url = format!("http://{keys}/keys");
    let server = Process::start(
        &store,
        &["--auth", "jwt", "--jwks-url", &url, "--jwt-issuer", "https://lab", "--namespace", "arena"],
    );
    let ended = lab_of(&folder.path().join("lab.toml"))
        .args(["--target", &server.http, "--events", &server.events, "--namespace", "arena"])
        .args(["--sign-in", "es256", "--keys", &keys, "--claims", "{\"iss\": \"https://lab\"}"])
        .output()
        .unwrap();
    assert!(matches!(ended.status.code(), Some(0 | 3)), "{ended:?}");
    let report = report(&folder.path().join("lab.out"));
    assert_eq!(report["failed"], 0, "{:#}", report["causes"]);
    assert!(report["endpoints"][0]["ok"]["count"].as_u64() > Some(10), "{:#}", report["endpoints"]);
    server.stop();
}

/// A scenario that needs no catalogue of its own.
const LOGINS: &str = r#"
name = "logins"
duration = "1s"
players = { count = 5, prepare = "all" }
[[users]]
name = "players"
count = 5
sessions = 20
[[users.steps]]
call = "browse"
wait = "10ms"
[[users.steps]]
call = "login"
"#;

/// `gauntlet load run` of [`LOGINS`], which is written to this file.
fn lab_of(scenario: &Path) -> Command {
    fs::write(scenario, LOGINS).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
    command.env_clear().args(["load", "run"]).arg(scenario).arg("--out").arg(scenario.with_extension("out"));
    command
}

#[test]
fn a_server_behind_tls_is_driven_with_its_authority_only() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    let store = format!("sqlite:{}", file("g.db"));
    let server = Process::start(&store, &["--tls-cert", &cert, "--tls-key", &key]);
    assert!(server.http.starts_with("https://") && server.events.starts_with("https://"));
    let run = |ca: &[&str]| {
        let mut lab = lab_of(&folder.path().join("lab.toml"));
        let addresses = ["--target", &server.http, "--events", &server.events, "--ops", &server.ops];
        lab.args(addresses).args(ca).output().unwrap()
    };
    let ended = run(&["--ca", &ca]);
    let report = report(&folder.path().join("lab.out"));
    assert!(matches!(ended.status.code(), Some(0 | 3)), "{ended:?}");
    assert_eq!(report["failed"], 0, "{:#}", report["causes"]);
    let endpoints = report["endpoints"].as_array().unwrap();
    assert!(endpoints.iter().all(|endpoint| endpoint["ok"]["count"].as_u64() > Some(10)), "{endpoints:#?}");

    let said = |ended: Output| String::from_utf8(ended.stderr).unwrap();
    assert!(said(run(&[])).contains("https needs an authority to trust (--ca)"));
    assert!(said(run(&["--ca", &key])).contains("there is no certificate in it"));
    let elsewhere = tempfile::tempdir().unwrap();
    certificates(elsewhere.path());
    let strange = said(run(&["--ca", &elsewhere.path().join("ca.pem").display().to_string()]));
    assert!(strange.contains("cannot reach") || strange.contains("could not be prepared"), "{strange}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_of_several_processes_are_added_up() {
    let database = PgCluster::shared().database().await;
    let api = Process::start(&database.url, &["--roles", "api,worker"]);
    let events = Process::start(&database.url, &["--roles", "events"]);
    let folder = tempfile::tempdir().unwrap();
    let (of_api, of_events) = (format!("api={}", api.ops), format!("events={}", events.ops));
    let mut lab = lab_of(&folder.path().join("lab.toml"));
    lab.args(["--target", &api.http, "--events", &events.events, "--ops", &of_api]);
    let ended = lab.args(["--ops", &of_events, "--profiles", "--profile-at", "0s"]).output().unwrap();
    let report = report(&folder.path().join("lab.out"));
    // Nobody has started them with --profiles.
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    let missing = collector(&report, "profiles")["missing"].as_str().unwrap();
    assert!(
        missing.contains("CPU of api: HTTP 404") && missing.contains("CPU of events: HTTP 404"),
        "{missing}"
    );
    let metrics = collector(&report, "server metrics");
    assert_eq!(metrics["missing"], "");
    let grown = |part: &str| {
        let figures = metrics["figures"].as_array().unwrap().iter();
        let figures = figures.filter(|figure| {
            let name = figure["name"].as_str().unwrap();
            name.starts_with("gauntlet_requests_total{") && name.contains(part)
        });
        figures.map(|figure| figure["value"].as_f64().unwrap()).sum::<f64>()
    };
    let done = |name: &str| {
        let endpoints = report["endpoints"].as_array().unwrap();
        endpoints.iter().find(|endpoint| endpoint["name"] == name).unwrap()["ok"]["count"].as_f64().unwrap()
    };
    assert!(done("browse") > 10.0 && done("login") > 10.0);
    // The ledger browses once more at the end.
    assert!(grown("/v1/challenges\"") >= done("browse"), "{metrics:#}");
    let logins = grown("UserLoggedIn");
    assert!((logins - done("login")).abs() < 0.5, "{logins} of {}", done("login"));
    for process in [api, events] {
        process.stop();
    }
}

/// The acceptance test in its short form.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(debug_assertions, ignore = "a debug build measures itself; .ci/run runs it in a release build")]
async fn a_minute_of_scenario_4_on_postgresql() {
    // A database for this alone, with the limits that the acceptance asks for.
    let statistics = [("max_connections", "100"), ("shared_preload_libraries", "'pg_stat_statements'")];
    let cluster = PgCluster::private_with(&statistics);
    let database = cluster.database().await;
    let folder = tempfile::tempdir().unwrap();
    let minute = ["load", "run", "4", "--start-server", "--duration", "60s", "--scale", "30"];
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        command.env_clear().args(minute).args(["--store", &database.url]).arg("--out").arg(folder.path());
        // Its words are shown as they come: the offered load is among them.
        command.arg("--").args(["--max-connections", "10"]).status().unwrap().code()
    };
    let mut code = run();
    if code == Some(3) {
        println!("the run was invalid: the machine was busy. Once more.");
        code = run();
    }
    let report = report(folder.path());
    println!("{}", fs::read_to_string(folder.path().join("summary.md")).unwrap());
    // A machine that is busy for both runs spoils latencies; it does not spoil what follows.
    assert!(matches!(code, Some(0 | 3)), "exit code {code:?}");
    assert_eq!(report["failed"], 0, "{:#}", report["causes"]);
    let (states, grants) = (&report["states"], &report["grants"]);
    assert_eq!((states["not_checked"].as_str(), states["differing_goals"].as_u64()), (Some(""), Some(0)));
    assert!(states["events_acknowledged"].as_u64() >= Some(29_000), "{states}");
    assert_eq!(grants["not_checked"], "");
    assert!(grants["claims_ok"].as_u64() > Some(100), "{grants}");
    let postgres = collector(&report, "PostgreSQL");
    assert_eq!(postgres["missing"], "");
    let figures = postgres["figures"].as_array().unwrap();
    let most = figures.iter().find(|figure| figure["name"] == "connections, at most").unwrap();
    assert!((1.0..=10.0).contains(&most["value"].as_f64().unwrap()), "{most}");
    assert!(!postgres["statements"].as_array().unwrap().is_empty());
}

/// Until the report that is written meanwhile tells of calls.
fn wait_for_load(child: &Child, out: &Path) {
    let started = Instant::now();
    loop {
        let partial = fs::read_to_string(out.join("report.json")).unwrap_or_default();
        if let Ok(partial) = serde_json::from_str::<Value>(&partial)
            && partial["endpoints"][0]["ok"]["count"].as_u64() > Some(0)
        {
            assert_eq!(partial["complete"], false);
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "no load from {}", child.id());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_cannot_be_run_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let lab = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        let ended = command.env_clear().current_dir(folder.path()).args(args).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    fs::write(folder.path().join("bad.toml"), "name = \"x\"\nduration = \"1s\"\nplayers = 1\n").unwrap();
    for (args, part) in [
        (vec!["load", "run", "9", "--start-server"], "\"9\" is neither a built-in scenario nor a file"),
        (vec!["load", "run", "bad.toml", "--start-server"], "the scenario bad.toml cannot be used"),
        (vec!["load", "run", "4", "--start-server", "--players", "3"], "3 players are too few for 150 users"),
        (
            vec!["load", "run", "4", "--start-server", "--store", "mysql://x"],
            "--store: sqlite, or postgres://",
        ),
        (vec!["load", "run", "1", "--start-server", "--rate", "5"], "the scenario sends no events"),
        (
            vec!["load", "run", "4", "--start-server", "--sign-in", "mock", "--claims", "{}"],
            "add --sign-in es256",
        ),
        (
            vec!["load", "run", "4", "--target", "http://127.0.0.1:1", "--sign-in", "es256"],
            "give the server --jwks-url http://ADDRESS/keys",
        ),
        (vec!["load", "compare", "nowhere", "--baseline", "x"], "cannot read nowhere"),
    ] {
        let (code, said) = lab(&args);
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(said.contains(part), "{args:?}: {said}");
    }
    // Misread by half of those who write it, so only one way of writing it is taken.
    for (times, part) in
        [("0.1", "for waits 10 times shorter write 10"), ("0", "a number from 1"), ("x", "from 1")]
    {
        let (code, said) = lab(&["load", "run", "4", "--start-server", "--scale", times]);
        assert!(code == Some(1) && said.contains(part), "{times}: {said}");
    }
    let (code, said) = lab(&["load", "run", "4"]);
    assert!(code == Some(1) && said.contains("--target"), "{said}");
}
