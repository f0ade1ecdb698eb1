//! What is done before the load: players sign in and get a few events.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use fastrand::Rng;
use gauntlet_domain::catalogue::LOAD_STATS;
use http::Method;
use tokio::{sync::watch, task::JoinSet};

use super::{World, calls, rng};
use crate::{
    Error, Progress,
    book::{Op, What},
    outcome::{Cause, of_http},
    scenario::{Prepare, Scenario},
};

/// Players that are prepared at a time: enough to fill a server's batches.
const AT_A_TIME: u32 = 32;
/// Tries for each call: a run that begins with half of its players would measure something else.
const TRIES: u32 = 3;

/// Prepares the players that the scenario asks for; answers how many.
///
/// # Errors
/// [`Error::Prepare`] when a call keeps failing.
pub(crate) async fn prepare(
    world: &Arc<World>,
    scenario: &Scenario,
    seed: u64,
    progress: &watch::Sender<Progress>,
) -> Result<u32, Error> {
    let first = match scenario.players.prepare {
        Prepare::None => return Ok(0),
        Prepare::Others => scenario.user_count(),
        Prepare::All => 0,
    };
    let (last, each) = (scenario.players.count, scenario.players.events_each);
    let mut workers = JoinSet::new();
    for worker in 0..AT_A_TIME {
        let (world, progress) = (Arc::clone(world), progress.clone());
        workers.spawn(async move {
            let mut rng = rng(seed, 1 << 40 | u64::from(worker));
            let mut player = first + worker;
            while player < last && !world.stopped() {
                one(&world, player, each, &mut rng).await?;
                progress.send_modify(|progress| progress.prepared += 1);
                player += AT_A_TIME;
            }
            Ok::<_, Cause>(())
        });
    }
    while let Some(ended) = workers.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => {
                return Err(Error::Prepare(format!("{}: {}: {}", cause.class, cause.reason, cause.head)));
            }
            Err(lost) => return Err(Error::Prepare(lost.to_string())),
        }
    }
    Ok(last.saturating_sub(first))
}

/// Prepares one player.
async fn one(world: &World, player: u32, events: u32, rng: &mut Rng) -> Result<(), Cause> {
    let name = world.book.player(player);
    let mut tries = 0;
    loop {
        let begin = world.now();
        let path = "/v1/challenges/initialize";
        let answer = world.http.call(Method::POST, path, &name, Bytes::new()).await;
        let end = world.now();
        let cause = match answer {
            Ok(reply) if reply.status == 200 => {
                world.book.write(player, Op { begin, end, sure: true, what: What::Initialize });
                break;
            }
            Ok(reply) => of_http(reply.status, &reply.body),
            Err(cause) => cause,
        };
        tries += 1;
        if tries == TRIES {
            return Err(cause);
        }
    }
    let values: HashMap<&str, u32> = LOAD_STATS.into_iter().map(|code| (code, rng.u32(0..1000))).collect();
    for number in 0..events {
        let code = LOAD_STATS[number as usize % LOAD_STATS.len()];
        let value = values.get(code).copied().unwrap_or_default();
        let mut tries = 0;
        let number = world.event_number.fetch_add(1, Ordering::Relaxed);
        while let Err(cause) = calls::send(world, player, number, Some((code, value))).await.1 {
            tries += 1;
            if tries == TRIES {
                return Err(cause);
            }
        }
    }
    Ok(())
}
