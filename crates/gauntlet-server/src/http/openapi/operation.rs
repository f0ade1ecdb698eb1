//! One operation: parameters, body, answers.

use serde_json::{Map, Value, json};

use super::{
    Examples, Operation, SignInWay,
    contract::{Contract, Field, Method as Rpc},
    refusals, schemas, words,
};
use crate::{
    admission::GRPC_TIMEOUT,
    http::{
        observe,
        routes::{Shows, Who},
    },
};

/// The operation as an object of OpenAPI.
pub(super) fn describe(
    operation: &Operation,
    contract: &Contract,
    examples: &Examples,
    ways: &[SignInWay],
) -> Value {
    let Some(rpc) = contract.method(operation.rpc) else { return Value::Null };
    let example = examples.calls.get(operation.rpc).cloned().unwrap_or_default();
    let class = observe::class(operation.path, &operation.method);
    let mut described = json!({
        "operationId": operation_id(operation.rpc),
        "tags": [words::tag(class, operation.who == Who::Anybody)],
        "summary": summary(&rpc.about),
        "description": format!("{} gRPC: `service.Service/{}`.", rpc.about, operation.rpc),
        "responses": responses(operation, rpc, &example),
        "security": security(operation.who, ways),
    });
    let fields = contract.message(&rpc.request).map(|message| message.fields.as_slice()).unwrap_or_default();
    let mut parameters = parameters(operation, fields, &example);
    if class.is_some() {
        parameters.push(json!({ "in": "header", "name": GRPC_TIMEOUT.as_str(), "required": false,
            "description": "How long the caller waits at most: a number of up to 8 digits and one of H, M, S, m, u, n \
                            (hours to nanoseconds). Anything else is skipped.",
            "schema": { "type": "string" }, "example": "5S" }));
    }
    if !parameters.is_empty() {
        described["parameters"] = json!(parameters);
    }
    let left = fields.iter().filter(|field| !is_in_path(operation, field));
    if !is_read(operation)
        && let Some(schema) = schemas::body(words::ABOUT_BODIES, left)
    {
        let required = schema.get("required").is_some();
        let mut content = json!({ "schema": schema });
        if example["body"].is_object() {
            content["example"] = example["body"].clone();
        }
        described["requestBody"] =
            json!({ "required": required, "content": { "application/json": content } });
    }
    described
}

