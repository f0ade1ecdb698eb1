//! Catalogues made by a plan instead of a designer, for load tests: the same plan gives the same
//! catalogue, so nobody has to keep big files.

use chrono_tz::Tz;
use fastrand::Rng;

use super::definition::{
    ChallengeDefinition, ChangePolicy, Definition, EventSource, GoalDefinition, GoalKind, Operator,
    ProgressMode, Requirement, Reward, RewardKind,
};
use crate::limits::{IdError, check_id};

/// Most goals of a generated catalogue: with any stat codes its file stays below
/// [`MAX_BYTES`](super::parse::MAX_BYTES).
pub const MAX_GOALS: usize = 10_000;
/// Most challenges of a generated catalogue, the daily one not counted.
pub const MAX_CHALLENGES: usize = 1_000;

/// The id of the challenge that [`GeneratePlan::daily_challenge_goals`] asks for.
pub const DAILY_CHALLENGE: &str = "daily-challenges";
/// The first goals of that challenge, which load sessions select by name.
pub const DAILY_GOALS: [&str; 3] = ["daily-login", "daily-10-kills", "daily-3-matches"];

/// The statistics that load scenarios send.
pub const LOAD_STATS: [&str; 5] = ["enemy_kills", "login_count", "games_played", "headshots", "wins"];

/// Values of statistics in load scenarios are uniform between 0 and this.
const HIGHEST_STAT_VALUE: i32 = 999;

/// What a generated catalogue shall contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratePlan {
    /// How many challenges, the daily one not counted.
    pub challenges: usize,
    /// How many goals each of them has; at least 1.
    pub goals_per_challenge: usize,
    /// The statistics that goals count, in turn.
    pub stats: Vec<String>,
    /// How many goals every player gets at initialization, spread over the challenges.
    pub default_goals: usize,
    /// How many goals a further challenge [`DAILY_CHALLENGE`] has: 0 for none, else at least the
    /// three of [`DAILY_GOALS`], which come first.
    pub daily_challenge_goals: usize,
    /// Plans that differ in the seed differ in kinds, targets and rewards, not in ids.
    pub seed: u64,
}

impl Default for GeneratePlan {
    /// The catalogue of the load scenarios: 10 challenges of 50 goals with 10 default goals, and
    /// 500 daily goals, so that random selection does not run dry within a run.
    fn default() -> Self {
        Self {
            challenges: 10,
            goals_per_challenge: 50,
            stats: LOAD_STATS.map(str::to_owned).to_vec(),
            default_goals: 10,
            daily_challenge_goals: 500,
            seed: 1,
        }
    }
}

/// Why a plan cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// More than [`MAX_CHALLENGES`] challenges.
    #[error("{0} challenges are too many; at most {MAX_CHALLENGES}")]
    TooManyChallenges(usize),
    /// Challenges without goals.
    #[error("a challenge has at least one goal")]
    NoGoals,
    /// More than [`MAX_GOALS`] goals in all.
    #[error("more than {MAX_GOALS} goals in all")]
    TooManyGoals,
    /// No statistic to count.
    #[error("no statistic is given; name at least one")]
    NoStats,
    /// A statistic with a code that catalogues do not allow.
    #[error("the stat code {code:?} {error}")]
    BadStat {
        /// The code.
        code: String,
        /// What is wrong with it.
        error: IdError,
    },
    /// More default goals than goals.
    #[error("{wanted} default goals of only {goals} goals")]
    TooManyDefaultGoals {
        /// How many default goals the plan wants.
        wanted: usize,
        /// How many goals there are, the daily ones not counted.
        goals: usize,
    },
    /// A daily challenge that is too small for the goals it must have.
    #[error("{0} daily goals are too few; 0, or 3 and more")]
    TooFewDailyGoals(usize),
}

/// Makes the catalogue of a plan.
///
/// The ids are `challenge-01`, `challenge-01-goal-01` and so on; goals have no prerequisites and no
/// rotation, so that every completed goal of a run can be claimed, at any time of the day.
///
/// # Errors
/// When the plan asks for more than a catalogue can have, or contradicts itself.
pub fn generate(plan: &GeneratePlan) -> Result<Definition, PlanError> {
    check(plan)?;
    let mut rng = Rng::with_seed(plan.seed);
    let mut challenges = Vec::with_capacity(plan.challenges + 1);
    for challenge in 0..plan.challenges {
        let id = format!("challenge-{:02}", challenge + 1);
        let goals = (0..plan.goals_per_challenge).map(|goal| {
            let goal_id = format!("{id}-goal-{:02}", goal + 1);
            // Each challenge begins with another statistic, so that the first goals of all, which
            // are the default ones, do not all count the same.
            let turn = challenge + goal;
            // Default goals are dealt out like cards: the first goal of every challenge, the second...
            let default_assigned = goal * plan.challenges + challenge < plan.default_goals;
            GoalDefinition { default_assigned, ..random_goal(goal_id, stat(plan, turn), &mut rng) }
        });
        challenges.push(ChallengeDefinition {
            name: format!("Challenge {}", challenge + 1),
            description: format!("Generated challenge {} of {}", challenge + 1, plan.challenges),
            goals: goals.collect(),
            id,
        });
    }
    if plan.daily_challenge_goals > 0 {
        challenges.push(daily_challenge(plan, &mut rng));
    }
    Ok(Definition { challenges })
}

