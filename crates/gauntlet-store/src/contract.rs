//! The trait and its types. The prose contract stands at the top of the crate.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use gauntlet_domain::{
    GoalNumber, GrantEnd, GrantKey, GrantOrder, JournalEntry, Player, Receipt, Timestamp, catalogue::Reward,
};

use crate::figures::Figures;

/// Names a player: ids are unique within a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayerKey {
    /// The player's id.
    pub player: String,
    /// The game's namespace; shared, because one process has one for all of its players.
    pub namespace: Arc<str>,
}

/// A player to load.
#[derive(Debug, Clone)]
pub struct Load {
    /// Who.
    pub key: PlayerKey,
    /// Whether the settled part is needed (calls and browsing: yes; events: no).
    pub settled: bool,
    /// Whether the receipts that have left the document are needed.
    pub receipts: bool,
}

/// A loaded player.
#[derive(Debug)]
pub struct Loaded {
    /// The document; `None`: the player has no row. A document that cannot be read is an error
    /// of this player alone.
    pub stored: Result<Option<Stored>, Error>,
    /// The receipts that have left the document, if they were asked for: all of the last day, and
    /// perhaps of the day before.
    pub receipts: Vec<Receipt>,
}

/// A document and the revision it was read at.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Counts up by one with each write; starts at 1.
    pub revision: u64,
    /// The document.
    pub player: Player,
}

/// A changed player to store. The document carries a new write id already.
#[derive(Debug, Clone)]
pub struct Write {
    /// Who.
    pub key: PlayerKey,
    /// The revision it was loaded at; `None`: there was no row.
    pub expected: Option<u64>,
    /// The document after the change.
    pub player: Player,
    /// Whether the settled part changed (it must be at hand then); else it is left alone.
    pub settled_changed: bool,
    /// Receipts that leave the document with this write; empty for most.
    pub receipts: Vec<Receipt>,
    /// Grants to create, as being sent for the first time under `lease`.
    pub orders: Vec<GrantOrder>,
    /// The lease of new grants; required when there are `orders`.
    pub lease: Option<Lease>,
    /// Grants whose end became known. One that is neither being sent nor uncertain stays as it is.
    pub results: Vec<gauntlet_domain::GrantResult>,
    /// Journal rows.
    pub journal: Vec<JournalEntry>,
    /// When somebody has to look after the player next.
    pub due: Due,
    /// The time of the write, stored with receipts and grants.
    pub at: Timestamp,
}

/// What a write says about when somebody has to look after its player ([`Store::take_due_players`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Due {
    /// Nothing: what stands there stays.
    #[default]
    Keep,
    /// At this time, whatever stood there.
    At(Timestamp),
    /// Not any more.
    Never,
}

/// How the write of one player ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Durable; the revision is now this.
    Done {
        /// The new revision.
        revision: u64,
    },
    /// The revision had moved; nothing of this player was stored.
    Conflict,
}

/// Why a store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached or does not answer in time. Nothing was applied.
    #[error("{operation}: the database is unavailable")]
    Unavailable {
        /// What was being done, such as `player.commit`.
        operation: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The connection broke during a commit, which may or may not have been applied. Load the
    /// players again and look for the write ids.
    #[error("{operation}: the outcome of a commit is unknown")]
    Unknown {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A row that cannot be decoded. It is left as it is.
    #[error("{table}.{column} of {id} is corrupt")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row.
        id: String,
        /// What is wrong.
        #[source]
        source: BoxError,
    },
    /// A row that a newer release wrote in a format that this one must not touch.
    #[error("{table} {id} was written by a newer release (format {format})")]
    Newer {
        /// The table.
        table: &'static str,
        /// The row.
        id: String,
        /// The format it has.
        format: u8,
    },
    /// The database refused the statement for a reason that repeating does not mend (a value it
    /// cannot hold, a missing table). Nothing was applied. In a batch, one of its players is the
    /// culprit.
    #[error("{operation}: the database refused")]
    Rejected {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
}

/// The cause of an [`Error`]; for logs, never for callers.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// Whether trying again later may help without anybody mending anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unknown { .. })
    }

    /// Whether nothing was asked because all connections were in use: that says nothing about
    /// the database.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Unavailable { source, .. } if source.is::<PoolBusy>())
    }

    /// Whether there is no doubt that the database as a whole is down: other calls would fare no
    /// better. A connection that broke says no such thing: somebody may have ended that one alone.
    #[must_use]
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Unavailable { source, .. } if source.is::<ServerDown>())
    }
}

/// Why an [`Error::Unavailable`] may be nobody's fault: every connection was in use for as long as
/// a caller may wait for one.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("all connections were in use")]
pub struct PoolBusy;

