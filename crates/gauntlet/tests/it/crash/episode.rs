//! One database, one kind of platform, and a service that is killed again and again.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use gauntlet_store::crash::Point;
use gauntlet_testkit::PgCluster;
use tempfile::TempDir;

use super::{
    book::{Claim, UNCLAIMED_GOAL, goal_of},
    drive::{Driver, NoAnswer, World},
    platform::Platform,
    report::{Claims, Tally},
};
use crate::process::{NotReady, Process};

/// How long a point may take to be reached, a claim to be settled, a service to start: longer than
/// the minute after which a player is due again whom a worker took before it died.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long the load runs before the service is asked to stop.
const BEFORE_STOP: Duration = Duration::from_millis(60);
/// How long a cycle of the goal that is granted by itself lasts.
const CYCLE: Duration = Duration::from_secs(2);
/// SIGABRT: how a process ends at a point.
const ABORTED: i32 = 6;
/// SIGKILL.
const KILLED: i32 = 9;

/// Where players are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreKind {
    Sqlite,
    Postgres,
}

/// What the reward platform can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Keyed,
    Searchable,
    Neither,
}

impl Class {
    pub(super) const ALL: [Self; 3] = [Self::Searchable, Self::Keyed, Self::Neither];

    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Keyed => "takes our key",
            Self::Searchable => "can be searched",
            Self::Neither => "neither",
        }
    }

    /// Whether a point is on the way of claims with such a platform.
    pub(super) const fn passes(self, point: Point) -> bool {
        !matches!(point, Point::Searched) || matches!(self, Self::Searchable)
    }
}

/// When the service is killed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kill {
    /// With SIGKILL so long after it was started, ready or not.
    Starting(Duration),
    /// With SIGKILL so long after the load began.
    Working(Duration),
    /// At a named point, when it is passed for the so-manieth time.
    At(Point, u32),
}

impl Kill {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Starting(_) => "a random moment of the start",
            Self::Working(_) => "a random moment",
            Self::At(point, _) => point.name(),
        }
    }
}

/// Whether a point is passed at the first start on an empty database only.
pub(super) const fn is_first_start(point: Point) -> bool {
    matches!(point, Point::Migrating | Point::RotatingReceipts)
}

/// An empty database.
#[derive(Debug)]
pub(super) struct Database {
    url: String,
    _folder: Option<TempDir>,
}

impl Database {
    pub(super) async fn new(kind: StoreKind) -> Self {
        match kind {
            StoreKind::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let url = format!("sqlite:{}", folder.path().join("crash.db").display());
                Self { url, _folder: Some(folder) }
            }
            StoreKind::Postgres => Self { url: PgCluster::shared().database().await.url, _folder: None },
        }
    }
}

/// One database with what is known about it.
pub(super) struct Episode<'a> {
    database: Database,
    catalogue: &'a str,
    class: Class,
    platform: Platform,
    world: World,
    tally: &'a mut Tally,
}

impl<'a> Episode<'a> {
    pub(super) async fn new(
        kind: StoreKind,
        class: Class,
        seed: u64,
        catalogue: &'a str,
        tally: &'a mut Tally,
    ) -> Self {
        let platform = Platform::new(class, seed);
        Self {
            database: Database::new(kind).await,
            catalogue,
            class,
            platform,
            world: World::new(seed, catalogue),
            tally,
        }
    }

    fn start(&self, more: &[&str], limit: Duration) -> Result<Process, NotReady> {
        let mut args = vec![
            "--catalogue",
            self.catalogue,
            "--reward-takeover",
            "300ms",
            "--recovery-interval",
            "50ms",
            "--log-level",
            "warn,gauntlet=info",
        ];
        args.extend(more);
        let of_platform = self.platform.settings();
        args.extend(of_platform.iter().map(String::as_str));
        tokio::task::block_in_place(|| Process::start_within(&self.database.url, &args, limit))
    }

    /// A service that has to start, whatever has happened before.
    fn restart(&self) -> Process {
        self.start(&[], PATIENCE).unwrap_or_else(|ended| panic!("it does not start again: {ended:#?}"))
    }

