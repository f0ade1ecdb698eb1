//! Clients that ask the same over HTTP and gRPC, for tests that do many things at once.

use std::{io, sync::Arc, time::Duration};

use gauntlet_proto::{
    rpc,
    service::{self, service_client::ServiceClient},
    statistic::{
        StatItem, StatItemUpdated,
        statistic_stat_item_updated_service_client::StatisticStatItemUpdatedServiceClient as Stats,
    },
};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Status, transport::Channel};

use crate::process::{Http, of};

/// `arena/hits` adds up, `arena/win` is completed by one event, `choice` is there to select from,
/// `pulse/beat` adds up and is assigned to nobody.
pub(crate) const CATALOGUE: &str = include_str!("catalogue.json");

/// What a player may ask.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Initialize,
    Active { challenge: &'static str, goal: String, active: bool },
    Select { challenge: &'static str, goals: Vec<String>, replace: bool },
    Draw { challenge: &'static str, count: i32, replace: bool, exclude_active: bool },
    Claim { challenge: &'static str, goal: String },
    Browse,
}

impl Ask {
    pub(crate) fn claim(goal: &str) -> Self {
        Self::Claim { challenge: "arena", goal: goal.into() }
    }

    pub(crate) fn select(goals: &[&str]) -> Self {
        let goals = goals.iter().map(|goal| (*goal).to_owned()).collect();
        Self::Select { challenge: "choice", goals, replace: true }
    }

    /// Method, path and body over HTTP.
    pub(crate) fn http(&self) -> (&'static str, String, String) {
        let challenges = "/v1/challenges";
        match self {
            Self::Initialize => ("POST", format!("{challenges}/initialize"), String::new()),
            Self::Active { challenge, goal, active } => (
                "PUT",
                format!("{challenges}/{challenge}/goals/{goal}/active"),
                json!({ "isActive": active }).to_string(),
            ),
            Self::Select { challenge, goals, replace } => (
                "POST",
                format!("{challenges}/{challenge}/goals/batch-select"),
                json!({ "goalIds": goals, "replaceExisting": replace }).to_string(),
            ),
            Self::Draw { challenge, count, replace, exclude_active } => (
                "POST",
                format!("{challenges}/{challenge}/goals/random-select"),
                json!({ "count": count, "replaceExisting": replace, "excludeActive": exclude_active })
                    .to_string(),
            ),
            Self::Claim { challenge, goal } => {
                ("POST", format!("{challenges}/{challenge}/goals/{goal}/claim"), String::new())
            }
            Self::Browse => ("GET", challenges.to_owned(), String::new()),
        }
    }
}

/// An answer in words that do not depend on the face.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// `OK`, or the reason of the refusal.
    pub(crate) reason: String,
    /// The message, or the refusal's metadata.
    pub(crate) body: Value,
}

impl Answer {
    fn good(message: &impl serde::Serialize) -> Self {
        Self { reason: "OK".into(), body: serde_json::to_value(message).expect("JSON") }
    }

    fn of_status(status: &Status) -> Self {
        let details = rpc::Status::decode(status.details()).expect("google.rpc.Status");
        let info = details.details.first().map(|any| any.value.as_slice()).unwrap_or_default();
        let info = rpc::ErrorInfo::decode(info).expect("google.rpc.ErrorInfo");
        // An error of the transport has none.
        let reason = if info.reason.is_empty() { format!("{status:?}") } else { info.reason };
        Self { reason, body: json!(info.metadata) }
    }

    pub(crate) fn ok(&self) -> bool {
        self.reason == "OK"
    }
}

/// A player's client: over gRPC when it has a channel, else over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) base: Arc<str>,
    pub(crate) grpc: Option<Channel>,
    pub(crate) player: String,
}

impl Client {
    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        match &self.grpc {
            None => self.ask_http(&ask).await.expect("an answer over HTTP"),
            Some(channel) => self.ask_grpc(channel.clone(), ask).await,
        }
    }

    pub(crate) async fn ask_http(&self, ask: &Ask) -> io::Result<Answer> {
        let (method, path, body) = ask.http();
        let (status, body) = http(&self.base, &self.player, method, &path, &body).await?;
        if status == 200 {
            return Ok(Answer { reason: "OK".into(), body });
        }
        let info = &body["details"][0];
        let reason = info["reason"].as_str().unwrap_or("no reason").to_owned();
        Ok(Answer { reason, body: info["metadata"].clone() })
    }

    async fn ask_grpc(&self, channel: Channel, ask: Ask) -> Answer {
        let player = self.player.as_str();
        let mut client = ServiceClient::new(channel);
        let answer = match ask {
            Ask::Initialize => {
                let request = of(player, service::InitializeRequest {});
                client.initialize_player(request).await.map(|reply| Answer::good(reply.get_ref()))
            }
            Ask::Active { challenge, goal: goal_id, active: is_active } => {
                let challenge_id = challenge.into();
                let request = of(player, service::SetGoalActiveRequest { challenge_id, goal_id, is_active });
                client.set_goal_active(request).await.map(|reply| Answer::good(reply.get_ref()))
            }
            Ask::Select { challenge, goals: goal_ids, replace: replace_existing } => {
                let challenge_id = challenge.into();
                let request =
                    of(player, service::BatchSelectRequest { challenge_id, goal_ids, replace_existing });
                client.batch_select_goals(request).await.map(|reply| Answer::good(reply.get_ref()))
            }
            Ask::Draw { challenge, count, replace: replace_existing, exclude_active } => {
                let challenge_id = challenge.into();
                let request =
                    service::RandomSelectRequest { challenge_id, count, replace_existing, exclude_active };
                client
                    .random_select_goals(of(player, request))
                    .await
                    .map(|reply| Answer::good(reply.get_ref()))
            }
            Ask::Claim { challenge, goal: goal_id } => {
                let challenge_id = challenge.into();
                let request = of(player, service::ClaimRewardRequest { challenge_id, goal_id });
                client.claim_goal_reward(request).await.map(|reply| Answer::good(reply.get_ref()))
            }
            Ask::Browse => {
                let request = of(player, service::GetChallengesRequest { active_only: false });
                client.get_user_challenges(request).await.map(|reply| Answer::good(reply.get_ref()))
            }
        };
        answer.unwrap_or_else(|status| Answer::of_status(&status))
    }

    /// A goal as the player sees it.
    pub(crate) async fn goal(&self, id: &str) -> Value {
        let seen = self.ask(Ask::Browse).await;
        let challenges = seen.body["challenges"].as_array().unwrap_or_else(|| panic!("{seen:?}"));
        let mut goals = challenges.iter().filter_map(|challenge| challenge["goals"].as_array()).flatten();
        goals.find(|goal| goal["goalId"] == id).unwrap_or_else(|| panic!("no {id}: {seen:?}")).clone()
    }

    /// The ids of a challenge's active goals.
    pub(crate) async fn active(&self, challenge: &str) -> Vec<String> {
        let seen = self.ask(Ask::Browse).await;
        let challenges = seen.body["challenges"].as_array().unwrap_or_else(|| panic!("{seen:?}"));
        let found = challenges.iter().find(|seen| seen["challengeId"] == challenge).expect("it exists");
        let goals = found["goals"].as_array().expect("goals").iter();
        goals
            .filter(|goal| goal["isActive"] == true)
            .map(|goal| goal["goalId"].as_str().expect("an id").to_owned())
            .collect()
    }
}

