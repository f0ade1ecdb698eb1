//! The platform's events, one call each. OK means that what the event changed is durable.

use gauntlet_proto::{
    iam::{UserLoggedIn, user_authentication_user_logged_in_service_server as login},
    statistic::{StatItemUpdated, statistic_stat_item_updated_service_server as stat},
};
use tonic::{Request, Response, Status};

use super::status::status;
use crate::ingest::Ingest;

/// The two services that the platform calls.
#[derive(Debug, Clone)]
pub(super) struct Events(Ingest);

impl Events {
    pub(super) const fn new(ingest: Ingest) -> Self {
        Self(ingest)
    }
}

#[tonic::async_trait]
impl login::UserAuthenticationUserLoggedInService for Events {
    async fn on_message(&self, request: Request<UserLoggedIn>) -> Result<Response<()>, Status> {
        self.0.login(request.into_inner()).await.map(Response::new).map_err(status)
    }
}

#[tonic::async_trait]
impl stat::StatisticStatItemUpdatedService for Events {
    async fn on_message(&self, request: Request<StatItemUpdated>) -> Result<Response<()>, Status> {
        self.0.stat(request.into_inner()).await.map(Response::new).map_err(status)
    }
}
