//! Browsing: what one player sees at one moment.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use gauntlet_domain::{
    Catalogue, ChallengeIndex, Goal, GoalIndex, GoalState, GoalView, Player, Status, Timestamp,
    cycle::Cycles, view_goal,
};
use gauntlet_proto::service as proto;
use gauntlet_store::Stored;

use super::{goal_message, under_terms};

/// What one player sees at one moment, before it is written as JSON or protobuf.
#[derive(Debug)]
pub struct Browse {
    /// The catalogue that the request began with.
    pub catalogue: Arc<Catalogue>,
    /// The player; `None`: no row.
    pub stored: Option<Stored>,
    /// Only this challenge.
    pub challenge: Option<ChallengeIndex>,
    /// Only active goals.
    pub active_only: bool,
    /// The moment.
    pub now: Timestamp,
    /// The player's id.
    pub player: String,
}

impl Browse {
    /// The challenges to show, in the order of the catalogue. With `active_only` a challenge
    /// without active goals is shown with an empty list, so that clients find its name.
    pub fn challenges(&self) -> impl Iterator<Item = ChallengeIndex> + '_ {
        let only = self.challenge;
        self.catalogue.challenge_indexes().filter(move |index| only.is_none_or(|only| only == *index))
    }

    /// The goals of a challenge to show, under the terms that hold for the player, with their state.
    pub fn goals(&self, challenge: ChallengeIndex) -> impl Iterator<Item = (GoalIndex, &Goal, GoalView)> {
        let player = self.document();
        self.catalogue
            .goals_of(challenge)
            .map(move |(index, _)| {
                let view = view_goal(player, &self.catalogue, index, self.now);
                (index, under_terms(&self.catalogue, index, &view), view)
            })
            .filter(|(_, _, view)| !self.active_only || view.is_active)
    }

    /// The same as protobuf messages.
    #[must_use]
    pub fn messages(&self) -> Vec<proto::Challenge> {
        self.challenges()
            .map(|index| {
                let challenge = self.catalogue.challenge(index);
                proto::Challenge {
                    challenge_id: challenge.id.clone(),
                    name: challenge.name.clone(),
                    description: challenge.description.clone(),
                    goals: self
                        .goals(index)
                        .map(|(_, goal, view)| goal_message(goal, view, self.now))
                        .collect(),
                }
            })
            .collect()
    }

    /// A weak entity tag: it changes when the reply changes in more than `expires_in_seconds`,
    /// which ages by itself. Made of the player, the catalogue, the revision, the boundaries of
    /// cycles that have passed, and the query.
    #[must_use]
    pub fn entity_tag(&self) -> String {
        // DefaultHasher is the same on every replica of one build; another build costs each
        // client one full reply.
        let mut hash = DefaultHasher::new();
        self.player.hash(&mut hash);
        self.catalogue.version().hash(&mut hash);
        if let Some(stored) = &self.stored {
            stored.revision.hash(&mut hash);
            // A row that was deleted and made again counts its revisions anew.
            stored.player.head.write_ids.hash(&mut hash);
        }
        self.challenge.hash(&mut hash);
        self.active_only.hash(&mut hash);
        self.hash_cycles(&mut hash);
        format!("W/\"{:016x}\"", hash.finish())
    }

    /// Which boundaries have passed: of the catalogue's calendars, of the player's own cycles, and
    /// of grace periods.
    fn hash_cycles(&self, hash: &mut DefaultHasher) {
        for calendar in self.catalogue.calendars() {
            calendar.span_at(self.now).number.hash(hash);
        }
        let Some(player) = self.document() else { return };
        let catalogue = &self.catalogue;
        let view = |index| view_goal(Some(player), catalogue, index, self.now);
        if catalogue.has_per_user_cycles() {
            let own = player.goals().filter_map(|state| catalogue.find_number(state.number));
            let cycles = |index| &player.terms(catalogue, index, self.now).cycles;
            for index in own.filter(|index| matches!(cycles(*index), Cycles::PerUser { .. })) {
                view(index).expires_at.hash(hash);
            }
        }
        let kept = player.head.kept.iter().map(|kept| kept.goal);
        // Completions that nobody has moved out of their cycle yet.
        let over = |state: &&GoalState| {
            state.status == Status::Completed && state.cycle.end.is_some_and(|end| end <= self.now)
        };
        let waiting = player.live().iter().filter(over).map(|state| state.number);
        for index in kept.chain(waiting).filter_map(|number| catalogue.find_number(number)) {
            view(index).claimable_until.hash(hash);
        }
    }

    pub(crate) fn document(&self) -> Option<&Player> {
        self.stored.as_ref().map(|stored| &stored.player)
    }
}
