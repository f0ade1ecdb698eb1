//! Catalogues that change under running processes.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gauntlet_testkit::PgCluster;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::{
    clients::{Ask, CATALOGUE, Client, figure, one, send, until},
    process::{Http, Process, channel},
};

const PLAYERS: usize = 6;
const SENDERS: usize = 12;
/// Events of each new goal for each player.
const NEWS: usize = 10;

/// The tests' catalogue with one more default goal for each version after the first, and another
/// target for a goal that players have.
fn catalogue(version: usize) -> String {
    let mut file: Value = serde_json::from_str(CATALOGUE).expect("JSON");
    let goals = file["challenges"][0]["goals"].as_array_mut().expect("goals");
    for number in 2..=version {
        let mut goal = goals[0].clone();
        goal["goalId"] = json!(format!("news-{number}"));
        goal["requirement"]["statCode"] = json!(format!("news-{number}"));
        goals.push(goal);
    }
    let win = goals.iter_mut().find(|goal| goal["goalId"] == "spare").expect("it is there");
    win["requirement"]["targetValue"] = json!(8 + version);
    file.to_string()
}

struct Replica {
    process: Process,
    events: Channel,
    file: PathBuf,
}

impl Replica {
    async fn start(store: &str, folder: &Path, name: &str) -> Self {
        let file = folder.join(name);
        std::fs::write(&file, catalogue(1)).expect("the catalogue");
        let path = file.to_str().expect("UTF-8");
        let process = Process::start(store, &["--catalogue", path, "--catalogue-watch", "0s"]);
        Self { events: channel(&process.events).await, process, file }
    }

    fn client(&self, player: &str) -> Client {
        Client { base: self.process.http.as_str().into(), grpc: None, player: player.into() }
    }

    fn version(&self) -> usize {
        whole(&self.process.ops, "gauntlet_catalogue_version")
    }
}

/// A figure that is a whole number.
fn whole(ops: &str, name: &str) -> usize {
    // A sum of nothing is -0.
    figure(ops, name).abs().to_string().parse().expect("a whole number")
}

