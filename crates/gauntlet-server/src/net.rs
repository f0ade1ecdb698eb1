//! Serving connections: HTTP/1.1 and HTTP/2 (with prior knowledge, as gRPC speaks it) on one
//! listener, with the limits that keep one bad peer from harming the others.
//!
//! `axum::serve` has no settings for HTTP/2, for slow headers or for the number of connections,
//! and hyper-util's `auto` builder waits without limit for a peer's first bytes. So the accept
//! loop is ours.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, response::Response};
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::lifecycle::at;

mod listen;
mod prefixed;
pub(crate) mod replies;
mod stall;
mod streams;
pub mod tls;

pub(crate) use listen::listen;
use prefixed::{Prefixed, Protocol, detect};
use replies::Replies;
use stall::Stalling;
use streams::{Streams, mark};
use tls::Tls;

use crate::admission::{
    Coming,
    gate::{Gate, Look},
};

/// What a listener allows.
#[derive(Debug, Clone)]
pub struct NetOptions {
    /// Most connections at one time; more wait in the kernel's queue. Too low turns players away
    /// who only sit idle; each connection costs some 40 KB.
    pub max_connections: usize,
    /// A new connection has this long to send its first bytes and, over HTTP/1, the whole head of
    /// its first request. Too high lets silent peers hold connections; too low fails phones on
    /// bad networks.
    pub first_request: Duration,
    /// Over HTTP/1, how long a connection may be idle before the head of its next request is
    /// there. Longer than the 60 seconds after which common load balancers give idle connections
    /// up: if we gave up first, they would send requests into closed connections.
    pub idle: Duration,
    /// Over HTTP/2, how often a quiet connection is asked whether it is still there, and how long
    /// it has to answer.
    pub ping: Duration,
    /// Most requests at one time on one HTTP/2 connection. gRPC clients send hundreds.
    pub max_streams: u32,
    /// How long a peer may take to read one reply, and how long a write may wait for a peer who
    /// takes nothing at all. Too short fails phones on bad networks; too long lets peers who do
    /// not read hold replies in memory.
    pub reply: Duration,
    /// How long requests that run may take after the shutdown began; then they are dropped.
    pub drain: Duration,
    /// Encryption; `None`: none. The handshake belongs to the time for the first request.
    pub tls: Option<Tls>,
}

impl Default for NetOptions {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            ping: Duration::from_secs(20),
            max_streams: 2_000,
            reply: Duration::from_secs(60),
            drain: Duration::from_secs(20),
            tls: None,
        }
    }
}

/// Largest head of a request, in bytes: line, headers, and over HTTP/2 the decoded header list.
const MAX_HEAD: u32 = 16 * 1024;

/// Streams that a peer may reset before their request was looked at; then the connection ends.
/// More would let it make the server begin requests that nobody waits for.
const MAX_RESETS: usize = 50;

/// Streams that we may have to reset because of a peer's mistakes; then the connection ends.
const MAX_ERRORS: usize = 200;

/// Bytes of replies that one HTTP/2 stream keeps for a peer who does not read them yet.
const MAX_UNSENT: usize = 256 * 1024;

/// Pause after an error of `accept` that a pause can heal, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a bound listener until the shutdown begins, then lets running requests end, for
/// [`NetOptions::drain`] at most. When it returns, every task it started has ended.
pub async fn serve<S: Face>(
    listener: TcpListener,
    face: S,
    options: &NetOptions,
    shutdown: CancellationToken,
) {
    run(listener, Server::new(face, None, options, shutdown.clone()), options, shutdown).await;
}

/// The same with a gate that looks at every request before the face does.
pub(crate) async fn serve_behind<S: Face>(
    gate: Gate,
    listener: TcpListener,
    face: S,
    options: &NetOptions,
    shutdown: CancellationToken,
) {
    run(listener, Server::new(face, Some(gate), options, shutdown.clone()), options, shutdown).await;
}

async fn run<S: Face>(
    listener: TcpListener,
    server: Server<S>,
    options: &NetOptions,
    shutdown: CancellationToken,
) {
    let server = Arc::new(server);
    let permits = Arc::new(Semaphore::new(options.max_connections));
    let mut connections = JoinSet::new();
    while let Some((stream, permit)) = next_connection(&listener, &permits, &shutdown).await {
        while let Some(ended) = connections.try_join_next() {
            report(ended);
        }
        connections.spawn(Arc::clone(&server).connection(stream, permit));
    }
    // Peers that were not accepted are told at once, instead of waiting in the kernel's queue.
    drop(listener);
    at("connections to end");
    drain(connections, &server.streams, options.drain).await;
}

/// The next connection, or nothing when the shutdown has begun. Errors of `accept` never end the
/// loop: most belong to one peer, and the others (no more file descriptors, no memory) pass.
async fn next_connection(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    at("a place for a connection");
    let permit = shutdown.run_until_cancelled(Arc::clone(permits).acquire_owned()).await?.ok()?;
    at("a connection");
    loop {
        match shutdown.run_until_cancelled(listener.accept()).await? {
            Ok((stream, _)) => return Some((stream, permit)),
            Err(error) if belongs_to_one_peer(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections; trying again");
                shutdown.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await?;
            }
        }
    }
}

