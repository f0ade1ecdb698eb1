//! The scenarios that come with the lab: files like anybody's own.

use super::{Scenario, ScenarioError, parse_scenario};

/// A scenario that comes with the lab.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Its number in the specification.
    pub number: &'static str,
    /// Its name.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// The file.
    pub text: &'static str,
}

/// All of them, in order.
pub const BUILT_IN: [BuiltIn; 4] = [
    BuiltIn {
        number: "1",
        name: "browse",
        about: "open model: players look at their challenges; one in five claims",
        text: include_str!("../../scenarios/browse.toml"),
    },
    BuiltIn {
        number: "2",
        name: "events",
        about: "open model: 500 events a second, nothing else",
        text: include_str!("../../scenarios/events.toml"),
    },
    BuiltIn {
        number: "3",
        name: "combined",
        about: "open model: 300 calls and 500 events a second, 500 active goals a player",
        text: include_str!("../../scenarios/combined.toml"),
    },
    BuiltIn {
        number: "4",
        name: "sessions",
        about: "closed model: 150 users with sessions, beside 500 events a second",
        text: include_str!("../../scenarios/sessions.toml"),
    },
];

/// Finds one by its number or its name.
#[must_use]
pub fn find_built_in(word: &str) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|known| known.number == word || known.name == word)
}

impl BuiltIn {
    /// What the file says.
    ///
    /// # Errors
    /// None, as long as the tests pass: they read all of them.
    pub fn scenario(&self) -> Result<Scenario, ScenarioError> {
        parse_scenario(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_can_be_read_and_are_named_alike() {
        for known in BUILT_IN {
            assert_eq!(known.scenario().unwrap().name, known.name);
        }
    }
}
