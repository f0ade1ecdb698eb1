//! Cycles as players see them, over HTTP, with the sample catalogue that shows them.

use std::{sync::Arc, time::Duration};

use axum::http::Method;
use gauntlet_domain::Timestamp;
use gauntlet_proto::statistic::{StatItem, StatItemUpdated};
use gauntlet_server::{
    Config, Parts, Server, catalogue,
    clock::{FixedClock, SeededRandom},
    rewards::LogAdapter,
};
use gauntlet_store::{GrantFilter, GrantState, MemoryStore, Store};
use serde_json::{Value, json};

use crate::access::wire::{Answer, http};

const SAMPLE: &str = include_str!("../../../gauntlet/assets/sample-cycles.json");

struct Rig {
    server: Server,
    store: Arc<MemoryStore>,
    clock: Arc<FixedClock>,
}

impl Rig {
    async fn at(now: &str) -> Self {
        let (store, now) = (Arc::new(MemoryStore::new()), time(now));
        let clock = Arc::new(FixedClock::at(now));
        let parts = Parts {
            store: store.clone(),
            catalogue: catalogue::prepare(&*store, SAMPLE, now).await.expect("a good sample"),
            adapter: Arc::new(LogAdapter),
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(3)),
        };
        let config = Config { recovery_interval: Duration::from_millis(20), ..Config::loopback() };
        Self { server: Server::start(config, parts).await.expect("starts"), store, clock }
    }

    fn set(&self, now: &str) {
        self.clock.set(time(now));
    }

    async fn ask(&self, method: Method, path: &str) -> Answer {
        self.ask_with(method, path, &[]).await
    }

    async fn ask_with(&self, method: Method, path: &str, more: &[(&'static str, String)]) -> Answer {
        let address = self.server.addresses().http.expect("it has the API");
        let mut headers = vec![("x-mock-user-id", "ann".to_owned())];
        headers.extend_from_slice(more);
        http(&method, &format!("http://{address}/challenge/v1/challenges{path}"), &headers, "").await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask(Method::GET, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.json());
        answer.json()
    }

    async fn claim(&self, challenge: &str, goal: &str) -> (u16, String) {
        let answer = self.ask(Method::POST, &format!("/{challenge}/goals/{goal}/claim")).await;
        (answer.status, answer.reason)
    }

    /// A statistic grows by one.
    async fn grows(&self, stat: &str, value: f64, id: &str, when: &str) {
        let item = StatItem { stat_code: stat.into(), latest_value: value, inc: 1.0, ..StatItem::default() };
        let event = StatItemUpdated {
            id: id.into(),
            user_id: "ann".into(),
            timestamp: when.into(),
            payload: Some(item),
            ..StatItemUpdated::default()
        };
        self.server.ingest().stat(event).await.expect("counted");
    }

    async fn goal(&self, challenge: &str, goal: &str) -> Value {
        let seen = self.get(&format!("/{challenge}")).await;
        let goals = seen["goals"].as_array().expect("goals");
        goals.iter().find(|seen| seen["goalId"] == goal).expect("the goal").clone()
    }

    /// Waits until so many rewards were granted.
    async fn granted(&self, count: usize) {
        let all = async {
            loop {
                let filter = GrantFilter { player: None, state: Some(GrantState::Granted) };
                let grants = self.store.list_grants(&filter, 100).await.expect("lists");
                if grants.len() >= count {
                    return grants.len();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(30), all).await.expect("they are granted");
        assert_eq!(seen, count);
    }
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclaimed_day_by_each_policy_and_its_history() {
    let rig = Rig::at("2026-11-24T12:00:00Z").await;
    rig.ask(Method::POST, "/initialize").await;
    rig.grows("wins", 1.0, "w1", "2026-11-24T12:00:00Z").await;
    rig.grows("enemy_kills", 100.0, "k1", "2026-11-24T12:00:00Z").await;
    rig.grows("enemy_kills", 130.0, "k2", "2026-11-24T12:00:01Z").await;
    let win = rig.goal("every-day", "daily-win").await;
    assert_eq!((&win["status"], &win["expiresAt"]), (&json!("completed"), &json!("2026-11-24T23:00:00Z")));
    assert_eq!((&win["expiresInSeconds"], &win["claimableUntil"]), (&json!(39_600), &json!("")));
    assert_eq!(rig.get("/every-day/history").await["cycles"], json!([]), "nothing has ended");
    let before = rig.ask(Method::GET, "").await;
    let tag = before.headers["etag"].to_str().expect("text").to_owned();
    let known = [("if-none-match", tag)];
    assert_eq!(rig.ask_with(Method::GET, "", &known).await.status, 304);

    // Midnight in Paris: one reward is granted by itself, one waits, and what is shown has changed.
    rig.set("2026-11-24T23:00:00Z");
    assert_eq!(rig.ask_with(Method::GET, "", &known).await.status, 200);
    rig.granted(1).await;
    let win = rig.goal("every-day", "daily-win").await;
    assert_eq!(
        (&win["status"], &win["claimableUntil"]),
        (&json!("not_started"), &json!("2026-11-26T23:00:00Z"))
    );
    let history = rig.get("/every-day/history").await;
    let of = |history: &Value, at: usize| -> Vec<(String, String)> {
        let goals = history["cycles"][at]["goals"].as_array().expect("goals").iter();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        goals.map(|goal| (text(&goal["goalId"]), text(&goal["outcome"]))).collect()
    };
    let outcomes = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(goal, outcome)| ((*goal).to_owned(), (*outcome).to_owned())).collect()
    };
    assert_eq!(history["cycles"][0]["endTime"], "2026-11-24T23:00:00Z");
    assert_eq!(of(&history, 0), outcomes(&[("daily-win", "completed"), ("daily-kills", "claimed")]));
    let kills = &history["cycles"][0]["goals"][1];
    assert_eq!(kills["completedAt"], "2026-11-24T12:00:01Z");
    assert_eq!(kills["reward"], json!({"type": "WALLET", "rewardId": "GOLD", "quantity": 30}));

    // Today is done, too: what would be lost first is claimed first.
    rig.set("2026-11-24T23:05:00Z");
    rig.grows("wins", 2.0, "w2", "2026-11-24T23:04:00Z").await;
    assert_eq!(rig.claim("every-day", "daily-win").await, (200, String::new()), "yesterday's");
    assert_eq!(rig.claim("every-day", "daily-win").await, (200, String::new()), "today's");
    assert_eq!(rig.claim("every-day", "daily-win").await, (409, "GOAL_ALREADY_CLAIMED".into()));
    assert_eq!(rig.claim("every-day", "daily-visit").await, (400, "GOAL_NOT_COMPLETED".into()));

    // Pages, newest first.
    rig.set("2026-11-25T23:30:00Z");
    let first = rig.get("/every-day/history?pageSize=1").await;
    assert_eq!(
        (of(&first, 0), first["cycles"].as_array().map(Vec::len)),
        (outcomes(&[("daily-win", "claimed")]), Some(1))
    );
    let token = first["nextPageToken"].as_str().expect("more");
    let second = rig.get(&format!("/every-day/history?page_size=1&page_token={token}")).await;
    assert_eq!(of(&second, 0), outcomes(&[("daily-win", "claimed"), ("daily-kills", "claimed")]));
    assert_eq!(second["nextPageToken"], "");
    for bad in
        ["?page_size=0x", "?pageSize=101", "?pageSize=-1", "?page_token=soon", "?page_size=1&pageSize=1"]
    {
        let answer = rig.ask(Method::GET, &format!("/every-day/history{bad}")).await;
        assert_eq!((answer.status, answer.reason.as_str()), (400, "INVALID_INPUT"), "{bad}");
    }
    let unknown = rig.ask(Method::GET, "/nowhere/history").await;
    assert_eq!((unknown.status, unknown.reason.as_str()), (404, "CHALLENGE_NOT_FOUND"));
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotations_of_every_kind_tell_their_periods() {
    let rig = Rig::at("2026-11-24T12:00:00Z").await;
    let periods = |reply: &Value| -> [String; 4] {
        let text = |period: &str, field: &str| reply["rotation"][period][field].as_str().unwrap().to_owned();
        [
            text("currentPeriod", "startTime"),
            text("currentPeriod", "endTime"),
            text("nextPeriod", "startTime"),
            text("nextPeriod", "endTime"),
        ]
    };
    // Sundays in New York.
    let weekly = rig.get("/weekly-hunt/rotation").await;
    assert_eq!(
        (&weekly["rotation"]["enabled"], &weekly["rotation"]["schedule"]),
        (&json!(true), &json!("weekly"))
    );
    let sundays =
        ["2026-11-22T05:00:00Z", "2026-11-29T05:00:00Z", "2026-11-29T05:00:00Z", "2026-12-06T05:00:00Z"];
    assert_eq!(periods(&weekly), sundays);
    assert_eq!(weekly["rotation"]["currentPeriod"]["expiresInSeconds"], 406_800);
    // A challenge of several rotations tells the first.
    let months =
        ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"];
    assert_eq!(periods(&rig.get("/calendar/rotation").await), months);
    // Cycles of the player's own begin with the assignment.
    let own = rig.get("/your-own-time/rotation").await;
    assert_eq!((&own["rotation"]["type"], periods(&own)), (&json!("per_user"), [""; 4].map(str::to_owned)));
    let address = rig.server.addresses().http.expect("it has the API");
    let path = "challenge/v1/challenges/your-own-time/goals/three-days-of-quests/active";
    let headers = vec![("x-mock-user-id", "ann".to_owned())];
    http(&Method::PUT, &format!("http://{address}/{path}"), &headers, r#"{"isActive": true}"#).await;
    let own = periods(&rig.get("/your-own-time/rotation").await);
    let days =
        ["2026-11-24T12:00:00Z", "2026-11-27T12:00:00Z", "2026-11-27T12:00:00Z", "2026-11-30T12:00:00Z"];
    assert_eq!(own, days);
    // What browsing shows agrees.
    let goal = rig.goal("your-own-time", "three-days-of-quests").await;
    assert_eq!((&goal["expiresAt"], &goal["expiresInSeconds"]), (&json!(days[1]), &json!(259_200)));
    assert_eq!(rig.goal("calendar", "winter-season").await["expiresAt"], "2026-12-01T00:00:00Z");
    assert_eq!(rig.goal("calendar", "happy-hour").await["expiresAt"], "2026-11-27T09:00:00Z");
    rig.server.stop().await;
}
