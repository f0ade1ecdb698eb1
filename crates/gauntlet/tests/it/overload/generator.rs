//! An open load: calls begin at their times, whatever became of those before.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use gauntlet_proto::statistic::{StatItem, StatItemUpdated};
use h2::client::SendRequest;
use hdrhistogram::Histogram;
use prost::Message as _;
use tokio::{net::TcpStream, task::JoinSet};

/// Calls that may be open at one time; more are counted as not sent.
const MOST_OPEN: usize = 12_000;
const CONNECTIONS: usize = 8;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Browse of everything, compressed.
    Browse,
    /// A statistic of a player, over gRPC.
    Event,
}

/// What a time of load came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) seconds: f64,
    pub(super) sent: usize,
    pub(super) good: usize,
    pub(super) shed: usize,
    pub(super) other: usize,
    pub(super) unsent: usize,
    /// Of good answers, in microseconds.
    pub(super) times: Histogram<u64>,
}

#[derive(Debug)]
struct Counts {
    open: AtomicUsize,
    good: AtomicUsize,
    shed: AtomicUsize,
    other: AtomicUsize,
    times: Mutex<Histogram<u64>>,
}

impl Counts {
    fn new() -> Arc<Self> {
        let times = Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds");
        Arc::new(Self {
            open: AtomicUsize::new(0),
            good: AtomicUsize::new(0),
            shed: AtomicUsize::new(0),
            other: AtomicUsize::new(0),
            times: Mutex::new(times),
        })
    }

    fn outcome(&self, begun: Instant, sent: usize, unsent: usize) -> Outcome {
        Outcome {
            seconds: begun.elapsed().as_secs_f64(),
            sent,
            good: self.good.load(Ordering::Relaxed),
            shed: self.shed.load(Ordering::Relaxed),
            other: self.other.load(Ordering::Relaxed),
            unsent,
            times: self.times.lock().expect("not poisoned").clone(),
        }
    }
}

pub(super) struct Generator {
    what: What,
    connections: Vec<SendRequest<Bytes>>,
    next: AtomicU64,
    _tasks: JoinSet<()>,
}

impl Generator {
    pub(super) async fn connect(what: What, address: &str) -> Self {
        let (mut connections, mut tasks) = (Vec::new(), JoinSet::new());
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await.expect("connects");
            stream.set_nodelay(true).expect("TCP");
            let (client, connection) = h2::client::Builder::new()
                .initial_window_size(1 << 20)
                .initial_connection_window_size(1 << 24)
                .initial_max_send_streams(1_000)
                .handshake(stream)
                .await
                .expect("HTTP/2");
            tasks.spawn(async move {
                // It ends with the generator.
                let _ended = connection.await;
            });
            connections.push(client);
        }
        Self { what, connections, next: AtomicU64::new(1), _tasks: tasks }
    }

    /// A closed load: so many calls are open at any time.
    pub(super) async fn closed(&self, open: usize, length: Duration) -> Outcome {
        let (counts, begun) = (Counts::new(), Instant::now());
        let mut calls = JoinSet::new();
        let mut sent = 0;
        while begun.elapsed() < length {
            while calls.len() < open {
                sent += 1;
                calls.spawn(self.call(sent, counts.clone()));
            }
            calls.join_next().await.transpose().expect("no panic");
        }
        let outcome = counts.outcome(begun, sent, 0);
        while calls.join_next().await.transpose().expect("no panic").is_some() {}
        outcome
    }

    /// An open load of so many calls a second. What is answered later than the load lasts does not
    /// count.
    pub(super) async fn open(&self, rate: f64, length: Duration) -> Outcome {
        let (counts, begun) = (Counts::new(), Instant::now());
        let mut calls = JoinSet::new();
        let (mut due, mut sent, mut unsent) = (0.0, 0_usize, 0_usize);
        let mut last = begun;
        while begun.elapsed() < length {
            let now = Instant::now();
            due += (now - last).as_secs_f64() * rate;
            last = now;
            while due >= 1.0 {
                due -= 1.0;
                if counts.open.load(Ordering::Relaxed) >= MOST_OPEN {
                    unsent += 1;
                } else {
                    sent += 1;
                    calls.spawn(self.call(sent, counts.clone()));
                }
            }
            while calls.try_join_next().is_some() {}
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let outcome = counts.outcome(begun, sent, unsent);
        while calls.join_next().await.transpose().expect("no panic").is_some() {}
        outcome
    }

    fn call(&self, number: usize, counts: Arc<Counts>) -> impl Future<Output = ()> + Send + 'static {
        let client = self.connections[number % self.connections.len()].clone();
        let (what, id) = (self.what, self.next.fetch_add(1, Ordering::Relaxed));
        counts.open.fetch_add(1, Ordering::Relaxed);
        async move {
            let begun = Instant::now();
            let answer = match what {
                What::Browse => browse(client, id).await,
                What::Event => event(client, id).await,
            };
            counts.open.fetch_sub(1, Ordering::Relaxed);
            match answer {
                Ok(true) => {
                    counts.good.fetch_add(1, Ordering::Relaxed);
                    let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                    counts.times.lock().expect("not poisoned").saturating_record(took);
                }
                Ok(false) => {
                    counts.shed.fetch_add(1, Ordering::Relaxed);
                }
                Err(what) => {
                    if counts.other.fetch_add(1, Ordering::Relaxed) < 3 {
                        println!("{what}");
                    }
                }
            }
        }
    }
}