    /// Starts the service, lets it work and kills it.
    pub(super) async fn kill(&mut self, kill: Kill) {
        let armed = match kill {
            Kill::At(point, count) => vec!["--crash-at".to_owned(), format!("{}:{count}", point.name())],
            Kill::Starting(_) | Kill::Working(_) => Vec::new(),
        };
        let armed: Vec<&str> = armed.iter().map(String::as_str).collect();
        let limit = if let Kill::Starting(after) = kill { after } else { PATIENCE };
        self.world.book().deliver_again();
        let mut server = match self.start(&armed, limit) {
            Ok(server) => server,
            // Killed on its way up; at a point that belongs to the start, or on any.
            Err(ended) => {
                let wanted = if matches!(kill, Kill::Starting(_)) { KILLED } else { ABORTED };
                assert_eq!(ended.signal, Some(wanted), "{kill:?}: {ended:#?}");
                self.tally.kill(kill.name());
                return;
            }
        };
        let driver = Driver::new(&server, &self.world);
        if matches!(kill, Kill::Starting(_)) {
            server.kill();
            self.tally.kill(kill.name());
            return;
        }
        if self.check_regulars(&driver, kill.name()).await.is_err() {
            // What an earlier death has left open may lead to the point before there is any load.
            let expected = matches!(kill, Kill::At(..)) && died_of(&mut server).await == Some(ABORTED);
            if !expected {
                self.world.book().fault(format!("{}: it runs and does not answer", kill.name()));
            }
            server.kill();
            self.tally.kill(kill.name());
            return;
        }
        self.platform.disturb(kill);
        let tasks = driver.start();
        let reached = match kill {
            Kill::Starting(_) | Kill::Working(_) => {
                if let Kill::Working(after) = kill {
                    tokio::time::sleep(after).await;
                }
                server.kill();
                true
            }
            Kill::At(point, _) => {
                if matches!(point, Point::Draining | Point::BeforeClose) {
                    tokio::time::sleep(BEFORE_STOP).await;
                    server.terminate();
                }
                let died = died_of(&mut server).await;
                server.kill();
                died == Some(ABORTED)
            }
        };
        driver.stop.cancel();
        tasks.join_all().await;
        self.platform.calm();
        if reached { self.tally.kill(kill.name()) } else { self.tally.miss(kill.name()) }
    }

    async fn check_regulars(&self, driver: &Driver, when: &str) -> Result<(), NoAnswer> {
        for name in self.world.regulars.iter() {
            if self.world.book().players[name].ready {
                let seen = driver.browse(name).await?;
                self.world.book().check_progress(name, &seen, when);
            }
        }
        Ok(())
    }

    /// Starts the service once more and lets it come to rest: what was left open is settled,
    /// everything in doubt is delivered again, and then the books must agree exactly.
    pub(super) async fn rest(&mut self) {
        self.world.book().deliver_again();
        let server = self.restart();
        let ready = Instant::now();
        let driver = Driver::new(&server, &self.world);
        for after in self.settled_claims(&driver, ready).await {
            self.tally.converged(after);
        }
        let rested = async {
            driver.settle_events().await?;
            // A player whose answer was lost asks again.
            let asked = self.claims_in(|claim| claim == Claim::Asked);
            for (name, goal) in asked {
                driver.claim(&name, goal).await?;
            }
            Ok::<_, NoAnswer>(())
        };
        if rested.await.is_err() || self.world.book().in_doubt() > 0 {
            self.world
                .book()
                .fault("an event or a claim was not taken although nothing was killed".to_owned());
        }
        self.settled_claims(&driver, Instant::now()).await;
        let names: Vec<String> = self.world.book().players.keys().cloned().collect();
        for name in names {
            if !self.world.book().players[&name].ready {
                continue;
            }
            let restarts = driver.lost_progress(&name).await;
            match driver.browse(&name).await {
                Ok(seen) => {
                    let mut book = self.world.book();
                    book.check_progress(&name, &seen, "at rest");
                    match restarts {
                        Ok(lost) => book.check_restarts(&name, &seen, lost),
                        Err(NoAnswer) => book.fault(format!("at rest: the history of {name} cannot be read")),
                    }
                }
                Err(NoAnswer) => self.world.book().fault(format!("at rest: {name} cannot be read")),
            }
        }
        server.kill();
    }

    fn claims_in(&self, wanted: impl Fn(Claim) -> bool) -> Vec<(String, &'static str)> {
        let book = self.world.book();
        let of = |(name, player): (&String, &super::book::Player)| {
            let open = player.claims.iter().filter(|(_, claim)| wanted(**claim));
            open.map(|(goal, _)| (name.clone(), *goal)).collect::<Vec<_>>()
        };
        book.players.iter().flat_map(of).collect()
    }

