//! What callers are told when something does not go their way: one closed set of reasons, mapped
//! once to gRPC and once to HTTP.

use std::time::Duration;

use gauntlet_domain::Refusal;
use gauntlet_store::Error as StoreError;

/// gRPC status codes that we answer with; the numbers are gRPC's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// The request is wrong whatever the state.
    InvalidArgument = 3,
    /// The caller's deadline passed.
    DeadlineExceeded = 4,
    /// What was named does not exist.
    NotFound = 5,
    /// It was done before.
    AlreadyExists = 6,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// There is too much to do; nothing was done.
    ResourceExhausted = 8,
    /// The state does not allow it.
    FailedPrecondition = 9,
    /// No such method.
    Unimplemented = 12,
    /// A fault of ours or of the platform.
    Internal = 13,
    /// Try again later.
    Unavailable = 14,
    /// The caller is not known.
    Unauthenticated = 16,
}

impl Code {
    /// The code's name, as gRPC spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// The HTTP status for this code.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::Unimplemented => 405,
            Self::AlreadyExists => 409,
            Self::ResourceExhausted => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }
}

/// Why, in one word that clients can act on. The words are a public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No such challenge.
    ChallengeNotFound,
    /// No such goal in that challenge.
    GoalNotFound,
    /// A claim before completion.
    GoalNotCompleted,
    /// A claim of an inactive goal.
    GoalNotActive,
    /// A claim while a prerequisite is open.
    PrerequisitesNotMet,
    /// Completed in a cycle that has ended.
    GoalRotated,
    /// Claimed before.
    GoalAlreadyClaimed,
    /// Nothing can be drawn.
    InsufficientGoals,
    /// A field has a value that it may not have.
    InvalidInput,
    /// The platform refused the grant for good.
    RewardGrantFailed,
    /// The grant is recorded and not yet confirmed.
    RewardPending,
    /// Nobody can tell whether the reward was granted.
    RewardUncertain,
    /// Too much to do; nothing was done.
    Overloaded,
    /// Too many writers of one player; nothing was done.
    Conflict,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// A fault of ours.
    Internal,
    /// No such path or method of the service.
    RouteNotFound,
    /// The path exists, the HTTP method does not.
    MethodNotAllowed,
    /// The token is missing or wrong.
    Unauthenticated,
    /// The token is of another game.
    WrongNamespace,
    /// The token does not allow this.
    Forbidden,
    /// The keys that tokens are checked with cannot be fetched.
    SignInUnavailable,
    /// Over the player's own limit; nothing was done.
    RateLimited,
    /// The database cannot be reached in time.
    StoreUnavailable,
    /// The new catalogue cannot be read or has faults; the one in use stays.
    CatalogueFaulty,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 25] = [
        Self::ChallengeNotFound,
        Self::GoalNotFound,
        Self::GoalNotCompleted,
        Self::GoalNotActive,
        Self::PrerequisitesNotMet,
        Self::GoalRotated,
        Self::GoalAlreadyClaimed,
        Self::InsufficientGoals,
        Self::InvalidInput,
        Self::RewardGrantFailed,
        Self::RewardPending,
        Self::RewardUncertain,
        Self::Overloaded,
        Self::RateLimited,
        Self::Conflict,
        Self::DeadlineExceeded,
        Self::Internal,
        Self::RouteNotFound,
        Self::MethodNotAllowed,
        Self::Unauthenticated,
        Self::WrongNamespace,
        Self::Forbidden,
        Self::SignInUnavailable,
        Self::StoreUnavailable,
        Self::CatalogueFaulty,
    ];

    /// As callers see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChallengeNotFound => "CHALLENGE_NOT_FOUND",
            Self::GoalNotFound => "GOAL_NOT_FOUND",
            Self::GoalNotCompleted => "GOAL_NOT_COMPLETED",
            Self::GoalNotActive => "GOAL_NOT_ACTIVE",
            Self::PrerequisitesNotMet => "PREREQUISITES_NOT_MET",
            Self::GoalRotated => "GOAL_ROTATED",
            Self::GoalAlreadyClaimed => "GOAL_ALREADY_CLAIMED",
            Self::InsufficientGoals => "INSUFFICIENT_GOALS",
            Self::InvalidInput => "INVALID_INPUT",
            Self::RewardGrantFailed => "REWARD_GRANT_FAILED",
            Self::RewardPending => "REWARD_PENDING",
            Self::RewardUncertain => "REWARD_UNCERTAIN",
            Self::Overloaded => "OVERLOADED",
            Self::Conflict => "CONFLICT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Internal => "INTERNAL",
            Self::RouteNotFound => "ROUTE_NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::WrongNamespace => "WRONG_NAMESPACE",
            Self::Forbidden => "FORBIDDEN",
            Self::SignInUnavailable => "SIGN_IN_UNAVAILABLE",
            Self::RateLimited => "RATE_LIMITED",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::CatalogueFaulty => "CATALOGUE_FAULTY",
        }
    }

    /// The code that goes with the reason.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::ChallengeNotFound | Self::GoalNotFound | Self::RouteNotFound => Code::NotFound,
            Self::GoalNotCompleted
            | Self::GoalNotActive
            | Self::PrerequisitesNotMet
            | Self::GoalRotated
            | Self::RewardUncertain
            | Self::CatalogueFaulty => Code::FailedPrecondition,
            Self::GoalAlreadyClaimed => Code::AlreadyExists,
            Self::InsufficientGoals | Self::InvalidInput => Code::InvalidArgument,
            Self::RewardGrantFailed | Self::Internal => Code::Internal,
            Self::RewardPending | Self::Conflict | Self::SignInUnavailable | Self::StoreUnavailable => {
                Code::Unavailable
            }
            Self::Overloaded | Self::RateLimited => Code::ResourceExhausted,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::MethodNotAllowed => Code::Unimplemented,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::WrongNamespace | Self::Forbidden => Code::PermissionDenied,
        }
    }

    /// When it is sensible to ask again, for reasons where waiting helps.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Overloaded
            | Self::RateLimited
            | Self::Conflict
            | Self::StoreUnavailable
            | Self::RewardPending => Some(Duration::from_secs(1)),
            // Fetching keys is tried again every few seconds.
            Self::SignInUnavailable => Some(Duration::from_secs(5)),
            _ => None,
        }
    }
}

