//! The adapter against a receiver.

use std::time::Duration;

use gauntlet_domain::{Timestamp, catalogue};
use gauntlet_testkit::{FakePlatform, Fault, Memory, Reply};

use super::*;
use crate::clock::FixedClock;

const DAY: Duration = Duration::from_secs(86_400);
const KEYED: PlatformClass = PlatformClass::TakesKey { key_lifetime: DAY };
const OLD: &str = "whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk";
const NEW: &str = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3";

fn call() -> GrantCall {
    GrantCall {
        idempotency_key: "1:n/3:\u{fc}1/1:c/1:g/cycle:0/epoch:0".into(),
        namespace: "n".into(),
        player: "\u{fc}1".into(),
        challenge_id: "c".into(),
        goal_id: "g".into(),
        reward: catalogue::Reward { kind: catalogue::RewardKind::Item, id: "sword".into(), quantity: 2 },
        claimed_at: Timestamp::from_seconds(1_800_000_000),
        attempt: 1,
    }
}

fn adapter(platform: &FakePlatform, secrets: &[&str], class: PlatformClass) -> WebhookAdapter {
    let config = WebhookConfig {
        url: platform.url().parse().unwrap(),
        secrets: secrets.iter().map(|secret| SigningSecret::parse(secret).unwrap()).collect(),
        class,
        search_url: Some(format!("{}?game=1", platform.search_url()).parse().unwrap()),
    };
    WebhookAdapter::new(config, Arc::new(FixedClock::at(Timestamp::from_seconds(1_800_000_007)))).unwrap()
}

#[tokio::test]
async fn a_grant_is_one_signed_call_whose_body_stays_the_same() {
    let platform = FakePlatform::webhook(Memory::Keys { lifetime: DAY }, &[NEW]);
    let adapter = adapter(&platform, &[OLD, NEW], KEYED);
    let second = GrantCall { attempt: 2, ..call() };
    assert_eq!(adapter.grant(&call()).await, GrantAnswer::Granted);
    assert_eq!(adapter.grant(&second).await, GrantAnswer::Granted);
    let seen = platform.requests();
    let header = |number: usize, name: &str| seen[number].headers[name].clone();
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!((header(0, "gauntlet-attempt"), header(1, "gauntlet-attempt")), ("1".into(), "2".into()));
    assert_eq!(header(0, "webhook-timestamp"), "1800000007");
    assert_eq!(header(0, "webhook-signature").split(' ').count(), 2, "one for each secret");
    let key = header(0, "idempotency-key");
    assert_eq!((key.len(), &key[..3], header(0, "webhook-id")), (67, "gr_", key.clone()));
    let body: serde_json::Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!(body["data"]["key"], call().idempotency_key);
    assert_eq!(body["data"]["reward"], json!({"type": "ITEM", "rewardId": "sword", "quantity": 2}));
    assert_eq!(platform.handed_out(), (1, 0));
}

#[tokio::test]
async fn with_a_secret_that_the_receiver_does_not_know_nothing_is_done() {
    let platform = FakePlatform::webhook(Memory::Keys { lifetime: DAY }, &[NEW]);
    let answer = adapter(&platform, &[OLD], KEYED).grant(&call()).await;
    assert_eq!(answer.as_str(), "not_done", "{answer:?}: the secret can be mended, the grant is whole");
    assert_eq!(platform.handed_out(), (0, 0));
}

#[tokio::test]
async fn what_comes_back_is_judged_and_nothing_is_followed_or_swallowed() {
    let platform = FakePlatform::webhook(Memory::Keys { lifetime: DAY }, &[]);
    let adapter = adapter(&platform, &[NEW], KEYED);
    let text = |text: &str| Reply::Text(text.into());
    for (reply, expected) in [
        (Reply::Close, "ambiguous"),
        (Reply::Status(500), "ambiguous"),
        (Reply::Status(204), "granted"),
        (Reply::RetryAfter(429, "7".into()), "not_done"),
        (Reply::RetryAfter(503, "7".into()), "not_done"),
        (Reply::Redirect(platform.url()), "ambiguous"),
        (text(""), "granted"),
        (text("{}"), "granted"),
        (text("<html>"), "ambiguous"),
        (text("[1]"), "ambiguous"),
        (text(r#"{"status":"later"}"#), "ambiguous"),
        (text(r#"{"status":"refused","reason":"no such item"}"#), "refused"),
        (Reply::Huge(1024 * 1024), "granted"),
        (Reply::Huge(1024 * 1024 + 1), "ambiguous"),
    ] {
        platform.script([Fault::not_done(reply.clone())]);
        let calls = platform.requests().len();
        let answer = adapter.grant(&call()).await;
        assert_eq!(answer.as_str(), expected, "{reply:?}: {answer:?}");
        assert_eq!(platform.requests().len(), calls + 1, "{reply:?}: one call, once");
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let platform = FakePlatform::webhook(Memory::Nothing, &[]);
    let adapter = adapter(&platform, &[NEW], PlatformClass::Neither);
    // The second time there was a connection before, which must not be used again.
    for _ in 0..2 {
        platform.close().await;
        let refused = adapter.grant(&call()).await;
        assert_eq!(refused.as_str(), "not_done", "{refused:?}");
        platform.open().await;
        assert_eq!(adapter.grant(&call()).await, GrantAnswer::Granted);
    }
    let https = WebhookConfig {
        url: platform.url().replace("http:", "https:").parse().unwrap(),
        ..adapter.config.clone()
    };
    let https = WebhookAdapter::new(https, adapter.clock.clone()).unwrap().grant(&call()).await;
    assert_eq!(https.as_str(), "not_done", "no TLS at the other end: {https:?}");
    assert_eq!(platform.handed_out(), (2, 1));
}

#[tokio::test]
async fn a_search_believes_only_what_is_said_about_this_grant() {
    let platform = FakePlatform::webhook(Memory::Searchable { delay: Duration::ZERO }, &[NEW]);
    let adapter = adapter(&platform, &[NEW], PlatformClass::Searchable { settle: Duration::ZERO });
    platform.script_searches([
        Reply::Status(404),
        Reply::Status(204),
        Reply::Text(r#"{"reference":"gr_1","found":false}"#.into()),
        Reply::Text("{}".into()),
        Reply::Close,
    ]);
    for _ in 0..5 {
        let answer = adapter.search(&call()).await;
        assert!(matches!(answer, Search::Unanswered(_)), "{answer:?}");
    }
    assert_eq!(adapter.search(&call()).await, Search::NotFound);
    assert_eq!(adapter.grant(&call()).await, GrantAnswer::Granted);
    assert_eq!(adapter.search(&call()).await, Search::Found);
}

#[test]
fn debug_output_holds_no_secret() {
    let platform = FakePlatform::webhook(Memory::Nothing, &[]);
    let shown = format!("{:?}", adapter(&platform, &[NEW], KEYED));
    assert!(!shown.contains("bmV3") && shown.contains("***"), "{shown}");
}
