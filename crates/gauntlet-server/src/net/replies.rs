//! Replies under way on one connection, so that a peer who does not read them can be let go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

/// How often is looked within the limit.
const QUARTERS: u32 = 4;
/// One look more: a reply that is there for this many looks has been for longer than the limit.
const LOOKS: usize = QUARTERS as usize + 1;

/// The replies of one connection that have not left yet, by the look after which they were ready.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replies(Arc<Inner>);

/// Counters and no list: every event has a reply, and hardly any is ever late.
#[derive(Debug, Default)]
struct Inner {
    looks: AtomicUsize,
    /// How many were ready after which look, of the last few. All older ones have left.
    open: [AtomicUsize; LOOKS],
}

/// A reply that has not left yet.
#[derive(Debug)]
pub(crate) struct Reply {
    replies: Replies,
    place: usize,
}

impl Replies {
    /// A reply is ready to leave.
    pub(crate) fn begin(&self) -> Reply {
        let place = self.0.looks.load(Ordering::Relaxed) % self.0.open.len();
        self.0.open[place].fetch_add(1, Ordering::Relaxed);
        Reply { replies: self.clone(), place }
    }

    /// Waits until a reply has been on its way for longer than `limit`, up to a quarter more.
    pub(super) async fn late(&self, limit: Duration) {
        let Inner { looks, open } = &*self.0;
        loop {
            sleep(limit / QUARTERS).await;
            // Before the next look's counter is used, what it counted last has to be gone.
            let look = looks.load(Ordering::Relaxed) + 1;
            if open[look % open.len()].load(Ordering::Relaxed) > 0 {
                return;
            }
            looks.store(look, Ordering::Relaxed);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.replies.0.open[self.place].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_reply_that_stays_is_late() {
        let replies = Replies::default();
        let limit = Duration::from_secs(60);
        for _ in 0..100 {
            let _soon_gone = replies.begin();
            let waited = tokio::time::timeout(Duration::from_secs(10), replies.late(limit)).await;
            assert!(waited.is_err());
        }
        let since = Instant::now();
        let _stays = replies.begin();
        replies.late(limit).await;
        assert!(since.elapsed() > limit && since.elapsed() <= limit * 5 / 4);
    }
}
