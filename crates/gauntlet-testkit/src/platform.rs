//! A reward platform that does as it is told, and keeps a ledger of what it really handed out.
//!
//! It runs on a thread and a runtime of its own: the server under test may die, and a test may stop
//! its own clock, without a change for the platform.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::watch;

mod ags;
mod server;
mod webhook;

/// A platform on a free loopback port. It ends when it is dropped.
#[derive(Debug)]
pub struct FakePlatform {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the platform can do, which decides what a caller may do after a lost answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// It carries a key out once, for as long as it remembers the key.
    Keys {
        /// How long that is.
        lifetime: Duration,
    },
    /// It carries out whatever it gets, and can be asked what it has carried out.
    Searchable {
        /// How long a grant is missing in the answers after it was made.
        delay: Duration,
    },
    /// It carries out whatever it gets, and cannot be asked.
    Nothing,
}

/// What happens to one call instead of the usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// How many times the call is delivered to whatever hands rewards out: 0 for a call that is
    /// not carried out, 2 for one that the network has doubled.
    pub deliveries: u32,
    /// What the caller gets.
    pub reply: Reply,
}

/// What a caller gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The usual answer.
    Usual,
    /// The end of the connection, without an answer.
    Close,
    /// Nothing, until the caller hangs up or the platform ends.
    Silence,
    /// A status without a body.
    Status(u16),
    /// A status and a `Retry-After`.
    RetryAfter(u16, String),
    /// 200 and this text.
    Text(String),
    /// 200 and a body of so many bytes.
    Huge(usize),
    /// 307 to another address.
    Redirect(String),
}

impl Fault {
    /// The call is carried out and the reply is not the usual one.
    #[must_use]
    pub const fn done(reply: Reply) -> Self {
        Self { deliveries: 1, reply }
    }

    /// The call is not carried out.
    #[must_use]
    pub const fn not_done(reply: Reply) -> Self {
        Self { deliveries: 0, reply }
    }

    /// The call arrives twice; the reply is the usual one.
    #[must_use]
    pub const fn twice() -> Self {
        Self { deliveries: 2, reply: Reply::Usual }
    }
}

/// What the platform knows of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// How many times a reward was really handed out: more than 1 is a double reward.
    pub effects: u32,
    /// How many calls came with this key, carried out or not.
    pub calls: u32,
    /// How many times it was searched for.
    pub searches: u32,
    /// When it was last handed out, on the platform's clock.
    last: Option<Duration>,
}

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// GET, POST, PUT.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// Header names in small letters, and their values.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    /// What it was about; `None`: the platform refused it before it came to that.
    pub key: Option<String>,
}

/// The language that the platform speaks.
#[derive(Debug)]
enum Dialect {
    Webhook { secrets: Vec<Vec<u8>> },
    Ags { client: (String, String) },
}

/// What a request wants.
#[derive(Debug)]
enum Intent {
    /// A reward; the answer is the usual one, a status and a text.
    Grant { key: String, answer: (u16, String) },
    /// Whether there was one.
    Search { key: String },
    /// Answered with this status and text.
    Other(u16, String),
}

#[derive(Debug)]
struct Shared {
    dialect: Dialect,
    started: Instant,
    state: Mutex<State>,
    /// How many calls for grants have come in.
    calls: watch::Sender<usize>,
    /// Whether anybody can connect; `None`: the platform ends.
    open: watch::Sender<Option<bool>>,
    /// Whether what was last asked of `open` is so.
    is_open: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    memory: Memory,
    script: VecDeque<Fault>,
    searches: VecDeque<Fault>,
    otherwise: Option<Fault>,
    ledger: BTreeMap<String, Entry>,
    requests: Vec<Seen>,
    tokens: ags::Tokens,
    skipped: Duration,
}

impl FakePlatform {
    /// A platform that speaks the webhook protocol. `secrets` are those whose signatures it takes,
    /// as `whsec_...`; without any, signatures are not looked at.
    ///
    /// Grants are posted to [`FakePlatform::url`], and searched at [`FakePlatform::search_url`].
    #[must_use]
    pub fn webhook(memory: Memory, secrets: &[&str]) -> Self {
        let secrets = secrets.iter().map(|secret| webhook::decode_secret(secret)).collect();
        Self::start(Dialect::Webhook { secrets }, memory)
    }

    /// A platform that speaks the part of AGS that hands rewards out. With [`Memory::Keys`]
    /// fulfilments are remembered by their transaction ids; plain grants never are, so their
    /// callers are tested with [`Memory::Nothing`].
    #[must_use]
    pub fn ags(memory: Memory, client_id: &str, client_secret: &str) -> Self {
        Self::start(Dialect::Ags { client: (client_id.to_owned(), client_secret.to_owned()) }, memory)
    }

    /// From now on the access tokens handed out so far are refused.
    pub fn forget_tokens(&self) {
        self.state().tokens.forget();
    }

