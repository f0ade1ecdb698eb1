//! The description of the player API against the running server, and the files that are made of it.

mod examples;

use std::{collections::BTreeSet, fs, io::Read as _, path::PathBuf, sync::Arc};

use axum::http::Method;
use gauntlet_domain::Timestamp;
use gauntlet_server::{
    Config, Parts, Server, catalogue,
    clock::{FixedClock, SeededRandom},
    documentation_paths,
    openapi::{SignInWay, describe},
    player_paths,
    rewards::LogAdapter,
};
use gauntlet_store::MemoryStore;
use serde_json::{Map, Value, json};

use crate::access::wire::{Answer, http};

const SAMPLE: &str = include_str!("../../../gauntlet/assets/sample-catalogue.json");

/// The description as it is committed and printed.
fn description() -> Value {
    describe("/challenge", &[SignInWay::Token, SignInWay::Mock])
}

fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn file_text() -> String {
    serde_json::to_string_pretty(&description()).unwrap() + "\n"
}

#[test]
fn the_committed_file_is_what_the_program_says() {
    let committed = fs::read_to_string(root("docs/openapi.json")).unwrap_or_default();
    assert!(
        committed == file_text(),
        "docs/openapi.json is out of date: run `cargo test --workspace --test it -- --ignored regenerate_openapi` and \
         commit the result"
    );
}

/// Not a test: writes docs/openapi.json.
#[test]
#[ignore = "writes docs/openapi.json"]
fn regenerate_openapi() {
    fs::write(root("docs/openapi.json"), file_text()).unwrap();
}

/// A server that serves the sample catalogue.
async fn serve() -> Server {
    let (store, now) = (Arc::new(MemoryStore::new()), Timestamp::from_seconds(1_800_000_000));
    let parts = Parts {
        catalogue: catalogue::prepare(&*store, SAMPLE, now).await.unwrap(),
        store,
        adapter: Arc::new(LogAdapter),
        clock: Arc::new(FixedClock::at(now)),
        random: Arc::new(SeededRandom::new(1)),
    };
    Server::start(Config::loopback(), parts).await.unwrap()
}

fn base(server: &Server) -> String {
    format!("http://{}/challenge", server.addresses().http.unwrap())
}

async fn ask(server: &Server, method: &Method, path: &str, body: &str) -> Answer {
    let credentials =
        vec![("x-mock-user-id", "alice".to_owned()), ("x-mock-scope", "gauntlet.admin.read".to_owned())];
    http(method, &format!("{}{path}", base(server)), &credentials, body).await
}

/// Every operation that is described: method, path, and what is said about it.
fn operations(description: &Value) -> Vec<(Method, String, Value)> {
    let paths = description["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let operations = item.as_object().unwrap().clone();
        operations.into_iter().map({
            let path = path.clone();
            move |(method, operation)| (method.to_uppercase().parse().unwrap(), path.clone(), operation)
        })
    };
    paths.iter().flat_map(of_path).collect()
}