fn check(plan: &GeneratePlan) -> Result<(), PlanError> {
    if plan.challenges > MAX_CHALLENGES {
        return Err(PlanError::TooManyChallenges(plan.challenges));
    }
    if plan.challenges > 0 && plan.goals_per_challenge == 0 {
        return Err(PlanError::NoGoals);
    }
    let goals = plan.challenges.saturating_mul(plan.goals_per_challenge);
    if goals.saturating_add(plan.daily_challenge_goals) > MAX_GOALS {
        return Err(PlanError::TooManyGoals);
    }
    if plan.stats.is_empty() {
        return Err(PlanError::NoStats);
    }
    for code in &plan.stats {
        check_id(code).map_err(|error| PlanError::BadStat { code: code.clone(), error })?;
    }
    if plan.default_goals > goals {
        return Err(PlanError::TooManyDefaultGoals { wanted: plan.default_goals, goals });
    }
    if (1..DAILY_GOALS.len()).contains(&plan.daily_challenge_goals) {
        return Err(PlanError::TooFewDailyGoals(plan.daily_challenge_goals));
    }
    Ok(())
}

fn stat(plan: &GeneratePlan, turn: usize) -> &str {
    plan.stats.get(turn % plan.stats.len().max(1)).map_or("", String::as_str)
}

/// A goal as designers might mix them: mostly values to reach, some counters, a few daily ones.
fn random_goal(id: String, stat: &str, rng: &mut Rng) -> GoalDefinition {
    match rng.u32(0..100) {
        0..60 => stat_goal(id, stat, GoalKind::Absolute, rng.i32(1..=HIGHEST_STAT_VALUE), rng),
        60..80 => stat_goal(id, stat, GoalKind::Increment { daily: false }, rng.i32(2..=50), rng),
        80..88 => stat_goal(id, stat, GoalKind::Increment { daily: true }, rng.i32(1..=7), rng),
        88..94 => login_goal(id, GoalKind::Increment { daily: true }, rng.i32(1..=14), rng),
        94..97 => login_goal(id, GoalKind::Absolute, rng.i32(1..=30), rng),
        _ => stat_goal(id, stat, GoalKind::Daily, 1, rng),
    }
}

/// The challenge that load sessions select from.
fn daily_challenge(plan: &GeneratePlan, rng: &mut Rng) -> ChallengeDefinition {
    let [login, kills, matches] = DAILY_GOALS.map(str::to_owned);
    let mut goals = vec![
        GoalDefinition { name: "Log in today".to_owned(), ..login_goal(login, GoalKind::Daily, 1, rng) },
        GoalDefinition {
            name: "10 kills".to_owned(),
            ..stat_goal(kills, "enemy_kills", GoalKind::Absolute, 10, rng)
        },
        GoalDefinition {
            name: "3 matches".to_owned(),
            ..stat_goal(matches, "games_played", GoalKind::Absolute, 3, rng)
        },
    ];
    goals.extend((goals.len()..plan.daily_challenge_goals).map(|turn| {
        let target = rng.i32(1..=HIGHEST_STAT_VALUE);
        stat_goal(format!("daily-goal-{:03}", turn + 1), stat(plan, turn), GoalKind::Absolute, target, rng)
    }));
    ChallengeDefinition {
        id: DAILY_CHALLENGE.to_owned(),
        name: "Daily challenges".to_owned(),
        description: "A pool of small goals to pick or draw from".to_owned(),
        goals,
    }
}

fn stat_goal(id: String, stat: &str, kind: GoalKind, target: i32, rng: &mut Rng) -> GoalDefinition {
    let name = format!("Reach {target} {stat}");
    goal(id, name, kind, (EventSource::Statistic, stat, target), rng)
}

fn login_goal(id: String, kind: GoalKind, target: i32, rng: &mut Rng) -> GoalDefinition {
    let name = format!("Log in {target} times");
    goal(id, name, kind, (EventSource::Login, "login_count", target), rng)
}

