//! `gauntlet player`: the player API over HTTP, as a game client would use it.

mod show;

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use ureq::{
    Agent,
    http::HeaderValue,
    tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem},
};

use super::{Context, tls};
use crate::{
    cli::{PlayerArgs, PlayerCommand},
    output::{Failure, chain},
    settings::{PlayerSettings, percent_encode},
};

/// Longer than any answer should take, so that a server that hangs is noticed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Larger than any reply: a challenge list has some 400 bytes a goal.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The header that names the player to a server with mock sign-in.
const PLAYER_HEADER: &str = "x-mock-user-id";

/// One call of the API.
#[derive(Debug, PartialEq)]
struct Call {
    method: &'static str,
    path: String,
    body: Option<Value>,
}

/// Makes the call and shows the reply.
pub(super) fn run(context: &Context, args: PlayerArgs) -> Result<(), Failure> {
    let settings = PlayerSettings::read(&context.layers(args.flags.values)?)?;
    let (status, text) = send(&settings, &call(&args.command))?;
    let reply: Value = serde_json::from_str(&text).map_err(|_| {
        Failure::new(format!("{} answered {status} and no JSON", settings.server))
            .hint("does --server name the player API, with its base path?")
    })?;
    if args.json {
        context.output.data(&format!("{}\n", text.trim_end()))?;
    }
    if !(200..300).contains(&status) {
        return Err(refusal(status, reply));
    }
    if !args.json {
        context.output.data(&show::reply(&args.command, reply)?)?;
    }
    Ok(())
}

/// The call that a command means.
fn call(command: &PlayerCommand) -> Call {
    let challenge = |id: &str| format!("/v1/challenges/{}", percent_encode(id));
    let goal = |id: &str, goal: &str| format!("{}/goals/{}", challenge(id), percent_encode(goal));
    match command {
        PlayerCommand::Init => {
            Call { method: "POST", path: "/v1/challenges/initialize".to_owned(), body: Some(json!({})) }
        }
        PlayerCommand::List { challenge: id, active } => {
            let path = id.as_deref().map_or_else(|| "/v1/challenges".to_owned(), challenge);
            let query = if *active { "?active_only=true" } else { "" };
            Call { method: "GET", path: path + query, body: None }
        }
        PlayerCommand::Select { challenge: id, goals, replace } => Call {
            method: "POST",
            path: challenge(id) + "/goals/batch-select",
            body: Some(json!({ "goalIds": goals, "replaceExisting": replace })),
        },
        PlayerCommand::Draw { challenge: id, count, replace, exclude_active } => Call {
            method: "POST",
            path: challenge(id) + "/goals/random-select",
            body: Some(
                json!({ "count": count, "replaceExisting": replace, "excludeActive": exclude_active }),
            ),
        },
        PlayerCommand::Activate { challenge: id, goal: goal_id, off } => Call {
            method: "PUT",
            path: goal(id, goal_id) + "/active",
            body: Some(json!({ "isActive": !off })),
        },
        PlayerCommand::History { challenge: id, size, page } => {
            let query = format!("/history?page_size={size}&page_token={}", percent_encode(page));
            Call { method: "GET", path: challenge(id) + &query, body: None }
        }
        PlayerCommand::Rotation { challenge: id } => {
            Call { method: "GET", path: challenge(id) + "/rotation", body: None }
        }
        PlayerCommand::Claim { challenge: id, goal: goal_id } => {
            Call { method: "POST", path: goal(id, goal_id) + "/claim", body: Some(json!({})) }
        }
    }
}

/// A client that trusts and shows what the settings say.
fn agent(settings: &PlayerSettings) -> Result<Agent, Failure> {
    let tls = tls::client(&settings.tls, &settings.server)?;
    let mut config = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    if let Some(pem) = &tls.ca {
        let read: Result<Vec<Certificate<'static>>, ureq::Error> = parse_pem(pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            })
            .collect();
        let read = read.map_err(|error| Failure::caused("--ca cannot be used", &error))?;
        config = config.root_certs(RootCerts::Specific(Arc::new(read)));
    }
    if let Some((certificate, key)) = &tls.identity {
        let bad =
            |what| move |error: ureq::Error| Failure::caused(format_args!("--{what} cannot be used"), &error);
        let chain = Certificate::from_pem(certificate).map_err(bad("client-cert"))?;
        let key = PrivateKey::from_pem(key).map_err(bad("client-key"))?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&[chain], key)));
    }
    Ok(Agent::config_builder()
        .tls_config(config.build())
        .http_status_as_error(false)
        // The default is a proxy from environment variables that are not among our settings.
        .proxy(None)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .build()
        .into())
}

