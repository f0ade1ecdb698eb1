//! `gauntlet send`: events over gRPC, as the game platform sends them.

use std::time::Duration;

use gauntlet_domain::Timestamp;
use gauntlet_proto::{
    iam::user_authentication_user_logged_in_service_client::UserAuthenticationUserLoggedInServiceClient,
    platform::EventHead, rpc,
    statistic::statistic_stat_item_updated_service_client::StatisticStatItemUpdatedServiceClient,
};
use gauntlet_server::clock::{Clock as _, Random as _, SystemClock, SystemRandom};
use prost::Message as _;
use serde_json::json;
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{Context, small_runtime, tls};
use crate::{
    cli::{SendArgs, SendCommand, SendHow},
    output::{Failure, chain},
    settings::{SendSettings, instant},
};

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Longer than the platform itself waits for an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Sends the events and tells how many were acknowledged.
pub(super) fn run(context: &Context, args: SendArgs) -> Result<(), Failure> {
    let settings = SendSettings::read(&context.layers(args.flags.values)?)?;
    let (SendCommand::Login { how } | SendCommand::Stat { how, .. }) = &args.command;
    let at = how.at.as_deref().map(given_time).transpose()?;
    let (sent, failure) = small_runtime()?.block_on(async {
        match connect(&settings).await {
            Ok(channel) => send_all(channel, &settings, &args.command, how, at).await,
            Err(failure) => (0, Some(failure)),
        }
    });
    if args.json {
        context.output.json(&json!({ "asked": how.count, "acknowledged": sent }))?;
    } else if sent > 0 {
        context.output.data(&format!("acknowledged: {sent} of {}\n", how.count))?;
    }
    failure.map_or(Ok(()), Err)
}

fn given_time(text: &str) -> Result<Timestamp, Failure> {
    instant(text).map_err(|wrong| Failure::new(format!("--at: found {text:?}; {}", wrong.problem)))
}

async fn connect(settings: &SendSettings) -> Result<Channel, Failure> {
    let url = &settings.events;
    let endpoint = Endpoint::from_shared(url.clone())
        .map_err(|error| Failure::caused(format_args!("{url} cannot be used"), &error))?;
    let tls = tls::client(&settings.tls, url)?;
    let endpoint = if url.starts_with("https://") {
        let mut config = ClientTlsConfig::new();
        if let Some(ca) = tls.ca {
            config = config.ca_certificate(Certificate::from_pem(ca));
        }
        if let Some((certificate, key)) = tls.identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        endpoint
            .tls_config(config)
            .map_err(|error| Failure::caused("the certificates cannot be used", &error))?
    } else {
        endpoint
    };
    endpoint.connect_timeout(CONNECT).timeout(ANSWER).connect().await.map_err(|error| {
        Failure::new(format!("cannot reach {url}: {}", chain(&error)))
            .hint("is the service running, and does --events name its events port?")
    })
}

/// Sends until one is not acknowledged; answers how many were, and why the next one was not.
async fn send_all(
    channel: Channel,
    settings: &SendSettings,
    command: &SendCommand,
    how: &SendHow,
    at: Option<Timestamp>,
) -> (u32, Option<Failure>) {
    for sent in 0..how.count {
        let id = how.id.clone().unwrap_or_else(|| format!("{:016x}", SystemRandom.number()));
        let timestamp = at.unwrap_or_else(|| SystemClock.now()).to_rfc3339();
        if let Err(status) = send(channel.clone(), settings, command, id, timestamp).await {
            return (sent, Some(refusal(&status)));
        }
    }
    (how.count, None)
}

async fn send(
    channel: Channel,
    settings: &SendSettings,
    command: &SendCommand,
    id: String,
    timestamp: String,
) -> Result<(), Status> {
    let (namespace, user_id) = (settings.namespace.clone(), settings.player.clone());
    let head = EventHead { id, namespace, user_id, timestamp };
    match command {
        SendCommand::Login { .. } => {
            UserAuthenticationUserLoggedInServiceClient::new(channel)
                .on_message(authorized(settings, head.login())?)
                .await?;
        }
        SendCommand::Stat { stat, value, inc, .. } => {
            StatisticStatItemUpdatedServiceClient::new(channel)
                .on_message(authorized(settings, head.stat(stat, *value, *inc))?)
                .await?;
        }
    }
    Ok(())
}

/// A request that shows the secret of the events port, if there is one.
fn authorized<T>(settings: &SendSettings, message: T) -> Result<Request<T>, Status> {
    let mut request = Request::new(message);
    if let Some(token) = &settings.tls.token {
        let mut value: MetadataValue<_> = format!("Bearer {token}")
            .parse()
            .map_err(|_| Status::invalid_argument("--token cannot be sent in a header"))?;
        value.set_sensitive(true);
        request.metadata_mut().insert("authorization", value);
    }
    Ok(request)
}

fn refusal(status: &Status) -> Failure {
    let reason = reason(status).unwrap_or_else(|| format!("{:?}", status.code()));
    Failure::new(format!("not acknowledged: {reason}: {}", status.message()))
}

/// The reason in the details of an error, if the server gave one.
fn reason(status: &Status) -> Option<String> {
    let details = rpc::Status::decode(status.details()).ok()?.details;
    let info = details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.ErrorInfo"))?;
    rpc::ErrorInfo::decode(info.value.as_slice()).ok().map(|info| info.reason)
}
