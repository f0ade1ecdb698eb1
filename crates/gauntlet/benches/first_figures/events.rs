//! Events acknowledged after their commit, beside a gRPC echo of the same message.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use gauntlet_domain::catalogue::{GeneratePlan, generate, to_json};
use gauntlet_proto::statistic::{StatItem, StatItemUpdated};
use gauntlet_testkit::PgCluster;

use crate::{
    LENGTH, TURNS,
    load::{connect, frame, grpc, run},
    process::Server,
    table::{Sample, Table},
};

const PLAYERS: u64 = 10_000;
const CONNECTIONS: usize = 4;
const STREAMS: usize = 125;

/// 500 calls in flight, 10,000 players with 10 active goals each, both stores, and catalogues of
/// 50 and 5,000 goals.
pub(crate) async fn measure(table: &mut Table, postgres: &PgCluster) {
    let folder = tempfile::tempdir().expect("a folder");
    for goals in [50, 5_000] {
        let catalogue = folder.path().join(format!("{goals}.json"));
        let plan = GeneratePlan {
            challenges: 10,
            goals_per_challenge: goals / 10,
            default_goals: 10,
            daily_challenge_goals: 0,
            ..GeneratePlan::default()
        };
        let definition = generate(&plan).expect("a plan");
        std::fs::write(&catalogue, to_json(&definition)).expect("written");
        let database = postgres.database().await;
        let sqlite = format!("sqlite:{}", folder.path().join(format!("{goals}.db")).display());
        for (name, store) in [("SQLite", sqlite.as_str()), ("PostgreSQL", database.url.as_str())] {
            let (mut products, mut floors) = (Vec::new(), Vec::new());
            let product = Server::product(store, catalogue.to_str().expect("UTF-8"));
            initialize(&product).await;
            let floor = Server::floor(0);
            for _ in 0..TURNS {
                floors.push(load(&floor).await);
                products.push(load(&product).await);
            }
            table.add(&format!("events, {name}, catalogue of {goals} goals"), &products, &floors);
        }
    }
}

async fn load(server: &Server) -> Sample {
    let numbers = Arc::new(AtomicU64::new(first_number()));
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = connect(server.events).await;
        for _ in 0..STREAMS {
            let (connection, numbers) = (connection.clone(), numbers.clone());
            clients.push(move || {
                let (mut connection, number) = (connection.clone(), numbers.fetch_add(1, Ordering::Relaxed));
                async move { grpc(&mut connection, stat_path(), "", event(number)).await }
            });
        }
    }
    run(server, LENGTH, clients).await
}

/// Event ids must not come twice over all turns.
fn first_number() -> u64 {
    static TURN: AtomicU64 = AtomicU64::new(1);
    TURN.fetch_add(1, Ordering::Relaxed) << 40
}

fn stat_path() -> http::Uri {
    http::Uri::from_static("http://x/accelbyte.social.statistic.v1.StatisticStatItemUpdatedService/OnMessage")
}

fn event(number: u64) -> Bytes {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let stats = gauntlet_domain::catalogue::LOAD_STATS;
    let event = StatItemUpdated {
        id: format!("{number:x}"),
        user_id: format!("player-{}", mixed % PLAYERS),
        payload: Some(StatItem {
            stat_code: stats[usize::try_from(mixed / PLAYERS).unwrap_or(0) % stats.len()].to_string(),
            latest_value: (mixed % 1_000) as f64,
            inc: 1.0,
            ..StatItem::default()
        }),
        ..StatItemUpdated::default()
    };
    frame(&prost::Message::encode_to_vec(&event))
}

async fn initialize(server: &Server) {
    let connection = connect(server.grpc).await;
    let uri = http::Uri::from_static("http://x/service.Service/InitializePlayer");
    let tasks: Vec<_> = (0..50)
        .map(|part| {
            let (mut connection, uri) = (connection.clone(), uri.clone());
            tokio::spawn(async move {
                for player in (part..PLAYERS).step_by(50) {
                    let player = format!("player-{player}");
                    assert!(grpc(&mut connection, uri.clone(), &player, frame(&[])).await, "{player}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("initialized");
    }
}
