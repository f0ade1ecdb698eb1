//! The lab's own reward platform: takes the server's webhooks and keeps what it was asked to hand
//! out, so that grants are counted where they arrive and not where they are said to be sent.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{net::TcpListener, task::JoinSet};

use crate::Error;

/// Largest webhook.
const MAX_BODY: usize = 64 * 1024;

/// What was handed out to one player for one goal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Handed {
    /// The idempotency keys: each is a reward.
    pub(crate) keys: BTreeSet<String>,
    /// How many calls came, repeated ones included.
    pub(crate) calls: u64,
}

/// By player and goal.
pub(crate) type Grants = HashMap<(String, String), Handed>;

#[derive(Debug, Default)]
struct Ledger {
    grants: Grants,
    unreadable: u64,
}

/// A receiver that listens. It ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
    _accepting: JoinSet<()>,
}

#[derive(Debug, Deserialize)]
struct Webhook {
    data: Data,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    player_id: String,
    goal_id: String,
}

impl Receiver {
    /// Listens; port 0 takes a free one. Everything is granted; signatures are not looked at, so it
    /// belongs on an address that only the server under test reaches.
    ///
    /// # Errors
    /// [`Error::Listen`] when the address cannot be listened on.
    pub async fn start(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&ledger)));
        Ok(Self { address, ledger, _accepting: accepting })
    }

    /// What the server has to be told as `--webhook-url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/grants", self.address)
    }

    /// What was handed out until now, and how many calls could not be read.
    pub(crate) fn handed_out(&self) -> (Grants, u64) {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        (ledger.grants.clone(), ledger.unreadable)
    }
}

async fn accept(listener: TcpListener, ledger: Arc<Mutex<Ledger>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // One that is gone before it was taken is the caller's matter: it tries again.
                let Ok((stream, _)) = accepted else { continue };
                let ledger = Arc::clone(&ledger);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(request, Arc::clone(&ledger)));
                    let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    ledger: Arc<Mutex<Ledger>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = request.headers().get("idempotency-key");
    let key = header.and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let webhook = body.ok().and_then(|body| serde_json::from_slice::<Webhook>(&body.to_bytes()).ok());
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, text) = match webhook {
        Some(webhook) if !key.is_empty() => {
            let of = (webhook.data.player_id, webhook.data.goal_id);
            let handed = ledger.grants.entry(of).or_default();
            handed.keys.insert(key);
            handed.calls += 1;
            (StatusCode::OK, r#"{"status":"granted"}"#)
        }
        _ => {
            ledger.unreadable += 1;
            (StatusCode::BAD_REQUEST, "")
        }
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    Ok(response)
}
