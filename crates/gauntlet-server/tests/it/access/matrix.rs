//! Every operation against every bad credential.

use axum::http::Method;
use serde_json::{Value, json};

use super::{
    issuer::{Issuer, Key, hmac_token, unsigned_token},
    rig::{NOW, SECRET, api, bearer, claims, grpc_operations, http_operations, start, with_tokens},
    wire::{Headers, grpc, http},
};

/// What lets an administrator do everything.
const ADMIN: &str = "openid gauntlet.admin.read gauntlet.admin.write";

/// What needs more than being a player, and the scope that it needs.
fn needed_scope(operation: &str) -> Option<&'static str> {
    let ends = |word: &str| operation.ends_with(word);
    if ends("/admin/catalogue") || ends("/GetCatalogueStatus") {
        Some("gauntlet.admin.read")
    } else if ends("/admin/catalogue/reload") || ends("/ReloadCatalogue") {
        Some("gauntlet.admin.write")
    } else {
        None
    }
}

/// What needs no credentials.
fn is_open(operation: &str) -> bool {
    operation.ends_with("/healthz") || operation.ends_with("/HealthCheck")
}

fn changed(change: &[(&str, Value)]) -> Value {
    let mut claims = claims("ann");
    for (key, value) in change {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(*key);
        } else {
            claims[*key] = value.clone();
        }
    }
    claims
}

