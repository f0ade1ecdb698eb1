//! The examples of the description: what a server answers when it is asked just that, at a time that
//! stands still.

use std::{fs, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::Method;
use gauntlet_domain::{Timestamp, catalogue::RewardKind};
use gauntlet_proto::{
    iam::{LoginDetails, UserLoggedIn},
    statistic::{StatItem, StatItemUpdated},
};
use gauntlet_server::{
    Config, Parts, Server,
    catalogue::{self, FixedSource, KeepOptions},
    clock::{FixedClock, SeededRandom},
    rewards::{GrantAnswer, GrantCall, PlatformClass, RewardAdapter, Search},
};
use gauntlet_store::MemoryStore;
use serde_json::{Map, Value, json};

use super::{SAMPLE, root};
use crate::access::{
    issuer::{Issuer, Key},
    rig::{bearer, claims, with_tokens},
    wire::{Headers, http},
};

const FILE: &str = "crates/gauntlet-server/src/http/openapi/examples.json";

/// Two challenges of the sample with the goals that the examples are about: a reply of all of it would
/// fill pages.
const KEPT: [(&str, &[&str]); 2] = [
    ("first-steps", &["first-blood", "first-match", "first-win"]),
    ("weekly-hunt", &["weekly-kills", "weekly-headshots", "weekly-logins"]),
];

/// Reasons that nobody is brought to here; their examples are only formed like the others.
const NOT_PLAYED: [&str; 6] =
    ["CONFLICT", "INTERNAL", "OVERLOADED", "RATE_LIMITED", "SIGN_IN_UNAVAILABLE", "STORE_UNAVAILABLE"];

#[tokio::test(flavor = "multi_thread")]
async fn examples_are_what_the_server_answers() {
    let played = play().await;
    let kept = fs::read_to_string(root(FILE)).unwrap();
    assert!(
        kept == text(&played),
        "{FILE} is out of date: run `cargo test --workspace --test it -- --ignored regenerate_examples`, then \
         `regenerate_openapi`, and commit the result; a server answers now:\n{}",
        text(&played)
    );
    let description = super::description();
    let examples = description["components"]["examples"].as_object().unwrap();
    for reason in examples.keys() {
        let is_played = played["refusals"].get(reason).is_some();
        assert_ne!(is_played, NOT_PLAYED.contains(&reason.as_str()), "{reason}");
    }
    for (method, path, operation) in super::operations(&description) {
        let reply = &operation["responses"]["200"]["content"]["application/json"]["example"];
        assert!(reply.is_object(), "{method} {path} has no example");
    }
}

/// Not a test: writes the examples.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes examples.json"]
async fn regenerate_examples() {
    fs::write(root(FILE), text(&play().await)).unwrap();
}

fn text(examples: &Value) -> String {
    serde_json::to_string_pretty(examples).unwrap() + "\n"
}

/// Takes wallets, refuses one item, and gives no answer about the other.
#[derive(Debug)]
struct Moody;

#[async_trait]
impl RewardAdapter for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }

    fn class(&self, _: RewardKind) -> PlatformClass {
        PlatformClass::Neither
    }

    async fn grant(&self, call: &GrantCall) -> GrantAnswer {
        match call.goal_id.as_str() {
            "first-match" => GrantAnswer::Refused("no".into()),
            "first-win" => GrantAnswer::Ambiguous("no answer".into()),
            "weekly-logins" => {
                GrantAnswer::NotDone { why: "busy".into(), retry_after: Some(Duration::from_secs(60)) }
            }
            _ => GrantAnswer::Granted,
        }
    }

    async fn search(&self, _: &GrantCall) -> Search {
        Search::Unanswered("cannot be asked".into())
    }
}

struct Play {
    server: Server,
    clock: Arc<FixedClock>,
    calls: Map<String, Value>,
    refusals: Map<String, Value>,
}

fn sample() -> String {
    let mut all: Value = serde_json::from_str(SAMPLE).unwrap();
    let challenges = all["challenges"].as_array_mut().unwrap();
    challenges.retain_mut(|challenge| {
        let Some((_, goals)) = KEPT.iter().find(|(id, _)| challenge["challengeId"] == *id) else {
            return false;
        };
        let kept = |goal: &Value| goals.iter().any(|id| goal["goalId"] == *id);
        challenge["goals"].as_array_mut().unwrap().retain(kept);
        true
    });
    all.to_string()
}

