//! The player document: everything that events and calls can change about one player.
//!
//! In memory it is plain data. In the store it is two byte strings, the **live** part (what an
//! event can still touch) and the **settled** part (what only a call can touch again), written
//! by [`Player::encode_live`] and [`Player::encode_settled`].

mod codec;
mod terms;

pub use codec::{CodecError, FORMAT};
pub use terms::HeldTerms;
pub(crate) use terms::Terms;

use crate::{Catalogue, Context, GoalNumber, Receipt, Timestamp, catalogue::Unclaimed};

/// How many write ids a document remembers.
pub const WRITE_IDS: usize = 4;

/// A player's document in memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Player {
    /// What is not about one goal.
    pub head: Head,
    /// Goals that an event can still touch, sorted by number.
    live: Vec<GoalState>,
    /// Goals that only a call can touch again, sorted by number; `None` when they were not
    /// loaded, as for events.
    settled: Option<Vec<GoalState>>,
    /// Sections of the live part that a newer release wrote; kept byte for byte.
    unknown_live: Vec<u8>,
    /// The same for the settled part.
    unknown_settled: Vec<u8>,
    /// Cycles of goals that go by older terms than those of the catalogue that wrote the document,
    /// sorted by goal and cycle.
    held: Vec<HeldTerms>,
    /// The catalogue version as of which the settled part is, which events do not write; `None`: the
    /// document's.
    settled_as_of: Option<u32>,
}

/// The part of a document that is not about one goal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Part of every grant key; raised only by an audited admin reset.
    pub epoch: u32,
    /// The newest catalogue version that wrote the document.
    pub catalogue_version: u32,
    /// The sequence number of the player's last journal row.
    pub journal_sequence: u64,
    /// Random ids of the last writes, oldest first, so that a writer whose connection broke can
    /// see whether its commit happened; 0 where there was none.
    pub write_ids: [u64; WRITE_IDS],
    /// Claims whose grant has not ended well.
    pub claims: Vec<PendingClaim>,
    /// The newest events that added to a goal, oldest first; all older ones are in pages of the
    /// store.
    pub receipts: Vec<Receipt>,
    /// Completions of cycles that have ended, which can still be claimed or are going to be granted.
    pub kept: Vec<KeptReward>,
}

impl Head {
    /// Whether one of the last writes had this id.
    #[must_use]
    pub fn has_write(&self, id: u64) -> bool {
        id != 0 && self.write_ids.contains(&id)
    }

    /// Remembers a write and forgets the oldest.
    pub fn push_write(&mut self, id: u64) {
        self.write_ids.rotate_left(1);
        self.write_ids[WRITE_IDS - 1] = id;
    }
}

/// A claim that was made and whose grant has not been confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingClaim {
    /// The goal.
    pub goal: GoalNumber,
    /// The cycle in which it was completed.
    pub cycle: u32,
    /// When the player asked, in whole seconds.
    pub claimed_at: Timestamp,
    /// What is known of the grant.
    pub state: ClaimState,
}

/// A completion that outlives its cycle: the goal's policy for unclaimed rewards is not to lose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptReward {
    /// The goal.
    pub goal: GoalNumber,
    /// The cycle in which it was completed; its end has passed.
    pub cycle: CycleMark,
    /// When the target was first reached, in whole seconds.
    pub completed_at: Option<Timestamp>,
}

/// What is known of a claim's grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimState {
    /// It is being handed out.
    Pending,
    /// The platform's answer was lost and it cannot be asked; an operator settles it.
    Uncertain,
    /// The platform refused for good; an operator settles it.
    Refused,
}

impl ClaimState {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Uncertain => "uncertain",
            Self::Refused => "refused",
        }
    }
}

/// How far a goal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// No event has counted.
    #[default]
    NotStarted,
    /// An event has counted.
    InProgress,
    /// The target was reached; it stays so within the cycle.
    Completed,
    /// The reward was granted.
    Claimed,
}

impl Status {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Claimed => "claimed",
        }
    }

    /// Completed or claimed.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Completed | Self::Claimed)
    }
}

/// One goal of a player.
#[derive(Debug, Clone, PartialEq)]
pub struct GoalState {
    /// The goal.
    pub number: GoalNumber,
    /// Whether events count for it.
    pub active: bool,
    /// How far it is.
    pub status: Status,
    /// Shown against the target.
    pub progress: i32,
    /// When it last became active, in whole seconds; `None`: never (it was only deactivated).
    pub assigned_at: Option<Timestamp>,
    /// When the target was first reached, in whole seconds.
    pub completed_at: Option<Timestamp>,
    /// When the claim that was granted was made, in whole seconds.
    pub claimed_at: Option<Timestamp>,
    /// The newest event that was applied.
    pub applied: Option<EventMark>,
    /// The cycle that all of the above belongs to.
    pub cycle: CycleMark,
    /// For daily increments: the days that were counted.
    pub days: Option<DayMark>,
    /// For relative goals: where the cycle began.
    pub baseline: Option<Baseline>,
    /// The cycle before this one, kept for late events and for telling a lost completion from
    /// none.
    pub previous: Option<PreviousCycle>,
    /// What late events need to know of that cycle beside it, until none can come any more.
    pub late: Option<Box<LateState>>,
}

