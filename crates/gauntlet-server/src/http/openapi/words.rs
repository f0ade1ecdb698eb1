//! What a proto file cannot say: limits, forms, the words of a field, and prose for the whole.

use gauntlet_domain::{
    ClaimState, Status,
    catalogue::{Operator, RewardKind},
    history::Outcome,
    limits::{MAX_ID_CHARS, MAX_SELECTION},
};
use serde_json::{Map, Value, json};

use super::SignInWay;
use crate::{
    admission::Class,
    api::LARGEST_PAGE,
    auth::{MOCK_SCOPE_HEADER, MOCK_USER_HEADER},
};

/// The description's first page, in Markdown.
pub(super) const ABOUT: &str = "\
What a game client asks for one player. gRPC has the same: package `service`, service `Service`, the same names, \
answers and errors.

- The player is the one whom the request's credentials prove, never one named in a body or path.
- Replies have all their fields, always; times are RFC 3339, UTC, whole seconds, `\"\"` when there is none.
- Fields of requests may be spelled in lowerCamelCase or snake_case; those that a message does not have are skipped, and \
an empty body is an empty message. The content type of a request is not looked at.
- Every error is an `Error` with one reason. Act on the reason; messages are for people.
- Where waiting helps, errors have `Retry-After`. Everything but a random draw may be repeated at will.";

/// About request bodies, where a reader has one before the eyes.
pub const ABOUT_BODIES: &str = "Fields may be spelled in lowerCamelCase or snake_case, once; unknown ones are skipped. Ids of the path \
     need not be here, and must not be others.";

/// Groups of operations.
pub(super) const TAGS: [(&str, &str); 5] = [
    ("goals", "What the player plays for."),
    ("browsing", "What the player sees. Costs one read; an unchanged player can be answered without a body."),
    ("rewards", "What the player gets, once."),
    ("administration", "For operators, with a permission of its own."),
    ("health", "For probes."),
];

/// The group of an operation that competes in a class.
pub(super) const fn tag(class: Option<Class>, anybody: bool) -> &'static str {
    match class {
        Some(Class::Read) => "browsing",
        Some(Class::Claim) => "rewards",
        Some(_) => "goals",
        None if anybody => "health",
        None => "administration",
    }
}

/// The form of a time that may be missing.
const TIME_OR_NONE: &str = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$";

/// Any text without control characters.
const NO_CONTROL: &str = r"^[^\u0000-\u001F\u007F-\u009F]*$";

fn id() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS, "pattern": NO_CONTROL })
}

/// What a field of a reply keeps to, beyond its type.
pub(super) fn of_reply(message: &str, field: &str) -> Value {
    let words = |words: &[&str]| json!({ "enum": words });
    match (message, field) {
        ("HealthCheckResponse", "status") => words(&["healthy"]),
        (_, "status") => words(
            &[Status::NotStarted, Status::InProgress, Status::Completed, Status::Claimed].map(Status::as_str),
        ),
        (_, "claim_state") => {
            let [pending, uncertain, refused] =
                [ClaimState::Pending, ClaimState::Uncertain, ClaimState::Refused].map(ClaimState::as_str);
            words(&["", pending, uncertain, refused])
        }
        (_, "outcome") => words(&[Outcome::Completed, Outcome::Claimed, Outcome::Lost].map(Outcome::as_str)),
        ("Requirement", "operator") => words(&[Operator::AtLeast.as_str()]),
        ("Reward", "type") => words(&[RewardKind::Item, RewardKind::Wallet].map(RewardKind::as_str)),
        ("RotationInfo", "type") => words(&["", "global", "per_user"]),
        ("ClaimRewardResponse", "claimed_at") | ("PastCycle", "end_time") => json!({ "format": "date-time" }),
        (
            _,
            "expires_in_seconds" | "new_assignments" | "total_active" | "total_active_goals" | "quantity",
        ) => {
            json!({ "minimum": 0 })
        }
        (_, time) if ["_at", "_time", "_until"].iter().any(|end| time.ends_with(end)) => {
            json!({ "pattern": TIME_OR_NONE })
        }
        _ => json!({}),
    }
}

/// What a field of a request keeps to, beyond its type, and whether it cannot be left out.
pub(super) fn of_request(field: &str) -> (Value, bool) {
    match field {
        "challenge_id" | "goal_id" => (id(), true),
        "goal_ids" => {
            let list =
                json!({ "items": id(), "minItems": 1, "maxItems": MAX_SELECTION, "uniqueItems": true });
            (list, true)
        }
        "count" => (json!({ "minimum": 1, "maximum": MAX_SELECTION }), true),
        "is_active" | "replace_existing" | "exclude_active" => {
            (json!({ "type": ["boolean", "null"], "default": false }), false)
        }
        "active_only" => (json!({ "default": false }), false),
        "page_size" => (json!({ "minimum": 0, "maximum": LARGEST_PAGE, "default": 0 }), false),
        "page_token" => (json!({ "pattern": "^[0-9]{0,15}$", "default": "" }), false),
        _ => (json!({}), false),
    }
}

/// How callers prove who they are.
pub(super) fn security_schemes(ways: &[SignInWay]) -> Map<String, Value> {
    let mut schemes = Map::new();
    for way in ways {
        match way {
            SignInWay::Token => {
                let about = "A token (RS256 or ES256) of the game's issuer; its `sub` is the player. With `--auth jwt`.";
                schemes.insert(
                    "token".into(),
                    json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": about }),
                );
            }
            SignInWay::Mock => {
                let about = "The player's id, believed as it is: for development. With `--auth mock`.";
                schemes.insert(
                    "mockPlayer".into(),
                    json!({ "type": "apiKey", "in": "header", "name": MOCK_USER_HEADER, "description": about }),
                );
                let about = "What the caller may do besides being a player: scopes with blanks between them. With \
                             `--auth mock`.";
                schemes.insert(
                    "mockScope".into(),
                    json!({ "type": "apiKey", "in": "header", "name": MOCK_SCOPE_HEADER, "description": about }),
                );
            }
        }
    }
    schemes
}
