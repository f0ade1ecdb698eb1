//! What a shard remembers of the players that it wrote last.
//!
//! A shard is the only writer of its players in this process, so what it wrote is what the
//! database has, unless another replica wrote since. A write compares the revision anyway: with a
//! remembered document the event needs no read before it, which is a third of what the database
//! does for an event. A wrong memory costs a conflict and another round. With several replicas
//! behind one address most memories would be wrong; then they are not used, until reads show that
//! they would have been right.

use std::collections::HashMap;

use gauntlet_domain::Receipt;
use gauntlet_store::{PlayerKey, Stored};

/// Goals remembered in each of the two halves, at some 300 bytes each: about 6,000 players with
/// ten goals.
const GOALS: usize = 64 * 1024;
/// What a player weighs without goals.
const PLAYER: usize = 1;
/// How many receipts weigh as much as a goal.
const RECEIPTS: usize = 32;
/// How right memories have to be, of [`ALWAYS`]: a wrong one costs about as much as three right
/// ones save.
const TRUSTED: u32 = 3 * ALWAYS / 4;
const ALWAYS: u32 = 1 << 16;
/// The newest experience counts as one part in so many.
const EXPERIENCE: u32 = 64;

/// A player as the shard wrote it last.
#[derive(Debug)]
struct Kept {
    /// Without the settled part; `None` while it is lent for a write.
    stored: Option<Stored>,
    /// All receipts that have left the document since a day ago at least; `None`: nobody has looked.
    receipts: Option<Vec<Receipt>>,
}

impl Kept {
    fn lend(&mut self, needs_receipts: bool) -> Option<(Stored, &[Receipt])> {
        if needs_receipts && self.receipts.is_none() {
            return None;
        }
        Some((self.stored.take()?, self.receipts.as_deref().unwrap_or_default()))
    }
}

/// Documents without their settled parts, in two halves: when the newer one is full, the older one
/// is forgotten.
#[derive(Debug)]
pub(super) struct Memory {
    newer: HashMap<PlayerKey, Kept>,
    older: HashMap<PlayerKey, Kept>,
    weight: usize,
    /// How often memories were right.
    right: u32,
}

impl Default for Memory {
    fn default() -> Self {
        Self { newer: HashMap::new(), older: HashMap::new(), weight: 0, right: ALWAYS }
    }
}

impl Memory {
    /// Lends the player as it was written last, and the receipts that have left the document, which
    /// must be known if they are needed. Lent, not copied: every event changes a document of some
    /// kilobytes. Whoever borrows keeps what was written, gives back what was not changed, or forgets
    /// the player.
    pub(super) fn lend(&mut self, key: &PlayerKey, needs_receipts: bool) -> Option<(Stored, &[Receipt])> {
        match self.newer.get_mut(key) {
            Some(kept) => kept.lend(needs_receipts),
            None => self.older.get_mut(key)?.lend(needs_receipts),
        }
    }

    /// Takes back what was lent and not changed.
    pub(super) fn give_back(&mut self, key: &PlayerKey, stored: Stored) {
        if let Some(kept) = self.newer.get_mut(key).or_else(|| self.older.get_mut(key)) {
            kept.stored = Some(stored);
        }
    }

    fn get(&self, key: &PlayerKey) -> Option<&Kept> {
        self.newer.get(key).or_else(|| self.older.get(key))
    }

    /// Remembers what was written. `receipts`: what was read of those that had left the document,
    /// if anything was read; `left`: those that have left it now.
    pub(super) fn keep(
        &mut self,
        key: PlayerKey,
        mut stored: Stored,
        receipts: Option<Vec<Receipt>>,
        left: &[Receipt],
    ) {
        stored.player.forget_settled();
        if let Some(before) = self.newer.get_mut(&key) {
            before.stored = Some(stored);
            before.receipts = receipts.or(before.receipts.take());
            if let Some(receipts) = &mut before.receipts {
                receipts.extend(left);
                self.weight += left.len().div_ceil(RECEIPTS);
            }
            return;
        }
        let mut receipts = receipts.or_else(|| self.older.remove(&key).and_then(|kept| kept.receipts));
        if let Some(receipts) = &mut receipts {
            receipts.extend(left);
        }
        let weight = PLAYER + stored.player.live().len() + receipts.as_ref().map_or(0, Vec::len) / RECEIPTS;
        if self.weight + weight > GOALS {
            self.older = std::mem::take(&mut self.newer);
            self.weight = 0;
        }
        self.older.remove(&key);
        self.newer.insert(key, Kept { stored: Some(stored), receipts });
        self.weight += weight;
    }

    /// Forgets a player of whom nobody knows what the database has.
    pub(super) fn forget(&mut self, key: &PlayerKey) {
        // Its weight stays until its half is forgotten.
        if self.newer.remove(key).is_none() {
            self.older.remove(key);
        }
    }

    /// Learns from a player that was read.
    pub(super) fn compare(&mut self, key: &PlayerKey, stored: Option<&Stored>) {
        let Some(kept) = self.get(key) else { return };
        let revision = |stored: &Stored| stored.revision;
        let is_right = stored.is_some() && stored.map(revision) == kept.stored.as_ref().map(revision);
        self.learn(is_right);
        if !is_right {
            self.forget(key);
        }
    }

