//! The player API's messages and methods with their comments, as the proto file has them.

use std::collections::BTreeMap;

use gauntlet_proto::DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// The package of the player API.
const PACKAGE: &str = "service";

/// All of it, by name without the package.
#[derive(Debug, Default)]
pub(super) struct Contract {
    messages: BTreeMap<String, Message>,
    methods: BTreeMap<String, Method>,
}

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) about: String,
    pub(super) fields: Vec<Field>,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    /// In `snake_case`.
    pub(super) name: String,
    pub(super) about: String,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
}

/// What a field holds; those that the player API uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int32,
    Uint32,
    Text,
    Message(String),
    Unknown,
}

/// A method.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) about: String,
    pub(super) request: String,
    pub(super) reply: String,
}

impl Contract {
    /// From the descriptors in the binary. Tests hold that nothing is missing.
    pub(super) fn read() -> Self {
        let set = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap_or_default();
        let file = set.file.iter().find(|file| file.package() == PACKAGE && !file.service.is_empty());
        file.map(Self::of).unwrap_or_default()
    }

    fn of(file: &FileDescriptorProto) -> Self {
        let comments = Comments::of(file);
        let messages = file
            .message_type
            .iter()
            .zip(0..)
            .map(|(message, at)| (message.name().to_owned(), Message::of(message, &comments, at)));
        let methods = file.service.iter().zip(0..).flat_map(|(service, service_at)| {
            let comments = &comments;
            service.method.iter().zip(0..).map(move |(method, at)| {
                let about = comments.at(&[6, service_at, 2, at]);
                let (request, reply) = (short(method.input_type()), short(method.output_type()));
                (method.name().to_owned(), Method { about, request, reply })
            })
        });
        Self { messages: messages.collect(), methods: methods.collect() }
    }

    /// A message, by its name.
    pub(super) fn message(&self, name: &str) -> Option<&Message> {
        self.messages.get(name)
    }

    /// A method, by its name.
    pub(super) fn method(&self, name: &str) -> Option<&Method> {
        self.methods.get(name)
    }
}

impl Message {
    fn of(message: &DescriptorProto, comments: &Comments, at: i32) -> Self {
        let fields = message.field.iter().zip(0..);
        let fields = fields.map(|(field, field_at)| Field::of(field, comments.at(&[4, at, 2, field_at])));
        Self { about: comments.at(&[4, at]), fields: fields.collect() }
    }
}

impl Field {
    fn of(field: &FieldDescriptorProto, about: String) -> Self {
        let kind = match field.r#type() {
            Type::Bool => Kind::Bool,
            Type::Int32 => Kind::Int32,
            Type::Uint32 => Kind::Uint32,
            Type::String => Kind::Text,
            Type::Message => Kind::Message(short(field.type_name())),
            _ => Kind::Unknown,
        };
        Self { name: field.name().to_owned(), about, kind, repeated: field.label() == Label::Repeated }
    }

    /// The name as JSON has it.
    pub(super) fn json_name(&self) -> String {
        lower_camel(&self.name)
    }
}

/// Comments by where they stand: field numbers and indices of the descriptor.
struct Comments(BTreeMap<Vec<i32>, String>);

impl Comments {
    fn of(file: &FileDescriptorProto) -> Self {
        let places = file.source_code_info.iter().flat_map(|info| &info.location);
        let comments = places.map(|place| (place.path.clone(), one_line(place.leading_comments())));
        Self(comments.collect())
    }

    fn at(&self, path: &[i32]) -> String {
        self.0.get(path).cloned().unwrap_or_default()
    }
}

fn one_line(comment: &str) -> String {
    comment.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A full name without its package.
fn short(name: &str) -> String {
    name.rsplit('.').next().unwrap_or_default().to_owned()
}

fn lower_camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_read_and_explained() {
        let contract = Contract::read();
        assert!(contract.methods.len() >= 12, "{:?}", contract.methods.keys());
        for (name, method) in &contract.methods {
            assert!(!method.about.is_empty(), "{name}");
            assert!(contract.message(&method.request).is_some(), "{name}");
            assert!(contract.message(&method.reply).is_some(), "{name}");
        }
        for (name, message) in &contract.messages {
            assert!(!message.about.is_empty(), "{name}");
            for field in &message.fields {
                assert!(!field.about.is_empty(), "{name}.{}", field.name);
                assert_ne!(field.kind, Kind::Unknown, "{name}.{}", field.name);
            }
        }
    }

    #[test]
    fn names_are_spelled_as_the_replies_spell_them() {
        for (name, camel) in [("expires_in_seconds", "expiresInSeconds"), ("goals", "goals")] {
            assert_eq!(lower_camel(name), camel);
        }
    }
}
