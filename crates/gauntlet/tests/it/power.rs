//! A power cut under SQLite: what was acknowledged before it is there after it, and nothing is
//! there by half.
//!
//! The real binary runs under a recorder (`power/recorder.c`) that writes down what it does to its
//! files, in order, with every acknowledgement that a client got. From that the files are rebuilt
//! as a cut at any moment would leave them (`power/disk.rs`), and opened as the binary opens them.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
    sync::Arc,
};

use fastrand::Rng;
use gauntlet_domain::{Receipt, ReceiptKey, Status, Timestamp, view_goal};
use gauntlet_server::catalogue::prepare;
use gauntlet_store::{GrantFilter, GrantState, Load, PlayerKey, SqliteOptions, SqliteStore, Store};
use tokio::task::JoinSet;

use crate::{
    clients::{Ask, CATALOGUE, Client, one, send},
    process::{Process, channel},
};

pub(crate) mod disk;
pub(crate) mod recorder;

use disk::{Disk, Left};
use recorder::{Recorder, Step};

/// How much is recorded and how many cuts are tried.
#[derive(Debug, Clone, Copy)]
struct Size {
    players: usize,
    /// For each player, in each of the process's two lives.
    events: usize,
    cuts: usize,
}

const SHORT: Size = Size { players: 3, events: 30, cuts: 120 };
const LONG: Size = Size { players: 4, events: 150, cuts: 3_000 };

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let report = many_cuts(SHORT, 7).await;
    println!("{report:?}");
    assert!(report.losses.is_empty(), "{report:#?}");
    assert!(report.truth_was_tested(), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints its figures"]
async fn many_power_cuts_lose_nothing_that_was_acknowledged() {
    for seed in 1..=3 {
        let report = many_cuts(LONG, seed).await;
        println!("seed {seed}: {report:?}");
        assert!(report.losses.is_empty() && report.truth_was_tested(), "{report:#?}");
    }
}

#[derive(Debug, Default)]
struct Report {
    steps: usize,
    syncs: usize,
    acknowledged: usize,
    cuts: usize,
    /// Cuts with something acknowledged before and something unsynced at them.
    telling: usize,
    losses: Vec<String>,
    /// Losses when the log's syncs do nothing: the test can fail.
    losses_without_syncs: usize,
}

impl Report {
    fn truth_was_tested(&self) -> bool {
        let enough = self.steps > 500 && self.syncs > 50 && self.acknowledged > 50;
        enough && self.telling > self.cuts / 4 && self.losses_without_syncs > 0
    }
}

async fn many_cuts(size: Size, seed: u64) -> Report {
    let steps = record(size).await;
    let rebuilt = memory_folder();
    let mut random = Rng::with_seed(seed);
    let mut report = Report { steps: steps.len(), ..Report::default() };
    report.syncs = steps.iter().filter(|step| matches!(step, Step::SyncEnded { .. })).count();
    report.acknowledged = steps.iter().filter(|step| matches!(step, Step::Acknowledged(_))).count();
    let (losses, telling) = cuts(&steps, size.cuts, None, rebuilt.path(), &mut random).await;
    (report.cuts, report.losses, report.telling) = (size.cuts, losses, telling);
    // The same on a disk that forgets to write the log: now there must be losses.
    let few = size.cuts.min(60);
    let (losses, _) = cuts(&steps, few, Some("-wal"), rebuilt.path(), &mut random).await;
    report.losses_without_syncs = losses.len();
    report
}

/// A folder in memory where there is one: thousands of small databases are opened in it.
fn memory_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// Runs the binary twice on the same file, stopped in order between, killed at the end.
async fn record(size: Size) -> Vec<Step> {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("its path");
    fs::create_dir(root.join("data")).expect("a folder of its own");
    let database = root.join("data/g.db");
    let catalogue = root.join("catalogue.json");
    fs::write(&catalogue, CATALOGUE).expect("the catalogue");
    let recorder = Arc::new(Recorder::compile(&root, &database));
    let store = format!("sqlite:{}", database.display());
    for life in 0..2 {
        let more = ["--catalogue", catalogue.to_str().expect("UTF-8"), "--log-level", "info"];
        let server = Process::start_with(&store, &more, |command| recorder.watch(command));
        let events = channel(&server.events).await;
        let mut players = JoinSet::new();
        for number in 0..size.players {
            let client =
                Client { base: server.http.as_str().into(), grpc: None, player: format!("p{number}") };
            let (events, recorder) = (events.clone(), recorder.clone());
            players.spawn(async move {
                client.ask(Ask::Initialize).await;
                for event in 0..size.events {
                    let id = format!("{life}-{event}");
                    send(&events, one(&client.player, "hits", &id)).await.expect("OK");
                    recorder.acknowledge(&format!("event {} {id}", client.player));
                    if event == size.events / 2 && life == 0 {
                        send(&events, one(&client.player, "wins", "win")).await.expect("OK");
                        let claimed = client.ask(Ask::claim("win")).await;
                        assert!(claimed.ok(), "{claimed:?}");
                        recorder.acknowledge(&format!("claim {} win", client.player));
                    }
                }
            });
        }
        players.join_all().await;
        if life == 0 { server.stop() } else { server.kill() }
    }
    recorder.steps()
}

/// Cuts the power at many moments; answers what was lost, and how many cuts could lose something.
async fn cuts(
    steps: &[Step],
    count: usize,
    lies_about: Option<&'static str>,
    folder: &Path,
    random: &mut Rng,
) -> (Vec<String>, usize) {
    let mut moments = BTreeMap::<usize, usize>::new();
    // Half of them anywhere, half right after somebody was told something or the database file was
    // written (a checkpoint).
    let hot: Vec<usize> = (0..steps.len())
        .filter(|at| match &steps[*at] {
            Step::Acknowledged(_) | Step::Removed { .. } => true,
            Step::Wrote { file, .. } | Step::Resized { file, .. } => file.is_empty(),
            _ => false,
        })
        .collect();
    for number in 0..count {
        let at = if number % 2 == 0 { random.usize(..steps.len()) } else { hot[random.usize(..hot.len())] };
        *moments.entry(at).or_default() += 1;
    }
    let (mut losses, mut telling) = (Vec::new(), 0);
    let mut disk = Disk::lying_about(lies_about);
    let sent = sent_events(steps);
    let mut promises = HashSet::new();
    for (at, step) in steps.iter().enumerate() {
        disk.take(at, step);
        if let Step::Acknowledged(what) = step {
            promises.insert(what.as_str());
        }
        for number in 0..moments.get(&at).copied().unwrap_or(0) {
            let left = match (at + number) % 8 {
                0 | 1 => Left::Nothing,
                2 => Left::Everything,
                _ => Left::Some(random.u8(5..=95)),
            };
            let files = disk.cut(left, random);
            telling += usize::from(!promises.is_empty() && disk.has_open_writes());
            if let Err(problem) = survives(&files, &promises, &sent, folder).await {
                losses.push(format!("cut after step {at} ({left:?}): {problem}"));
            }
        }
    }
    (losses, telling)
}

/// Opens the files as the binary does and compares them with what was promised.
async fn survives(
    files: &BTreeMap<String, Vec<u8>>,
    promises: &HashSet<&str>,
    sent: &Sent<'_>,
    folder: &Path,
) -> Result<(), String> {
    let folder = tempfile::tempdir_in(folder).expect("a folder");
    let database = folder.path().join("g.db");
    for (name, bytes) in files {
        // Its content lives in memory only: every start makes it anew.
        if name != "-shm" {
            fs::write(folder.path().join(format!("g.db{name}")), bytes).expect("written");
        }
    }
    compare(&database, promises, sent).await?;
    let connection = rusqlite::Connection::open(&database).map_err(|error| format!("{error:?}"))?;
    let check: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(|error| format!("{error:?}"))?;
    if check == "ok" { Ok(()) } else { Err(check) }
}

async fn compare(database: &Path, promises: &HashSet<&str>, sent: &Sent<'_>) -> Result<(), String> {
    let told = |error: gauntlet_store::Error| format!("{error:?}");
    let store =
        SqliteStore::open(&SqliteOptions { readers: 1, ..SqliteOptions::new(database) }).map_err(told)?;
    store.migrate().await.map_err(told)?;
    let now = Timestamp::from_seconds(1_800_000_000);
    let catalogue = prepare(&store, CATALOGUE, now).await.map_err(|error| format!("{error:?}"))?;
    let goal = |id| catalogue.find_goal(id).expect("a goal of the catalogue");
    for (player, sent) in sent {
        let key = PlayerKey { player: (*player).to_owned(), namespace: "gauntlet".into() };
        let load = Load { key: key.clone(), settled: true, receipts: true };
        let loaded = store.load(&[load]).await.map_err(told)?.pop().expect("one");
        let stored = loaded.stored.map_err(told)?;
        let document = stored.as_ref().map(|stored| &stored.player);
        let view = |id| view_goal(document, &catalogue, goal(id), now);
        let newest = document.map_or(&[][..], |document| &document.head.receipts);
        let receipts: HashSet<Receipt> = newest.iter().chain(&loaded.receipts).copied().collect();
        let counted = sent.iter().filter(|id| receipts.contains(&receipt(id))).count();
        for id in sent {
            if !receipts.contains(&receipt(id)) && promises.contains(format!("event {player} {id}").as_str())
            {
                return Err(format!("event {id} of {player} is lost"));
            }
        }
        let progress = usize::try_from(view("hits").progress).expect("not negative");
        if counted != progress {
            return Err(format!("{player}: {counted} receipts beside progress {progress}"));
        }
        let filter = GrantFilter { player: Some(key), state: None };
        let grants = store.list_grants(&filter, 10).await.map_err(told)?;
        let granted = grants.iter().any(|grant| grant.state == GrantState::Granted);
        let claimed = view("win").status == Status::Claimed;
        if claimed != granted || grants.len() > 1 {
            return Err(format!("{player}: claimed {claimed} beside {grants:?}"));
        }
        if !claimed && promises.contains(format!("claim {player} win").as_str()) {
            return Err(format!("the claim of {player} is lost"));
        }
    }
    store.close().await;
    Ok(())
}

fn receipt(id: &str) -> Receipt {
    let source = "accelbyte.social.statistic.v1".into();
    ReceiptKey { source, kind: "stat.updated".into(), id: id.into() }.receipt()
}

/// Ids of events, of each player.
type Sent<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// The events that were ever acknowledged.
fn sent_events(steps: &[Step]) -> Sent<'_> {
    let mut sent = Sent::new();
    for step in steps {
        if let Step::Acknowledged(what) = step
            && let ["event", player, id] = what.split(' ').collect::<Vec<_>>()[..]
        {
            sent.entry(player).or_default().push(id);
        }
    }
    sent
}
