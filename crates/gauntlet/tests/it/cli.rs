//! The command line: what it says, where it says it, and how it ends.

mod contracts;
mod live;
pub(crate) mod secure;
mod snapshots;

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// How a run of the program ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the program with these arguments and this environment, and with nothing else.
fn run_in(folder: &Path, args: &[&str], env: &[(&str, &str)], input: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(args)
        .env_clear()
        .envs(env.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run_with(args: &[&str], env: &[(&str, &str)]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let ended = run_in(folder.path(), args, env, "");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files were left behind");
    ended
}

fn run(args: &[&str]) -> Ended {
    run_with(args, &[])
}

/// Fails: these words on standard error, nothing on standard output, and code 1.
fn assert_refused(ended: &Ended, err: &str) {
    assert_eq!((ended.err.as_str(), ended.out.as_str(), ended.code), (err, "", Some(1)));
}

#[test]
fn a_version_is_an_answer() {
    let ended = run(&["--version"]);
    assert_eq!(ended.out, format!("gauntlet {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
}

#[test]
fn a_wrong_flag_is_told_with_the_right_one() {
    let ended = run(&["serve", "--catalog", "a.json"]);
    assert_eq!((ended.out.as_str(), ended.code), ("", Some(1)));
    assert!(ended.err.starts_with("error: unexpected argument '--catalog' found\n"), "{}", ended.err);
    assert!(ended.err.contains("a similar argument exists: '--catalogue'"), "{}", ended.err);
    assert_eq!(run(&["serv"]).code, Some(1));
    assert_eq!(run(&[]).code, Some(1));
}

#[test]
fn a_wrong_value_is_told_with_its_source() {
    assert_refused(
        &run(&["serve", "--http", ":80"]),
        "error: --http: found \":80\"; allowed: an address with a port, such as 127.0.0.1:8000 or [::1]:8000\n\
         hint: 127.0.0.1:80 is this machine only, 0.0.0.0:80 every network\n",
    );
    assert_refused(
        &run_with(&["serve"], &[("GAUNTLET_ROLES", "api,evnts")]),
        "error: GAUNTLET_ROLES: found \"api,evnts\"; allowed: one or more of api, events, worker, with commas between \
         them\nhint: did you mean events?\n",
    );
    assert_refused(
        &run_with(&["serve", "--auth", "token"], &[("REWARD_CLIENT_MODE", "rael")]),
        "error: --auth: found \"token\"; allowed: jwt, mock\n\
         error: REWARD_CLIENT_MODE: found \"rael\"; allowed: mock, real\n",
    );
    assert_refused(
        &run(&["migrate", "--store", "mysql://ann:secret@db/game"]),
        "error: --store: found \"mysql://ann:***@db/game\"; allowed: sqlite:PATH or \
         postgres://USER:PASSWORD@HOST:PORT/DATABASE\n",
    );
}

#[test]
fn a_wrong_key_in_a_file_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gauntlet.toml"), "http = \"127.0.0.1:1\"\nstor = \"sqlite:a.db\"\n")
        .unwrap();
    let expected = "error: gauntlet.toml:2: unknown key \"stor\"\nhint: did you mean store?\n";
    assert_refused(&run_in(folder.path(), &["serve", "--config", "gauntlet.toml"], &[], ""), expected);
    let env = [("GAUNTLET_CONFIG", "gauntlet.toml")];
    assert_refused(&run_in(folder.path(), &["serve"], &env, ""), expected);
}

#[test]
fn booleans_are_read_in_every_form() {
    let name = "GAUNTLET_ALLOW_MOCK_WITH_REAL_REWARDS";
    let shown = |args: &[&str], env: &[(&str, &str)]| {
        let ended = run_with(&[&["settings", "--json"], args].concat(), env);
        let lines: Vec<Value> = serde_json::from_str(&ended.out).unwrap();
        let line = lines.iter().find(|line| line["name"] == "allow-mock-with-real-rewards").unwrap();
        (line["value"].as_str().unwrap().to_owned(), line["source"].as_str().unwrap().to_owned(), ended.code)
    };
    for value in ["true", "YES", "1", "On", "false", "no", "0", "OFF"] {
        assert_eq!(shown(&[], &[(name, value)]), (value.to_owned(), name.to_owned(), Some(0)));
    }
    let flag = "--allow-mock-with-real-rewards".to_owned();
    assert_eq!(shown(&[&flag], &[(name, "no")]), ("true".to_owned(), flag.clone(), Some(0)));
    assert_eq!(shown(&[&format!("{flag}=off")], &[]), ("off".to_owned(), flag, Some(0)));
    assert_refused(
        &run_with(&["serve"], &[(name, "maybe")]),
        "error: GAUNTLET_ALLOW_MOCK_WITH_REAL_REWARDS: found \"maybe\"; allowed: true, 1, yes, on, or false, 0, no, \
         off\n",
    );
}

#[test]
fn settings_are_shown_with_their_sources_and_without_secrets() {
    let env = [
        ("DB_HOST", "db"),
        ("DB_USER", "ann"),
        ("DB_NAME", "game"),
        ("DB_PASSWORD", "s3cret"),
        ("GAUNTLET_STOR", "x"),
    ];
    let ended = run_with(&["settings", "--http", "0.0.0.0:80"], &env);
    assert_eq!(ended.err, "warning: GAUNTLET_STOR is not a setting; did you mean GAUNTLET_STORE?\n");
    assert!(!ended.out.contains("s3cret"), "{}", ended.out);
    let line = |name: &str| {
        let line = ended.out.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("store "), "store postgres://ann:***@db:5432/game?sslmode=disable DB_HOST");
    assert_eq!(line("http "), "http 0.0.0.0:80 --http");
    assert_eq!(line("catalogue "), "catalogue (not set) default");
    assert_eq!(ended.code, Some(0));
}

#[test]
fn mock_sign_in_has_to_be_named_beyond_the_bare_default() {
    for (args, why) in [
        (["serve", "--http", "0.0.0.0:0"], "an address is reachable from other machines"),
        (["serve", "--store", "postgres://localhost/game"], "the store is not SQLite"),
    ] {
        assert_refused(
            &run(&args),
            &format!(
                "error: no sign-in is chosen, and mock is not implied here because {why}\nhint: check tokens with \
                 --auth jwt --jwks-url URL, or for development and load tests add --auth mock (GAUNTLET_AUTH=mock)\n"
            ),
        );
    }
}

#[test]
fn a_split_of_roles_is_refused_on_sqlite() {
    assert_refused(
        &run(&["serve", "--roles", "api"]),
        "error: only some roles run in this process, but a SQLite file serves one process, which has to do \
         everything\nhint: leave --roles out, or use PostgreSQL: --store postgres://...\n",
    );
}

#[test]
fn a_catalogue_with_faults_stops_the_start_before_the_store_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.json"), "{\n  \"challenges\": [7]\n}").unwrap();
    let ended = run_in(folder.path(), &["serve", "--catalogue", "bad.json"], &[], "");
    assert!(ended.err.starts_with("bad.json:2:18 challenges[0]: "), "{}", ended.err);
    assert!(ended.err.contains("error: the catalogue bad.json cannot be used\n"), "{}", ended.err);
    assert_eq!((ended.out.as_str(), ended.code), ("", Some(1)));
    assert!(!folder.path().join("gauntlet.db").exists());
    let missing = run(&["serve", "--catalogue", "missing.json"]);
    assert!(missing.err.starts_with("error: cannot read the catalogue missing.json: "), "{}", missing.err);
}

#[test]
fn a_check_lists_every_fault() {
    let folder = tempfile::tempdir().unwrap();
    let text = "{ \"challenges\": [\n  { \"challengeId\": \"a\", \"name\": 7, \"goals\": [] },\n  { \"nmae\": \"b\" }\n] }";
    std::fs::write(folder.path().join("bad.json"), text).unwrap();
    let ended = run_in(folder.path(), &["catalogue", "check", "bad.json"], &[], "");
    let faults: Vec<&str> = ended.out.lines().collect();
    assert!(faults.len() > 2 && faults[..faults.len() - 1].iter().all(|line| line.starts_with("bad.json:")));
    assert!(faults.iter().any(|line| line.starts_with("bad.json:2:")), "{}", ended.out);
    assert!(faults.iter().any(|line| line.starts_with("bad.json:3:")), "{}", ended.out);
    let count = faults.len() - 1;
    assert_eq!((ended.err, ended.code), (format!("error: bad.json has {count} faults\n"), Some(1)));

    let json = run_in(folder.path(), &["catalogue", "check", "bad.json", "--json"], &[], "");
    let report: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&report["ok"], &report["fault_count"]), (&Value::Bool(false), &Value::from(count)));
    assert_eq!(report["faults"].as_array().unwrap().len(), count);
    assert_eq!(json.code, Some(1));
}

