//! From half of what the service can do to five times as much, and back.

use std::time::Duration;

use gauntlet_domain::catalogue::{GeneratePlan, generate, to_json};
use gauntlet_proto::service::{InitializeRequest, service_client::ServiceClient};
use gauntlet_testkit::PgCluster;
use tokio::task::JoinSet;

use super::generator::{Generator, Outcome, What};
use crate::process::{Process, channel, of};

pub(super) const PLAYERS: u64 = 2_000;

const FACTORS: [f64; 7] = [0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0];
const STEP: Duration = Duration::from_secs(6);

/// The binary over PostgreSQL, with 500 goals and 2,000 players who have 10 of them.
async fn start(cluster: &PgCluster, folder: &std::path::Path) -> Process {
    let plan = GeneratePlan {
        challenges: 10,
        goals_per_challenge: 50,
        default_goals: 10,
        daily_challenge_goals: 0,
        ..GeneratePlan::default()
    };
    let catalogue = folder.join("catalogue.json");
    std::fs::write(&catalogue, to_json(&generate(&plan).expect("a plan"))).expect("is written");
    let database = cluster.database().await;
    let server = Process::start(&database.url, &["--catalogue", catalogue.to_str().expect("UTF-8")]);
    let grpc = channel(&server.grpc).await;
    let mut parts = JoinSet::new();
    for part in 0..50 {
        let mut client = ServiceClient::new(grpc.clone());
        parts.spawn(async move {
            for player in (part..PLAYERS).step_by(50) {
                let request = of(&format!("p{player}"), InitializeRequest::default());
                client.initialize_player(request).await.expect("is initialized");
            }
        });
    }
    while parts.join_next().await.transpose().expect("no panic").is_some() {}
    server
}

/// Most memory that the process ever had, in MB.
fn peak_mb(server: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn show(name: &str, server: &Process, rate: f64, outcome: &Outcome) -> f64 {
    let Outcome { seconds, sent, good, shed, other, unsent, times } = outcome;
    let per_second = |count: usize| count as f64 / seconds;
    println!(
        "| {name} | {rate:.0} | {:.0} | {:.0} | {:.0} | {other} | {unsent} | {:.1} | {:.1} | {} |",
        per_second(*sent),
        per_second(*good),
        per_second(*shed),
        times.value_at_quantile(0.5) as f64 / 1e3,
        times.value_at_quantile(0.99) as f64 / 1e3,
        peak_mb(server),
    );
    per_second(*good)
}

async fn sweep(what: What, open: usize) {
    let cluster = PgCluster::private();
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(&cluster, folder.path()).await;
    let url = if what == What::Browse { &server.http } else { &server.events };
    let address = url.trim_start_matches("http://").split('/').next().expect("an address");
    let generator = Generator::connect(what, address).await;
    println!("{what:?}");
    println!("| load | offered/s | sent/s | good/s | shed/s | other | unsent | p50 ms | p99 ms | peak MB |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    generator.closed(open, STEP / 2).await;
    let closed = generator.closed(open, STEP).await;
    let capacity = show(&format!("closed, {open} open"), &server, 0.0, &closed);
    let (mut peak, mut good) = (0.0_f64, 0.0);
    for factor in FACTORS {
        let outcome = generator.open(capacity * factor, STEP).await;
        good = show(&format!("{factor}"), &server, capacity * factor, &outcome);
        peak = peak.max(good);
    }
    for second in 1..=30 {
        let outcome = generator.open(capacity / 2.0, Duration::from_secs(1)).await;
        if outcome.shed + outcome.other == 0 {
            show(&format!("0.5, second {second} after"), &server, capacity / 2.0, &outcome);
            break;
        }
        assert!(second < 30, "it did not come back: {outcome:?}");
    }
    println!("goodput at five times the capacity: {:.0} % of the peak", good / peak * 100.0);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and both cores; prints its figures"]
async fn a_sweep_of_browses() {
    sweep(What::Browse, 32).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and both cores; prints its figures"]
async fn a_sweep_of_events() {
    sweep(What::Event, 500).await;
}
