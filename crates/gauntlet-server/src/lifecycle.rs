//! Tasks and their owner: every task is awaited, and the death of a long-lived one stops the
//! server.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

mod list;

use crate::traces;
use list::{List, listed};
pub(crate) use list::{Seen, at};

/// Whether the server takes new work, as probes see it.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<watch::Sender<bool>>);

impl Readiness {
    /// Whether the server takes new work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.0.borrow()
    }

    /// Changes what probes see.
    pub fn set(&self, ready: bool) {
        self.0.send_replace(ready);
    }

    /// Tells of every change, for probes that watch.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}

/// Owns tasks.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    failed: CancellationToken,
    failure: Arc<Mutex<Option<String>>>,
    /// What runs, for whoever looks.
    list: List,
    /// Ends all tasks where they stand, as a killed process would.
    #[cfg(test)]
    killed: CancellationToken,
}

impl Tasks {
    /// An owner without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task that ends by itself, such as one claim. A panic in it is logged and ends
    /// nothing else.
    #[expect(clippy::disallowed_methods, reason = "this is the owner that awaits tasks")]
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let guarded = AssertUnwindSafe(work).catch_unwind();
        let work = async move {
            if guarded.await.is_err() {
                tracing::error!(task = name, "a task panicked");
            }
        };
        #[cfg(test)]
        let work = until_killed(self.killed.clone(), work);
        let work = listed(self.list.clone(), name, work);
        // What a request starts is logged with the request's id, and is in its trace.
        let work = traces::within(traces::here(), work.in_current_span());
        tokio::spawn(self.tracker.track_future(work));
    }

    /// Ends all tasks: none of them takes another step.
    #[cfg(test)]
    pub(crate) fn kill(&self) {
        self.killed.cancel();
    }

    /// Starts a task that lives until `stop` is cancelled. When it ends before, the server has
    /// to stop: [`Tasks::failed`] tells.
    pub fn spawn_until(
        &self,
        name: &'static str,
        stop: &CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let (tasks, stop) = (self.clone(), stop.clone());
        self.spawn(name, async move {
            let panicked = AssertUnwindSafe(work).catch_unwind().await.is_err();
            if panicked || !stop.is_cancelled() {
                let how = if panicked { "panicked" } else { "ended early" };
                tasks.fail(format!("task {name} {how}"));
            }
        });
    }

    /// The tasks that have not ended, oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.list.seen()
    }

    fn fail(&self, why: String) {
        tracing::error!(reason = why, "the server has to stop");
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.failed.cancel();
    }

    /// Waits until a long-lived task has died; answers which and how.
    pub async fn failed(&self) -> String {
        self.failed.cancelled().await;
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone().unwrap_or_default()
    }

    /// Waits until all tasks have ended. Tasks may still be started while it waits.
    pub async fn finished(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Looks before each step whether the task may take it.
#[cfg(test)]
async fn until_killed(killed: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = killed.cancelled() => {}
        () = work => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_death_of_a_long_lived_task_is_told() {
        for panics in [false, true] {
            let (tasks, stop) = (Tasks::new(), CancellationToken::new());
            tasks.spawn_until("pump", &stop, async move { assert!(!panics, "on purpose") });
            let why = tasks.failed().await;
            assert_eq!(why, if panics { "task pump panicked" } else { "task pump ended early" });
            tasks.finished().await;
        }
    }

    #[tokio::test]
    async fn a_task_that_was_told_to_stop_is_no_failure() {
        let (tasks, stop) = (Tasks::new(), CancellationToken::new());
        let told = stop.clone();
        tasks.spawn_until("pump", &stop, async move { told.cancelled().await });
        stop.cancel();
        tasks.finished().await;
        assert!(!tasks.failed.is_cancelled());
    }
}
