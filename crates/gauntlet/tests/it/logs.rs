//! Logs: whose request a line belongs to, and what must not be in one.

use std::{fs, path::Path};

use gauntlet_testkit::PgCluster;
use serde_json::{Value, json};

use crate::{
    clients::{one, send, until},
    process::{Http, Process, channel},
};

const PLAYER: &str = "player-5f1c9d";
const PASSWORD: &str = "hunter2-Xy7";
const TOKEN: &str = "eyJhbGciOiJub25lIn0.c2VjcmV0LXRva2Vu.sig";

/// A player from first event to claimed reward, with a request id of the client's; and what may go
/// wrong. Answers the log, a line each.
async fn journey(store: &str, file: &Path, more: &[&str]) -> Vec<Value> {
    let log = fs::File::create(file).expect("a file");
    let mut arguments = vec!["--slow-statement", "0ms"];
    arguments.extend(more);
    let server = Process::start_teed(store, &arguments, log);
    let client = Http { base: &server.http, player: PLAYER };
    assert_eq!(client.post("/v1/challenges/initialize", "").status, 200);
    let events = channel(&server.events).await;
    send(&events, one(PLAYER, "games_played", "event-77aa")).await.expect("counted");
    send(&events, one("", "games_played", "event-77ab")).await.expect_err("malformed");
    let claim = "/v1/challenges/first-steps/goals/first-match/claim";
    let mut request = ureq::post(format!("{}{claim}", server.http))
        .header("x-mock-user-id", PLAYER)
        .header("content-type", "application/json")
        .header("x-request-id", "claim-of-the-test")
        .header("authorization", format!("Bearer {TOKEN}"));
    request = request.header("cookie", format!("session={TOKEN}"));
    let reply = tokio::task::block_in_place(|| request.send("")).expect("claimed");
    assert_eq!(reply.headers().get("x-request-id").expect("an id"), "claim-of-the-test");
    assert_eq!(client.post(claim, "").status, 409);
    assert_eq!(client.get(&format!("/v1/challenges/{PLAYER}")).status, 404);
    assert_eq!(client.get("/v1/challenges").status, 200);
    server.stop();
    let whole = |text: &String| text.ends_with('\n') && text.contains(r#""message":"stopped""#);
    let text = until(async || fs::read_to_string(file).expect("a log"), whole).await;
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn message(line: &Value) -> &str {
    line["fields"]["message"].as_str().unwrap_or_default()
}

/// Whether a line belongs to the request that the client has named.
fn is_of_the_claim(line: &Value) -> bool {
    let spans = line["spans"].as_array();
    spans.is_some_and(|spans| spans.iter().any(|span| span["request_id"] == "claim-of-the-test"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_player_is_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = PgCluster::shared().database().await;
    // The cluster trusts everybody, whatever the password.
    let (scheme, rest) = database.url.split_once("://").expect("a URL");
    let (user, place) = rest.split_once('@').expect("a user");
    let user = user.split(':').next().expect("a name");
    let store = format!("{scheme}://{user}:{PASSWORD}@{place}");
    let lines = journey(&store, &folder.path().join("log"), &[]).await;
    let granted: Vec<_> = lines.iter().filter(|line| message(line).starts_with("reward granted")).collect();
    assert_eq!(granted.len(), 1, "{lines:#?}");
    assert!(is_of_the_claim(granted[0]), "{:#}", granted[0]);
    // Every statement counts as slow here: their lines have no values.
    let slow = lines.iter().find(|line| message(line) == "a slow statement").expect("a slow statement");
    assert_eq!(slow["level"], json!("WARN"));
    assert!(slow["fields"]["operation"].is_string() && slow["fields"]["millis"].is_number(), "{slow:#}");
    for line in &lines {
        let line = line.to_string();
        for secret in [PASSWORD, TOKEN, PLAYER, "event-77"] {
            assert!(!line.contains(secret), "{secret} is in {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_lines_name_the_request_and_may_name_the_player() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("sqlite:{}", folder.path().join("g.db").display());
    let filter = "info,gauntlet_server=debug";
    let lines = journey(&store, &folder.path().join("log"), &["--log-level", filter]).await;
    let answered: Vec<_> =
        lines.iter().filter(|line| message(line) == "answered" && is_of_the_claim(line)).collect();
    assert_eq!(answered.len(), 1, "{lines:#?}");
    assert_eq!(answered[0]["fields"]["code"], json!("OK"));
    let granted = lines.iter().find(|line| message(line) == "granted to").expect("the player, at debug");
    assert_eq!((&granted["level"], &granted["fields"]["player"]), (&json!("DEBUG"), &json!(PLAYER)));
    assert!(is_of_the_claim(granted));
    for line in &lines {
        let text = line.to_string();
        assert!(!text.contains(TOKEN), "{text}");
        assert!(line["level"] == "DEBUG" || !text.contains(PLAYER), "above debug: {text}");
    }
    // Requests without an id of their own get one each, on every face.
    let ids: Vec<_> = lines
        .iter()
        .filter(|line| message(line) == "answered")
        .map(|line| line["span"]["request_id"].as_str().unwrap_or_default())
        .collect();
    let different: std::collections::HashSet<_> = ids.iter().collect();
    assert!(ids.len() >= 6 && different.len() == ids.len() && !ids.contains(&""), "{ids:?}");
}
