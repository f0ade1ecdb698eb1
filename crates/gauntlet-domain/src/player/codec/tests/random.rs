//! Random documents come back as they were; cut or changed ones never panic.

use proptest::{collection::vec, option, prelude::*};

use crate::{
    ClaimState, GoalNumber, GoalState, Player, Receipt, Status, Timestamp,
    player::{
        Baseline, CodecError, CycleMark, DayMark, EventMark, Head, HeldTerms, KeptReward, LateState,
        PendingClaim, PreviousCycle, WRITE_IDS,
    },
};

/// Seconds that both sides of a document can show: close together as in life, or anything.
fn seconds() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        4 => 1_795_500_000..1_795_600_000_i64,
        1 => -62_135_596_800..=253_402_300_799_i64,
        1 => Just(-62_135_596_800),
        1 => Just(253_402_300_799),
    ]
    .prop_map(Timestamp::from_seconds)
}

/// A time of assignment; the first second of 1970 stands for never.
fn assigned() -> impl Strategy<Value = Option<Timestamp>> {
    option::of(seconds().prop_filter("never", |time| time.seconds() != 0))
}

fn mark() -> impl Strategy<Value = EventMark> {
    let millis = prop_oneof![
        4 => 1_795_500_000_000..1_795_500_010_000_i64,
        1 => -62_135_596_800_000..=253_402_300_799_999_i64,
    ];
    (millis, any::<u16>()).prop_map(|(at, tie)| EventMark { at: Timestamp::from_millis(at), tie })
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0..1000_u32, 1 => any::<u32>(), 1 => Just(u32::MAX)]
}

fn int() -> impl Strategy<Value = i32> {
    prop_oneof![3 => 0..1000_i32, 1 => any::<i32>(), 1 => Just(i32::MIN), 1 => Just(i32::MAX)]
}

/// Every number but NaN, whole ones more often than others.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (-100_000..100_000_i32).prop_map(f64::from),
        2 => any::<f64>().prop_filter("events have no NaN", |value| !value.is_nan()),
        1 => proptest::sample::select(vec![
            0.0, -0.0, 0.5, -0.25, f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY,
            9_007_199_254_740_991.0, 9_007_199_254_740_992.0, -9_007_199_254_740_992.0, 9.3e18, -9.3e18,
        ]),
    ]
}

fn status() -> impl Strategy<Value = Status> {
    proptest::sample::select(vec![Status::NotStarted, Status::InProgress, Status::Completed, Status::Claimed])
}

fn cycle() -> impl Strategy<Value = CycleMark> {
    prop_oneof![
        Just(CycleMark::default()),
        (number(), option::of(seconds())).prop_map(|(number, end)| CycleMark { number, end }),
    ]
}

fn baseline() -> impl Strategy<Value = Baseline> {
    (float(), mark(), float(), float(), seconds()).prop_map(|(value, mark, latest, peak, peak_at)| Baseline {
        value,
        mark,
        latest,
        peak,
        peak_at,
    })
}

fn previous() -> impl Strategy<Value = PreviousCycle> {
    (cycle(), status(), int(), option::of(seconds())).prop_map(|(cycle, status, progress, completed_at)| {
        PreviousCycle { cycle, status, progress, completed_at }
    })
}

fn goal() -> impl Strategy<Value = GoalState> {
    let shown = (number(), any::<bool>(), status(), int());
    let times = (assigned(), option::of(seconds()), option::of(seconds()), option::of(mark()), cycle());
    let day = (int(), any::<bool>()).prop_map(|(day, day_before)| DayMark { day, day_before });
    let late = (option::of(mark()), option::of(baseline()))
        .prop_map(|(applied, baseline)| Box::new(LateState { applied, baseline }));
    let past = (previous(), option::of(late));
    let rare = (option::of(day), option::weighted(0.2, baseline()), option::weighted(0.2, past));
    (shown, times, rare).prop_map(|(shown, times, rare)| GoalState {
        number: GoalNumber(shown.0),
        active: shown.1,
        status: shown.2,
        progress: shown.3,
        assigned_at: times.0,
        completed_at: times.1,
        claimed_at: times.2,
        applied: times.3,
        cycle: times.4,
        days: rare.0,
        baseline: rare.1,
        previous: rare.2.as_ref().map(|past| past.0),
        late: rare.2.and_then(|past| past.1),
    })
}

fn kept() -> impl Strategy<Value = KeptReward> {
    (number(), cycle(), option::of(seconds())).prop_map(|(goal, cycle, completed_at)| KeptReward {
        goal: GoalNumber(goal),
        cycle,
        completed_at,
    })
}

fn goals() -> impl Strategy<Value = Vec<GoalState>> {
    vec(goal(), 0..12).prop_map(|mut goals| {
        goals.sort_by_key(|goal| goal.number);
        goals.dedup_by_key(|goal| goal.number);
        goals
    })
}

fn claim() -> impl Strategy<Value = PendingClaim> {
    let state =
        proptest::sample::select(vec![ClaimState::Pending, ClaimState::Uncertain, ClaimState::Refused]);
    (number(), number(), seconds(), state).prop_map(|(goal, cycle, claimed_at, state)| PendingClaim {
        goal: GoalNumber(goal),
        cycle,
        claimed_at,
        state,
    })
}

