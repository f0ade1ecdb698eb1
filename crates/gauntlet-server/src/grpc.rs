//! The gRPC faces: the player API, and events in.
//!
//! They ask the same use cases as the HTTP faces and answer with the same reasons; what is
//! different is how a status is written. tonic's own transport is not used: its services are
//! routes like any other, so one listener serves gRPC beside HTTP.

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header::CONTENT_TYPE},
    middleware::from_fn_with_state,
    response::{IntoResponse as _, Response},
};
use gauntlet_proto::{
    DESCRIPTOR_SET,
    events::event_stream_server::{EventStreamServer, SERVICE_NAME as STREAM},
    iam::user_authentication_user_logged_in_service_server::{
        SERVICE_NAME as LOGIN, UserAuthenticationUserLoggedInServiceServer as LoginServer,
    },
    service::service_server::{SERVICE_NAME as API, ServiceServer},
    statistic::statistic_stat_item_updated_service_server::{
        SERVICE_NAME as STAT, StatisticStatItemUpdatedServiceServer as StatServer,
    },
};
use tonic::service::Routes;
use tonic_health::pb::{FILE_DESCRIPTOR_SET as HEALTH_SET, health_server::HealthServer};
use tonic_reflection::server::{Builder as Reflection, Error as ReflectionError};

use crate::{
    admission::gate::Gate,
    auth::events::guard,
    error::{ApiError, Reason},
    http::{cloud_events_gated, cloud_events_router},
    server::FaceState,
};

mod direct;
mod events;
mod health;
mod observe;
mod service;
mod status;
mod stream;

pub(crate) use observe::EVENT_LABELS;
pub(crate) use status::unimplemented;

/// The response for an error that arises before a service is reached.
pub(crate) fn error(error: ApiError) -> Response {
    status::status(error).into_http()
}

/// Largest message of a request, as on the HTTP face.
const MAX_MESSAGE: usize = 64 * 1024;

/// The player API, with health and reflection.
pub(crate) fn api_router(face: &FaceState) -> Router {
    let service = service::Service::new(face.api.clone(), face.auth.clone());
    let routes = Routes::new(ServiceServer::new(service).max_decoding_message_size(MAX_MESSAGE));
    finish(routes, face, &[API])
        .fallback(no_such_service)
        .layer(from_fn_with_state(observe::Observer::new(face), observe::observe))
}

/// Events in: the platform's two services, the stream, and `CloudEvents` over HTTP.
///
/// The platform's two methods are what this port is asked for all day: [`direct`] answers them in
/// front of the router.
pub(crate) fn events_face(face: &FaceState) -> direct::EventsFace {
    let events = events::Events::new(face.ingest.clone());
    let routes = Routes::new(LoginServer::new(events.clone()).max_decoding_message_size(MAX_MESSAGE))
        .add_service(StatServer::new(events).max_decoding_message_size(MAX_MESSAGE))
        .add_service(
            EventStreamServer::new(stream::Events::new(face)).max_decoding_message_size(MAX_MESSAGE),
        );
    let router = finish(routes, face, &[LOGIN, STAT, STREAM])
        .layer(from_fn_with_state(face.event_secrets.clone(), guard))
        .layer(from_fn_with_state(observe::Observer::new(face), observe::observe))
        .merge(cloud_events_router(face))
        // Without a state that is still missing, the router is cheap to clone for each request.
        .with_state(());
    direct::EventsFace::new(face, router)
}

/// What the gate of the player API looks at.
pub(crate) fn api_gate(face: &FaceState) -> Gate {
    observe::gated(Gate::new(face), &[API])
}

/// What the gate of the events port looks at.
pub(crate) fn events_gate(face: &FaceState) -> Gate {
    cloud_events_gated(observe::gated(Gate::new(face), &[LOGIN, STAT]), face)
}

/// Adds health and reflection for the services named.
fn finish(mut routes: Routes, face: &FaceState, services: &'static [&'static str]) -> Router {
    routes = routes.add_service(HealthServer::new(health::Health::new(face, services)));
    routes = match add_reflection(routes.clone(), services) {
        Ok(routes) => routes,
        Err(error) => {
            // The descriptors are constants: a test sees this before any user does.
            tracing::error!(%error, "gRPC reflection is not served");
            routes
        }
    };
    routes.into_axum_router().reset_fallback()
}

fn add_reflection(routes: Routes, services: &[&str]) -> Result<Routes, ReflectionError> {
    let builder = || {
        let builder = Reflection::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(HEALTH_SET)
            .with_service_name("grpc.health.v1.Health");
        services.iter().fold(builder, |builder, name| builder.with_service_name(*name))
    };
    Ok(routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
}

async fn no_such_service(request: Request) -> Response {
    if is_grpc(&request) {
        return unimplemented().into_http();
    }
    ApiError::new(Reason::RouteNotFound, "this port speaks gRPC; there is no such service").into_response()
}

/// Whether a request comes from a gRPC client, which could not read an answer in JSON.
pub(crate) fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type.is_some_and(|content_type| content_type.starts_with(b"application/grpc"))
}
