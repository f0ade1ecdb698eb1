//! A closed load with a fixed number of calls in flight, cheap enough to share the machine.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::client::SendRequest;
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{process::Server, table::Sample};

/// Runs `clients` loops of `call` for a while. A call answers whether it went well; any failure
/// spoils the figures, so it ends the benchmark.
pub(crate) async fn run<F, C>(server: &Server, length: Duration, clients: Vec<C>) -> Sample
where
    C: FnMut() -> F + Send + 'static,
    F: Future<Output = bool> + Send,
{
    let stop = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let cpu = server.cpu_seconds();
    let loops: Vec<_> = clients
        .into_iter()
        .map(|mut call| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("bounds");
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    assert!(call().await, "a call failed");
                    times.saturating_record(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
                }
                times
            })
        })
        .collect();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("bounds");
    for one in loops {
        all.add(one.await.expect("a loop ends well")).expect("same bounds");
    }
    let (seconds, calls) = (started.elapsed().as_secs_f64(), all.len() as f64);
    Sample {
        rate: calls / seconds,
        p50: all.value_at_quantile(0.5) as f64 / 1e3,
        p95: all.value_at_quantile(0.95) as f64 / 1e3,
        cpu: (server.cpu_seconds() - cpu) * 1e6 / calls,
    }
}

/// A gRPC connection without the weight of a gRPC client.
pub(crate) async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("TCP");
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 24)
        .handshake(stream)
        .await
        .expect("HTTP/2");
    tokio::spawn(async move {
        // It ends when the benchmark drops the client.
        let _ended = connection.await;
    });
    client.ready().await.expect("HTTP/2")
}

/// One unary gRPC call with an encoded message; whether its status is OK.
pub(crate) async fn grpc(
    client: &mut SendRequest<Bytes>,
    uri: http::Uri,
    player: &str,
    message: Bytes,
) -> bool {
    let mut request =
        http::Request::post(uri).header("content-type", "application/grpc").header("te", "trailers");
    if !player.is_empty() {
        request = request.header("x-mock-user-id", player);
    }
    let request = request.body(()).expect("a request");
    std::future::poll_fn(|context| client.poll_ready(context)).await.expect("a stream");
    let (response, mut stream) = client.send_request(request, false).expect("a request is sent");
    stream.send_data(message, true).expect("a body is sent");
    let response = response.await.expect("a response");
    if let Some(status) = response.headers().get("grpc-status") {
        return status == "0";
    }
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let data = data.expect("a body");
        body.flow_control().release_capacity(data.len()).expect("flow control");
    }
    let trailers = body.trailers().await.expect("trailers");
    trailers.is_some_and(|trailers| trailers.get("grpc-status").is_some_and(|status| status == "0"))
}

/// A message as gRPC frames it.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).expect("a short message").to_be_bytes());
    framed.extend(message);
    framed.into()
}

/// A keep-alive HTTP/1.1 connection.
pub(crate) struct Http1 {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Http1 {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("TCP");
        Self { stream, buffer: vec![0; 1 << 20] }
    }

    /// Sends a request and reads the whole reply; its status and the length of its body.
    pub(crate) async fn get(&mut self, path: &str, headers: &str) -> (u16, usize) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        self.stream.write_all(request.as_bytes()).await.expect("sent");
        let mut filled = 0;
        let head = loop {
            filled += self.stream.read(&mut self.buffer[filled..]).await.expect("a reply");
            if let Some(end) = self.buffer[..filled].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_lowercase();
        let status = text[9..12].parse().expect("a status");
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
        let mut missing = (head + length).saturating_sub(filled);
        while missing > 0 {
            let read = self.stream.read(&mut self.buffer).await.expect("a body");
            missing = missing.saturating_sub(read.max(1));
        }
        (status, length)
    }
}