    /// A memory turned out to be right or wrong.
    pub(super) fn learn(&mut self, is_right: bool) {
        let toward = if is_right { ALWAYS } else { 0 };
        self.right = self.right - self.right / EXPERIENCE + toward / EXPERIENCE;
    }

    /// Whether memories are right often enough to save something.
    pub(super) const fn is_trusted(&self) -> bool {
        self.right >= TRUSTED
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_domain::{
        GoalNumber, GoalState, Player,
        player::{CycleMark, Head},
    };

    use super::*;

    fn key(number: usize) -> PlayerKey {
        PlayerKey { player: number.to_string(), namespace: "n".into() }
    }

    fn stored(revision: u64, goals: u32) -> Stored {
        let goals = (0..goals).map(|number| GoalState::new(GoalNumber(number), CycleMark::default()));
        let player = Player::from_parts(Head::default(), goals.collect(), Some(Vec::new()));
        Stored { revision, player }
    }

    #[test]
    fn what_was_written_is_remembered_without_the_settled_part() {
        let mut memory = Memory::default();
        memory.keep(key(1), stored(7, 3), None, &[]);
        memory.keep(key(1), stored(8, 2), None, &[]);
        let (stored, receipts) = memory.lend(&key(1), false).expect("kept");
        assert_eq!((stored.revision, stored.player.live().len(), stored.player.has_settled()), (8, 2, false));
        assert_eq!(receipts, &[]);
        memory.forget(&key(1));
        assert!(memory.lend(&key(1), false).is_none());
    }

    #[test]
    fn what_is_lent_is_lent_once_until_it_is_given_back_or_written() {
        let mut memory = Memory::default();
        memory.keep(key(1), stored(1, 2), Some(vec![Receipt(1)]), &[]);
        let (lent, receipts) = memory.lend(&key(1), true).expect("kept");
        assert_eq!((lent.revision, receipts), (1, &[Receipt(1)][..]));
        assert!(memory.lend(&key(1), true).is_none());
        memory.give_back(&key(1), lent);
        assert!(memory.lend(&key(1), true).is_some());
        memory.keep(key(1), stored(2, 2), None, &[Receipt(2)]);
        memory.older = std::mem::take(&mut memory.newer);
        let (lent, receipts) = memory.lend(&key(1), true).expect("written");
        assert_eq!((lent.revision, receipts), (2, &[Receipt(1), Receipt(2)][..]));
        memory.compare(&key(1), Some(&stored(2, 2)));
        assert!(memory.get(&key(1)).is_none(), "nobody knows what became of it");
    }

    #[test]
    fn a_player_whose_receipts_nobody_has_read_is_not_lent_to_who_needs_them() {
        let mut memory = Memory::default();
        memory.keep(key(1), stored(1, 2), None, &[]);
        assert!(memory.lend(&key(1), true).is_none());
        assert!(memory.lend(&key(1), false).is_some());
    }

    #[test]
    fn receipts_that_left_the_document_are_remembered_once_they_were_read() {
        let mut memory = Memory::default();
        let receipts = |memory: &Memory| memory.get(&key(1)).and_then(|kept| kept.receipts.clone());
        memory.keep(key(1), stored(1, 1), None, &[Receipt(1)]);
        assert_eq!(receipts(&memory), None, "there may be others");
        memory.keep(key(1), stored(2, 1), Some(vec![Receipt(1)]), &[]);
        memory.keep(key(1), stored(3, 1), None, &[Receipt(2)]);
        assert_eq!(receipts(&memory), Some(vec![Receipt(1), Receipt(2)]));
        memory.older = std::mem::take(&mut memory.newer);
        memory.keep(key(1), stored(4, 1), None, &[Receipt(3)]);
        assert_eq!(receipts(&memory), Some(vec![Receipt(1), Receipt(2), Receipt(3)]));
        memory.forget(&key(1));
        memory.keep(key(1), stored(5, 1), None, &[]);
        assert_eq!(receipts(&memory), None);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut memory = Memory::default();
        let many = GOALS / 10;
        for number in 0..3 * many {
            memory.keep(key(number), stored(1, 9), None, &[]);
            assert!(memory.newer.len() + memory.older.len() <= 2 * many);
        }
        assert!(memory.get(&key(0)).is_none());
        assert!(memory.get(&key(2 * many)).is_some() && memory.get(&key(3 * many - 1)).is_some());
        // One that is written again moves to the newer half.
        memory.keep(key(2 * many - 1), stored(2, 9), None, &[]);
        assert_eq!(memory.lend(&key(2 * many - 1), false).map(|(stored, _)| stored.revision), Some(2));
    }

    #[test]
    fn memories_that_are_wrong_too_often_are_not_used_until_reads_show_better_ones() {
        let mut memory = Memory::default();
        for _ in 0..1_000 {
            for is_right in [true, true, true, false] {
                memory.learn(is_right);
            }
        }
        let before = memory.right;
        assert!(before.abs_diff(TRUSTED) < ALWAYS / 16);
        while memory.is_trusted() {
            memory.learn(false);
        }
        for revision in 1..200 {
            memory.keep(key(1), stored(revision, 1), None, &[]);
            memory.compare(&key(1), Some(&stored(revision, 1)));
        }
        assert!(memory.is_trusted());
        memory.compare(&key(1), Some(&stored(500, 1)));
        assert!(memory.get(&key(1)).is_none());
        memory.compare(&key(2), None);
    }
}