    fn start(dialect: Dialect, memory: Memory) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its number");
        let state = State {
            memory,
            script: VecDeque::new(),
            searches: VecDeque::new(),
            otherwise: None,
            ledger: BTreeMap::new(),
            requests: Vec::new(),
            tokens: ags::Tokens::default(),
            skipped: Duration::ZERO,
        };
        let shared = Arc::new(Shared {
            dialect,
            started: Instant::now(),
            state: Mutex::new(state),
            calls: watch::Sender::new(0),
            open: watch::Sender::new(Some(true)),
            is_open: watch::Sender::new(true),
        });
        let served = shared.clone();
        let thread = std::thread::spawn(move || server::run(listener, &served));
        Self { address, shared, thread: Some(thread) }
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where grants are posted to in the webhook protocol.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/grants", self.base_url())
    }

    /// Where grants are searched in the webhook protocol.
    #[must_use]
    pub fn search_url(&self) -> String {
        format!("{}/search", self.base_url())
    }

    /// What happens to the next calls for grants, one each; after them it is the usual again, or
    /// what [`FakePlatform::always`] said.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().script.extend(faults);
    }

    /// What happens to the next searches, one each. A search has nothing to deliver.
    pub fn script_searches(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state().searches.extend(replies.into_iter().map(Fault::not_done));
    }

    /// What happens to every call for a grant that the script does not name; `None`: the usual.
    pub fn always(&self, fault: Option<Fault>) {
        self.state().otherwise = fault;
    }

    /// Forgets what was said about calls and searches to come: the usual from now on.
    pub fn behave(&self) {
        let mut state = self.state();
        state.script.clear();
        state.searches.clear();
        state.otherwise = None;
    }

    /// Lets the platform's own clock, which decides about what it forgets and what it shows, go
    /// forward.
    pub fn advance(&self, time: Duration) {
        self.state().skipped += time;
    }

    /// Changes what the platform can do from now on.
    pub fn remember(&self, memory: Memory) {
        self.state().memory = memory;
    }

    /// Closes the port and every connection: whoever connects is refused.
    pub async fn close(&self) {
        self.set_open(false).await;
    }

    /// Listens again, on the same port.
    pub async fn open(&self) {
        self.set_open(true).await;
    }

    async fn set_open(&self, open: bool) {
        self.shared.open.send_replace(Some(open));
        let mut is_open = self.shared.is_open.subscribe();
        is_open.wait_for(|now| *now == open).await.expect("the platform runs");
    }

    /// Waits until so many calls for grants have come in since the start.
    pub async fn called(&self, times: usize) {
        let mut calls = self.shared.calls.subscribe();
        calls.wait_for(|calls| *calls >= times).await.expect("the platform runs");
    }

    /// Everything that it knows, by key.
    #[must_use]
    pub fn ledger(&self) -> BTreeMap<String, Entry> {
        self.state().ledger.clone()
    }

    /// How many rewards were really handed out, and how many of those were handed out twice or more.
    #[must_use]
    pub fn handed_out(&self) -> (u32, usize) {
        let state = self.state();
        let total = state.ledger.values().map(|entry| entry.effects).sum();
        (total, state.ledger.values().filter(|entry| entry.effects > 1).count())
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for FakePlatform {
    fn drop(&mut self) {
        self.shared.open.send_replace(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How a request is answered.
enum Answer {
    Close,
    Silence,
    Send { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
}

impl Answer {
    fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Send { status, headers: vec![("content-type", "application/json".into())], body: body.into() }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a request out, as far as the script lets it.
    fn answer(&self, mut seen: Seen) -> Answer {
        let mut state = self.state();
        let intent = match &self.dialect {
            Dialect::Webhook { secrets } => webhook::read(&seen, secrets),
            Dialect::Ags { client } => ags::read(&seen, client, &mut state.tokens),
        };
        let now = self.started.elapsed() + state.skipped;
        let (fault, usual) = match &intent {
            Intent::Grant { key, answer } => {
                seen.key = Some(key.clone());
                let fault = state.script.pop_front().or_else(|| state.otherwise.clone());
                let fault = fault.unwrap_or_else(|| Fault::done(Reply::Usual));
                state.deliver(key, fault.deliveries, now);
                (fault, answer.clone())
            }
            Intent::Search { key } => {
                seen.key = Some(key.clone());
                let found = state.search(key, now);
                let fault = state.searches.pop_front().unwrap_or_else(|| Fault::not_done(Reply::Usual));
                (fault, (200, format!(r#"{{"reference":"{key}","found":{found}}}"#)))
            }
            Intent::Other(status, text) => (Fault::not_done(Reply::Usual), (*status, text.clone())),
        };
        state.requests.push(seen);
        drop(state);
        if matches!(intent, Intent::Grant { .. }) {
            self.calls.send_modify(|calls| *calls += 1);
        }
        fault.reply.answer(usual)
    }
}

impl State {
    fn deliver(&mut self, key: &str, times: u32, now: Duration) {
        let entry = self.ledger.entry(key.to_owned()).or_default();
        entry.calls += 1;
        for _ in 0..times {
            let known = match self.memory {
                Memory::Keys { lifetime } => entry.last.is_some_and(|last| now < last + lifetime),
                Memory::Searchable { .. } | Memory::Nothing => false,
            };
            if !known {
                entry.effects += 1;
                entry.last = Some(now);
            }
        }
    }

    fn search(&mut self, key: &str, now: Duration) -> bool {
        let delay = match self.memory {
            Memory::Searchable { delay } => delay,
            Memory::Keys { .. } | Memory::Nothing => Duration::MAX,
        };
        let entry = self.ledger.entry(key.to_owned()).or_default();
        entry.searches += 1;
        entry.last.is_some_and(|last| now.saturating_sub(last) >= delay)
    }
}

impl Reply {
    fn answer(self, (status, text): (u16, String)) -> Answer {
        let with =
            |status, name, value| Answer::Send { status, headers: vec![(name, value)], body: Vec::new() };
        match self {
            Self::Usual => Answer::text(status, text),
            Self::Close => Answer::Close,
            Self::Silence => Answer::Silence,
            Self::Status(status) => Answer::Send { status, headers: Vec::new(), body: Vec::new() },
            Self::RetryAfter(status, after) => with(status, "retry-after", after),
            Self::Text(text) => Answer::text(200, text),
            Self::Huge(bytes) => Answer::text(200, vec![b' '; bytes]),
            Self::Redirect(to) => with(307, "location", to),
        }
    }
}
