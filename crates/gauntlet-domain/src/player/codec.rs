//! The byte form of a document.
//!
//! ```text
//! document = format:u8 readable_by:u8 section*
//! section  = tag:varint length:varint bytes
//! ```
//!
//! `readable_by` is the oldest format whose readers may load the document and write it again:
//! a release that meets a greater number than its own [`FORMAT`] leaves the document alone.
//! Sections with an unknown tag are kept byte for byte, which is how a release can add one
//! without locking out the release before it.
//!
//! Goals are packed one after the other: a flag byte, then only what the flags announce, each
//! number as a difference from the neighbour it is likely to be close to. Event marks stand in a
//! dictionary, because one event usually touches many goals. A goal takes about 6 bytes plus its
//! share of the dictionary (some 5 bytes for each event); the tests in `tests/sizes.rs` hold the
//! limits of the design.

mod bytes;
mod cycles;

use bytes::{Cursor, put, put_float, put_signed, unzigzag, zigzag};

use super::{
    Baseline, ClaimState, CycleMark, DayMark, EventMark, GoalState, Head, HeldTerms, PendingClaim,
    PreviousCycle, Status,
};
use crate::{GoalNumber, PAGE, Receipt, Timestamp};

/// The format that this release writes.
pub const FORMAT: u8 = 1;
/// The oldest format whose readers may touch what this release writes.
const READABLE_BY: u8 = 1;

const SECTION_HEAD: u64 = 1;
const SECTION_CLAIMS: u64 = 2;
const SECTION_GOALS: u64 = 3;
const SECTION_KEPT: u64 = 4;
const SECTION_LATE: u64 = 5;
const SECTION_RECEIPTS: u64 = 6;
/// Live: cycles under older terms. Settled: the catalogue version as of which the goals are.
const SECTION_TERMS: u64 = 7;

const ACTIVE: u8 = 1 << 2;
const COMPLETED_AT: u8 = 1 << 3;
const CLAIMED_AT: u8 = 1 << 4;
const APPLIED: u8 = 1 << 5;
const CYCLE: u8 = 1 << 6;
const EXTRA: u8 = 1 << 7;

const EXTRA_DAYS: u8 = 1;
const EXTRA_DAY_BEFORE: u8 = 1 << 1;
const EXTRA_BASELINE: u8 = 1 << 2;
const EXTRA_PREVIOUS: u8 = 1 << 3;
const EXTRA_KNOWN: u8 = EXTRA_DAYS | EXTRA_DAY_BEFORE | EXTRA_BASELINE | EXTRA_PREVIOUS;

/// Why bytes are not a document of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A newer release wrote it in a way that this one must not touch.
    #[error("written in format {0}, which this release must not touch (it knows {FORMAT})")]
    Newer(u8),
    /// The bytes make no sense; says what was expected where.
    #[error("{what} at byte {at}")]
    Corrupt {
        /// What is wrong.
        what: &'static str,
        /// Offset in the section being read.
        at: usize,
    },
}

type Result<T> = std::result::Result<T, CodecError>;

/// The live part, read.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) head: Head,
    pub(super) goals: Vec<GoalState>,
    pub(super) held: Vec<HeldTerms>,
    /// Sections of a newer release.
    pub(super) unknown: Vec<u8>,
}

pub(super) fn encode_live(head: &Head, goals: &[GoalState], held: &[HeldTerms], unknown: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + goals.len() * 12 + unknown.len());
    out.extend([FORMAT, READABLE_BY]);
    section(&mut out, SECTION_HEAD, |out| {
        put(out, u64::from(head.epoch));
        put(out, u64::from(head.catalogue_version));
        put(out, head.journal_sequence);
        for id in head.write_ids {
            out.extend(id.to_le_bytes());
        }
    });
    if !head.claims.is_empty() {
        section(&mut out, SECTION_CLAIMS, |out| put_claims(out, &head.claims));
    }
    if !head.receipts.is_empty() {
        section(&mut out, SECTION_RECEIPTS, |out| {
            out.extend(head.receipts.iter().flat_map(|receipt| receipt.0.to_le_bytes()));
        });
    }
    if !held.is_empty() {
        section(&mut out, SECTION_TERMS, |out| put_held(out, held));
    }
    if !head.kept.is_empty() {
        section(&mut out, SECTION_KEPT, |out| cycles::put_kept(out, &head.kept));
    }
    if goals.iter().any(|goal| goal.late.is_some()) {
        section(&mut out, SECTION_LATE, |out| cycles::put_late(out, goals));
    }
    section(&mut out, SECTION_GOALS, |out| put_goals(out, goals));
    out.extend(unknown);
    out
}

