//! The player API over gRPC: extract, authorise, one use case, reply.

use gauntlet_proto::service::{self as proto, service_server};
use tonic::{Request, Response, Status};

use super::status::status;
use crate::{
    api::{Api, Caller, initialized},
    auth::{
        SignIn,
        permissions::{ADMIN_READ, ADMIN_WRITE, Permission},
    },
    error::{ApiError, Reason},
};

type Reply<T> = Result<Response<T>, Status>;

/// The service `service.Service`.
#[derive(Debug, Clone)]
pub(super) struct Service {
    api: Api,
    auth: SignIn,
}

impl Service {
    pub(super) const fn new(api: Api, auth: SignIn) -> Self {
        Self { api, auth }
    }

    /// Refuses who may not.
    async fn administrator<T>(&self, request: &Request<T>, needed: Permission) -> Result<(), Status> {
        let headers = request.metadata().as_ref();
        self.auth.administrator(headers, needed, self.api.namespace()).await.map(drop).map_err(status)
    }

    /// The caller and the message of a request.
    async fn open<T>(&self, request: Request<T>) -> Result<(Caller, T), Status> {
        let caller = self.auth.caller(request.metadata().as_ref()).await.map_err(status)?;
        Ok((caller, request.into_inner()))
    }
}

/// A reply that shows a version of the catalogue.
fn of_version<T>(version: u32, message: T) -> Response<T> {
    let mut response = Response::new(message);
    response.metadata_mut().insert("x-catalogue-version", version.into());
    response
}

fn reply<T>(result: Result<T, ApiError>) -> Reply<T> {
    result.map(Response::new).map_err(status)
}

#[tonic::async_trait]
impl service_server::Service for Service {
    async fn get_user_challenges(
        &self,
        request: Request<proto::GetChallengesRequest>,
    ) -> Reply<proto::GetChallengesResponse> {
        let (caller, request) = self.open(request).await?;
        let browse = self.api.browse(&caller, None, request.active_only).await;
        let browse = browse.map_err(status)?;
        let message = proto::GetChallengesResponse { challenges: browse.messages() };
        Ok(of_version(browse.catalogue.version(), message))
    }

    async fn get_user_challenge(
        &self,
        request: Request<proto::GetChallengeRequest>,
    ) -> Reply<proto::Challenge> {
        let (caller, request) = self.open(request).await?;
        let browse = self.api.browse(&caller, Some(&request.challenge_id), request.active_only).await;
        let browse = browse.map_err(status)?;
        let nothing = || ApiError::new(Reason::Internal, "the service found a challenge and lost it");
        let message = browse.messages().pop().ok_or_else(nothing).map_err(status)?;
        Ok(of_version(browse.catalogue.version(), message))
    }

    async fn initialize_player(
        &self,
        request: Request<proto::InitializeRequest>,
    ) -> Reply<proto::InitializeResponse> {
        let (caller, _) = self.open(request).await?;
        let (begun, catalogue) = self.api.begin(&caller).await.map_err(status)?;
        Ok(of_version(catalogue.version(), initialized(&catalogue, begun)))
    }

    async fn set_goal_active(
        &self,
        request: Request<proto::SetGoalActiveRequest>,
    ) -> Reply<proto::SetGoalActiveResponse> {
        let (caller, request) = self.open(request).await?;
        reply(self.api.set_goal_active(&caller, request).await)
    }

    async fn claim_goal_reward(
        &self,
        request: Request<proto::ClaimRewardRequest>,
    ) -> Reply<proto::ClaimRewardResponse> {
        let (caller, request) = self.open(request).await?;
        reply(self.api.claim(&caller, request).await)
    }

    async fn batch_select_goals(
        &self,
        request: Request<proto::BatchSelectRequest>,
    ) -> Reply<proto::GoalSelectionResponse> {
        let (caller, request) = self.open(request).await?;
        reply(self.api.batch_select(&caller, request).await)
    }

    async fn random_select_goals(
        &self,
        request: Request<proto::RandomSelectRequest>,
    ) -> Reply<proto::GoalSelectionResponse> {
        let (caller, request) = self.open(request).await?;
        reply(self.api.random_select(&caller, request).await)
    }

    async fn get_rotation_status(
        &self,
        request: Request<proto::GetRotationStatusRequest>,
    ) -> Reply<proto::GetRotationStatusResponse> {
        let (caller, request) = self.open(request).await?;
        reply(self.api.rotation_status(&caller, &request).await)
    }

    async fn get_challenge_history(
        &self,
        request: Request<proto::GetChallengeHistoryRequest>,
    ) -> Reply<proto::GetChallengeHistoryResponse> {
        let (caller, request) = self.open(request).await?;
        reply(self.api.history(&caller, &request).await)
    }

    async fn get_catalogue_status(
        &self,
        request: Request<proto::GetCatalogueStatusRequest>,
    ) -> Reply<proto::CatalogueStatus> {
        self.administrator(&request, ADMIN_READ).await?;
        reply(self.api.catalogue_status().await)
    }

    async fn reload_catalogue(
        &self,
        request: Request<proto::ReloadCatalogueRequest>,
    ) -> Reply<proto::CatalogueStatus> {
        self.administrator(&request, ADMIN_WRITE).await?;
        reply(self.api.reload_catalogue().await)
    }

    async fn health_check(&self, _: Request<proto::HealthCheckRequest>) -> Reply<proto::HealthCheckResponse> {
        reply(self.api.health().await)
    }
}