impl Play {
    /// A server that is given `source` when it reads its catalogue again.
    async fn begin(source: String) -> Self {
        let now = Timestamp::parse("2026-11-24T12:00:00Z").unwrap();
        let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(FixedClock::at(now)));
        let parts = Parts {
            catalogue: catalogue::prepare(&*store, &sample(), now).await.unwrap(),
            store,
            adapter: Arc::new(Moody),
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(1)),
        };
        let source = Arc::new(FixedSource(source));
        let catalogue = Some(KeepOptions { source, watch: None, deadline: Duration::from_secs(5) });
        let server = Server::start(Config { catalogue, ..Config::loopback() }, parts).await.unwrap();
        Self { server, clock, calls: Map::new(), refusals: Map::new() }
    }

    async fn ask(&self, method: &Method, path: &str, body: &Value, more: &Headers) -> (u16, Value) {
        let url = format!("{}{path}", super::base(&self.server));
        let mut headers = vec![("x-mock-user-id", "alice".to_owned())];
        headers.extend_from_slice(more);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http(method, &url, &headers, &body).await;
        (answer.status, answer.json())
    }

    /// A call that succeeds; `path` holds the values of its variable segments.
    async fn call(&mut self, rpc: &str, method: Method, path: &str, body: Value) {
        let admin = vec![("x-mock-scope", "gauntlet.admin.read gauntlet.admin.write".to_owned())];
        let (status, reply) = self.ask(&method, path, &body, &admin).await;
        assert_eq!(status, 200, "{rpc}: {reply}");
        let mut segments = Map::new();
        let mut parts = path.trim_start_matches("/v1/challenges/").split('/');
        if let Some(challenge) = parts.next().filter(|id| KEPT.iter().any(|(kept, _)| kept == id)) {
            segments.insert("challenge_id".into(), challenge.into());
        }
        if let (Some("goals"), Some(goal)) = (parts.next(), parts.next())
            && parts.next().is_some()
        {
            segments.insert("goal_id".into(), goal.into());
        }
        let mut example = json!({ "reply": reply });
        if !segments.is_empty() {
            example["path"] = segments.into();
        }
        if !body.is_null() {
            example["body"] = body;
        }
        self.calls.insert(rpc.to_owned(), example);
    }

    /// A call that is refused for a reason.
    async fn refused(&mut self, reason: &str, method: Method, path: &str, body: Value) {
        let (_, reply) = self.ask(&method, path, &body, &Vec::new()).await;
        self.keep(reason, reply);
    }

    fn keep(&mut self, reason: &str, reply: Value) {
        assert_eq!(reply["details"][0]["reason"], reason, "{reply}");
        self.refusals.insert(reason.to_owned(), reply);
    }

    async fn counts(&self, stat: &str, value: f64, inc: f64) {
        let item = StatItem { stat_code: stat.into(), latest_value: value, inc, ..StatItem::default() };
        let event = StatItemUpdated {
            id: format!("{stat}-{value}"),
            user_id: "alice".into(),
            payload: Some(item),
            ..StatItemUpdated::default()
        };
        self.server.ingest().stat(event).await.expect("counted");
    }

    async fn logs_in(&self, id: &str) {
        let payload = Some(LoginDetails::default());
        let event =
            UserLoggedIn { id: id.into(), user_id: "alice".into(), payload, ..UserLoggedIn::default() };
        self.server.ingest().login(event).await.expect("counted");
    }
}

async fn play() -> Value {
    let mut play = Play::begin(sample()).await;
    calls(&mut play).await;
    refusals(&mut play).await;
    grants(&mut play).await;
    later(&mut play).await;
    elsewhere(&mut play).await;
    let Play { server, calls, refusals, .. } = play;
    server.stop().await;
    json!({ "calls": calls, "refusals": refusals })
}

/// A session: what a client asks from login to reward.
async fn calls(play: &mut Play) {
    let weekly = "/v1/challenges/weekly-hunt";
    play.call("InitializePlayer", Method::POST, "/v1/challenges/initialize", Value::Null).await;
    let body = json!({ "goalIds": ["weekly-kills", "weekly-headshots"], "replaceExisting": false });
    play.call("BatchSelectGoals", Method::POST, &format!("{weekly}/goals/batch-select"), body).await;
    let body = json!({ "count": 1, "replaceExisting": false, "excludeActive": true });
    play.call("RandomSelectGoals", Method::POST, &format!("{weekly}/goals/random-select"), body).await;
    let path = format!("{weekly}/goals/weekly-headshots/active");
    play.call("SetGoalActive", Method::PUT, &path, json!({ "isActive": false })).await;
    play.clock.set(Timestamp::parse("2026-11-24T12:20:00Z").unwrap());
    play.counts("enemy_kills", 12.0, 12.0).await;
    play.counts("enemy_kills", 120.0, 108.0).await;
    let path = "/v1/challenges/first-steps/goals/first-blood/claim";
    play.call("ClaimGoalReward", Method::POST, path, Value::Null).await;
    play.call("GetUserChallenges", Method::GET, "/v1/challenges", Value::Null).await;
    play.call("GetUserChallenge", Method::GET, "/v1/challenges/first-steps", Value::Null).await;
    play.call("GetRotationStatus", Method::GET, &format!("{weekly}/rotation"), Value::Null).await;
    play.call("HealthCheck", Method::GET, "/healthz", Value::Null).await;
    play.call("GetCatalogueStatus", Method::GET, "/v1/admin/catalogue", Value::Null).await;
    play.call("ReloadCatalogue", Method::POST, "/v1/admin/catalogue/reload", Value::Null).await;
}

