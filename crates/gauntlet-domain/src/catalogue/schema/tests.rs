//! The schema beside the parser: what one takes the other takes, as far as the schema can see.

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::schema;
use crate::catalogue::{
    GeneratePlan, generate, parse,
    parse::tests::{NEWER, OLDER, SAMPLE, random},
    to_json,
};

fn validator() -> Validator {
    jsonschema::validator_for(&schema()).expect("a schema")
}

fn takes(validator: &Validator, text: &str) -> bool {
    serde_json::from_str(text).is_ok_and(|value: Value| validator.is_valid(&value))
}

#[test]
fn it_is_a_schema_of_its_draft() {
    assert!(jsonschema::meta::is_valid(&schema()));
}

#[test]
fn every_sample_is_taken() {
    let validator = validator();
    let generated = to_json(&generate(&GeneratePlan::default()).expect("a plan"));
    for text in [
        SAMPLE,
        OLDER,
        NEWER,
        &generated,
        include_str!("../../../../../docs/samples/season-1.json"),
        include_str!("../../../../../docs/samples/season-2.json"),
    ] {
        let value: Value = serde_json::from_str(text).expect("JSON");
        if let Err(error) = validator.validate(&value) {
            panic!("{error} at {}", error.instance_path());
        }
    }
}

/// A good catalogue with something put in its place, and whether that is a fault that the schema sees.
#[test]
fn what_is_broken_is_refused() {
    let validator = validator();
    let good = || -> Value {
        json!({"challenges": [{"challengeId": "c", "name": "C", "goals": [{
            "goalId": "g", "name": "G", "type": "absolute", "eventSource": "statistic",
            "requirement": {"statCode": "s", "operator": ">=", "targetValue": 1},
            "reward": {"type": "ITEM", "rewardId": "hat", "quantity": 1},
            "rotation": {"type": "global", "schedule": "weekly"},
        }]}]})
    };
    assert!(validator.is_valid(&good()) && parse(&good().to_string()).is_ok());
    let goal = "/challenges/0/goals/0";
    let mut refused = 0;
    for (place, field, value) in [
        ("", "challenges", json!({})),
        ("", "challenge", json!([])),
        ("", "$schema", json!(1)),
        ("/challenges/0", "name", json!("")),
        ("/challenges/0", "name", json!("  ")),
        ("/challenges/0", "id", json!("also")),
        ("/challenges/0", "challengeId", json!("x".repeat(101))),
        ("/challenges/0", "goals", json!([])),
        ("/challenges/0", "rotation", json!({"type": "per_user"})),
        (goal, "goalId", Value::Null),
        (goal, "id", json!("g")),
        (goal, "type", json!("abslute")),
        (goal, "type", json!("daily")),
        (goal, "daily", json!(true)),
        (goal, "eventSource", json!("stat")),
        (goal, "event_source", json!("login")),
        (goal, "defaultAssigned", json!("yes")),
        (goal, "timeZone", json!(1)),
        (goal, "prerequisites", json!(["a", "a"])),
        (goal, "prerequisites", json!("a")),
        (goal, "onChange", json!("upgrade")),
        (goal, "unclaimed", json!("keep")),
        (goal, "unclaimed", json!({"grace": 0})),
        (goal, "unclaimed", json!({"grace": "2w"})),
        (goal, "unclaimed", json!({})),
        (goal, "reward", json!({"type": "GOLD", "rewardId": "x", "quantity": 1})),
        (goal, "reward", json!({"type": "ITEM", "rewardId": "x"})),
        (goal, "reward", json!({"type": "ITEM", "rewardId": "x", "quantity": 0})),
        (goal, "requirement", json!({"statCode": "s", "operator": ">", "targetValue": 1})),
        (goal, "requirement", json!({"statCode": "s", "operator": ">=", "targetValue": 1.5})),
        (goal, "requirement", json!({"statCode": "s", "operator": ">=", "targetValue": 2_147_483_648_i64})),
        (goal, "requirement", json!({"statCode": "", "operator": ">=", "targetValue": 1})),
        (goal, "rotation", json!({"type": "global"})),
        (goal, "rotation", json!({"type": "global", "schedule": "yearly"})),
        (goal, "rotation", json!({"type": "global", "schedule": "* * * *"})),
        (goal, "rotation", json!({"type": "global", "schedule": "daily", "duration": 5})),
        (goal, "rotation", json!({"type": "per_user", "schedule": "daily", "duration": 5})),
        (goal, "rotation", json!({"type": "per_user", "duration": 0})),
        (goal, "rotation", json!({"type": "per_user", "duration": "5w"})),
        (goal, "rotation", json!({"type": "per_user", "duration": 5, "duration_seconds": 5})),
        (goal, "rotation", json!({"type": "global", "schedule": {"start": "2026-01-01T00:00:00Z"}})),
        (goal, "rotation", json!({"type": "global", "schedule": "weekly", "weekStart": "mon"})),
        (goal, "rotation", json!({"type": "global", "schedule": "weekly", "onExpiry": {"reset": true}})),
    ] {
        let mut broken = good();
        broken.pointer_mut(place).expect("there")[field] = value.clone();
        assert!(parse(&broken.to_string()).is_err(), "the parser takes {field} = {value}");
        assert!(!validator.is_valid(&broken), "the schema takes {field} = {value} at {place:?}");
        refused += 1;
    }
    assert_eq!(refused, 43);
}

