//! The adapter against our imitation of the platform.

use gauntlet_domain::{Timestamp, catalogue};
use gauntlet_testkit::{FakePlatform, Fault, Memory, Reply, Seen};

use super::*;
use crate::clock::FixedClock;

const DAY: Duration = Duration::from_secs(86_400);

fn call(kind: RewardKind) -> GrantCall {
    GrantCall {
        idempotency_key: "key".into(),
        namespace: "n".into(),
        player: "a/b".into(),
        challenge_id: "c".into(),
        goal_id: "g".into(),
        reward: catalogue::Reward { kind, id: "gold".into(), quantity: 2 },
        claimed_at: Timestamp::from_seconds(0),
        attempt: 1,
    }
}

fn adapter(platform: &FakePlatform, secret: &str, mode: AgsMode) -> (AgsAdapter, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(0)));
    let config = AgsConfig {
        base_url: platform.base_url().parse().unwrap(),
        client_id: "client".into(),
        client_secret: ClientSecret::new(secret),
        mode,
    };
    (AgsAdapter::new(config, clock.clone()).unwrap(), clock)
}

fn tokens(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| seen.target == "/iam/v3/oauth/token").count()
}

#[tokio::test]
async fn each_kind_goes_its_way() {
    let platform = FakePlatform::ags(Memory::Nothing, "client", "secret");
    for mode in [AgsMode::Fulfillment { key_lifetime: DAY }, AgsMode::Direct] {
        let (adapter, _) = adapter(&platform, "secret", mode);
        for kind in [RewardKind::Item, RewardKind::Wallet] {
            assert_eq!(adapter.grant(&call(kind)).await, GrantAnswer::Granted, "{mode:?} {kind:?}");
        }
    }
    let reference = call(RewardKind::Item).reference();
    let targets: Vec<String> = platform
        .requests()
        .into_iter()
        .filter(|seen| seen.key.is_some())
        .map(|seen| format!("{} {}", seen.method, seen.target))
        .collect();
    assert_eq!(
        targets,
        [
            format!("PUT /platform/v3/admin/namespaces/n/users/a%2Fb/fulfillments/{reference}"),
            "PUT /platform/admin/namespaces/n/users/a%2Fb/wallets/gold/credit".into(),
            "POST /platform/admin/namespaces/n/users/a%2Fb/entitlements".into(),
            "PUT /platform/admin/namespaces/n/users/a%2Fb/wallets/gold/credit".into(),
        ]
    );
}

#[tokio::test]
async fn a_token_is_fetched_once_and_anew_before_it_ends_or_when_it_is_refused() {
    let platform = FakePlatform::ags(Memory::Nothing, "client", "secret");
    let (adapter, clock) = adapter(&platform, "secret", AgsMode::Direct);
    let item = call(RewardKind::Item);
    let together = futures_util::future::join_all((0..10).map(|_| adapter.grant(&item))).await;
    assert!(together.iter().all(|answer| *answer == GrantAnswer::Granted), "{together:?}");
    assert_eq!(tokens(&platform.requests()), 1);
    // The imitation's tokens live an hour; the last minute of it is not used.
    clock.set(Timestamp::from_seconds(3_600 - 61));
    assert_eq!(adapter.grant(&item).await, GrantAnswer::Granted);
    assert_eq!(tokens(&platform.requests()), 1);
    clock.set(Timestamp::from_seconds(3_600 - 60));
    assert_eq!(adapter.grant(&item).await, GrantAnswer::Granted);
    assert_eq!(tokens(&platform.requests()), 2);
    platform.forget_tokens();
    assert_eq!(adapter.grant(&item).await, GrantAnswer::Granted);
    assert_eq!(tokens(&platform.requests()), 3);
    assert_eq!(platform.handed_out().0, 13, "a refused token hands nothing out");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let platform = FakePlatform::ags(Memory::Nothing, "client", "secret");
    let (wrong, _) = adapter(&platform, "wrong", AgsMode::Direct);
    let answer = wrong.grant(&call(RewardKind::Item)).await;
    assert_eq!(answer.as_str(), "not_done", "{answer:?}");
    assert!(!format!("{wrong:?} {answer:?}").contains("wrong\""), "no secret is shown");
    assert_eq!(platform.handed_out(), (0, 0));
}

#[tokio::test]
async fn a_fulfilment_that_did_not_end_well_is_not_taken_for_one_that_did() {
    let platform = FakePlatform::ags(Memory::Nothing, "client", "secret");
    let (adapter, _) = adapter(&platform, "secret", AgsMode::Fulfillment { key_lifetime: DAY });
    for (text, expected) in [
        (r#"{"state":"FULFILLED"}"#, "granted"),
        (r#"{"state":"FULFILL_FAILED"}"#, "ambiguous"),
        (r#"{"state":"REVOKED"}"#, "refused"),
        ("[]", "ambiguous"),
        ("", "ambiguous"),
    ] {
        platform.script([Fault::not_done(Reply::Text(text.into()))]);
        let answer = adapter.grant(&call(RewardKind::Item)).await;
        assert_eq!(answer.as_str(), expected, "{text}: {answer:?}");
    }
}
