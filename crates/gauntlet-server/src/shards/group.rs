//! All operations of one batch on one player, and what becomes of them.

use std::sync::{Arc, Mutex, PoisonError};

use gauntlet_domain::{
    Catalogue, Command, Context, Effects, EventOutcome, Player, Receipt, Timestamp, count_event, decide, due,
    needs_receipts,
};
use gauntlet_store::{Due, Load, Loaded, PlayerKey, Stored, Write, Written};

use super::{CallAnswer, CallError, EventAnswer, Operation, ReplyTo, Work};
use crate::{
    core::{Core, check_catalogue},
    error::{ApiError, Reason},
};

/// The operations of one batch on one player, in the order in which they came, calls first.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) key: PlayerKey,
    work: Arc<Vec<Work>>,
    replies: Vec<ReplyTo>,
    /// Writes whose outcome is unknown: each may turn up as done.
    attempts: Vec<Attempt>,
}

/// A write that may or may not have happened.
#[derive(Debug)]
struct Attempt {
    write_id: u64,
    expected: Option<u64>,
    answers: Vec<Answer>,
}

/// One operation's answer, kept until it is known to be true.
#[derive(Debug)]
pub(super) enum Answer {
    Call(CallAnswer),
    Event(EventAnswer),
}

/// What the operations of a group come to.
#[derive(Debug)]
pub(super) struct Plan {
    /// In the order of the operations.
    pub(super) answers: Vec<Answer>,
    /// What to store; `None`: the answers are true as they are.
    pub(super) write: Option<Write>,
    /// Without a write, the player as before, if that is certain.
    pub(super) unchanged: Option<Stored>,
}

/// What a reloaded document says about a group's unknown attempts.
pub(super) enum Recall {
    /// None of them happened: the operations have to be carried out.
    NotDone,
    /// This one did; its answers are true.
    Done(Vec<Answer>),
    /// Too many writes happened since to tell.
    Unknown,
}

impl Group {
    /// Sorts a batch into groups, ordered by player so that two replicas lock rows alike.
    pub(super) fn gather(batch: Vec<Operation>) -> Vec<Self> {
        let mut batch = batch;
        // Stable: one player's events keep their order, and so do the calls.
        batch.sort_by(|a, b| {
            let is_event = |work: &Work| matches!(work, Work::Event(_));
            a.key.cmp(&b.key).then_with(|| is_event(&a.work).cmp(&is_event(&b.work)))
        });
        let mut groups: Vec<(PlayerKey, Vec<Work>, Vec<ReplyTo>)> = Vec::with_capacity(batch.len());
        for Operation { key, work, reply, .. } in batch {
            match groups.last_mut() {
                Some((last, works, replies)) if *last == key => {
                    works.push(work);
                    replies.push(reply);
                }
                _ => groups.push((key, vec![work], vec![reply])),
            }
        }
        groups
            .into_iter()
            .map(|(key, work, replies)| Self { key, work: Arc::new(work), replies, attempts: Vec::new() })
            .collect()
    }

    /// What has to be read for it.
    pub(super) fn load(&self, catalogue: &Catalogue) -> Load {
        let settled = self.work.iter().any(|work| matches!(work, Work::Call(_)));
        Load { key: self.key.clone(), settled, receipts: self.needs_receipts(catalogue) }
    }

    /// Whether one of its events may be a second delivery of one that was counted long ago.
    pub(super) fn needs_receipts(&self, catalogue: &Catalogue) -> bool {
        self.work.iter().any(|work| match work {
            Work::Event(event) => !event.key.id.is_empty() && needs_receipts(event, catalogue),
            Work::Call(_) => false,
        })
    }

    /// Works the plan out from a player as read.
    pub(super) fn plan(
        &self,
        core: &Core,
        catalogue: &Arc<Catalogue>,
        stored: Option<Stored>,
        older: &[Receipt],
        fence: bool,
    ) -> Plan {
        plan(core, catalogue, &self.key, &self.work, stored, older, fence)
    }

    /// Whether what a shard remembers of the player can do for its document: events need no
    /// settled part, and nothing is known of the revision while a write may still land.
    pub(super) fn may_remember(&self) -> bool {
        self.attempts.is_empty() && self.work.iter().all(|work| matches!(work, Work::Event(_)))
    }

    /// The function that works the plan out from what was read. It owns all it needs, so that a
    /// store can call it under a row lock.
    fn planner(&self, core: Arc<Core>, catalogue: Arc<Catalogue>) -> Planner {
        Planner { core, catalogue, key: self.key.clone(), work: self.work.clone() }
    }

    /// Remembers a write whose outcome is unknown.
    pub(super) fn remember(&mut self, write: &Write, answers: Vec<Answer>) {
        let ids = write.player.head.write_ids;
        let write_id = ids.last().copied().unwrap_or_default();
        self.attempts.push(Attempt { write_id, expected: write.expected, answers });
    }

