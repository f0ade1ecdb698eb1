//! More than the service can do, and a database that dies under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gauntlet_testkit::PgCluster;
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    clients::{figure, one, send, until},
    process::channel,
    races::start,
};

mod generator;
mod sweep;

#[derive(Debug, Default)]
struct Counts {
    good: AtomicUsize,
    refused: AtomicUsize,
    other: AtomicUsize,
    /// The slowest refusal since this was last set to 0, in microseconds.
    slowest: AtomicUsize,
    stop: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_database_is_left_alone_and_found_again() {
    let cluster = PgCluster::private();
    let database = cluster.database().await;
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(&database.url, folder.path());
    let (events, counts) = (channel(&server.events).await, Arc::new(Counts::default()));
    let mut senders = JoinSet::new();
    for sender in 0..32 {
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
    let good = || async { counts.good.load(Ordering::Relaxed) };
    let refused = || async { counts.refused.load(Ordering::Relaxed) };
    let shed = || async { figure(&server.ops, r#"gauntlet_sheds_total{kind="breaker"}"#) };
    until(good, |good| *good > 200).await;
    tokio::task::block_in_place(|| cluster.stop());
    let died = Instant::now();
    until(shed, |shed| *shed >= 100.0).await;
    let (opened, first) = (died.elapsed(), counts.slowest.swap(0, Ordering::Relaxed));
    let (before, errors) = (refused().await, figure(&server.ops, "gauntlet_store_errors_total"));
    until(refused, |refused| *refused >= before + 2_000).await;
    let asked = figure(&server.ops, "gauntlet_store_errors_total") - errors;
    let slowest = counts.slowest.load(Ordering::Relaxed);
    tokio::task::block_in_place(|| cluster.start());
    let (back, before) = (Instant::now(), good().await);
    until(good, |good| *good > before).await;
    println!(
        "first refusals took {first} us at most, all were left alone after {opened:?}; then refusals took \
         {slowest} us at most, and the database was asked {asked} times for 2,000 of them; back after {:?}",
        back.elapsed(),
    );
    until(good, |good| *good > before + 200).await;
    counts.stop.store(true, Ordering::Relaxed);
    while senders.join_next().await.transpose().expect("no panic").is_some() {}
    assert_eq!(counts.other.load(Ordering::Relaxed), 0);
    assert!(asked <= 200.0, "a dead database was asked {asked} times for 2,000 refusals");
    server.stop();
}
