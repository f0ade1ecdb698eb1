//! Browsing 500 goals, beside a static reply of the same length.

use gauntlet_domain::catalogue::{GeneratePlan, generate, to_json};
use gauntlet_testkit::PgCluster;

use crate::{
    LENGTH, TURNS,
    load::{Http1, run},
    process::Server,
    table::{Sample, Table},
};

const CONNECTIONS: usize = 32;
const PATH: &str = "/challenge/v1/challenges";
const HEADERS: &str = "x-mock-user-id: browser\r\n";

/// 32 connections, one player with 10 active goals out of 500.
pub(crate) async fn measure(table: &mut Table, postgres: &PgCluster) {
    let folder = tempfile::tempdir().expect("a folder");
    let catalogue = folder.path().join("500.json");
    let plan = GeneratePlan { daily_challenge_goals: 0, ..GeneratePlan::default() };
    std::fs::write(&catalogue, to_json(&generate(&plan).expect("a plan"))).expect("written");
    let database = postgres.database().await;
    let sqlite = format!("sqlite:{}", folder.path().join("browse.db").display());
    for (name, store) in [("SQLite", sqlite.as_str()), ("PostgreSQL", database.url.as_str())] {
        let product = Server::product(store, catalogue.to_str().expect("UTF-8"));
        let (status, length) = Http1::connect(product.http).await.get(PATH, HEADERS).await;
        assert_eq!(status, 200);
        let floor = Server::floor(length);
        let (mut products, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            floors.push(load(&floor, "/static", length).await);
            products.push(load(&product, PATH, length).await);
        }
        table.add(&format!("browse, {name}, 500 goals ({} KB)", length / 1_000), &products, &floors);
    }
}

async fn load(server: &Server, path: &'static str, length: usize) -> Sample {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = Http1::connect(server.http).await;
        let connection = std::sync::Arc::new(tokio::sync::Mutex::new(connection));
        clients.push(move || {
            let connection = connection.clone();
            async move { connection.lock().await.get(path, HEADERS).await == (200, length) }
        });
    }
    run(server, LENGTH, clients).await
}
