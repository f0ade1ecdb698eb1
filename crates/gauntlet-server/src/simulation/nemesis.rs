//! Who breaks things, on purpose and at random times.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    ground::Dice,
    world::{World, skew},
};

/// Breaks things until the storm is over, and mends them all.
pub(super) async fn rage(world: &World) {
    let dice = Dice::new(world.profile.seed, "nemesis");
    let start = Instant::now();
    while start.elapsed() < world.profile.storm {
        sleep(dice.millis(20..world.profile.respite)).await;
        strike(world, &dice).await;
    }
    world.calm_down();
    for at in 0..world.replicas.len() {
        // Whatever was under way there: a fresh start.
        if dice.chance(500) {
            world.crash(at).await;
        } else {
            world.stop(at).await;
        }
        world.start(at).await;
    }
}

async fn strike(world: &World, dice: &Dice) {
    let at = dice.index(world.replicas.len());
    let replica = &world.replicas[at];
    match dice.below(10) {
        0..=2 => {
            world.crash(at).await;
            sleep(dice.millis(0..1_500)).await;
            world.start(at).await;
        }
        3 => {
            world.stop(at).await;
            world.start(at).await;
        }
        4 => {
            world.trace.note(format_args!("r{at} is cut off"));
            replica.cut.store(true, Ordering::SeqCst);
            sleep(dice.millis(50..3_000)).await;
            replica.cut.store(false, Ordering::SeqCst);
        }
        5 => {
            let cut =
                |down| world.replicas.iter().for_each(|replica| replica.cut.store(down, Ordering::SeqCst));
            world.trace.note("the database is down");
            cut(true);
            sleep(dice.millis(50..4_000)).await;
            cut(false);
        }
        6 => {
            world.database.poisoned.store(true, Ordering::SeqCst);
            sleep(dice.millis(200..3_000)).await;
            world.database.poisoned.store(false, Ordering::SeqCst);
        }
        7 => {
            // Every replica at once: what is in the store is all there is.
            for at in 0..world.replicas.len() {
                world.crash(at).await;
            }
            for at in 0..world.replicas.len() {
                world.start(at).await;
            }
        }
        _ => {
            let wrong = skew(dice);
            world.trace.note(format_args!("r{at}'s clock is wrong by {wrong} ms"));
            replica.clock.step_to(wrong);
            sleep(Duration::from_millis(1)).await;
        }
    }
}
