//! The public contracts as Rust types: messages, clients and servers, generated from `proto/`.
//!
//! The generated code is committed, so building needs neither `protoc` nor a build script. After
//! a change in `proto/`, write it anew and commit both:
//!
//! ```text
//! cargo test -p gauntlet-proto -- --ignored regenerate
//! ```
//!
//! A test generates everything again and fails when what is committed differs.
//!
//! The messages of [`service`] are also written as JSON, with serde: that is how the HTTP face
//! answers.
//!
//! Field numbers and names are public: clients of [`service`] and the platform behind [`iam`] and
//! [`statistic`] were compiled with them. Add, never change. Fields that nothing here reads are
//! left out of the platform's messages and skipped when they arrive.

mod json;
pub mod platform;

// The generated modules stand as deep as their packages, because generated code refers to other
// packages by relative paths. `include!` and not `#[path]`: rustfmt must not touch them.
#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::pedantic,
    reason = "generated; the comments of the proto files document the messages"
)]
mod generated {
    pub(crate) mod accelbyte {
        pub(crate) mod iam {
            pub(crate) mod account {
                pub mod v1 {
                    include!("generated/accelbyte.iam.account.v1.rs");
                }
            }
        }
        pub(crate) mod social {
            pub(crate) mod statistic {
                pub mod v1 {
                    include!("generated/accelbyte.social.statistic.v1.rs");
                }
            }
        }
    }
    pub(crate) mod gauntlet {
        pub(crate) mod events {
            pub mod v1 {
                include!("generated/gauntlet.events.v1.rs");
            }
        }
    }
    pub(crate) mod google {
        pub mod rpc {
            include!("generated/google.rpc.rs");
        }
    }
    pub mod service {
        include!("generated/service.rs");
    }
}

/// Logins (package `accelbyte.iam.account.v1`).
#[doc(inline)]
pub use generated::accelbyte::iam::account::v1 as iam;
/// Changed statistics (package `accelbyte.social.statistic.v1`).
#[doc(inline)]
pub use generated::accelbyte::social::statistic::v1 as statistic;
/// Events on one long call (package `gauntlet.events.v1`).
#[doc(inline)]
pub use generated::gauntlet::events::v1 as events;
/// Errors with details (package `google.rpc`).
#[doc(inline)]
pub use generated::google::rpc;
/// What a game client may ask (package `service`).
#[doc(inline)]
pub use generated::service;

/// Every file of `proto/` and what they import, as an encoded `google.protobuf.FileDescriptorSet`
/// with our comments: what gRPC reflection answers from, and what the description of the HTTP API is
/// made of.
pub const DESCRIPTOR_SET: &[u8] = include!("generated/descriptors.rs");

macro_rules! proto_file {
    ($name:literal) => {
        ($name, include_str!(concat!("../proto/", $name)))
    };
}

/// The files of `proto/`: name and text, for whoever generates clients from them. What they import
/// besides (`google/protobuf/any.proto`, `duration.proto`) comes with every protobuf compiler.
pub const FILES: [(&str, &str); 6] = [
    proto_file!("accelbyte/iam/account/v1/account.proto"),
    proto_file!("accelbyte/social/statistic/v1/statistic.proto"),
    proto_file!("gauntlet/events/v1/events.proto"),
    proto_file!("gauntlet/service.proto"),
    proto_file!("google/rpc/error_details.proto"),
    proto_file!("google/rpc/status.proto"),
];
