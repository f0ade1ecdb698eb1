//! Keys come, change, go, and cannot be fetched.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, Method, header::AUTHORIZATION};
use gauntlet_domain::Timestamp;
use gauntlet_server::{
    Server,
    auth::{AuthMode, Verifier},
    clock::FixedClock,
    traces::Traces,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    issuer::{Issuer, Key},
    rig::{NOW, api, bearer, claims, options, start, with_tokens},
    wire::{Answer, http},
};

async fn ask(server: &Server, key: &Key) -> Answer {
    http(&Method::GET, &format!("{}/v1/challenges", api(server)), &bearer(&key.token(&claims("ann"))), "")
        .await
}

/// Asks until the answer has this status.
async fn until(server: &Server, key: &Key, status: u16) -> Answer {
    let began = Instant::now();
    loop {
        let answer = ask(server, key).await;
        if answer.status == status {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_good_at_once_and_an_old_one_goes_in_time() {
    let (old, new) = (Key::ec("old"), Key::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let mut quick = options(&issuer.url);
    quick.refresh = Duration::from_millis(200);
    let server = start(|config| config.auth = AuthMode::Jwt(quick)).await;
    assert_eq!(ask(&server, &old).await.status, 200);
    issuer.publish(&[&old, &new]);
    assert_eq!(ask(&server, &new).await.status, 200, "an unknown key is looked up");
    issuer.publish(&[&new]);
    // Nobody asks for a refresh: the regular one sees that the key has left.
    assert_eq!(until(&server, &old, 401).await.reason, "UNAUTHENTICATED");
    assert_eq!(ask(&server, &new).await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_do_not_flood_the_issuer() {
    let key = Key::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let mut slow = options(&issuer.url);
    slow.min_refresh = Duration::from_secs(3600);
    let server = start(|config| config.auth = AuthMode::Jwt(slow)).await;
    for number in 0..50 {
        assert_eq!(ask(&server, &Key::ec(&format!("k{number}"))).await.status, 401);
    }
    assert_eq!(issuer.fetches(), 1);
    assert_eq!(ask(&server, &key).await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nobody_gets_in_until_there_are_some() {
    let key = Key::rsa("r");
    let issuer = Issuer::start(&[&key]).await;
    issuer.set_down(true);
    let mut short = options(&issuer.url);
    short.start_wait = Duration::from_millis(100);
    short.refresh = Duration::from_millis(100);
    let server = start(|config| config.auth = AuthMode::Jwt(short)).await;
    let answer = ask(&server, &key).await;
    assert_eq!((answer.status, answer.reason.as_str()), (503, "SIGN_IN_UNAVAILABLE"));
    assert_eq!(answer.headers["retry-after"], "5");
    issuer.set_down(false);
    until(&server, &key, 200).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_issuer_is_survived_for_a_bounded_time() {
    let key = Key::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let mut bounded = options(&issuer.url);
    bounded.refresh = Duration::from_millis(50);
    let server = start(|config| config.auth = AuthMode::Jwt(bounded.clone())).await;
    issuer.set_down(true);
    let fetches = issuer.fetches();
    let began = Instant::now();
    while issuer.fetches() < fetches + 3 {
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ask(&server, &key).await.status, 200, "the last keys are still used");
    server.stop().await;

    issuer.set_down(false);
    bounded.max_age = Duration::from_millis(1_500);
    let server = start(|config| config.auth = AuthMode::Jwt(bounded)).await;
    assert_eq!(ask(&server, &key).await.status, 200);
    issuer.set_down(true);
    assert_eq!(until(&server, &key, 503).await.reason, "SIGN_IN_UNAVAILABLE");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_forbid_browsers_what_they_should_not_do() {
    let key = Key::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let server = with_tokens(&issuer.url).await;
    let answer = ask(&server, &key).await;
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
    assert!(answer.headers["vary"].to_str().unwrap().contains("authorization"));
    assert!(!answer.headers.contains_key("strict-transport-security"), "this port does not encrypt");
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_named_origins_may_call_and_no_others() {
    let key = Key::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let server = start(|config| {
        config.auth = AuthMode::Jwt(options(&issuer.url));
        config.cors_origins = vec!["https://play.example".parse().unwrap()];
    })
    .await;
    let url = format!("{}/v1/challenges", api(&server));
    let mut preflight = vec![
        ("origin", "https://play.example".to_owned()),
        ("access-control-request-method", "GET".to_owned()),
        ("access-control-request-headers", "authorization, grpc-timeout".to_owned()),
    ];
    let allowed = http(&Method::OPTIONS, &url, &preflight, "").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.headers["access-control-allow-origin"], "https://play.example");
    let headers = allowed.headers["access-control-allow-headers"].to_str().unwrap();
    assert!(headers.contains("authorization") && headers.contains("grpc-timeout"), "{headers}");
    // A refusal can be read by the page, too.
    let refused = http(&Method::GET, &url, &vec![preflight[0].clone()], "").await;
    assert_eq!((refused.status, refused.headers.contains_key("access-control-allow-origin")), (401, true));
    preflight[0].1 = "https://evil.example".to_owned();
    let other = http(&Method::OPTIONS, &url, &preflight, "").await;
    assert!(!other.headers.contains_key("access-control-allow-origin"), "{other:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_who_calls_too_often_is_told_when_to_come_back() {
    let key = Key::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let server = start(|config| {
        config.auth = AuthMode::Jwt(options(&issuer.url));
        config.player_rate = 2;
    })
    .await;
    let goals = format!("{}/v1/challenges/c/goals", api(&server));
    let (claim, draw) = (format!("{goals}/g/claim"), format!("{goals}/random-select"));
    let (ann, bob) = (bearer(&key.token(&claims("ann"))), bearer(&key.token(&claims("bob"))));
    assert_ne!(http(&Method::POST, &claim, &ann, "").await.status, 429);
    assert_ne!(http(&Method::POST, &draw, &ann, r#"{"count": 1}"#).await.status, 429);
    for url in [&claim, &draw] {
        let refused = http(&Method::POST, url, &ann, r#"{"count": 1}"#).await;
        assert_eq!((refused.status, refused.reason.as_str()), (429, "RATE_LIMITED"));
        let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
    }
    assert_ne!(http(&Method::POST, &claim, &bob, "").await.status, 429, "each player alone");
    let metrics = format!("http://{}/metrics", server.addresses().ops);
    let text = http(&Method::GET, &metrics, &Vec::new(), "").await.body;
    assert!(String::from_utf8_lossy(&text).contains(r#"gauntlet_sheds_total{kind="player_rate"} 2"#));
    server.stop().await;
}

/// Not a test of right and wrong: what checking a token costs, for `docs/security.md`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures"]
async fn measure_checking_tokens() {
    let (rsa, ec) = (Key::rsa("r"), Key::ec("e"));
    let issuer = Issuer::start(&[&rsa, &ec]).await;
    let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(NOW)));
    let verifier = Verifier::new(options(&issuer.url), clock, Traces::default()).unwrap();
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(verifier.clone().refresh_until(stop.clone()));
    assert!(verifier.ready().await);
    for key in [&rsa, &ec] {
        let token = format!("Bearer {}", key.token(&claims("ann")));
        let headers = HeaderMap::from_iter([(AUTHORIZATION, token.parse().unwrap())]);
        // The best of many rounds: the others shared their core with somebody.
        let mut best = Duration::MAX;
        for _ in 0..200 {
            let began = Instant::now();
            for _ in 0..25 {
                assert_eq!(verifier.identity(&headers).await.unwrap().caller.player, "ann");
            }
            best = best.min(began.elapsed() / 25);
        }
        println!("{}: {best:?} a token", key.algorithm());
    }
    stop.cancel();
    tasks.join_all().await;
}
