//! What a scenario offers, if calls took no time.

use super::Scenario;

/// The load that follows from a scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// Sessions, if every user had all that the scenario allows.
    pub sessions_planned: f64,
    /// Sessions that fit into the time.
    pub sessions_possible: f64,
    /// Calls of users a second.
    pub calls: f64,
    /// Arrivals in all.
    pub arrivals: f64,
    /// Arrivals a second.
    pub arrival_rate: f64,
}

impl Scenario {
    /// What follows from the scenario, so that nobody has to believe a document.
    #[must_use]
    pub fn offer(&self) -> Offer {
        let span = self.duration.as_secs_f64();
        let mut offer = Offer {
            sessions_planned: 0.0,
            sessions_possible: 0.0,
            calls: 0.0,
            arrivals: self.arrivals.iter().map(|arrivals| arrivals.rate.until(self.duration)).sum(),
            arrival_rate: 0.0,
        };
        offer.arrival_rate = offer.arrivals / span;
        for users in &self.users {
            let (count, most) = (f64::from(users.count), f64::from(users.sessions));
            let active = span - users.ramp.as_secs_f64() / 2.0;
            let session = users.mean_session().as_secs_f64();
            let fit = if session > 0.0 { (active / session).min(most) } else { most };
            offer.sessions_planned += count * most;
            offer.sessions_possible += count * fit;
            offer.calls += count * fit * users.mean_calls() / span;
        }
        offer
    }
}

impl std::fmt::Display for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sessions_possible, calls, arrival_rate, .. } = self;
        let users = format!("{calls:.1} calls of users a second ({sessions_possible:.0} sessions)");
        let arrivals = format!("{arrival_rate:.1} arrivals a second");
        match (*calls > 0.0, *arrival_rate > 0.0) {
            (true, true) => write!(f, "{users} and {arrivals}"),
            (true, false) => f.write_str(&users),
            _ => f.write_str(&arrivals),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::find_built_in;

    #[test]
    fn scenario_4_offers_what_the_specification_says() {
        let mut scenario = find_built_in("4").unwrap().scenario().unwrap();
        let offer = scenario.offer();
        assert!((offer.calls - 24.8).abs() < 0.1 && (offer.arrival_rate - 500.0).abs() < 1e-9, "{offer:?}");
        assert!((offer.sessions_planned - 18_000.0).abs() < 1e-9, "{offer:?}");
        assert!((offer.sessions_possible - 10_384.0).abs() < 1.0, "{offer:?}");
        scenario.duration = Duration::from_secs(60);
        scenario.speed_up(30.0);
        assert_eq!(
            scenario.offer().to_string(),
            "744.2 calls of users a second (10385 sessions) and 500.0 arrivals a second"
        );
    }
}
