//! A whole small world in one thread and simulated time: replicas over one database that breaks,
//! a reward platform that breaks, clocks that are wrong, processes that die, and players who
//! remember what they were told.
//!
//! Everything that happens is decided by a seed, so that every fault can be repeated:
//!
//! ```text
//! GAUNTLET_SEED=17 cargo test -p gauntlet-server simulation::one_seed -- --ignored --nocapture
//! ```
//!
//! At the end of each seed the world must agree with what everybody was told: see `verdict`.
//! What is simulated: slow, unavailable and refusing databases, lost requests and replies, commits
//! that arrive after their writer was told that nobody knows, races between replicas, crashes at
//! any point, orderly stops, clocks that differ by up to two seconds and step, platforms of each
//! class that lose answers and act late, clients that hang up and ask again, events that come
//! twice, at once, out of order. What is not: the databases themselves, listeners and sockets.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle},
    time::{sleep, timeout},
};

use ground::Profile;
use players::Someone;
use world::World;

mod database;
mod designer;
mod ground;
mod nemesis;
mod platform;
mod players;
mod verdict;
mod world;

/// Simulated time within which everybody must have been answered and every grant must have ended.
const CONVERGENCE: Duration = Duration::from_secs(1_800);

/// What one seed came to.
#[derive(Debug, Default)]
struct Outcome {
    seed: u64,
    trace: String,
    faults: Vec<String>,
    figures: Figures,
}

/// Sums for the report.
#[derive(Debug, Default, Clone, Copy)]
struct Figures {
    seeds: u64,
    quiet: u64,
    events: u64,
    commits: u64,
    /// Those of seeds with faults.
    stormy_commits: u64,
    replies_lost: u64,
    requests_lost: u64,
    late: u64,
    late_landed: u64,
    conflicts: u64,
    rejected: u64,
    locked: u64,
    crashes: u64,
    stops: u64,
    grants: u64,
    /// Catalogues that came into use after the first.
    changes: u64,
    simulated_seconds: u64,
}

impl Figures {
    fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.quiet += other.quiet;
        self.events += other.events;
        self.commits += other.commits;
        self.stormy_commits += other.stormy_commits;
        self.replies_lost += other.replies_lost;
        self.requests_lost += other.requests_lost;
        self.late += other.late;
        self.late_landed += other.late_landed;
        self.conflicts += other.conflicts;
        self.rejected += other.rejected;
        self.locked += other.locked;
        self.crashes += other.crashes;
        self.stops += other.stops;
        self.grants += other.grants;
        self.changes += other.changes;
        self.simulated_seconds += other.simulated_seconds;
    }
}

/// Runs the world of a seed to its end.
fn run(seed: u64) -> Outcome {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(live(seed))
}

async fn live(seed: u64) -> Outcome {
    let world = Arc::new(World::new(Profile::of(seed), &designer::catalogue(1)));
    for at in 0..world.replicas.len() {
        world.start(at).await;
    }
    let someone = |number: usize| Arc::new(Someone::new(world.clone(), format!("p{number}")));
    let players: Vec<Arc<Someone>> = (0..world.profile.players).map(someone).collect();
    for player in &players {
        world.players.spawn("player", player.clone().play());
    }
    let designing = world.clone();
    world.players.spawn("designer", async move { designer::design(&designing).await });
    if !world.profile.quiet {
        nemesis::rage(&world).await;
    }
    if timeout(CONVERGENCE, converge(&world, &players)).await.is_err() {
        world.trace.fault("somebody waits for ever");
    }
    for at in 0..world.replicas.len() {
        world.stop(at).await;
    }
    let alive = Handle::current().metrics().num_alive_tasks();
    if alive != 0 {
        world.trace.fault(format_args!("{alive} tasks are left"));
    }
    let grants = verdict::check(&world, &players).await;
    let used = gauntlet_store::Store::used_catalogues(&world.database.inner, 1).await;
    let changes = used.expect("memory answers").len() as u64;
    let figures = figures(&world, &players, grants, changes);
    let (trace, faults) = world.trace.take();
    Outcome { seed, trace, faults, figures }
}

/// Waits until everybody was answered, no grant is under way, and no reward is going to be granted by
/// itself.
async fn converge(world: &World, players: &[Arc<Someone>]) {
    world.players.finished().await;
    let catalogue = world.catalogue().await;
    loop {
        let pending = gauntlet_store::Store::pending_grants(&world.database.inner).await;
        let quiet = pending.is_ok_and(|(count, _)| count == 0);
        if quiet && !verdict::somebody_is_due(world, &catalogue, players).await {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    world.database.tasks.finished().await;
    world.platform.tasks.finished().await;
}

fn figures(world: &World, players: &[Arc<Someone>], grants: u64, changes: u64) -> Figures {
    let tally = &world.database.tally;
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::SeqCst);
    Figures {
        seeds: 1,
        quiet: u64::from(world.profile.quiet),
        events: players.iter().map(|player| player.book().events.len() as u64).sum(),
        commits: read(&tally.commits),
        stormy_commits: if world.profile.quiet { 0 } else { read(&tally.commits) },
        replies_lost: read(&tally.replies_lost),
        requests_lost: read(&tally.requests_lost),
        late: read(&tally.late),
        late_landed: read(&tally.late_landed),
        conflicts: read(&tally.conflicts),
        rejected: read(&tally.rejected),
        locked: read(&tally.locked),
        crashes: read(&world.crashes),
        stops: read(&world.stops),
        grants,
        changes,
        simulated_seconds: u64::try_from(world.trace.millis() / 1_000).unwrap_or(0),
    }
}

/// Says what was wrong, and how to see it again.
fn complain(outcome: &Outcome) -> String {
    format!(
        "seed {}: {} faults, the first of them:\n{}\nrepeat it, with its trace:\nGAUNTLET_SEED={} cargo test -p gauntlet-server simulation::one_seed -- --ignored --nocapture",
        outcome.seed,
        outcome.faults.len(),
        outcome.faults.iter().take(5).cloned().collect::<Vec<_>>().join("\n"),
        outcome.seed
    )
}

/// Runs seeds and answers their sums; panics at the first fault.
fn run_all(seeds: impl Iterator<Item = u64>) -> Figures {
    let mut sum = Figures::default();
    for seed in seeds {
        let outcome = run(seed);
        assert!(outcome.faults.is_empty(), "{}", complain(&outcome));
        sum.add(&outcome.figures);
    }
    sum
}

#[cfg(test)]
mod tests;
