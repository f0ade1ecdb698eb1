//! The thread that moves the log to the database file while commits go on.
//!
//! SQLite lets one connection write the log while another moves what is in it. Only when all of it
//! is moved can the log begin anew, so the writer moves the little that was added meanwhile by
//! itself, at the end of a commit.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use rusqlite::{Connection, hooks::Wal};

use super::{
    connection::{failure, open_mover},
    readers::Readers,
};
use crate::{contract::Error, figures::Meter};

/// Pages (of 4 KiB) of log after which it is moved. Pages that were written again and again are
/// moved once, so more is cheaper; but a start after a crash reads all of them.
const MOVE_AFTER: i32 = 2_000;
/// The writer moves what it finds when the thread has fallen behind this far: the log must not
/// grow for good.
const TOO_MANY: i32 = 16 * MOVE_AFTER;

/// The running thread.
#[derive(Debug)]
pub(super) struct Mover(JoinHandle<()>);

impl Mover {
    /// Starts the thread, for the log that `writer` writes.
    pub(super) fn start(
        path: &Path,
        writer: &mut Connection,
        readers: &Arc<Readers>,
        meter: &Arc<Meter>,
    ) -> Result<Self, Error> {
        let connection = open_mover(path)?;
        let (wake, asked) = sync_channel(1);
        let nearly_done = Arc::new(AtomicBool::new(false));
        let (done, times, resting) = (nearly_done.clone(), meter.clone(), readers.clone());
        let thread = thread::Builder::new()
            .name("sqlite-mover".to_owned())
            .spawn(move || run(&connection, &asked, &done, &resting, &times))
            .map_err(|error| Error::Unavailable { operation: "open", source: error.into() })?;
        attach(writer, wake, nearly_done, readers.clone(), meter.clone())?;
        Ok(Self(thread))
    }

    /// Waits for the end of the thread, which comes when the writer's connection is closed.
    pub(super) fn join(self) {
        // It may have panicked; the log is as good as before.
        let _ended = self.0.join();
    }
}

/// Lets the writer's commits call for the thread, and finish what it leaves.
fn attach(
    writer: &mut Connection,
    wake: SyncSender<()>,
    nearly_done: Arc<AtomicBool>,
    readers: Arc<Readers>,
    meter: Arc<Meter>,
) -> Result<(), Error> {
    let hook = move |log: &mut Wal, length: i32| {
        if length < MOVE_AFTER {
            return Ok(());
        }
        if nearly_done.swap(false, Ordering::AcqRel) || length > TOO_MANY {
            let started = Instant::now();
            readers.rest();
            // The commit is done, and the next one tries again: a log that cannot be moved now,
            // for want of room say, is no failure of the commit.
            let _moved = log.checkpoint();
            meter.checkpoints.took(started.elapsed());
        } else {
            // It may be under way.
            let _asked = wake.try_send(());
        }
        Ok(())
    };
    writer.wal_hook(Some(hook)).map_err(|error| failure("open", error))
}

fn run(
    connection: &Connection,
    asked: &Receiver<()>,
    nearly_done: &AtomicBool,
    readers: &Readers,
    meter: &Meter,
) {
    while asked.recv().is_ok() {
        let started = Instant::now();
        readers.rest();
        // As above.
        let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        meter.moves.took(started.elapsed());
        nearly_done.store(moved.is_ok(), Ordering::Release);
    }
}
