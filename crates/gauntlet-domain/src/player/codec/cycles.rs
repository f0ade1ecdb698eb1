//! What outlives the end of a cycle, in sections of its own. A release that does not know them
//! keeps them byte for byte; what it changed meanwhile is told apart by the cycle's number.

use super::{
    Result,
    bytes::{Cursor, put, put_float, put_signed},
};
use crate::{
    GoalNumber, GoalState, Timestamp,
    player::{Baseline, CycleMark, EventMark, KeptReward, LateState},
};

const HAS_END: u8 = 1;
const HAS_COMPLETED: u8 = 1 << 1;

const HAS_APPLIED: u8 = 1;
const HAS_BASELINE: u8 = 1 << 1;

pub(super) fn put_kept(out: &mut Vec<u8>, kept: &[KeptReward]) {
    put(out, kept.len() as u64);
    for reward in kept {
        put(out, u64::from(reward.goal.0));
        put(out, u64::from(reward.cycle.number));
        out.push(
            flag(HAS_END, reward.cycle.end.is_some()) | flag(HAS_COMPLETED, reward.completed_at.is_some()),
        );
        for time in [reward.cycle.end, reward.completed_at].into_iter().flatten() {
            put_signed(out, time.seconds());
        }
    }
}

pub(super) fn get_kept(cursor: &mut Cursor<'_>) -> Result<Vec<KeptReward>> {
    let count = cursor.count()?;
    let mut kept = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        let (goal, number) = (GoalNumber(cursor.narrow()?), cursor.narrow()?);
        let flags = cursor.byte()?;
        let end = cursor.time_if(flags & HAS_END != 0, 0)?;
        let completed_at = cursor.time_if(flags & HAS_COMPLETED != 0, 0)?;
        kept.push(KeptReward { goal, cycle: CycleMark { number, end }, completed_at });
    }
    Ok(kept)
}

/// What is known of one goal's cycle that has ended: the goal, the cycle's number, the rest.
pub(super) type Late = (GoalNumber, u32, LateState);

pub(super) fn put_late(out: &mut Vec<u8>, goals: &[GoalState]) {
    let known = || goals.iter().filter_map(|goal| Some((goal, goal.late.as_deref()?)));
    put(out, known().count() as u64);
    for (goal, late) in known() {
        put(out, u64::from(goal.number.0));
        put(out, u64::from(goal.previous.map_or(0, |previous| previous.cycle.number)));
        out.push(flag(HAS_APPLIED, late.applied.is_some()) | flag(HAS_BASELINE, late.baseline.is_some()));
        if let Some(mark) = late.applied {
            put_mark(out, mark);
        }
        if let Some(baseline) = late.baseline {
            put_mark(out, baseline.mark);
            for value in [baseline.value, baseline.latest, baseline.peak] {
                put_float(out, value);
            }
            put_signed(out, baseline.peak_at.seconds());
        }
    }
}

pub(super) fn get_late(cursor: &mut Cursor<'_>) -> Result<Vec<Late>> {
    let count = cursor.count()?;
    let mut known = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        let (goal, number) = (GoalNumber(cursor.narrow()?), cursor.narrow()?);
        let flags = cursor.byte()?;
        let applied = if flags & HAS_APPLIED == 0 { None } else { Some(get_mark(cursor)?) };
        let baseline = if flags & HAS_BASELINE == 0 {
            None
        } else {
            Some(Baseline {
                mark: get_mark(cursor)?,
                value: cursor.float()?,
                latest: cursor.float()?,
                peak: cursor.float()?,
                peak_at: cursor.time_from(0)?,
            })
        };
        known.push((goal, number, LateState { applied, baseline }));
    }
    Ok(known)
}

/// Gives each goal what is known of its cycle before. What belongs to another cycle is left over
/// from before a release that does not know this section wrote the goal, and is dropped.
pub(super) fn join_late(goals: &mut [GoalState], known: Vec<Late>) {
    for (number, cycle, late) in known {
        let Ok(at) = goals.binary_search_by_key(&number, |goal| goal.number) else { continue };
        if goals[at].previous.is_some_and(|previous| previous.cycle.number == cycle) {
            goals[at].late = Some(Box::new(late));
        }
    }
}

const fn flag(bit: u8, set: bool) -> u8 {
    if set { bit } else { 0 }
}

fn put_mark(out: &mut Vec<u8>, mark: EventMark) {
    put_signed(out, mark.at.millis());
    out.extend(mark.tie.to_le_bytes());
}

fn get_mark(cursor: &mut Cursor<'_>) -> Result<EventMark> {
    let at = Timestamp::from_millis(cursor.signed()?);
    Ok(EventMark { at, tie: u16::from_le_bytes(cursor.array()?) })
}