    /// Looks for the group's unknown attempts in a document that was read since.
    pub(super) fn recall(&mut self, stored: Option<&Stored>) -> Recall {
        let found = stored.and_then(|stored| {
            self.attempts.iter().position(|attempt| stored.player.head.has_write(attempt.write_id))
        });
        if let Some(at) = found {
            return Recall::Done(self.attempts.swap_remove(at).answers);
        }
        // Each write leaves its id and raises the revision by one, and a document remembers the
        // last few: as long as fewer have happened since, an id that is missing was never there.
        let revision = stored.map_or(0, |stored| stored.revision);
        let memory = gauntlet_domain::player::WRITE_IDS as u64;
        let known = |attempt: &Attempt| revision <= attempt.expected.unwrap_or(0) + memory;
        if self.attempts.iter().all(known) { Recall::NotDone } else { Recall::Unknown }
    }

    /// Whether an unknown attempt could still be carried out on the document as read: the writer
    /// was told that nobody knows, and the commit may be on its way. Until the revision moves, an
    /// answer that it makes untrue must not be given.
    pub(super) fn may_land(&self, stored: Option<&Stored>) -> bool {
        let revision = stored.map(|stored| stored.revision);
        self.attempts.iter().any(|attempt| attempt.expected == revision)
    }

    /// Hands out the answers.
    pub(super) fn answer(self, answers: Vec<Answer>) {
        for (reply, answer) in self.replies.into_iter().zip(answers) {
            // A caller that has gone away is nobody's loss: what it asked for is done.
            match (reply, answer) {
                (ReplyTo::Call(reply), Answer::Call(answer)) => drop(reply.send(answer)),
                (ReplyTo::Event(reply), Answer::Event(answer)) => drop(reply.send(answer)),
                (ReplyTo::Call(_) | ReplyTo::Event(_), _) => {}
            }
        }
    }

    /// Gives every operation the same error.
    pub(super) fn fail(self, error: &ApiError) {
        let answers = failures(&self.work, error);
        self.answer(answers);
    }
}

fn failures(work: &[Work], error: &ApiError) -> Vec<Answer> {
    work.iter()
        .map(|work| match work {
            Work::Call(_) => Answer::Call(Err(CallError::Failed(error.clone()))),
            Work::Event(_) => Answer::Event(Err(error.clone())),
        })
        .collect()
}

/// Works out what the operations of a group do to a player that was read; owns what it needs.
struct Planner {
    core: Arc<Core>,
    catalogue: Arc<Catalogue>,
    key: PlayerKey,
    work: Arc<Vec<Work>>,
}

impl Planner {
    /// The plan for a player as read. `fence`: write even if nothing changes, so that an attempt
    /// that is still on its way finds the revision moved.
    fn plan(&self, stored: Option<Stored>, older: &[Receipt], fence: bool) -> Plan {
        let Self { core, catalogue, key, work } = self;
        plan(core, catalogue, key, work, stored, older, fence)
    }
}

/// Works out what operations do to a player. `older`: receipts that have left the document.
fn plan(
    core: &Core,
    catalogue: &Arc<Catalogue>,
    key: &PlayerKey,
    work: &[Work],
    stored: Option<Stored>,
    older: &[Receipt],
    fence: bool,
) -> Plan {
    let (expected, mut player) = match stored {
        Some(Stored { revision, player }) => (Some(revision), player),
        None => (None, Player::new()),
    };
    if let Err(error) = check_catalogue(&player, catalogue) {
        return Plan { answers: failures(work, &error), write: None, unchanged: None };
    }
    let mut context = core.context_with(catalogue, 0);
    let before = Before::of(&player, work, &context);
    let mut effects = Effects::default();
    let mut answers = Vec::with_capacity(work.len());
    for one in work {
        answers.push(match one {
            Work::Call(command) => {
                context.seed = core.random();
                let decided = decide(&mut player, command, &context, &mut effects);
                Answer::Call(decided.map(|reply| (reply, catalogue.clone())).map_err(CallError::Refused))
            }
            Work::Event(event) => {
                Answer::Event(Ok(count_event(&mut player, event, older, &context, &mut effects)))
            }
        });
    }
    let looked_after = expected.is_some() && is_looked_after(work);
    if !fence && !looked_after && effects.is_empty() && !before.has_changed(&player, &answers) {
        // An event that was refused may have found the player under a newer catalogue.
        let is_certain = !answers.iter().any(|answer| counted(answer, EventOutcome::NeedsId));
        let unchanged = expected.filter(|_| is_certain).map(|revision| Stored { revision, player });
        return Plan { answers, write: None, unchanged };
    }
    let due = due_after(work, before.due, &player, &context);
    let settled_changed = before.has_other_settled(&player);
    player.stamp(core.random(), &context);
    let receipts = player.turn_page();
    let write = Write {
        key: key.clone(),
        expected,
        player,
        settled_changed,
        lease: (!effects.orders.is_empty()).then(|| core.lease()),
        receipts,
        orders: effects.orders,
        results: effects.results,
        journal: effects.journal,
        due,
        at: core.now(),
    };
    Plan { answers, write: Some(write), unchanged: None }
}

