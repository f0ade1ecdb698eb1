//! Listening for the server under test: a small HTTP server with one answer for all.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

use crate::Error;

/// What is answered.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Listens and answers until the second value is dropped; port 0 takes a free one.
///
/// # Errors
/// [`Error::Listen`] when the address cannot be listened on.
pub(crate) async fn listen<F, A>(address: SocketAddr, answer: F) -> Result<(SocketAddr, JoinSet<()>), Error>
where
    F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let mut accepting = JoinSet::new();
    accepting.spawn(accept(listener, Arc::new(answer)));
    Ok((address, accepting))
}

async fn accept<F, A>(listener: TcpListener, answer: Arc<F>)
where
    F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // One that is gone before it was taken is the caller's matter: it tries again.
                let Ok((stream, _)) = accepted else { continue };
                let answer = Arc::clone(&answer);
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let answering = answer(request);
                        async move { Ok::<_, Infallible>(answering.await) }
                    });
                    let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}