/// Every bad credential with its name and the reason of its refusal.
fn bad_credentials(rsa: &Key, ec: &Key, revoked: &Key) -> Vec<(&'static str, Headers, &'static str)> {
    let good = claims("ann");
    let stranger = Key::rsa(&rsa.id);
    let header = |algorithm: &str, id: &str| json!({"alg": algorithm, "kid": id});
    let mut all = vec![("none", Vec::new(), "UNAUTHENTICATED")];
    all.push(("mock header only", vec![("x-mock-user-id", "ann".into())], "UNAUTHENTICATED"));
    all.push(("another scheme", vec![("authorization", "Basic YW5uOmFubg==".into())], "UNAUTHENTICATED"));
    all.push(("no scheme", vec![("authorization", rsa.token(&good))], "UNAUTHENTICATED"));
    all.push(("twice", [bearer(&rsa.token(&good)), bearer(&ec.token(&good))].concat(), "UNAUTHENTICATED"));
    let token = rsa.token(&good);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let forged = [
        ("malformed", "abc".to_owned()),
        ("three parts of nothing", "a.b.c".to_owned()),
        ("cut short", token[..token.len() - 8].to_owned()),
        ("no signature", format!("{message}.")),
        ("two parts", message.to_owned()),
        ("five parts", format!("{token}.{signature}.{signature}")),
        ("another payload", {
            let other = ec.token(&claims("bob"));
            let parts: Vec<&str> = token.split('.').collect();
            format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2])
        }),
        ("wrong key", stranger.token(&good)),
        ("unknown key", Key::ec("nobody").token(&good)),
        ("revoked key", revoked.token(&good)),
        ("no key named", rsa.token_with(&json!({"alg": "RS256"}), &good)),
        ("alg none", unsigned_token(&header("none", &rsa.id), &good)),
        ("alg None", unsigned_token(&header("None", &rsa.id), &good)),
        ("unsigned", unsigned_token(&header("RS256", &rsa.id), &good)),
        ("HS256 with the public key", hmac_token(rsa.public(), &header("HS256", &rsa.id), &good)),
        ("HS256 with the other public key", hmac_token(ec.public(), &header("HS256", &ec.id), &good)),
        ("algorithm of another key", rsa.token_with(&header("RS256", &ec.id), &good)),
        ("another algorithm of the family", rsa.rs512_token(&good)),
        ("another algorithm in name", rsa.token_with(&header("RS512", &rsa.id), &good)),
        ("its own key", rsa.token_with(&json!({"alg": "RS256", "kid": "x", "jwk": stranger.jwk()}), &good)),
        ("extensions", rsa.token_with(&json!({"alg": "RS256", "kid": rsa.id, "crit": ["b64"]}), &good)),
        ("expired", rsa.token(&changed(&[("exp", json!(NOW - 6))]))),
        ("no end", rsa.token(&changed(&[("exp", Value::Null)]))),
        ("not yet valid", ec.token(&changed(&[("nbf", json!(NOW + 6))]))),
        ("wrong audience", rsa.token(&changed(&[("aud", json!("other"))]))),
        ("no audience", ec.token(&changed(&[("aud", Value::Null)]))),
        ("wrong issuer", rsa.token(&changed(&[("iss", json!("https://evil"))]))),
        ("no issuer", ec.token(&changed(&[("iss", Value::Null)]))),
        ("no sub", rsa.token(&changed(&[("sub", Value::Null)]))),
        ("empty sub", rsa.token(&changed(&[("sub", json!(""))]))),
        ("sub of a number", ec.token(&changed(&[("sub", json!(7))]))),
        ("long sub", rsa.token(&changed(&[("sub", json!("x".repeat(101)))]))),
    ];
    all.extend(forged.into_iter().map(|(name, token)| (name, bearer(&token), "UNAUTHENTICATED")));
    for (name, namespace) in [("wrong namespace", json!("other")), ("no namespace", Value::Null)] {
        all.push((name, bearer(&rsa.token(&changed(&[("namespace", namespace)]))), "WRONG_NAMESPACE"));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_lets_a_bad_token_in() {
    let (rsa, ec, revoked) = (Key::rsa("r"), Key::ec("e"), Key::ec("gone"));
    let issuer = Issuer::start(&[&rsa, &ec, &revoked]).await;
    let server = with_tokens(&issuer.url).await;
    // The key was good, and is not any more once the set was fetched without it: a token that
    // names an unknown key sees to that.
    let list = format!("{}/v1/challenges", api(&server));
    let before = http(&Method::GET, &list, &bearer(&revoked.token(&claims("ann"))), "").await;
    assert_eq!(before.status, 200);
    issuer.publish(&[&rsa, &ec]);
    http(&Method::GET, &list, &bearer(&Key::ec("nobody").token(&claims("ann"))), "").await;

    let (over_http, over_grpc) = (http_operations(&server).await, grpc_operations(&server));
    assert!(over_http.len() > 9 && over_grpc.len() > 11, "{over_http:?} {over_grpc:?}");
    let api_port = format!("http://{}", server.addresses().grpc.unwrap());
    let mut refused = 0;
    for (name, headers, reason) in bad_credentials(&rsa, &ec, &revoked) {
        let (http_status, grpc_status) = if reason == "WRONG_NAMESPACE" { (403, 7) } else { (401, 16) };
        for (method, url) in over_http.iter().filter(|(_, url)| !is_open(url)) {
            let answer = http(method, url, &headers, "").await;
            assert_eq!(answer.status, http_status, "{name}: {method} {url}: {answer:?}");
            if *method != Method::HEAD {
                assert_eq!(answer.reason, reason, "{name}: {method} {url}: {answer:?}");
            }
            assert_eq!(answer.headers.contains_key("www-authenticate"), http_status == 401);
            refused += 1;
        }
        for (port, method) in over_grpc.iter().filter(|(port, name)| *port == api_port && !is_open(name)) {
            let answer = grpc(port, method, &headers, b"").await;
            assert_eq!((answer.status, answer.reason.as_str()), (grpc_status, reason), "{name}: {method}");
            refused += 1;
        }
    }
    assert!(refused > 500, "{refused}");
    // The operations are the right ones: with a good token, none is refused for its credentials.
    for key in [&rsa, &ec] {
        let headers = bearer(&key.token(&changed(&[("scope", json!(ADMIN))])));
        for (method, url) in &over_http {
            assert!(
                ![401, 403, 404, 405].contains(&http(method, url, &headers, "").await.status),
                "{method} {url}"
            );
        }
        for (port, method) in over_grpc.iter().filter(|(port, _)| *port == api_port) {
            assert!(![7, 12, 16].contains(&grpc(port, method, &headers, b"").await.status), "{method}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administration_needs_its_own_permission() {
    let key = Key::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let server = with_tokens(&issuer.url).await;
    let resource = |name: &str, action: u32| json!([{"Resource": name, "Action": action}]);
    let tokens = [
        ("a player", claims("ann"), &[][..]),
        ("a reader", changed(&[("scope", json!("gauntlet.admin.read"))]), &["gauntlet.admin.read"]),
        ("a writer", changed(&[("scp", json!(["gauntlet.admin.write"]))]), &["gauntlet.admin.write"]),
        (
            "a reader of the platform",
            changed(&[("permissions", resource("ADMIN:NAMESPACE:arena:CHALLENGE", 2))]),
            &["gauntlet.admin.read"],
        ),
        (
            "an administrator elsewhere",
            changed(&[("permissions", resource("ADMIN:NAMESPACE:x:CHALLENGE", 15))]),
            &[],
        ),
        ("both", changed(&[("scope", json!(ADMIN))]), &["gauntlet.admin.read", "gauntlet.admin.write"]),
    ];
    let mut checked = 0;
    for (name, claims, scopes) in tokens {
        let mut headers = bearer(&key.token(&claims));
        // The development header is nothing beside a token.
        headers.push(("x-mock-scope", ADMIN.to_owned()));
        for (method, url) in http_operations(&server).await {
            let Some(scope) = needed_scope(&url) else { continue };
            let answer = http(&method, &url, &headers, "").await;
            if scopes.contains(&scope) {
                assert!(![401, 403].contains(&answer.status), "{name}: {method} {url}: {answer:?}");
            } else {
                assert_eq!(answer.status, 403, "{name}: {method} {url}: {answer:?}");
                assert!(method == Method::HEAD || answer.reason == "FORBIDDEN", "{answer:?}");
            }
            checked += 1;
        }
        for (port, method) in grpc_operations(&server) {
            let Some(scope) = needed_scope(&method) else { continue };
            let answer = grpc(&port, &method, &headers, b"").await;
            if scopes.contains(&scope) {
                assert!(![7, 16].contains(&answer.status), "{name}: {method}: {answer:?}");
            } else {
                assert_eq!((answer.status, answer.reason.as_str()), (7, "FORBIDDEN"), "{name}: {method}");
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 6 * (3 + 2), "GET and HEAD of the status, POST of the reload, two methods");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_development_an_administrator_says_so() {
    let server = start(|_| {}).await;
    let player = vec![("x-mock-user-id", "ann".to_owned())];
    let mut administrator = player.clone();
    administrator.push(("x-mock-scope", ADMIN.to_owned()));
    let mut checked = 0;
    for (method, url) in http_operations(&server).await {
        if needed_scope(&url).is_none() {
            continue;
        }
        assert_eq!(http(&method, &url, &player, "").await.status, 403, "{method} {url}");
        assert!(
            ![401, 403].contains(&http(&method, &url, &administrator, "").await.status),
            "{method} {url}"
        );
        checked += 1;
    }
    assert_eq!(checked, 3);
    let status =
        http(&Method::GET, &format!("{}/v1/admin/catalogue", api(&server)), &administrator, "").await;
    assert_eq!(status.json(), json!({"version": 1, "newestVersion": 1, "waitingFor": []}));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_needs_no_token() {
    let key = Key::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let server = with_tokens(&issuer.url).await;
    let mut open = 0;
    for (method, url) in http_operations(&server).await.iter().filter(|(_, url)| is_open(url)) {
        assert_eq!(http(method, url, &Vec::new(), "").await.status, 200);
        open += 1;
    }
    for (port, method) in grpc_operations(&server).iter().filter(|(_, name)| is_open(name)) {
        assert_eq!(grpc(port, method, &Vec::new(), b"").await.status, 0);
        open += 1;
    }
    assert_eq!(open, 3, "GET and HEAD of healthz, HealthCheck");
    let addresses = server.addresses();
    for port in [addresses.grpc, addresses.events] {
        let port = format!("http://{}", port.unwrap());
        assert_eq!(grpc(&port, "grpc.health.v1.Health/Check", &Vec::new(), b"").await.status, 0);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reaches_another_players_data() {
    let key = Key::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let server = with_tokens(&issuer.url).await;
    let (ann, bob) = (bearer(&key.token(&claims("ann"))), bearer(&key.token(&claims("bob"))));
    let list = format!("{}/v1/challenges", api(&server));
    let initialize = format!("{list}/initialize");
    assert_eq!(http(&Method::POST, &initialize, &bob, "").await.status, 200);
    let of_bob = || async { http(&Method::GET, &list, &bob, "").await.headers["etag"].clone() };
    let before = of_bob().await;

    // Ann names bob wherever a request has room for it.
    let mut headers = ann.clone();
    headers.extend([("x-mock-user-id", "bob".to_owned()), ("x-user-id", "bob".to_owned())]);
    let body = json!({"userId": "bob", "user_id": "bob", "player": "bob", "sub": "bob", "isActive": false,
        "goalIds": ["g"], "count": 1, "replaceExisting": true});
    for (method, url) in http_operations(&server).await {
        let body =
            if matches!(method, Method::GET | Method::HEAD) { String::new() } else { body.to_string() };
        let answer =
            http(&method, &format!("{url}?user_id=bob&userId=bob&player=bob"), &headers, &body).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("bob"), "{method} {url}: {answer:?}");
        assert!(answer.status < 500, "{method} {url}: {answer:?}");
    }
    for (port, method) in grpc_operations(&server) {
        // An unknown field 99 with "bob" in it: 99 << 3 | 2 is 794.
        grpc(&port, &method, &headers, b"\x9a\x06\x03bob").await;
    }
    assert_eq!(of_bob().await, before, "bob's data are as they were");
    let of_ann = http(&Method::GET, &list, &ann, "").await;
    assert_ne!(of_ann.headers["etag"], before);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_comes_in_without_a_secret() {
    let key = Key::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let server = with_tokens(&issuer.url).await;
    let port = format!("http://{}", server.addresses().events.unwrap());
    let url = format!("{port}/v1/events");
    let event =
        json!({"specversion": "1.0", "id": "1", "source": "/t", "type": "user.loggedIn", "subject": "ann"});
    let methods: Vec<_> = grpc_operations(&server).into_iter().filter(|(on, _)| *on == port).collect();
    assert_eq!(methods.len(), 3, "{methods:?}");
    for (name, headers) in [
        ("none", Vec::new()),
        ("wrong", bearer("a secret that senders shard")),
        ("shorter", bearer(&SECRET[..SECRET.len() - 1])),
        ("empty", vec![("authorization", "Bearer ".to_owned())]),
        ("no scheme", vec![("authorization", SECRET.to_owned())]),
        ("both at once", [bearer(SECRET), bearer(SECRET)].concat()),
        ("a player's token", bearer(&key.token(&claims("ann")))),
        ("the mock header", vec![("x-mock-user-id", "ann".to_owned())]),
    ] {
        for (port, method) in &methods {
            let answer = grpc(port, method, &headers, b"").await;
            assert_eq!((answer.status, answer.reason.as_str()), (16, "UNAUTHENTICATED"), "{name}: {method}");
        }
        for body in [event.to_string(), json!([event]).to_string(), "not JSON".to_owned()] {
            let answer = http(&Method::POST, &url, &headers, &body).await;
            assert_eq!((answer.status, answer.reason.as_str()), (401, "UNAUTHENTICATED"), "{name}");
        }
    }
    // Nothing of it was even looked at.
    let ops = format!("http://{}/events/malformed", server.addresses().ops);
    assert_eq!(http(&Method::GET, &ops, &Vec::new(), "").await.json(), json!([]));
    for secret in [SECRET, "another good secret"] {
        assert_eq!(http(&Method::POST, &url, &bearer(secret), &event.to_string()).await.status, 200);
        for (port, method) in &methods {
            // An empty event is malformed; the stream of one has ended well. Neither is a refusal.
            assert_ne!(grpc(port, method, &bearer(secret), b"").await.status, 16, "{method}");
        }
    }
    // A player's port is no way in.
    let other = format!("http://{}", server.addresses().grpc.unwrap());
    for (_, method) in &methods {
        assert_eq!(grpc(&other, method, &bearer(SECRET), b"").await.status, 12);
    }
    server.stop().await;
}
