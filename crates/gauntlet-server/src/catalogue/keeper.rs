//! Keeps the catalogue alive: looks for new versions, tells other replicas what is loaded, puts a
//! version into use when all have it, and reads the file again when it is told to or when it has
//! changed.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gauntlet_domain::{
    Timestamp,
    catalogue::{self, Faults},
};
use gauntlet_store::{
    Error as StoreError, Meeting, Replica,
    crash::{self, Point},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Error, register_checked, shelf::FRESH};
use crate::{
    core::{Chain, Core, millis},
    lifecycle::at,
    metrics::Reload,
};

/// How often a process tells what it has loaded and looks for what others have registered.
const ROUND: Duration = Duration::from_secs(1);
/// How long after its last word a replica counts as at work. Longer, and a replica that died holds a
/// new version up; shorter, and one that is only slow is not waited for.
const AT_WORK: Duration = Duration::from_secs(15);
/// How long a version must be known here before it comes into use without a replica that is in the
/// list, dead or not: by then that replica has either heard of it or stopped to trust its own
/// catalogue. It needs no clocks that agree.
const HEARD: Duration = Duration::from_secs(FRESH.as_secs() + ROUND.as_secs());

/// Where the text of the catalogue comes from.
pub trait Source: Send + Sync + std::fmt::Debug {
    /// Reads it.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self) -> io::Result<String>;
}

/// A file, read anew each time. Links are followed each time, so that a folder which is swapped
/// whole is seen.
#[derive(Debug, Clone)]
pub struct FileSource(pub PathBuf);

impl Source for FileSource {
    fn read(&self) -> io::Result<String> {
        let bytes = fs::read(&self.0)?;
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
    }
}

/// A text that does not change.
#[derive(Debug, Clone)]
pub struct FixedSource(pub String);

impl Source for FixedSource {
    fn read(&self) -> io::Result<String> {
        Ok(self.0.clone())
    }
}

/// How the catalogue is kept.
#[derive(Debug, Clone)]
pub struct KeepOptions {
    /// Where its text comes from.
    pub source: Arc<dyn Source>,
    /// How often to look whether the text has changed; `None`: only when somebody asks.
    pub watch: Option<Duration>,
    /// How long a new version waits for replicas that have not loaded it. Too short, and replicas that
    /// are only slow answer *unavailable* for players of others until they have it; too long, and a
    /// replica that hangs keeps everybody from the new version.
    pub deadline: Duration,
}

