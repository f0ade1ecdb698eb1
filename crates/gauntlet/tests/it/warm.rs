//! A server that says it is ready has its database ready too.

use gauntlet_proto::{
    iam::{
        UserLoggedIn,
        user_authentication_user_logged_in_service_client::UserAuthenticationUserLoggedInServiceClient as Logins,
    },
    statistic::{
        StatItem, StatItemUpdated,
        statistic_stat_item_updated_service_client::StatisticStatItemUpdatedServiceClient as Stats,
    },
};
use gauntlet_testkit::{PgCluster, Proxy};

use crate::process::{Http, Process, channel};

/// One player's first session: every kind of call and event, each as the first of its kind.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_requests_after_ready_prepare_nothing() {
    let database = PgCluster::shared().database().await;
    let proxy = Proxy::start(&database.url).await;
    let server = Process::start(proxy.url(), &["--max-connections", "4"]);
    let sessions = database.sessions().await;
    assert_eq!(sessions.open, 4, "every connection of the pool is open");
    let ready = proxy.prepared();
    assert!(ready > 4 * 20, "{ready}");
    let nothing_new = |what: &str| assert_eq!(proxy.prepared(), ready, "{what} prepared something");

    let client = Http { base: &server.http, player: "p" };
    for (path, body) in [
        ("/v1/challenges/initialize", ""),
        ("/v1/challenges/veteran-road/goals/random-select", r#"{"count":1,"exclude_active":true}"#),
        ("/v1/challenges/explorer-pass/goals/batch-select", r#"{"goal_ids":["pass-matches"]}"#),
    ] {
        let reply = client.post(path, body);
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        nothing_new(path);
    }
    let mut logins = Logins::new(channel(&server.events).await);
    let login = UserLoggedIn {
        id: "e-login".into(),
        namespace: "gauntlet".into(),
        user_id: "p".into(),
        ..UserLoggedIn::default()
    };
    logins.on_message(login).await.expect("OK");
    nothing_new("a login");
    let mut stats = Stats::new(channel(&server.events).await);
    for stat in ["games_played", "enemy_kills", "matches_won", "wins"] {
        let event = StatItemUpdated {
            id: format!("e-{stat}"),
            namespace: "gauntlet".into(),
            user_id: "p".into(),
            payload: Some(StatItem {
                user_id: "p".into(),
                namespace: "gauntlet".into(),
                stat_code: stat.into(),
                latest_value: 999.0,
                inc: 999.0,
            }),
            ..StatItemUpdated::default()
        };
        stats.on_message(event).await.expect("OK");
        nothing_new(stat);
    }
    let seen = client.get("/v1/challenges");
    assert_eq!(seen.status, 200);
    nothing_new("browsing");
    let goals = seen.body["challenges"].as_array().expect("challenges").iter().flat_map(|challenge| {
        let id = challenge["challengeId"].as_str().expect("an id");
        challenge["goals"].as_array().expect("goals").iter().map(move |goal| (id, goal))
    });
    let (challenge, goal) =
        goals.into_iter().find(|(_, goal)| goal["status"] == "completed").expect("something to claim");
    let goal = goal["goalId"].as_str().expect("an id");
    let claim = client.post(&format!("/v1/challenges/{challenge}/goals/{goal}/claim"), "");
    assert_eq!(claim.status, 200, "{claim:?}");
    nothing_new("a claim");
    server.stop();
}
