//! A player from first login to claimed reward, on the real binary and both databases, seen from
//! outside only. Both have to end alike, field by field.

use gauntlet_proto::{
    iam::{
        UserLoggedIn,
        user_authentication_user_logged_in_service_client::UserAuthenticationUserLoggedInServiceClient as Logins,
    },
    service::{self, service_client::ServiceClient},
    statistic::{
        StatItem, StatItemUpdated,
        statistic_stat_item_updated_service_client::StatisticStatItemUpdatedServiceClient as Stats,
    },
};
use gauntlet_testkit::PgCluster;
use serde_json::{Value, json};
use tonic::Code;

use crate::process::{Http, Process, channel, of};

const PLAYER: &str = "player one: ünïcode";

/// What one journey saw, with times replaced by marks.
type Diary = Vec<(&'static str, Value)>;

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_end_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = format!("sqlite:{}", folder.path().join("journey.db").display());
    let database = PgCluster::shared().database().await;
    let on_sqlite = journey(&sqlite).await;
    let on_postgres = journey(&database.url).await;
    assert_eq!(on_sqlite.len(), on_postgres.len());
    for (sqlite, postgres) in on_sqlite.iter().zip(&on_postgres) {
        assert_eq!(sqlite, postgres);
    }
}

async fn journey(store: &str) -> Diary {
    let mut diary = Diary::new();
    let server = Process::start(store, &[]);
    first_steps(&server, &mut diary).await;
    play(&server, &mut diary).await;
    claims(&server, &mut diary).await;

    let before = Http { base: &server.http, player: PLAYER }.get("/v1/challenges");
    server.stop();
    let server = Process::start(store, &[]);
    let client = Http { base: &server.http, player: PLAYER };
    let after = client.get("/v1/challenges");
    assert_eq!(without_ages(&before.body), without_ages(&after.body), "a restart changes nothing");
    let tag = after.etag.expect("browse has an entity tag");
    assert_eq!(client.get_if_changed("/v1/challenges", &tag).status, 304);

    // Delivered again after the restart: counted before.
    send_stat(&server, "games_played", 1.0, 1.0, "e-match-1").await.expect("OK");
    assert_eq!(progress(&server, "matches-200"), 1, "the receipt survived the restart");

    // Acknowledged, then killed: it must be there.
    send_stat(&server, "games_played", 2.0, 1.0, "e-match-2").await.expect("OK");
    server.kill();
    let server = Process::start(store, &[]);
    assert_eq!(progress(&server, "matches-200"), 2, "what was acknowledged survives SIGKILL");
    let client = Http { base: &server.http, player: PLAYER };
    assert_eq!(client.post("/v1/challenges/first-steps/goals/first-win/claim", "").status, 409);
    diary.push(("end", marked(&client.get("/v1/challenges").body)));
    server.stop();
    diary
}

