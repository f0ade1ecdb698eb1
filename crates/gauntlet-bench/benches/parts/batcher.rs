//! The shards over a store in memory: queues, group commit and rules without network and disk.

use std::{sync::Arc, time::Duration};

use divan::{Bencher, counter::ItemsCount};
use gauntlet_server::{
    clock::{SystemClock, SystemRandom},
    door::{Core, CoreParts},
    lifecycle::Tasks,
    metrics::Metrics,
    shards::{Limits, Shards},
};
use gauntlet_store::{MemoryStore, PlayerKey, Store, Write};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::rig;

const PLAYERS: u32 = 1_000;

fn key(player: u32) -> PlayerKey {
    PlayerKey { player: format!("player-{player}"), namespace: "gauntlet".to_owned() }
}

async fn shards(shards: usize) -> (Shards, Tasks) {
    let catalogue = rig::catalogue(500, 10);
    let store = MemoryStore::default();
    for player in 0..PLAYERS {
        let write = Write {
            key: key(player),
            expected: None,
            player: rig::player(&catalogue),
            settled_changed: false,
            receipts: Vec::new(),
            orders: Vec::new(),
            lease: None,
            results: Vec::new(),
            journal: Vec::new(),
            at: rig::context(&catalogue, 0).now,
        };
        store.commit(&[write]).await.expect("memory");
    }
    let core = Core::new(CoreParts {
        store: Arc::new(store),
        catalogue,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        metrics: Arc::new(Metrics::new()),
        namespace: "gauntlet".to_owned(),
        late_window: Duration::from_secs(600),
        grant_deadline: Duration::from_secs(10),
    });
    let tasks = Tasks::default();
    (Shards::start(Arc::new(core), Limits { shards, ..Limits::default() }, &tasks), tasks)
}

/// 1,000 events of as many players at once, each awaited.
#[divan::bench(args = [1, 2])]
fn a_thousand_events_by_shards(bencher: Bencher<'_, '_>, count: usize) {
    let runtime = Runtime::new().expect("a runtime");
    let (shards, tasks) = runtime.block_on(shards(count));
    let mut seconds = 10;
    bencher.counter(ItemsCount::new(PLAYERS)).bench_local(|| {
        runtime.block_on(async {
            let mut running = JoinSet::new();
            for player in 0..PLAYERS {
                seconds += 1;
                let (shards, event) = (shards.clone(), rig::event(seconds));
                running.spawn(async move { shards.event(key(player), event).await });
            }
            while let Some(answer) = running.join_next().await {
                answer.expect("no panic").expect("counted");
            }
        });
    });
    shards.close();
    runtime.block_on(tasks.finished());
}
