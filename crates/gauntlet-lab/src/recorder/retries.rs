//! Tries that were followed by another one: they are no calls of their own and no failures.

use crate::outcome::Cause;

/// Most kinds; what comes after them is counted together.
const KINDS: usize = 24;

/// Tries of one endpoint that ended alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retried {
    /// Which endpoint.
    pub(crate) endpoint: usize,
    /// How it looked on the wire.
    pub(crate) class: String,
    /// What the server said.
    pub(crate) reason: String,
    /// How many tries.
    pub(crate) tries: u64,
    /// How many of them belong to calls that came to a good end.
    pub(crate) recovered: u64,
}

/// All kinds.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    /// In the order in which they were seen.
    pub(crate) all: Vec<Retried>,
}

impl Retries {
    /// Counts the causes of a call's tries but the last one.
    pub(crate) fn add(&mut self, endpoint: usize, causes: &[Cause], recovered: bool) {
        for cause in causes {
            let same = |known: &Retried| {
                known.endpoint == endpoint && known.class == cause.class && known.reason == cause.reason
            };
            let at = match self.all.iter().position(same) {
                Some(at) => at,
                None if self.all.len() < KINDS => {
                    let (class, reason) = (cause.class.clone(), cause.reason.clone());
                    self.all.push(Retried { endpoint, class, reason, tries: 0, recovered: 0 });
                    self.all.len() - 1
                }
                // The last kind stands for those that come after it.
                None => {
                    let last = &mut self.all[KINDS - 1];
                    (last.class, last.reason) = ("several".to_owned(), "of other kinds".to_owned());
                    KINDS - 1
                }
            };
            self.all[at].tries += 1;
            self.all[at].recovered += u64::from(recovered);
        }
    }
}
