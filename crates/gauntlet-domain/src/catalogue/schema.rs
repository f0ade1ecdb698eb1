//! The format of catalogue files as JSON Schema, for editors.
//!
//! It says field by field what the parser allows, from the same lists of spellings and words. What
//! ties objects together (unique ids, prerequisites that exist, cron lines that have a date) is the
//! parser's alone: the schema never refuses what the parser takes, and tests hold that.

use serde_json::{Map, Value, json};

use super::{
    names::{
        CHANGE_POLICIES, EVENT_SOURCES, GOAL_TYPES, Names, OPERATORS, PROGRESS_MODES, REWARD_KINDS,
        ROTATION_TYPES, UNCLAIMED, WEEKDAYS,
    },
    parse::{self as file, goal, rotation},
};
use crate::limits::MAX_ID_CHARS;

/// Draft 2020-12, as editors know it.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The JSON Schema of catalogue files.
#[must_use]
pub fn schema() -> Value {
    let mut schema = Object::new("A catalogue of challenges and their goals")
        .required(file::CHALLENGES, &json!({"type": "array", "items": {"$ref": "#/$defs/challenge"}}))
        .optional(file::SCHEMA, &text("Where this schema is, for editors"))
        .finish();
    schema["$schema"] = json!(DRAFT);
    schema["title"] = json!("Gauntlet catalogue");
    schema["$defs"] = json!({
        "challenge": challenge_schema(),
        "goal": goal_schema(),
        "requirement": requirement_schema(),
        "reward": reward_schema(),
        "rotation": rotation_schema(),
        "schedule": schedule_schema(),
        "onExpiry": on_expiry_schema(),
    });
    schema
}

fn challenge_schema() -> Value {
    Object::new("A named group of goals")
        .required(file::ID, &id("Unique among challenges"))
        .required(file::NAME, &filled("What players read"))
        .optional(file::DESCRIPTION, &text("What players read below the name"))
        .required(file::GOALS, &json!({"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/goal"}}))
        .optional(file::ROTATION, &reference("rotation", "For all goals that have none of their own"))
        .finish()
}

fn goal_schema() -> Value {
    let mut schema = Object::new("One thing to do, with a reward")
        .required(goal::ID, &id("Unique in the whole file; it stands for the goal for good"))
        .required(goal::NAME, &filled("What players read"))
        .optional(goal::DESCRIPTION, &text("What players read below the name"))
        .optional(goal::TYPE, &words(GOAL_TYPES, "How events change progress"))
        .required(goal::EVENT_SOURCE, &words(EVENT_SOURCES, "Which events count"))
        .optional(goal::DAILY, &flag("Count at most one event a day; only with type increment"))
        .optional(goal::DEFAULT_ASSIGNED, &flag("Given to every player"))
        .optional(goal::TIME_ZONE, &zone())
        .required(goal::REQUIREMENT, &reference("requirement", "What completes the goal"))
        .required(goal::REWARD, &reference("reward", "What a claim grants"))
        .optional(
            goal::PREREQUISITES,
            &json!({"type": "array", "uniqueItems": true, "items": id("A goal that has to be completed first")}),
        )
        .optional(goal::ROTATION, &reference("rotation", "When the goal begins anew"))
        .optional(goal::UNCLAIMED, &unclaimed_schema())
        .optional(
            goal::ON_CHANGE,
            &words(CHANGE_POLICIES, "What a change of the goal means for players who have it"),
        )
        .finish();
    let is = |field: &str, word: &str| json!({"required": [field], "properties": {field: {"const": word}}});
    let no_rotation = json!({"not": {"required": ["rotation"]}});
    if let Some(rules) = schema["allOf"].as_array_mut() {
        rules.push(json!({"if": {"required": ["daily"], "properties": {"daily": {"const": true}}},
                          "then": {"allOf": [is("type", "increment"), no_rotation]}}));
        rules.push(json!({"if": is("type", "daily"), "then": no_rotation}));
    }
    schema
}

fn requirement_schema() -> Value {
    Object::new("What completes the goal")
        .required(goal::STAT_CODE, &id("The statistic; for login goals it is only shown"))
        .required(goal::OPERATOR, &words(OPERATORS, "How progress is compared with the target"))
        .required(goal::TARGET_VALUE, &positive("The progress that completes the goal"))
        .optional(
            goal::PROGRESS_MODE,
            &words(PROGRESS_MODES, "The statistic's value, or its growth within a cycle"),
        )
        .finish()
}

fn reward_schema() -> Value {
    Object::new("What a claim grants")
        .required(goal::TYPE, &words(REWARD_KINDS, "An item, or an amount of a currency"))
        .required(goal::REWARD_ID, &filled("The platform's id of the item, or the currency's code"))
        .required(goal::QUANTITY, &positive("How many, or how much"))
        .finish()
}

