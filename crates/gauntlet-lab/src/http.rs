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
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use crate::{
    Error,
    outcome::{Cause, of_transport},
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
}

/// Connections to one server.
#[derive(Debug, Clone)]
pub(crate) struct Http(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    authority: String,
    base: String,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    /// Drives the connections; they end with it.
    drivers: Mutex<JoinSet<()>>,
}

/// Splits `http://host:port/path` into authority and path.
///
/// # Errors
/// [`Error::Address`] for anything else; TLS is not spoken.
pub(crate) fn split_url(url: &str) -> Result<(String, String), Error> {
    let wrong = |problem: &str| Error::Address { url: url.to_owned(), problem: problem.to_owned() };
    let parsed: http::Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
    if parsed.scheme_str() != Some("http") {
        return Err(wrong("it has to begin with http://; the lab speaks no TLS"));
    }
    let authority = parsed.authority().ok_or_else(|| wrong("it names no host"))?;
    let port = parsed.port_u16().unwrap_or(80);
    Ok((format!("{}:{port}", authority.host()), parsed.path().trim_end_matches('/').to_owned()))
}

impl Http {
    /// Connections to the server at this URL, with a base path; none is made yet.
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        let (authority, base) = split_url(url)?;
        let (idle, drivers) = (Mutex::default(), Mutex::default());
        Ok(Self(Arc::new(Pool { authority, base, idle, drivers })))
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
            request = request.header("x-mock-user-id", player);
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
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Reply { status, body })
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
