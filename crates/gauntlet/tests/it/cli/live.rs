//! The commands that talk to a server, against a real one.

use serde_json::Value;

use super::{Ended, run};
use crate::process::Process;

#[test]
fn a_player_plays_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(&format!("sqlite:{}", folder.path().join("cli.db").display()), &[]);
    let player =
        |args: &[&str]| run(&[&["player", "--server", &server.http, "--player", "ünï 1"], args].concat());
    let send =
        |args: &[&str]| run(&[&["send", "--events", &server.events, "--player", "ünï 1"], args].concat());

    assert_said(&player(&["init"]), "newly assigned: 7, active: 7\n");
    assert_said(&player(&["init"]), "newly assigned: 0, active: 7\n");
    assert_said(&send(&["login"]), "acknowledged: 1 of 1\n");
    let kills = ["stat", "--stat", "enemy_kills", "--value", "12", "--inc", "2", "--count", "3", "--json"];
    assert_said(&send(&kills), "{\n  \"acknowledged\": 3,\n  \"asked\": 3\n}\n");
    assert_said(&send(&["stat", "--stat", "wins", "--value", "-1"]), "acknowledged: 1 of 1\n");

    let list = player(&["list", "first-steps"]).out;
    assert!(list.contains("*  first-login  1/1 ") && list.contains("first-blood  12/10"), "{list}");
    assert_said(&player(&["claim", "first-steps", "first-login"]), "first-login claimed at ");
    let again = player(&["claim", "first-steps", "first-login", "--json"]);
    assert!(again.err.starts_with("error: GOAL_ALREADY_CLAIMED: "), "{}", again.err);
    assert_eq!(serde_json::from_str::<Value>(&again.out).unwrap()["code"], 6);
    assert_eq!(again.code, Some(1));

    assert_said(
        &player(&["draw", "weekly-hunt", "--count", "2"]),
        "selected: 2, active in this challenge: 2\n",
    );
    assert_said(&player(&["select", "daily-missions", "daily-win"]), "selected: 1, ");
    assert_said(&player(&["activate", "daily-missions", "daily-win", "--off"]), "daily-win is not active\n");
    let nothing = player(&["draw", "weekly-hunt", "--count", "0"]);
    assert!(nothing.err.starts_with("error: INVALID_INPUT: "), "{}", nothing.err);
    let malformed = send(&["stat", "--stat", "", "--value", "1"]);
    assert!(malformed.err.starts_with("error: not acknowledged: INVALID_INPUT: "), "{}", malformed.err);
    server.stop();
}

#[test]
fn a_second_process_on_a_sqlite_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("one.db").display());
    let server = Process::start(&store, &[]);
    let second = run(&["serve", "--store", &store, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
    assert_eq!((second.out.as_str(), second.code), ("", Some(1)));
    assert!(second.err.contains("is in use by another process"), "{}", second.err);
    server.stop();
}

#[test]
fn an_address_that_is_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let store = format!("sqlite:{}", folder.path().join("taken.db").display());
    let ended = run(&["serve", "--store", &store, "--http", &address, "--log-level", "off"]);
    let begin = format!("error: cannot listen on {address} for http: ");
    assert!(ended.err.starts_with(&begin), "{}", ended.err);
    assert_eq!((ended.out.as_str(), ended.code), ("", Some(1)));
}

/// It worked, and its answer begins like this.
fn assert_said(ended: &Ended, begin: &str) {
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
    assert!(ended.out.starts_with(begin), "{:?} does not begin with {begin:?}", ended.out);
}