/// Why a reload has changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file cannot be read.
    #[error("the catalogue cannot be read")]
    Unreadable(#[source] io::Error),
    /// The text has faults.
    #[error("the catalogue has faults")]
    Faulty(#[source] Faults),
    /// The store does not answer.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
    /// A version that is in use could not be loaded.
    #[error("a version of the catalogue cannot be loaded")]
    Version(#[source] Box<Error>),
}

/// How the catalogue stands, as operators ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The version in use here.
    pub version: u32,
    /// The newest version of all.
    pub newest: u32,
    /// Replicas at work that have not loaded the newest version.
    pub waiting_for: Vec<String>,
}

/// Keeps the catalogue of a process.
#[derive(Debug, Clone)]
pub struct Keeper {
    core: Arc<Core>,
    options: KeepOptions,
    /// The newest version that was heard of, and since when.
    known: Arc<Mutex<(u32, Instant)>>,
    /// What the source said when it was last read to be taken over, whoever asked for that.
    read: Arc<Mutex<Option<String>>>,
}

impl Keeper {
    /// The keeper of a process that has begun; until its first round it trusts nothing.
    pub(crate) fn new(core: Arc<Core>, options: KeepOptions) -> Self {
        if core.store().is_shared() {
            core.shelf().may_be_behind();
        }
        let known = Arc::new(Mutex::new((core.shelf().newest(), Instant::now())));
        let read = Arc::new(Mutex::new(options.source.read().ok()));
        Self { core, options, known, read }
    }

    /// Reads the text again and makes it the newest version, unless it is. A faulty text changes
    /// nothing. The new version may wait for other replicas.
    ///
    /// # Errors
    /// A text that cannot be read or has faults, or a store that does not answer.
    pub async fn reload(&self) -> Result<Standing, ReloadError> {
        let text = self.options.source.read().map_err(ReloadError::Unreadable);
        let result = match text {
            Ok(text) => {
                let taken = self.take(&text).await;
                // What the store could not be told is tried again, if somebody watches.
                if !matches!(taken, Err(ReloadError::Store(_))) {
                    *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
                }
                taken
            }
            Err(error) => Err(error),
        };
        self.tell(&result);
        result
    }

    /// How the catalogue stands now.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn standing(&self) -> Result<Standing, ReloadError> {
        let meeting = self.meet().await?;
        Ok(self.standing_of(&meeting))
    }

    async fn take(&self, text: &str) -> Result<Standing, ReloadError> {
        let definition = catalogue::parse(text).map_err(ReloadError::Faulty)?;
        let core = &self.core;
        let wrapped = |error: Error| match error {
            Error::Store(error) => ReloadError::Store(error),
            error => ReloadError::Version(Box::new(error)),
        };
        register_checked(core.store(), &definition, text, core.now()).await.map_err(wrapped)?;
        crash::point(Point::CatalogueRegistered);
        self.round().await
    }

    fn tell(&self, result: &Result<Standing, ReloadError>) {
        let metrics = self.core.metrics();
        match result {
            Ok(standing) => {
                metrics.reload(Reload::Taken);
                let Standing { version, newest, waiting_for } = standing;
                tracing::info!(
                    version,
                    newest,
                    waiting_for = waiting_for.join(" "),
                    "the catalogue was read again"
                );
            }
            Err(ReloadError::Faulty(faults)) => {
                metrics.reload(Reload::Rejected);
                let version = self.core.catalogue().version();
                tracing::error!(
                    faults = faults.count(),
                    first = faults.as_slice().first().map(ToString::to_string),
                    version,
                    "the new catalogue has faults; the one in use stays. `gauntlet catalogue check` lists them"
                );
            }
            Err(error) => {
                metrics.reload(Reload::Failed);
                tracing::error!(error = %Chain(error), "the catalogue could not be reloaded; the one in use stays");
            }
        }
    }

    /// Looks once at how the versions stand, and does what is to be done.
    ///
    /// # Errors
    /// A store that does not answer, or a version in use that cannot be loaded.
    pub(crate) async fn round(&self) -> Result<Standing, ReloadError> {
        let core = &self.core;
        let asked = Instant::now();
        let mut meeting = self.meet().await?;
        self.hear_of(meeting.newest);
        let mut unloaded = None;
        if meeting.newest > core.shelf().newest() {
            match core.shelf().load_next(core.store(), meeting.newest).await {
                // Others need not wait for the next round to hear of it.
                Ok(()) => meeting = self.meet().await?,
                Err(error) => {
                    if core.store().is_shared() {
                        core.shelf().may_be_behind();
                    }
                    unloaded = Some(ReloadError::Version(Box::new(error)));
                }
            }
        }
        let waits = meeting.newest > meeting.in_use && core.shelf().newest() >= meeting.newest;
        if waits && self.may_use(&meeting) {
            let late = missing(&meeting, self.now(), core.store().is_shared());
            if !late.is_empty() {
                tracing::warn!(
                    version = meeting.newest,
                    without = late.join(" "),
                    "a catalogue comes into use before all replicas have loaded it"
                );
            }
            if core.store().activate_catalogue(meeting.newest, self.now()).await? {
                crash::point(Point::CatalogueInUse);
                meeting.in_use = meeting.newest;
            }
        }
        if meeting.in_use > core.catalogue().version() {
            let caught_up = core.shelf().catch_up(core.store(), meeting.in_use, core.metrics()).await;
            caught_up.map_err(|error| ReloadError::Version(Box::new(error)))?;
        }
        core.metrics().catalogue_newest(meeting.newest);
        if core.store().is_shared() && core.shelf().newest() >= meeting.newest {
            core.shelf().was_checked(asked);
        }
        unloaded.map_or_else(|| Ok(self.standing_of(&meeting)), Err)
    }

    async fn meet(&self) -> Result<Meeting, StoreError> {
        let core = &self.core;
        let (instance, loaded) = (core.instance().to_owned(), core.shelf().newest());
        core.store().meet(&Replica { instance, loaded, seen_at: self.now() }).await
    }

    fn hear_of(&self, version: u32) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if version > known.0 {
            *known = (version, Instant::now());
        }
    }

    fn now(&self) -> Timestamp {
        self.core.now()
    }

    fn may_use(&self, meeting: &Meeting) -> bool {
        if !self.core.store().is_shared() {
            return true;
        }
        let (version, since) = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = version == meeting.newest && since.elapsed() >= HEARD;
        let all = meeting.replicas.iter().all(|replica| replica.loaded >= meeting.newest);
        let waited = self.now().since(meeting.registered_at);
        let enough = missing(meeting, self.now(), true).is_empty() || waited >= millis(self.options.deadline);
        all || heard && enough
    }

    fn standing_of(&self, meeting: &Meeting) -> Standing {
        let waits = meeting.newest > meeting.in_use;
        let missing = missing(meeting, self.now(), self.core.store().is_shared());
        Standing {
            version: self.core.catalogue().version(),
            newest: meeting.newest,
            waiting_for: if waits { missing } else { Vec::new() },
        }
    }

    /// Goes round until it is told to stop, and then says good-bye.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let shared = self.core.store().is_shared();
        let mut watched = Watched::new(&self.options, self.read.clone());
        let mut failing = false;
        let mut next_round = Instant::now() + ROUND;
        loop {
            at("its next round");
            let pause = watched.next().min(if shared { next_round } else { watched.next() });
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(pause) => {}
            }
            if Instant::now() >= watched.next() && watched.has_changed() {
                at("reading the catalogue");
                // It tells of failures itself.
                let _told = self.reload().await;
            }
            if shared && Instant::now() >= next_round {
                at("meeting the other replicas");
                next_round = Instant::now() + ROUND;
                match self.round().await {
                    Ok(_) => failing = false,
                    // Once, and not each second.
                    Err(error) if !failing => {
                        failing = true;
                        tracing::warn!(error = %Chain(&error), "the versions of the catalogue cannot be followed");
                    }
                    Err(_) => {}
                }
            }
        }
        if !shared {
            return;
        }
        // From now on others do not wait for this process, which may have requests under way.
        self.core.shelf().may_be_behind();
        if let Err(error) = self.core.store().leave(self.core.instance()).await {
            tracing::debug!(error = %Chain(&error), "other replicas were not told that this one stops");
        }
    }
}

