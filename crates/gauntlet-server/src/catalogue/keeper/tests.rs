//! Several replicas on one store, each with its keeper, whose rounds the tests make.

use std::sync::Mutex;

use gauntlet_proto::{
    service::Challenge,
    statistic::{StatItem, StatItemUpdated},
};
use gauntlet_store::{MemoryStore, Store};

use super::*;
use crate::{
    Config, Parts,
    api::Caller,
    catalogue::begin,
    clock::{FixedClock, SeededRandom},
    engine::Engine,
    error::Reason,
    rewards::LogAdapter,
};

const START: i64 = 1_800_000_000;
const DEADLINE: Duration = Duration::from_secs(30);

/// A file that tests write.
#[derive(Debug)]
struct Paper(Mutex<io::Result<String>>);

impl Source for Paper {
    fn read(&self) -> io::Result<String> {
        match &*self.0.lock().unwrap() {
            Ok(text) => Ok(text.clone()),
            Err(error) => Err(io::Error::new(error.kind(), "on purpose")),
        }
    }
}

/// Goals, each with the statistic of its name, its target and more fields.
fn text(goals: &[(&str, i32, &str)]) -> String {
    let goals: Vec<String> = goals
        .iter()
        .map(|(id, target, more)| {
            format!(
                r#"{{"goalId": "{id}", "name": "{id}", "type": "increment", "eventSource": "statistic",
                "defaultAssigned": true, {more}
                "requirement": {{"statCode": "{id}", "operator": ">=", "targetValue": {target}}},
                "reward": {{"type": "ITEM", "rewardId": "hat", "quantity": 1}}}}"#
            )
        })
        .collect();
    format!(r#"{{"challenges": [{{"challengeId": "c", "name": "C", "goals": [{}]}}]}}"#, goals.join(","))
}

struct World {
    store: Arc<MemoryStore>,
    clock: Arc<FixedClock>,
    paper: Arc<Paper>,
}

struct Site {
    engine: Engine,
    keeper: Keeper,
}

impl World {
    fn new(text: &str) -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            clock: Arc::new(FixedClock::at(Timestamp::from_seconds(START))),
            paper: Arc::new(Paper(Mutex::new(Ok(text.to_owned())))),
        }
    }

    fn write(&self, text: &str) {
        *self.paper.0.lock().unwrap() = Ok(text.to_owned());
    }

    async fn wait(&self, time: Duration) {
        tokio::time::advance(time).await;
        self.clock.set(self.clock.now().plus_millis(millis(time)));
    }

    /// A replica that has begun and made its first round.
    async fn replica(&self, seed: u64) -> Site {
        let text = self.paper.read().unwrap();
        let begun = begin(&*self.store, &text, self.clock.now()).await.unwrap();
        let parts = Parts {
            store: self.store.clone(),
            catalogue: begun.catalogue,
            adapter: Arc::new(LogAdapter),
            clock: self.clock.clone(),
            random: Arc::new(SeededRandom::new(seed)),
        };
        let engine = Engine::start(&Config::loopback(), parts).await.unwrap();
        let options = KeepOptions { source: self.paper.clone(), watch: None, deadline: DEADLINE };
        let keeper = Keeper::new(engine.core.clone(), options);
        keeper.round().await.unwrap();
        Site { engine, keeper }
    }
}

use crate::clock::Clock as _;

impl Site {
    fn version(&self) -> u32 {
        self.engine.core.catalogue().version()
    }

    fn name(&self) -> String {
        self.engine.core.instance().to_owned()
    }

    async fn initialize(&self, player: &str) {
        self.engine.api().initialize(&Caller { player: player.into() }).await.unwrap();
    }

    async fn send(&self, player: &str, stat: &str, id: &str) -> Result<(), crate::error::ApiError> {
        let item = StatItem { stat_code: stat.into(), latest_value: 1.0, inc: 1.0, ..StatItem::default() };
        let event = StatItemUpdated {
            id: id.into(),
            user_id: player.into(),
            payload: Some(item),
            ..StatItemUpdated::default()
        };
        self.engine.ingest().stat(event).await
    }