#[test]
fn a_generated_catalogue_is_always_the_same_and_has_no_faults() {
    let args = ["catalogue", "generate", "--challenges", "2", "--goals", "3", "--daily-goals", "0"];
    let first = run(&args);
    assert_eq!((first.err.as_str(), first.code), ("", Some(0)));
    assert_eq!(first.out, run(&args).out);
    assert_ne!(first.out, run(&[&args[..], &["--seed", "2"]].concat()).out);

    let folder = tempfile::tempdir().unwrap();
    let checked = run_in(folder.path(), &["catalogue", "check", "-"], &[], &first.out);
    assert_eq!(checked.out, "standard input: no faults, challenges: 2, goals: 6\n");
    assert_eq!(checked.code, Some(0));

    let written = run_in(folder.path(), &[&args[..], &["--out", "load.json"]].concat(), &[], "");
    assert_eq!((written.out.as_str(), written.err.as_str()), ("", "load.json: challenges: 2, goals: 6\n"));
    assert_eq!(std::fs::read_to_string(folder.path().join("load.json")).unwrap(), first.out);

    assert_refused(
        &run(&["catalogue", "generate", "--daily-goals", "1"]),
        "error: no such catalogue can be made: 1 daily goals are too few; 0, or 3 and more\n",
    );
}