/// One request over a connection of its own.
pub(crate) async fn http(
    base: &str,
    player: &str,
    method: &str,
    path: &str,
    body: &str,
) -> io::Result<(u16, Value)> {
    let (address, request) = http_request(base, player, method, path, body);
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, format!("half a reply: {reply:?}"));
    let (head, body) = reply.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    Ok((status, serde_json::from_str(body).map_err(|_| cut())?))
}

/// The address and the bytes of a request.
pub(crate) fn http_request<'a>(
    base: &'a str,
    player: &str,
    method: &str,
    path: &str,
    body: &str,
) -> (&'a str, String) {
    let rest = base.strip_prefix("http://").expect("an http URL");
    let (address, prefix) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let length = body.len();
    let request = format!(
        "{method} {prefix}{path} HTTP/1.1\r\nhost: {address}\r\nx-mock-user-id: {player}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    (address, request)
}

/// An event that adds one to a statistic.
pub(crate) fn one(player: &str, stat: &str, id: &str) -> StatItemUpdated {
    StatItemUpdated {
        id: id.into(),
        user_id: player.into(),
        payload: Some(StatItem {
            stat_code: stat.into(),
            latest_value: 1.0,
            inc: 1.0,
            ..StatItem::default()
        }),
        ..StatItemUpdated::default()
    }
}

/// Sends an event, with the deadline that the platform sets.
pub(crate) async fn send(channel: &Channel, event: StatItemUpdated) -> Result<(), Status> {
    let mut request = tonic::Request::new(event);
    request.set_timeout(Duration::from_secs(10));
    Stats::new(channel.clone()).on_message(request).await.map(drop)
}

/// The sum of a figure's samples whose line begins with `name`.
pub(crate) fn figure(ops: &str, name: &str) -> f64 {
    let metrics = Http { base: ops, player: "" }.get("/metrics").body;
    let text = metrics.as_str().unwrap_or_else(|| panic!("no metrics: {metrics}"));
    let samples = text.lines().filter(|line| line.starts_with(name));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Asks again and again until it holds, and fails with the last state after a minute.
pub(crate) async fn until<T: std::fmt::Debug, F: Future<Output = T>>(
    mut state: impl FnMut() -> F,
    holds: impl Fn(&T) -> bool,
) -> T {
    let started = std::time::Instant::now();
    loop {
        let seen = state().await;
        if holds(&seen) {
            return seen;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it stayed {seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