/// What has to be known of a player as it was read, once it has been changed.
struct Before {
    /// All of it, if a call may change it or the settled part is at hand. Events come without that part,
    /// say what they do, and are too many to copy a player for each.
    whole: Option<Player>,
    due: Option<Timestamp>,
}

impl Before {
    fn of(player: &Player, work: &[Work], context: &Context<'_>) -> Self {
        let called = work.iter().any(|work| matches!(work, Work::Call(_)));
        let whole = (called || player.has_settled()).then(|| player.clone());
        Self { whole, due: due_of(player, context) }
    }

    fn has_changed(&self, player: &Player, answers: &[Answer]) -> bool {
        match &self.whole {
            Some(before) => player != before,
            None => answers.iter().any(|answer| counted(answer, EventOutcome::Counted)),
        }
    }

    /// Whether the settled part changed; one that is not at hand did not.
    fn has_other_settled(&self, player: &Player) -> bool {
        player.has_settled() && self.whole.as_ref().is_some_and(|before| player.settled() != before.settled())
    }
}

/// Whether an event had this outcome.
fn counted(answer: &Answer, outcome: EventOutcome) -> bool {
    matches!(answer, Answer::Event(Ok(found)) if *found == outcome)
}

/// Whether the worker is looking after the player: then it is told when to look again.
fn is_looked_after(work: &[Work]) -> bool {
    work.iter().any(|work| matches!(work, Work::Call(Command::GrantUnclaimed)))
}

/// When somebody has to look after the player, where the catalogue asks for that.
fn due_of(player: &Player, context: &Context<'_>) -> Option<Timestamp> {
    if !context.catalogue.grants_unclaimed() {
        return None;
    }
    due(player, context.catalogue, context.late_window_ms)
}

/// When somebody has to look after the player next. Events say so only when they change it; calls,
/// which are few, say so again, because a catalogue may have changed it meanwhile.
fn due_after(work: &[Work], before: Option<Timestamp>, after: &Player, context: &Context<'_>) -> Due {
    if is_looked_after(work) {
        return due(after, context.catalogue, context.late_window_ms).map_or(Due::Never, Due::At);
    }
    let at = due_of(after, context);
    let called = at.is_some() && work.iter().any(|work| matches!(work, Work::Call(_)));
    if called || at != before { at.map_or(Due::Never, Due::At) } else { Due::Keep }
}

/// Carries a group out under the player's row lock, the last try of a group that lost too many
/// races.
pub(super) async fn update_locked(core: &Arc<Core>, mut group: Group) {
    let catalogue = core.catalogue();
    let load = group.load(&catalogue);
    let planner = group.planner(core.clone(), catalogue);
    let outcome: Arc<Mutex<Option<Outcome>>> = Arc::default();
    let slot = outcome.clone();
    // The closure must own what it needs, so it takes the attempts along.
    let mut memory = Group {
        key: group.key.clone(),
        work: group.work.clone(),
        replies: Vec::new(),
        attempts: std::mem::take(&mut group.attempts),
    };
    let decide = Box::new(move |loaded: Loaded| {
        let (result, decision) = decide_locked(&planner, &mut memory, loaded);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        decision
    });
    let written = core.store().update_locked(load, decide).await;
    let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (written, outcome) {
        (Err(error), _) | (Ok(_), Some(Outcome::Unreadable(error))) => group.fail(&core.failed(&error)),
        (Ok(None | Some(Written::Done { .. })), Some(Outcome::Answers(answers))) => group.answer(answers),
        (Ok(Some(Written::Conflict)), _) => {
            core.metrics().conflict();
            group.fail(&conflict());
        }
        (Ok(_), Some(Outcome::Unknown)) => group.fail(&unknown()),
        (Ok(_), None) => group.fail(&ApiError::new(Reason::Internal, "the store did not ask for a decision")),
    }
}

/// What was decided under a row lock.
enum Outcome {
    Answers(Vec<Answer>),
    Unreadable(gauntlet_store::Error),
    Unknown,
}

fn decide_locked(
    planner: &Planner,
    memory: &mut Group,
    loaded: Loaded,
) -> (Outcome, gauntlet_store::LockedDecision) {
    use gauntlet_store::LockedDecision::{Keep, Store};
    let stored = match loaded.stored {
        Ok(stored) => stored,
        Err(error) => return (Outcome::Unreadable(error), Keep),
    };
    match memory.recall(stored.as_ref()) {
        Recall::Done(answers) => (Outcome::Answers(answers), Keep),
        Recall::Unknown => (Outcome::Unknown, Keep),
        Recall::NotDone => {
            let fence = memory.may_land(stored.as_ref());
            let plan = planner.plan(stored, &loaded.receipts, fence);
            let decision = plan.write.map_or(Keep, |write| Store(Box::new(write)));
            (Outcome::Answers(plan.answers), decision)
        }
    }
}

/// Too many writers of one player.
fn conflict() -> ApiError {
    ApiError::new(Reason::Conflict, "too many writers of this player; nothing was done, try again")
}

/// The connection broke during a commit and nobody can tell what became of it.
pub(super) fn unknown() -> ApiError {
    ApiError::new(Reason::StoreUnavailable, "the database did not confirm the change; ask again")
}
