//! A small server that speaks the public protocols, keeps the rules, and has the faults that a test
//! asks for.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use gauntlet_domain::{
    Catalogue, Command, Context, Effects, Event, EventWhat, GoalNumber, GrantEnd, Player, ReceiptKey, Reply,
    Timestamp,
    catalogue::{Definition, GeneratePlan, generate, to_json},
    count_event, decide, view_goal,
};
use gauntlet_proto::{
    iam::{
        UserLoggedIn,
        user_authentication_user_logged_in_service_server::{
            UserAuthenticationUserLoggedInService, UserAuthenticationUserLoggedInServiceServer,
        },
    },
    statistic::{
        StatItemUpdated,
        statistic_stat_item_updated_service_server::{
            StatisticStatItemUpdatedService, StatisticStatItemUpdatedServiceServer,
        },
    },
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, task::JoinSet};
use tonic::Status;

/// What the stub does wrong.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault, and a stub has any of them")]
pub(crate) struct Faults {
    /// Every claim is refused with 400 and no body, as it was in the run that the specification
    /// tells of.
    pub(crate) refuse_claims: bool,
    /// So many initialize calls, from the first on, find too many clients at the database.
    pub(crate) too_many_clients: u32,
    /// Statistics with these numbers, counted from 1, are acknowledged and lost.
    pub(crate) lose: Vec<u32>,
    /// Grants are sent twice, each time with a key of its own.
    pub(crate) grant_twice: bool,
    /// Browsing shows nothing: for runs whose latencies must be known, because a whole page is slow to
    /// make in a debug build.
    pub(crate) bare: bool,
    /// Every answer over HTTP takes so long.
    pub(crate) delay: Duration,
    /// And longer by this for each second since the first call.
    pub(crate) growth: Duration,
    /// For the last so many milliseconds of each such span since the first call, HTTP answers
    /// wait for the span's end.
    pub(crate) stall: Option<(Duration, Duration)>,
    /// Every 50th call over HTTP fails, in one of six ways in turn, and every 50th statistic.
    pub(crate) seven_failures: bool,
    /// So many calls over HTTP, from the first on, are refused because there is too much to do.
    pub(crate) overloaded: u32,
    /// So many claims are carried out, and answered as if the database had been away.
    pub(crate) lost_answers: u32,
    /// Grants are signed with this secret; without one they are not signed.
    pub(crate) secret: Option<&'static [u8]>,
}

/// A stub that listens. It ends when it is dropped.
pub(crate) struct Stub {
    pub(crate) http: String,
    pub(crate) events: String,
    pub(crate) catalogue: String,
    state: Arc<State>,
    _serving: JoinSet<()>,
}

struct State {
    catalogue: Catalogue,
    players: Mutex<HashMap<String, Player>>,
    faults: Faults,
    webhook: Option<String>,
    initialized: AtomicU32,
    stats: AtomicU32,
    grants: AtomicU32,
    claims: AtomicU32,
    claimed: Mutex<HashSet<(String, String)>>,
    calls: AtomicU32,
    first_call: OnceLock<Instant>,
    /// How long HTTP answers took to make, in microseconds.
    served: Mutex<Vec<u64>>,
}

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the stub is a server of its own")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// One of whom nothing is stored; the default would be one whose settled part is not at hand.
fn unknown_player() -> Player {
    Player::new()
}

/// The catalogue of the tests: goals that one event completes more often than not.
fn definition() -> Definition {
    generate(&GeneratePlan { challenges: 2, goals_per_challenge: 5, ..GeneratePlan::default() }).unwrap()
}