/// Replicas at work that have not loaded the newest version. A store that is not shared has no
/// others: what it remembers of them is from before a crash.
fn missing(meeting: &Meeting, now: Timestamp, shared: bool) -> Vec<String> {
    let behind =
        |replica: &&Replica| replica.loaded < meeting.newest && now.since(replica.seen_at) < millis(AT_WORK);
    let replicas = meeting.replicas.iter().filter(behind).map(|replica| replica.instance.clone());
    if shared { replicas.collect() } else { Vec::new() }
}

/// Looks for changes of the text. A change counts when two looks have seen the same, so that a file
/// which is being written is not read half.
#[derive(Debug)]
struct Watched {
    source: Arc<dyn Source>,
    every: Option<Duration>,
    next: Instant,
    /// What was there when it was last read to be taken over, by a signal or an administrator, too:
    /// whoever puts back what was there before has changed it.
    taken: Arc<Mutex<Option<String>>>,
    /// What the last look has seen, if that was something else.
    seen: Option<String>,
}

/// Without a watch there is nothing to wait for.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

impl Watched {
    fn new(options: &KeepOptions, taken: Arc<Mutex<Option<String>>>) -> Self {
        let next = Instant::now() + options.watch.unwrap_or(NEVER);
        Self { source: options.source.clone(), every: options.watch, next, taken, seen: None }
    }

    const fn next(&self) -> Instant {
        self.next
    }

    fn has_changed(&mut self) -> bool {
        self.next = Instant::now() + self.every.unwrap_or(NEVER);
        // A file that is away is being replaced, or will be missed when somebody asks for it.
        let Ok(found) = self.source.read() else { return false };
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&found);
        if !taken && self.seen.as_ref() == Some(&found) {
            self.seen = None;
            return true;
        }
        self.seen = Some(found).filter(|_| !taken);
        false
    }
}

#[cfg(test)]
mod tests;
