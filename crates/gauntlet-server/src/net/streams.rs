//! The tasks of HTTP/2 requests: one for each, so that they can be waited for, and one for all
//! that the gate has just refused.
//!
//! A refusal is ready at once. A task of its own would cost more than the refusal does, and
//! writing it on the spot, where the connection is read, would cost a call of the kernel for
//! each. So refusals are gathered while the connection is read, and one task answers them
//! together.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};

use tokio_util::task::TaskTracker;

thread_local! {
    /// Whether the request that hyper has just handed to the service was refused. hyper runs its
    /// task next, on the same thread.
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// Tells whether the request at hand was refused.
pub(super) fn mark(refused: bool) {
    REFUSED.set(refused);
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs the tasks of one listener's HTTP/2 requests.
#[derive(Clone)]
pub(super) struct Streams {
    tasks: TaskTracker,
    refused: Arc<Mutex<Vec<Task>>>,
}

impl Streams {
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { tasks, refused: Arc::default() }
    }

    fn refused(&self) -> std::sync::MutexGuard<'_, Vec<Task>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all refusals that were gathered.
    async fn answer(self) {
        let refused = std::mem::take(&mut *self.refused());
        for mut task in refused {
            let ended = poll_fn(|cx| Poll::Ready(task.as_mut().poll(cx).is_ready())).await;
            if !ended {
                // Its peer has no room for the answer.
                self.tasks.spawn(task);
            }
        }
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        if !REFUSED.take() {
            self.tasks.spawn(task);
            return;
        }
        let mut refused = self.refused();
        refused.push(Box::pin(task));
        let is_first = refused.len() == 1;
        drop(refused);
        if is_first {
            self.tasks.spawn(self.clone().answer());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use hyper::rt::Executor as _;

    use super::*;

    #[tokio::test]
    async fn every_task_ends_refused_or_not_ready_or_not() {
        let (tasks, done) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
        let streams = Streams::new(tasks.clone());
        for number in 0..300 {
            mark(number % 3 > 0);
            let done = done.clone();
            streams.execute(async move {
                if number % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert!(tasks.len() < 300, "refusals share a task");
        tasks.close();
        tasks.wait().await;
        assert_eq!(done.load(Ordering::Relaxed), 300);
    }
}