impl Stub {
    pub(crate) async fn start(faults: Faults, webhook: Option<String>) -> Self {
        let definition = definition();
        let catalogue = to_json(&definition);
        let numbers: HashMap<String, GoalNumber> =
            definition.goal_ids().zip(0..).map(|(id, number)| (id.to_owned(), GoalNumber(number))).collect();
        let state = Arc::new(State {
            catalogue: Catalogue::new(definition, 1, &numbers).unwrap(),
            players: Mutex::default(),
            faults,
            webhook,
            initialized: 0.into(),
            stats: 0.into(),
            grants: 0.into(),
            claims: 0.into(),
            claimed: Mutex::default(),
            calls: 0.into(),
            first_call: OnceLock::new(),
            served: Mutex::default(),
        });
        let mut serving = JoinSet::new();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let events = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (http_address, events_address) = (http.local_addr().unwrap(), events.local_addr().unwrap());
        let shared = Arc::clone(&state);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = http.accept().await {
                let state = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(request, Arc::clone(&state)));
                    let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        let port = Port(Arc::clone(&state));
        serving.spawn(async move {
            tonic::transport::Server::builder()
                .add_service(UserAuthenticationUserLoggedInServiceServer::new(port.clone()))
                .add_service(StatisticStatItemUpdatedServiceServer::new(port))
                .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(events))
                .await
                .unwrap();
        });
        let (http, events) = (format!("http://{http_address}/challenge"), format!("http://{events_address}"));
        Self { http, events, catalogue, state, _serving: serving }
    }

    /// The median of how long HTTP answers took to make, in milliseconds.
    pub(crate) fn median_ms(&self) -> f64 {
        let mut served = self.state.served.lock().unwrap().clone();
        served.sort_unstable();
        Duration::from_micros(served[served.len() / 2]).as_secs_f64() * 1000.0
    }

    /// How many claims came in.
    pub(crate) fn claims(&self) -> u64 {
        u64::from(self.state.claims.load(Ordering::SeqCst))
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> io::Result<Response<Full<Bytes>>> {
    let begin = Instant::now();
    let first = *state.first_call.get_or_init(|| begin);
    let number = state.calls.fetch_add(1, Ordering::SeqCst) + 1;
    let (head, body) = request.into_parts();
    let player = head.headers["x-mock-user-id"].to_str().unwrap().to_owned();
    let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap_or_default();
    tokio::time::sleep(state.faults.pause(begin.saturating_duration_since(first))).await;
    let (status, reply) = match state.faults.failure(number) {
        Some(failure) => failure?,
        None => state.route(&head.uri, &player, &body).await,
    };
    let text = if reply.is_null() { String::new() } else { reply.to_string() };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    let took = u64::try_from(begin.elapsed().as_micros()).unwrap();
    state.served.lock().unwrap().push(took);
    Ok(response)
}

fn refusal(status: u16, reason: &str) -> (u16, Value) {
    (status, json!({ "code": 8, "message": "not now", "details": [{ "reason": reason }] }))
}

impl Faults {
    /// How long an answer has to wait that is asked for so long after the first one.
    fn pause(&self, since: Duration) -> Duration {
        let grown = self.delay + self.growth.mul_f64(since.as_secs_f64());
        let Some((span, length)) = self.stall else { return grown };
        let within = Duration::from_secs_f64(since.as_secs_f64() % span.as_secs_f64());
        let left = span.saturating_sub(within);
        if left <= length { left } else { grown }
    }

    /// How a call fails, if it does.
    fn failure(&self, number: u32) -> Option<io::Result<(u16, Value)>> {
        if number <= self.overloaded {
            return Some(Ok(refusal(429, "OVERLOADED")));
        }
        if !self.seven_failures || !number.is_multiple_of(50) {
            return None;
        }
        Some(match number / 50 % 6 {
            0 => Ok((400, Value::Null)),
            1 => Ok(refusal(429, "OVERLOADED")),
            2 => Ok(refusal(503, "STORE_UNAVAILABLE")),
            3 => Ok((500, json!({ "code": 13, "message": format!("deadlock detected (process {number})") }))),
            4 => Err(io::Error::other("the connection is closed without an answer")),
            _ => Ok((200, json!({ "welcome": "to the proxy's front page" }))),
        })
    }
}

impl State {
    async fn route(&self, uri: &http::Uri, player: &str, body: &Value) -> (u16, Value) {
        let path = uri.path().trim_start_matches("/challenge/v1/challenges").to_owned();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            [""] if self.faults.bare => (200, json!({ "challenges": [] })),
            [""] => (200, self.page(player)),
            ["initialize"] => self.initialize(player),
            [challenge, "goals", "batch-select"] => {
                let goals = body["goalIds"].as_array().unwrap();
                let goals = goals.iter().map(|goal| goal.as_str().unwrap().to_owned()).collect();
                let challenge = (*challenge).to_owned();
                self.select(player, &Command::BatchSelect { challenge, goals, replace_existing: false })
            }
            [challenge, "goals", "random-select"] => {
                let count = i32::try_from(body["count"].as_i64().unwrap()).unwrap();
                let challenge = (*challenge).to_owned();
                let draw =
                    Command::RandomSelect { challenge, count, replace_existing: false, exclude_active: true };
                self.select(player, &draw)
            }
            [challenge, "goals", goal, "claim"] => self.claim(player, challenge, goal).await,
            other => panic!("{other:?} is not called"),
        }
    }
}

impl State {
    fn decide(&self, player: &str, command: &Command) -> Reply {
        let mut players = self.players.lock().unwrap();
        let document = players.entry(player.to_owned()).or_insert_with(unknown_player);
        decide(document, command, &self.context(now()), &mut Effects::default()).expect("it is allowed")
    }

