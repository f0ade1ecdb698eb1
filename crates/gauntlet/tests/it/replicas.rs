//! Two processes on one PostgreSQL that fight over the same players.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use gauntlet_testkit::PgCluster;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::{
    clients::{Ask, Client, figure, one, send},
    process::{Process, channel},
    races::start,
};

struct Pair {
    processes: [Process; 2],
    events: [Channel; 2],
    _folder: tempfile::TempDir,
}

impl Pair {
    async fn new() -> Self {
        let database = PgCluster::shared().database().await;
        let folder = tempfile::tempdir().expect("a folder");
        let processes = [start(&database.url, folder.path()), start(&database.url, folder.path())];
        let events = [channel(&processes[0].events).await, channel(&processes[1].events).await];
        Self { processes, events, _folder: folder }
    }

    /// A player's client of the first or the second process.
    fn client(&self, at: usize, player: &str) -> Client {
        Client { base: self.processes[at].http.as_str().into(), grpc: None, player: player.into() }
    }

    fn conflicts(&self) -> f64 {
        self.processes.iter().map(|process| figure(&process.ops, "gauntlet_conflicts_total")).sum()
    }

    fn stop(self) {
        for process in self.processes {
            process.stop();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_from_two_replicas_are_counted_exactly() {
    fight(4, 150).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints its figures"]
async fn many_increments_from_two_replicas_are_counted_exactly() {
    fight(4, 10_000).await;
}

/// `events` events for each player: each goes to one replica, and every fifth to the other as
/// well, at the same time. What is refused is sent again.
async fn fight(players: usize, events: usize) {
    let pair = Pair::new().await;
    for player in 0..players {
        assert!(pair.client(0, &format!("p{player}")).ask(Ask::Initialize).await.ok());
    }
    let next = Arc::new(AtomicUsize::new(0));
    let refused = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..64 {
        let (next, refused, channels) = (next.clone(), refused.clone(), pair.events.clone());
        senders.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= players * events {
                    return;
                }
                let (player, event) = (format!("p{}", number % players), format!("e{number}"));
                let deliver = |at: usize| {
                    let (player, event, refused) = (player.clone(), event.clone(), refused.clone());
                    let channel = channels[at].clone();
                    async move {
                        while let Err(status) = send(&channel, one(&player, "hits", &event)).await {
                            assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                };
                let at = number / players % 2;
                if number % 5 == 0 {
                    tokio::join!(deliver(at), deliver(1 - at));
                } else {
                    deliver(at).await;
                }
            }
        });
    }
    senders.join_all().await;
    for player in 0..players {
        for at in 0..2 {
            let goal = pair.client(at, &format!("p{player}")).goal("hits").await;
            assert_eq!(goal["progress"], events, "player {player} seen by replica {at}");
        }
    }
    let (conflicts, refused) = (pair.conflicts(), refused.load(Ordering::Relaxed));
    println!(
        "{players} players, {events} events each: {conflicts} conflicts, {refused} refused and sent again"
    );
    assert!(conflicts > 0.0, "the replicas never met: this tests nothing");
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_after_an_activation_elsewhere_counts() {
    activations(40).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints its figures"]
async fn many_events_after_activations_elsewhere_count() {
    activations(3_000).await;
}

/// One replica puts a goal on and off while the other is full of events that it does not count
/// (OK without a write). The first event that is sent after an activation was acknowledged must
/// count, and none that is sent between "off" and "on".
async fn activations(rounds: i64) {
    let pair = Pair::new().await;
    let client = pair.client(0, "p");
    let put = async |active| {
        let answer = client.ask(Ask::Active { challenge: "pulse", goal: "beat".into(), active }).await;
        assert!(answer.ok(), "{answer:?}");
    };
    let noise = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    // Of another statistic of the same player: replica 1 has a batch with the player all the time.
    for sender in 0..8 {
        let (channel, noise) = (pair.events[1].clone(), noise.clone());
        senders.spawn(async move {
            loop {
                let number = noise.fetch_add(1, Ordering::Relaxed);
                // A refusal is as good as an answer here.
                let _any = send(&channel, one("p", "hits", &format!("n{sender}-{number}"))).await;
            }
        });
    }
    for round in 0..rounds {
        put(true).await;
        send(&pair.events[1], one("p", "beats", &format!("on{round}"))).await.expect("OK");
        let seen = client.goal("beat").await;
        assert_eq!(seen["progress"], round + 1, "the event of round {round} is lost");
        put(false).await;
        send(&pair.events[1], one("p", "beats", &format!("off{round}"))).await.expect("OK");
        let seen = client.goal("beat").await;
        assert_eq!(seen["progress"], round + 1, "an event counted for a goal that was off");
    }
    senders.shutdown().await;
    println!("{rounds} activations beside {} other events", noise.load(Ordering::Relaxed));
    pair.stop();
}
