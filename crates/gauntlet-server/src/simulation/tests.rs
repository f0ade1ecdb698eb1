//! Which seeds are run.

use super::*;

/// Runs seeds and checks that they hold what they are there for.
fn hold(seeds: std::ops::Range<u64>) {
    let sum = run_all(seeds);
    assert!(sum.quiet * 5 >= sum.seeds, "a fifth of the seeds is long and without faults: {sum:?}");
    assert!(sum.replies_lost * 100 >= sum.stormy_commits, "one reply in a hundred is lost: {sum:?}");
    assert!(sum.late_landed > 0 && sum.conflicts > 0 && sum.rejected > 0 && sum.locked > 0, "{sum:?}");
    assert!(sum.crashes > 0 && sum.stops > 0 && sum.grants > 0 && sum.changes > 0, "{sum:?}");
}

// Two halves, so that two cores can share them.
#[test]
fn the_first_hundred_seeds() {
    hold(0..100);
}

#[test]
fn the_second_hundred_seeds() {
    hold(100..200);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [0, 1, 2, 3, 5, 7] {
        let (one, other) = (run(seed).trace, run(seed).trace);
        let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert!(one == other && one.len() > 10_000, "seed {seed}");
    }
}

/// A claim whose commit was confirmed after its lease had run out: another replica had taken the
/// grant over, searched, found nothing and sent it, and then the first one sent it too.
#[test]
fn seed_193_a_commit_that_outlives_its_lease() {
    run_all(std::iter::once(193));
}

fn number(name: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test that is run by hand is told which seeds")]
    let value = std::env::var(name);
    value.map_or(default, |value| value.parse().expect("a number"))
}

#[test]
#[ignore = "one seed with its trace: GAUNTLET_SEED"]
fn one_seed() {
    let outcome = run(number("GAUNTLET_SEED", 1));
    println!("{}", outcome.trace);
    println!("{:#?}", outcome.figures);
    assert!(outcome.faults.is_empty(), "{}", complain(&outcome));
}

#[test]
#[ignore = "for the night: GAUNTLET_SEEDS from GAUNTLET_FIRST_SEED on"]
fn many_seeds() {
    let first = number("GAUNTLET_FIRST_SEED", 1_000);
    let mut sum = Figures::default();
    let mut bad = Vec::new();
    for seed in first..first + number("GAUNTLET_SEEDS", 10_000) {
        let outcome = run(seed);
        sum.add(&outcome.figures);
        if !outcome.faults.is_empty() {
            println!("{}", complain(&outcome));
            bad.push(seed);
        }
        // A run that is cut off has told what it saw so far.
        if sum.seeds.is_multiple_of(100) {
            println!("{sum:?}");
        }
    }
    println!("{sum:#?}");
    assert!(bad.is_empty(), "faulty seeds: {bad:?}");
}
