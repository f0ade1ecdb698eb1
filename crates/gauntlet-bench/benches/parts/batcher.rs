//! The shards over a store in memory: queues, group commit and rules without network and disk.

use std::sync::Arc;

use divan::{Bencher, counter::ItemsCount};
use gauntlet_server::door::Batcher;
use gauntlet_store::{MemoryStore, PlayerKey, Store, Write};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::rig;

const PLAYERS: u32 = 1_000;

fn key(player: u32) -> PlayerKey {
    PlayerKey { player: format!("player-{player}"), namespace: "gauntlet".into() }
}

async fn batcher(shards: usize) -> Batcher {
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
            due: gauntlet_store::Due::Keep,
            at: rig::context(&catalogue, 0).now,
        };
        store.commit(&[write]).await.expect("memory");
    }
    Batcher::start(Arc::new(store), catalogue, "gauntlet", shards)
}

/// 1,000 events of as many players at once, each awaited.
#[divan::bench(args = [1, 2])]
fn a_thousand_events_by_shards(bencher: Bencher<'_, '_>, count: usize) {
    let runtime = Runtime::new().expect("a runtime");
    let batcher = runtime.block_on(batcher(count));
    let mut seconds = 10;
    bencher.counter(ItemsCount::new(PLAYERS)).bench_local(|| {
        runtime.block_on(async {
            let mut running = JoinSet::new();
            for player in 0..PLAYERS {
                seconds += 1;
                let (shards, event) = (batcher.shards(), rig::event(seconds));
                running.spawn(async move { shards.event(key(player), event).await });
            }
            while let Some(answer) = running.join_next().await {
                answer.expect("no panic").expect("counted");
            }
        });
    });
    runtime.block_on(batcher.close());
}
