//! How a second delivery of an event is known.
//!
//! An event that added to a goal leaves a receipt. The newest few stand in the player's document,
//! so that they cost no row of their own; when there are [`PAGE`], they leave it together, and a
//! store keeps the page for a day or two.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use crate::player::Player;

/// How many receipts leave a document together. More make documents longer and rows
/// fewer: fifteen are 123 bytes.
pub const PAGE: usize = 16;

/// Names one event of one player for good: a second delivery has the same three parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiptKey {
    /// Who says so (a CloudEvents source, or the platform's service).
    pub source: Cow<'static, str>,
    /// What sort of event (a CloudEvents type, or the platform's event name).
    pub kind: Cow<'static, str>,
    /// The event's id within source and kind.
    pub id: String,
}

/// A [`ReceiptKey`] in eight bytes. Two events of one player have the same by accident once in
/// 2^64 pairs: where each of a million players sends a thousand events a day, one event in some
/// 25,000 years is taken for one that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt(pub u64);

impl ReceiptKey {
    /// Its receipt, the same in every release: it is stored.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        let mut hash = Sha256::new();
        for part in [&*self.source, &*self.kind, &self.id] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        Receipt(u64::from_le_bytes(std::array::from_fn(|at| hash[at])))
    }
}

impl Player {
    /// The receipts that leave the document with this write: all of them, once there are [`PAGE`].
    pub fn turn_page(&mut self) -> Vec<Receipt> {
        if self.head.receipts.len() < PAGE { Vec::new() } else { std::mem::take(&mut self.head.receipts) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: &'static str, kind: &'static str, id: &str) -> ReceiptKey {
        ReceiptKey { source: source.into(), kind: kind.into(), id: id.into() }
    }

    #[test]
    fn a_receipt_is_the_same_in_every_release() {
        // printf '\x01\0\0\0\0\0\0\0s\x01\0\0\0\0\0\0\0k\x01\0\0\0\0\0\0\0i' | sha256sum
        assert_eq!(
            key("s", "k", "i").receipt(),
            Receipt(u64::from_le_bytes([0x04, 0xa1, 0x40, 0xea, 0xea, 0x13, 0x62, 0xc6]))
        );
    }

    #[test]
    fn every_part_counts_for_itself() {
        let keys = [key("a", "b", "c"), key("ab", "", "c"), key("a", "bc", ""), key("", "a", "bc")];
        let receipts: std::collections::BTreeSet<Receipt> = keys.iter().map(ReceiptKey::receipt).collect();
        assert_eq!(receipts.len(), keys.len());
    }

    #[test]
    fn a_page_leaves_when_it_is_full() {
        let mut player = Player::new();
        player.head.receipts.extend((1..PAGE as u64).map(Receipt));
        assert!(player.turn_page().is_empty());
        player.head.receipts.push(Receipt(0));
        assert_eq!(player.turn_page().len(), PAGE);
        assert!(player.head.receipts.is_empty());
    }
}