/// The place of an event in the order of all events: by time, ties by id (as a hash).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventMark {
    /// The event's time.
    pub at: Timestamp,
    /// A hash of the event's id.
    pub tie: u16,
}

/// A goal's cycle. Goals without cycles stay in number 0, which has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CycleMark {
    /// Counts up; never used twice for one goal and player.
    pub number: u32,
    /// When it ends (exclusive, whole seconds); `None`: never.
    pub end: Option<Timestamp>,
}

/// The days on which a daily increment was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayMark {
    /// The newest day counted, in days since the epoch of the goal's calendar.
    pub day: i32,
    /// Whether the day before it was counted.
    pub day_before: bool,
}

/// Where a relative goal's cycle began and how far it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    /// What the statistic was before the cycle's earliest event.
    pub value: f64,
    /// That event.
    pub mark: EventMark,
    /// The value of the newest event.
    pub latest: f64,
    /// The greatest value of the cycle.
    pub peak: f64,
    /// The time of the earliest event with that value, in whole seconds.
    pub peak_at: Timestamp,
}

/// What is kept of the cycle before the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousCycle {
    /// Which cycle, and when it ended.
    pub cycle: CycleMark,
    /// How far it came.
    pub status: Status,
    /// Progress when it ended.
    pub progress: i32,
    /// When the target was first reached, in whole seconds.
    pub completed_at: Option<Timestamp>,
}

/// What a cycle that has ended knew of its events.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LateState {
    /// The newest event that was applied.
    pub applied: Option<EventMark>,
    /// For relative goals: where the cycle began.
    pub baseline: Option<Baseline>,
}

impl GoalState {
    /// A goal that was never active.
    #[must_use]
    pub const fn new(number: GoalNumber, cycle: CycleMark) -> Self {
        Self {
            number,
            active: false,
            status: Status::NotStarted,
            progress: 0,
            assigned_at: None,
            completed_at: None,
            claimed_at: None,
            applied: None,
            cycle,
            days: None,
            baseline: None,
            previous: None,
            late: None,
        }
    }

    /// Makes the goal active from a time on. The progress it has stays.
    pub fn activate(&mut self, at: Timestamp) {
        self.active = true;
        self.assigned_at = Some(at.whole_seconds());
    }
}

impl Player {
    /// A player without goals, with both parts at hand.
    #[must_use]
    pub fn new() -> Self {
        Self { settled: Some(Vec::new()), ..Self::default() }
    }

    /// A player made of parts, for tests and for the store; goals are sorted here.
    #[must_use]
    pub fn from_parts(head: Head, mut live: Vec<GoalState>, settled: Option<Vec<GoalState>>) -> Self {
        live.sort_by_key(|goal| goal.number);
        let settled = settled.map(|mut goals| {
            goals.sort_by_key(|goal| goal.number);
            goals
        });
        Self { head, live, settled, ..Self::default() }
    }

    /// Goals that an event can still touch, sorted by number.
    #[must_use]
    pub fn live(&self) -> &[GoalState] {
        &self.live
    }

    /// The same, to change; numbers must stay as they are.
    pub fn live_mut(&mut self) -> &mut [GoalState] {
        &mut self.live
    }

    /// Goals that only a call can touch again, sorted by number; empty when not loaded.
    #[must_use]
    pub fn settled(&self) -> &[GoalState] {
        self.settled.as_deref().unwrap_or_default()
    }

    /// Whether the settled part is at hand.
    #[must_use]
    pub const fn has_settled(&self) -> bool {
        self.settled.is_some()
    }

    /// Forgets the settled part, as if it had not been loaded.
    pub fn forget_settled(&mut self) {
        self.settled = None;
        self.unknown_settled = Vec::new();
        self.settled_as_of = None;
    }

    /// All goals, live ones first.
    pub fn goals(&self) -> impl Iterator<Item = &GoalState> {
        self.live.iter().chain(self.settled())
    }

    /// Finds a goal in either part.
    #[must_use]
    pub fn goal(&self, number: GoalNumber) -> Option<&GoalState> {
        find(&self.live, number).or_else(|| find(self.settled(), number))
    }

    /// Finds a goal in either part, to change; call [`Player::settle`] afterwards.
    pub fn goal_mut(&mut self, number: GoalNumber) -> Option<&mut GoalState> {
        if let Ok(at) = self.live.binary_search_by_key(&number, |goal| goal.number) {
            return Some(&mut self.live[at]);
        }
        let settled = self.settled.as_mut()?;
        let at = settled.binary_search_by_key(&number, |goal| goal.number).ok()?;
        Some(&mut settled[at])
    }

    /// The player's state of a goal, to change; when there is none, `absent` is added to the
    /// live part first. Call [`Player::settle`] afterwards.
    pub fn goal_or_insert(&mut self, absent: GoalState) -> &mut GoalState {
        let number = absent.number;
        if let Some(settled) = &mut self.settled
            && let Ok(at) = settled.binary_search_by_key(&number, |goal| goal.number)
        {
            return &mut settled[at];
        }
        let at = match self.live.binary_search_by_key(&number, |goal| goal.number) {
            Ok(at) => at,
            Err(at) => {
                self.live.insert(at, absent);
                at
            }
        };
        &mut self.live[at]
    }

