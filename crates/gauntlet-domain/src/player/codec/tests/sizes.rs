//! The sizes that the design promises: beyond some 2 KB a live document costs the database
//! several times as much, and 50 goals fit into 700 bytes.

use fastrand::Rng;

use crate::{
    GoalNumber, GoalState, PAGE, Player, Receipt, Timestamp,
    player::{Baseline, CycleMark, DayMark, EventMark, Head, Status},
};

const DAY_MS: i64 = 86_400_000;
/// 2026-11-24T00:00:00Z.
const MIDNIGHT_MS: i64 = 20_781 * DAY_MS;

/// A day in the life of a player: goals out of a catalogue of five times as many, assigned in a
/// few sessions over the last month, whose newest events are spread over today; half of them
/// completed. One in ten is daily, one in ten a daily increment, one in ten relative.
fn player(goals: u32, events: usize, seed: u64) -> Player {
    let mut random = Rng::with_seed(seed);
    let marks: Vec<EventMark> = (0..events)
        .map(|_| EventMark {
            at: Timestamp::from_millis(MIDNIGHT_MS + random.i64(0..DAY_MS)),
            tie: random.u16(..),
        })
        .collect();
    let sessions: Vec<i64> = (0..4).map(|_| MIDNIGHT_MS - random.i64(0..30 * DAY_MS)).collect();
    let mut numbers: Vec<u32> = (0..goals * 5).collect();
    random.shuffle(&mut numbers);
    numbers.truncate(goals as usize);
    let live: Vec<GoalState> = numbers
        .into_iter()
        .enumerate()
        .map(|(at, number)| {
            let mut goal = GoalState::new(GoalNumber(number), CycleMark::default());
            // Selections are made challenge by challenge: neighbours were assigned together.
            let session = sessions[(number as usize * sessions.len()) / (goals as usize * 5)];
            goal.activate(Timestamp::from_millis(session));
            fill(&mut goal, at, marks[at % marks.len()], &mut random);
            goal
        })
        .collect();
    let head = Head {
        epoch: 1,
        catalogue_version: 40,
        journal_sequence: 4321,
        write_ids: std::array::from_fn(|_| random.u64(..)),
        claims: Vec::new(),
        receipts: Vec::new(),
        kept: Vec::new(),
    };
    Player::from_parts(head, live, Some(Vec::new()))
}

fn fill(goal: &mut GoalState, at: usize, mark: EventMark, random: &mut Rng) {
    let since_midnight = mark.at.millis() - MIDNIGHT_MS;
    goal.progress = random.i32(0..1000);
    goal.applied = Some(mark);
    goal.status = if at.is_multiple_of(2) { Status::Completed } else { Status::InProgress };
    if goal.status == Status::Completed {
        goal.completed_at = Some(mark.at.plus_millis(-random.i64(0..=since_midnight)).whole_seconds());
    }
    match at % 10 {
        0 => {
            goal.cycle =
                CycleMark { number: 20_781, end: Some(Timestamp::from_millis(MIDNIGHT_MS + DAY_MS)) };
            goal.applied = None;
            goal.progress = 1;
        }
        1 => {
            goal.days = Some(DayMark { day: 20_781, day_before: true });
            goal.progress = random.i32(0..30);
        }
        2 => {
            let value = f64::from(random.i32(0..100_000));
            let latest = value + f64::from(goal.progress);
            goal.baseline =
                Some(Baseline { value, mark, latest, peak: latest, peak_at: mark.at.whole_seconds() });
        }
        _ => {}
    }
}

/// The largest of 20 such documents with so many receipts.
fn largest(goals: u32, events: usize, receipts: u64) -> usize {
    let sizes = (0..20).map(|seed| {
        let mut player = player(goals, events, seed);
        player.head.receipts.extend((0..receipts).map(Receipt));
        let bytes = player.encode_live();
        assert_eq!(Player::decode(&bytes, Some(None)), Ok(player));
        bytes.len()
    });
    sizes.max().unwrap_or_default()
}

/// Checks a limit for several numbers of events; the message has the sizes that were found.
fn check(goals: u32, limit: usize, events: [usize; 4], receipts: u64) {
    let sizes = events.map(|events| (events, largest(goals, events, receipts)));
    assert!(
        sizes.iter().all(|(_, size)| *size <= limit),
        "{goals} goals take more than {limit} bytes: (events, bytes) {sizes:?}"
    );
}

/// Receipts that a document has before they leave it together.
const RECEIPTS: u64 = PAGE as u64 - 1;

#[test]
fn fifty_goals_take_700_bytes() {
    check(50, 700, [1, 20, 50, 60], 0);
}

#[test]
fn receipts_take_eight_bytes_each() {
    check(50, 700 + 8 * (PAGE - 1) + 3, [1, 20, 50, 60], RECEIPTS);
}

/// A database keeps what is longer elsewhere, at seven times the price.
#[test]
fn two_hundred_goals_and_receipts_take_2_kilobytes() {
    check(200, 2048, [1, 20, 50, 60], RECEIPTS);
}

/// Beyond what the design promises to be cheap: it must be right.
#[test]
fn five_hundred_goals_take_7_kilobytes() {
    check(500, 7000, [20, 60, 200, 500], RECEIPTS);
}

#[test]
fn a_player_without_goals_takes_50_bytes() {
    let size = player(0, 1, 1).encode_live().len();
    assert!(size <= 50, "{size}");
}
