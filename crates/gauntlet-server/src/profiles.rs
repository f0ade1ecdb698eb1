//! Looking into the running process: where processor time and memory go, what tasks are at, and
//! what callers wait for. Off unless switched on; `docs/profiling.md` is for whoever uses it.
//!
//! Nothing here shows a value of a player or a secret: profiles are made of names of functions,
//! views of names of tasks and of figures.

pub(crate) mod contention;
#[cfg(target_os = "linux")]
mod cpu;
#[cfg(target_os = "linux")]
mod heap;
#[cfg(target_os = "linux")]
mod leaf;
pub(crate) mod tasks;

#[cfg(target_os = "linux")]
pub(crate) use self::{cpu::cpu, heap::heap};

/// A profile as pprof's tools read it: gzipped protobuf.
#[cfg(target_os = "linux")]
fn packed(profile: &pprof::protos::Profile) -> std::io::Result<Vec<u8>> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, &pprof::protos::Message::encode_to_vec(profile))?;
    packed.finish()
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    /// There is one profiler in a process, and somebody uses it.
    #[error("another CPU profile is being taken; there can be one at a time")]
    Busy,
    /// It cannot be had from this build or on this system.
    #[error("{0}")]
    Impossible(String),
    /// It should have worked.
    #[error("{what}")]
    Failed {
        /// What did not.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ProfileError {
    #[cfg(target_os = "linux")]
    fn failed(what: &'static str) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> Self {
        move |source| Self::Failed { what, source }
    }
}

/// Begins to sample allocations, for heap profiles: they show what was allocated from now on. Says
/// in the log when that cannot be.
#[cfg(target_os = "linux")]
pub async fn sample_heap() {
    heap::begin().await;
}

/// Elsewhere there are no profiles.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unused_async, reason = "it waits on Linux")]
pub async fn sample_heap() {}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unused_async, reason = "they wait on Linux")]
mod elsewhere {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::ProfileError;

    fn impossible() -> ProfileError {
        ProfileError::Impossible("profiles are taken on Linux only".into())
    }

    pub(crate) async fn cpu(_time: Duration, _stop: &CancellationToken) -> Result<Vec<u8>, ProfileError> {
        Err(impossible())
    }

    pub(crate) async fn heap() -> Result<Vec<u8>, ProfileError> {
        Err(impossible())
    }
}
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{cpu, heap};