    /// Prepares the document for being written: remembers the write and the catalogue that it
    /// was made with, and forgets what only events that can no longer come would need.
    pub fn stamp(&mut self, write_id: u64, context: &Context<'_>) {
        // Twice the window, so that a clock that steps back finds what it needs.
        let oldest = context.now.plus_millis(context.late_window_ms.saturating_mul(-2));
        self.drop_terms(context.catalogue, Some(oldest));
        self.head.push_write(write_id);
        self.is_now_as_of(context.catalogue.version());
        for goal in &mut self.live {
            let ended = goal.previous.and_then(|previous| previous.cycle.end);
            if goal.late.is_some() && ended.is_none_or(|ended| ended < oldest) {
                goal.late = None;
            }
        }
    }

    /// Whether the claim of what the goal shows now is being granted: until that ends, nothing
    /// but an event of a later cycle may change more than its progress.
    #[must_use]
    pub fn is_claiming(&self, goal: &GoalState) -> bool {
        self.claim(goal.number, goal.cycle.number).is_some_and(|claim| claim.state == ClaimState::Pending)
    }

    /// The claim of this goal and cycle that waits for its grant.
    #[must_use]
    pub fn claim(&self, goal: GoalNumber, cycle: u32) -> Option<&PendingClaim> {
        self.head.claims.iter().find(|claim| claim.goal == goal && claim.cycle == cycle)
    }

    /// Moves every goal to the part where it belongs. Only calls need it: no event moves a goal.
    pub fn settle(&mut self, catalogue: &Catalogue) {
        let Some(settled) = self.settled.take() else { return };
        let (resting, live): (Vec<_>, Vec<_>) = std::mem::take(&mut self.live)
            .into_iter()
            .chain(settled)
            .partition(|goal| self.is_settled(goal, catalogue));
        self.live = live;
        self.live.sort_by_key(|goal| goal.number);
        let mut resting = resting;
        for goal in &mut resting {
            goal.late = None;
        }
        resting.sort_by_key(|goal| goal.number);
        if resting.is_empty() {
            self.settled_as_of = None;
        }
        self.settled = Some(resting);
        self.drop_terms(catalogue, None);
    }

    /// Whether no event can touch the goal before a player or an admin does: it is inactive, or
    /// claimed for good. A goal with a claim under way stays live, and so does one whose reward will be
    /// granted by itself: what has to be done when is told by the live part alone.
    fn is_settled(&self, goal: &GoalState, catalogue: &Catalogue) -> bool {
        if self.head.claims.iter().any(|claim| claim.goal == goal.number) {
            return false;
        }
        let known = catalogue.find_number(goal.number);
        let promised = known.map(|index| self.terms_of(goal, catalogue, index).now.unclaimed());
        if goal.status == Status::Completed && promised == Some(Unclaimed::Grant) {
            // Its reward will be granted at the end of the cycle, whoever looks.
            return false;
        }
        let reopens = known.is_some_and(|index| catalogue.goal(index).reopens());
        !goal.active || (goal.status == Status::Claimed && !reopens)
    }

    /// The live part as bytes.
    #[must_use]
    pub fn encode_live(&self) -> Vec<u8> {
        codec::encode_live(&self.head, &self.live, &self.held, &self.unknown_live)
    }

    /// The settled part as bytes; `None` when it was not loaded or has nothing in it.
    #[must_use]
    pub fn encode_settled(&self) -> Option<Vec<u8>> {
        let settled = self.settled.as_ref()?;
        if settled.is_empty() && self.unknown_settled.is_empty() {
            return None;
        }
        Some(codec::encode_settled(settled, self.settled_as_of, &self.unknown_settled))
    }

    /// Reads a document. `settled` is `None` when that part was not asked for, and
    /// `Some(None)` when it was and the player has none.
    ///
    /// # Errors
    /// [`CodecError::Newer`] for a format that this release must not touch, otherwise
    /// [`CodecError::Corrupt`].
    pub fn decode(live: &[u8], settled: Option<Option<&[u8]>>) -> Result<Self, CodecError> {
        let codec::Live { head, goals, held, unknown } = codec::decode_live(live)?;
        let mut player = Self { head, live: goals, held, unknown_live: unknown, ..Self::default() };
        match settled {
            None => {}
            Some(None) => player.settled = Some(Vec::new()),
            Some(Some(bytes)) => {
                let (goals, as_of, unknown) = codec::decode_settled(bytes)?;
                player.settled = Some(goals);
                player.settled_as_of = as_of;
                player.unknown_settled = unknown;
            }
        }
        Ok(player)
    }
}

fn find(goals: &[GoalState], number: GoalNumber) -> Option<&GoalState> {
    goals.binary_search_by_key(&number, |goal| goal.number).ok().map(|at| &goals[at])
}