/// A path with ids that the sample catalogue has.
fn filled(path: &str) -> String {
    path.replace("{challenge_id}", "first-steps").replace("{goal_id}", "first-blood")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_router_and_the_description_have_the_same_operations() {
    let server = serve().await;
    let description = ask(&server, &Method::GET, "/openapi.json", "").await.json();
    let described: BTreeSet<String> = operations(&description).into_iter().map(|(_, path, _)| path).collect();
    let served: BTreeSet<String> = player_paths().into_iter().map(str::to_owned).collect();
    assert_eq!(described, served);

    // What a path takes, the refusal of a method that it does not take tells.
    for path in served {
        let refused = ask(&server, &Method::PATCH, &filled(&path), "").await;
        assert_eq!((refused.status, refused.reason.as_str()), (405, "METHOD_NOT_ALLOWED"), "{path}");
        let allowed = refused.headers["allow"].to_str().unwrap();
        let mut allowed: BTreeSet<String> =
            allowed.split(',').map(|method| method.trim().to_owned()).collect();
        assert_eq!(allowed.remove("HEAD"), allowed.contains("GET"), "{path}");
        let of_path = operations(&description).into_iter().filter(|(_, described, _)| *described == path);
        let described: BTreeSet<String> = of_path.map(|(method, ..)| method.to_string()).collect();
        assert_eq!(allowed, described, "{path}");
    }
    for path in documentation_paths() {
        assert!(ask(&server, &Method::GET, path, "").await.status < 400, "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_where_the_description_says_so() {
    let server = serve().await;
    for (method, path, operation) in operations(&description()) {
        let url = format!("{}{}", base(&server), filled(&path));
        let answer = http(&method, &url, &Vec::new(), "").await;
        let open = operation["security"].as_array().unwrap().is_empty();
        assert_eq!(answer.status == 401, !open, "{method} {path}: {answer:?}");
        assert_eq!(operation["responses"].get("401").is_some(), !open, "{method} {path}");
        // A player who is not an administrator.
        let player = vec![("x-mock-user-id", "alice".to_owned())];
        let answer = http(&method, &url, &player, "").await;
        let scopes = operation["security"].to_string().contains("gauntlet.admin");
        assert_eq!(answer.status == 403, scopes, "{method} {path}: {answer:?}");
        assert!(
            operation["responses"].get(answer.status.to_string()).is_some(),
            "{method} {path}: {answer:?}"
        );
    }
    server.stop().await;
}

/// A body's field that is described is read: a value of another type is refused by its name.
#[tokio::test(flavor = "multi_thread")]
async fn every_field_and_parameter_that_is_described_is_read() {
    let server = serve().await;
    let mut fields = 0;
    for (method, path, operation) in operations(&description()) {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"]["properties"];
        for name in
            body.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
        {
            let body = json!({ (name.as_str()): { "no": "field is an object" } }).to_string();
            let answer = ask(&server, &method, &filled(&path), &body).await;
            refused_by_name(&answer, &name);
            fields += 1;
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            if parameter["in"] == "query" {
                let path = format!("{}?{name}=no%20value", filled(&path));
                refused_by_name(&ask(&server, &method, &path, "").await, name);
                fields += 1;
            }
        }
    }
    assert!(fields >= 9, "{fields}");
    server.stop().await;
}

fn refused_by_name(answer: &Answer, name: &str) {
    assert_eq!((answer.status, answer.reason.as_str()), (400, "INVALID_INPUT"), "{name}");
    let told = answer.json()["details"][0]["metadata"]["field"].as_str().unwrap().replace('_', "");
    assert_eq!(told, name.replace('_', "").to_lowercase());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_loads_nothing_from_elsewhere_and_may_run_its_own_script_only() {
    let server = serve().await;
    let page = http(&Method::GET, &format!("{}/apidocs/", base(&server)), &Vec::new(), "").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    for path in documentation_paths() {
        let answer = http(&Method::GET, &format!("{}{path}", base(&server)), &Vec::new(), "").await;
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        if path.starts_with("/apidocs") {
            assert!(!text.contains("://"), "{path} names another place");
            assert!(!text.contains("innerHTML"), "{path}");
        }
    }
    let url = format!("{}/openapi.json", base(&server));
    let plain = http(&Method::GET, &url, &Vec::new(), "").await;
    let small = http(&Method::GET, &url, &vec![("accept-encoding", "gzip".to_owned())], "").await;
    assert_eq!(
        (small.headers["content-encoding"].as_bytes(), small.headers["vary"].as_bytes()),
        (&b"gzip"[..], &b"accept-encoding"[..])
    );
    assert!(!plain.headers.contains_key("content-encoding") && small.body.len() * 4 < plain.body.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&small.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    let moved = http(&Method::GET, &format!("{}/apidocs", base(&server)), &Vec::new(), "").await;
    assert_eq!((moved.status, moved.headers["location"].to_str().unwrap()), (308, "/challenge/apidocs/"));
    // Replies may still run nothing at all.
    let reply = ask(&server, &Method::GET, "/v1/challenges", "").await;
    assert_eq!(reply.headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
    server.stop().await;
}

#[test]
fn a_description_has_the_base_path_and_ways_that_hold() {
    let description = describe("", &[SignInWay::Token]);
    assert_eq!(description["servers"], json!([{ "url": "/" }]));
    let schemes: Vec<&String> =
        description["components"]["securitySchemes"].as_object().unwrap().keys().collect();
    assert_eq!(schemes, ["token"]);
    let text = description.to_string();
    assert!(!text.contains("mockPlayer"), "a way that does not hold is offered");
}

/// Every reference leads somewhere, and every part is referred to.
#[test]
fn references_lead_somewhere() {
    let description = description();
    let mut found = BTreeSet::new();
    references(&description, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
    for part in ["schemas", "headers", "examples"] {
        for name in description["components"][part].as_object().unwrap().keys() {
            let reference = format!("#/components/{part}/{name}");
            let general =
                part == "examples" && ["ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED"].contains(&name.as_str());
            assert!(general || found.contains(&reference), "nobody refers to {reference}");
        }
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The advice that goes with each reason is the last column of docs/errors.md.
#[test]
fn advice_is_that_of_the_errors_page() {
    let page = fs::read_to_string(root("docs/errors.md")).unwrap();
    let description = description();
    let examples: &Map<String, Value> = description["components"]["examples"].as_object().unwrap();
    assert!(examples.len() >= 25);
    for (reason, example) in examples {
        let start = format!("| `{reason}` |");
        let row = page.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{reason}"));
        let advice = row.trim_end_matches('|').rsplit('|').next().unwrap().trim();
        assert_eq!(example["summary"], advice, "{reason}");
    }
}
