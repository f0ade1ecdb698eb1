//! The browse reply: progress spliced into the bytes of the catalogue.
//!
//! Most of a reply is the same for every player: ids, names, requirements, rewards, and all of the
//! goals that a player has not begun. The reply for nobody is written once for each catalogue, and
//! a player's reply is made of pieces of it, which are not even copied, with what is the player's
//! own in between. Serialising the messages of 250 KB takes hundreds of microseconds, copying that
//! much 25, and this takes as long as the player has goals. What comes out is byte for byte what
//! serialising [`Browse::messages`] gives; tests hold the two against each other.

use std::{ops::Range, sync::Arc};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use gauntlet_domain::{
    Catalogue, ChallengeIndex, Goal, GoalIndex, GoalView, Player, Reply, Timestamp, view_goal,
};
use serde::Serialize;

use super::{pieces::Pieces, write};
use crate::api::{Browse, assigned_goal, goal_message, seconds_until, under_terms};

/// The reply for a player without a row, and where in it which goal stands.
#[derive(Debug)]
pub(super) struct Template {
    catalogue: Arc<Catalogue>,
    text: Bytes,
    /// In the order of the catalogue.
    challenges: Vec<ChallengeTemplate>,
    /// In the order of the catalogue.
    goals: Vec<GoalTemplate>,
    /// Goals that look different from day to day whether somebody has them or not.
    moving: Vec<GoalIndex>,
}

#[derive(Debug)]
struct ChallengeTemplate {
    index: ChallengeIndex,
    whole: Range<usize>,
    /// From the challenge's opening brace to the opening bracket of its goals.
    head: Range<usize>,
}

#[derive(Debug)]
struct GoalTemplate {
    whole: Range<usize>,
    /// From the goal's opening brace to its first field that is the player's own.
    head: Range<usize>,
    /// Goals that this one unlocks.
    unlocks: Vec<GoalIndex>,
    assigned: AssignedTemplate,
}

/// A goal as the start of a session shows it: the bytes before, between and after what is the
/// player's own.
#[derive(Debug)]
struct AssignedTemplate {
    head: Vec<u8>,
    target: Vec<u8>,
    tail: Vec<u8>,
}

impl AssignedTemplate {
    fn new(catalogue: &Catalogue, index: GoalIndex) -> Self {
        let message = assigned_goal(catalogue, index, NOBODY);
        let (mut head, mut target, mut tail) = (Vec::new(), Vec::new(), Vec::new());
        field(&mut head, b"{\"challengeId\":", &message.challenge_id);
        field(&mut head, b",\"goalId\":", &message.goal_id);
        field(&mut head, b",\"name\":", &message.name);
        field(&mut head, b",\"description\":", &message.description);
        field(&mut target, b",\"target\":", &message.target);
        field(&mut tail, b"\",\"requirement\":", &message.requirement);
        field(&mut tail, b",\"reward\":", &message.reward);
        tail.push(b'}');
        Self { head, target, tail }
    }

    fn write(&self, out: &mut Vec<u8>, view: &GoalView) {
        out.extend_from_slice(&self.head);
        let active: &[u8] = if view.is_active { b"true" } else { b"false" };
        out.extend_from_slice(b",\"isActive\":");
        out.extend_from_slice(active);
        out.extend_from_slice(b",\"assignedAt\":\"");
        write::time(out, view.assigned_at);
        out.extend_from_slice(b"\",\"expiresAt\":\"");
        write::time(out, view.expires_at);
        out.extend_from_slice(b"\",\"progress\":");
        write::number(out, view.progress);
        out.extend_from_slice(&self.target);
        out.extend_from_slice(b",\"status\":\"");
        out.extend_from_slice(view.status.as_str().as_bytes());
        out.extend_from_slice(&self.tail);
    }
}

