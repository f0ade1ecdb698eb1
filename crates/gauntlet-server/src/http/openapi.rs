//! The player API in OpenAPI 3.1, for people, client generators and tests that make up requests.
//!
//! Nothing of it is written twice: messages, fields and what they mean come from the proto files
//! (their comments are in the descriptors), methods, paths and permissions from the list that the
//! router is made of, codes from the list of reasons. `words` adds what a proto file cannot say, such as the
//! words of a field, and `examples.json` what the server answers: a test plays it anew.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::routes::{self, Operation};
use contract::Contract;

mod contract;
mod operation;
mod refusals;
mod schemas;
mod words;

pub use words::ABOUT_BODIES;

/// What the server answered when a test asked it; see `tests/it/openapi.rs`.
const EXAMPLES: &str = include_str!("openapi/examples.json");

/// How callers prove who they are, as far as they see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInWay {
    /// A bearer token.
    Token,
    /// A header that is believed.
    Mock,
}

/// Answers of a server that a test has asked.
struct Examples {
    /// By gRPC method: what was asked and what was answered.
    calls: Map<String, Value>,
    /// By reason: the body of a refusal.
    refusals: Map<String, Value>,
}

impl Examples {
    fn read() -> Self {
        let mut all: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
        let mut take = |name: &str| match all[name].take() {
            Value::Object(entries) => entries,
            _ => Map::new(),
        };
        Self { calls: take("calls"), refusals: take("refusals") }
    }
}

/// The description of the player API below a base path, for callers who sign in in one of these ways.
#[must_use]
pub fn describe(base_path: &str, ways: &[SignInWay]) -> Value {
    let contract = Contract::read();
    let examples = Examples::read();
    let operations = routes::operations();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in &operations {
        let item = paths.entry(operation.path).or_default();
        let method = operation.method.as_str().to_lowercase();
        item.insert(method, operation::describe(operation, &contract, &examples, ways));
    }
    let mut components = schemas::replies(&contract, operations.iter().map(|operation| operation.rpc));
    components.insert("Error".into(), refusals::schema());
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Gauntlet player API",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Challenges, goals, progress and rewards of one player",
            "description": words::ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": if base_path.is_empty() { "/" } else { base_path } }],
        "tags": words::TAGS
            .iter()
            .map(|(name, about)| json!({ "name": name, "description": about }))
            .collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": components,
            "headers": operation::headers(),
            "examples": refusals::examples(&examples),
            "securitySchemes": words::security_schemes(ways),
        },
    })
}
