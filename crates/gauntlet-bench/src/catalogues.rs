//! Catalogues to measure with.
//!
//! They come from the generator of load catalogues, with one change: the goals that players have
//! get targets that nobody reaches. A goal that is done takes no more events, and a benchmark
//! whose goals are done after two seconds would measure reads for the rest of its time.

use gauntlet_domain::catalogue::{
    Definition, EventSource, GeneratePlan, GoalKind, LOAD_STATS, generate, to_json,
};

use crate::Result;

/// Beyond what any run counts to.
const FAR: i32 = 1_000_000_000;

/// How many goals of a challenge there are; challenges are ten, or fewer in a small catalogue.
const CHALLENGES: usize = 10;

/// Which of the players' goals add up, so that their events leave receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// None: every goal shows the value of its statistic.
    Values,
    /// One in five, on two of the five statistics: two events in five leave a receipt. It is what
    /// generated catalogues have.
    Usual,
    /// All of them: every event leaves a receipt.
    AddUp,
}

/// A catalogue of `goals` goals, of which every player has `active`: each event counts for a
/// fifth of those.
pub(crate) fn events(goals: usize, active: usize, mix: Mix) -> Result<Definition> {
    let plan = GeneratePlan {
        challenges: CHALLENGES,
        goals_per_challenge: goals / CHALLENGES,
        default_goals: active,
        daily_challenge_goals: 0,
        ..GeneratePlan::default()
    };
    let mut definition = generate(&plan)?;
    let goals = definition.challenges.iter_mut().flat_map(|challenge| &mut challenge.goals);
    for (turn, goal) in goals.filter(|goal| goal.default_assigned).enumerate() {
        let adds_up = match mix {
            Mix::Values => false,
            Mix::Usual => matches!(turn % 10, 3 | 9),
            Mix::AddUp => true,
        };
        goal.kind = if adds_up { GoalKind::Increment { daily: false } } else { GoalKind::Absolute };
        goal.event_source = EventSource::Statistic;
        LOAD_STATS[turn % LOAD_STATS.len()].clone_into(&mut goal.requirement.stat_code);
        goal.requirement.target_value = FAR;
    }
    Ok(definition)
}

/// A catalogue for claims and selections: ten goals that the first event of any statistic
/// completes, and 500 daily goals to choose from.
pub(crate) fn selections() -> Result<Definition> {
    let mut definition = events(50, 10, Mix::Values)?;
    let pool = generate(&GeneratePlan { challenges: 0, default_goals: 0, ..GeneratePlan::default() })?;
    for goal in definition.challenges.iter_mut().flat_map(|challenge| &mut challenge.goals) {
        goal.requirement.target_value = 1;
    }
    definition.challenges.extend(pool.challenges);
    Ok(definition)
}

/// The text of a catalogue, as it is stored and registered.
pub(crate) fn text(definition: &Definition) -> String {
    to_json(definition)
}

#[cfg(test)]
mod tests {
    use gauntlet_domain::catalogue::parse;

    use super::*;

    #[test]
    fn players_get_the_goals_that_the_figures_speak_of() {
        for (goals, active, mix, adding) in [
            (50, 10, Mix::Values, 0),
            (500, 10, Mix::Usual, 2),
            (50, 50, Mix::Usual, 10),
            (500, 10, Mix::AddUp, 10),
        ] {
            let made = events(goals, active, mix).expect("a catalogue");
            assert_eq!(parse(&text(&made)).as_ref(), Ok(&made));
            assert_eq!(made.goal_ids().count(), goals);
            let given: Vec<_> = made
                .challenges
                .iter()
                .flat_map(|challenge| &challenge.goals)
                .filter(|goal| goal.default_assigned)
                .collect();
            assert_eq!(given.len(), active);
            let adds_up = given.iter().filter(|goal| goal.kind != GoalKind::Absolute).count();
            assert_eq!(adds_up, adding, "{mix:?}");
            for stat in LOAD_STATS {
                let uses = given.iter().filter(|goal| goal.requirement.stat_code == stat).count();
                assert_eq!(uses, active / 5, "{stat}");
            }
        }
        let made = selections().expect("a catalogue");
        assert!(parse(&text(&made)).is_ok());
    }
}
