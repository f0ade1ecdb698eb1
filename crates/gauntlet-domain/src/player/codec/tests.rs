//! The byte form: everything comes back, and bytes that are not ours are told apart from those
//! of a newer release.

mod random;
mod sizes;

use super::{CodecError, FORMAT};
use crate::{
    GoalNumber, GoalState, Player, Status, Timestamp,
    player::{Baseline, CycleMark, EventMark, Head, HeldTerms, KeptReward, LateState, PreviousCycle},
};

fn goal(number: u32) -> GoalState {
    let mut goal = GoalState::new(GoalNumber(number), CycleMark::default());
    goal.activate(Timestamp::from_seconds(1_795_500_000));
    goal
}

fn player() -> Player {
    let head = Head { journal_sequence: 5, ..Head::default() };
    Player::from_parts(head, vec![goal(3), goal(7)], Some(vec![goal(5)]))
}

fn corrupt(bytes: &[u8]) -> &'static str {
    match Player::decode(bytes, None) {
        Err(CodecError::Corrupt { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_two_bytes_are_the_format() {
    let player = player();
    assert_eq!(player.encode_live()[..2], [FORMAT, FORMAT]);
    assert_eq!(player.encode_settled().unwrap()[..2], [FORMAT, FORMAT]);
}

#[test]
fn empty_parts_are_absent() {
    let player = Player::new();
    assert_eq!(player.encode_settled(), None);
    assert_eq!(Player::decode(&player.encode_live(), Some(None)), Ok(player.clone()));
    let events_only = Player::decode(&player.encode_live(), None).unwrap();
    assert!(!events_only.has_settled() && events_only.encode_settled().is_none());
}

#[test]
fn a_document_for_newer_readers_is_left_alone() {
    let player = player();
    let (mut live, mut settled) = (player.encode_live(), player.encode_settled().unwrap());
    (live[0], settled[0]) = (9, 9);
    assert_eq!(
        Player::decode(&live, Some(Some(&settled))).as_ref(),
        Ok(&player),
        "newer, and readable by this release"
    );
    live[1] = FORMAT + 1;
    assert_eq!(Player::decode(&live, None), Err(CodecError::Newer(9)));
    live[1] = FORMAT;
    settled[1] = FORMAT + 1;
    assert_eq!(Player::decode(&live, Some(Some(&settled))), Err(CodecError::Newer(9)));
    // Whatever follows, a newer document is not called corrupt.
    assert_eq!(Player::decode(&[9, FORMAT + 1, 0xff, 0xff], None), Err(CodecError::Newer(9)));
    assert_eq!(corrupt(&[0, 1]), "format 0");
    assert_eq!(corrupt(&[1, 0]), "format 0");
}

#[test]
fn what_is_not_a_number_is_not_read() {
    let mark = EventMark { at: Timestamp::from_seconds(1_795_500_000), tie: 1 };
    let of = |value: f64| {
        let mut goal = goal(3);
        goal.baseline = Some(Baseline { value, mark, latest: 2.0, peak: 2.0, peak_at: mark.at });
        Player::from_parts(Head::default(), vec![goal], None).encode_live()
    };
    assert!(Player::decode(&of(f64::NEG_INFINITY), None).is_ok());
    assert_eq!(corrupt(&of(f64::NAN)), "not a number");
}

#[test]
fn unknown_sections_are_kept_byte_for_byte() {
    let player = player();
    let (mut live, mut settled) = (player.encode_live(), player.encode_settled().unwrap());
    // Tags 9 and 200 (two bytes), one with nothing in it.
    live.extend([9, 3, 0xaa, 0x00, 0xff, 0xc8, 0x01, 0]);
    settled.extend([77, 1, 0x42]);
    let mut decoded = Player::decode(&live, Some(Some(&settled))).unwrap();
    assert_eq!((decoded.encode_live(), decoded.encode_settled()), (live.clone(), Some(settled.clone())));
    assert_eq!(decoded.live(), player.live());
    // They outlive a change, and stand behind the known sections wherever they stood before.
    decoded.head.journal_sequence += 1;
    decoded.live_mut()[0].progress = 1_000_000;
    let written = decoded.encode_live();
    assert!(written.ends_with(&[9, 3, 0xaa, 0x00, 0xff, 0xc8, 0x01, 0]));
    let mut front = live[..2].to_vec();
    front.extend([9, 1, 5]);
    front.extend(&player.encode_live()[2..]);
    let kept = Player::decode(&front, None).unwrap().encode_live();
    assert!(kept.ends_with(&[9, 1, 5]) && kept.len() == front.len());
    // A settled part of nothing but unknown sections is not dropped.
    let only = [1, 1, 77, 1, 0x42];
    let decoded = Player::decode(&player.encode_live(), Some(Some(&only))).unwrap();
    assert!(decoded.encode_settled().unwrap().ends_with(&[77, 1, 0x42]));
}

/// These bytes stand in databases.
#[test]
fn terms_that_are_kept_have_their_section() {
    let mut player = player();
    let plain = player.encode_live();
    let terms = |goal, version, cycle| HeldTerms { goal: GoalNumber(goal), version, cycle };
    player.hold_terms(vec![terms(300, 2, 0), terms(7, 1, 20_781)]);
    let live = player.encode_live();
    let section = [7, 10, 2, 7, 1, 0xad, 0xa2, 0x01, 0xa5, 0x02, 2, 0];
    assert_eq!(live.len(), plain.len() + section.len());
    assert!(live.windows(section.len()).any(|window| window == section), "{live:?}");
    player.is_now_as_of(300);
    assert_eq!(player.encode_settled().unwrap()[2..6], [7, 2, 0xac, 0x02]);
    let read = Player::decode(&player.encode_live(), Some(player.encode_settled().as_deref()));
    assert_eq!(read.as_ref(), Ok(&player));
    assert_eq!((read.unwrap().settled_as_of(), player.head.catalogue_version), (300, 300));

    let mut twice = live.clone();
    let at = live.windows(section.len()).position(|window| window == section).unwrap();
    // The second goal is the first one again.
    twice.splice(at + 8..at + 10, [0]);
    twice[at + 1] -= 1;
    assert_eq!(corrupt(&twice), "held terms out of order");
}

#[test]
fn goals_out_of_order_are_refused() {
    for numbers in [[7, 3], [3, 3]] {
        let head = Head::default();
        let bytes = super::encode_live(&head, &numbers.map(goal), &[], &[]);
        assert_eq!(corrupt(&bytes), "goal numbers out of order");
        let settled = super::encode_settled(&numbers.map(goal), None, &[]);
        assert!(Player::decode(&player().encode_live(), Some(Some(&settled))).is_err());
    }
}

#[test]
fn sections_stand_once_and_are_full() {
    let live = player().encode_live();
    assert_eq!(corrupt(&[1, 1]), "no head section");
    let mut twice = live.clone();
    twice.extend(&live[2..]);
    assert_eq!(corrupt(&twice), "a section stands twice");
    let head_length = usize::from(live[3]);
    let mut longer = live.clone();
    longer[3] += 1;
    longer.insert(4 + head_length, 0);
    assert_eq!(corrupt(&longer), "bytes left over in a section");
}

#[test]
fn counts_beyond_the_end_are_refused_before_anything_is_made() {
    let head = [1, 1, 1, 35].into_iter().chain([0; 35]);
    for huge in [
        vec![0xff, 0xff, 0xff, 0xff, 0x0f],
        vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        vec![2],
    ] {
        for section in [2, 3] {
            let mut bytes: Vec<u8> = head.clone().collect();
            bytes.extend([section, u8::try_from(huge.len()).unwrap()]);
            bytes.extend(&huge);
            assert_eq!(corrupt(&bytes), "count beyond the end", "{section} {huge:?}");
        }
        // The length of a section, and the count of goals behind no marks.
        let mut bytes: Vec<u8> = head.clone().chain([3]).collect();
        bytes.extend(&huge);
        assert_eq!(corrupt(&bytes), "count beyond the end");
        let mut bytes: Vec<u8> = head.clone().collect();
        bytes.extend([3, u8::try_from(huge.len() + 1).unwrap(), 0]);
        bytes.extend(&huge);
        assert_eq!(corrupt(&bytes), "count beyond the end");
    }
    let too_long = [1, 1].into_iter().chain([0xff; 10]).chain([1]).collect::<Vec<u8>>();
    assert_eq!(corrupt(&too_long), "number too long");
}

/// A player in the minutes after midnight: a late event may come, and a reward waits.
fn after_midnight() -> Player {
    let end = Some(Timestamp::from_seconds(1_795_564_800));
    let mut goal = goal(3);
    let ended = CycleMark { number: 20_781, end };
    let (status, progress, completed_at) = (Status::InProgress, 4, None);
    goal.previous = Some(PreviousCycle { cycle: ended, status, progress, completed_at });
    let mark = EventMark { at: Timestamp::from_millis(1_795_564_799_250), tie: 7 };
    goal.late = Some(Box::new(LateState { applied: Some(mark), baseline: None }));
    let kept = KeptReward { goal: GoalNumber(9), cycle: ended, completed_at: end };
    let head = Head { journal_sequence: 5, kept: vec![kept], ..Head::default() };
    Player::from_parts(head, vec![goal], Some(Vec::new()))
}

#[test]
fn what_outlives_a_cycle_stands_in_sections_of_its_own() {
    // The golden bytes: a release before these sections reads the rest and keeps them.
    let player = after_midnight();
    let bytes = player.encode_live();
    let kept = [4, 16, 1, 9, 0xad, 0xa2, 0x01, 3];
    let late = [5, 14, 1, 3, 0xad, 0xa2, 0x01, 1];
    let find = |piece: &[u8]| bytes.windows(piece.len()).position(|window| window == piece);
    let (kept_at, late_at) = (find(&kept).expect("kept rewards"), find(&late).expect("late state"));
    assert_eq!(late_at, kept_at + 2 + 16, "{bytes:?}");
    assert_eq!(Player::decode(&bytes, Some(None)).as_ref(), Ok(&player));
    // Without them the same goals are read.
    let without = [&bytes[..kept_at], &bytes[late_at + 2 + 14..]].concat();
    let older = Player::decode(&without, Some(None)).expect("decodes");
    assert_eq!(older.live()[0].previous, player.live()[0].previous);
    assert!(older.live()[0].late.is_none() && older.head.kept.is_empty());
    // Nothing is written when there is nothing to say.
    assert_eq!(older.encode_live(), without);
}

#[test]
fn what_an_older_release_left_behind_is_not_taken_for_another_cycle() {
    let player = after_midnight();
    let bytes = player.encode_live();
    let mut moved = player.clone();
    moved.live_mut()[0].previous.as_mut().expect("it has one").cycle.number += 1;
    moved.live_mut()[0].late = None;
    // The older release wrote the goal anew and kept the section as it was.
    let mut written = moved.encode_live();
    let late = bytes.windows(2).position(|two| two == [5, 14]).expect("late state");
    written.extend(&bytes[late..late + 16]);
    let read = Player::decode(&written, Some(None)).expect("decodes");
    assert_eq!(read, moved);
}