fn head() -> impl Strategy<Value = Head> {
    let ids = proptest::array::uniform::<_, WRITE_IDS>(any::<u64>());
    let receipts = vec(any::<u64>().prop_map(Receipt), 0..20);
    let lists = (vec(claim(), 0..4), vec(kept(), 0..4), receipts);
    (number(), number(), any::<u64>(), ids, lists).prop_map(
        |(epoch, catalogue_version, journal_sequence, write_ids, (claims, kept, receipts))| Head {
            epoch,
            catalogue_version,
            journal_sequence,
            write_ids,
            claims,
            receipts,
            kept,
        },
    )
}

fn held() -> impl Strategy<Value = Vec<HeldTerms>> {
    let terms = (number(), number(), number());
    vec(terms, 0..4).prop_map(|mut all| {
        all.sort_unstable();
        all.dedup_by_key(|(goal, cycle, _)| (*goal, *cycle));
        let terms = |(goal, cycle, version)| HeldTerms { goal: GoalNumber(goal), version, cycle };
        all.into_iter().map(terms).collect()
    })
}

fn player() -> impl Strategy<Value = Player> {
    let parts = (head(), goals(), goals(), held(), option::of(number()));
    parts.prop_map(|(head, live, mut settled, held, as_of)| {
        // What late events need is kept of live goals only.
        for goal in &mut settled {
            goal.late = None;
        }
        let mut player = Player::from_parts(head, live, Some(settled));
        player.hold_terms(held);
        if let Some(version) = as_of {
            player.is_now_as_of(version);
        }
        player
    })
}

/// Decodes; what decodes can be written and read again, and is the same then.
fn check(live: &[u8], settled: Option<&[u8]>) -> Result<(), TestCaseError> {
    match Player::decode(live, Some(settled)) {
        Ok(player) => {
            let (live, settled) = (player.encode_live(), player.encode_settled());
            let again = Player::decode(&live, Some(settled.as_deref()));
            prop_assert!(again.is_ok(), "{again:?}");
            // Compared as bytes, since a changed bit can make a NaN.
            let again = again.map(|player| (player.encode_live(), player.encode_settled()));
            prop_assert_eq!(again, Ok((live, settled)));
        }
        Err(CodecError::Newer(_)) => prop_assert!(live[1] > 1 || settled.is_some_and(|bytes| bytes[1] > 1)),
        Err(CodecError::Corrupt { .. }) => {}
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_field_comes_back(player in player()) {
        let (live, settled) = (player.encode_live(), player.encode_settled());
        let decoded = Player::decode(&live, Some(settled.as_deref()));
        prop_assert_eq!(decoded.as_ref(), Ok(&player));
        let decoded = decoded.unwrap();
        prop_assert_eq!((decoded.encode_live(), decoded.encode_settled()), (live, settled));
        // The sign of a zero is part of the number.
        for (one, other) in player.live().iter().zip(decoded.live()) {
            let bits = |goal: &GoalState| goal.baseline.map(|base| [base.value, base.latest, base.peak].map(f64::to_bits));
            prop_assert_eq!(bits(one), bits(other));
        }
    }

    #[test]
    fn what_is_cut_off_is_corrupt(player in player()) {
        let (live, settled) = (player.encode_live(), player.encode_settled());
        for length in 0..live.len() {
            // The cut may fall between two sections: the goals come last.
            match Player::decode(&live[..length], None) {
                Err(CodecError::Corrupt { .. }) => {}
                Ok(part) => prop_assert!(part.live().is_empty() && part.head.epoch == player.head.epoch),
                Err(error) => prop_assert!(false, "{}: {}", length, error),
            }
        }
        for length in 0..settled.as_ref().map_or(0, Vec::len) {
            let cut = settled.as_ref().map(|bytes| &bytes[..length]);
            match Player::decode(&live, Some(cut)) {
                Err(CodecError::Corrupt { .. }) => {}
                // Between two sections, too.
                Ok(part) => prop_assert!(part.settled().is_empty(), "{}", length),
                Err(error) => prop_assert!(false, "{}: {}", length, error),
            }
        }
    }

    #[test]
    fn a_changed_byte_does_no_harm(player in player(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (mut live, mut settled) = (player.encode_live(), player.encode_settled());
        let at = place.index(live.len() + settled.as_ref().map_or(0, Vec::len));
        match (live.get_mut(at), &mut settled) {
            (Some(old), _) => *old = byte,
            (None, Some(settled)) => settled[at - live.len()] = byte,
            (None, None) => unreachable!("the place lies in one of them"),
        }
        check(&live, settled.as_deref())?;
    }

    #[test]
    fn random_bytes_do_no_harm(mut live in vec(any::<u8>(), 0..200), settled in vec(any::<u8>(), 2..100)) {
        // Past the format, or most would end there.
        if let Some(start) = live.get_mut(..2) {
            start.fill(1);
        }
        check(&live, Some(&settled))?;
    }
}
