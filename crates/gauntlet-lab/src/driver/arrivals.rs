//! The open model: arrivals come when they are due, however long the answers take.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::JoinSet};

use super::{Memory, World, choose, rng, step};
use crate::scenario::Arrivals;

/// How long to look ahead while the rate is zero.
const IDLE: Duration = Duration::from_millis(10);

/// Lets arrivals come from `start` until the run ends, then waits for those under way.
/// `number`: which of the scenario's arrivals; `players`: to choose from.
pub(crate) async fn drive(
    world: Arc<World>,
    arrivals: Arc<Arrivals>,
    seed: u64,
    number: u64,
    players: u32,
    (start, length): (Instant, Duration),
) {
    let mut rng = rng(seed, u64::MAX - number);
    let places = Arc::new(Semaphore::new(arrivals.in_flight as usize));
    let mut under_way = JoinSet::new();
    let mut due = Duration::ZERO;
    while due < length {
        let rate = arrivals.rate.at(due);
        if rate <= 1e-6 {
            due += IDLE;
            continue;
        }
        let gap = Duration::from_secs_f64(1.0 / rate);
        // Gaps are rounded to nanoseconds: the one that is due at the end is not of this run.
        if due + gap / 2 > length {
            break;
        }
        let intended = start + due;
        // One that is due already is not slept for: behind a stall they come at once, and their
        // latency counts from when they were due.
        if intended > Instant::now() && !world.sleep(intended).await {
            break;
        }
        if world.stopped() {
            break;
        }
        let at = world.since_origin(world.clock.micros(intended));
        {
            let mut recorder = world.recorder();
            recorder.counts.arrivals_due += 1;
            recorder.series.offer(at);
        }
        let (player, steps_seed) = (rng.u32(0..players.max(1)), rng.u64(..));
        match Arc::clone(&places).try_acquire_owned() {
            Err(_full) => world.recorder().counts.undelivered += 1,
            Ok(place) => {
                let (world, arrivals) = (Arc::clone(&world), Arc::clone(&arrivals));
                under_way.spawn(async move {
                    arrive(&world, &arrivals, steps_seed, player, intended).await;
                    drop(place);
                });
            }
        }
        while under_way.try_join_next().is_some() {}
        due += gap;
    }
    while under_way.join_next().await.is_some() {}
}

/// One arrival: the steps of one entry of the mix, without waits.
async fn arrive(world: &World, arrivals: &Arrivals, seed: u64, player: u32, intended: Instant) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let Some(steps) = choose(&mut rng, &arrivals.mix) else { return };
    let mut memory = Memory::default();
    let mut next = intended;
    for part in steps {
        step(world, &mut rng, player, &mut memory, part, next).await;
        next = Instant::now();
    }
}
