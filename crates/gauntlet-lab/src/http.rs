//! The player API over HTTP/1.1 connections that are kept open.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    Error,
    identity::Identity,
    outcome::{Cause, of_transport},
    tls::Authority,
};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    /// Seconds after which to ask again, if the server says so.
    pub(crate) retry_after: Option<u64>,
}

/// Connections to one server.
#[derive(Clone)]
pub(crate) struct Http(Arc<Pool>);

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("authority", &self.0.authority).finish_non_exhaustive()
    }
}

struct Pool {
    authority: String,
    base: String,
    identity: Identity,
    /// For `https://`.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    /// Drives the connections; they end with it.
    drivers: Mutex<JoinSet<()>>,
}

/// The parts of `http://host:port/path`.
struct Address {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

/// Splits an address.
///
/// # Errors
/// [`Error::Address`] for what is none.
fn split(url: &str) -> Result<Address, Error> {
    let wrong = |problem: &str| Error::Address { url: url.to_owned(), problem: problem.to_owned() };
    let parsed: http::Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
    let tls = match parsed.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong("it has to begin with http:// or https://")),
    };
    let authority = parsed.authority().ok_or_else(|| wrong("it names no host"))?;
    let port = parsed.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let path = parsed.path().trim_end_matches('/').to_owned();
    Ok(Address { tls, host: authority.host().to_owned(), port, path })
}

impl Http {
    /// Connections to the server at this URL, with a base path; none is made yet.
    ///
    /// # Errors
    /// [`Error::Address`] for an address that cannot be used, and for `https://` without an
    /// authority to trust.
    pub(crate) fn new(url: &str, identity: Identity, authority: Option<&Authority>) -> Result<Self, Error> {
        let Address { tls, host, port, path } = split(url)?;
        let wrong = |problem: String| Error::Address { url: url.to_owned(), problem };
        let tls = match authority {
            _ if !tls => None,
            None => return Err(wrong("https needs an authority to trust (--ca)".to_owned())),
            Some(authority) => {
                let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(name).map_err(|error| wrong(error.to_string()))?;
                Some((TlsConnector::from(authority.client()), name))
            }
        };
        let (idle, drivers) = (Mutex::default(), Mutex::default());
        let authority = format!("{host}:{port}");
        Ok(Self(Arc::new(Pool { authority, base: path, identity, tls, idle, drivers })))
    }

    /// Calls as a player. An answer with any status is `Ok`.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        player: &str,
        body: Bytes,
    ) -> Result<Reply, Cause> {
        let uri = format!("{}{path}", self.0.base);
        let mut request = Request::builder().method(method).uri(uri).header(header::HOST, &self.0.authority);
        if !player.is_empty() {
            let header = self.0.identity.header(player);
            let (name, value) =
                header.ok_or_else(|| of_transport("request not made", "no token could be signed", false))?;
            request = request.header(name, value);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| of_transport("request not made", &error.to_string(), false))?;
        let mut sender = self.sender().await?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let header = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = header.and_then(|text| text.trim().parse().ok());
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Reply { status, body, retry_after })
        };
        match timeout(ANSWER, exchange).await {
            Ok(Ok(reply)) => {
                self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
                Ok(reply)
            }
            Ok(Err(error)) => Err(of_transport("connection broken", &chain(&error), !error.is_canceled())),
            Err(_late) => Err(of_transport("timed out", &format!("no answer in {ANSWER:?}"), true)),
        }
    }

    /// An open connection, else a new one.
    async fn sender(&self) -> Result<SendRequest<Full<Bytes>>, Cause> {
        loop {
            let idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut sender) = idle else { break };
            // A connection that the server has closed meanwhile is no failure of the next call.
            if sender.is_ready() || sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let connect = async {
            let stream = TcpStream::connect(&self.0.authority).await?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(stream)
        };
        let stream = match timeout(CONNECT, connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(of_transport("no connection", &error.kind().to_string(), false)),
            Err(_late) => return Err(of_transport("no connection", &format!("none in {CONNECT:?}"), false)),
        };
        let Some((connector, name)) = &self.0.tls else { return self.handshake(stream).await };
        match timeout(CONNECT, connector.connect(name.clone(), stream)).await {
            Ok(Ok(stream)) => self.handshake(stream).await,
            Ok(Err(error)) => Err(of_transport("no connection", &format!("TLS: {}", chain(&error)), false)),
            Err(_late) => Err(of_transport("no connection", &format!("no TLS in {CONNECT:?}"), false)),
        }
    }

    async fn handshake<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, Cause>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| of_transport("no connection", &chain(&error), false))?;
        let mut drivers = self.0.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        while drivers.try_join_next().is_some() {}
        drivers.spawn(async move {
            // The call that used the connection tells why it broke.
            let _told = connection.await;
        });
        Ok(sender)
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line
}
