//! Messages as JSON Schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    contract::{Contract, Field, Kind, Message},
    words,
};

/// The schemas of all replies of these methods, and of what is in them.
pub(super) fn replies<'a>(contract: &Contract, rpcs: impl Iterator<Item = &'a str>) -> Map<String, Value> {
    let mut open: Vec<String> =
        rpcs.filter_map(|rpc| contract.method(rpc)).map(|method| method.reply.clone()).collect();
    let mut found = BTreeMap::new();
    while let Some(name) = open.pop() {
        let Some(message) = contract.message(&name).filter(|_| !found.contains_key(&name)) else { continue };
        open.extend(message.fields.iter().filter_map(|field| match &field.kind {
            Kind::Message(inner) => Some(inner.clone()),
            _ => None,
        }));
        let schema = reply(&name, message);
        found.insert(name, schema);
    }
    found.into_iter().collect()
}

/// A reply, or a part of one: every field is there.
fn reply(name: &str, message: &Message) -> Value {
    let properties: Map<String, Value> = message
        .fields
        .iter()
        .map(|field| {
            let mut schema = of_field(field);
            if !field.repeated {
                add(&mut schema, words::of_reply(name, &field.name));
            }
            (field.json_name(), described(schema, &field.about))
        })
        .collect();
    let required: Vec<String> = message.fields.iter().map(Field::json_name).collect();
    json!({
        "type": "object",
        "description": message.about,
        "properties": properties,
        "required": required,
    })
}

/// A request's body with these fields of its message, if there are any.
pub(super) fn body<'a>(about: &str, fields: impl Iterator<Item = &'a Field>) -> Option<Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let (schema, needed) = of_request(field);
        properties.insert(field.json_name(), described(schema, &field.about));
        if needed {
            required.push(field.json_name());
        }
    }
    if properties.is_empty() {
        return None;
    }
    let mut schema = json!({ "type": "object", "description": about, "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    Some(schema)
}

/// A field of a request, and whether it cannot be left out.
pub(super) fn of_request(field: &Field) -> (Value, bool) {
    let mut schema = of_field(field);
    let (more, required) = words::of_request(&field.name);
    add(&mut schema, more);
    (schema, required)
}

fn of_field(field: &Field) -> Value {
    let one = match &field.kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Int32 => json!({ "type": "integer", "format": "int32" }),
        Kind::Uint32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Kind::Text => json!({ "type": "string" }),
        Kind::Message(name) => json!({ "$ref": format!("#/components/schemas/{name}") }),
        Kind::Unknown => json!({}),
    };
    if field.repeated { json!({ "type": "array", "items": one }) } else { one }
}

fn described(mut schema: Value, about: &str) -> Value {
    if let Value::Object(fields) = &mut schema {
        fields.entry("description").or_insert_with(|| about.into());
    }
    schema
}

fn add(schema: &mut Value, more: Value) {
    if let (Value::Object(schema), Value::Object(more)) = (schema, more) {
        schema.extend(more);
    }
}