/// What goes wrong with requests.
async fn refusals(play: &mut Play) {
    let steps = "/v1/challenges/first-steps/goals";
    let claim = |goal: &str| format!("{steps}/{goal}/claim");
    let none = || Value::Null;
    play.refused("CHALLENGE_NOT_FOUND", Method::GET, "/v1/challenges/second-steps", none()).await;
    play.refused("GOAL_NOT_FOUND", Method::POST, &claim("second-blood"), none()).await;
    play.refused("GOAL_NOT_COMPLETED", Method::POST, &claim("first-match"), none()).await;
    play.refused("GOAL_ALREADY_CLAIMED", Method::POST, &claim("first-blood"), none()).await;
    play.counts("wins", 1.0, 1.0).await;
    play.refused("PREREQUISITES_NOT_MET", Method::POST, &claim("first-win"), none()).await;
    let draw = "/v1/challenges/weekly-hunt/goals/random-select";
    play.refused("INVALID_INPUT", Method::POST, draw, json!({ "count": 0 })).await;
    play.ask(
        &Method::PUT,
        "/v1/challenges/weekly-hunt/goals/weekly-headshots/active",
        &json!({ "isActive": true }),
        &Vec::new(),
    )
    .await;
    play.refused("INSUFFICIENT_GOALS", Method::POST, draw, json!({ "count": 1, "excludeActive": true }))
        .await;
    play.refused("ROUTE_NOT_FOUND", Method::GET, "/v2/challenges", none()).await;
    play.refused("METHOD_NOT_ALLOWED", Method::DELETE, "/v1/challenges", none()).await;
    play.refused("FORBIDDEN", Method::GET, "/v1/admin/catalogue", none()).await;
    let url = format!("{}/v1/challenges", super::base(&play.server));
    let nobody = http(&Method::GET, &url, &Vec::new(), "").await.json();
    play.keep("UNAUTHENTICATED", nobody);
    let hurry = vec![("grpc-timeout", "1n".to_owned())];
    let (_, late) = play.ask(&Method::GET, "/v1/challenges", &none(), &hurry).await;
    play.keep("DEADLINE_EXCEEDED", late);
}

/// What becomes of grants.
async fn grants(play: &mut Play) {
    let claim = |goal: &str| format!("/v1/challenges/first-steps/goals/{goal}/claim");
    let none = || Value::Null;
    play.counts("games_played", 1.0, 1.0).await;
    let active = "/v1/challenges/first-steps/goals/first-match/active";
    play.ask(&Method::PUT, active, &json!({ "isActive": false }), &Vec::new()).await;
    play.refused("GOAL_NOT_ACTIVE", Method::POST, &claim("first-match"), none()).await;
    play.ask(&Method::PUT, active, &json!({ "isActive": true }), &Vec::new()).await;
    play.refused("REWARD_GRANT_FAILED", Method::POST, &claim("first-match"), none()).await;
    play.refused("REWARD_UNCERTAIN", Method::POST, &claim("first-win"), none()).await;
    for day in ["1", "2", "3", "4", "5", "6"] {
        play.logs_in(day).await;
    }
    let path = "/v1/challenges/weekly-hunt/goals/weekly-logins/claim";
    play.refused("REWARD_PENDING", Method::POST, path, none()).await;
}

/// A week later.
async fn later(play: &mut Play) {
    let weekly = "/v1/challenges/weekly-hunt";
    play.clock.set(Timestamp::parse("2026-12-01T12:00:00Z").unwrap());
    let path = format!("{weekly}/goals/weekly-kills/claim");
    play.refused("GOAL_ROTATED", Method::POST, &path, Value::Null).await;
    play.call("GetChallengeHistory", Method::GET, &format!("{weekly}/history"), Value::Null).await;
}

/// What other servers refuse: one that checks tokens, and one whose file has a fault by now.
async fn elsewhere(play: &mut Play) {
    let key = Key::ec("k");
    let issuer = Issuer::start(&[&key]).await;
    let server = with_tokens(&issuer.url).await;
    let url = format!("{}/v1/challenges", super::base(&server));
    let mut foreign = claims("alice");
    foreign["namespace"] = json!("another-game");
    play.keep("WRONG_NAMESPACE", http(&Method::GET, &url, &bearer(&key.token(&foreign)), "").await.json());
    let description =
        http(&Method::GET, &format!("{}/openapi.json", super::base(&server)), &Vec::new(), "").await;
    let schemes = &description.json()["components"]["securitySchemes"];
    assert_eq!(schemes.as_object().unwrap().keys().collect::<Vec<_>>(), ["token"]);
    server.stop().await;

    let faulty = Play::begin(sample().replace("\"weekly\"", "\"weakly\"")).await;
    let admin = vec![("x-mock-scope", "gauntlet.admin.write".to_owned())];
    let (_, reply) = faulty.ask(&Method::POST, "/v1/admin/catalogue/reload", &Value::Null, &admin).await;
    faulty.server.stop().await;
    play.keep("CATALOGUE_FAULTY", reply);
}