/// Initialize, browse, draw, select: over HTTP and gRPC.
async fn first_steps(server: &Process, diary: &mut Diary) {
    let client = Http { base: &server.http, player: PLAYER };
    let unknown = Http { base: &server.http, player: "" }.get("/v1/challenges");
    assert_eq!((unknown.status, reason(&unknown.body)), (401, "UNAUTHENTICATED"));

    let fresh = client.get("/v1/challenges");
    assert_eq!(fresh.status, 200);
    let first = client.post("/v1/challenges/initialize", "");
    assert_eq!((first.status, &first.body["newAssignments"]), (200, &json!(7)), "{first:?}");
    diary.push(("initialize", marked(&first.body)));
    let again = client.post("/v1/challenges/initialize", "{}");
    assert_eq!((&again.body["newAssignments"], &again.body["totalActive"]), (&json!(0), &json!(7)));

    // Two of the goals of this challenge have no open prerequisites.
    let drawn = client
        .post("/v1/challenges/veteran-road/goals/random-select", r#"{"count":5,"exclude_active":true}"#);
    assert_eq!(drawn.status, 200, "{drawn:?}");
    let mut ids: Vec<_> =
        list(&drawn.body["selectedGoals"]).iter().map(|goal| text(&goal["goalId"])).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["logins-100", "matches-200"], "a partial answer");
    let none =
        client.post("/v1/challenges/veteran-road/goals/random-select", r#"{"count":1,"excludeActive":true}"#);
    assert_eq!((none.status, reason(&none.body)), (400, "INSUFFICIENT_GOALS"));

    let mut grpc = ServiceClient::new(channel(&server.grpc).await);
    let selected = grpc
        .batch_select_goals(of(
            "p",
            service::BatchSelectRequest {
                challenge_id: "explorer-pass".into(),
                goal_ids: vec!["pass-matches".into(), "pass-kills".into()],
                replace_existing: false,
            },
        ))
        .await
        .expect("selected")
        .into_inner();
    assert_eq!(selected.total_active_goals, 2);
    let off = client.put("/v1/challenges/daily-missions/goals/daily-win/active", r#"{"isActive":false}"#);
    assert_eq!((off.status, &off.body["isActive"]), (200, &json!(false)));
    diary.push(("deactivated", marked(&off.body)));

    let mut request = of("p", service::GetChallengesRequest { active_only: true });
    request.set_timeout(std::time::Duration::from_secs(30));
    let seen = grpc.get_user_challenges(request).await.expect("browsed").into_inner();
    let active: Vec<_> =
        seen.challenges.iter().flat_map(|c| &c.goals).map(|goal| goal.goal_id.as_str()).collect();
    assert_eq!(active, ["pass-matches", "pass-kills"]);
}

/// Events over gRPC and as `CloudEvents`, some of them twice.
async fn play(server: &Process, diary: &mut Diary) {
    let mut logins = Logins::new(channel(&server.events).await);
    for _ in 0..2 {
        let login = UserLoggedIn { id: "e-login".into(), user_id: PLAYER.into(), ..UserLoggedIn::default() };
        logins.on_message(login).await.expect("OK");
    }
    send_stat(server, "enemy_kills", 12.9, 0.0, "e-kills").await.expect("OK");
    for _ in 0..2 {
        send_stat(server, "games_played", 1.0, 1.0, "e-match-1").await.expect("OK");
    }
    send_stat(server, "nobody_uses_this", 1.0, 1.0, "e-unused").await.expect("OK");
    let malformed = send_stat(server, "", 1.0, 1.0, "e-malformed").await.expect_err("malformed");
    assert_eq!(malformed.code(), Code::InvalidArgument);

    let win = json!([{"specversion":"1.0","id":"w1","source":"/test","type":"stat.updated",
        "data":{"userId":PLAYER,"statCode":"wins","latestValue":1,"inc":1}}]);
    let events = Http { base: &server.events, player: "" };
    for _ in 0..2 {
        let answered = events.post("/v1/events", &win.to_string());
        assert_eq!(answered.status, 200, "{answered:?}");
    }

    for (goal, expected) in [
        ("first-login", 1),
        ("first-blood", 12),
        ("first-win", 1),
        ("daily-login", 1),
        ("login-streak", 1),
        ("matches-200", 1),
        ("logins-100", 1),
    ] {
        assert_eq!(progress(server, goal), expected, "{goal}");
    }
    assert_eq!(progress(server, "daily-win"), 0, "it was put away");
    let seen = Http { base: &server.http, player: PLAYER }.get("/v1/challenges?active_only=true");
    diary.push(("played", marked(&seen.body)));
    let malformed = Http { base: &server.ops, player: "" }.get("/events/malformed");
    assert_eq!(list(&malformed.body)[0]["problem"], "bad_stat_code", "{malformed:?}");
}

/// Claims, first and second, allowed and not.
async fn claims(server: &Process, diary: &mut Diary) {
    let client = Http { base: &server.http, player: PLAYER };
    let claim = |goal: &str| client.post(&format!("/v1/challenges/first-steps/goals/{goal}/claim"), "");
    let early = claim("sharp-eye");
    assert_eq!((early.status, reason(&early.body)), (400, "GOAL_NOT_COMPLETED"));
    let first = claim("first-win");
    assert_eq!((first.status, &first.body["status"]), (200, &json!("claimed")), "{first:?}");
    diary.push(("claimed", marked(&first.body)));
    let second = claim("first-win");
    assert_eq!((second.status, reason(&second.body)), (409, "GOAL_ALREADY_CLAIMED"));
    assert_eq!(second.body["code"], 6);
    assert_eq!(second.body["details"][0]["metadata"]["claimed_at"], first.body["claimedAt"]);

    let mut grpc = ServiceClient::new(channel(&server.grpc).await);
    let unknown = service::ClaimRewardRequest { challenge_id: "first-steps".into(), goal_id: "nope".into() };
    let refused = grpc.claim_goal_reward(of("p", unknown)).await.expect_err("no such goal");
    assert_eq!(refused.code(), Code::NotFound);
    let metrics = Http { base: &server.ops, player: "" }.get("/metrics");
    let granted = r#"gauntlet_grants_total{adapter="log",result="granted"} 1"#;
    assert!(text(&metrics.body).contains(granted), "{}", text(&metrics.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_roles_and_one_database() {
    let database = PgCluster::shared().database().await;
    let api = Process::start(&database.url, &["--roles", "api"]);
    let rest = Process::start(&database.url, &["--roles", "events,worker"]);
    assert_eq!((api.events.as_str(), rest.http.as_str()), ("", ""), "a role that is off does not listen");
    let client = Http { base: &api.http, player: PLAYER };
    assert_eq!(client.post("/v1/challenges/initialize", "").status, 200);
    send_stat(&rest, "enemy_kills", 10.0, 1.0, "e-1").await.expect("OK");
    assert_eq!(progress(&api, "first-blood"), 10, "one process reads what the other has acknowledged");
    assert_eq!(client.post("/v1/challenges/first-steps/goals/first-blood/claim", "").status, 200);
    api.stop();
    rest.stop();
}

async fn send_stat(
    server: &Process,
    stat: &str,
    value: f64,
    inc: f64,
    id: &str,
) -> Result<(), tonic::Status> {
    let event = StatItemUpdated {
        id: id.into(),
        user_id: PLAYER.into(),
        payload: Some(StatItem { stat_code: stat.into(), latest_value: value, inc, ..StatItem::default() }),
        ..StatItemUpdated::default()
    };
    Stats::new(channel(&server.events).await).on_message(event).await.map(|_| ())
}

fn progress(server: &Process, goal: &str) -> i64 {
    let seen = Http { base: &server.http, player: PLAYER }.get("/v1/challenges");
    list(&seen.body["challenges"])
        .iter()
        .flat_map(|challenge| list(&challenge["goals"]))
        .find(|seen| seen["goalId"] == goal)
        .and_then(|seen| seen["progress"].as_i64())
        .unwrap_or_else(|| panic!("{goal} is not shown: {seen:?}"))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

fn reason(body: &Value) -> &str {
    body["details"][0]["reason"].as_str().unwrap_or("no reason")
}

/// The same without what ages by itself.
fn without_ages(value: &Value) -> Value {
    map(value, &|key, value| {
        if key == "expiresInSeconds" { json!(value != &json!(0)) } else { value.clone() }
    })
}

/// The same with a mark for every time, so that two runs can be compared.
fn marked(value: &Value) -> Value {
    map(&without_ages(value), &|key, value| match value.as_str() {
        Some(time) if key.ends_with("At") && !time.is_empty() => json!("a time"),
        _ => value.clone(),
    })
}

fn map(value: &Value, leaf: &dyn Fn(&str, &Value) -> Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| map(item, leaf)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, field)| {
                let mapped =
                    if field.is_object() || field.is_array() { map(field, leaf) } else { leaf(key, field) };
                (key.clone(), mapped)
            })
            .collect(),
        other => other.clone(),
    }
}