    fn context(&self, now: Timestamp) -> Context<'_> {
        Context {
            catalogue: &self.catalogue,
            now,
            seed: u64::from(self.stats.load(Ordering::SeqCst)),
            late_window_ms: 600_000,
        }
    }

    fn page(&self, player: &str) -> Value {
        let players = self.players.lock().unwrap();
        let player = players.get(player);
        let challenges = self.catalogue.challenge_indexes().map(|index| {
            let goals = self.catalogue.goals_of(index).map(|(goal_index, goal)| {
                let view = view_goal(player, &self.catalogue, goal_index, now());
                json!({
                    "goalId": goal.id(),
                    "status": view.status.as_str(),
                    "progress": view.progress,
                    "isActive": view.is_active,
                    "locked": view.locked,
                    "claimState": "",
                })
            });
            json!({ "challengeId": self.catalogue.challenge(index).id, "goals": goals.collect::<Vec<_>>() })
        });
        json!({ "challenges": challenges.collect::<Vec<_>>() })
    }

    fn initialize(&self, player: &str) -> (u16, Value) {
        let number = self.initialized.fetch_add(1, Ordering::SeqCst);
        if number < self.faults.too_many_clients {
            let message = format!("FATAL: sorry, too many clients already (connection {number})");
            return (500, json!({ "code": 13, "message": message, "details": [] }));
        }
        self.decide(player, &Command::Initialize);
        (200, json!({ "assignedGoals": [] }))
    }

    fn select(&self, player: &str, command: &Command) -> (u16, Value) {
        let Reply::Selected { selected, .. } = self.decide(player, command) else { panic!("another reply") };
        let goals = selected.iter().map(|(goal, _)| json!({ "goalId": self.catalogue.goal(*goal).id() }));
        (200, json!({ "selectedGoals": goals.collect::<Vec<_>>() }))
    }

    async fn claim(&self, player: &str, challenge: &str, goal: &str) -> (u16, Value) {
        let number = self.claims.fetch_add(1, Ordering::SeqCst);
        if self.faults.refuse_claims {
            return (400, Value::Null);
        }
        if !self.claimed.lock().unwrap().insert((player.to_owned(), goal.to_owned())) {
            return refusal(409, "GOAL_ALREADY_CLAIMED");
        }
        let begin = Command::BeginClaim { challenge: challenge.to_owned(), goal: goal.to_owned() };
        let Reply::ClaimBegun { order, .. } = self.decide(player, &begin) else { panic!("another reply") };
        self.decide(player, &Command::SettleClaim { key: order.key, end: GrantEnd::Granted });
        for _ in 0..=u32::from(self.faults.grant_twice) {
            let key = self.grants.fetch_add(1, Ordering::SeqCst);
            self.grant(player, goal, key).await;
        }
        if number < self.faults.lost_answers {
            return refusal(503, "STORE_UNAVAILABLE");
        }
        (200, json!({ "goalId": goal, "status": "claimed" }))
    }

    async fn grant(&self, player: &str, goal: &str, key: u32) {
        let Some(url) = &self.webhook else { return };
        let address = url.trim_start_matches("http://").trim_end_matches("/grants");
        let body = json!({ "data": { "playerId": player, "goalId": goal } }).to_string();
        let signature = self.faults.secret.map(|secret| signature(secret, key, &body)).unwrap_or_default();
        let request = format!(
            "POST /grants HTTP/1.1\r\nhost: lab\r\nidempotency-key: gr_{key}\r\nconnection: close\r\n{signature}\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut reply).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 200") || reply.starts_with("HTTP/1.1 401"), "{reply}");
    }

    fn count(&self, player: &str, id: String, at: &str, what: EventWhat) {
        let mut players = self.players.lock().unwrap();
        let Some(document) = players.get_mut(player) else { return };
        let key = ReceiptKey { source: "".into(), kind: "".into(), id };
        let event = Event { what, key, at: Timestamp::parse(at).unwrap() };
        count_event(document, &event, &[], &self.context(now()), &mut Effects::default());
    }
}

/// The headers of Standard Webhooks.
fn signature(secret: &[u8], key: u32, body: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let at = now().millis() / 1000;
    let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let tag = aws_lc_rs::hmac::sign(&hmac, format!("gr_{key}.{at}.{body}").as_bytes());
    let tag = STANDARD.encode(tag);
    format!("webhook-id: gr_{key}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: v1,{tag}\r\n")
}

/// The events port.
#[derive(Clone)]
struct Port(Arc<State>);

#[tonic::async_trait]
impl UserAuthenticationUserLoggedInService for Port {
    async fn on_message(&self, request: tonic::Request<UserLoggedIn>) -> Result<tonic::Response<()>, Status> {
        let event = request.into_inner();
        self.0.count(&event.user_id, event.id, &event.timestamp, EventWhat::Login);
        Ok(tonic::Response::new(()))
    }
}

#[tonic::async_trait]
impl StatisticStatItemUpdatedService for Port {
    async fn on_message(
        &self,
        request: tonic::Request<StatItemUpdated>,
    ) -> Result<tonic::Response<()>, Status> {
        let event = request.into_inner();
        let number = self.0.stats.fetch_add(1, Ordering::SeqCst) + 1;
        if self.0.faults.seven_failures && number.is_multiple_of(50) {
            return Err(Status::unavailable(format!("replica {number} is away")));
        }
        if !self.0.faults.lose.contains(&number) {
            let item = event.payload.unwrap();
            let what =
                EventWhat::Stat { code: item.stat_code, value: item.latest_value, increment: item.inc };
            self.0.count(&event.user_id, event.id, &event.timestamp, what);
        }
        Ok(tonic::Response::new(()))
    }
}
