//! Housekeeping that nothing depends on for being right: old receipts and old journal rows.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    core::{Chain, Core, millis},
    lifecycle::at,
};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(60);

/// Starts new generations of receipts and deletes old journal rows until it is told to stop.
pub(crate) async fn keep_house(core: Arc<Core>, retention: Option<Duration>, stop: CancellationToken) {
    loop {
        at("clearing up");
        tidy(&core, retention).await;
        at("its next round");
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

async fn tidy(core: &Core, retention: Option<Duration>) {
    match core.store().rotate_receipts(core.now()).await {
        Ok(true) => tracing::info!("receipts: a new generation began, the oldest was dropped"),
        Ok(false) => {}
        Err(error) => tracing::warn!(error = %Chain(&error), "receipts could not be rotated"),
    }
    let Some(retention) = retention else { return };
    let before = core.now().plus_millis(-millis(retention));
    match core.store().prune_journal(before).await {
        Ok(0) => {}
        Ok(rows) => tracing::info!(rows, "journal: old rows were deleted"),
        Err(error) => tracing::warn!(error = %Chain(&error), "the journal could not be pruned"),
    }
}
