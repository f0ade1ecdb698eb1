//! The settings file: TOML, one key a setting.

use std::{collections::BTreeMap, path::Path};

use toml::de::{DeTable, DeValue};

use super::{Fault, Source, setting::Setting, suggest::nearest, table, values::Wrong};

/// What a settings file says.
#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    /// The file, as it was named.
    pub(crate) path: String,
    values: BTreeMap<&'static str, (usize, String)>,
}

impl File {
    /// Reads a file from the disk.
    pub(crate) fn read(path: &str) -> Result<Self, Vec<Fault>> {
        let text = std::fs::read_to_string(Path::new(path)).map_err(|error| {
            let wrong = Wrong::because(format!("the settings file cannot be read: {error}"));
            vec![Fault {
                source: Source::File { path: path.to_owned(), line: None, key: None },
                found: None,
                wrong,
            }]
        })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let fault = |offset: Option<usize>, key, wrong| {
            let line = offset.map(|offset| line_of(text, offset));
            Fault { source: Source::File { path: path.to_owned(), line, key }, found: None, wrong }
        };
        let table = DeTable::parse(text).map_err(|error| {
            let offset = error.span().map(|span| span.start);
            vec![fault(offset, None, Wrong::because(format!("not TOML: {}", error.message())))]
        })?;

        let mut file = Self { path: path.to_owned(), values: BTreeMap::new() };
        let mut faults = Vec::new();
        for (key, value) in table.into_inner() {
            let offset = key.span().start;
            let written = key.into_inner();
            let Some(setting) = table::ALL.into_iter().find(|setting| setting.key == written) else {
                faults.push(fault(Some(offset), None, unknown_key(&written)));
                continue;
            };
            if let Some(value) = as_text(value.into_inner()) {
                file.values.insert(setting.key, (line_of(text, offset), value));
            } else {
                let wrong = Wrong::allowed("a text, a number, true or false, or a list of texts");
                faults.push(fault(Some(offset), Some(setting.key), wrong));
            }
        }
        if faults.is_empty() { Ok(file) } else { Err(faults) }
    }

    /// The line and the value of a setting.
    pub(crate) fn get(&self, setting: &Setting) -> Option<(usize, &str)> {
        self.values.get(setting.key).map(|(line, value)| (*line, value.as_str()))
    }
}

/// The line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn unknown_key(written: &str) -> Wrong {
    let keys = || table::ALL.into_iter().map(|setting| setting.key);
    if let Some(key) = nearest(written, keys()) {
        return Wrong::because(format!("unknown key {written:?}")).hint(format!("did you mean {key}?"));
    }
    let known: Vec<_> = keys().collect();
    Wrong::because(format!("unknown key {written:?}; allowed: {}", known.join(", ")))
}

/// A value in the spelling of flags: lists have commas.
fn as_text(value: DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.into_owned()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Boolean(answer) => Some(answer.to_string()),
        DeValue::Array(list) => {
            let items: Option<Vec<String>> = list
                .into_iter()
                .map(|item| match item.into_inner() {
                    DeValue::String(text) => Some(text.into_owned()),
                    _ => None,
                })
                .collect();
            items.map(|items| items.join(","))
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
