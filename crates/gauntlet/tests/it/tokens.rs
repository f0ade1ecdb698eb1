//! Sign-in by token, on the real binary and an issuer of its own.

use crate::{clients::until, process::Process};

// The same issuer as in the tests of the server.
#[path = "../../../gauntlet-server/tests/it/access/issuer.rs"]
#[expect(dead_code, reason = "its forgeries are for the matrix there")]
mod issuer;

use issuer::{Issuer, Key};
use serde_json::{Value, json};

/// Far enough away: the binary's clock is the machine's.
const END: u64 = 32_503_680_000;

fn claims(player: &str) -> Value {
    json!({"sub": player, "iss": "https://iam", "aud": "game", "namespace": "arena", "exp": END})
}

/// Status and entity tag of a call.
fn ask(server: &Process, method: &str, path: &str, token: &str) -> (u16, String) {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", server.http))
        .header("content-type", "application/json")
        // A token decides, whatever else a caller says.
        .header("x-mock-user-id", "bob")
        .header("authorization", format!("Bearer {token}"))
        .body("")
        .expect("a request");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let reply = tokio::task::block_in_place(|| agent.run(request)).expect("a reply");
    let etag = reply.headers().get("etag").map(|tag| tag.to_str().expect("ASCII").to_owned());
    (reply.status().as_u16(), etag.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_checks_tokens_with_keys_that_come_and_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("sqlite:{}", folder.path().join("g.db").display());
    let (old, new) = (Key::rsa("old"), Key::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let server = Process::start(
        &store,
        &[
            ["--auth", "jwt", "--jwks-url", &issuer.url],
            ["--jwt-issuer", "https://iam", "--jwt-audience", "game"],
            ["--namespace", "arena", "--jwt-namespace-claim", "namespace"],
            ["--jwks-refresh", "1s", "--jwks-max-age", "4s"],
        ]
        .concat(),
    );
    let list = "/v1/challenges";
    let browse = |token: &str| ask(&server, "GET", list, token);
    let (ann, bob) = (old.token(&claims("ann")), old.token(&claims("bob")));

    // A token is its player, and nobody else's.
    let empty = browse(&bob).1;
    assert_eq!(ask(&server, "POST", "/v1/challenges/initialize", &ann).0, 200);
    assert_eq!(browse(&ann).0, 200);
    assert_eq!(browse(&bob).1, empty, "ann's call was not bob's, whatever its headers said");
    assert_ne!(browse(&ann).1, empty);
    let mut foreign = claims("ann");
    foreign["namespace"] = json!("other");
    assert_eq!(browse(&old.token(&foreign)).0, 403);
    foreign = claims("ann");
    foreign["exp"] = json!(1_700_000_000);
    for token in [old.token(&foreign), Key::rsa("old").token(&claims("ann")), String::from("abc")] {
        assert_eq!(browse(&token).0, 401);
    }

    // Keys change: the new one comes in, the old one goes, without a restart.
    let status = |key: &Key, wanted: u16| {
        let token = key.token(&claims("ann"));
        let server = &server;
        async move { until(async || ask(server, "GET", list, &token).0, |seen| *seen == wanted).await }
    };
    issuer.publish(&[&old, &new]);
    status(&new, 200).await;
    issuer.publish(&[&new]);
    status(&old, 401).await;
    assert_eq!(browse(&new.token(&claims("ann"))).0, 200);

    // Without an issuer the last keys are good for a while, then nobody gets in.
    issuer.set_down(true);
    assert_eq!(browse(&new.token(&claims("ann"))).0, 200);
    status(&new, 503).await;
    issuer.set_down(false);
    status(&new, 200).await;
    server.stop();
}
