//! The service: HTTP and gRPC faces, use cases, event ingestion, rewards, and the life of it all.
//!
//! ```text
//! http, grpc ──> api, ingest ──> shards ──> store
//!      │              └────────> rewards ──> the reward platform
//!    net, auth
//! ```
//!
//! [`Server::start`] binds the listeners first and then serves them, so that tests use port 0 and
//! nobody has to wait. Two servers can run in one process: there is no global state.

mod admission;
pub mod api;
pub mod auth;
mod breaker;
pub mod catalogue;
pub mod clock;
mod core;
#[doc(hidden)]
pub mod door;
mod engine;
pub mod error;
mod grpc;
mod guarded;
mod http;
pub mod ingest;
pub mod lifecycle;
mod maintenance;
pub mod metrics;
pub mod net;
mod observe;
mod outgoing;
pub mod profiles;
mod rate;
mod reads;
pub mod rewards;
mod server;
pub mod shards;
#[cfg(test)]
mod simulation;
pub mod traces;

pub use admission::AdmissionOptions;
pub use http::{documentation_paths, openapi, player_paths, split_cloud_events};
pub use server::{Addresses, Config, Parts, Roles, Server, StartError};
