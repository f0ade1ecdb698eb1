//! Browsing: what one player sees at one moment.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use gauntlet_domain::{
    Catalogue, ChallengeIndex, Goal, GoalIndex, GoalView, Player, Timestamp, cycle::day_number, view_goal,
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
        self.hash_days(&mut hash);
        format!("W/\"{:016x}\"", hash.finish())
    }

    /// The calendar day of every time zone in which a daily goal lives.
    fn hash_days(&self, hash: &mut DefaultHasher) {
        for zone in self.catalogue.daily_zones() {
            day_number(*zone, self.now).hash(hash);
        }
    }

    pub(crate) fn document(&self) -> Option<&Player> {
        self.stored.as_ref().map(|stored| &stored.player)
    }
}
