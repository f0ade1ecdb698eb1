//! Who gets in: every operation of every port, against every credential that is not good.
//!
//! The operations come from the descriptors and from the router, so that a new one is held to the
//! same without anybody thinking of it.

mod encrypted;
pub(crate) mod issuer;
mod keys;
mod matrix;
pub(crate) mod rig;
pub(crate) mod wire;
