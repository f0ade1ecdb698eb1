//! Clients that vanish in the middle of what they ask: connections that are reset at any byte of a
//! request and at any moment of its work. What was asked is done whole or not at all, and nothing
//! is left behind: no task, no connection, no transaction.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use fastrand::Rng;
use gauntlet_domain::catalogue::RewardKind;
use gauntlet_proto::service;
use gauntlet_server::{
    Config, Parts, Server,
    catalogue::prepare,
    clock::{Clock as _, SystemClock, SystemRandom},
    rewards::{GrantAnswer, GrantCall, PlatformClass, RewardAdapter, Search},
};
use gauntlet_store::{
    GrantFilter, GrantState, PgOptions, PgStore, PlayerKey, SqliteOptions, SqliteStore, Store,
};
use gauntlet_testkit::{Database, PgCluster};
use prost::Message as _;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, runtime::Runtime, task::JoinSet};

use crate::{
    clients::{Ask, CATALOGUE, Client, http_request, one, send, until},
    process::channel,
};

const PLAYERS: usize = 40;
/// What players select: whole pairs, so that half a selection shows.
const PAIRS: [[&str; 2]; 3] = [["a", "b"], ["c", "d"], ["e", "f"]];

/// A platform that takes a moment and counts.
#[derive(Debug, Default)]
struct Counting(Mutex<HashMap<String, usize>>);

#[async_trait]
impl RewardAdapter for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }
    fn class(&self, _kind: RewardKind) -> PlatformClass {
        PlatformClass::Neither
    }
    async fn grant(&self, call: &GrantCall) -> GrantAnswer {
        *self.0.lock().expect("not poisoned").entry(call.idempotency_key.clone()).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
        GrantAnswer::Granted
    }
    async fn search(&self, _call: &GrantCall) -> Search {
        Search::NotFound
    }
}

/// A server on a runtime of its own, so that its tasks can be counted.
struct Rig {
    runtime: Runtime,
    server: Server,
    store: Arc<dyn Store>,
    platform: Arc<Counting>,
    pool_has_tasks: bool,
}

impl Rig {
    fn start(store: Arc<dyn Store>, pool_has_tasks: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let platform = Arc::new(Counting::default());
        let (of_server, adapter) = (store.clone(), platform.clone());
        let server = tokio::task::block_in_place(|| {
            runtime.block_on(async {
                of_server.migrate().await.expect("migrated");
                let catalogue =
                    prepare(&*of_server, CATALOGUE, SystemClock.now()).await.expect("a catalogue");
                let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
                let parts = Parts { store: of_server, catalogue, adapter, clock, random };
                Server::start(Config::loopback(), parts).await.expect("started")
            })
        });
        Self { runtime, server, store, platform, pool_has_tasks }
    }

    /// Tasks that live, but for those that drive a connection to the database: the pool may grow.
    fn tasks(&self) -> usize {
        let alive = self.runtime.metrics().num_alive_tasks();
        alive.saturating_sub(if self.pool_has_tasks { self.store.pool_status().open } else { 0 })
    }

    fn base(&self) -> String {
        format!("http://{}/challenge", self.server.addresses().http.expect("the role"))
    }

    fn grpc(&self) -> String {
        format!("http://{}", self.server.addresses().grpc.expect("the role"))
    }

    fn events(&self) -> String {
        format!("http://{}", self.server.addresses().events.expect("the role"))
    }

    fn client(&self, player: usize) -> Client {
        Client { base: self.base().into(), grpc: None, player: format!("p{player}") }
    }

