//! A server that checks tokens, and what it can be asked.

use std::{sync::Arc, time::Duration};

use axum::http::Method;
use gauntlet_domain::Timestamp;
use gauntlet_proto::DESCRIPTOR_SET;
use gauntlet_server::{
    Config, Parts, Server,
    auth::{AuthMode, Expected, JwtOptions, NamespaceRule, events::EventSecrets},
    catalogue::prepare,
    clock::{FixedClock, SeededRandom},
    player_paths,
    rewards::LogAdapter,
};
use gauntlet_store::MemoryStore;
use prost::Message as _;
use serde_json::{Value, json};

use super::wire::{Headers, http};

/// When all of this happens.
pub(crate) const NOW: i64 = 1_800_000_000;
/// The secret of the events port.
pub(crate) const SECRET: &str = "a secret that senders share";
/// A catalogue with ids for every path.
const CATALOGUE: &str = r#"{"challenges": [{"challengeId": "c", "name": "C", "goals": [
    {"goalId": "g", "name": "G", "type": "absolute", "eventSource": "login", "defaultAssigned": true,
     "requirement": {"statCode": "login_count", "operator": ">=", "targetValue": 1},
     "reward": {"type": "WALLET", "rewardId": "GOLD", "quantity": 1}, "prerequisites": []}]}]}"#;

/// The claims of a good token.
pub(crate) fn claims(player: &str) -> Value {
    json!({"sub": player, "iss": "https://iam", "aud": ["game"], "namespace": "arena", "exp": NOW + 60, "nbf": NOW - 60})
}

pub(crate) fn options(url: &str) -> JwtOptions {
    JwtOptions {
        jwks_url: url.to_owned(),
        expected: Expected {
            issuer: Some("https://iam".into()),
            audience: Some("game".into()),
            namespace: NamespaceRule::Claim { name: "namespace".into(), namespace: "arena".into() },
            skew: Duration::from_secs(5),
        },
        refresh: Duration::from_secs(3600),
        max_age: Duration::from_secs(7200),
        min_refresh: Duration::ZERO,
        start_wait: Duration::from_secs(30),
    }
}

pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Server {
    let store = Arc::new(MemoryStore::new());
    let now = Timestamp::from_seconds(NOW);
    let catalogue = prepare(&*store, CATALOGUE, now).await.unwrap();
    let mut config = Config { namespace: "arena".into(), ..Config::loopback() };
    config.event_secrets = EventSecrets::new(["another good secret", SECRET]);
    change(&mut config);
    let parts = Parts {
        store,
        catalogue,
        adapter: Arc::new(LogAdapter),
        clock: Arc::new(FixedClock::at(now)),
        random: Arc::new(SeededRandom::new(1)),
    };
    Server::start(config, parts).await.unwrap()
}

pub(crate) async fn with_tokens(url: &str) -> Server {
    start(|config| config.auth = AuthMode::Jwt(options(url))).await
}

pub(crate) fn bearer(token: &str) -> Headers {
    vec![("authorization", format!("Bearer {token}"))]
}

/// Base of the HTTP API.
pub(crate) fn api(server: &Server) -> String {
    format!("http://{}/challenge", server.addresses().http.unwrap())
}

/// Every operation of the HTTP API: method and URL. Which methods a path takes, the refusal of
/// one that it does not take tells.
pub(crate) async fn http_operations(server: &Server) -> Vec<(Method, String)> {
    let mut operations = Vec::new();
    for path in player_paths() {
        let url = format!("{}{}", api(server), path.replace("{challenge_id}", "c").replace("{goal_id}", "g"));
        let refused = http(&Method::PATCH, &url, &Vec::new(), "").await;
        assert_eq!(refused.status, 405, "{path}");
        let allowed = refused.headers["allow"].to_str().unwrap().to_owned();
        operations.extend(allowed.split(',').map(|method| (method.trim().parse().unwrap(), url.clone())));
    }
    operations
}

/// Every gRPC method of our contracts: the port and `package.Service/Method`.
pub(crate) fn grpc_operations(server: &Server) -> Vec<(String, String)> {
    let addresses = server.addresses();
    let set = prost_types::FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
    let mut operations = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            let port = if name == "service.Service" { addresses.grpc } else { addresses.events };
            for method in &service.method {
                operations.push((format!("http://{}", port.unwrap()), format!("{name}/{}", method.name())));
            }
        }
    }
    operations
}