fn goal(
    id: String,
    name: String,
    kind: GoalKind,
    (event_source, stat, target_value): (EventSource, &str, i32),
    rng: &mut Rng,
) -> GoalDefinition {
    GoalDefinition {
        id,
        description: format!("{name}, however long it takes"),
        name,
        kind,
        event_source,
        default_assigned: false,
        time_zone: Tz::UTC,
        requirement: Requirement {
            stat_code: stat.to_owned(),
            operator: Operator::AtLeast,
            target_value,
            mode: ProgressMode::Absolute,
        },
        reward: random_reward(rng),
        prerequisites: Vec::new(),
        rotation: None,
        on_change: ChangePolicy::Keep,
    }
}

fn random_reward(rng: &mut Rng) -> Reward {
    if rng.u32(0..10) < 7 {
        Reward { kind: RewardKind::Wallet, id: "GOLD".to_owned(), quantity: rng.i32(1..=50) * 10 }
    } else {
        Reward { kind: RewardKind::Item, id: format!("loot-box-{}", rng.i32(1..=9)), quantity: 1 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalogue::{parse, parse::MAX_BYTES, to_json};

    #[test]
    fn the_load_catalogue_is_what_the_scenarios_ask_for() {
        let made = generate(&GeneratePlan::default()).unwrap();
        assert_eq!(made.challenges.len(), 11);
        assert!(made.challenges[..10].iter().all(|challenge| challenge.goals.len() == 50));
        let defaults: Vec<usize> =
            made.challenges.iter().map(|c| c.goals.iter().filter(|g| g.default_assigned).count()).collect();
        assert_eq!(defaults, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
        let given =
            made.challenges.iter().flat_map(|challenge| &challenge.goals).filter(|g| g.default_assigned);
        let counted: BTreeSet<_> = given
            .filter(|g| g.event_source == EventSource::Statistic)
            .map(|g| &g.requirement.stat_code)
            .collect();
        assert!(counted.len() >= 4, "the default goals count different statistics: {counted:?}");
        let daily = &made.challenges[10];
        assert_eq!((daily.id.as_str(), daily.goals.len()), ("daily-challenges", 500));
        let first: Vec<_> = daily.goals[..3].iter().map(|goal| goal.id.as_str()).collect();
        assert_eq!(first, ["daily-login", "daily-10-kills", "daily-3-matches"]);
        assert_eq!(daily.goals[0].kind, GoalKind::Daily);
        assert_eq!(daily.goals[1].requirement.target_value, 10);
        assert_eq!(daily.goals[2].requirement.stat_code, "games_played");
        assert_eq!(parse(&to_json(&made)).as_ref(), Ok(&made));
    }

    #[test]
    fn the_seed_decides_everything_but_ids() {
        let plan = |seed| GeneratePlan { seed, ..GeneratePlan::default() };
        let (one, again, other) = (generate(&plan(1)), generate(&plan(1)), generate(&plan(2)));
        assert_eq!(one, again);
        assert_ne!(one, other);
        let ids = |made: &Result<Definition, _>| {
            made.as_ref().unwrap().goal_ids().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(ids(&one), ids(&other));
    }

    #[test]
    fn the_biggest_plan_can_be_read_back() {
        let stats = vec!["🏆".repeat(100)];
        let plan = GeneratePlan {
            challenges: 1_000,
            goals_per_challenge: 10,
            stats,
            default_goals: 10_000,
            daily_challenge_goals: 0,
            seed: 7,
        };
        let text = to_json(&generate(&plan).unwrap());
        assert!(text.len() < MAX_BYTES, "{}", text.len());
        assert!(parse(&text).is_ok());
    }

    #[test]
    fn small_plans_work_and_impossible_ones_say_why() {
        let empty = GeneratePlan {
            challenges: 0,
            goals_per_challenge: 0,
            default_goals: 0,
            daily_challenge_goals: 0,
            ..GeneratePlan::default()
        };
        assert_eq!(generate(&empty), Ok(Definition::default()));
        let plan = GeneratePlan::default;
        for (plan, message) in [
            (GeneratePlan { challenges: 1_001, ..plan() }, "1001 challenges are too many; at most 1000"),
            (GeneratePlan { goals_per_challenge: 0, ..plan() }, "a challenge has at least one goal"),
            (GeneratePlan { goals_per_challenge: usize::MAX, ..plan() }, "more than 10000 goals in all"),
            (GeneratePlan { daily_challenge_goals: usize::MAX, ..plan() }, "more than 10000 goals in all"),
            (GeneratePlan { stats: vec![], ..plan() }, "no statistic is given; name at least one"),
            (
                GeneratePlan { stats: vec!["a\n".to_owned()], ..plan() },
                "the stat code \"a\\n\" has a control character",
            ),
            (GeneratePlan { default_goals: 501, ..plan() }, "501 default goals of only 500 goals"),
            (
                GeneratePlan { daily_challenge_goals: 2, ..plan() },
                "2 daily goals are too few; 0, or 3 and more",
            ),
        ] {
            assert_eq!(generate(&plan).unwrap_err().to_string(), message);
        }
    }
}
