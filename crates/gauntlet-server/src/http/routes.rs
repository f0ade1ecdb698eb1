//! Every operation of the player API: method, path, the gRPC method that does the same, who may ask,
//! and what it may refuse beyond what all do. The router and the description
//! ([`super::openapi`]) are made of this one list.

use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter, on},
};

use super::{
    ApiState, handlers,
    paths::{
        ACTIVE, BATCH_SELECT, CATALOGUE, CHALLENGE, CHALLENGES, CLAIM, HEALTH, HISTORY, INITIALIZE,
        RANDOM_SELECT, RELOAD, ROTATION,
    },
};
use crate::{
    auth::permissions::{ADMIN_READ, ADMIN_WRITE, Permission},
    error::Reason,
};

/// Who may ask for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// No credentials are looked at.
    Anybody,
    /// Whoever proves to be a player.
    Player,
    /// Whoever has this permission.
    Administrator(Permission),
}

/// What the headers of a reply say about the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// Nothing.
    Nothing,
    /// Which version of it the reply shows.
    Version,
    /// The same; besides, the reply has a tag and can be compressed.
    Tagged,
}

/// One operation of the player API.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: Method,
    /// Below the base path; segments in braces are fields of the request's message.
    pub(super) path: &'static str,
    /// The method of gRPC's `service.Service` with the same messages.
    pub(super) rpc: &'static str,
    pub(super) who: Who,
    pub(super) shows: Shows,
    /// Reasons that only this operation and few others give.
    pub(super) refuses: &'static [Reason],
    pub(super) handler: MethodRouter<ApiState>,
}

/// The list.
pub(super) fn operations() -> Vec<Operation> {
    use Reason::{
        CatalogueFaulty, GoalAlreadyClaimed, GoalNotActive, GoalNotCompleted, GoalNotFound, GoalRotated,
        InsufficientGoals, PrerequisitesNotMet, RateLimited, RewardGrantFailed, RewardPending,
        RewardUncertain,
    };
    const CLAIM_REFUSES: &[Reason] = &[
        GoalNotCompleted,
        GoalNotActive,
        PrerequisitesNotMet,
        GoalRotated,
        GoalAlreadyClaimed,
        RateLimited,
        RewardPending,
        RewardUncertain,
        RewardGrantFailed,
    ];
    vec![
        get(CHALLENGES, "GetUserChallenges", handlers::challenges).shows(Shows::Tagged),
        post(INITIALIZE, "InitializePlayer", handlers::initialize).shows(Shows::Version),
        get(CHALLENGE, "GetUserChallenge", handlers::challenge).shows(Shows::Tagged),
        get(ROTATION, "GetRotationStatus", handlers::rotation),
        get(HISTORY, "GetChallengeHistory", handlers::history),
        post(BATCH_SELECT, "BatchSelectGoals", handlers::batch_select).refuses(&[GoalNotFound]),
        post(RANDOM_SELECT, "RandomSelectGoals", handlers::random_select)
            .refuses(&[InsufficientGoals, RateLimited]),
        put(ACTIVE, "SetGoalActive", handlers::set_goal_active),
        post(CLAIM, "ClaimGoalReward", handlers::claim).refuses(CLAIM_REFUSES),
        get(CATALOGUE, "GetCatalogueStatus", handlers::catalogue_status)
            .asked_by(Who::Administrator(ADMIN_READ)),
        post(RELOAD, "ReloadCatalogue", handlers::reload_catalogue)
            .asked_by(Who::Administrator(ADMIN_WRITE))
            .refuses(&[CatalogueFaulty]),
        get(HEALTH, "HealthCheck", handlers::health).asked_by(Who::Anybody),
    ]
}

fn get<H: Handler<T, ApiState>, T: 'static>(path: &'static str, rpc: &'static str, handler: H) -> Operation {
    operation(Method::GET, path, rpc, on(MethodFilter::GET, handler))
}

fn post<H: Handler<T, ApiState>, T: 'static>(path: &'static str, rpc: &'static str, handler: H) -> Operation {
    operation(Method::POST, path, rpc, on(MethodFilter::POST, handler))
}

fn put<H: Handler<T, ApiState>, T: 'static>(path: &'static str, rpc: &'static str, handler: H) -> Operation {
    operation(Method::PUT, path, rpc, on(MethodFilter::PUT, handler))
}

/// An operation of players that shows nothing of the catalogue.
fn operation(
    method: Method,
    path: &'static str,
    rpc: &'static str,
    handler: MethodRouter<ApiState>,
) -> Operation {
    Operation { method, path, rpc, who: Who::Player, shows: Shows::Nothing, refuses: &[], handler }
}

impl Operation {
    fn asked_by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    fn shows(self, shows: Shows) -> Self {
        Self { shows, ..self }
    }

    fn refuses(self, refuses: &'static [Reason]) -> Self {
        Self { refuses, ..self }
    }
}