/// Why an [`Error::Unavailable`] is everybody's: nobody listens at the database's address, or who
/// listens says that the database stops or has not started yet.
#[derive(Debug, thiserror::Error)]
#[error("the database is down")]
pub struct ServerDown(#[source] pub BoxError);

/// Who may send a grant, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// A name of the sender, unique among replicas and restarts.
    pub owner: String,
    /// When others may take over.
    pub until: Timestamp,
}

/// Names a grant in the whole store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GrantId {
    /// Whose.
    pub player: PlayerKey,
    /// Which.
    pub key: GrantKey,
}

/// A stored grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its name.
    pub id: GrantId,
    /// The challenge's id.
    pub challenge_id: String,
    /// The goal's id.
    pub goal_id: String,
    /// What to hand out.
    pub reward: Reward,
    /// When the player asked.
    pub claimed_at: Timestamp,
    /// How far it is.
    pub state: GrantState,
    /// How many times it was sent, the current one included.
    pub attempt: u32,
    /// Who may send it until when; `None` when it has ended.
    pub lease: Option<Lease>,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Why it failed or is uncertain; empty otherwise.
    pub reason: String,
}

/// A grant that was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueGrant {
    /// The grant, with a new attempt number under the new lease.
    pub grant: Grant,
    /// Whether an attempt before this one may have been carried out: its sender did not come
    /// back, or gave the lease back in doubt. False when all that is known of the last attempt is
    /// that it was given back without doubt.
    pub in_doubt: bool,
}

/// How far a grant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantState {
    /// Attempt `attempt` may be at the platform; whoever holds the lease acts.
    Sending,
    /// Handed out.
    Granted,
    /// Refused for good.
    Refused,
    /// Nobody can tell.
    Uncertain,
}

impl GrantState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sending, Self::Granted, Self::Refused, Self::Uncertain];

    /// The word stored in the database and used in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Uncertain => "uncertain",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// The state and reason that a known end means.
    #[must_use]
    pub fn of_end(end: &GrantEnd) -> (Self, &str) {
        match end {
            GrantEnd::Granted => (Self::Granted, ""),
            GrantEnd::Refused(reason) => (Self::Refused, reason),
            GrantEnd::Uncertain(reason) => (Self::Uncertain, reason),
        }
    }
}

/// Which grants to list.
#[derive(Debug, Clone, Default)]
pub struct GrantFilter {
    /// Only of this player.
    pub player: Option<PlayerKey>,
    /// Only in this state.
    pub state: Option<GrantState>,
}

/// When a grant whose attempt did not end it is to be tried again.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Which grant.
    pub id: GrantId,
    /// Only if this attempt is still the current one.
    pub attempt: u32,
    /// Not before this time.
    pub not_before: Timestamp,
    /// Whether this attempt, or one before it, may have been carried out. Whoever takes the grant
    /// over is told.
    pub in_doubt: bool,
    /// Why the attempt failed.
    pub reason: String,
}

/// A stored journal row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// Whose.
    pub player: PlayerKey,
    /// What.
    pub entry: JournalEntry,
}

/// A process at work on the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name, unique among replicas and restarts.
    pub instance: String,
    /// The newest catalogue version that it has loaded; 0: none.
    pub loaded: u32,
    /// When it last told, on its own clock.
    pub seen_at: Timestamp,
}

/// How the versions of the catalogue stand, and who is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// The newest version; 0: there is none.
    pub newest: u32,
    /// When that was registered.
    pub registered_at: Timestamp,
    /// The version in use: the newest that was ever put into use; 0: none was.
    pub in_use: u32,
    /// All that have told in the last hour, the caller included, by name.
    pub replicas: Vec<Replica>,
}

/// How long a replica that tells nothing any more stays in the list of [`Meeting::replicas`].
pub const FORGET_REPLICA_MILLIS: i64 = 3_600_000;

/// What a locked update decided.
#[derive(Debug)]
pub enum LockedDecision {
    /// Nothing to store; the answer given so far is true.
    Keep,
    /// Store this; `expected` is the revision that the closure was given.
    Store(Box<Write>),
}

/// The function of a locked update: it gets the player as loaded under the lock.
pub type Locked = Box<dyn FnOnce(Loaded) -> LockedDecision + Send>;

/// How the store's connections are used, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections that may be open at most.
    pub limit: usize,
    /// Connections that are open.
    pub open: usize,
    /// Open connections that nobody uses.
    pub idle: usize,
    /// Callers that wait for one.
    pub waiting: usize,
}

