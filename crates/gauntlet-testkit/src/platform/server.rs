//! The platform's HTTP server.

use std::{convert::Infallible, net::TcpListener, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::{Answer, Seen, Shared};

/// A connection that ends without an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

/// Serves until the platform is dropped.
pub(super) fn run(listener: TcpListener, shared: &Arc<Shared>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(serve(listener, shared));
}

async fn serve(listener: TcpListener, shared: &Arc<Shared>) {
    let address = listener.local_addr().expect("its address");
    let mut first = Some(listener);
    let mut open = shared.open.subscribe();
    loop {
        let wanted = *open.borrow_and_update();
        match wanted {
            None => return,
            Some(true) => {}
            Some(false) => {
                first = None;
                shared.is_open.send_replace(false);
                let Ok(()) = open.changed().await else { return };
                continue;
            }
        }
        let listener = first.take().unwrap_or_else(|| TcpListener::bind(address).expect("the same port"));
        listener.set_nonblocking(true).expect("a socket that does not block");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        shared.is_open.send_replace(true);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = open.changed() => break,
                Ok((stream, _)) = listener.accept() => {
                    let shared = shared.clone();
                    connections.spawn(async move {
                        let service = service_fn(|request| handle(request, shared.clone()));
                        // Callers that hang up are nobody's fault.
                        let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        connections.shutdown().await;
    }
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    // A call that did not arrive whole is not carried out.
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes().to_vec();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let seen =
        Seen { method: head.method.to_string(), target: head.uri.to_string(), headers, body, key: None };
    match shared.answer(seen) {
        Answer::Close => Err(Closed),
        Answer::Silence => {
            let forever: Infallible = std::future::pending().await;
            match forever {}
        }
        Answer::Send { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(Full::new(body.into())).expect("a response"))
        }
    }
}