/// The header that proves who the player is.
fn proof(settings: &PlayerSettings) -> Result<(&'static str, HeaderValue), Failure> {
    if let Some(token) = &settings.tls.token {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Failure::new("--token: it cannot be sent in a header"))?;
        value.set_sensitive(true);
        return Ok(("authorization", value));
    }
    // As bytes: a text could only be ASCII, and ids are not.
    let player = settings.player.as_deref().unwrap_or_default();
    HeaderValue::from_bytes(player.as_bytes())
        .map(|value| (PLAYER_HEADER, value))
        .map_err(|_| Failure::new("--player: the id cannot be sent in a header"))
}

/// Makes a call; answers the status and the body, whatever the status.
fn send(settings: &PlayerSettings, call: &Call) -> Result<(u16, String), Failure> {
    let agent = agent(settings)?;
    let url = format!("{}{}", settings.server, call.path);
    let failed = |error: ureq::Error| {
        Failure::new(format!("{} {url}: {}", call.method, chain(&error)))
            .hint("is the service running, and does --server name the player API?")
    };
    let (name, value) = proof(settings)?;
    let response = match &call.body {
        None => agent.get(&url).header(name, value).call(),
        Some(body) => {
            let request = if call.method == "PUT" { agent.put(&url) } else { agent.post(&url) };
            request.header(name, value).content_type("application/json").send(body.to_string())
        }
    };
    let mut response = response.map_err(failed)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MOST_BYTES).read_to_string().map_err(failed)?;
    Ok((status, body))
}

/// An error of the API, as its JSON says it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refused {
    message: String,
    details: Vec<Detail>,
}

/// What an error tells a program.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    reason: String,
    metadata: BTreeMap<String, String>,
}

fn refusal(status: u16, reply: Value) -> Failure {
    let refused: Refused = serde_json::from_value(reply).unwrap_or_default();
    let detail = refused.details.into_iter().find(|detail| !detail.reason.is_empty()).unwrap_or_default();
    let reason = if detail.reason.is_empty() { format!("HTTP {status}") } else { detail.reason };
    let mut message = format!("{reason}: {}", refused.message);
    for (key, value) in detail.metadata {
        _ = write!(message, "\n  {key}: {value}");
    }
    let failure = Failure::new(message);
    match reason.as_str() {
        "GOAL_NOT_COMPLETED" => failure.hint("events make progress: see gauntlet send --help"),
        "GOAL_NOT_ACTIVE" => failure.hint("activate it first: gauntlet player activate CHALLENGE GOAL"),
        "CHALLENGE_NOT_FOUND" | "GOAL_NOT_FOUND" => failure.hint("gauntlet player list shows what there is"),
        "UNAUTHENTICATED" => failure
            .hint("--token (GAUNTLET_TOKEN) shows a token; --player alone needs a server with --auth mock"),
        "ROUTE_NOT_FOUND" => failure.hint("does --server name the player API, with its base path?"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_encoded_in_paths() {
        let command = PlayerCommand::Claim { challenge: "a/b?".to_owned(), goal: "ö 1".to_owned() };
        let path = "/v1/challenges/a%2Fb%3F/goals/%C3%B6%201/claim".to_owned();
        assert_eq!(call(&command), Call { method: "POST", path, body: Some(json!({})) });
    }

    #[test]
    fn a_refusal_shows_reason_message_and_metadata() {
        let body = json!({ "code": 9, "message": "not yet", "details": [
            { "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "GOAL_NOT_COMPLETED",
              "domain": "gauntlet", "metadata": { "progress": "3", "target": "10" } } ] });
        let expected = Failure::new("GOAL_NOT_COMPLETED: not yet\n  progress: 3\n  target: 10")
            .hint("events make progress: see gauntlet send --help");
        assert_eq!(refusal(400, body), expected);
        assert_eq!(refusal(502, json!("a proxy's page")), Failure::new("HTTP 502: "));
    }
}
