//! The table of fields, row by row; whole files; limits; and whatever a random file may bring.

mod fields;
mod files;
pub(in crate::catalogue) mod random;
mod unclaimed;

use super::parse;

pub(in crate::catalogue) const SAMPLE: &str =
    include_str!("../../../../gauntlet/assets/sample-catalogue.json");
pub(in crate::catalogue) const OLDER: &str = include_str!("../../../tests/data/older-spelling.json");
pub(in crate::catalogue) const NEWER: &str = include_str!("../../../tests/data/newer-spelling.json");

/// A file with ten faults.
pub(super) const TEN_FAULTS: &str = r#"{
  "challenges": [
    {
      "id": "arena",
      "name": "",
      "goals": [
        {
          "goalId": "kills",
          "name": "Kills",
          "type": "abslute",
          "eventSource": "statistic",
          "requirement": { "statCode": "kills", "operator": ">=", "targetValue": 0 },
          "reward": { "type": "ITEM", "rewardId": "hat", "quantty": 1 }
        },
        {
          "goalId": "kills",
          "name": "Größe",
          "event_source": "login", "eventSource": "login",
          "requirement": { "statCode": "logins", "operator": ">=", "targetValue": 3 },
          "reward": { "type": "GOLD", "rewardId": "hat", "quantity": 1 },
          "prerequisites": ["kils"]
        },
      ]
    }
  ]
}"#;

/// The faults of a text, one rendered line each; none for a good file.
fn faults(text: &str) -> Vec<String> {
    parse(text)
        .err()
        .map_or_else(Vec::new, |faults| faults.as_slice().iter().map(ToString::to_string).collect())
}