/// A place for players. See the crate's page for the contract.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Applies the migrations that are missing. Safe to call from several replicas at once.
    /// Answers how many were applied.
    async fn migrate(&self) -> Result<u32, Error>;

    /// Makes ready what the first calls would otherwise wait for: connections are opened, and
    /// know their statements. Called once at start, after the migrations.
    async fn warm_up(&self) -> Result<(), Error>;

    /// Loads players, answered in the order asked. A key must not be asked for twice in a call.
    async fn load(&self, players: &[Load]) -> Result<Vec<Loaded>, Error>;

    /// Writes players that are all different, in one transaction, answered in the order given.
    async fn commit(&self, writes: &[Write]) -> Result<Vec<Written>, Error>;

    /// Loads one player under its row lock, lets `decide` change it and writes the result in the
    /// same transaction: the last try of a writer that lost too many races. `None`: nothing had
    /// to be stored. Where the back end cannot lock a row that does not exist, creating it may
    /// still answer [`Written::Conflict`].
    async fn update_locked(&self, player: Load, decide: Locked) -> Result<Option<Written>, Error>;

    /// Takes over grants whose lease has run out, oldest first: each is answered with a new
    /// attempt number under the new lease, committed. Two callers never get the same attempt.
    async fn take_due_grants(
        &self,
        now: Timestamp,
        lease: &Lease,
        limit: u32,
    ) -> Result<Vec<DueGrant>, Error>;

    /// Gives the lease of a failed attempt back, to be taken over at a later time. Until then its
    /// owner is empty when the attempt left no doubt, and the same as before when it did. False when the attempt is not the current one or the grant has ended.
    async fn retry_grant(&self, retry: &Retry, now: Timestamp) -> Result<bool, Error>;

    /// Lists grants, oldest first.
    async fn list_grants(&self, filter: &GrantFilter, limit: u32) -> Result<Vec<Grant>, Error>;

    /// How many grants are being sent, and since when the oldest of them waits.
    async fn pending_grants(&self) -> Result<(u64, Option<Timestamp>), Error>;

    /// A player's journal rows with a sequence greater than `after`, oldest first.
    async fn journal(&self, player: &PlayerKey, after: u64, limit: u32) -> Result<Vec<JournalRow>, Error>;

    /// A player's journal rows with a sequence less than `before`, newest first.
    async fn journal_before(
        &self,
        player: &PlayerKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, Error>;

    /// Takes players of a namespace whom somebody has to look after by now, those who wait longest
    /// first. Each of them is due again at `again`, unless a write says otherwise until then, so
    /// that whoever took them may die. Two callers never get the same player at once.
    async fn take_due_players(
        &self,
        namespace: &str,
        now: Timestamp,
        again: Timestamp,
        limit: u32,
    ) -> Result<Vec<PlayerKey>, Error>;

    /// Deletes journal rows older than `before`; answers how many.
    async fn prune_journal(&self, before: Timestamp) -> Result<u64, Error>;

    /// Starts a new generation of receipts when the current one is 24 hours old, and drops the
    /// one before the current whole. Receipts therefore live 24 to 48 hours. Answers whether it
    /// did. Called at start and every minute.
    async fn rotate_receipts(&self, now: Timestamp) -> Result<bool, Error>;

    /// Gives each goal id its number: the one it has, or the next free one, for good.
    async fn intern_goals(&self, ids: &[String]) -> Result<HashMap<String, GoalNumber>, Error>;

    /// The version of this catalogue text: the newest version when that has the same text, else
    /// a new one. Texts that were used before get a new version when they come back, so that a
    /// greater version is always a later catalogue.
    async fn register_catalogue(&self, text: &str, now: Timestamp) -> Result<u32, Error>;

    /// The text of a catalogue version.
    async fn catalogue_text(&self, version: u32) -> Result<Option<String>, Error>;

    /// The newest version with this text; `None`: it was never registered.
    async fn find_catalogue(&self, text: &str) -> Result<Option<u32>, Error>;

    /// Puts a version into use, for good, if it is the newest. Answers whether it is in use then.
    async fn activate_catalogue(&self, version: u32, now: Timestamp) -> Result<bool, Error>;

    /// The versions after one that were put into use, oldest first, and when that was. Versions that
    /// never were are left out.
    async fn used_catalogues(&self, after: u32) -> Result<Vec<(u32, Timestamp)>, Error>;

    /// Tells that a process is at work and what it has loaded; answers how the versions stood
    /// *after* that, so that of two that meet at once at least one sees the other.
    async fn meet(&self, replica: &Replica) -> Result<Meeting, Error>;

    /// Tells that a process stops.
    async fn leave(&self, instance: &str) -> Result<(), Error>;

    /// Asks the database for nothing, to see whether it answers.
    async fn ping(&self) -> Result<(), Error>;

    /// Whether loading many players at once is much cheaper than loading each alone, so that
    /// callers do well to wait for each other.
    fn prefers_many(&self) -> bool;

    /// Whether several processes may work on the data at once.
    fn is_shared(&self) -> bool;

    /// How the connections are used.
    fn pool_status(&self) -> PoolStatus;

    /// What the store has measured since it was opened; nothing, for stores that do not measure.
    fn figures(&self) -> Figures;

    /// Closes all connections after the calls under way have ended.
    async fn close(&self);
}
