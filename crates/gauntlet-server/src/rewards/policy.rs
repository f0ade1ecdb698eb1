//! What to do next with a grant, as the class of its platform allows. Pure functions.

use std::time::Duration;

use gauntlet_domain::GrantEnd;

use super::{GrantAnswer, PlatformClass, Search};

/// How much earlier than a platform forgets our key we stop to repeat: clocks differ and calls
/// take time.
const KEY_MARGIN: Duration = Duration::from_secs(300);
/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// What to do with a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// It has ended.
    Settle(GrantEnd),
    /// Try again later.
    Again(Again),
}

/// Trying again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Again {
    /// Why.
    pub(super) why: String,
    /// Not before this time has passed, whatever the backoff says.
    pub(super) least: Duration,
    /// Whether some attempt so far may have been carried out.
    pub(super) in_doubt: bool,
}

/// What to do with a grant that was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recovery {
    /// Send it again.
    Send,
    /// Ask the platform first.
    Search,
    /// It has ended.
    Settle(GrantEnd),
}

/// After the platform has answered an attempt. `in_doubt`: an attempt before this one may have been
/// carried out.
///
/// What is certainly not carried out may be repeated at every platform. A doubt stays for good: it
/// ends with the grant.
pub(super) fn after_answer(class: PlatformClass, answer: GrantAnswer, in_doubt: bool) -> Step {
    match (answer, class) {
        (GrantAnswer::Granted, _) => Step::Settle(GrantEnd::Granted),
        (GrantAnswer::Refused(why), _) => Step::Settle(GrantEnd::Refused(why)),
        (GrantAnswer::NotDone { why, retry_after }, _) => {
            Step::Again(Again { why, least: retry_after.unwrap_or_default(), in_doubt })
        }
        (GrantAnswer::Ambiguous(why), PlatformClass::TakesKey { .. }) => {
            Step::Again(Again { why, least: Duration::ZERO, in_doubt: true })
        }
        (GrantAnswer::Ambiguous(why), PlatformClass::Searchable { settle }) => {
            Step::Again(Again { why, least: settle, in_doubt: true })
        }
        (GrantAnswer::Ambiguous(why), PlatformClass::Neither) => Step::Settle(GrantEnd::Uncertain(why)),
    }
}

/// After a grant was taken over whose first attempt was `age` ago.
pub(super) fn after_takeover(class: PlatformClass, in_doubt: bool, age: Duration) -> Recovery {
    match class {
        _ if !in_doubt => Recovery::Send,
        PlatformClass::TakesKey { key_lifetime } if age < key_lifetime.saturating_sub(KEY_MARGIN) => {
            Recovery::Send
        }
        PlatformClass::TakesKey { .. } => {
            Recovery::Settle(GrantEnd::Uncertain("the platform may have forgotten the key".into()))
        }
        PlatformClass::Searchable { .. } => Recovery::Search,
        PlatformClass::Neither => {
            Recovery::Settle(GrantEnd::Uncertain("the answer to the only attempt was lost".into()))
        }
    }
}

/// After the platform was asked whether a grant was made. `None`: send it.
pub(super) fn after_search(search: Search) -> Option<Step> {
    match search {
        Search::Found => Some(Step::Settle(GrantEnd::Granted)),
        Search::NotFound => None,
        Search::Unanswered(why) => Some(Step::Again(Again { why, least: Duration::ZERO, in_doubt: true })),
    }
}

/// How long to wait after an attempt: a random time up to 1, 2, 4, ... seconds, at most a minute.
pub(super) fn backoff(attempt: u32, random: u64) -> Duration {
    let ceiling = Duration::from_secs(1 << attempt.saturating_sub(1).min(6)).min(MAX_PAUSE);
    let ceiling_ms = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random % ceiling_ms.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYED: PlatformClass = PlatformClass::TakesKey { key_lifetime: Duration::from_secs(86_400) };
    const SEARCHABLE: PlatformClass = PlatformClass::Searchable { settle: Duration::from_secs(30) };

    #[test]
    fn an_answer_leads_to_the_step_that_its_class_allows() {
        let again = |least, in_doubt| {
            Step::Again(Again { why: "x".into(), least: Duration::from_secs(least), in_doubt })
        };
        let not_done = || GrantAnswer::NotDone { why: "x".into(), retry_after: Some(Duration::from_secs(9)) };
        let uncertain = Step::Settle(GrantEnd::Uncertain("x".into()));
        for (class, ambiguous) in
            [(KEYED, again(0, true)), (SEARCHABLE, again(30, true)), (PlatformClass::Neither, uncertain)]
        {
            for in_doubt in [false, true] {
                let step = |answer| after_answer(class, answer, in_doubt);
                assert_eq!(step(GrantAnswer::Granted), Step::Settle(GrantEnd::Granted));
                let refused = step(GrantAnswer::Refused("r".into()));
                assert_eq!(refused, Step::Settle(GrantEnd::Refused("r".into())));
                assert_eq!(step(not_done()), again(9, in_doubt), "{class:?}: a doubt stays");
                assert_eq!(step(GrantAnswer::Ambiguous("x".into())), ambiguous, "{class:?}");
            }
        }
    }

    #[test]
    fn a_lost_attempt_is_repeated_only_where_that_is_safe() {
        let day = Duration::from_secs(86_400);
        for class in [KEYED, SEARCHABLE, PlatformClass::Neither] {
            assert_eq!(after_takeover(class, false, 9 * day), Recovery::Send, "nothing was carried out");
        }
        let uncertain = |recovery| matches!(recovery, Recovery::Settle(GrantEnd::Uncertain(_)));
        assert_eq!(after_takeover(KEYED, true, Duration::from_secs(60)), Recovery::Send);
        assert!(uncertain(after_takeover(KEYED, true, day.saturating_sub(KEY_MARGIN))));
        assert_eq!(after_takeover(SEARCHABLE, true, day), Recovery::Search);
        assert!(uncertain(after_takeover(PlatformClass::Neither, true, Duration::ZERO)));
        assert_eq!(after_search(Search::NotFound), None);
        assert_eq!(after_search(Search::Found), Some(Step::Settle(GrantEnd::Granted)));
        let again = after_search(Search::Unanswered("x".into()));
        assert!(matches!(again, Some(Step::Again(Again { in_doubt: true, .. }))));
    }

    #[test]
    fn pauses_grow_up_to_a_minute_and_are_spread() {
        for (attempt, ceiling) in [(1, 1), (2, 2), (5, 16), (7, 60), (1_000, 60)] {
            for random in [0, 1, u64::MAX / 3, u64::MAX] {
                assert!(backoff(attempt, random) < Duration::from_secs(ceiling), "{attempt} {random}");
            }
        }
        assert_ne!(backoff(7, 1), backoff(7, 20_000));
    }
}
