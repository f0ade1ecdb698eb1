//! Several times more than can be done: as much is done as before, and the rest is refused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use super::rig::{Rig, ask};

/// The store does 50 reads a second, whatever the machine is busy with: few enough that refusing
/// four times as many costs a debug build next to nothing.
const AT_ONCE: usize = 4;
const TIME: Duration = Duration::from_millis(80);

#[derive(Debug, Default)]
struct Counts {
    good: AtomicUsize,
    shed: AtomicUsize,
    other: AtomicUsize,
}

/// Offers so many browses a second, whatever becomes of them. How many were good in time, per
/// second; how many were refused, and how many came to anything else.
async fn offer(rig: &Rig, rate: u128, length: Duration) -> (u128, usize, usize) {
    let counts = Arc::new(Counts::default());
    let (to, begun) = (rig.http(), Instant::now());
    let mut requests = JoinSet::new();
    let mut sent = 0;
    while begun.elapsed() < length {
        let due = usize::try_from(begun.elapsed().as_millis() * rate / 1000).expect("not so many");
        for _ in sent..due {
            let counts = counts.clone();
            requests.spawn(async move {
                let answer = ask(to, "GET", "/challenge/v1/challenges", "p", "").await;
                let count = match answer.status {
                    200 => &counts.good,
                    429 => &counts.shed,
                    _ => &counts.other,
                };
                count.fetch_add(1, Ordering::Relaxed);
            });
        }
        sent = sent.max(due);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Within the time only: what is done later is of no use to anybody.
    let good = counts.good.load(Ordering::Relaxed) as u128 * 1000 / begun.elapsed().as_millis();
    while requests.join_next().await.transpose().expect("no panic").is_some() {}
    (good, counts.shed.load(Ordering::Relaxed), counts.other.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread")]
async fn five_times_too_much_costs_no_goodput_and_leaves_nothing_behind() {
    let rig = Rig::paced(AT_ONCE, TIME, |config| {
        config.admission.reads = 32;
        config.admission.read_time = Duration::from_secs(60);
    })
    .await;
    let length = Duration::from_secs(2);
    // A neighbour that takes the cores for a while spoils one try, and not all of them.
    let mut tries = 0..5;
    loop {
        assert!(tries.next().is_some(), "the goodput is gone each time");
        let (peak, _, other) = offer(&rig, 50, length).await;
        assert_eq!(other, 0);
        let (good, shed, other) = offer(&rig, 250, length).await;
        println!("at capacity {peak}/s, at five times as much {good}/s and {shed} refused");
        assert_eq!(other, 0, "what is not done is refused as overload");
        if good * 10 >= peak * 8 && shed > 0 {
            break;
        }
    }
    let (_, shed, other) = offer(&rig, 12, length).await;
    assert_eq!((shed, other), (0, 0), "it is over when the load is gone");
    rig.server.stop().await;
}
