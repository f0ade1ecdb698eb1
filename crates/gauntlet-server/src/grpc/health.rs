//! Health as gRPC probes ask for it. It tells what the readiness probe tells: whether requests
//! should be sent here.

use std::pin::Pin;

use futures_util::{Stream, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server,
};

use crate::{lifecycle::Readiness, server::FaceState};

/// The service `grpc.health.v1.Health`.
#[derive(Debug, Clone)]
pub(super) struct Health {
    readiness: Readiness,
    stop: CancellationToken,
    services: &'static [&'static str],
}

impl Health {
    /// Health of the services named, and of the server as a whole, which has the empty name.
    pub(super) fn new(face: &FaceState, services: &'static [&'static str]) -> Self {
        Self { readiness: face.readiness.clone(), stop: face.stop.clone(), services }
    }

    fn is_served(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(&service)
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

const fn serving(ready: bool) -> ServingStatus {
    if ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.is_served(&request.get_ref().service) {
            return Err(Status::not_found("there is no such service"));
        }
        Ok(Response::new(answer(serving(self.readiness.is_ready()))))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// Tells the state and every change of it. It ends when the server stops, so that no watcher
    /// holds the stop up.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let is_served = self.is_served(&request.get_ref().service);
        let mut changes = self.readiness.subscribe();
        changes.mark_changed();
        let answers = stream::unfold((changes, self.stop.clone()), move |(mut changes, stop)| async move {
            tokio::select! {
                biased;
                changed = changes.changed() => changed.ok()?,
                () = stop.cancelled() => return None,
            }
            let ready = *changes.borrow_and_update();
            let status = if is_served { serving(ready) } else { ServingStatus::ServiceUnknown };
            Some((Ok(answer(status)), (changes, stop)))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
