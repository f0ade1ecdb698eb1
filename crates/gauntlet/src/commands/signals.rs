//! The signals that ask a command to stop. They are listened to from beginning to end: one that arrives
//! between two waits must not be lost.

use crate::output::Failure;

/// Ctrl-C, and what whoever runs the command sends to end it.
#[cfg(unix)]
pub(super) struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    /// Begins to listen: from now on such a signal does not end the process by itself.
    pub(super) fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::SignalKind;
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one, or takes one that has come meanwhile.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Begins to listen to a signal.
#[cfg(unix)]
pub(super) fn listen(kind: tokio::signal::unix::SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    tokio::signal::unix::signal(kind).map_err(|error| Failure::caused("cannot listen for signals", &error))
}

/// The key that asks the command to stop.
#[cfg(not(unix))]
pub(super) struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    /// Listens from the first `next` on.
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(super) fn listen() -> Result<Self, Failure> {
        Ok(Self)
    }

    /// Waits for the next Ctrl-C.
    pub(super) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
