//! The closed model: a user begins the next session when the last one has ended.

use std::{sync::atomic::Ordering, time::Instant};

use super::{Memory, World, between, rng, step};
use crate::scenario::Users;

/// Plays one user: waits for its turn of the ramp, then one session after the other until they are
/// done or the run ends.
pub(crate) async fn drive(world: &World, users: &Users, seed: u64, number: u32, player: u32, start: Instant) {
    let mut rng = rng(seed, u64::from(player) + 1);
    let mut memory = Memory::default();
    let mut next = start + users.ramp.mul_f64(f64::from(number) / f64::from(users.count.max(1)));
    if !world.sleep(next).await {
        return;
    }
    for _ in 0..users.sessions {
        world.recorder().counts.sessions_begun += 1;
        world.active_users.fetch_add(1, Ordering::Relaxed);
        let mut done = true;
        for part in &users.steps {
            if world.stopped() {
                done = false;
                break;
            }
            step(world, &mut rng, player, &mut memory, part, next).await;
            // The wait begins when the answer is there: that is what makes the model closed.
            next = Instant::now() + between(&mut rng, part.wait);
            if !part.wait.1.is_zero() && !world.sleep(next).await {
                done = false;
                break;
            }
        }
        world.active_users.fetch_sub(1, Ordering::Relaxed);
        let mut recorder = world.recorder();
        recorder.counts.sessions_done += u64::from(done);
        recorder.counts.sessions_cut += u64::from(!done);
        if !done {
            return;
        }
    }
}