fn rotation_schema() -> Value {
    let mut schema = Object::new("When a goal begins anew")
        .optional(rotation::ENABLED, &flag("A rotation that is off is checked and does nothing"))
        .required(rotation::TYPE, &words(ROTATION_TYPES, "For all players at once, or for each apart"))
        .optional(rotation::SCHEDULE, &reference("schedule", "With type global: when"))
        .optional(
            rotation::DURATION,
            &json!({
                "description": "With type per_user: how long a cycle is, in seconds or with a unit",
                "oneOf": seconds(),
            }),
        )
        .optional(rotation::ON_EXPIRY, &reference("onExpiry", "What happens at the end of a cycle"))
        .optional(rotation::TIME_ZONE, &zone())
        .optional(rotation::WEEK_START, &weekdays())
        .finish();
    let is = |word: &str| json!({"required": ["type"], "properties": {"type": {"const": word}}});
    let (schedule, duration) = (one_of(rotation::SCHEDULE), one_of(rotation::DURATION));
    if let Some(rules) = schema["allOf"].as_array_mut() {
        rules.push(json!({"if": is("global"), "then": {"allOf": [schedule, {"not": {"anyOf": any_of(rotation::DURATION)}}]}}));
        rules.push(json!({"if": is("per_user"), "then": {"allOf": [duration, {"not": {"anyOf": any_of(rotation::SCHEDULE)}}]}}));
    }
    schema
}

fn schedule_schema() -> Value {
    let window = Object::new("One cycle between two times")
        .required(rotation::START, &text("When it begins, RFC 3339"))
        .required(rotation::END, &text("When it ends, RFC 3339"))
        .finish();
    json!({
        "oneOf": [
            {"description": "Midnight, or midnight at the start of the week or the month",
             "enum": ["daily", "weekly", "monthly"]},
            {"description": "A cron line of five fields: minute, hour, day of month, month, day of week",
             "type": "string", "pattern": "^\\s*\\S+(\\s+\\S+){4}\\s*$"},
            window,
        ],
    })
}

/// Whether something would be lost is the parser's to say: the rotation may be the challenge's.
fn unclaimed_schema() -> Value {
    let grace = json!({"description": "How long after the end of the cycle, in seconds or with a unit",
                       "oneOf": seconds()});
    json!({
        "description": "What becomes of a completion that nobody has claimed when its cycle ends",
        "oneOf": [
            words(UNCLAIMED, "It is lost, or granted without being asked for"),
            Object::new("It can still be claimed for a while").required(rotation::GRACE, &grace).finish(),
        ],
    })
}

/// A length of time.
fn seconds() -> Value {
    json!([
        {"type": "integer", "minimum": 1, "maximum": u32::MAX},
        {"type": "string", "pattern": "^[0-9]+[dhms]$"},
    ])
}

fn on_expiry_schema() -> Value {
    Object::new("What happens at the end of a cycle")
        .optional(rotation::RESET_PROGRESS, &flag("Progress begins again at zero"))
        .optional(rotation::ALLOW_RESELECTION, &flag("A claimed goal can be done and claimed again"))
        .finish()
}

/// An object of fields in one or more spellings, each at most once.
struct Object {
    description: &'static str,
    properties: Map<String, Value>,
    rules: Vec<Value>,
}

impl Object {
    fn new(description: &'static str) -> Self {
        Self { description, properties: Map::new(), rules: Vec::new() }
    }

    fn add(mut self, spellings: &[&str], schema: &Value) -> Self {
        for spelling in spellings {
            self.properties.insert((*spelling).to_owned(), schema.clone());
        }
        self
    }

    /// A field that stands in exactly one of its spellings.
    fn required(mut self, spellings: &[&str], schema: &Value) -> Self {
        self.rules.push(one_of(spellings));
        self.add(spellings, schema)
    }

    /// A field that may be left out.
    fn optional(mut self, spellings: &[&str], schema: &Value) -> Self {
        for (at, one) in spellings.iter().enumerate() {
            for other in &spellings[at + 1..] {
                self.rules.push(json!({"not": {"required": [one, other]}}));
            }
        }
        self.add(spellings, schema)
    }

    fn finish(self) -> Value {
        json!({
            "type": "object",
            "description": self.description,
            "properties": self.properties,
            "additionalProperties": false,
            "allOf": self.rules,
        })
    }
}

fn one_of(spellings: &[&str]) -> Value {
    match spellings {
        [one] => json!({"required": [one]}),
        _ => json!({"oneOf": any_of(spellings)}),
    }
}

fn any_of(spellings: &[&str]) -> Vec<Value> {
    spellings.iter().map(|one| json!({"required": [one]})).collect()
}

fn reference(name: &str, description: &str) -> Value {
    json!({"description": description, "$ref": format!("#/$defs/{name}")})
}

fn text(description: &str) -> Value {
    json!({"description": description, "type": "string"})
}

fn filled(description: &str) -> Value {
    json!({"description": description, "type": "string", "pattern": "\\S"})
}

fn id(description: &str) -> Value {
    json!({"description": description, "type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS})
}

fn flag(description: &str) -> Value {
    json!({"description": description, "type": "boolean"})
}

fn positive(description: &str) -> Value {
    json!({"description": description, "type": "integer", "minimum": 1, "maximum": i32::MAX})
}

fn zone() -> Value {
    json!({"description": "An IANA time zone, such as Europe/Paris", "type": "string", "minLength": 1})
}

fn words<T>(names: &Names<T>, description: &str) -> Value {
    let words: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    json!({"description": description, "enum": words})
}

/// Small letters or capitals, also mixed.
fn weekdays() -> Value {
    let any_case = |name: &str| {
        let both = |letter: char| ['[', letter, letter.to_ascii_uppercase(), ']'];
        name.chars().flat_map(both).collect::<String>()
    };
    let days: Vec<String> = WEEKDAYS.iter().map(|(name, _)| any_case(name)).collect();
    json!({
        "description": "The first day of a week",
        "type": "string",
        "pattern": format!("^({})$", days.join("|")),
        "examples": WEEKDAYS.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
