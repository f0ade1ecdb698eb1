//! `gauntlet load`: the lab with a private server of its own, as a user runs it.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use gauntlet_testkit::PgCluster;
use serde_json::Value;

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

fn report(out: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(out.join("report.json")).unwrap()).unwrap()
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
    let lab =
        |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_gauntlet")).env_clear().args(args).output().unwrap();
    assert_eq!(lab(&["load", "report", folder]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(Path::new(folder).join("report.html")).unwrap(), page);
    let compared = lab(&["load", "compare", folder, "--baseline", folder, "--baseline", folder]);
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
    let child = command(&["--duration", "1h"], folder.path()).spawn().unwrap();
    wait_for_load(&child, folder.path());
    let asked = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let ended = child.wait_with_output().unwrap();
    let report = assert_clean(&ended, folder.path());
    assert_eq!(
        (report["complete"].as_bool(), report["scenario"]["stopped_early"].as_bool()),
        (Some(true), Some(true))
    );
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
        (vec!["load", "compare", "nowhere", "--baseline", "x"], "cannot read nowhere"),
    ] {
        let (code, said) = lab(&args);
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(said.contains(part), "{args:?}: {said}");
    }
    let (code, said) = lab(&["load", "run", "4"]);
    assert!(code == Some(1) && said.contains("--target"), "{said}");
}