impl Template {
    fn new(catalogue: Arc<Catalogue>) -> Self {
        let mut text = LIST.to_vec();
        let (mut challenges, mut goals): (Vec<_>, Vec<GoalTemplate>) = (Vec::new(), Vec::new());
        let mut moving = Vec::new();
        for (position, index) in catalogue.challenge_indexes().enumerate() {
            separate(&mut text, position);
            let challenge = catalogue.challenge(index);
            let start = text.len();
            field(&mut text, b"{\"challengeId\":", &challenge.id);
            field(&mut text, b",\"name\":", &challenge.name);
            field(&mut text, b",\"description\":", &challenge.description);
            text.extend_from_slice(b",\"goals\":[");
            let head = start..text.len();
            for (position, (at, goal)) in catalogue.goals_of(index).enumerate() {
                separate(&mut text, position);
                let head = goal_head(&mut text, goal);
                let nobody = view_goal(None, &catalogue, at, Timestamp::default());
                if nobody.expires_at.is_some() {
                    moving.push(at);
                }
                goal_rest(&mut text, &nobody, Timestamp::default());
                let whole = head.start..text.len();
                let assigned = AssignedTemplate::new(&catalogue, at);
                goals.push(GoalTemplate { whole, head, unlocks: Vec::new(), assigned });
            }
            text.extend_from_slice(END);
            challenges.push(ChallengeTemplate { index, whole: start..text.len(), head });
        }
        text.extend_from_slice(END);
        for (at, goal) in catalogue.goals_with_indexes() {
            for first in &goal.prerequisites {
                goals[first.position()].unlocks.push(at);
            }
        }
        Self { catalogue, text: text.into(), challenges, goals, moving }
    }

    /// The reply: `GetChallengesResponse` in JSON, or `Challenge` when one was asked for.
    pub(super) fn write(&self, browse: &Browse) -> Pieces {
        let mut out = Pieces::new(self.text.clone());
        if browse.active_only {
            self.active(&mut out, browse);
            return out;
        }
        let all = match browse.challenge {
            None => 0..self.text.len(),
            Some(index) => {
                let mut challenges = self.challenges.iter();
                challenges.find(|challenge| challenge.index == index).map_or(0..0, |one| one.whole.clone())
            }
        };
        let mut copied = all.start;
        for index in self.special(browse) {
            let goal = &self.goals[index.position()];
            if !all.contains(&goal.head.start) {
                continue;
            }
            let view = view_goal(browse.document(), &self.catalogue, index, browse.now);
            if view.terms.is_some() {
                out.kept(copied..goal.whole.start);
                self.other_head(&mut out.own, index, &view);
            } else {
                out.kept(copied..goal.head.end);
            }
            goal_rest(&mut out.own, &view, browse.now);
            copied = goal.whole.end;
        }
        out.kept(copied..all.end);
        out
    }

    /// `InitializeResponse` in JSON.
    pub(super) fn initialized(&self, reply: &Reply) -> Vec<u8> {
        let (assigned, new): (&[_], i32) = match reply {
            Reply::Initialized { assigned, new_assignments } => (assigned, *new_assignments),
            _ => (&[], 0),
        };
        let mut out = Vec::with_capacity(128 + assigned.len() * ASSIGNED_ROOM);
        out.extend_from_slice(b"{\"assignedGoals\":[");
        for (position, (index, view)) in assigned.iter().enumerate() {
            separate(&mut out, position);
            if view.terms.is_some() {
                write_json(&mut out, &assigned_goal(&self.catalogue, *index, *view));
            } else {
                self.goals[index.position()].assigned.write(&mut out, view);
            }
        }
        out.extend_from_slice(b"],\"newAssignments\":");
        write::number(&mut out, new);
        out.extend_from_slice(b",\"totalActive\":");
        write::number(&mut out, i32::try_from(assigned.len()).unwrap_or(i32::MAX));
        out.push(b'}');
        out
    }

    /// What comes first in a goal whose player goes on under older terms than those of the text.
    fn other_head(&self, out: &mut Vec<u8>, index: GoalIndex, view: &GoalView) {
        let _whole = goal_head(out, under_terms(&self.catalogue, index, view));
    }

    /// The goals that do not look like those of a player without a row, in the order of the
    /// catalogue: those that the player has, those that they unlock, and those that move.
    fn special(&self, browse: &Browse) -> Vec<GoalIndex> {
        let mut special = self.moving.clone();
        let states = browse.document().into_iter().flat_map(Player::goals);
        for index in states.filter_map(|state| self.catalogue.find_number(state.number)) {
            special.push(index);
            special.extend_from_slice(&self.goals[index.position()].unlocks);
        }
        special.sort_unstable();
        special.dedup();
        special
    }

    /// The same with active goals only: challenges without any are shown with an empty list.
    fn active(&self, out: &mut Pieces, browse: &Browse) {
        let is_list = browse.challenge.is_none();
        out.own.extend_from_slice(if is_list { LIST } else { b"" });
        let shown =
            |challenge: &&ChallengeTemplate| browse.challenge.is_none_or(|only| only == challenge.index);
        for (position, challenge) in self.challenges.iter().filter(shown).enumerate() {
            separate(&mut out.own, position);
            out.kept(challenge.head.clone());
            for (position, (index, _, view)) in browse.goals(challenge.index).enumerate() {
                separate(&mut out.own, position);
                if view.terms.is_some() {
                    self.other_head(&mut out.own, index, &view);
                } else {
                    out.kept(self.goals[index.position()].head.clone());
                }
                goal_rest(&mut out.own, &view, browse.now);
            }
            out.own.extend_from_slice(END);
        }
        out.own.extend_from_slice(if is_list { END } else { b"" });
    }
}

