//! What would explain a difference: an acknowledged event, or two, or all, that were not counted.

use super::{
    pages::Shown,
    replay::{Replay, Way},
};
use crate::book::{Closed, Op, What};

/// Pairs are tried for players with at most so many events.
const PAIRS_UP_TO: usize = 60;

/// The acknowledged events without which the player would look as shown; `None`: neither one,
/// nor two, nor all of them.
pub(super) fn lost_events(replay: &Replay<'_>, ways: &[Way], shown: &Shown) -> Option<Vec<usize>> {
    let is_sure_event = |at: &usize| replay.ops[*at].sure && replay.ops[*at].what.event().is_some();
    let events: Vec<usize> = (0..replay.ops.len()).filter(is_sure_event).collect();
    let explains = |without: &[usize]| ways.iter().any(|way| replay.play(way, without).as_ref() == Ok(shown));
    // What came last is overwritten by nothing, so its loss shows first.
    if let Some(one) = events.iter().rev().find(|event| explains(&[**event])) {
        return Some(vec![*one]);
    }
    // None at all: they went to another namespace, or nobody counts.
    if events.len() > 1 && explains(&events) {
        return Some(events);
    }
    if events.len() > PAIRS_UP_TO {
        return None;
    }
    let pairs =
        events.iter().enumerate().flat_map(|(at, one)| events[..at].iter().map(|other| [*other, *one]));
    pairs.into_iter().find(|pair| explains(pair)).map(|pair| pair.to_vec())
}

/// Names the events.
pub(super) fn sentence(book: &Closed, ops: &[Op], lost: &[usize]) -> String {
    let name = |at: &usize| match ops[*at].what {
        What::Stat { stat, value, number } => {
            let code = book.stats.get(usize::from(stat)).map_or("", String::as_str);
            format!("{} ({code} = {value})", book.event_id(number))
        }
        What::Login(number) => format!("{} (login)", book.event_id(number)),
        What::Initialize | What::Activate(_) | What::Claim(_) => String::new(),
    };
    if lost.len() > 2 {
        return format!("none of the {} acknowledged events of this player was counted", lost.len());
    }
    let names: Vec<String> = lost.iter().map(name).collect();
    format!("acknowledged and not counted: {}", names.join(", "))
}
