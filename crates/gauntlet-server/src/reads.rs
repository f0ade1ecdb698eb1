//! Reads of single players that arrive together share a statement.
//!
//! Asking PostgreSQL for one player costs it about 70 microseconds, and for one of many 9. So
//! readers take all that wait: while one statement is under way the next gathers, a lone read is
//! done at once, and nobody waits for a timer.

use std::{collections::HashMap, sync::Arc};

use gauntlet_store::{Load, PlayerKey, Stored};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    core::Core,
    error::ApiError,
    lifecycle::{Tasks, at},
};

/// Statements that may be under way at one time. With more, each finds fewer players waiting.
const READERS: usize = 2;
/// Players of one statement at most: some 2 milliseconds.
const MOST: usize = 256;
/// Reads that may wait; admission lets in fewer. One more is done alone.
const QUEUE: usize = 1_024;

type Reply = oneshot::Sender<Answer>;
/// A player as read.
type Answer = Result<Option<Stored>, ApiError>;

#[derive(Debug)]
struct Ask {
    key: PlayerKey,
    reply: Reply,
}

/// The way to the readers.
#[derive(Debug)]
pub(crate) struct Reads(mpsc::Sender<Ask>);

impl Reads {
    /// Starts the readers, which end when `stop` is cancelled.
    pub(crate) fn start(core: &Arc<Core>, tasks: &Tasks, stop: &CancellationToken) -> Self {
        let (asks, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..READERS {
            tasks.spawn_until("reader", stop, read(core.clone(), waiting.clone(), stop.clone()));
        }
        Self(asks)
    }

    /// Reads a player; nothing when the readers take no more.
    pub(crate) async fn read(&self, key: &PlayerKey) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Ask { key: key.clone(), reply }).ok()?;
        answer.await.ok()
    }
}

async fn read(core: Arc<Core>, waiting: Arc<Mutex<mpsc::Receiver<Ask>>>, stop: CancellationToken) {
    let mut asks = Vec::with_capacity(MOST);
    loop {
        at("reads to come");
        let gathered = async { waiting.lock().await.recv_many(&mut asks, MOST).await };
        match stop.run_until_cancelled(gathered).await {
            None | Some(0) => return,
            Some(_) => answer(&core, asks.drain(..)).await,
        }
    }
}

async fn answer(core: &Core, asks: impl Iterator<Item = Ask>) {
    let mut players: HashMap<PlayerKey, Vec<Reply>> = HashMap::new();
    // Nobody waits for those that are closed any more.
    for Ask { key, reply } in asks.filter(|ask| !ask.reply.is_closed()) {
        players.entry(key).or_default().push(reply);
    }
    let (loads, replies): (Vec<Load>, Vec<Vec<Reply>>) =
        players.into_iter().map(|(key, replies)| (whole(key), replies)).unzip();
    if loads.is_empty() {
        return;
    }
    at("reading players");
    match core.store().load(&loads).await {
        Ok(loaded) => {
            for (replies, loaded) in replies.into_iter().zip(loaded) {
                tell(replies, loaded.stored.map_err(|error| core.failed(&error)));
            }
        }
        // One of the players is the culprit.
        Err(error) if !error.is_transient() && loads.len() > 1 => {
            for (replies, load) in replies.into_iter().zip(loads) {
                tell(replies, alone(core, load.key).await);
            }
        }
        Err(error) => {
            let error = core.failed(&error);
            for replies in replies {
                tell(replies, Err(error.clone()));
            }
        }
    }
}

fn whole(key: PlayerKey) -> Load {
    Load { key, settled: true, receipts: false }
}

/// Reads one player in a statement of its own.
pub(crate) async fn alone(core: &Core, key: PlayerKey) -> Answer {
    let loaded = core.store().load(&[whole(key)]).await;
    let stored = match loaded.map(|mut loaded| loaded.pop()) {
        Ok(Some(loaded)) => loaded.stored,
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    stored.map_err(|error| core.failed(&error))
}

fn tell(mut replies: Vec<Reply>, answer: Answer) {
    let last = replies.pop();
    for reply in replies {
        // A caller who has gone away misses nothing.
        drop(reply.send(answer.clone()));
    }
    if let Some(last) = last {
        drop(last.send(answer));
    }
}

#[cfg(test)]
mod tests;
