//! Grants that arrived, compared with claims that were acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    book::{Closed, What},
    receiver::Arrived,
};

/// Differences that are shown.
const EXAMPLES: usize = 10;

/// Grants beside claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
pub struct GrantsFound {
    /// Why it was not looked at; empty: it was.
    pub not_checked: String,
    /// Claims that were answered OK.
    pub claims_ok: u64,
    /// Claims of which nobody could tell.
    pub claims_open: u64,
    /// Those of them that were granted after all.
    pub settled_later: u64,
    /// Rewards that were handed out.
    pub grants: u64,
    /// Calls that came again with a key that was known: allowed, and no second reward.
    pub repeated_calls: u64,
    /// Calls that could not be read, and were refused.
    pub unreadable_calls: u64,
    /// Calls without a good signature, which were refused.
    pub badly_signed_calls: u64,
    /// Claims answered OK without a grant.
    pub missing: u64,
    /// Grants beyond the one that a claim is worth.
    pub doubled: u64,
    /// Grants that nobody claimed.
    pub unasked: u64,
    /// Some of the differences.
    pub examples: Vec<String>,
}

impl GrantsFound {
    /// Whether grants = claims answered OK + claims that settled later, one for one.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.unasked == 0
    }
}

/// Compares the claims of the book with what arrived.
pub(crate) fn compare(book: &Closed, arrived: &Arrived) -> GrantsFound {
    let grants = &arrived.grants;
    // By player and goal: claims answered OK, and open ones.
    let mut claims: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for (player, ops) in book.ops.iter().enumerate() {
        for op in ops {
            if let What::Claim(goal) = op.what {
                let goal = book.goals.get(usize::from(goal)).cloned().unwrap_or_default();
                let counts = claims.entry((book.player(player), goal)).or_default();
                if op.sure {
                    counts.0 += 1;
                } else {
                    counts.1 += 1;
                }
            }
        }
    }
    let mut found = GrantsFound {
        unreadable_calls: arrived.unreadable,
        badly_signed_calls: arrived.badly_signed,
        ..GrantsFound::default()
    };
    let places: BTreeSet<&(String, String)> = claims.keys().chain(grants.keys()).collect();
    for place in places {
        let (ok, open) = claims.get(place).copied().unwrap_or_default();
        let (keys, calls) = grants.get(place).map_or((0, 0), |handed| (length(&handed.keys), handed.calls));
        found.claims_ok += ok;
        found.claims_open += open;
        found.grants += keys;
        found.repeated_calls += calls - keys;
        let beyond = keys.saturating_sub(ok);
        let later = beyond.min(open);
        found.settled_later += later;
        let too_many = beyond - later;
        let missing = ok.saturating_sub(keys);
        found.missing += missing;
        if ok + open == 0 {
            found.unasked += too_many;
        } else {
            found.doubled += too_many;
        }
        if (too_many > 0 || missing > 0) && found.examples.len() < EXAMPLES {
            let (player, goal) = place;
            found.examples.push(format!(
                "{player}, goal {goal}: {ok} claims answered OK, {open} open, {keys} grants arrived"
            ));
        }
    }
    found
}

fn length(keys: &BTreeSet<String>) -> u64 {
    u64::try_from(keys.len()).unwrap_or(u64::MAX)
}
