//! The thread that owns the writing connection.

use std::{
    fs::File,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    connection::{commit_failure, failure},
    mover::Mover,
    readers::Commits,
};
use crate::{
    contract::Error,
    crash::{self, Point},
    figures::Meter,
};

type Command = Box<dyn FnOnce(&mut Connection) + Send>;

/// Calls that may wait in front of the thread before the next caller waits for room.
const QUEUE: usize = 64;

/// A handle on the thread. The thread ends when the handle is closed or dropped, after the calls
/// that it has taken; then it closes the connection and gives the file's lock back.
#[derive(Debug)]
pub(super) struct Writer {
    commands: Mutex<Option<mpsc::Sender<Command>>>,
    ended: watch::Receiver<bool>,
    commits: Commits,
    meter: Arc<Meter>,
}

#[derive(Debug, thiserror::Error)]
enum Gone {
    #[error("the store was closed")]
    Closed,
    #[error("the thread that writes has died")]
    Died,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        connection: Connection,
        mover: Option<Mover>,
        lock: File,
        commits: Commits,
        meter: &Arc<Meter>,
    ) -> Result<Self, Error> {
        let (commands, inbox) = mpsc::channel::<Command>(QUEUE);
        let (end, ended) = watch::channel(false);
        let run = move || {
            // Sent when everything below is dropped, by a panic as well.
            let _end = SendAtEnd(end);
            let _lock = lock;
            // Moved in here so that it is closed by then: who saw the end finds no open inbox.
            let mut inbox = inbox;
            let mut connection = connection;
            while let Some(command) = inbox.blocking_recv() {
                command(&mut connection);
            }
            // It ends with the connection that calls for it, and closes the file before the lock
            // is given back.
            drop(connection);
            if let Some(mover) = mover {
                mover.join();
            }
        };
        thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(run)
            .map_err(|error| Error::Unavailable { operation: "open", source: error.into() })?;
        Ok(Self { commands: Mutex::new(Some(commands)), ended, commits, meter: meter.clone() })
    }

    /// Lets `work` use the connection, and waits for its answer.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let gone = |gone: Gone| Error::Unavailable { operation, source: gone.into() };
        let commands = {
            let guard = self.commands.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            guard.clone().ok_or_else(|| gone(Gone::Closed))?
        };
        let (reply, answer) = oneshot::channel();
        let (asked, meter, commits) = (Instant::now(), self.meter.clone(), self.commits.clone());
        let command: Command = Box::new(move |connection| {
            let started = Instant::now();
            meter.writer_wait.took(started - asked);
            let done = work(connection);
            meter.statement(operation, started.elapsed());
            // However it ended: readers that kept a snapshot look again.
            commits.count();
            // A caller that has gone away misses its answer; the work is done all the same.
            let _ = reply.send(done);
        });
        commands.send(command).await.map_err(|_| gone(Gone::Died))?;
        // The thread died over this call, or before it: it may have committed.
        answer.await.unwrap_or_else(|_| Err(Error::Unknown { operation, source: Gone::Died.into() }))
    }

    /// Lets `work` write in a transaction, which is committed when it succeeds and rolled back
    /// when it fails.
    pub(super) async fn transaction<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.run(operation, move |connection| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(|error| failure(operation, error))?;
            // Dropping it rolls back.
            let answer = work(&transaction)?;
            crash::point(Point::BeforeSqliteCommit);
            transaction.commit().map_err(|error| commit_failure(operation, error))?;
            Ok(answer)
        })
        .await
    }

    /// How many calls wait.
    pub(super) fn waiting(&self) -> usize {
        let guard = self.commands.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        guard.as_ref().map_or(0, |commands| commands.max_capacity() - commands.capacity())
    }

    /// Takes no more calls, and waits until the thread has ended.
    pub(super) async fn close(&self) {
        drop(self.commands.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        let mut ended = self.ended.clone();
        // An error means that the thread has gone, too.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

struct SendAtEnd(watch::Sender<bool>);

impl Drop for SendAtEnd {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_died_makes_calls_unavailable() {
        let lock = tempfile::tempfile().expect("a file");
        let writer = Writer::start(
            Connection::open_in_memory().expect("memory"),
            None,
            lock,
            Commits::default(),
            &Arc::default(),
        )
        .expect("starts");
        let died = writer.run::<()>("first", |_| panic!("on purpose")).await;
        assert!(matches!(died, Err(Error::Unknown { operation: "first", .. })), "{died:?}");
        let mut ended = writer.ended.clone();
        ended.wait_for(|ended| *ended).await.expect("the thread ends");
        let after = writer.run("second", |_| Ok(())).await;
        assert!(matches!(after, Err(Error::Unavailable { operation: "second", .. })), "{after:?}");
    }

    #[tokio::test]
    async fn a_failed_transaction_leaves_nothing() {
        let lock = tempfile::tempfile().expect("a file");
        let writer = Writer::start(
            Connection::open_in_memory().expect("memory"),
            None,
            lock,
            Commits::default(),
            &Arc::default(),
        )
        .expect("starts");
        let insert = |transaction: &Transaction<'_>| {
            transaction.execute_batch("INSERT INTO t VALUES (1)").map_err(|error| failure("x", error))
        };
        let create = |transaction: &Transaction<'_>| {
            transaction.execute_batch("CREATE TABLE t (a)").map_err(|error| failure("x", error))
        };
        writer.transaction("x", create).await.expect("created");
        let failed: Result<(), Error> = writer
            .transaction("x", move |transaction| {
                insert(transaction)?;
                Err(Error::Rejected { operation: "x", source: "on purpose".into() })
            })
            .await;
        assert!(failed.is_err());
        let count = |connection: &mut Connection| {
            connection
                .query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
                .map_err(|error| failure("x", error))
        };
        assert_eq!(writer.run("x", count).await.expect("counted"), 0);
        writer.transaction("x", insert).await.expect("inserted");
        assert_eq!(writer.run("x", count).await.expect("counted"), 1);
        writer.close().await;
        assert!(matches!(writer.run("x", count).await, Err(Error::Unavailable { .. })));
    }
}
