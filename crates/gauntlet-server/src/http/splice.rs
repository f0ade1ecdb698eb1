//! The browse reply: progress spliced into the bytes of the catalogue.
//!
//! Most of a reply is the same for every player: ids, names, requirements, rewards. That part is
//! written once for each catalogue, and a reply copies it and writes what is the player's own in
//! between: about 25 us for 250 KB, where serialising the messages takes ten times as long. What
//! comes out is byte for byte what serialising [`Browse::messages`] gives; tests hold the two
//! against each other.

use std::{ops::Range, sync::Arc};

use arc_swap::ArcSwapOption;
use gauntlet_domain::{Catalogue, ChallengeIndex, Goal, GoalIndex, GoalView, Timestamp};
use serde::Serialize;

use super::write;
use crate::api::{Browse, goal_message, seconds_until};

/// Room for what is the player's own in a goal: three times, three numbers, names of fields.
const GOAL_ROOM: usize = 280;

/// The bytes of a catalogue, between which a player's progress goes.
#[derive(Debug)]
pub(super) struct Template {
    catalogue: Arc<Catalogue>,
    text: Vec<u8>,
    /// In the order of the catalogue.
    challenges: Vec<ChallengeTemplate>,
}

#[derive(Debug)]
struct ChallengeTemplate {
    index: ChallengeIndex,
    /// From the challenge's opening brace to the opening bracket of its goals.
    head: Range<usize>,
    /// In the order of the catalogue, each from the goal's opening brace to its first field that
    /// is the player's own.
    goals: Vec<(GoalIndex, Range<usize>)>,
}

impl Template {
    fn new(catalogue: Arc<Catalogue>) -> Self {
        let mut text = Vec::new();
        let challenges = catalogue
            .challenge_indexes()
            .map(|index| {
                let challenge = catalogue.challenge(index);
                let start = text.len();
                field(&mut text, b"{\"challengeId\":", &challenge.id);
                field(&mut text, b",\"name\":", &challenge.name);
                field(&mut text, b",\"description\":", &challenge.description);
                text.extend_from_slice(b",\"goals\":[");
                let head = start..text.len();
                let goals =
                    catalogue.goals_of(index).map(|(at, goal)| (at, goal_head(&mut text, goal))).collect();
                ChallengeTemplate { index, head, goals }
            })
            .collect();
        Self { catalogue, text, challenges }
    }

    /// The reply: `GetChallengesResponse` in JSON, or `Challenge` when one was asked for.
    pub(super) fn write(&self, browse: &Browse) -> Vec<u8> {
        match browse.challenge {
            None => self.list(browse),
            Some(challenge) => self.one(browse, challenge),
        }
    }

    fn list(&self, browse: &Browse) -> Vec<u8> {
        let mut out = self.buffer();
        out.extend_from_slice(b"{\"challenges\":[");
        let mut templates = self.challenges.iter();
        for (position, index) in browse.challenges().enumerate() {
            separate(&mut out, position);
            if let Some(template) = templates.find(|template| template.index == index) {
                self.challenge(&mut out, template, browse);
            }
        }
        out.extend_from_slice(b"]}");
        out
    }

    fn one(&self, browse: &Browse, challenge: ChallengeIndex) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(template) = self.challenges.iter().find(|template| template.index == challenge) {
            self.challenge(&mut out, template, browse);
        }
        out
    }

    fn buffer(&self) -> Vec<u8> {
        let goals: usize = self.challenges.iter().map(|challenge| challenge.goals.len()).sum();
        Vec::with_capacity(self.text.len() + goals * GOAL_ROOM + 64)
    }

    fn challenge(&self, out: &mut Vec<u8>, template: &ChallengeTemplate, browse: &Browse) {
        out.extend_from_slice(&self.text[template.head.clone()]);
        // Both are in the order of the catalogue, so the search goes on where it ended.
        let mut heads = template.goals.iter();
        for (position, (index, _, view)) in browse.goals(template.index).enumerate() {
            separate(out, position);
            if let Some((_, head)) = heads.find(|(at, _)| *at == index) {
                out.extend_from_slice(&self.text[head.clone()]);
            }
            goal_rest(out, &view, browse.now);
        }
        out.extend_from_slice(b"]}");
    }
}

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
    let nobody = GoalView {
        progress: 0,
        status: gauntlet_domain::Status::NotStarted,
        locked: false,
        is_active: false,
        assigned_at: None,
        completed_at: None,
        claimed_at: None,
        expires_at: None,
        claim: None,
    };
    let message = goal_message(goal, nobody, Timestamp::default());
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
    out.extend_from_slice(b"\"}");
}

fn separate(out: &mut Vec<u8>, position: usize) {
    if position > 0 {
        out.push(b',');
    }
}

fn field(text: &mut Vec<u8>, name: &[u8], value: &impl Serialize) {
    text.extend_from_slice(name);
    if let Err(error) = serde_json::to_writer(text, value) {
        // Writing strings and numbers into memory does not fail.
        tracing::error!(%error, "cannot write a field of the catalogue");
    }
}

#[cfg(test)]
mod tests;
