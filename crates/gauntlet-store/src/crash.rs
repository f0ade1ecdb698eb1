//! Named points at which tests let the process die, to see that nothing is lost and nothing is
//! done twice wherever a process ends.
//!
//! They exist in builds with debug assertions and with the feature `crash-points` only; in a
//! plain release a point is nothing, and its name is not there.

/// A place at which the process can be made to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Point {
    /// A migration has run its statements, and is not yet noted as applied.
    Migrating,
    /// The oldest generation of receipts was emptied, and the next has not begun.
    RotatingReceipts,
    /// All listeners are bound and all tasks run, but probes are not told yet.
    BeforeReady,
    /// A shard has taken a batch from its queues.
    Gathered,
    /// A shard is about to commit what a batch changed.
    BeforeCommit,
    /// A batch is durable and nobody is told.
    AfterCommit,
    /// A transaction of SQLite has done its statements and is not committed.
    BeforeSqliteCommit,
    /// A batch with a new claim is about to be committed.
    BeforeBegin,
    /// A claim and its grant are durable, and the platform is not called yet.
    Begun,
    /// The platform has answered, and nothing is recorded.
    Answered,
    /// A batch with the end of a grant is about to be committed.
    BeforeSettle,
    /// The end of a grant is durable, and the player is not told.
    Settled,
    /// The recovery worker has taken grants over, and done nothing with them.
    TakenOver,
    /// The recovery worker has asked the platform about a grant, and done nothing with the answer.
    Searched,
    /// A grant is about to be put off.
    BeforePutOff,
    /// A grant was put off.
    PutOff,
    /// The worker has taken players who are due, and done nothing with them.
    DueTaken,
    /// Grants of unclaimed rewards are ordered and durable, and the platform is not called yet.
    UnclaimedOrdered,
    /// A new version of the catalogue is registered, and not in use yet.
    CatalogueRegistered,
    /// A new version of the catalogue is in use for good, and nobody is told.
    CatalogueInUse,
    /// The server was told to stop; open requests are still under way.
    Draining,
    /// Everything has ended, but the store is not closed.
    BeforeClose,
}

/// Passes a point: the process dies here if a test has said so.
#[cfg(not(any(debug_assertions, feature = "crash-points")))]
#[inline(always)]
#[expect(clippy::inline_always, reason = "nothing of it may be left in a release")]
pub const fn point(_point: Point) {}

/// [`point`], if something holds that is not worked out otherwise.
#[cfg(not(any(debug_assertions, feature = "crash-points")))]
#[inline(always)]
#[expect(clippy::inline_always, reason = "nothing of it may be left in a release")]
pub fn point_if(_point: Point, _holds: impl FnOnce() -> bool) {}

#[cfg(any(debug_assertions, feature = "crash-points"))]
pub use armed::{BadPoint, arm, point, point_if};

#[cfg(any(debug_assertions, feature = "crash-points"))]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    };

    use super::Point;

    /// Where this process dies, and how many passages are left. The one piece of global state: a
    /// process dies only once.
    static ARMED: OnceLock<(Point, AtomicU32)> = OnceLock::new();

    /// A text that names no point.
    #[derive(Debug, thiserror::Error)]
    pub enum BadPoint {
        /// There is no such point.
        #[error("there is no crash point {0:?}; there are: {all}", all = Point::ALL.map(Point::name).join(", "))]
        Unknown(String),
        /// The count is not a number from 1 on.
        #[error("the count {0:?} of a crash point is not a number from 1 on")]
        Count(String),
        /// A point is armed already.
        #[error("this process has a crash point already")]
        Twice,
    }

    impl Point {
        /// All of them, in the order of a process's life.
        pub const ALL: [Self; 22] = [
            Self::Migrating,
            Self::RotatingReceipts,
            Self::BeforeReady,
            Self::Gathered,
            Self::BeforeCommit,
            Self::AfterCommit,
            Self::BeforeSqliteCommit,
            Self::BeforeBegin,
            Self::Begun,
            Self::Answered,
            Self::BeforeSettle,
            Self::Settled,
            Self::TakenOver,
            Self::Searched,
            Self::BeforePutOff,
            Self::PutOff,
            Self::DueTaken,
            Self::UnclaimedOrdered,
            Self::CatalogueRegistered,
            Self::CatalogueInUse,
            Self::Draining,
            Self::BeforeClose,
        ];

        /// Its name on the command line and in reports.
        #[must_use]
        pub const fn name(self) -> &'static str {
            match self {
                Self::Migrating => "migrate.between-statements",
                Self::RotatingReceipts => "receipts.between-statements",
                Self::BeforeReady => "start.before-ready",
                Self::Gathered => "batch.gathered",
                Self::BeforeCommit => "batch.before-commit",
                Self::AfterCommit => "batch.after-commit",
                Self::BeforeSqliteCommit => "sqlite.before-commit",
                Self::BeforeBegin => "claim.before-begin-commit",
                Self::Begun => "claim.begun",
                Self::Answered => "claim.answered",
                Self::BeforeSettle => "claim.before-settle-commit",
                Self::Settled => "claim.settled",
                Self::TakenOver => "recovery.taken-over",
                Self::Searched => "recovery.searched",
                Self::BeforePutOff => "grant.before-put-off",
                Self::PutOff => "grant.put-off",
                Self::DueTaken => "unclaimed.taken",
                Self::UnclaimedOrdered => "unclaimed.ordered",
                Self::CatalogueRegistered => "catalogue.registered",
                Self::CatalogueInUse => "catalogue.in-use",
                Self::Draining => "stop.draining",
                Self::BeforeClose => "stop.before-close",
            }
        }
    }

    /// Lets the process die at a point: `NAME`, or `NAME:COUNT` for a later passage than the
    /// first. Once in a process.
    ///
    /// # Errors
    /// A text that names no point, or a point that is armed already.
    pub fn arm(text: &str) -> Result<(), BadPoint> {
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let named = Point::ALL.into_iter().find(|point| point.name() == name);
        let point = named.ok_or_else(|| BadPoint::Unknown(name.to_owned()))?;
        let passages = count.parse().ok().filter(|count: &u32| *count > 0);
        let passages = passages.ok_or_else(|| BadPoint::Count(count.to_owned()))?;
        ARMED.set((point, AtomicU32::new(passages))).map_err(|_| BadPoint::Twice)
    }

    /// Passes a point: the process dies here if a test has said so, as by SIGKILL: no destructor,
    /// no handler, nothing written that was not written.
    pub fn point(point: Point) {
        if let Some((armed, passages)) = ARMED.get()
            && *armed == point
            && passages.fetch_sub(1, Ordering::SeqCst) == 1
        {
            std::process::abort();
        }
    }

    /// [`point`], if something holds.
    pub fn point_if(at: Point, holds: impl FnOnce() -> bool) {
        if ARMED.get().is_some_and(|(armed, _)| *armed == at) && holds() {
            point(at);
        }
    }

    #[cfg(test)]
    mod tests {
        use std::collections::HashSet;

        use super::*;

        #[test]
        fn what_names_no_point_is_refused_and_arms_nothing() {
            let refused = |text| arm(text).expect_err("refused").to_string();
            assert!(refused("batch.gatherd").contains("there are: migrate.between-statements, "));
            assert!(refused("batch.gathered:0").contains("\"0\""));
            assert!(refused("batch.gathered:").contains("\"\""));
            for at in Point::ALL {
                point(at);
            }
        }

        #[test]
        fn names_are_unique() {
            let names: HashSet<_> = Point::ALL.iter().map(|point| point.name()).collect();
            assert_eq!(names.len(), Point::ALL.len());
        }
    }
}