fn operation_id(rpc: &str) -> String {
    let mut letters = rpc.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// The first sentence, without its full stop.
fn summary(about: &str) -> &str {
    about.split_once(". ").map_or(about, |(first, _)| first).trim_end_matches('.')
}

fn is_read(operation: &Operation) -> bool {
    operation.method == axum::http::Method::GET
}

fn is_in_path(operation: &Operation, field: &Field) -> bool {
    operation.path.contains(&format!("{{{}}}", field.name))
}

/// What stands in the path, in the query of a read, and in headers.
fn parameters(operation: &Operation, fields: &[Field], example: &Value) -> Vec<Value> {
    let mut parameters = Vec::new();
    for field in fields {
        let in_path = is_in_path(operation, field);
        if !in_path && !is_read(operation) {
            continue;
        }
        let (schema, required) = schemas::of_request(field);
        let place = if in_path { "path" } else { "query" };
        let mut parameter = json!({ "in": place, "name": field.name, "required": in_path && required,
            "description": field.about, "schema": schema });
        if !example[place][&field.name].is_null() {
            parameter["example"] = example[place][&field.name].clone();
        }
        parameters.push(parameter);
    }
    if operation.shows == Shows::Tagged {
        parameters.push(json!({ "in": "header", "name": "If-None-Match", "required": false,
            "description": "The `ETag` of the reply that the caller has; unchanged is answered 304.",
            "schema": { "type": "string" } }));
        parameters.push(json!({ "in": "header", "name": "Accept-Encoding", "required": false,
            "description": "Replies over 1 KB are compressed with zstd, br or gzip for callers who take that.",
            "schema": { "type": "string" } }));
    }
    parameters
}

fn responses(operation: &Operation, rpc: &Rpc, example: &Value) -> Map<String, Value> {
    let mut headers = common_headers();
    let mut refer = |name: &str, component: &str| {
        headers.insert(name.to_owned(), json!({ "$ref": format!("#/components/headers/{component}") }));
    };
    if operation.shows != Shows::Nothing {
        refer("X-Catalogue-Version", "CatalogueVersion");
    }
    if operation.shows == Shows::Tagged {
        refer("ETag", "ETag");
        refer("Vary", "Vary");
    }
    let not_modified = headers.clone();
    if operation.shows == Shows::Tagged {
        headers.insert("Content-Encoding".into(), json!({ "$ref": "#/components/headers/ContentEncoding" }));
    }
    let mut content = json!({ "schema": { "$ref": format!("#/components/schemas/{}", rpc.reply) } });
    if !example["reply"].is_null() {
        content["example"] = example["reply"].clone();
    }
    let mut responses = Map::new();
    responses.insert(
        "200".into(),
        json!({ "description": "Done.", "headers": headers, "content": { "application/json": content } }),
    );
    if operation.shows == Shows::Tagged {
        let about = "The caller has it already: nothing has changed since `If-None-Match`.";
        responses.insert("304".into(), json!({ "description": about, "headers": not_modified }));
    }
    for (status, reasons) in refusals::by_status(operation) {
        responses.insert(status.to_string(), refusals::response(&reasons));
    }
    responses
}

/// What has to be proven: one of these.
fn security(who: Who, ways: &[SignInWay]) -> Vec<Value> {
    ways.iter()
        .filter_map(|way| match (who, way) {
            (Who::Anybody, _) => None,
            (Who::Player, SignInWay::Token) => Some(json!({ "token": [] })),
            (Who::Player, SignInWay::Mock) => Some(json!({ "mockPlayer": [] })),
            (Who::Administrator(permission), SignInWay::Token) => {
                Some(json!({ "token": [permission.scope] }))
            }
            (Who::Administrator(permission), SignInWay::Mock) => {
                Some(json!({ "mockPlayer": [], "mockScope": [permission.scope] }))
            }
        })
        .collect()
}

/// Headers of every answer.
pub(super) fn common_headers() -> Map<String, Value> {
    let mut headers = Map::new();
    headers.insert("X-Request-Id".into(), json!({ "$ref": "#/components/headers/RequestId" }));
    headers.insert("Cache-Control".into(), json!({ "$ref": "#/components/headers/CacheControl" }));
    headers
}

/// The headers that answers refer to.
pub(super) fn headers() -> Value {
    let header = |about: &str, required: bool, schema: Value| json!({ "description": about, "required": required, "schema": schema });
    let text = || json!({ "type": "string" });
    json!({
        "RequestId": header(
            "The request's id in the server's log: the caller's own of up to 128 printable characters, sent in the \
             same header, or one of the server's.",
            true,
            text(),
        ),
        "CacheControl": header(
            "`private, no-cache` for replies with a tag, else `no-store`: replies are one player's own.",
            true,
            text(),
        ),
        "CatalogueVersion": header("The version of the catalogue that the reply shows.", true, json!({ "type": "integer", "minimum": 1 })),
        "ETag": header(
            "What the reply shows, but for `expiresInSeconds`, which ages by itself: send it back as `If-None-Match`.",
            true,
            json!({ "type": "string", "pattern": "^W/\"[^\"]+\"$" }),
        ),
        "Vary": header("The request's headers that decide what the reply is.", true, text()),
        "ContentEncoding": header("How the body is compressed.", false, json!({ "enum": ["zstd", "br", "gzip"] })),
        "RetryAfter": header("Seconds to wait before asking again.", false, json!({ "type": "integer", "minimum": 1 })),
        "WWWAuthenticate": header("Which credentials are wanted.", true, json!({ "type": "string", "const": "Bearer" })),
    })
}
