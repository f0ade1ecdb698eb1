use std::collections::HashMap;

use serde_json::json;

use super::super::{Catalogue, GoalNumber, Trigger, parse};

fn version(number: u32, targets: &[(&str, i32)], previous: Option<&Catalogue>) -> Catalogue {
    let goals: Vec<_> = targets
        .iter()
        .map(|(id, target)| {
            json!({
                "goalId": id, "name": format!("{id} in version {number}"), "eventSource": "statistic",
                "requirement": {"statCode": format!("stat-{target}"), "operator": ">=", "targetValue": target},
                "reward": {"type": "ITEM", "rewardId": "hat", "quantity": 1},
            })
        })
        .collect();
    let text = json!({"challenges": [{"challengeId": "c", "name": "C", "goals": goals}]}).to_string();
    let definition = parse(&text).expect("no faults");
    let numbers: HashMap<String, GoalNumber> =
        [("a", 1), ("b", 2), ("x", 3)].map(|(id, number)| (id.to_owned(), GoalNumber(number))).into();
    let catalogue = Catalogue::new(definition, number, &numbers).expect("numbered");
    match previous {
        Some(previous) => catalogue.following(previous),
        None => catalogue,
    }
}

#[test]
fn terms_of_every_version_are_found() {
    let mut current = version(2, &[("a", 1), ("b", 5), ("x", 9)], None);
    for (number, targets) in [
        (3, &[("a", 1), ("x", 9)][..]), // b leaves
        (5, &[("a", 2), ("x", 9)]),
        (6, &[("a", 2), ("b", 6), ("x", 9)]), // and comes back changed
        (9, &[("a", 1), ("b", 6), ("x", 9)]), // a is what it was at first
    ] {
        current = version(number, targets, Some(&current));
    }
    assert!(current.follows(6) && !current.follows(5));
    assert_eq!(current.last_change(), 9);
    for (id, expected) in [
        ("a", [(0, 1), (2, 1), (4, 1), (5, 2), (8, 2), (9, 1), (70, 1)]),
        ("b", [(0, 5), (2, 5), (4, 5), (5, 5), (6, 6), (9, 6), (70, 6)]),
        ("x", [(0, 9), (2, 9), (4, 9), (5, 9), (6, 9), (9, 9), (70, 9)]),
    ] {
        let index = current.find_goal(id).expect(id);
        for (version, target) in expected {
            let goal = current.goal_as_of(index, version);
            assert_eq!(goal.target(), target, "{id} in {version}");
            assert_eq!(goal.definition.name, format!("{id} in version 9"), "texts are those of today");
            assert_eq!(
                goal.trigger,
                Trigger::Stat(current.find_stat(&format!("stat-{target}")).expect("used"))
            );
            let today = target == current.goal(index).target() && (id != "a" || version >= 9);
            assert_eq!(current.has_terms_of_today(goal.number, version), today, "{id} in {version}");
        }
        let changes =
            |after| current.changes_after(index, after).map(|change| change.version).collect::<Vec<_>>();
        let all: &[u32] = match id {
            "a" => &[5, 9],
            "b" => &[6],
            _ => &[],
        };
        for after in 0..12 {
            let expected: Vec<u32> = all.iter().copied().filter(|version| *version > after).collect();
            assert_eq!(changes(after), expected, "{id} after {after}");
        }
    }
}

#[test]
fn a_version_that_changes_no_terms_costs_nothing() {
    let first = version(1, &[("a", 1)], None);
    let second = version(2, &[("a", 1), ("b", 2)], Some(&first));
    assert!(second.history.is_empty() && second.earlier.is_empty());
    assert_eq!(second.last_change(), 0);
}
