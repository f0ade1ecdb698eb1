//! What must have become of one player: its calls and events, through the rules.
//!
//! What overlapped may have been carried out in either order, and what nobody can tell may have
//! been carried out or not: every such doubt doubles the number of [ways](Way) that are tried.

use gauntlet_domain::{
    Catalogue, Command, Context, Effects, Event, EventWhat, GrantEnd, Player, ReceiptKey, Reply, Timestamp,
    count_event, decide, view_goal,
};

use super::{
    Wall,
    pages::{GoalShown, Shown},
};
use crate::book::{Closed, Op, What};

/// Doubts that are tried for one player.
const MAX_DOUBTS: usize = 8;
/// How late an event may come and still count for its own time: the server's default.
const LATE_WINDOW_MS: i64 = 600_000;

/// One way in which it may have been: the order of the operations that were carried out.
pub(super) type Way = Vec<usize>;

/// Whether all ways can be tried.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// These.
    Try(Vec<Way>),
    /// Too much is in doubt.
    TooMany,
}

/// A doubt about the operation at an index.
#[derive(Debug, Clone, Copy)]
enum Doubt {
    /// Whether it was carried out.
    Done(usize),
    /// Whether the event was counted before or after the call at the second index.
    Order(usize, usize),
}

/// All ways in which a player's operations may have been carried out; the likeliest first.
pub(super) fn alternatives(ops: &[Op]) -> Decision {
    let calls: Vec<usize> = (0..ops.len()).filter(|at| ops[*at].what.event().is_none()).collect();
    let mut doubts = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        if !op.sure {
            // A draw of which nobody knows what was drawn.
            if matches!(&op.what, What::Activate(goals) if goals.is_empty()) {
                return Decision::TooMany;
            }
            doubts.push(Doubt::Done(at));
        }
        if op.what.event().is_some() {
            let overlapping =
                calls.iter().filter(|call| ops[**call].begin <= op.end && op.begin <= ops[**call].end);
            doubts.extend(overlapping.map(|call| Doubt::Order(at, *call)));
        }
        if doubts.len() > MAX_DOUBTS {
            return Decision::TooMany;
        }
    }
    let ways = (0..1_usize << doubts.len()).map(|choice| way(ops, &doubts, choice));
    Decision::Try(ways.collect())
}

/// The way in which the doubts whose bits are set are decided against what is likeliest.
fn way(ops: &[Op], doubts: &[Doubt], choice: usize) -> Way {
    // Four places for each microsecond leave room beside each.
    let mut places: Vec<Option<u64>> = ops.iter().map(|op| Some(op.begin.saturating_mul(4) + 2)).collect();
    for (bit, doubt) in doubts.iter().enumerate() {
        let set = choice >> bit & 1 == 1;
        match *doubt {
            Doubt::Done(at) if set => places[at] = None,
            Doubt::Order(event, call) if set && places[event].is_some() => {
                let of_call = ops[call].begin.saturating_mul(4) + 2;
                let earlier = ops[event].begin < ops[call].begin;
                places[event] = Some(if earlier { of_call + 1 } else { of_call - 1 });
            }
            Doubt::Done(_) | Doubt::Order(..) => {}
        }
    }
    let mut way: Way = (0..ops.len()).filter(|at| places[*at].is_some()).collect();
    way.sort_by_key(|at| places[*at]);
    way
}

/// One player's part of the book, and what is needed to play it.
pub(super) struct Replay<'a> {
    pub(super) book: &'a Closed,
    pub(super) catalogue: &'a Catalogue,
    pub(super) wall: Wall<'a>,
    pub(super) now: Timestamp,
    pub(super) ops: &'a [Op],
}

impl Replay<'_> {
    /// Plays one way, without the operations in `without`; answers what browsing must show.
    ///
    /// # Errors
    /// An acknowledged call that the rules refuse.
    pub(super) fn play(&self, way: &[usize], without: &[usize]) -> Result<Shown, String> {
        let mut player = Player::new();
        for at in way.iter().filter(|at| !without.contains(at)) {
            let op = &self.ops[*at];
            let now = Timestamp::from_millis((self.wall)(op.begin));
            let context = Context { catalogue: self.catalogue, now, seed: 0, late_window_ms: LATE_WINDOW_MS };
            match self.event(op, now) {
                Some(event) => {
                    count_event(&mut player, &event, &[], &context, &mut Effects::default());
                }
                None => self.call(&mut player, &op.what, &context)?,
            }
        }
        Ok(self.shown(&player))
    }

    fn event(&self, op: &Op, at: Timestamp) -> Option<Event> {
        let number = op.what.event()?;
        let what = match op.what {
            What::Stat { stat, value, .. } => EventWhat::Stat {
                code: self.book.stats.get(usize::from(stat)).cloned().unwrap_or_default(),
                value: f64::from(value),
                increment: 0.0,
            },
            _ => EventWhat::Login,
        };
        let id = self.book.event_id(number);
        Some(Event { what, key: ReceiptKey { source: "".into(), kind: "".into(), id }, at })
    }

    fn call(&self, player: &mut Player, what: &What, context: &Context<'_>) -> Result<(), String> {
        let mut effects = Effects::default();
        let command = match what {
            What::Initialize => Command::Initialize,
            What::Activate(goals) => {
                let named: Vec<(String, String)> =
                    goals.iter().map(|goal| self.named(*goal)).collect::<Result<_, _>>()?;
                let challenge = named.first().map(|(challenge, _)| challenge.clone()).unwrap_or_default();
                let goals = named.into_iter().map(|(_, goal)| goal).collect();
                Command::BatchSelect { challenge, goals, replace_existing: false }
            }
            What::Claim(goal) => {
                let (challenge, goal) = self.named(*goal)?;
                Command::BeginClaim { challenge, goal }
            }
            What::Login(_) | What::Stat { .. } => return Ok(()),
        };
        let reply = decide(player, &command, context, &mut effects)
            .map_err(|refusal| format!("the rules refuse an acknowledged call: {refusal}"))?;
        if let Reply::ClaimBegun { order, .. } = reply {
            let settle = Command::SettleClaim { key: order.key, end: GrantEnd::Granted };
            decide(player, &settle, context, &mut effects).map_err(|refusal| refusal.to_string())?;
        }
        Ok(())
    }

    /// The challenge and the id of a goal of the book.
    fn named(&self, goal: u16) -> Result<(String, String), String> {
        let id = self.book.goals.get(usize::from(goal)).cloned().unwrap_or_default();
        let index = self
            .catalogue
            .find_goal(&id)
            .ok_or_else(|| format!("the goal {id:?} is not in the catalogue that the lab was given"))?;
        let challenge = self.catalogue.goal(index).challenge;
        Ok((self.catalogue.challenge(challenge).id.clone(), id))
    }

    fn shown(&self, player: &Player) -> Shown {
        let mut shown = Shown::new();
        for goal in player.goals() {
            let Some(index) = self.catalogue.find_number(goal.number) else { continue };
            let view = view_goal(Some(player), self.catalogue, index, self.now);
            if view.is_active {
                let state = GoalShown { status: view.status.as_str().to_owned(), progress: view.progress };
                shown.insert(self.catalogue.goal(index).id().to_owned(), state);
            }
        }
        shown
    }
}
