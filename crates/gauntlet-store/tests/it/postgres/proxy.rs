//! A connection to the database that can be made to fail.

use std::sync::{
    Arc,
    atomic::{AtomicI32, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

const PASS: i32 = -1;
/// Nothing passes, nothing is closed.
const SWALLOW: i32 = -2;
// n > 0: requests pass; at the n-th answer from now the connection is closed instead.

/// Ends when it is dropped.
pub(super) struct Proxy {
    url: String,
    mode: Arc<AtomicI32>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(super) async fn start(url: &str) -> Self {
        let server =
            url.split_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("a URL").0.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("bound").to_string();
        let mode = Arc::new(AtomicI32::new(PASS));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server.clone(), Arc::clone(&mode)));
        Self { url: url.replace(&server, &own), mode, _tasks: tasks }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn pass_everything(&self) {
        self.mode.store(PASS, Ordering::SeqCst);
    }

    /// The request is carried out; who asked learns nothing. Answers are small: each is one packet.
    pub(super) fn cut_at_answer(&self, number: i32) {
        self.mode.store(number, Ordering::SeqCst);
    }

    pub(super) fn swallow_everything(&self) {
        self.mode.store(SWALLOW, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, server: String, mode: Arc<AtomicI32>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let upstream = TcpStream::connect(&server).await.expect("the server answers");
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = upstream.into_split();
        let mode = Arc::clone(&mode);
        connections.spawn(async move {
            // Whichever ends first closes both ways.
            tokio::select! {
                () = pump(from_client, to_server, &mode, false) => {}
                () = pump(from_server, to_client, &mode, true) => {}
            }
        });
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mode: &AtomicI32, answers: bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        match mode.load(Ordering::SeqCst) {
            1 if answers => return,
            SWALLOW => {}
            number => {
                if number > 1 && answers {
                    mode.fetch_sub(1, Ordering::SeqCst);
                }
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