    fn stop(self) {
        let Self { runtime, server, .. } = self;
        tokio::task::block_in_place(|| runtime.block_on(server.stop()));
        runtime.shutdown_background();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_vanish_leave_nothing_behind() {
    vanish(400).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints its figures"]
async fn ten_thousand_clients_that_vanish_leave_nothing_behind() {
    vanish(10_000).await;
}

async fn vanish(count: usize) {
    let database = PgCluster::shared().database().await;
    let postgres = Arc::new(PgStore::connect(&PgOptions::new(&database.url)).expect("good options"));
    vanish_on(postgres, Some(&database), count).await;
    let folder = tempfile::tempdir().expect("a folder");
    let options = SqliteOptions::new(folder.path().join("g.db"));
    vanish_on(Arc::new(SqliteStore::open(&options).expect("opened")), None, count).await;
}

async fn vanish_on(store: Arc<dyn Store>, database: Option<&Database>, count: usize) {
    let rig = Rig::start(store, database.is_some());
    for player in 0..PLAYERS {
        let client = rig.client(player);
        assert!(client.ask(Ask::Initialize).await.ok() && client.ask(Ask::select(&PAIRS[0])).await.ok());
        let events = channel(&rig.events()).await;
        send(&events, one(&client.player, "wins", "w")).await.expect("OK");
    }
    let baseline = quiet(&rig, usize::MAX).await;
    let mut sent: Vec<Vec<String>> = vec![Vec::new(); PLAYERS];
    let mut running = JoinSet::new();
    let mut random = Rng::with_seed(11);
    let mut whole = 0;
    for number in 0..count {
        let player = random.usize(..PLAYERS);
        let request = request(&rig, player, number, &mut sent, &mut random);
        let moment = Duration::from_micros(random.u64(..6_000));
        // Half of the requests are sent whole and left at some moment; the others break off.
        let bytes = request.bytes.len();
        let length = if random.bool() { bytes } else { random.usize(..bytes) };
        whole += usize::from(length == bytes);
        running.spawn(abort(request, length, moment));
        if running.len() >= 16 {
            running.join_next().await.expect("one").expect("no panic");
        }
    }
    running.join_all().await;
    let after = quiet(&rig, baseline).await;
    println!("{count} resets, {whole} of whole requests; tasks before {baseline}, after {after}");
    if let Some(database) = database {
        let sessions = database.sessions().await;
        assert_eq!(sessions.in_transaction, 0, "{sessions:?}");
    }
    consistent(&rig, &sent).await;
    rig.stop();
}

/// Waits until no connection is in use, nobody waits for one, and no more tasks live than `most`.
async fn quiet(rig: &Rig, most: usize) -> usize {
    let state = async || (rig.store.pool_status(), rig.tasks());
    let (_, mut tasks) =
        until(state, |(pool, tasks)| pool.idle == pool.open && pool.waiting == 0 && *tasks <= most).await;
    // The lowest for a while: connections of clients that have gone take a moment to end.
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        tasks = tasks.min(rig.tasks());
    }
    tasks
}

struct Bytes {
    address: String,
    bytes: Vec<u8>,
}

/// A request of any kind. Events are noted, so that they can be delivered again.
fn request(rig: &Rig, player: usize, number: usize, sent: &mut [Vec<String>], random: &mut Rng) -> Bytes {
    let name = format!("p{player}");
    let pair = PAIRS[random.usize(..PAIRS.len())];
    let goals = pair.map(str::to_owned).to_vec();
    let challenge_id = "choice".to_owned();
    let asks = [
        Ask::Initialize,
        Ask::select(&pair),
        Ask::select(&pair),
        Ask::claim("win"),
        Ask::Browse,
        Ask::Active { challenge: "pulse", goal: "beat".into(), active: random.bool() },
    ];
    match random.usize(..10) {
        0..=3 => {
            let (method, path, body) = asks[random.usize(..asks.len())].http();
            let base = rig.base();
            let (address, request) = http_request(&base, &name, method, &path, &body);
            Bytes { address: address.to_owned(), bytes: request.into_bytes() }
        }
        4 => {
            let id = format!("e{number}");
            let event = serde_json::json!({"specversion":"1.0","id":id,"source":"/test","type":"stat.updated",
                "data":{"userId":name,"statCode":"hits","latestValue":1,"inc":1}});
            let base = rig.events();
            let (address, request) = http_request(&base, "", "POST", "/v1/events", &event.to_string());
            // Its source is another one than below, so its id is another event.
            Bytes { address: address.to_owned(), bytes: request.into_bytes() }
        }
        5 | 6 => {
            let id = format!("e{number}");
            let event = one(&name, "hits", &id).encode_to_vec();
            sent[player].push(id);
            let path = "/accelbyte.social.statistic.v1.StatisticStatItemUpdatedService/OnMessage";
            grpc_bytes(&rig.events(), path, &name, &event)
        }
        7 => {
            let message =
                service::BatchSelectRequest { challenge_id, goal_ids: goals, replace_existing: true };
            grpc_bytes(&rig.grpc(), "/service.Service/BatchSelectGoals", &name, &message.encode_to_vec())
        }
        8 => {
            let message = service::ClaimRewardRequest { challenge_id: "arena".into(), goal_id: "win".into() };
            grpc_bytes(&rig.grpc(), "/service.Service/ClaimGoalReward", &name, &message.encode_to_vec())
        }
        _ => {
            let message = service::GetChallengesRequest { active_only: false };
            grpc_bytes(&rig.grpc(), "/service.Service/GetUserChallenges", &name, &message.encode_to_vec())
        }
    }
}

/// A whole connection's bytes of one gRPC call: preface, settings, head and message.
fn grpc_bytes(url: &str, path: &str, player: &str, message: &[u8]) -> Bytes {
    let mut head = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("x-mock-user-id", player),
    ] {
        // A literal that is never indexed, as plain text.
        head.push(0x10);
        for text in [name, value] {
            head.push(u8::try_from(text.len()).expect("short").min(126));
            head.extend(text.as_bytes());
        }
    }
    let mut data = vec![0];
    data.extend(u32::try_from(message.len()).expect("short").to_be_bytes());
    data.extend(message);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    for (kind, flags, stream, payload) in [(4, 0, 0, &[][..]), (1, 4, 1, &head), (0, 1, 1, &data)] {
        bytes.extend(&u32::try_from(payload.len()).expect("short").to_be_bytes()[1..]);
        bytes.extend([kind, flags, 0, 0, 0, stream]);
        bytes.extend(payload);
    }
    Bytes { address: url.strip_prefix("http://").expect("an http URL").to_owned(), bytes }
}

/// Sends so many bytes of a request, waits, and resets the connection.
async fn abort(request: Bytes, length: usize, moment: Duration) {
    let mut stream = TcpStream::connect(&request.address).await.expect("connected");
    stream.set_nodelay(true).expect("set");
    stream.set_zero_linger().expect("set");
    // The server may have ended a connection whose first bytes made no sense.
    let _sent = stream.write_all(&request.bytes[..length]).await;
    tokio::time::sleep(moment).await;
}

/// The state is one that whole requests lead to, and the server serves on.
async fn consistent(rig: &Rig, sent: &[Vec<String>]) {
    let events = channel(&rig.events()).await;
    let mut claimed = 0;
    for (player, sent) in sent.iter().enumerate() {
        let client = rig.client(player);
        let active = client.active("choice").await;
        assert!(PAIRS.iter().any(|pair| active == pair), "p{player}: half a selection: {active:?}");
        // Each event was counted once or not at all: delivered again, all are counted once. Those
        // that came over HTTP have other ids.
        let before = client.goal("hits").await["progress"].as_u64().expect("a number");
        for id in sent {
            send(&events, one(&client.player, "hits", id)).await.expect("OK");
        }
        let once = client.goal("hits").await["progress"].as_u64().expect("a number");
        for id in sent {
            send(&events, one(&client.player, "hits", id)).await.expect("OK");
        }
        assert_eq!(client.goal("hits").await["progress"], once, "p{player}: an event counted twice");
        assert!((before..=before + sent.len() as u64).contains(&once), "p{player}: {before} {once}");
        assert!(once >= sent.len() as u64, "p{player}: {once} of {}", sent.len());
        let key = PlayerKey { player: client.player.clone(), namespace: "gauntlet".into() };
        let filter = GrantFilter { player: Some(key), state: None };
        let grants = rig.store.list_grants(&filter, 10).await.expect("listed");
        let is_claimed = client.goal("win").await["status"] == "claimed";
        assert!(grants.iter().all(|grant| grant.state == GrantState::Granted), "{grants:?}");
        assert_eq!(grants.len(), usize::from(is_claimed), "p{player}: {grants:?}");
        claimed += usize::from(is_claimed);
    }
    let platform = rig.platform.0.lock().expect("not poisoned").clone();
    assert!(platform.values().all(|times| *times == 1), "{platform:?}");
    assert_eq!(platform.len(), claimed);
    assert!(claimed > 0, "no claim came through: this tests little");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_a_grpc_call_are_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = SqliteOptions::new(folder.path().join("g.db"));
    let rig = Rig::start(Arc::new(SqliteStore::open(&options).expect("opened")), false);
    let message = service::BatchSelectRequest {
        challenge_id: "choice".into(),
        goal_ids: vec!["a".into(), "b".into()],
        replace_existing: true,
    };
    let call = grpc_bytes(&rig.grpc(), "/service.Service/BatchSelectGoals", "p1", &message.encode_to_vec());
    let length = call.bytes.len();
    let patience = Duration::from_millis(1);
    let client = rig.client(1);
    // Reset a moment after it was sent: it is carried out all the same, unless the reset overtook it.
    until(
        async || {
            let again = Bytes { address: call.address.clone(), bytes: call.bytes.clone() };
            abort(again, length, patience).await;
            client.active("choice").await
        },
        |active| active == &["a", "b"],
    )
    .await;
    rig.stop();
}
