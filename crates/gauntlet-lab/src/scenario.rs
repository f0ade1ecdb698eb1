//! What a run does: who comes, when, and what they call.

mod builtin;
mod check;
mod file;
mod offer;

use std::time::Duration;

pub use builtin::{BUILT_IN, BuiltIn, find_built_in};
pub(crate) use check::unmet;
pub use check::{Check, Wanted};
pub use file::{ScenarioError, parse_scenario};
use gauntlet_domain::catalogue::GeneratePlan;
pub use offer::Offer;

/// A scenario that was read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// One word.
    pub name: String,
    /// One line.
    pub title: String,
    /// How long users begin sessions and arrivals come.
    pub duration: Duration,
    /// The catalogue that it needs.
    pub catalogue: GeneratePlan,
    /// Who plays.
    pub players: Players,
    /// Closed model.
    pub users: Vec<Users>,
    /// Open model.
    pub arrivals: Vec<Arrivals>,
    /// What must hold.
    pub thresholds: Vec<Threshold>,
}

/// Who plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Players {
    /// How many there are; at least as many as users.
    pub count: u32,
    /// Who signs in before the run.
    pub prepare: Prepare,
    /// Events that every prepared player gets before the run.
    pub events_each: u32,
}

/// Who signs in before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prepare {
    /// Nobody.
    None,
    /// Players that no user plays.
    Others,
    /// Everybody.
    All,
}

/// A group of users, each with a player of its own and one session after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Users {
    /// One word.
    pub name: String,
    /// How many.
    pub count: u32,
    /// How many sessions each has at most.
    pub sessions: u32,
    /// Over how long they start; zero: all at once.
    pub ramp: Duration,
    /// A session.
    pub steps: Vec<Step>,
}

/// Arrivals that do not wait for each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrivals {
    /// One word.
    pub name: String,
    /// How many come a second, over time.
    pub rate: Rate,
    /// How many may be under way; one that finds no place is not delivered.
    pub in_flight: u32,
    /// What one does, and how often in relation to the others.
    pub mix: Vec<(f64, Vec<Step>)>,
}

/// A rate over time: straight lines between points; before the first and after the last it stays.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate(pub Vec<(Duration, f64)>);

/// One step of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// How often it is taken, 0 to 1.
    pub chance: f64,
    /// What to choose from, by weight; empty: only wait.
    pub choices: Vec<(f64, Action)>,
    /// How long to wait afterwards, uniform; also when the step was not taken.
    pub wait: (Duration, Duration),
}

/// A call or an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Under which name it is counted.
    pub endpoint: String,
    /// What.
    pub call: Call,
    /// Reasons that are no failure here.
    pub expect: Vec<String>,
    /// What its reply has to say.
    pub checks: Vec<Check>,
}

/// What can be called.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// The default goals.
    Initialize,
    /// All goals; `remember`: look for completed ones.
    Browse {
        /// Whether the goals that can be claimed are looked for in the reply.
        remember: bool,
    },
    /// Activates one of these goals.
    SetActive {
        /// Their challenge.
        challenge: String,
        /// To choose from.
        goals: Vec<String>,
    },
    /// Activates these goals.
    BatchSelect {
        /// Their challenge.
        challenge: String,
        /// All of them.
        goals: Vec<String>,
    },
    /// Activates goals that the server draws.
    RandomSelect {
        /// Their challenge.
        challenge: String,
        /// How many.
        count: u32,
        /// Only goals that are not active.
        exclude_active: bool,
    },
    /// Claims a random goal of those that the last remembered browse showed completed.
    Claim,
    /// An event: the player logged in.
    Login,
    /// An event: one of these statistics has a value from 0 to `highest`.
    Stat {
        /// To choose from.
        stats: Vec<String>,
        /// The greatest value.
        highest: u32,
    },
}

impl Call {
    /// Whether the game platform sends it, and not a player.
    #[must_use]
    pub const fn is_event(&self) -> bool {
        matches!(self, Self::Login | Self::Stat { .. })
    }
}

/// What must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// An endpoint, `all` for all calls and events, `events` for all events.
    pub of: String,
    /// What is measured.
    pub measure: Measure,
    /// Less than this: milliseconds, or a share.
    pub limit: f64,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// A percentile of the latency of what did not fail, in milliseconds.
    Percentile(f64),
    /// The greatest latency, in milliseconds.
    Max,
    /// The share of failures.
    Failed,
}

impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Percentile(p) => write!(f, "p{p}"),
            Self::Max => f.write_str("max"),
            Self::Failed => f.write_str("failed"),
        }
    }
}

impl Rate {
    /// Arrivals a second at a time.
    #[must_use]
    pub fn at(&self, time: Duration) -> f64 {
        let Some(next) = self.0.iter().position(|(at, _)| *at > time) else {
            return self.0.last().map_or(0.0, |(_, rate)| *rate);
        };
        let Some(before) = next.checked_sub(1) else { return self.0[next].1 };
        let ((from, low), (to, high)) = (self.0[before], self.0[next]);
        let part = time.saturating_sub(from).as_secs_f64() / to.saturating_sub(from).as_secs_f64();
        low + (high - low) * part
    }

    /// How many arrive until a time.
    #[must_use]
    pub fn until(&self, end: Duration) -> f64 {
        let inner = self.0.iter().map(|(at, _)| *at).filter(|at| *at > Duration::ZERO && *at < end);
        let corners: Vec<Duration> = [Duration::ZERO].into_iter().chain(inner).chain([end]).collect();
        let area = |pair: &[Duration]| {
            pair[1].saturating_sub(pair[0]).as_secs_f64()
                * f64::midpoint(self.at(pair[0]), self.before(pair[1]))
        };
        corners.windows(2).map(area).sum()
    }

    /// The rate just before a time: where two points share a time, the first one counts.
    fn before(&self, time: Duration) -> f64 {
        match self.0.iter().find(|(at, _)| *at == time) {
            Some((_, rate)) => *rate,
            None => self.at(time),
        }
    }
}

impl Step {
    /// How long the wait is on average.
    fn mean_wait(&self) -> Duration {
        (self.wait.0 + self.wait.1) / 2
    }

    /// How many calls the step makes on average.
    fn mean_calls(&self) -> f64 {
        if self.choices.is_empty() { 0.0 } else { self.chance }
    }
}

impl Users {
    /// Average length of a session whose calls take no time.
    #[must_use]
    pub fn mean_session(&self) -> Duration {
        self.steps.iter().map(Step::mean_wait).sum()
    }

    /// Average number of calls of a session.
    #[must_use]
    pub fn mean_calls(&self) -> f64 {
        self.steps.iter().map(Step::mean_calls).sum()
    }
}

impl Scenario {
    /// Every action, in the order of the file.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        let users = self.users.iter().flat_map(|users| &users.steps);
        let arrivals = self.arrivals.iter().flat_map(|arrivals| &arrivals.mix).flat_map(|(_, steps)| steps);
        users.chain(arrivals).flat_map(|step| &step.choices).map(|(_, action)| action)
    }

    /// How many users there are in all.
    #[must_use]
    pub fn user_count(&self) -> u32 {
        self.users.iter().map(|users| users.count).sum()
    }

    /// Makes every wait so many times shorter.
    pub fn speed_up(&mut self, times: f64) {
        let steps = self.users.iter_mut().flat_map(|users| &mut users.steps);
        for step in steps {
            step.wait = (step.wait.0.div_f64(times), step.wait.1.div_f64(times));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_of_scenario_4_is_that_of_the_specification() {
        let scenario = find_built_in("4").unwrap().scenario().unwrap();
        let users = &scenario.users[0];
        assert_eq!(users.mean_session(), Duration::from_secs(26));
        assert!((users.mean_calls() - 4.3).abs() < 1e-9);
        assert!((scenario.arrivals[0].rate.until(scenario.duration) - 900_000.0).abs() < 1e-6);
    }

    #[test]
    fn rates_are_lines_between_points() {
        let seconds = Duration::from_secs;
        let rate = Rate(vec![(seconds(10), 0.0), (seconds(20), 100.0), (seconds(20), 50.0)]);
        let rates = [0, 10, 15, 20, 99].map(|at| rate.at(seconds(at)).to_string());
        assert_eq!(rates, ["0", "0", "50", "50", "50"]);
        assert!((rate.until(seconds(30)) - 1000.0).abs() < 1e-9, "{}", rate.until(seconds(30)));
    }
}
