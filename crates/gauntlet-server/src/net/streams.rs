//! Who works on the requests of one HTTP/2 connection.
//!
//! Large ones get a task each, so that one connection can use every core. Small ones (events, and
//! what the gate has refused) are worked on by the connection's own task: a task for each, waking
//! it, and writing each answer by itself as soon as it is there, would cost more than the request
//! does. What has become ready together is answered together, with one call of the kernel.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::task::coop::unconstrained;
use tokio_util::task::TaskTracker;

thread_local! {
    /// Whether the request that hyper has just handed to the service is small. hyper runs its task
    /// next, on the same thread.
    static SMALL: Cell<bool> = const { Cell::new(false) };
}

/// Tells whether the request at hand is small.
pub(super) fn mark(small: bool) {
    SMALL.set(small);
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes the requests of one connection from hyper.
#[derive(Clone)]
pub(super) struct Streams {
    /// Large ones, of all connections of the listener.
    tasks: TaskTracker,
    /// Small ones that the connection's task has not looked at yet.
    small: Arc<Mutex<Vec<Task>>>,
}

impl Streams {
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { tasks, small: Arc::default() }
    }

    fn take(&self) -> Vec<Task> {
        std::mem::take(&mut *self.small.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a connection with its small requests, which end with it.
    pub(super) async fn run<C: Future>(self, connection: C) -> C::Output {
        let mut connection = pin!(connection);
        let mut running = FuturesUnordered::<Task>::new();
        poll_fn(|cx| {
            loop {
                // Answers first, so that the connection writes them all at once. Tokio's budget for
                // one task would end that after 128 of them.
                let mut ready = pin!(unconstrained(poll_fn(|cx| {
                    while let Poll::Ready(Some(())) = running.poll_next_unpin(cx) {}
                    Poll::Ready(())
                })));
                let _always = ready.as_mut().poll(cx);
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    return Poll::Ready(ended);
                }
                let small = self.take();
                if small.is_empty() {
                    return Poll::Pending;
                }
                running.extend(small);
            }
        })
        .await
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        if SMALL.take() {
            self.small.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(task));
        } else {
            self.tasks.spawn(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use hyper::rt::Executor as _;

    use super::*;

    /// Requests that wait for something else, for a while, or not at all.
    async fn request(number: usize, done: Arc<AtomicUsize>) {
        match number % 3 {
            0 => {}
            1 => tokio::task::yield_now().await,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
        done.fetch_add(1, Ordering::Relaxed);
    }

    #[tokio::test]
    async fn every_request_is_worked_on_to_its_end() {
        let (tasks, done) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
        let streams = Streams::new(tasks.clone());
        let connection = async {
            for number in 0..600 {
                mark(number % 4 > 0);
                streams.execute(request(number, done.clone()));
                if number % 50 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            assert!(tasks.len() <= 150, "small requests have no task");
            while done.load(Ordering::Relaxed) < 600 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), streams.clone().run(connection))
            .await
            .expect("all end");
    }

    #[tokio::test]
    async fn small_requests_end_with_their_connection() {
        let held = Arc::new(());
        let streams = Streams::new(TaskTracker::new());
        let connection = async {
            let holds = held.clone();
            mark(true);
            streams.execute(async move {
                std::future::pending::<()>().await;
                drop(holds);
            });
            tokio::task::yield_now().await;
            assert_eq!(Arc::strong_count(&held), 2);
        };
        streams.clone().run(connection).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
