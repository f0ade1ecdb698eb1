//! Replies under way on one connection, so that a peer who does not read them can be let go.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// The replies of one connection that have not left yet, with the times when they were ready.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replies(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: AtomicU64,
    /// Numbers grow with time, so the first is the oldest.
    open: Mutex<BTreeMap<u64, Instant>>,
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reply that has not left yet.
#[derive(Debug)]
pub(crate) struct Reply {
    replies: Replies,
    number: u64,
}

impl Replies {
    /// A reply is ready to leave.
    pub(crate) fn begin(&self) -> Reply {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.0.open().insert(number, Instant::now());
        Reply { replies: self.clone(), number }
    }

    /// Waits until a reply has been on its way for longer than `limit`, up to a quarter more.
    pub(super) async fn late(&self, limit: Duration) {
        loop {
            sleep(limit / 4).await;
            let oldest = self.0.open().first_key_value().map(|(_, since)| *since);
            if oldest.is_some_and(|since| since.elapsed() > limit) {
                return;
            }
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.replies.0.open().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
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
