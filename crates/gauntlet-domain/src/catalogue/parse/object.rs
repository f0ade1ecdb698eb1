//! Objects of a catalogue file: which fields they know, in which spellings, each at most once.

use jsonc_parser::{
    ast::{ObjectProp, Value},
    common::Ranged,
};

use super::{
    fault::{Message, Report},
    path::Path,
    suggest::nearest,
    values::describe,
};

/// The spellings of one field, the newer first. The first one names the field in messages.
pub(super) type Field = &'static [&'static str];

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Entry<'e> {
    pub(super) value: &'e Value<'e>,
    pub(super) path: Path<'e>,
}

impl<'e> Entry<'e> {
    /// The byte offset of the value.
    pub(super) fn offset(&self) -> usize {
        self.value.range().start
    }

    /// Notes that this value is wrong.
    pub(super) fn fault(&self, report: &mut Report<'_>, message: Message) {
        report.add(self.offset(), self.path, message);
    }

    /// Notes that this value is wrong, showing the value.
    pub(super) fn reject(&self, report: &mut Report<'_>, problem: impl Into<String>) {
        self.fault(report, Message::new(problem).found(describe(self.value)));
    }

    /// The items of a list with their places, from 0, or a fault.
    pub(super) fn items(
        &'e self,
        report: &mut Report<'_>,
    ) -> Option<impl Iterator<Item = (usize, Entry<'e>)> + use<'e>> {
        let Value::Array(list) = self.value else {
            self.reject(report, "allowed: a list");
            return None;
        };
        let entries = list.elements.iter().enumerate();
        Some(entries.map(|(index, value)| (index, Entry { value, path: Path::Item(&self.path, index) })))
    }
}

/// An object whose keys have been checked.
pub(super) struct Fields<'e> {
    path: Path<'e>,
    offset: usize,
    /// The first spelling of each field that is there, and the field as it stands.
    present: Vec<(&'static str, &'e ObjectProp<'e>)>,
}

impl<'e> Fields<'e> {
    /// Checks that the value is an object with known keys, each at most once and in one spelling.
    pub(super) fn open(entry: Entry<'e>, known: &[Field], report: &mut Report<'_>) -> Option<Self> {
        let Value::Object(object) = entry.value else {
            entry.reject(report, "allowed: an object");
            return None;
        };
        let mut fields = Self { path: entry.path, offset: entry.offset(), present: Vec::new() };
        for property in &object.properties {
            let key = property.name.as_str();
            let path = Path::Field(&entry.path, key);
            let offset = property.name.range().start;
            let Some(field) = known.iter().find(|field| field.contains(&key)) else {
                report.add(offset, path, unknown(key, known));
                continue;
            };
            match fields.property(field) {
                None => fields.present.push((field[0], property)),
                Some(first) => {
                    let message = repeated(key, first, report);
                    report.add(offset, path, message);
                }
            }
        }
        Some(fields)
    }

    fn property(&self, field: Field) -> Option<&'e ObjectProp<'e>> {
        self.present.iter().find(|(name, _)| *name == field[0]).map(|(_, property)| *property)
    }

    /// The field's value, when it is there.
    pub(super) fn get(&self, field: Field) -> Option<Entry<'_>> {
        let property = self.property(field)?;
        Some(Entry { value: &property.value, path: Path::Field(&self.path, property.name.as_str()) })
    }

    /// The field's value, or a fault that it is missing.
    pub(super) fn need(&self, field: Field, report: &mut Report<'_>) -> Option<Entry<'_>> {
        let entry = self.get(field);
        if entry.is_none() {
            report.add(self.offset, Path::Field(&self.path, field[0]), missing(field));
        }
        entry
    }

    /// Reads a field that must be there; `None` after a fault.
    pub(super) fn required<T>(
        &self,
        field: Field,
        report: &mut Report<'_>,
        read: impl FnOnce(&Entry<'_>, &mut Report<'_>) -> Option<T>,
    ) -> Option<T> {
        let entry = self.need(field, report)?;
        read(&entry, report)
    }

    /// Reads a field that has a default; `None` after a fault.
    pub(super) fn optional<T>(
        &self,
        field: Field,
        default: T,
        report: &mut Report<'_>,
        read: impl FnOnce(&Entry<'_>, &mut Report<'_>) -> Option<T>,
    ) -> Option<T> {
        self.get(field).map_or(Some(default), |entry| read(&entry, report))
    }
}

fn unknown(key: &str, known: &[Field]) -> Message {
    let allowed: Vec<&str> = known.iter().map(|field| field[0]).collect();
    let spellings = known.iter().flat_map(|field| field.iter().copied());
    Message::new(format!("unknown field; allowed: {}", allowed.join(", "))).suggest(nearest(key, spellings))
}

fn missing(field: Field) -> Message {
    Message::new(match field {
        [_, older, ..] => format!("missing; required (older spelling: {older:?})"),
        _ => "missing; required".to_owned(),
    })
}

fn repeated(key: &str, first: &ObjectProp<'_>, report: &Report<'_>) -> Message {
    let line = report.line(first.name.range().start);
    let first_key = first.name.as_str();
    Message::new(if key == first_key {
        format!("written twice; the first is on line {line}")
    } else {
        format!("another spelling of {first_key:?} on line {line}; keep one of them")
    })
}