/// Spread over the players without an order.
fn player(id: u64) -> String {
    format!("p{}", (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % super::sweep::PLAYERS)
}

async fn browse(client: SendRequest<Bytes>, id: u64) -> Result<bool, String> {
    let request = http::Request::get("http://x/challenge/v1/challenges")
        .header("x-mock-user-id", player(id))
        .header("accept-encoding", "zstd")
        .body(())
        .map_err(|error| error.to_string())?;
    let mut client = client.ready().await.map_err(|error| error.to_string())?;
    let (response, _) = client.send_request(request, true).map_err(|error| error.to_string())?;
    let response = response.await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    read(response.into_body()).await?;
    match status {
        200 => Ok(true),
        429 => Ok(false),
        status => Err(format!("HTTP {status}")),
    }
}

async fn event(client: SendRequest<Bytes>, id: u64) -> Result<bool, String> {
    let stats = gauntlet_domain::catalogue::LOAD_STATS;
    let mixed = usize::try_from(id).unwrap_or_default();
    let event = StatItemUpdated {
        id: format!("{id:x}"),
        user_id: player(id),
        payload: Some(StatItem {
            stat_code: stats[mixed % stats.len()].to_string(),
            latest_value: f64::from(u32::try_from(mixed % 1_000).unwrap_or_default()),
            inc: 1.0,
            ..StatItem::default()
        }),
        ..StatItemUpdated::default()
    }
    .encode_to_vec();
    let mut framed = vec![0];
    framed.extend(u32::try_from(event.len()).expect("short").to_be_bytes());
    framed.extend(event);
    let uri = "http://x/accelbyte.social.statistic.v1.StatisticStatItemUpdatedService/OnMessage";
    let request =
        http::Request::post(uri).header("content-type", "application/grpc").header("te", "trailers");
    let request = request.body(()).map_err(|error| error.to_string())?;
    let mut client = client.ready().await.map_err(|error| error.to_string())?;
    let (response, mut body) = client.send_request(request, false).map_err(|error| error.to_string())?;
    body.send_data(framed.into(), true).map_err(|error| error.to_string())?;
    let response = response.await.map_err(|error| error.to_string())?;
    let early = response.headers().get("grpc-status").cloned();
    let status = match early {
        Some(status) => Some(status),
        None => read(response.into_body()).await?.and_then(|trailers| trailers.get("grpc-status").cloned()),
    };
    match status.as_ref().and_then(|status| status.to_str().ok()) {
        Some("0") => Ok(true),
        Some("8") => Ok(false),
        status => Err(format!("gRPC {status:?}")),
    }
}

/// Reads a body to its end and answers the trailers.
async fn read(mut body: h2::RecvStream) -> Result<Option<http::HeaderMap>, String> {
    while let Some(data) = body.data().await {
        let length = data.map_err(|error| error.to_string())?.len();
        body.flow_control().release_capacity(length).map_err(|error| error.to_string())?;
    }
    body.trailers().await.map_err(|error| error.to_string())
}
