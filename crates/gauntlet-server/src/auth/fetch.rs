//! Fetching the key set: one GET, within bounds.

use std::time::Duration;

use axum::http::{Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;
use tokio::time::timeout;

use super::jwt::SetUpError;
use crate::{
    core::Chain,
    outgoing::{Answer, Outgoing},
};

/// How long the whole may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Largest key set: sets have a few kilobytes.
const MAX_BODY: usize = 256 * 1024;

/// Fetches one address.
#[derive(Debug, Clone)]
pub(super) struct Fetch {
    client: Outgoing,
    address: Uri,
}

impl Fetch {
    pub(super) fn new(address: &str) -> Result<Self, SetUpError> {
        let address: Uri = address.parse().map_err(|_| SetUpError::Address)?;
        // Minutes lie between two fetches: no connection is worth keeping.
        let client = Outgoing::new([&address], false, MAX_BODY)?;
        Ok(Self { client, address })
    }

    /// The body, if the answer is 200 and not too large.
    pub(super) async fn get(&self) -> Result<Bytes, String> {
        let fetched = timeout(DEADLINE, async {
            let mut request = Request::new(Full::default());
            request.uri_mut().clone_from(&self.address);
            let answer = self.client.send(request).await;
            let Answer { head, body } = answer.map_err(|error| Chain(&error).to_string())?;
            if head.status == StatusCode::OK { body } else { Err(format!("the answer is {}", head.status)) }
        });
        fetched.await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }
}
