//! Which tasks run, and what each is at: a list for whoever looks at a running server.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

tokio::task_local! {
    static TASK: Arc<Entry>;
}

/// Notes what the current task is at, until it notes something else: what it waits for from here
/// on, in a few words. Nothing is noted outside of the tasks that [`super::Tasks`] owns.
pub(crate) fn at(what: &'static str) {
    // Beyond tasks there is nobody to show it.
    let _outside = TASK.try_with(|task| *lock(&task.at) = (what, Instant::now()));
}

/// A task as it was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Its kind.
    pub(crate) name: &'static str,
    /// How long ago it was started.
    pub(crate) age: Duration,
    /// How often it was polled.
    pub(crate) polls: u64,
    /// How long it has worked, in polls that have ended.
    pub(crate) busy: Duration,
    /// How long the poll takes that it is in; `None`: it waits.
    pub(crate) polling: Option<Duration>,
    /// What it noted last, if it noted anything, and how long ago.
    pub(crate) at: Option<(&'static str, Duration)>,
}

/// Tasks that have not ended, in the order in which they were started.
#[derive(Debug, Clone, Default)]
pub(super) struct List(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: AtomicU64,
    tasks: Mutex<BTreeMap<u64, Arc<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    name: &'static str,
    since: Instant,
    polls: AtomicU64,
    /// Nanoseconds.
    busy: AtomicU64,
    /// When the current poll began, in nanoseconds since the start and never 0; 0: there is none.
    polling: AtomicU64,
    at: Mutex<(&'static str, Instant)>,
}

/// Takes a task off the list when it has ended, however it ended.
struct Place {
    list: List,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.list.0.tasks).remove(&self.number);
    }
}

impl List {
    pub(super) fn seen(&self) -> Vec<Seen> {
        let tasks: Vec<_> = lock(&self.0.tasks).values().cloned().collect();
        tasks.iter().map(|task| task.seen()).collect()
    }
}

impl Entry {
    fn seen(&self) -> Seen {
        let age = self.since.elapsed();
        let polling = self.polling.load(Ordering::Relaxed);
        let (what, noted) = *lock(&self.at);
        Seen {
            name: self.name,
            age,
            polls: self.polls.load(Ordering::Relaxed),
            busy: Duration::from_nanos(self.busy.load(Ordering::Relaxed)),
            polling: (polling > 0).then(|| age.saturating_sub(Duration::from_nanos(polling))),
            at: (!what.is_empty()).then(|| (what, noted.elapsed())),
        }
    }

    /// Counts and times one poll.
    fn poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        let nanos = |from: Instant, to: Instant| u64::try_from((to - from).as_nanos()).unwrap_or(u64::MAX);
        let began = Instant::now();
        // One thread at a time polls a task.
        self.polls.fetch_add(1, Ordering::Relaxed);
        self.polling.store(nanos(self.since, began).max(1), Ordering::Relaxed);
        let polled = poll();
        self.polling.store(0, Ordering::Relaxed);
        self.busy.fetch_add(nanos(began, Instant::now()), Ordering::Relaxed);
        polled
    }
}

/// Runs a task on the list.
pub(super) fn listed(
    list: List,
    name: &'static str,
    work: impl Future<Output = ()>,
) -> impl Future<Output = ()> {
    let now = Instant::now();
    let entry = Arc::new(Entry {
        name,
        since: now,
        polls: AtomicU64::new(0),
        busy: AtomicU64::new(0),
        polling: AtomicU64::new(0),
        at: Mutex::new(("", now)),
    });
    let number = list.0.next.fetch_add(1, Ordering::Relaxed);
    lock(&list.0.tasks).insert(number, Arc::clone(&entry));
    let place = Place { list, number };
    async move {
        let _place = place;
        let mut work = pin!(TASK.scope(Arc::clone(&entry), work));
        poll_fn(|context| entry.poll(|| work.as_mut().poll(context))).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;
    use crate::lifecycle::Tasks;

    #[tokio::test(start_paused = true)]
    async fn a_task_is_seen_from_its_start_to_its_end() {
        let (tasks, go) = (Tasks::new(), Arc::new(Notify::new()));
        let wait = Arc::clone(&go);
        tasks.spawn("pump", async move {
            at("the first stroke");
            wait.notified().await;
            at("the second stroke");
            wait.notified().await;
        });
        at("nothing: this is no task of ours");
        tokio::time::sleep(Duration::from_secs(5)).await;
        let [first] = tasks.seen()[..] else { panic!("{:?}", tasks.seen()) };
        assert_eq!((first.name, first.age, first.polls), ("pump", Duration::from_secs(5), 1));
        assert_eq!(first.at, Some(("the first stroke", Duration::from_secs(5))));
        assert_eq!(first.polling, None);
        go.notify_one();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let [second] = tasks.seen()[..] else { panic!("{:?}", tasks.seen()) };
        assert_eq!((second.at, second.polls), (Some(("the second stroke", Duration::from_secs(2))), 2));
        go.notify_one();
        tasks.finished().await;
        assert!(tasks.seen().is_empty());
    }

    #[tokio::test]
    async fn a_task_that_panics_or_was_never_polled_leaves_the_list() {
        let tasks = Tasks::new();
        tasks.spawn("pump", async { panic!("on purpose") });
        tasks.finished().await;
        assert!(tasks.seen().is_empty());
        let list = List::default();
        let unpolled = listed(list.clone(), "pump", async {});
        assert_eq!(list.seen().len(), 1);
        drop(unpolled);
        assert!(list.seen().is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_task_that_blocks_its_thread_is_seen_in_its_poll() {
        let tasks = Tasks::new();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        tasks.spawn("stuck", async move {
            let _closed = wait.recv();
        });
        loop {
            let [seen] = tasks.seen()[..] else { panic!("{:?}", tasks.seen()) };
            if seen.polling.is_some_and(|polling| polling >= Duration::from_millis(5)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(go);
        tasks.finished().await;
    }
}