/// Room for a goal at the start of a session.
const ASSIGNED_ROOM: usize = 512;
/// A goal in the eyes of nobody.
const NOBODY: GoalView = GoalView {
    progress: 0,
    status: gauntlet_domain::Status::NotStarted,
    locked: false,
    is_active: false,
    assigned_at: None,
    completed_at: None,
    claimed_at: None,
    expires_at: None,
    claimable_until: None,
    claim: None,
    terms: None,
};
/// How the list of challenges begins.
const LIST: &[u8] = b"{\"challenges\":[";
/// How the list and each of its challenges end.
const END: &[u8] = b"]}";

/// Keeps the template of the catalogue in use.
#[derive(Debug, Default)]
pub(super) struct Templates(ArcSwapOption<Template>);

impl Templates {
    /// The template of a catalogue; made when it is asked for first. A request that began with an
    /// older catalogue gets a template of its own and leaves the kept one alone.
    pub(super) fn of(&self, catalogue: &Arc<Catalogue>) -> Arc<Template> {
        let kept = self.0.load();
        if let Some(kept) = kept.as_ref().filter(|kept| Arc::ptr_eq(&kept.catalogue, catalogue)) {
            return Arc::clone(kept);
        }
        let made = Arc::new(Template::new(Arc::clone(catalogue)));
        if kept.as_ref().is_none_or(|kept| kept.catalogue.version() <= catalogue.version()) {
            self.0.store(Some(Arc::clone(&made)));
        }
        made
    }
}

/// What comes first in a goal and is the same for every player.
fn goal_head(text: &mut Vec<u8>, goal: &Goal) -> Range<usize> {
    let start = text.len();
    let message = goal_message(goal, NOBODY, Timestamp::default());
    field(text, b"{\"goalId\":", &message.goal_id);
    field(text, b",\"name\":", &message.name);
    field(text, b",\"description\":", &message.description);
    field(text, b",\"requirement\":", &message.requirement);
    field(text, b",\"reward\":", &message.reward);
    field(text, b",\"prerequisites\":", &message.prerequisites);
    start..text.len()
}

/// What follows and is the player's own. Statuses and states are words without anything to
/// escape.
fn goal_rest(out: &mut Vec<u8>, view: &GoalView, now: Timestamp) {
    out.extend_from_slice(b",\"progress\":");
    write::number(out, view.progress);
    out.extend_from_slice(b",\"status\":\"");
    out.extend_from_slice(view.status.as_str().as_bytes());
    out.extend_from_slice(if view.locked { b"\",\"locked\":true" } else { b"\",\"locked\":false" });
    out.extend_from_slice(b",\"completedAt\":\"");
    write::time(out, view.completed_at);
    out.extend_from_slice(b"\",\"claimedAt\":\"");
    write::time(out, view.claimed_at);
    out.extend_from_slice(if view.is_active { b"\",\"isActive\":true" } else { b"\",\"isActive\":false" });
    out.extend_from_slice(b",\"expiresAt\":\"");
    write::time(out, view.expires_at);
    out.extend_from_slice(b"\",\"expiresInSeconds\":");
    write::number(out, seconds_until(view.expires_at, now));
    out.extend_from_slice(b",\"claimState\":\"");
    out.extend_from_slice(view.claim.map_or("", |claim| claim.as_str()).as_bytes());
    out.extend_from_slice(b"\",\"claimableUntil\":\"");
    write::time(out, view.claimable_until);
    out.extend_from_slice(b"\"}");
}

fn separate(out: &mut Vec<u8>, position: usize) {
    if position > 0 {
        out.push(b',');
    }
}

fn field(text: &mut Vec<u8>, name: &[u8], value: &impl Serialize) {
    text.extend_from_slice(name);
    write_json(text, value);
}

fn write_json(text: &mut Vec<u8>, value: &impl Serialize) {
    if let Err(error) = serde_json::to_writer(text, value) {
        // Writing strings and numbers into memory does not fail.
        tracing::error!(%error, "cannot write a field of the catalogue");
    }
}

#[cfg(test)]
mod tests;
