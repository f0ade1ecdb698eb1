//! A connection to the database that can be made to fail, and that counts what is prepared.

use std::sync::{
    Arc,
    atomic::{AtomicI32, AtomicUsize, Ordering},
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

/// Passes what it gets on to a server. Ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    mode: Arc<AtomicI32>,
    prepared: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port, in front of the server of this URL.
    pub async fn start(url: &str) -> Self {
        let server =
            url.split_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("a URL").0.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("bound").to_string();
        let (mode, prepared) = (Arc::new(AtomicI32::new(PASS)), Arc::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server.clone(), Arc::clone(&mode), Arc::clone(&prepared)));
        Self { url: url.replace(&server, &own), mode, prepared, _tasks: tasks }
    }

    /// The way to the same database through it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many statements the clients have asked to prepare, as long as nothing was encrypted.
    #[must_use]
    pub fn prepared(&self) -> usize {
        self.prepared.load(Ordering::SeqCst)
    }

    /// What it does at first.
    pub fn pass_everything(&self) {
        self.mode.store(PASS, Ordering::SeqCst);
    }

    /// The request is carried out; who asked learns nothing. Answers are small: each is one packet.
    pub fn cut_at_answer(&self, number: i32) {
        self.mode.store(number, Ordering::SeqCst);
    }

    /// Nothing passes any more, and nothing is closed.
    pub fn swallow_everything(&self) {
        self.mode.store(SWALLOW, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, server: String, mode: Arc<AtomicI32>, prepared: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let upstream = TcpStream::connect(&server).await.expect("the server answers");
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = upstream.into_split();
        let (mode, prepared) = (Arc::clone(&mode), Arc::clone(&prepared));
        connections.spawn(async move {
            // Whichever ends first closes both ways.
            tokio::select! {
                () = pump(from_client, to_server, &mode, Some(&prepared)) => {}
                () = pump(from_server, to_client, &mode, None) => {}
            }
        });
    }
}

/// `requests`: where what a client sends is counted; `None`: these are answers.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mode: &AtomicI32,
    requests: Option<&AtomicUsize>,
) {
    let mut buffer = vec![0; 64 * 1024];
    let (answers, mut messages) = (requests.is_none(), Messages::default());
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if let Some(prepared) = requests {
            prepared.fetch_add(messages.prepared(&buffer[..count]), Ordering::SeqCst);
        }
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

/// The messages of a client, cut out of the stream.
#[derive(Default)]
struct Messages {
    /// What is left of the message under way.
    left: usize,
    head: Vec<u8>,
    /// Messages have a type once the session has begun.
    begun: bool,
}

impl Messages {
    /// How many messages of these bytes ask to prepare a statement.
    fn prepared(&mut self, bytes: &[u8]) -> usize {
        const NO_SESSION: [u8; 4] = 80_877_103_u32.to_be_bytes();
        let mut found = 0;
        for byte in bytes {
            if self.left > 0 {
                self.left -= 1;
                continue;
            }
            self.head.push(*byte);
            // A length, with a type before it or a version after it.
            let at = usize::from(self.begun);
            let full = if self.begun { 5 } else { 8 };
            if self.head.len() < full {
                continue;
            }
            let length =
                u32::from_be_bytes([self.head[at], self.head[at + 1], self.head[at + 2], self.head[at + 3]]);
            self.left = length as usize + at - full;
            if self.begun {
                found += usize::from(self.head[0] == b'P');
            } else {
                self.begun = self.head[4..] != NO_SESSION;
            }
            self.head.clear();
        }
        found
    }
}