fn belongs_to_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Waits for the connections to end, then ends those that have not.
async fn drain(mut connections: JoinSet<()>, streams: &TaskTracker, limit: Duration) {
    let ended = timeout(limit, async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    });
    if ended.await.is_err() {
        tracing::warn!(connections = connections.len(), "requests took too long to end; dropping them");
        connections.shutdown().await;
    }
    // Tasks of HTTP/2 requests end by themselves when their connection has ended.
    streams.close();
    streams.wait().await;
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the task of a connection failed");
    }
}

/// What answers the requests of a listener; cheap to clone for each. An axum router is one.
pub trait Face:
    tower::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Face for S where
    S: tower::Service<
            Request<Incoming>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// What all connections of a listener share.
struct Server<S> {
    face: S,
    gate: Option<Gate>,
    http1: http1::Builder,
    options: NetOptions,
    streams: TaskTracker,
    shutdown: CancellationToken,
}

impl<F: Face> Server<F> {
    fn new(face: F, gate: Option<Gate>, options: &NetOptions, shutdown: CancellationToken) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // hyper's limit for heads runs while the connection is idle, too.
            .header_read_timeout(options.idle)
            .max_header_size(MAX_HEAD as usize);
        Self { face, gate, http1, options: options.clone(), streams: TaskTracker::new(), shutdown }
    }

    /// How HTTP/2 is spoken on one connection.
    fn http2(&self, streams: Streams) -> http2::Builder<Streams> {
        let options = &self.options;
        let mut http2 = http2::Builder::new(streams);
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEAD)
            .max_concurrent_streams(options.max_streams)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_ERRORS)
            .max_send_buf_size(MAX_UNSENT)
            .keep_alive_interval(options.ping)
            .keep_alive_timeout(options.ping);
        http2
    }

    /// Serves one connection to its end. What goes wrong on it is the peer's matter or the
    /// network's, and not worth more than a line for the curious.
    async fn connection(self: Arc<Self>, stream: TcpStream, _permit: OwnedSemaphorePermit) {
        // Replies are written whole; waiting for more to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        match &self.options.tls {
            None => {
                let Some((protocol, stream)) = self.in_time(detect(stream)).await else { return };
                self.speak(protocol, stream).await;
            }
            Some(tls) => {
                let opened = async { detect(tls.accept(stream).await?).await };
                let Some((protocol, stream)) = self.in_time(opened).await else { return };
                self.speak(protocol, stream).await;
            }
        }
    }

    /// What a connection opens with, unless it fails, is late, or the shutdown begins.
    async fn in_time<T>(&self, opened: impl Future<Output = io::Result<T>>) -> Option<T> {
        match self.shutdown.run_until_cancelled(timeout(self.options.first_request, opened)).await {
            Some(Ok(Ok(found))) => Some(found),
            Some(Ok(Err(error))) => {
                tracing::debug!(%error, "connection ended before its first request");
                None
            }
            None | Some(Err(_)) => None,
        }
    }

    /// Serves the requests of a connection to its end.
    async fn speak<S>(&self, protocol: Protocol, stream: Prefixed<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let face = self.face.clone();
        let asked = AtomicBool::new(false);
        let replies = Replies::default();
        let service = service_fn(|mut request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            let look = self.gate.as_ref().map_or_else(Look::default, |gate| gate.look(&request));
            mark(look.is_small());
            let next = match look {
                Look::Refused(refusal) => Next::Refused(refusal),
                Look::Enter { coming, .. } => {
                    request.extensions_mut().insert(replies.clone());
                    Next::Routed(face.clone().call(request), coming)
                }
            };
            answer(next)
        });
        let io = TokioIo::new(Stalling::new(stream, self.options.reply));
        let ended = match protocol {
            Protocol::Http1 => {
                let connection = self.http1.serve_connection(io, service);
                self.drive(connection, &replies, async {
                    tokio::time::sleep(self.options.first_request).await;
                    if asked.load(Ordering::Relaxed) {
                        std::future::pending::<()>().await;
                    }
                })
                .await
            }
            Protocol::Http2 => {
                let streams = Streams::new(self.streams.clone());
                let connection = self.http2(streams.clone()).serve_connection(io, service);
                streams.run(self.drive(connection, &replies, std::future::pending())).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
    }

    /// Runs a connection to its end, or until it is late with its first request or with reading a
    /// reply. When the shutdown begins, running requests end and no new ones are taken.
    async fn drive<C: GracefulConnection>(
        &self,
        connection: C,
        replies: &Replies,
        late: impl Future<Output = ()>,
    ) -> Result<(), C::Error> {
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = late => return Ok(()),
            () = replies.late(self.options.reply) => return Ok(()),
            () = self.shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    }
}

/// Who answers a request.
enum Next<F> {
    /// Boxed because most requests are not refused, and what all of them carry is moved about.
    Refused(Box<Response>),
    Routed(F, Option<Coming>),
}

/// The gate's answer, or the face's. What was let in counts as coming until the face has looked at
/// it once.
async fn answer<F>(next: Next<F>) -> Result<Response, Infallible>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    let (future, mut coming) = match next {
        Next::Refused(refusal) => return Ok(*refusal),
        Next::Routed(future, coming) => (future, coming),
    };
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        coming = None;
        polled
    })
    .await
}
