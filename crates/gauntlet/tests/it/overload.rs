//! A database that dies under load, and connections to it that somebody ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gauntlet_testkit::PgCluster;
use tokio::task::JoinSet;
use tonic::{Code, transport::Channel};

use crate::{
    clients::{figure, one, send, until},
    process::channel,
    races::start,
};

const SENDERS: usize = 32;

#[derive(Debug, Default)]
struct Counts {
    good: AtomicUsize,
    refused: AtomicUsize,
    other: AtomicUsize,
    /// The slowest refusal since this was last set to 0, in microseconds.
    slowest: AtomicUsize,
    stop: AtomicBool,
}

impl Counts {
    async fn good(&self) -> usize {
        self.good.load(Ordering::Relaxed)
    }

    async fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Senders that each send one event after the other, until they are stopped.
fn load(events: &Channel, counts: &Arc<Counts>) -> JoinSet<()> {
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (events, counts) = (events.clone(), counts.clone());
        senders.spawn(async move {
            for number in 0.. {
                if counts.stop.load(Ordering::Relaxed) {
                    break;
                }
                let begun = Instant::now();
                let sent =
                    send(&events, one(&format!("p{sender}"), "hits", &format!("{sender}-{number}"))).await;
                let took = usize::try_from(begun.elapsed().as_micros()).expect("short");
                match sent {
                    Ok(()) => counts.good.fetch_add(1, Ordering::Relaxed),
                    Err(status) if status.code() == Code::Unavailable => {
                        counts.slowest.fetch_max(took, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        counts.refused.fetch_add(1, Ordering::Relaxed)
                    }
                    Err(status) => {
                        println!("{status:?}");
                        counts.other.fetch_add(1, Ordering::Relaxed)
                    }
                };
            }
        });
    }
    senders
}

async fn stop(counts: &Counts, mut senders: JoinSet<()>) {
    counts.stop.store(true, Ordering::Relaxed);
    while senders.join_next().await.transpose().expect("no panic").is_some() {}
    assert_eq!(counts.other.load(Ordering::Relaxed), 0);
}

const LEFT_ALONE: &str = r#"gauntlet_sheds_total{kind="breaker"}"#;
const ERRORS: &str = "gauntlet_store_errors_total";

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_database_is_left_alone_and_found_again() {
    let cluster = PgCluster::private();
    let database = cluster.database().await;
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(&database.url, folder.path());
    let (events, counts) = (channel(&server.events).await, Arc::new(Counts::default()));
    let senders = load(&events, &counts);
    let shed = || async { figure(&server.ops, LEFT_ALONE) };
    until(|| counts.good(), |good| *good > 200).await;
    let errors = figure(&server.ops, ERRORS);
    tokio::task::block_in_place(|| cluster.stop());
    let died = Instant::now();
    until(shed, |shed| *shed >= 100.0).await;
    let (opened, first) = (died.elapsed(), counts.slowest.swap(0, Ordering::Relaxed));
    let (before, asked_first) = (counts.refused().await, figure(&server.ops, ERRORS) - errors);
    until(|| counts.refused(), |refused| *refused >= before + 2_000).await;
    let asked = figure(&server.ops, ERRORS) - errors - asked_first;
    let slowest = counts.slowest.load(Ordering::Relaxed);
    tokio::task::block_in_place(|| cluster.start());
    let (back, before) = (Instant::now(), counts.good().await);
    until(|| counts.good(), |good| *good > before).await;
    println!(
        "first refusals took {first} us at most, all were left alone after {opened:?} and {asked_first} calls; \
         then refusals took {slowest} us at most, and the database was asked {asked} times for 2,000 of them; \
         back after {:?}",
        back.elapsed(),
    );
    until(|| counts.good(), |good| *good > before + 200).await;
    stop(&counts, senders).await;
    // What was under way breaks, and one more of each kind tells that nobody listens.
    assert!(asked_first <= 20.0, "a database that is gone was asked {asked_first} times");
    assert!(asked <= 200.0, "a dead database was asked {asked} times for 2,000 refusals");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_somebody_ends_is_nobody_elses_matter() {
    let cluster = PgCluster::private();
    let database = cluster.database().await;
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(&database.url, folder.path());
    let (events, counts) = (channel(&server.events).await, Arc::new(Counts::default()));
    let senders = load(&events, &counts);
    let mut ended = 0;
    for _ in 0..20 {
        let before = counts.good().await;
        until(|| counts.good(), |good| *good > before + 50).await;
        ended += usize::from(database.end_a_session().await);
    }
    stop(&counts, senders).await;
    let (refused, left_alone) = (counts.refused().await, figure(&server.ops, LEFT_ALONE).abs());
    println!(
        "{ended} connections were ended: {refused} refusals, and the database was left alone {left_alone} times"
    );
    assert!(ended >= 10);
    assert!(left_alone < 1.0);
    // Those of one batch at most.
    assert!(refused <= ended * SENDERS);
    server.stop();
}