pub(super) fn encode_settled(goals: &[GoalState], as_of: Option<u32>, unknown: &[u8]) -> Vec<u8> {
    let mut out = vec![FORMAT, READABLE_BY];
    if let Some(version) = as_of {
        section(&mut out, SECTION_TERMS, |out| put(out, u64::from(version)));
    }
    section(&mut out, SECTION_GOALS, |out| put_goals(out, goals));
    out.extend(unknown);
    out
}

pub(super) fn decode_live(bytes: &[u8]) -> Result<Live> {
    let mut head = None;
    let mut held = Vec::new();
    let (mut claims, mut receipts) = (Vec::new(), Vec::new());
    let mut goals = Vec::new();
    let (mut kept, mut late) = (Vec::new(), Vec::new());
    let unknown = sections(bytes, |tag, cursor| {
        match tag {
            SECTION_RECEIPTS => receipts = get_receipts(cursor)?,
            SECTION_HEAD => head = Some(get_head(cursor)?),
            SECTION_CLAIMS => claims = get_claims(cursor)?,
            SECTION_GOALS => goals = get_goals(cursor)?,
            SECTION_KEPT => kept = cycles::get_kept(cursor)?,
            SECTION_LATE => late = cycles::get_late(cursor)?,
            SECTION_TERMS => held = get_held(cursor)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let mut head = head.ok_or(CodecError::Corrupt { what: "no head section", at: 0 })?;
    head.claims = claims;
    head.receipts = receipts;
    head.kept = kept;
    cycles::join_late(&mut goals, late);
    Ok(Live { head, goals, held, unknown })
}

pub(super) fn decode_settled(bytes: &[u8]) -> Result<(Vec<GoalState>, Option<u32>, Vec<u8>)> {
    let (mut goals, mut as_of) = (Vec::new(), None);
    let unknown = sections(bytes, |tag, cursor| {
        match tag {
            SECTION_GOALS => goals = get_goals(cursor)?,
            SECTION_TERMS => as_of = Some(cursor.narrow()?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((goals, as_of, unknown))
}

/// Sorted by goal, which is written as the step from the one before, and cycle.
fn put_held(out: &mut Vec<u8>, held: &[HeldTerms]) {
    put(out, held.len() as u64);
    let mut near = 0;
    for terms in held {
        put(out, u64::from(terms.goal.0.wrapping_sub(near)));
        put(out, u64::from(terms.version));
        put(out, u64::from(terms.cycle));
        near = terms.goal.0;
    }
}

fn get_held(cursor: &mut Cursor<'_>) -> Result<Vec<HeldTerms>> {
    let count = cursor.count()?;
    let mut held: Vec<HeldTerms> = Vec::with_capacity(count.min(64));
    let mut near = 0_u32;
    for at in 0..count {
        near = near.wrapping_add(cursor.narrow()?);
        let terms = HeldTerms { goal: GoalNumber(near), version: cursor.narrow()?, cycle: cursor.narrow()? };
        if at > 0 && held[at - 1].place() >= terms.place() {
            return Err(cursor.corrupt("held terms out of order"));
        }
        held.push(terms);
    }
    Ok(held)
}

/// Walks the sections; answers the bytes of those that `known` did not take.
fn sections(bytes: &[u8], mut known: impl FnMut(u64, &mut Cursor<'_>) -> Result<bool>) -> Result<Vec<u8>> {
    let mut cursor = Cursor { bytes, at: 0 };
    let format = cursor.byte()?;
    let readable_by = cursor.byte()?;
    if readable_by > FORMAT {
        return Err(CodecError::Newer(format));
    }
    if format == 0 || readable_by == 0 {
        return Err(cursor.corrupt("format 0"));
    }
    let mut unknown = Vec::new();
    let mut seen = Vec::new();
    while cursor.at < bytes.len() {
        let start = cursor.at;
        let tag = cursor.varint()?;
        let length = cursor.count()?;
        let body = cursor.take(length)?;
        let mut inner = Cursor { bytes: body, at: 0 };
        if !known(tag, &mut inner)? {
            unknown.extend(&bytes[start..cursor.at]);
            continue;
        }
        if inner.at != body.len() {
            return Err(inner.corrupt("bytes left over in a section"));
        }
        if seen.contains(&tag) {
            return Err(cursor.corrupt("a section stands twice"));
        }
        seen.push(tag);
    }
    Ok(unknown)
}

fn section(out: &mut Vec<u8>, tag: u64, body: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::with_capacity(256);
    body(&mut inner);
    put(out, tag);
    put(out, inner.len() as u64);
    out.append(&mut inner);
}

fn get_head(cursor: &mut Cursor<'_>) -> Result<Head> {
    let mut head = Head {
        epoch: cursor.narrow()?,
        catalogue_version: cursor.narrow()?,
        journal_sequence: cursor.varint()?,
        ..Head::default()
    };
    for id in &mut head.write_ids {
        *id = u64::from_le_bytes(cursor.array()?);
    }
    Ok(head)
}

fn get_receipts(cursor: &mut Cursor<'_>) -> Result<Vec<Receipt>> {
    let mut receipts = Vec::with_capacity(PAGE);
    while cursor.at < cursor.bytes.len() {
        receipts.push(Receipt(u64::from_le_bytes(cursor.array()?)));
    }
    Ok(receipts)
}

fn put_claims(out: &mut Vec<u8>, claims: &[PendingClaim]) {
    put(out, claims.len() as u64);
    for claim in claims {
        put(out, u64::from(claim.goal.0));
        put(out, u64::from(claim.cycle));
        put_signed(out, claim.claimed_at.seconds());
        out.push(match claim.state {
            ClaimState::Pending => 0,
            ClaimState::Uncertain => 1,
            ClaimState::Refused => 2,
        });
    }
}

fn get_claims(cursor: &mut Cursor<'_>) -> Result<Vec<PendingClaim>> {
    let count = cursor.count()?;
    let mut claims = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        claims.push(PendingClaim {
            goal: GoalNumber(cursor.narrow()?),
            cycle: cursor.narrow()?,
            claimed_at: Timestamp::from_seconds(cursor.signed()?),
            state: match cursor.byte()? {
                0 => ClaimState::Pending,
                1 => ClaimState::Uncertain,
                2 => ClaimState::Refused,
                _ => return Err(cursor.corrupt("unknown claim state")),
            },
        });
    }
    Ok(claims)
}

/// What the next goal's numbers are written as differences from.
#[derive(Default)]
struct Neighbour {
    number: u32,
    assigned_at: i64,
    cycle: u32,
    cycle_end: i64,
}

impl Neighbour {
    /// For the cycle before a goal's.
    fn of_previous(goal: &GoalState) -> Self {
        Self { cycle: goal.cycle.number, cycle_end: seconds_or_zero(goal.cycle.end), ..Self::default() }
    }
}

fn put_goals(out: &mut Vec<u8>, goals: &[GoalState]) {
    let mut marks: Vec<EventMark> = goals
        .iter()
        .flat_map(|goal| [goal.applied, goal.baseline.map(|baseline| baseline.mark)])
        .flatten()
        .collect();
    marks.sort_unstable();
    marks.dedup();
    put_marks(out, &marks);
    put(out, goals.len() as u64);
    let mut neighbour = Neighbour::default();
    for goal in goals {
        put_goal(out, goal, &marks, &mut neighbour);
    }
}

/// Marks are sorted: only the first can stand before zero.
fn put_marks(out: &mut Vec<u8>, marks: &[EventMark]) {
    put(out, marks.len() as u64);
    let first = marks.first().map_or(0, |mark| mark.at.millis());
    if !marks.is_empty() {
        put_signed(out, first);
    }
    let mut before = first;
    for mark in marks {
        put(out, mark.at.millis().abs_diff(before));
        out.extend(mark.tie.to_le_bytes());
        before = mark.at.millis();
    }
}

fn put_goal(out: &mut Vec<u8>, goal: &GoalState, marks: &[EventMark], near: &mut Neighbour) {
    let has_cycle = goal.cycle != CycleMark::default();
    let extra = extra_of(goal);
    let mut flags = status_bits(goal.status);
    for (bit, set) in [
        (ACTIVE, goal.active),
        (COMPLETED_AT, goal.completed_at.is_some()),
        (CLAIMED_AT, goal.claimed_at.is_some()),
        (APPLIED, goal.applied.is_some()),
        (CYCLE, has_cycle),
        (EXTRA, extra != 0),
    ] {
        if set {
            flags |= bit;
        }
    }
    let assigned = seconds_or_zero(goal.assigned_at);
    let moved = assigned != near.assigned_at;
    put(out, u64::from(goal.number.0.wrapping_sub(near.number)) << 1 | u64::from(moved));
    near.number = goal.number.0;
    out.push(flags);
    put_signed(out, i64::from(goal.progress));
    if moved {
        put_signed(out, assigned - near.assigned_at);
        near.assigned_at = assigned;
    }
    if let Some(mark) = goal.applied {
        put(out, mark_index(marks, mark));
    }
    if has_cycle {
        put_cycle(out, goal.cycle, near);
    }
    for time in [goal.completed_at, goal.claimed_at].into_iter().flatten() {
        put_signed(out, time.seconds() - base_of(goal));
    }
    if extra != 0 {
        out.push(extra);
        put_extra(out, goal, marks);
    }
}

/// The second that a goal's completion and claim are likely to be close to.
fn base_of(goal: &GoalState) -> i64 {
    let applied = goal.applied.map(|mark| mark.at);
    seconds_or_zero(applied.or(goal.cycle.end).or(goal.assigned_at))
}

/// The day, in UTC, that a goal's days are likely to be close to.
fn base_day(goal: &GoalState) -> i64 {
    base_of(goal).div_euclid(86_400)
}

fn extra_of(goal: &GoalState) -> u8 {
    let mut extra = 0;
    if let Some(days) = goal.days {
        extra |= EXTRA_DAYS;
        if days.day_before {
            extra |= EXTRA_DAY_BEFORE;
        }
    }
    if goal.baseline.is_some() {
        extra |= EXTRA_BASELINE;
    }
    if goal.previous.is_some() {
        extra |= EXTRA_PREVIOUS;
    }
    extra
}

fn put_extra(out: &mut Vec<u8>, goal: &GoalState, marks: &[EventMark]) {
    if let Some(days) = goal.days {
        put_signed(out, i64::from(days.day) - base_day(goal));
    }
    if let Some(baseline) = goal.baseline {
        put(out, mark_index(marks, baseline.mark));
        for value in [baseline.value, baseline.latest, baseline.peak] {
            put_float(out, value);
        }
        put_signed(out, baseline.peak_at.seconds() - baseline.mark.at.seconds());
    }
    if let Some(previous) = goal.previous {
        put_cycle(out, previous.cycle, &mut Neighbour::of_previous(goal));
        out.push(
            status_bits(previous.status) | if previous.completed_at.is_some() { COMPLETED_AT } else { 0 },
        );
        put_signed(out, i64::from(previous.progress));
        if let Some(time) = previous.completed_at {
            put_signed(out, time.seconds() - seconds_or_zero(previous.cycle.end));
        }
    }
}

fn put_cycle(out: &mut Vec<u8>, cycle: CycleMark, near: &mut Neighbour) {
    put_signed(out, i64::from(cycle.number) - i64::from(near.cycle));
    near.cycle = cycle.number;
    match cycle.end {
        None => put(out, 0),
        Some(end) => {
            put(out, zigzag(end.seconds() - near.cycle_end) + 1);
            near.cycle_end = end.seconds();
        }
    }
}

fn get_goals(cursor: &mut Cursor<'_>) -> Result<Vec<GoalState>> {
    let marks = get_marks(cursor)?;
    let count = cursor.count()?;
    let mut goals: Vec<GoalState> = Vec::with_capacity(count.min(1024));
    let mut near = Neighbour::default();
    for at in 0..count {
        let goal = get_goal(cursor, &marks, &mut near)?;
        if at > 0 && goals[at - 1].number >= goal.number {
            return Err(cursor.corrupt("goal numbers out of order"));
        }
        goals.push(goal);
    }
    Ok(goals)
}

fn get_marks(cursor: &mut Cursor<'_>) -> Result<Vec<EventMark>> {
    let count = cursor.count()?;
    let mut marks = Vec::with_capacity(count.min(1024));
    let mut at = if count == 0 { 0 } else { cursor.signed()? };
    for _ in 0..count {
        at = at.wrapping_add_unsigned(cursor.varint()?);
        let tie = u16::from_le_bytes(cursor.array()?);
        marks.push(EventMark { at: Timestamp::from_millis(at), tie });
    }
    Ok(marks)
}

fn get_mark(cursor: &mut Cursor<'_>, marks: &[EventMark]) -> Result<EventMark> {
    let index = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
    marks.get(index).copied().ok_or(cursor.corrupt("no such event mark"))
}

fn get_goal(cursor: &mut Cursor<'_>, marks: &[EventMark], near: &mut Neighbour) -> Result<GoalState> {
    let step = cursor.varint()?;
    let number = u32::try_from(step >> 1).map_err(|_| cursor.corrupt("number over 32 bits"))?;
    near.number = near.number.wrapping_add(number);
    let flags = cursor.byte()?;
    let mut goal = GoalState::new(GoalNumber(near.number), CycleMark::default());
    goal.active = flags & ACTIVE != 0;
    goal.status = status_of(flags);
    goal.progress = cursor.narrow_signed()?;
    if step & 1 != 0 {
        near.assigned_at = near.assigned_at.wrapping_add(cursor.signed()?);
    }
    goal.assigned_at = (near.assigned_at != 0).then(|| Timestamp::from_seconds(near.assigned_at));
    if flags & APPLIED != 0 {
        goal.applied = Some(get_mark(cursor, marks)?);
    }
    if flags & CYCLE != 0 {
        goal.cycle = get_cycle(cursor, near)?;
    }
    let base = base_of(&goal);
    goal.completed_at = cursor.time_if(flags & COMPLETED_AT != 0, base)?;
    goal.claimed_at = cursor.time_if(flags & CLAIMED_AT != 0, base)?;
    if flags & EXTRA != 0 {
        get_extra(cursor, &mut goal, marks)?;
    }
    Ok(goal)
}

fn get_extra(cursor: &mut Cursor<'_>, goal: &mut GoalState, marks: &[EventMark]) -> Result<()> {
    let extra = cursor.byte()?;
    if extra & !EXTRA_KNOWN != 0 {
        return Err(cursor.corrupt("unknown goal columns"));
    }
    if extra & EXTRA_DAYS != 0 {
        let day = i32::try_from(base_day(goal).wrapping_add(cursor.signed()?))
            .map_err(|_| cursor.corrupt("day over 32 bits"))?;
        goal.days = Some(DayMark { day, day_before: extra & EXTRA_DAY_BEFORE != 0 });
    }
    if extra & EXTRA_BASELINE != 0 {
        let mark = get_mark(cursor, marks)?;
        goal.baseline = Some(Baseline {
            mark,
            value: cursor.float()?,
            latest: cursor.float()?,
            peak: cursor.float()?,
            peak_at: cursor.time_from(mark.at.seconds())?,
        });
    }
    if extra & EXTRA_PREVIOUS != 0 {
        let cycle = get_cycle(cursor, &mut Neighbour::of_previous(goal))?;
        let flags = cursor.byte()?;
        goal.previous = Some(PreviousCycle {
            cycle,
            status: status_of(flags),
            progress: cursor.narrow_signed()?,
            completed_at: cursor.time_if(flags & COMPLETED_AT != 0, seconds_or_zero(cycle.end))?,
        });
    }
    Ok(())
}

fn get_cycle(cursor: &mut Cursor<'_>, near: &mut Neighbour) -> Result<CycleMark> {
    let number = i64::from(near.cycle).wrapping_add(cursor.signed()?);
    near.cycle = u32::try_from(number).map_err(|_| cursor.corrupt("cycle number out of range"))?;
    let end = match cursor.varint()? {
        0 => None,
        delta => {
            near.cycle_end = near.cycle_end.wrapping_add(unzigzag(delta - 1));
            Some(Timestamp::from_seconds(near.cycle_end))
        }
    };
    Ok(CycleMark { number: near.cycle, end })
}

const fn status_bits(status: Status) -> u8 {
    match status {
        Status::NotStarted => 0,
        Status::InProgress => 1,
        Status::Completed => 2,
        Status::Claimed => 3,
    }
}

const fn status_of(flags: u8) -> Status {
    match flags & 3 {
        0 => Status::NotStarted,
        1 => Status::InProgress,
        2 => Status::Completed,
        _ => Status::Claimed,
    }
}

/// No goal was assigned in the first second of 1970, so that second stands for never.
fn seconds_or_zero(time: Option<Timestamp>) -> i64 {
    time.map_or(0, Timestamp::seconds)
}

/// Every mark of a goal was put into the sorted dictionary before.
fn mark_index(marks: &[EventMark], mark: EventMark) -> u64 {
    marks.partition_point(|other| *other < mark) as u64
}

#[cfg(test)]
mod tests;
