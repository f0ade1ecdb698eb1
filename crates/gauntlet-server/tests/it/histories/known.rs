//! Histories that stand for themselves: the ones that went wrong once, and the ones that random
//! steps meet too rarely.

use super::{
    Rig, Step, replay,
    steps::{Answer, Door},
};
use crate::world::What;

const NOON: &str = "2026-11-24T12:00:00Z";

fn kills(value: f64, increment: f64, offset: i64) -> Step {
    Step::Event(What::Stat { code: "kills", value, increment }, Some(offset), Door::Platform)
}

fn login(offset: i64) -> Step {
    Step::Event(What::Login, Some(offset), Door::CloudEvents)
}

#[test]
fn a_grant_that_takes_until_the_day_after_settles_the_day_that_it_was_asked_for() {
    use Step::{Claim, Hold, Initialize, Release, Wait};
    replay(
        &Rig::memory(),
        "2026-11-24T23:59:00Z",
        &[
            Initialize,
            kills(12.0, 0.0, 0),
            Hold("c", "c5"),
            Hold("c", "c5"),
            Wait(70),
            // The claim keeps the day; an event of the new day does not wait for it.
            Step::SetActive("c", "c5", false),
            kills(13.0, 0.0, 0),
            Wait(86_400),
            kills(14.0, 0.0, 0),
            Release(0, Answer::Lost),
            Claim("c", "c5", Answer::Granted),
            Claim("c", "c5", Answer::Granted),
            Wait(86_400),
            Claim("c", "c5", Answer::Granted),
        ],
    );
}

#[test]
fn an_event_from_the_near_future_brings_its_day_with_it() {
    use Step::{Claim, Initialize, SetActive, Wait};
    replay(
        &Rig::memory(),
        "2026-11-24T14:59:30Z",
        &[
            Initialize,
            SetActive("d", "d4", true),
            login(0),
            // Tomorrow in Tokyo.
            login(40),
            Claim("d", "d3", Answer::Granted),
            Wait(-5),
            login(-3),
            Wait(60),
            login(0),
            Claim("d", "d3", Answer::Granted),
        ],
    );
}

#[test]
fn a_full_journey_over_prerequisites_and_selections() {
    use Step::{Batch, Claim, Initialize, Random, SetActive, Wait};
    let wins = |increment| {
        let what = What::Stat { code: "wins", value: 0.0, increment };
        Step::Event(what, None, Door::Platform)
    };
    replay(
        &Rig::memory(),
        NOON,
        &[
            Claim("c", "c1", Answer::Granted),
            Initialize,
            Batch("d", vec!["d1", "d5"], true),
            wins(4.0),
            Claim("d", "d1", Answer::Granted),
            kills(10.0, 0.0, 0),
            Claim("d", "d1", Answer::Refused),
            Claim("d", "d1", Answer::Granted),
            Claim("c", "c1", Answer::Granted),
            Random("c", 100, true, false),
            SetActive("c", "c1", true),
            Random("c", 1, false, true),
            Wait(200_000),
            Initialize,
            Claim("c", "c5", Answer::Granted),
        ],
    );
}

#[test]
fn a_tag_changes_when_a_grace_period_ends() {
    use Step::{SetActive, Wait};
    let six = What::Stat { code: "kills", value: 0.0, increment: 6.0 };
    let nothing =
        || Step::Event(What::Stat { code: "unused", value: 1.0, increment: 1.0 }, Some(0), Door::Platform);
    // Cycles of an hour and a grace of an hour and a half: between the last two looks nothing else
    // ends, and nobody does anything.
    replay(
        &Rig::memory(),
        NOON,
        &[
            SetActive("e", "e1", true),
            Step::Event(six, Some(0), Door::Platform),
            Wait(3_700),
            nothing(),
            Wait(5_270),
            nothing(),
            Wait(60),
            nothing(),
        ],
    );
}
