//! Processes and databases that stop while they are busy.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gauntlet_proto::events::{self, event_stream_client::EventStreamClient};
use gauntlet_testkit::PgCluster;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};
use tonic::{Code, Status, transport::Channel};

use crate::{
    clients::{Ask, Client, figure, one, send},
    process::{Process, channel},
    races::start,
};

const PLAYERS: usize = 8;
const SENDERS: usize = 32;

/// What became of the events that were sent.
#[derive(Debug, Default)]
struct Ledger {
    acknowledged: Mutex<Vec<(usize, String)>>,
    /// Sent, and not acknowledged: they may have counted.
    open: Mutex<Vec<(usize, String)>>,
    refusals: Mutex<BTreeMap<String, usize>>,
    slowest_refusal: Mutex<Duration>,
    stop: AtomicBool,
    next: AtomicU64,
}

impl Ledger {
    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().expect("not poisoned").len()
    }

    fn refused(&self) -> usize {
        self.refusals.lock().expect("not poisoned").values().sum()
    }

    fn refuse(&self, status: &Status, took: Duration) {
        // HTTP/2's "go away" for a call that the server has not begun; our client names it badly.
        let not_begun = format!("{status:?}").contains("NO_ERROR, Remote");
        let word = match status.code() {
            Code::Internal if not_begun => "Unavailable: the server goes away".to_owned(),
            Code::Internal => format!("{status:?}"),
            code => format!("{code:?}: {}", status.message()),
        };
        *self.refusals.lock().expect("not poisoned").entry(word).or_default() += 1;
        let mut slowest = self.slowest_refusal.lock().expect("not poisoned");
        *slowest = took.max(*slowest);
    }

    /// Waits until so many events are acknowledged.
    async fn reaches(&self, count: usize) {
        let started = Instant::now();
        while self.acknowledged() < count {
            assert!(started.elapsed() < Duration::from_secs(60), "stuck: {self:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Of each player.
    fn count(list: &Mutex<Vec<(usize, String)>>, player: usize) -> usize {
        list.lock().expect("not poisoned").iter().filter(|(other, _)| *other == player).count()
    }
}

/// Senders that each send one event after the other, and a refused one again, until the ledger
/// says stop.
fn load(events: &Channel, ledger: &Arc<Ledger>) -> JoinSet<()> {
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let (channel, ledger) = (events.clone(), ledger.clone());
        senders.spawn(async move {
            while !ledger.stop.load(Ordering::Relaxed) {
                let number = ledger.next.fetch_add(1, Ordering::Relaxed);
                let player = usize::try_from(number).expect("small") % PLAYERS;
                let id = format!("e{number}");
                let list = if deliver(&channel, &ledger, player, &id).await {
                    &ledger.acknowledged
                } else {
                    &ledger.open
                };
                list.lock().expect("not poisoned").push((player, id));
            }
        });
    }
    senders
}

/// Whether it was acknowledged before the ledger said stop.
async fn deliver(channel: &Channel, ledger: &Ledger, player: usize, id: &str) -> bool {
    loop {
        let started = Instant::now();
        match send(channel, one(&format!("p{player}"), "hits", id)).await {
            Ok(()) => return true,
            Err(status) => ledger.refuse(&status, started.elapsed()),
        }
        if ledger.stop.load(Ordering::Relaxed) {
            return false;
        }
        // As the platform does before it delivers again.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn initialize(server: &Process) {
    for player in 0..PLAYERS {
        assert!(client(server, player).ask(Ask::Initialize).await.ok());
    }
}

fn client(server: &Process, player: usize) -> Client {
    Client { base: server.http.as_str().into(), grpc: None, player: format!("p{player}") }
}

/// Everything acknowledged is there, nothing twice; and after all open events were delivered
/// again, everything is there once.
async fn balance(server: &Process, ledger: &Ledger) {
    for player in 0..PLAYERS {
        let progress = client(server, player).goal("hits").await["progress"].as_u64().expect("a number");
        let progress = usize::try_from(progress).expect("small");
        let (sure, open) = (Ledger::count(&ledger.acknowledged, player), Ledger::count(&ledger.open, player));
        assert!((sure..=sure + open).contains(&progress), "p{player}: {progress}, not {sure}..{open} more");
    }
    let events = channel(&server.events).await;
    let mut all = ledger.acknowledged.lock().expect("not poisoned").clone();
    all.extend(ledger.open.lock().expect("not poisoned").clone());
    let mut again = JoinSet::new();
    for share in all.chunks(all.len().div_ceil(SENDERS).max(1)).map(<[_]>::to_vec) {
        let events = events.clone();
        again.spawn(async move {
            for (player, id) in share {
                send(&events, one(&format!("p{player}"), "hits", &id)).await.expect("OK");
            }
        });
    }
    again.join_all().await;
    for player in 0..PLAYERS {
        let all = Ledger::count(&ledger.acknowledged, player) + Ledger::count(&ledger.open, player);
        assert_eq!(client(server, player).goal("hits").await["progress"], all, "player {player}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = format!("sqlite:{}", folder.path().join("g.db").display());
    let database = PgCluster::shared().database().await;
    for store in [sqlite.as_str(), &database.url] {
        let ledger = Arc::new(Ledger::default());
        for life in 0..2 {
            let server = start(store, folder.path());
            initialize(&server).await;
            ledger.stop.store(false, Ordering::Relaxed);
            let mut senders = load(&channel(&server.events).await, &ledger);
            let mut askers = ask_on(&server, &ledger);
            stream(channel(&server.events).await, life, ledger.clone(), &mut senders);
            ledger.reaches(ledger.acknowledged() + 600).await;
            server.terminate();
            let status = tokio::task::block_in_place(|| server.ended());
            assert!(status.success(), "{status}");
            ledger.stop.store(true, Ordering::Relaxed);
            while senders.join_next().await.transpose().expect("no panic").is_some() {}
            while askers.join_next().await.transpose().expect("no panic").is_some() {}
        }
        // Whatever was not acknowledged was refused in words, or was never taken.
        let refusals = ledger.refusals.lock().expect("not poisoned").clone();
        println!("{store}: {} acknowledged, refused: {refusals:#?}", ledger.acknowledged());
        for word in refusals.keys() {
            // The second is what our own client says to requests that it did not send any more, the third
            // to those on a connection that nobody had looked at when the server stopped.
            let clean = ["Unavailable: ", "Cancelled: operation was canceled", "Unknown: transport error"];
            assert!(clean.iter().any(|clean| word.starts_with(clean)), "{word}");
        }
        let server = start(store, folder.path());
        balance(&server, &ledger).await;
        server.stop();
    }
}

/// Adds a sender that has its events on one call, many at a time. When the call ends, those that
/// were read from it and not answered are open.
fn stream(channel: Channel, life: u32, ledger: Arc<Ledger>, senders: &mut JoinSet<()>) {
    let player = |number: u64| usize::try_from(number).expect("small") % PLAYERS;
    let read = Arc::new(AtomicU64::new(0));
    let window = Arc::new(Semaphore::new(64));
    let (counter, room) = (read.clone(), window.clone());
    let events = futures_util::stream::unfold(0_u64, move |sequence| {
        let (counter, room) = (counter.clone(), room.clone());
        async move {
            room.acquire().await.expect("it stays open").forget();
            counter.store(sequence + 1, Ordering::Relaxed);
            let event = one(&format!("p{}", player(sequence)), "hits", &format!("s{life}-{sequence}"));
            let event = Some(events::event::Event::StatItemUpdated(event));
            Some((events::Event { sequence, event }, sequence + 1))
        }
    });
    senders.spawn(async move {
        let mut answered = BTreeSet::new();
        let mut client = EventStreamClient::new(channel);
        let answers = client.publish(events).await;
        let mut answers = answers.expect("the call begins").into_inner();
        let end = loop {
            match answers.message().await {
                Ok(Some(ack)) => {
                    assert_eq!(ack.code, 0, "{ack:?}");
                    window.add_permits(1);
                    answered.insert(ack.sequence);
                    let name = (player(ack.sequence), format!("s{life}-{}", ack.sequence));
                    ledger.acknowledged.lock().expect("not poisoned").push(name);
                }
                Ok(None) => panic!("the call ended without the stop"),
                Err(status) => break status,
            }
        };
        assert_eq!(end.code(), Code::Unavailable, "{end:?}");
        assert!(end.message().contains("the server stops"), "{end:?}");
        assert!(!answered.is_empty(), "the stream did nothing");
        let open = (0..read.load(Ordering::Relaxed)).filter(|sequence| !answered.contains(sequence));
        let open = open.map(|sequence| (player(sequence), format!("s{life}-{sequence}")));
        ledger.open.lock().expect("not poisoned").extend(open);
    });
}

/// Players that ask on while the server stops: each request is answered, or its connection refused
/// or closed before an answer began; none hangs, none is cut in the middle.
fn ask_on(server: &Process, ledger: &Arc<Ledger>) -> JoinSet<()> {
    let mut askers = JoinSet::new();
    for player in 0..4 {
        let (client, ledger) = (client(server, player), ledger.clone());
        askers.spawn(async move {
            let asks = [Ask::select(&["a", "b"]), Ask::Browse, Ask::select(&["c"]), Ask::Initialize];
            for ask in asks.iter().cycle() {
                match client.ask_http(ask).await {
                    Ok(answer) => assert!(
                        answer.ok() || ["STORE_UNAVAILABLE", "OVERLOADED"].contains(&answer.reason.as_str()),
                        "{answer:?}"
                    ),
                    Err(error) => {
                        assert!(!error.to_string().contains("HTTP/1.1"), "{error}");
                        break;
                    }
                }
                if ledger.stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
    }
    askers
}

/// A request that never comes to its end: it holds a stop up for as long as that may take.
async fn half_a_request(server: &Process) -> TcpStream {
    let address =
        server.http.strip_prefix("http://").and_then(|url| url.split('/').next()).expect("an address");
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let head = "POST /challenge/v1/challenges/initialize HTTP/1.1\r\nhost: h\r\nx-mock-user-id: slow\r\n\
                content-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    // The server asks for the body once it has begun to work on the request.
    let mut asked = [0; 12];
    stream.read_exact(&mut asked).await.expect("an answer");
    assert_eq!(&asked, b"HTTP/1.1 100");
    stream.write_all(b"{").await.expect("sent");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_open_requests_and_a_second_signal_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalogue = folder.path().join("catalogue.json");
    std::fs::write(&catalogue, crate::clients::CATALOGUE).expect("the catalogue");
    let store = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let more = |drain| ["--catalogue", catalogue.to_str().expect("UTF-8"), "--drain", drain];

    // A request that does not end is dropped after the drain time, and the end is a clean one.
    let server = Process::start(&store("one.db"), &more("1s"));
    let _open = half_a_request(&server).await;
    let started = Instant::now();
    server.terminate();
    let status = server.ended();
    assert!(status.success(), "{status}");
    assert!(started.elapsed() >= Duration::from_secs(1), "it was waited for");
    assert!(started.elapsed() < Duration::from_secs(30), "it took {:?}", started.elapsed());

    // A second signal ends it at once, with a failure, and still loses nothing.
    let server = Process::start(&store("two.db"), &more("600s"));
    initialize(&server).await;
    let _open = half_a_request(&server).await;
    let events = channel(&server.events).await;
    send(&events, one("p0", "hits", "e")).await.expect("OK");
    server.terminate();
    refuses_connections(&server).await;
    server.terminate();
    let status = server.ended();
    assert_eq!(status.code(), Some(1), "{status}");
    let server = Process::start(&store("two.db"), &more("1s"));
    assert_eq!(client(&server, 0).goal("hits").await["progress"], 1);
    server.stop();
}

async fn refuses_connections(server: &Process) {
    let address = server.events.strip_prefix("http://").expect("an address");
    crate::clients::until(async || TcpStream::connect(address).await.is_err(), |gone| *gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_restarts_under_load_costs_refusals_only() {
    database_restarts(2, 200, None).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints its figures"]
async fn a_database_that_restarts_many_times_costs_refusals_only() {
    database_restarts(12, 2_000, Some(Duration::from_secs(5))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_database_is_away_is_a_clean_one() {
    let cluster = PgCluster::private();
    let database = cluster.database().await;
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(&database.url, folder.path());
    initialize(&server).await;
    let ledger = Arc::new(Ledger::default());
    let mut senders = load(&channel(&server.events).await, &ledger);
    ledger.reaches(100).await;
    tokio::task::block_in_place(|| cluster.stop());
    crate::clients::until(async || ledger.refused(), |refused| *refused > SENDERS).await;
    server.terminate();
    let status = tokio::task::block_in_place(|| server.ended());
    assert!(status.success(), "{status}");
    ledger.stop.store(true, Ordering::Relaxed);
    while senders.join_next().await.transpose().expect("no panic").is_some() {}
    tokio::task::block_in_place(|| cluster.start());
    let server = start(&database.url, folder.path());
    balance(&server, &ledger).await;
    server.stop();
}

/// Crashes the database under load, several times; `recovery`: how soon after it is back an event
/// must be acknowledged.
async fn database_restarts(times: usize, events: usize, recovery: Option<Duration>) {
    let cluster = PgCluster::private();
    let database = cluster.database().await;
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(&database.url, folder.path());
    initialize(&server).await;
    let ledger = Arc::new(Ledger::default());
    let mut senders = load(&channel(&server.events).await, &ledger);
    let mut slowest = Duration::ZERO;
    for _ in 0..times {
        ledger.reaches(ledger.acknowledged() + events).await;
        let refused = ledger.refused();
        tokio::task::block_in_place(|| cluster.stop());
        crate::clients::until(async || ledger.refused(), |now| *now > refused + SENDERS).await;
        tokio::task::block_in_place(|| cluster.start());
        let (back, before) = (Instant::now(), ledger.acknowledged());
        ledger.reaches(before + 1).await;
        slowest = slowest.max(back.elapsed());
    }
    ledger.reaches(ledger.acknowledged() + events).await;
    ledger.stop.store(true, Ordering::Relaxed);
    while senders.join_next().await.transpose().expect("no panic").is_some() {}
    let refusals = ledger.refusals.lock().expect("not poisoned").clone();
    println!(
        "{times} crashes: {} acknowledged, slowest recovery {slowest:?}, slowest refusal {:?}, {refusals:#?}",
        ledger.acknowledged(),
        ledger.slowest_refusal.lock().expect("not poisoned"),
    );
    assert!(recovery.is_none_or(|recovery| slowest <= recovery), "recovery took {slowest:?}");
    for word in refusals.keys() {
        assert!(word.starts_with(&format!("{:?}", Code::Unavailable)), "{word}");
    }
    balance(&server, &ledger).await;
    // No connection is left over, neither here nor there.
    let limit = figure(&server.ops, r#"gauntlet_pool_connections{kind="limit"}"#);
    let open = figure(&server.ops, r#"gauntlet_pool_connections{kind="open"}"#);
    let idle = figure(&server.ops, r#"gauntlet_pool_connections{kind="idle"}"#);
    assert!(open <= limit && (open - idle).abs() < 1.5, "limit {limit}, open {open}, idle {idle}");
    let sessions = database.sessions().await;
    assert!(sessions.open <= 10 && sessions.in_transaction == 0, "{sessions:?}");
    server.stop();
}