#[test]
fn migrate_makes_the_schema_once() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["migrate", "--store", "sqlite:players.db", "--json"];
    let first: Value = serde_json::from_str(&run_in(folder.path(), &args, &[], "").out).unwrap();
    assert!(first["applied"].as_u64().unwrap() > 0);
    let again = run_in(folder.path(), &args[..3], &[], "");
    assert_eq!((again.out.as_str(), again.code), ("sqlite:players.db: up to date\n", Some(0)));
}

#[test]
fn a_store_that_stays_away_is_given_up_with_a_reason() {
    // Nobody listens on port 1.
    let store = "postgres://ann:s3cret@127.0.0.1:1/game";
    let away = |command, complaint| is_given_up(&[command, "--store", store], complaint);
    away("migrate", "cannot open the store");
    away("export", "cannot export");
    away("audit", "cannot read");
    is_given_up(&["import", "-", "--store", store], "cannot import into");
    let refused = run(&["audit", "--max-connections", "9"]);
    assert!(refused.err.starts_with("error: unexpected argument '--max-connections'"), "{}", refused.err);
}

fn is_given_up(command: &[&str], complaint: &str) {
    let ended = run(&[command, &["--store-wait", "400ms", "--log-format", "json"]].concat());
    let (logs, told): (Vec<&str>, Vec<&str>) = ended.err.lines().partition(|line| line.starts_with('{'));
    assert!(
        !logs.is_empty() && logs.iter().all(|line| line.contains("the store is away; trying again")),
        "{logs:?}"
    );
    assert!(
        told[0].starts_with(&format!("error: {complaint} postgres://ann:***@127.0.0.1:1/game: ")),
        "{told:?}"
    );
    assert!(told.iter().any(|line| line.starts_with("hint: is the database running")), "{told:?}");
    assert!(!ended.err.contains("s3cret"), "{}", ended.err);
    assert_eq!((ended.out.as_str(), ended.code), ("", Some(1)));
}

#[test]
fn clients_tell_when_nobody_is_there() {
    let player = run(&["player", "list", "--player", "ann", "--server", "http://127.0.0.1:1"]);
    assert!(player.err.starts_with("error: GET http://127.0.0.1:1/v1/challenges: "), "{}", player.err);
    let send = run(&["send", "login", "--player", "ann", "--events", "http://127.0.0.1:1"]);
    assert!(send.err.starts_with("error: cannot reach http://127.0.0.1:1: "), "{}", send.err);
    for ended in [player, send] {
        assert!(ended.err.contains("\nhint: is the service running"), "{}", ended.err);
        assert_eq!((ended.out.as_str(), ended.code), ("", Some(1)));
    }
    assert_refused(
        &run(&["player", "init"]),
        "error: --player: not set, and neither is GAUNTLET_PLAYER\nhint: add --player ID\n",
    );
}

#[test]
fn completions_are_scripts_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = run(&["completions", shell]);
        assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
        for word in ["serve", "migrate", "catalogue", "player", "send", "max-connections"] {
            assert!(ended.out.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completions", "tcl"]).code, Some(1));
}
