//! Random histories: calls, events and clocks in any order, against the server in this process over
//! each of the stores, with the reference model beside it. Every reply and, after every step,
//! everything that browsing shows are compared.
//!
//! The numbers are those of every test run; more of them, and other ones each time:
//!
//! ```text
//! PROPTEST_CASES=20000 cargo test -p gauntlet-server --test it -- --ignored histories
//! ```
//!
//! A history that fails is shrunk and printed. Write it down as a test in `histories/known.rs`.

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};

mod known;
mod rig;
mod run;
mod steps;

use rig::Rig;
use run::play;
use steps::{Op, Step, resolve, step};

/// Histories of a test run on memory and SQLite.
const HISTORIES: u32 = 256;
/// The same on PostgreSQL, where a step takes several times as long.
const HISTORIES_POSTGRES: u32 = 64;
/// Histories with catalogues that change, where each begins with an empty database.
const LIVING_HISTORIES: u32 = 24;
/// Longest history, in steps.
const STEPS: usize = 50;

/// A runner whose histories are the same in every run; `long`: new ones, as many as
/// `PROPTEST_CASES` says.
fn runner(cases: u32, long: bool) -> TestRunner {
    let config = Config { failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    if long {
        return TestRunner::new(config);
    }
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(Config { cases, ..config }, rng)
}

/// Plays random histories and shows the shortest that fails.
fn histories(rig: &Rig, mut runner: TestRunner) {
    let histories = (0..START.len(), vec(step(), 1..STEPS));
    let result = runner.run(&histories, |(start, steps)| {
        rig.block_on(play(rig, &resolve(START[start], &steps))).map(drop).map_err(TestCaseError::fail)
    });
    report(result);
}

/// The same with catalogues that change. Each history has a server of its own: versions are for good, and
/// are remembered.
fn living_histories(rig: impl Fn() -> Rig, mut runner: TestRunner) {
    let histories = (0..START.len(), vec(steps::living_step(), 2..STEPS));
    let result = runner.run(&histories, |(start, steps)| {
        let rig = rig();
        rig.block_on(play(&rig, &resolve(START[start], &steps))).map(drop).map_err(TestCaseError::fail)
    });
    report(result);
}

/// Plays histories twice, the second time with events that stand together in another order: all of
/// them are of the late window, so both end the same.
fn orders(rig: &Rig, mut runner: TestRunner) {
    let histories = (0..START.len(), vec(steps::step_in_window(), 2..STEPS), any::<u64>());
    let result = runner.run(&histories, |(start, steps, seed)| {
        let one = resolve(START[start], &steps);
        let other = steps::shuffle_events(&one, seed);
        let ends =
            rig.block_on(async { Ok::<_, String>((play(rig, &one).await?, play(rig, &other).await?)) });
        let (one, other) = ends.map_err(TestCaseError::fail)?;
        prop_assert_eq!(run::promised(one), run::promised(other));
        Ok(())
    });
    report(result);
}

fn report<T: std::fmt::Debug>(result: Result<(), TestError<T>>) {
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, history)) => panic!("{why}\nthe shortest history found: {history:#?}"),
        Err(TestError::Abort(why)) => panic!("gave up: {why}"),
    }
}

/// When histories begin: in the hours before midnights of each kind.
const START: [&str; 6] = [
    "2026-11-24T12:00:00Z",
    // Clocks go back in Berlin in the coming night.
    "2026-10-24T20:00:00Z",
    // Santiago skips the coming midnight.
    "2026-09-06T02:00:00Z",
    // A leap day.
    "2028-02-29T13:00:00Z",
    // A month ends, and a week that begins on Wednesdays.
    "2026-03-31T09:00:00Z",
    // Clocks go forward in Berlin in the coming night.
    "2026-03-28T21:00:00Z",
];

#[test]
fn histories_on_memory() {
    histories(&Rig::memory(), runner(HISTORIES, false));
}

#[test]
fn histories_on_sqlite() {
    histories(&Rig::sqlite(), runner(HISTORIES, false));
}

#[test]
fn histories_on_postgres() {
    histories(&Rig::postgres(), runner(HISTORIES_POSTGRES, false));
}

#[test]
fn living_histories_on_memory() {
    living_histories(Rig::memory, runner(HISTORIES, false));
}

#[test]
fn living_histories_on_sqlite() {
    living_histories(Rig::sqlite, runner(LIVING_HISTORIES, false));
}

#[test]
fn living_histories_on_postgres() {
    living_histories(Rig::postgres, runner(LIVING_HISTORIES, false));
}

#[test]
fn any_order_of_events_ends_the_same() {
    orders(&Rig::memory(), runner(HISTORIES, false));
}

#[test]
#[ignore = "long: as many new histories as PROPTEST_CASES says (256 if unset)"]
fn histories_long_on_memory() {
    histories(&Rig::memory(), runner(0, true));
}

#[test]
#[ignore = "long: as many new histories as PROPTEST_CASES says (256 if unset)"]
fn histories_long_on_sqlite() {
    histories(&Rig::sqlite(), runner(0, true));
}

#[test]
#[ignore = "long: as many new histories as PROPTEST_CASES says (256 if unset)"]
fn histories_long_on_postgres() {
    histories(&Rig::postgres(), runner(0, true));
}

#[test]
#[ignore = "long: as many new histories as PROPTEST_CASES says (256 if unset)"]
fn histories_long_living_on_memory() {
    living_histories(Rig::memory, runner(0, true));
}

#[test]
#[ignore = "long: as many new histories as PROPTEST_CASES says (256 if unset)"]
fn histories_long_living_on_postgres() {
    living_histories(Rig::postgres, runner(0, true));
}

#[test]
#[ignore = "long: as many new histories as PROPTEST_CASES says (256 if unset)"]
fn histories_long_in_any_order() {
    orders(&Rig::memory(), runner(0, true));
}

/// Plays a history that is written down.
fn replay(rig: &Rig, begin: &str, steps: &[Step]) {
    let ops: Vec<(i64, Op)> = resolve(begin, steps);
    if let Err(why) = rig.block_on(play(rig, &ops)) {
        panic!("{why}");
    }
}
