//! What an operation may refuse: which reasons, under which status, with which body.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Examples, Operation};
use crate::{
    admission::Class,
    error::{ApiError, Reason},
    http::{observe, reply::ERROR_DOMAIN, reply::ErrorBody, routes::Who},
};

/// Everything that an operation may refuse, by status.
pub(super) fn by_status(operation: &Operation) -> BTreeMap<u16, Vec<Reason>> {
    let mut by_status: BTreeMap<u16, Vec<Reason>> = BTreeMap::new();
    for reason in reasons(operation) {
        by_status.entry(reason.code().http_status()).or_default().push(reason);
    }
    by_status
}

/// In the order of the list of reasons.
fn reasons(operation: &Operation) -> impl Iterator<Item = Reason> + use<> {
    let mut given = vec![Reason::StoreUnavailable, Reason::Internal];
    if operation.who != Who::Anybody {
        given.extend([Reason::Unauthenticated, Reason::WrongNamespace, Reason::SignInUnavailable]);
    }
    if matches!(operation.who, Who::Administrator(_)) {
        given.push(Reason::Forbidden);
    }
    let class = observe::class(operation.path, &operation.method);
    if class.is_some() {
        // All of them have a path, a query or a body that can be wrong.
        given.extend([Reason::Overloaded, Reason::DeadlineExceeded, Reason::InvalidInput]);
    }
    if matches!(class, Some(Class::Write | Class::Claim)) {
        given.push(Reason::Conflict);
    }
    if operation.path.contains("{challenge_id}") {
        given.push(Reason::ChallengeNotFound);
    }
    if operation.path.contains("{goal_id}") {
        given.push(Reason::GoalNotFound);
    }
    given.extend_from_slice(operation.refuses);
    Reason::ALL.into_iter().filter(move |reason| given.contains(reason))
}

/// The answer for these reasons, which share a status.
pub(super) fn response(reasons: &[Reason]) -> Value {
    let names: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
    let mut headers = super::operation::common_headers();
    let waits = reasons.iter().filter(|reason| reason.retry_after().is_some()).count();
    if waits > 0 {
        headers.insert("Retry-After".into(), json!({ "$ref": "#/components/headers/RetryAfter" }));
    }
    if reasons.contains(&Reason::Unauthenticated) {
        headers.insert("WWW-Authenticate".into(), json!({ "$ref": "#/components/headers/WWWAuthenticate" }));
    }
    let codes: BTreeSet<u8> = reasons.iter().map(|reason| reason.code() as u8).collect();
    let examples: Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "$ref": format!("#/components/examples/{name}") })))
        .collect();
    json!({
        "description": names.join(", "),
        "headers": headers,
        "content": { "application/json": {
            "schema": {
                "allOf": [{ "$ref": "#/components/schemas/Error" }],
                "properties": {
                    "code": { "enum": codes },
                    "details": { "items": { "properties": { "reason": { "enum": names } } } },
                },
            },
            "examples": examples,
        } },
    })
}

/// The body of every error: `google.rpc.Status` in JSON.
pub(super) fn schema() -> Value {
    let names = Reason::ALL.map(Reason::as_str);
    let codes: BTreeSet<u8> = Reason::ALL.iter().map(|reason| reason.code() as u8).collect();
    json!({
        "type": "object",
        "description": "Why something was refused.",
        "properties": {
            "code": { "enum": codes, "description": "The number of the gRPC status code." },
            "message": { "type": "string", "description": "For people; may change." },
            "details": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "@type": { "const": "type.googleapis.com/google.rpc.ErrorInfo" },
                        "reason": { "enum": names, "description": "For programs; does not change." },
                        "domain": { "const": ERROR_DOMAIN },
                        "metadata": {
                            "type": "object",
                            "description": "The ids and numbers involved.",
                            "additionalProperties": { "type": "string" },
                        },
                    },
                    "required": ["@type", "reason", "domain", "metadata"],
                },
            },
        },
        "required": ["code", "message", "details"],
    })
}

/// One body for each reason: as a server answered it, where a test could bring one to.
pub(super) fn examples(examples: &Examples) -> Map<String, Value> {
    let all = Reason::ALL.into_iter().map(|reason| {
        let body = examples.refusals.get(reason.as_str()).cloned().unwrap_or_else(|| {
            let error = ApiError::new(reason, advice(reason));
            serde_json::to_value(ErrorBody::from(&error)).unwrap_or_default()
        });
        (reason.as_str().to_owned(), json!({ "summary": advice(reason), "value": body }))
    });
    all.collect()
}

/// What was done, and what the caller does next: the last column of `docs/errors.md`.
const fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::ChallengeNotFound | Reason::GoalNotFound => {
            "Nothing was done. The client's catalogue is old: browse again."
        }
        Reason::GoalNotCompleted => "Nothing was done. Claim again when browsing shows it completed.",
        Reason::GoalNotActive => "Nothing was done. Activate the goal first.",
        Reason::PrerequisitesNotMet => "Nothing was done. `metadata.prerequisites` lists what is open.",
        Reason::GoalRotated => "Nothing was done. Its cycle has ended: browse again.",
        Reason::GoalAlreadyClaimed => {
            "The player has the reward since `metadata.claimed_at`. After a lost answer this is success."
        }
        Reason::InsufficientGoals => "Nothing was done. There is nothing to draw from.",
        Reason::InvalidInput => {
            "Nothing was done. Mend the request; an event like this is malformed for good."
        }
        Reason::RewardGrantFailed => "The platform refused for good. An operator's matter.",
        Reason::RewardPending => {
            "The grant is recorded and goes on without you. Asking again joins it; it is ordered once."
        }
        Reason::RewardUncertain => {
            "The platform's answer was lost. An operator settles it; asking again sends nothing."
        }
        Reason::Overloaded => "Nothing was done.",
        Reason::RateLimited => {
            "Nothing was done. This player has called too often; others are not concerned."
        }
        Reason::Conflict => "Nothing was done. Many wrote the same player at once.",
        Reason::DeadlineExceeded => "It may have been done, or be done yet: see what may be repeated.",
        Reason::Internal => "Operators were told. It may have been done: see what may be repeated.",
        Reason::RouteNotFound => "Nothing was done. A wrong path; over gRPC the code is UNIMPLEMENTED.",
        Reason::MethodNotAllowed => "Nothing was done. The header `Allow` says which methods the path takes.",
        Reason::Unauthenticated => "Nothing was done. Get a new token, then repeat with it, once.",
        Reason::WrongNamespace => "Nothing was done. The token is of another game.",
        Reason::Forbidden => "Nothing was done. The token does not allow it.",
        Reason::SignInUnavailable => {
            "Nothing was done. The service has no keys to check tokens with; yours may be good, keep it."
        }
        Reason::CatalogueFaulty => {
            "Nothing was changed: the catalogue in use stays. `metadata.faults` has the first faults of the new one."
        }
        Reason::StoreUnavailable => {
            "The database was not reached, or the answer to a commit was lost: see what may be repeated."
        }
    }
}