/// An unknown field is answered with those that are known: the schema must have the same.
#[test]
fn it_knows_the_fields_that_the_parser_knows() {
    let schema = schema();
    let wrapped = |goal: Value| json!({"challenges": [{"challengeId": "c", "name": "C", "goals": [goal]}]});
    let rotation = |rotation: Value| wrapped(json!({"rotation": rotation}));
    for (at, file) in [
        ("", json!({"?": 1, "challenges": []})),
        ("/$defs/challenge", json!({"challenges": [{"?": 1}]})),
        ("/$defs/goal", wrapped(json!({"?": 1}))),
        ("/$defs/requirement", wrapped(json!({"requirement": {"?": 1}}))),
        ("/$defs/reward", wrapped(json!({"reward": {"?": 1}}))),
        ("/$defs/rotation", rotation(json!({"?": 1}))),
        ("/$defs/onExpiry", rotation(json!({"onExpiry": {"?": 1}}))),
        ("/$defs/goal/properties/unclaimed/oneOf/1", wrapped(json!({"unclaimed": {"?": 1}}))),
        ("/$defs/schedule/oneOf/2", rotation(json!({"type": "global", "schedule": {"?": 1}}))),
    ] {
        let faults = parse(&file.to_string()).expect_err("a fault");
        let fault = faults.as_slice().iter().find(|fault| fault.problem.starts_with("unknown field"));
        let (_, allowed) = fault.expect("an unknown field").problem.split_once("allowed: ").expect("a list");
        let properties = schema.pointer(at).expect(at)["properties"].as_object().expect("an object");
        for name in allowed.split(", ") {
            assert!(properties.contains_key(name), "{at} lacks {name}");
        }
        // All spellings of the known fields, and nothing else.
        for name in properties.keys() {
            let mut with = file.clone();
            rename(&mut with, name);
            let faults = parse(&with.to_string()).err();
            let unknown = faults
                .iter()
                .flat_map(crate::catalogue::Faults::as_slice)
                .any(|fault| fault.problem.starts_with("unknown"));
            assert!(!unknown, "{at}: the parser does not know {name}");
        }
    }
}

fn rename(value: &mut Value, name: &str) {
    match value {
        Value::Object(fields) => {
            if let Some(value) = fields.remove("?") {
                fields.entry(name).or_insert(value);
            }
            fields.values_mut().for_each(|value| rename(value, name));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| rename(value, name)),
        _ => {}
    }
}

proptest! {
    /// The drift that would hurt: an editor that marks what the service takes.
    #[test]
    fn what_the_parser_takes_the_schema_takes(definition in random::any_definition()) {
        let text = to_json(&definition);
        prop_assert!(parse(&text).is_ok());
        prop_assert!(takes(&validator(), &text), "{text}");
    }

    #[test]
    fn changed_samples_that_the_parser_takes_the_schema_takes(
        which in prop::sample::select(vec![SAMPLE, OLDER, NEWER]),
        mutations in prop::collection::vec(random::mutation(), 0..3),
    ) {
        let text = random::mutate(which, &mutations);
        // The parser reads what an editor shows: no mark in front.
        if parse(&text).is_ok() && !text.starts_with('\u{feff}') {
            prop_assert!(takes(&validator(), &text), "{text}");
        }
    }
}
