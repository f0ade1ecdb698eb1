//! The service is killed at random moments and at every named point, started again, and compared
//! with what the outside knows: no acknowledged event is lost, none is counted twice, and no reward
//! is handed out twice.
//!
//! The short form runs with the other tests. The long form is for a machine with time:
//!
//! ```text
//! cargo test --release -p gauntlet --features crash-points --test it -- --ignored crash_long --nocapture
//! ```
//!
//! `GAUNTLET_CRASH_KILLS` (1000) random kills and `GAUNTLET_CRASH_REPEATS` (200) kills at every point
//! on each store, or as many as fit into `GAUNTLET_CRASH_MINUTES`; `GAUNTLET_CRASH_SEED` draws other
//! moments.

use std::time::{Duration, Instant};

use gauntlet_store::crash::Point;

mod book;
mod drive;
mod episode;
mod platform;
mod report;

use episode::{Class, Episode, Kill, StoreKind, first_start, is_first_start};
use report::Tally;

/// The moments of the short form.
const SEED: u64 = 20_261_124;

/// The kill at a point: at an early passage or a later one.
fn at(point: Point, random: &mut fastrand::Rng) -> Kill {
    let most = match point {
        Point::Migrating
        | Point::RotatingReceipts
        | Point::BeforeReady
        | Point::TakenOver
        | Point::DueTaken
        | Point::UnclaimedOrdered
        | Point::CatalogueRegistered
        | Point::CatalogueInUse
        | Point::Searched
        | Point::Draining
        | Point::BeforeClose => 1,
        Point::BeforePutOff | Point::PutOff => 2,
        Point::BeforeBegin | Point::Begun | Point::Answered | Point::BeforeSettle | Point::Settled => 6,
        Point::Gathered | Point::BeforeCommit | Point::AfterCommit | Point::BeforeSqliteCommit => 30,
    };
    Kill::At(point, random.u32(1..=most))
}

/// A random moment, most of them under load.
fn any(random: &mut fastrand::Rng) -> Kill {
    if random.u32(0..6) == 0 {
        Kill::Starting(Duration::from_micros(random.u64(1_000..60_000)))
    } else {
        Kill::Working(Duration::from_micros(random.u64(1_000..150_000)))
    }
}

/// The points that a store has.
fn points_of(kind: StoreKind) -> impl Iterator<Item = Point> {
    Point::ALL
        .into_iter()
        .filter(move |point| kind == StoreKind::Sqlite || *point != Point::BeforeSqliteCommit)
}

/// A file with the harness's catalogue.
fn catalogue() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), book::catalogue(1)).expect("the catalogue is written");
    file
}

async fn run(kind: StoreKind, class: Class, kills: &[Kill], seed: u64, tally: &mut Tally) {
    let file = catalogue();
    let path = file.path().to_str().expect("UTF-8");
    for kill in kills {
        if let Kill::At(point, _) = kill
            && is_first_start(*point)
        {
            first_start(kind, class, *point, path, tally).await;
        }
    }
    let mut episode = Episode::new(kind, class, seed, path, tally).await;
    for (number, kill) in kills.iter().enumerate() {
        if !matches!(kill, Kill::At(point, _) if is_first_start(*point)) {
            episode.kill(*kill).await;
        }
        if number % 10 == 9 {
            episode.rest().await;
        }
    }
    episode.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn crash_at_every_point_and_at_random() {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut sqlite = Tally::default();
    let kills: Vec<Kill> = Point::ALL.into_iter().map(|point| at(point, &mut random)).collect();
    run(StoreKind::Sqlite, Class::Searchable, &kills, SEED, &mut sqlite).await;
    for point in Point::ALL {
        assert_eq!(sqlite.of(point.name()), 1, "{} was not reached", point.name());
    }
    let kills = [at(Point::Begun, &mut random), at(Point::Answered, &mut random), any(&mut random)];
    run(StoreKind::Sqlite, Class::Neither, &kills, SEED, &mut sqlite).await;

    let mut postgres = Tally::default();
    let kills = [
        at(Point::RotatingReceipts, &mut random),
        at(Point::AfterCommit, &mut random),
        at(Point::Settled, &mut random),
        Kill::Working(Duration::from_micros(random.u64(20_000..120_000))),
    ];
    run(StoreKind::Postgres, Class::Keyed, &kills, SEED, &mut postgres).await;
    println!("{}\n{}", sqlite.table("SQLite"), postgres.table("PostgreSQL"));
    sqlite.check("SQLite");
    postgres.check("PostgreSQL");
    assert_eq!(sqlite.total() + postgres.total(), 29);
}

/// A number from outside; numbers of a long run are nobody's settings.
#[expect(clippy::disallowed_methods, reason = "how long a long run is, is said from outside")]
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

async fn long(kind: StoreKind, name: &str) {
    let (kills, repeats) = (number("GAUNTLET_CRASH_KILLS", 1_000), number("GAUNTLET_CRASH_REPEATS", 200));
    let minutes = number("GAUNTLET_CRASH_MINUTES", 24 * 60);
    let seed = number("GAUNTLET_CRASH_SEED", SEED);
    let (started, mut random) = (Instant::now(), fastrand::Rng::with_seed(seed));
    let mut tally = Tally::default();
    for class in Class::ALL.into_iter().cycle() {
        let done = |what: &str| tally.of(what) + tally.missed.get(what).copied().unwrap_or_default();
        // Few at a time, so that every class of platform gets its share.
        let at_a_time = if repeats < 20 { 1 } else { 2 };
        let mut plan: Vec<Kill> = points_of(kind)
            .filter(|point| class.passes(*point))
            .flat_map(|point| {
                let missing = repeats.saturating_sub(done(point.name())).min(at_a_time);
                (0..missing).map(|_| at(point, &mut random)).collect::<Vec<_>>()
            })
            .collect();
        let by_chance =
            tally.of(Kill::Working(Duration::ZERO).name()) + tally.of(Kill::Starting(Duration::ZERO).name());
        plan.extend((0..kills.saturating_sub(by_chance).min(10)).map(|_| any(&mut random)));
        let finished = points_of(kind).all(|point| done(point.name()) >= repeats) && by_chance >= kills;
        if finished || started.elapsed() > Duration::from_secs(60 * minutes) {
            break;
        }
        random.shuffle(&mut plan);
        run(kind, class, &plan, random.u64(..), &mut tally).await;
        println!("{name}, {:?}: {}", started.elapsed(), tally.progress());
    }
    println!("\n{}", tally.table(name));
    tally.check(name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes hours"]
async fn crash_long_sqlite() {
    long(StoreKind::Sqlite, "SQLite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes hours"]
async fn crash_long_postgres() {
    long(StoreKind::Postgres, "PostgreSQL").await;
}
