//! A narrow door to inner parts, for benchmarks that measure them alone. Nothing else uses it.

pub use crate::{
    core::{Core, CoreParts},
    http::Splice,
};