/// Sends an event until it is acknowledged; answers how often it was refused.
async fn deliver(channel: &Channel, player: &str, stat: &str, id: &str) -> usize {
    let mut refused = 0;
    while let Err(status) = send(channel, one(player, stat, id)).await {
        assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
        refused += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_change_their_catalogue_under_load_and_lose_nothing() {
    change_under_load(4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints its figures"]
async fn two_replicas_change_their_catalogue_often_under_load_and_lose_nothing() {
    change_under_load(60).await;
}

/// One replica reads a new catalogue by a signal; the other has an old file and hears of it from the
/// database. As soon as the first has given a new goal to a player, the second one, which may not have
/// heard, gets that player's events of a statistic that only the new goal uses.
async fn change_under_load(last: usize) {
    let database = PgCluster::shared().database().await;
    let folder = tempfile::tempdir().expect("a folder");
    let first = Replica::start(&database.url, folder.path(), "one.json").await;
    let second = Replica::start(&database.url, folder.path(), "two.json").await;
    assert_eq!((first.version(), second.version()), (1, 1));
    for player in 0..PLAYERS {
        assert!(first.client(&format!("p{player}")).ask(Ask::Initialize).await.ok());
    }
    let load = Load::start(&first, &second);
    let watcher = Watcher::start(&second);
    let (mut slowest, mut late) = (Duration::ZERO, 0);
    for version in 2..=last {
        std::fs::write(&first.file, catalogue(version)).expect("the catalogue");
        let asked = Instant::now();
        first.process.hang_up();
        until(|| async { first.version() }, |seen| *seen == version).await;
        late += usize::from(second.version() < version);
        let news = format!("news-{version}");
        let mut senders = JoinSet::new();
        for player in 0..PLAYERS {
            let (player, client) = (format!("p{player}"), first.client(&format!("p{player}")));
            let (events, news) = (second.events.clone(), news.clone());
            senders.spawn(async move {
                assert!(client.ask(Ask::Initialize).await.ok());
                for number in 0..NEWS {
                    deliver(&events, &player, &news, &format!("{news}-{number}")).await;
                }
            });
        }
        senders.join_all().await;
        until(|| async { second.version() }, |seen| *seen == version).await;
        slowest = slowest.max(asked.elapsed());
    }
    let (counted, refused) = load.stop().await;
    let polls = watcher.stop().await;
    for (player, counted) in counted.iter().enumerate() {
        for replica in [&first, &second] {
            let client = replica.client(&format!("p{player}"));
            assert_eq!(client.goal("hits").await["progress"], *counted, "player {player}");
            for version in 2..=last {
                let goal = client.goal(&format!("news-{version}")).await;
                assert_eq!(goal["progress"], NEWS, "version {version} of player {player}");
            }
            // Its target was raised with every version, and who has it keeps the first.
            assert_eq!(client.goal("spare").await["requirement"]["targetValue"], 9);
        }
    }
    let total: usize = counted.iter().sum();
    println!(
        "{} changes, {total} + {} events acknowledged and counted, {refused} refused and sent again, {polls} \
         polls; the second replica was behind {late} times; slowest change, its events included: {slowest:?}",
        last - 1,
        PLAYERS * NEWS * (last - 1),
    );
    first.process.stop();
    second.process.stop();
}

/// Events of a goal that no version changes, to both replicas.
struct Load {
    stop: Arc<AtomicBool>,
    senders: JoinSet<usize>,
    counted: Arc<[AtomicUsize; PLAYERS]>,
}

impl Load {
    fn start(first: &Replica, second: &Replica) -> Self {
        let (stop, counted) = (Arc::new(AtomicBool::new(false)), Arc::<[AtomicUsize; PLAYERS]>::default());
        let next = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        for _ in 0..SENDERS {
            let channels = [first.events.clone(), second.events.clone()];
            let (stop, counted, next) = (stop.clone(), counted.clone(), next.clone());
            senders.spawn(async move {
                let mut refused = 0;
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let (player, at) = (number % PLAYERS, number / PLAYERS % 2);
                    let id = format!("hit-{number}");
                    refused += deliver(&channels[at], &format!("p{player}"), "hits", &id).await;
                    counted[player].fetch_add(1, Ordering::Relaxed);
                }
                refused
            });
        }
        Self { stop, senders, counted }
    }

    /// How many were acknowledged for each player, and how often one was refused before.
    async fn stop(self) -> (Vec<usize>, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let refused = self.senders.join_all().await.into_iter().sum();
        (self.counted.iter().map(|counted| counted.load(Ordering::Relaxed)).collect(), refused)
    }
}

/// A player who polls, and sees one catalogue at a time.
struct Watcher {
    stop: Arc<AtomicBool>,
    polling: JoinSet<usize>,
}

impl Watcher {
    fn start(replica: &Replica) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, base) = (stop.clone(), replica.process.http.clone());
        let mut polling = JoinSet::new();
        polling.spawn(async move {
            let (mut polls, mut newest) = (0, 0);
            let mut bodies: HashMap<String, Value> = HashMap::new();
            while !told.load(Ordering::Relaxed) {
                let reply = Http { base: &base, player: "watcher" }.get("/v1/challenges");
                assert_eq!(reply.status, 200, "{reply:?}");
                let version: usize = reply.catalogue.expect("a version").parse().expect("a number");
                let goals = reply.body["challenges"][0]["goals"].as_array().expect("goals");
                let news = goals
                    .iter()
                    .filter(|goal| goal["goalId"].as_str().is_some_and(|id| id.starts_with("news-")));
                assert_eq!(news.count(), version - 1, "header and body are of one version");
                let spare = goals.iter().find(|goal| goal["goalId"] == "spare").expect("it is there");
                assert_eq!(spare["requirement"]["targetValue"], 8 + version);
                let known = bodies.entry(reply.etag.expect("a tag")).or_insert_with(|| reply.body.clone());
                assert_eq!(*known, reply.body, "one tag, one body");
                assert!(version >= newest, "no way back");
                (newest, polls) = (version, polls + 1);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            polls
        });
        Self { stop, polling }
    }

    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.polling.join_all().await.into_iter().sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_watched_and_one_with_faults_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("catalogue.json");
    let write = |text: &str| std::fs::write(&file, text).expect("the catalogue");
    write(&catalogue(1));
    let store = format!("sqlite:{}", folder.path().join("g.db").display());
    let path = file.to_str().expect("UTF-8");
    let process = Process::start(&store, &["--catalogue", path, "--catalogue-watch", "50ms"]);
    let version = || whole(&process.ops, "gauntlet_catalogue_version");
    let reloads = |result: &str| {
        whole(&process.ops, &format!("gauntlet_catalogue_reloads_total{{result=\"{result}\"}}"))
    };
    write(&catalogue(2));
    until(|| async { version() }, |seen| *seen == 2).await;

    // A file that breaks off is rejected, by the watch and by an administrator.
    let third = catalogue(3);
    write(&third[..third.len() / 2]);
    until(|| async { reloads("rejected") }, |seen| *seen == 1).await;
    let admin = Http { base: &process.http, player: "admin" };
    let refused = admin.post("/v1/admin/catalogue/reload", "");
    assert_eq!(refused.status, 400, "{refused:?}");
    let info = &refused.body["details"][0];
    assert_eq!(info["reason"], "CATALOGUE_FAULTY");
    assert_eq!(info["metadata"]["fault_count"], "1", "{info}");
    assert!(info["metadata"]["faults"].as_str().is_some_and(|text| text.starts_with("1:")), "{info}");
    assert_eq!((version(), reloads("rejected")), (2, 2));
    assert!(admin.get("/v1/challenges").body["challenges"][0]["goals"].is_array());

    // A link that is swapped, as orchestrators do.
    let other = folder.path().join("other.json");
    std::fs::write(&other, &third).expect("the catalogue");
    std::fs::remove_file(&file).expect("removed");
    std::os::unix::fs::symlink(&other, &file).expect("a link");
    until(|| async { version() }, |seen| *seen == 3).await;
    let status = admin.get("/v1/admin/catalogue");
    assert_eq!(status.body, json!({"version": 3, "newestVersion": 3, "waitingFor": []}));

    // An administrator's reload of the same file is no new version.
    assert_eq!(admin.post("/v1/admin/catalogue/reload", "").body["newestVersion"], 3);
    process.stop();

    // What was left behind does not come back by itself, and comes back by a signal.
    std::fs::write(&other, catalogue(1)).expect("the catalogue");
    let process = Process::start(&store, &["--catalogue", path, "--catalogue-watch", "0s"]);
    let version = || whole(&process.ops, "gauntlet_catalogue_version");
    assert_eq!(version(), 3);
    process.hang_up();
    until(|| async { version() }, |seen| *seen == 4).await;
    process.stop();
}