/// An answer that is not the one hoped for. It is what the caller sees: nothing internal is in
/// it. What the operators need is logged where the error is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
    /// Ids and numbers involved.
    pub metadata: Vec<(&'static str, String)>,
    /// When to ask again, where it is known better than [`Reason::retry_after`] says.
    after: Option<Duration>,
}

impl ApiError {
    /// An error without metadata.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), metadata: Vec::new(), after: None }
    }

    /// Adds an id or number that is involved.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }

    /// Says when to ask again.
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.after = Some(wait);
        self
    }

    /// When it is sensible to ask again, if waiting helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.after.or_else(|| self.reason.retry_after())
    }

    /// The gRPC code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.reason.code()
    }

    /// A field of the request that is wrong; `problem` is read after the field's name.
    #[must_use]
    pub fn invalid(field: &'static str, problem: impl std::fmt::Display) -> Self {
        Self::new(Reason::InvalidInput, format!("{field} {problem}")).with("field", field)
    }

    /// The service has more to do than it can queue.
    #[must_use]
    pub fn overloaded() -> Self {
        Self::new(Reason::Overloaded, "the service is overloaded; nothing was done, try again later")
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        let plain = |reason| Self::new(reason, message.clone());
        match refusal {
            Refusal::ChallengeNotFound(id) => plain(Reason::ChallengeNotFound).with("challenge_id", id),
            Refusal::GoalNotFound { challenge, goal } => {
                plain(Reason::GoalNotFound).with("challenge_id", challenge).with("goal_id", goal)
            }
            Refusal::GoalNotCompleted { goal, progress, target } => plain(Reason::GoalNotCompleted)
                .with("goal_id", goal)
                .with("progress", progress.to_string())
                .with("target", target.to_string()),
            Refusal::GoalNotActive(goal) => plain(Reason::GoalNotActive).with("goal_id", goal),
            Refusal::PrerequisitesNotMet { goal, open } => {
                plain(Reason::PrerequisitesNotMet).with("goal_id", goal).with("prerequisites", open.join(","))
            }
            Refusal::GoalRotated(goal) => plain(Reason::GoalRotated).with("goal_id", goal),
            Refusal::GoalAlreadyClaimed { goal, claimed_at } => plain(Reason::GoalAlreadyClaimed)
                .with("goal_id", goal)
                .with("claimed_at", claimed_at.to_rfc3339()),
            Refusal::ClaimPending { goal, .. } => {
                Self::new(Reason::RewardPending, format!("{message}; ask again")).with("goal_id", goal)
            }
            Refusal::ClaimUncertain(goal) => plain(Reason::RewardUncertain).with("goal_id", goal),
            Refusal::ClaimRefused(goal) => plain(Reason::RewardGrantFailed).with("goal_id", goal),
            Refusal::InsufficientGoals { challenge, available, requested } => {
                plain(Reason::InsufficientGoals)
                    .with("challenge_id", challenge)
                    .with("available", available.to_string())
                    .with("requested", requested.to_string())
            }
            Refusal::InvalidInput { field, .. } => plain(Reason::InvalidInput).with("field", field),
        }
    }
}

impl From<&StoreError> for ApiError {
    /// What the caller may know of a store's failure; the caller of this logs the rest.
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } | StoreError::Unknown { .. } => Self::new(
                Reason::StoreUnavailable,
                "the database cannot be reached or cannot write; try again later",
            ),
            StoreError::Newer { .. } => Self::new(
                Reason::StoreUnavailable,
                "the player was written by a newer release; this replica cannot answer, try again",
            ),
            StoreError::Corrupt { .. } | StoreError::Rejected { .. } => Self::new(
                Reason::Internal,
                "the service could not read or write the player; operators were told",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_reasons_has_every_one() {
        let source = include_str!("error.rs");
        let (_, from) = source.split_once("/// As callers see it.").unwrap();
        let (words, _) = from.split_once("/// The code that goes").unwrap();
        let written: Vec<&str> = words.split('"').skip(1).step_by(2).collect();
        let mut listed = Reason::ALL.map(Reason::as_str);
        listed.sort_unstable();
        let mut sorted = written.clone();
        sorted.sort_unstable();
        assert_eq!(listed.as_slice(), sorted.as_slice());
    }
}