    /// Progress and target of each goal, and the tag.
    async fn browse(&self, player: &str) -> (Vec<(String, i32, i32)>, String) {
        let browse = self.engine.api().browse(&Caller { player: player.into() }, None, false).await.unwrap();
        let shown: Challenge = browse.messages().pop().unwrap();
        let goals = shown
            .goals
            .into_iter()
            .map(|goal| (goal.goal_id, goal.progress, goal.requirement.unwrap_or_default().target_value));
        (goals.collect(), browse.entity_tag())
    }
}

fn goals(goals: &[(&str, i32, i32)]) -> Vec<(String, i32, i32)> {
    goals.iter().map(|(id, progress, target)| ((*id).to_owned(), *progress, *target)).collect()
}

#[tokio::test(start_paused = true)]
async fn alone_a_new_catalogue_is_in_use_at_once_and_a_faulty_one_is_not() {
    let world = World::new(&text(&[("a", 3, "")]));
    let site = world.replica(1).await;
    site.initialize("ann").await;
    let (before, tag) = site.browse("ann").await;
    assert_eq!(before, goals(&[("a", 0, 3)]));
    world.write(&text(&[("a", 5, ""), ("b", 1, "")]));
    let standing = site.keeper.reload().await.unwrap();
    assert_eq!(standing, Standing { version: 2, newest: 2, waiting_for: vec![] });
    let (after, other) = site.browse("ann").await;
    assert_eq!(after, goals(&[("a", 0, 3), ("b", 0, 1)]), "ann keeps her terms");
    assert_ne!(tag, other);
    // The same again is no new version.
    assert_eq!(site.keeper.reload().await.unwrap().newest, 2);

    world.write("{");
    assert!(matches!(site.keeper.reload().await, Err(ReloadError::Faulty(_))));
    *world.paper.0.lock().unwrap() = Err(io::ErrorKind::NotFound.into());
    assert!(matches!(site.keeper.reload().await, Err(ReloadError::Unreadable(_))));
    assert_eq!((site.version(), site.browse("ann").await.1), (2, other));
    let figures = site.engine.core.metrics().render(crate::metrics::Sample::default());
    for figure in [
        "gauntlet_catalogue_version 2",
        "gauntlet_catalogue_newest_version 2",
        "gauntlet_catalogue_reloads_total{result=\"taken\"} 2",
        "gauntlet_catalogue_reloads_total{result=\"rejected\"} 1",
        "gauntlet_catalogue_reloads_total{result=\"failed\"} 1",
    ] {
        assert!(figures.contains(figure), "{figure} is not in {figures}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_catalogue_waits_until_all_replicas_have_loaded_it() {
    let world = World::new(&text(&[("a", 3, "")]));
    let (one, other) = (world.replica(1).await, world.replica(2).await);
    world.write(&text(&[("a", 3, ""), ("b", 3, "")]));
    let standing = one.keeper.reload().await.unwrap();
    assert_eq!(standing, Standing { version: 1, newest: 2, waiting_for: vec![other.name()] });
    assert_eq!(one.keeper.standing().await.unwrap(), standing);
    one.keeper.round().await.unwrap();
    assert_eq!((one.version(), other.version()), (1, 1));
    // The other one loads it, is the last to do so, and both go over.
    assert_eq!(other.keeper.round().await.unwrap().version, 2);
    assert_eq!(one.keeper.round().await.unwrap(), Standing { version: 2, newest: 2, waiting_for: vec![] });
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_dead_or_hangs_holds_nobody_up_for_long() {
    for (wait, uses) in [(AT_WORK / 2, false), (AT_WORK, true)] {
        let world = World::new(&text(&[("a", 3, "")]));
        let (one, _dead) = (world.replica(1).await, world.replica(2).await);
        world.write(&text(&[("b", 3, "")]));
        world.wait(wait).await;
        assert_eq!(one.keeper.reload().await.unwrap().version, 1, "it may be alive and not have heard");
        world.wait(HEARD).await;
        assert_eq!(one.keeper.round().await.unwrap().version == 2, uses, "{wait:?}");
    }
    // One that tells that it lives, and loads nothing.
    let world = World::new(&text(&[("a", 3, "")]));
    let one = world.replica(1).await;
    world.write(&text(&[("b", 3, "")]));
    let mut waited = Duration::ZERO;
    loop {
        let hangs = Replica { instance: "hangs".into(), loaded: 1, seen_at: world.clock.now() };
        world.store.meet(&hangs).await.unwrap();
        let standing = one.keeper.reload().await.unwrap();
        assert_eq!(standing.version == 2, waited >= DEADLINE, "after {waited:?}");
        if standing.version == 2 {
            break;
        }
        world.wait(Duration::from_secs(5)).await;
        waited += Duration::from_secs(5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_behind_acknowledges_nothing_that_it_does_not_know() {
    let world = World::new(&text(&[("a", 3, "")]));
    let (ahead, loaded) = (world.replica(1).await, world.replica(2).await);
    // It has heard of nothing, and others have given it up.
    let asleep = world.replica(3).await;
    world.wait(AT_WORK).await;
    loaded.keeper.round().await.unwrap();
    world.write(&text(&[("a", 3, ""), ("b", 3, "")]));
    assert_eq!(ahead.keeper.reload().await.unwrap().waiting_for, [loaded.name()]);
    assert_eq!(loaded.keeper.round().await.unwrap().version, 1, "the one that sleeps may not have heard");
    world.wait(HEARD).await;
    assert_eq!(loaded.keeper.round().await.unwrap().version, 2);
    ahead.keeper.round().await.unwrap();
    // `loaded` is as before its last look, and `asleep` is as it was.
    ahead.initialize("ann").await;
    assert_eq!(asleep.version(), 1);
    asleep.send("ann", "b", "1").await.unwrap();
    assert_eq!(ahead.browse("ann").await.0, goals(&[("a", 0, 3), ("b", 1, 3)]));
    assert_eq!(asleep.version(), 2, "a document has told it");
    // Whoever was never written with the new catalogue has none of its goals.
    let late = world.replica(4).await;
    late.send("nobody", "b", "2").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn between_loading_and_using_no_event_is_unused_that_the_next_catalogue_uses() {
    let world = World::new(&text(&[("a", 3, "")]));
    let (one, other) = (world.replica(1).await, world.replica(2).await);
    let third = world.replica(3).await;
    world.write(&text(&[("b", 3, "")]));
    one.keeper.reload().await.unwrap();
    other.keeper.round().await.unwrap();
    // The third puts it into use; `other` has it loaded and has not heard.
    assert_eq!(third.keeper.round().await.unwrap().version, 2);
    assert_eq!(other.version(), 1);
    let unused = |site: &Site, stat: &str| {
        let what = gauntlet_domain::EventWhat::Stat { code: stat.into(), value: 1.0, increment: 1.0 };
        site.engine.core.shelf().is_unused(&what)
    };
    assert!(!unused(&other, "b") && !unused(&other, "a") && unused(&other, "c"));
    third.initialize("ann").await;
    other.send("ann", "b", "1").await.unwrap();
    assert_eq!(third.browse("ann").await.0, goals(&[("b", 1, 3)]));
    assert_eq!(other.version(), 2);
    // Whose last look was too long ago trusts nothing.
    assert!(unused(&other, "c"));
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(!unused(&other, "c"));
    other.keeper.round().await.unwrap();
    assert!(unused(&other, "c"));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_load_what_is_in_use_answers_unavailable() {
    let world = World::new(&text(&[("a", 3, "")]));
    let site = world.replica(1).await;
    site.initialize("ann").await;
    site.initialize("bob").await;
    // A newer release knows what this one does not.
    world.store.register_catalogue("{\"challenges\": [], \"new\": 1}", world.clock.now()).await.unwrap();
    assert!(world.store.activate_catalogue(2, world.clock.now()).await.unwrap());
    assert!(matches!(site.keeper.round().await, Err(ReloadError::Version(_))));
    let key = site.engine.core.key("ann");
    let load = gauntlet_store::Load { key: key.clone(), settled: true, receipts: false };
    let stored = world.store.load(&[load]).await.unwrap().remove(0).stored.unwrap().unwrap();
    let mut player = stored.player;
    player.head.catalogue_version = 2;
    let write = gauntlet_store::Write {
        key,
        expected: Some(stored.revision),
        player,
        settled_changed: false,
        receipts: vec![],
        due: gauntlet_store::Due::Keep,
        orders: vec![],
        lease: None,
        results: vec![],
        journal: vec![],
        at: world.clock.now(),
    };
    world.store.commit(&[write]).await.unwrap();
    for stat in ["a", "b"] {
        let error = site.send("ann", stat, stat).await.unwrap_err();
        assert_eq!(error.reason, Reason::StoreUnavailable, "{stat}");
        site.send("bob", stat, stat).await.unwrap();
    }
    let ann = Caller { player: "ann".into() };
    let browse = site.engine.api().browse(&ann, None, false).await;
    assert_eq!(browse.map(|_| ()).unwrap_err().reason, Reason::StoreUnavailable);
    assert_eq!(site.browse("bob").await.0, goals(&[("a", 1, 3)]));
    // It does not stand in the way of what can be read.
    world.write(&text(&[("a", 4, "")]));
    let standing = site.keeper.reload().await;
    assert!(standing.is_err() || standing.is_ok_and(|standing| standing.newest == 3));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_left_behind_changes_nothing_at_the_start_and_a_reload_brings_it_back() {
    let (old, new) = (text(&[("a", 3, "")]), text(&[("a", 4, "\"onChange\": \"restart\",")]));
    let world = World::new(&old);
    drop(world.replica(1).await);
    world.write(&new);
    let site = world.replica(2).await;
    world.wait(AT_WORK).await;
    assert_eq!(site.keeper.round().await.unwrap().version, 2);
    let begun = begin(&*world.store, &old, world.clock.now()).await.unwrap();
    assert_eq!((begun.catalogue.version(), begun.outdated), (2, Some(1)));
    assert_eq!(begin(&*world.store, &new, world.clock.now()).await.unwrap().outdated, None);
    world.write(&old);
    site.keeper.reload().await.unwrap();
    world.wait(HEARD).await;
    assert_eq!(site.keeper.round().await.unwrap(), Standing { version: 3, newest: 3, waiting_for: vec![] });
}

#[test]
fn a_change_counts_when_it_was_seen_twice() {
    let paper = Arc::new(Paper(Mutex::new(Ok("a".into()))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let options = KeepOptions { source: paper.clone(), watch: Some(Duration::ZERO), deadline: DEADLINE };
    let taken = Arc::new(Mutex::new(Some("a".to_owned())));
    let mut watched = Watched::new(&options, taken.clone());
    let mut look = |text: Option<&str>| {
        *paper.0.lock().unwrap() = text.map(str::to_owned).ok_or(io::ErrorKind::NotFound.into());
        let changed = watched.has_changed();
        if changed {
            // As a reload does.
            *taken.lock().unwrap() = text.map(str::to_owned);
        }
        changed
    };
    for (text, changed) in [
        (Some("a"), false),
        (Some("b"), false), // half written
        (Some("bc"), false),
        (Some("bc"), true),
        (Some("bc"), false),
        (None, false), // being replaced
        (Some("bc"), false),
        (Some("a"), false),
        (Some("bc"), false), // taken back
        (Some("a"), false),
        (Some("a"), true),
    ] {
        assert_eq!(look(text), changed, "{text:?}");
    }
}

/// Somebody had the file read before the watch saw it, and then put back what was there before.
#[test]
fn what_is_put_back_after_a_reload_is_a_change() {
    let paper = Arc::new(Paper(Mutex::new(Ok("a".into()))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let options = KeepOptions { source: paper, watch: Some(Duration::ZERO), deadline: DEADLINE };
    let taken = Arc::new(Mutex::new(Some("a".to_owned())));
    let mut watched = Watched::new(&options, taken.clone());
    *taken.lock().unwrap() = Some("b".to_owned());
    assert_eq!([watched.has_changed(), watched.has_changed()], [false, true]);
}
