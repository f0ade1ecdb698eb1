//! Fetching the key set: one GET, within bounds.

use std::{sync::Arc, time::Duration};

use axum::http::{StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

use super::jwt::SetUpError;
use crate::core::Chain;

/// How long the whole may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Largest key set: sets have a few kilobytes.
const MAX_BODY: usize = 256 * 1024;

/// Fetches one address. It follows no redirects: who configures an address means that one.
#[derive(Debug, Clone)]
pub(super) struct Fetch {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    address: Uri,
}

impl Fetch {
    pub(super) fn new(address: &str) -> Result<Self, SetUpError> {
        let address: Uri = address.parse().map_err(|_| SetUpError::Address)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(SetUpError::Tls)?;
        let tls = if address.scheme_str() == Some("https") {
            tls.with_native_roots().map_err(SetUpError::Roots)?
        } else {
            tls.with_root_certificates(rustls::RootCertStore::empty())
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        // Minutes lie between two fetches: no connection is worth keeping.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { client, address })
    }

    /// The body, if the answer is 200 and not too large.
    pub(super) async fn get(&self) -> Result<Bytes, String> {
        let fetched = timeout(DEADLINE, async {
            let answer =
                self.client.get(self.address.clone()).await.map_err(|error| Chain(&error).to_string())?;
            if answer.status() != StatusCode::OK {
                return Err(format!("the answer is {}", answer.status()));
            }
            let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
            body.map(http_body_util::Collected::to_bytes).map_err(|error| Chain(&*error).to_string())
        });
        fetched.await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }
}
