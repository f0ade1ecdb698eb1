//! What came of it, as a table.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use super::{book::Book, episode::Class};

/// The counts of a run over one store.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) kills: BTreeMap<String, u64>,
    /// Points that were armed and not reached in time.
    pub(super) missed: BTreeMap<String, u64>,
    acked: u64,
    redelivered: u64,
    lost: u64,
    doubled: u64,
    claims: BTreeMap<Class, Claims>,
    convergence: Vec<Duration>,
    pub(super) faults: Vec<String>,
}

/// How the claims of one class of platform ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// Asked for, as far as the service has accepted them.
    pub(super) asked: u64,
    /// Shown as claimed.
    pub(super) claimed: u64,
    /// Shown as uncertain.
    pub(super) uncertain: u64,
    /// Rewards that the platform has really handed out for them.
    pub(super) handed_out: u64,
    /// Handed out twice or more.
    pub(super) twice: u64,
    /// Granted by themselves at the end of their cycle.
    pub(super) unclaimed: u64,
}

impl Tally {
    pub(super) fn kill(&mut self, what: &str) {
        *self.kills.entry(what.to_owned()).or_default() += 1;
    }

    pub(super) fn miss(&mut self, what: &str) {
        *self.missed.entry(what.to_owned()).or_default() += 1;
    }

    pub(super) fn of(&self, what: &str) -> u64 {
        self.kills.get(what).copied().unwrap_or_default()
    }

    pub(super) fn total(&self) -> u64 {
        self.kills.values().sum()
    }

    pub(super) fn converged(&mut self, after: Duration) {
        self.convergence.push(after);
    }

    /// Adds what one database has seen.
    pub(super) fn add(&mut self, book: &mut Book, class: Class, claims: Claims) {
        self.acked += book.acked;
        self.redelivered += book.redelivered;
        self.lost += book.lost;
        self.doubled += book.doubled;
        self.faults.append(&mut book.faults);
        let sum = self.claims.entry(class).or_default();
        sum.asked += claims.asked;
        sum.claimed += claims.claimed;
        sum.uncertain += claims.uncertain;
        sum.handed_out += claims.handed_out;
        sum.twice += claims.twice;
        sum.unclaimed += claims.unclaimed;
    }

    /// One line for those who wait.
    pub(super) fn progress(&self) -> String {
        let claims: u64 = self.claims.values().map(|claims| claims.asked).sum();
        format!(
            "{} kills, {} events acknowledged, {} delivered again, {claims} claims; lost {}, doubled {}, faults {}",
            self.total(),
            self.acked,
            self.redelivered,
            self.lost,
            self.doubled,
            self.faults.len()
        )
    }

    /// Markdown.
    pub(super) fn table(&self, store: &str) -> String {
        let mut text = format!("### {store}\n\n| killed at | kills |\n|---|---|\n");
        for (what, kills) in &self.kills {
            let _ = writeln!(text, "| {what} | {kills} |");
        }
        let _ = write!(text, "| **all** | **{}** |\n\n| events | |\n|---|---|\n", self.total());
        for (what, count) in [
            ("acknowledged", self.acked),
            ("delivered again", self.redelivered),
            ("lost", self.lost),
            ("counted twice", self.doubled),
        ] {
            let _ = writeln!(text, "| {what} | {count} |");
        }
        text.push_str(
            "\n| platform | claims | claimed | uncertain | rewards handed out | handed out twice | granted unclaimed |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for (class, claims) in &self.claims {
            let Claims { asked, claimed, uncertain, handed_out, twice, unclaimed } = claims;
            let class = class.describe();
            let _ = writeln!(
                text,
                "| {class} | {asked} | {claimed} | {uncertain} | {handed_out} | {twice} | {unclaimed} |"
            );
        }
        let mut times = self.convergence.clone();
        times.sort_unstable();
        let at = |index: usize| times.get(index).copied().unwrap_or_default().as_millis();
        let _ = writeln!(
            text,
            "\nClaims that a death had left open were settled after (from the next start): p50 {} ms, longest {} ms, of {}.",
            at(times.len() / 2),
            at(times.len().saturating_sub(1)),
            times.len()
        );
        for (what, times) in &self.missed {
            let _ = writeln!(text, "\nNot reached: {what}, {times} times.");
        }
        for fault in &self.faults {
            let _ = writeln!(text, "\nFAULT: {fault}");
        }
        text
    }

    /// Fails the test if anything is not as promised.
    pub(super) fn check(&self, store: &str) {
        let twice: u64 = self.claims.values().map(|claims| claims.twice).sum();
        let sound =
            self.faults.is_empty() && self.missed.is_empty() && (self.lost, self.doubled, twice) == (0, 0, 0);
        assert!(sound, "{}", self.table(store));
        assert!(self.acked > 0, "nothing was sent");
        let unclaimed: u64 = self.claims.values().map(|claims| claims.unclaimed).sum();
        assert!(unclaimed > 0, "nothing was granted unclaimed");
    }
}