    /// Waits until no claim is pending, and answers how long those took that were.
    async fn settled_claims(&self, driver: &Driver, since: Instant) -> Vec<Duration> {
        let mut open = self.claims_in(|claim| claim == Claim::Asked);
        let mut times = Vec::new();
        let mut first = true;
        while !open.is_empty() {
            let mut pending = Vec::new();
            for (name, goal) in open {
                let seen = driver.browse(&name).await.unwrap_or_default();
                let state =
                    goal_of(&seen, goal).map_or("missing", |seen| seen["claimState"].as_str().unwrap_or(""));
                if matches!(state, "pending" | "missing") {
                    pending.push((name, goal));
                } else if !first {
                    times.push(since.elapsed());
                }
            }
            open = pending;
            first = false;
            if since.elapsed() > PATIENCE {
                self.world.book().fault(format!("not settled after {PATIENCE:?}: {open:?}"));
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        times
    }

    /// The end: comes to rest and compares every claim with what the platform has handed out.
    pub(super) async fn finish(mut self) {
        self.rest().await;
        let server = self.restart();
        let driver = Driver::new(&server, &self.world);
        let unclaimed = self.settled_unclaimed(&driver).await;
        if !driver.newest_catalogue(PATIENCE).await {
            self.world.book().fault("the newest catalogue does not come into use".to_owned());
        }
        let handed_out = self.platform.handed_out();
        let claims = self.compare(&driver, &handed_out, &unclaimed).await;
        server.kill();
        let mut book = self.world.book();
        self.tally.add(&mut book, self.class, claims);
    }

    /// Waits until every cycle that anybody completed has ended and was rewarded by itself, and
    /// answers how they ended. Where a platform can be neither asked nor called again, some stay open.
    async fn settled_unclaimed(&self, driver: &Driver) -> BTreeMap<String, [u64; 3]> {
        let since = Instant::now();
        // The cycle that is running now ends, and is seen to.
        tokio::time::sleep(CYCLE + Duration::from_secs(1)).await;
        loop {
            let mut all = BTreeMap::new();
            for name in self.world.regulars.iter() {
                let outcomes = driver.unclaimed_outcomes(name).await.unwrap_or_default();
                all.insert(name.clone(), outcomes);
            }
            let open: u64 = all.values().map(|[_, open, _]| *open).sum();
            if open == 0 || self.class == Class::Neither && since.elapsed() > CYCLE * 3 {
                return all;
            }
            if since.elapsed() > PATIENCE {
                self.world.book().fault(format!("{open} unclaimed rewards are not granted: {all:?}"));
                return all;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn compare(
        &self,
        driver: &Driver,
        handed_out: &BTreeMap<(String, String), u32>,
        unclaimed: &BTreeMap<String, [u64; 3]>,
    ) -> Claims {
        let mut sums = Claims::default();
        let mut known = 0;
        for (name, [granted, open, lost]) in unclaimed {
            let effects = handed_out.get(&(name.clone(), UNCLAIMED_GOAL.to_owned())).copied();
            let effects = u64::from(effects.unwrap_or_default());
            known += effects;
            sums.unclaimed += granted;
            // Each once: what was granted, and what of the open ones nobody can tell.
            if *lost > 0 || !(*granted..=granted + open).contains(&effects) {
                self.world.book().fault(format!(
                    "{:?}: {name}: {granted} unclaimed rewards granted, {open} open, {lost} lost, {effects} handed out",
                    self.class
                ));
            }
        }
        for (name, goal) in self.claims_in(|_| true) {
            let seen = driver.browse(&name).await.unwrap_or_default();
            let shown = goal_of(&seen, goal).cloned().unwrap_or_default();
            let effects = handed_out.get(&(name.clone(), goal.to_owned())).copied().unwrap_or_default();
            known += u64::from(effects);
            sums.asked += 1;
            sums.handed_out += u64::from(effects);
            sums.twice += u64::from(effects > 1);
            let claimed = shown["status"] == "claimed";
            let uncertain = shown["claimState"] == "uncertain";
            sums.claimed += u64::from(claimed);
            sums.uncertain += u64::from(uncertain);
            // Every claim was asked for again at rest, so that one of both must have come of it.
            let sound = if claimed {
                effects == 1
            } else {
                uncertain && effects <= 1 && self.class == Class::Neither
            };
            if !sound {
                let mut book = self.world.book();
                book.fault(format!("{:?}: {name} {goal}: {effects} rewards, shown as {shown}", self.class));
            }
        }
        let all: u64 = handed_out.values().map(|effects| u64::from(*effects)).sum();
        if all != known {
            self.world.book().fault(format!("{all} rewards handed out, but {known} for what was claimed"));
        }
        sums
    }
}

/// Waits until the service has died.
async fn died_of(server: &mut Process) -> Option<i32> {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        if let Some(signal) = server.died_of() {
            return Some(signal);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    None
}

/// Dies at a point that only the first start on an empty database passes, and sees that the next
/// start finds nothing amiss.
pub(super) async fn first_start(
    kind: StoreKind,
    class: Class,
    point: Point,
    catalogue: &str,
    tally: &mut Tally,
) {
    let mut episode = Episode::new(kind, class, 0, catalogue, tally).await;
    episode.kill(Kill::At(point, 1)).await;
    // Long enough for the first events.
    episode.kill_quietly().await;
    episode.finish().await;
}

impl Episode<'_> {
    /// Lets the service work a little on what the crash has left.
    async fn kill_quietly(&mut self) {
        let server = self.restart();
        let driver = Driver::new(&server, &self.world);
        let tasks = driver.start();
        tokio::time::sleep(BEFORE_STOP).await;
        driver.stop.cancel();
        tasks.join_all().await;
        server.kill();
    }
}
