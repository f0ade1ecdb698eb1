//! Scenario files: TOML, read and checked. `docs/load-lab.md` has all keys.

use std::time::Duration;

use gauntlet_domain::catalogue::GeneratePlan;
use serde::Deserialize;

use super::{
    Action, Arrivals, Call, Measure, Players, Prepare, Rate, Scenario, Step, Threshold, Users,
    check::{Check, CheckTable},
};
use crate::units::{parse_duration, parse_range};

/// Why a scenario file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It is no TOML, or has keys or types that are not known. The message has line and column.
    #[error("{0}")]
    Syntax(String),
    /// Something in it makes no sense.
    #[error("{at}: {problem}")]
    Wrong {
        /// Where.
        at: String,
        /// What.
        problem: String,
    },
}

fn wrong(at: &str, problem: impl Into<String>) -> ScenarioError {
    ScenarioError::Wrong { at: at.to_owned(), problem: problem.into() }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    title: String,
    duration: String,
    #[serde(default)]
    catalogue: CatalogueTable,
    players: PlayersTable,
    #[serde(default)]
    users: Vec<UsersTable>,
    #[serde(default)]
    arrivals: Vec<ArrivalsTable>,
    #[serde(default)]
    thresholds: Vec<ThresholdTable>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct CatalogueTable {
    challenges: Option<usize>,
    goals: Option<usize>,
    default_goals: Option<usize>,
    daily_goals: Option<usize>,
    seed: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlayersTable {
    count: u32,
    prepare: Prepare,
    #[serde(default)]
    events_each: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersTable {
    name: String,
    count: u32,
    sessions: u32,
    #[serde(default)]
    ramp: Option<String>,
    steps: Vec<StepTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArrivalsTable {
    name: String,
    rate: Option<f64>,
    rates: Option<Vec<PointTable>>,
    #[serde(default = "in_flight")]
    in_flight: u32,
    mix: Vec<MixTable>,
}

const fn in_flight() -> u32 {
    1000
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PointTable {
    at: String,
    rate: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MixTable {
    share: f64,
    steps: Vec<StepTable>,
}

#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct StepTable {
    call: Option<String>,
    name: Option<String>,
    challenge: Option<String>,
    goals: Vec<String>,
    count: Option<u32>,
    exclude_active: bool,
    remember: bool,
    stats: Vec<String>,
    highest: Option<u32>,
    expect: Vec<String>,
    check: Vec<CheckTable>,
    share: Option<f64>,
    one_of: Vec<StepTable>,
    chance: Option<f64>,
    wait: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdTable {
    of: String,
    measure: String,
    limit: f64,
}

/// Reads a scenario file.
///
/// # Errors
/// The first thing that is wrong with it, and where.
pub fn parse_scenario(text: &str) -> Result<Scenario, ScenarioError> {
    let file: File = toml::from_str(text).map_err(|error| ScenarioError::Syntax(error.to_string()))?;
    let standard = GeneratePlan::default();
    let scenario = Scenario {
        duration: parse_duration(&file.duration).map_err(|problem| wrong("duration", problem))?,
        catalogue: GeneratePlan {
            challenges: file.catalogue.challenges.unwrap_or(standard.challenges),
            goals_per_challenge: file.catalogue.goals.unwrap_or(standard.goals_per_challenge),
            default_goals: file.catalogue.default_goals.unwrap_or(standard.default_goals),
            daily_challenge_goals: file.catalogue.daily_goals.unwrap_or(standard.daily_challenge_goals),
            seed: file.catalogue.seed.unwrap_or(standard.seed),
            stats: standard.stats,
        },
        players: Players {
            count: file.players.count,
            prepare: file.players.prepare,
            events_each: file.players.events_each,
        },
        users: file.users.into_iter().map(users).collect::<Result<_, _>>()?,
        arrivals: file.arrivals.into_iter().map(arrivals).collect::<Result<_, _>>()?,
        thresholds: file.thresholds.into_iter().map(threshold).collect::<Result<_, _>>()?,
        title: if file.title.is_empty() { file.name.clone() } else { file.title },
        name: file.name,
    };
    check(&scenario)?;
    Ok(scenario)
}

fn check(scenario: &Scenario) -> Result<(), ScenarioError> {
    if scenario.duration < Duration::from_secs(1) {
        return Err(wrong("duration", "at least 1s"));
    }
    if scenario.actions().next().is_none() {
        return Err(wrong("users, arrivals", "nothing is called; there has to be a step with a call"));
    }
    if scenario.players.count == 0 || scenario.players.count < scenario.user_count() {
        let users = scenario.user_count();
        return Err(wrong(
            "players.count",
            format!("at least 1, and a player for each of the {users} users"),
        ));
    }
    for threshold in &scenario.thresholds {
        let of = threshold.of.as_str();
        let known = matches!(of, "all" | "events") || scenario.actions().any(|action| action.endpoint == of);
        if !known {
            let problem = format!("{of:?} is counted nowhere; name an endpoint, `events` or `all`");
            return Err(wrong("thresholds.of", problem));
        }
    }
    Ok(())
}

fn users(table: UsersTable) -> Result<Users, ScenarioError> {
    let at = format!("users {:?}", table.name);
    let ramp = table.ramp.as_deref().map_or(Ok(Duration::ZERO), parse_duration);
    let steps: Vec<Step> = steps(&at, table.steps)?;
    if table.count == 0 || table.sessions == 0 {
        return Err(wrong(&at, "count and sessions are at least 1"));
    }
    if steps.iter().all(|step| step.wait.1.is_zero()) && steps.iter().all(|step| step.choices.is_empty()) {
        return Err(wrong(&at, "a session neither calls nor waits"));
    }
    Ok(Users {
        ramp: ramp.map_err(|problem| wrong(&at, problem))?,
        name: table.name,
        count: table.count,
        sessions: table.sessions,
        steps,
    })
}

fn arrivals(table: ArrivalsTable) -> Result<Arrivals, ScenarioError> {
    let at = format!("arrivals {:?}", table.name);
    let rate = match (table.rate, table.rates) {
        (Some(rate), None) => vec![(Duration::ZERO, rate)],
        (None, Some(points)) if !points.is_empty() => {
            let point = |point: PointTable| Ok((parse_duration(&point.at)?, point.rate));
            points
                .into_iter()
                .map(point)
                .collect::<Result<_, String>>()
                .map_err(|problem| wrong(&at, problem))?
        }
        _ => return Err(wrong(&at, "one of `rate` and `rates` has to be there")),
    };
    if rate.iter().any(|(_, rate)| !rate.is_finite() || *rate < 0.0 || *rate > 1e6) {
        return Err(wrong(&at, "a rate is a number from 0 to 1000000"));
    }
    if rate.windows(2).any(|pair| pair[0].0 > pair[1].0) {
        return Err(wrong(&at, "`rates` are in the order of their times"));
    }
    if table.in_flight == 0 || table.mix.is_empty() {
        return Err(wrong(&at, "in_flight is at least 1, and mix has an entry"));
    }
    let mut mix = Vec::new();
    for entry in table.mix {
        let steps = steps(&at, entry.steps)?;
        if steps.iter().any(|step| !step.wait.1.is_zero()) {
            return Err(wrong(&at, "arrivals do not wait; waits belong to users"));
        }
        mix.push((weight(&at, entry.share)?, steps));
    }
    Ok(Arrivals { name: table.name, rate: Rate(rate), in_flight: table.in_flight, mix })
}

fn weight(at: &str, share: f64) -> Result<f64, ScenarioError> {
    if share.is_finite() && share > 0.0 { Ok(share) } else { Err(wrong(at, "a share is greater than 0")) }
}

fn steps(at: &str, tables: Vec<StepTable>) -> Result<Vec<Step>, ScenarioError> {
    let numbered = tables.into_iter().enumerate();
    numbered.map(|(number, table)| step(&format!("{at}, step {}", number + 1), table)).collect()
}

fn step(at: &str, table: StepTable) -> Result<Step, ScenarioError> {
    let wait = table.wait.as_deref().map_or(Ok((Duration::ZERO, Duration::ZERO)), parse_range);
    let chance = table.chance.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&chance) {
        return Err(wrong(at, "chance is a number from 0 to 1"));
    }
    let mut choices = Vec::new();
    if table.call.is_some() {
        if !table.one_of.is_empty() {
            return Err(wrong(at, "either `call` or `one_of`"));
        }
        choices.push((1.0, action(at, table.clone())?));
    }
    for choice in table.one_of {
        choices.push((weight(at, choice.share.unwrap_or_default())?, action(at, choice)?));
    }
    Ok(Step { chance, choices, wait: wait.map_err(|problem| wrong(at, problem))? })
}

/// The calls, as files write them.
const CALLS: &str = "initialize, browse, set-active, batch-select, random-select, claim, login, stat";

fn action(at: &str, table: StepTable) -> Result<Action, ScenarioError> {
    let word = table.call.ok_or_else(|| wrong(at, format!("`call` is missing: one of {CALLS}")))?;
    let challenge = || table.challenge.clone().ok_or_else(|| wrong(at, format!("{word} needs `challenge`")));
    let goals = || match table.goals.as_slice() {
        [] => Err(wrong(at, format!("{word} needs `goals`"))),
        goals => Ok(goals.to_vec()),
    };
    let call = match word.as_str() {
        "initialize" => Call::Initialize,
        "browse" => Call::Browse { remember: table.remember },
        "set-active" => Call::SetActive { challenge: challenge()?, goals: goals()? },
        "batch-select" => Call::BatchSelect { challenge: challenge()?, goals: goals()? },
        "random-select" => Call::RandomSelect {
            challenge: challenge()?,
            count: table
                .count
                .filter(|count| (1..=100).contains(count))
                .ok_or_else(|| wrong(at, "random-select needs `count`, from 1 to 100"))?,
            exclude_active: table.exclude_active,
        },
        "claim" => Call::Claim,
        "login" => Call::Login,
        "stat" if table.stats.is_empty() => return Err(wrong(at, "stat needs `stats`")),
        "stat" => Call::Stat { stats: table.stats, highest: table.highest.unwrap_or(999) },
        other => return Err(wrong(at, format!("{other:?} cannot be called; one of {CALLS}"))),
    };
    let checks = table.check.into_iter().map(CheckTable::read).collect::<Result<Vec<Check>, _>>();
    let checks = checks.map_err(|problem| wrong(at, problem))?;
    if call.is_event() && !checks.is_empty() {
        return Err(wrong(at, "the answer to an event says nothing that could be checked"));
    }
    Ok(Action { endpoint: table.name.unwrap_or(word), call, expect: table.expect, checks })
}

fn threshold(table: ThresholdTable) -> Result<Threshold, ScenarioError> {
    let at = format!("threshold of {:?}", table.of);
    let percentile = |text: &str| {
        let number: f64 = text.strip_prefix('p')?.parse().ok()?;
        (number > 0.0 && number < 100.0).then_some(Measure::Percentile(number))
    };
    let measure = match table.measure.as_str() {
        "max" => Measure::Max,
        "failed" => Measure::Failed,
        other => percentile(other).ok_or_else(|| {
            wrong(&at, format!("{other:?} is not measured; p50, p99.9 and so on, max, failed"))
        })?,
    };
    if !table.limit.is_finite() || table.limit <= 0.0 {
        return Err(wrong(&at, "limit is greater than 0"));
    }
    Ok(Threshold { of: table.of, measure, limit: table.limit })
}

#[cfg(test)]
mod tests;
