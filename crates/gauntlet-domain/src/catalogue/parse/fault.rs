//! Faults: what is wrong in a catalogue file, and where.

use std::fmt;

use super::path::Path;

/// Most faults that one [`Faults`] lists; more are counted and not shown, so that a file that is
/// wrong from end to end cannot fill the memory.
pub const MAX_FAULTS: usize = 1_000;

/// One thing that is wrong in a catalogue file.
///
/// Shown as `12:9 challenges[0].goals[3].type: found "abslute"; allowed: absolute, increment,
/// daily; did you mean "absolute"?`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in the line, from 1, in Unicode code points.
    pub column: usize,
    /// Where in the document, in the spelling of the file: `challenges[0].goals[3].type`. Empty
    /// when the fault is the file's as a whole.
    pub path: String,
    /// What stands there, as JSON and shortened; `None` when something is missing or unwanted.
    pub found: Option<String>,
    /// What is wrong, or what is allowed.
    pub problem: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        f.write_str(": ")?;
        if let Some(found) = &self.found {
            write!(f, "found {found}; ")?;
        }
        f.write_str(&self.problem)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean {suggestion:?}?")?;
        }
        Ok(())
    }
}

/// Everything that is wrong in a catalogue file: at least one fault, in the order of the file.
///
/// Shown as one line for each fault and the number of faults at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    listed: Vec<Fault>,
    unlisted: usize,
}

impl Faults {
    /// The faults, in the order of the file; at most [`MAX_FAULTS`].
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.listed
    }

    /// How many faults the file has, those beyond [`MAX_FAULTS`] included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.listed.len() + self.unlisted
    }

    /// Shows the faults with the name of the file in front of every line, as compilers do:
    /// `catalogue.json:12:9 challenges[0]...`.
    #[must_use]
    pub fn in_file<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        InFile { faults: self, file }
    }
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_faults(self, None, f)
    }
}

/// [`Faults`] with the name of their file.
struct InFile<'a> {
    faults: &'a Faults,
    file: &'a str,
}

impl fmt::Display for InFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_faults(self.faults, Some(self.file), f)
    }
}

fn write_faults(faults: &Faults, file: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for fault in &faults.listed {
        if let Some(file) = file {
            write!(f, "{file}:")?;
        }
        writeln!(f, "{fault}")?;
    }
    let count = faults.count();
    write!(f, "{count} fault{}", if count == 1 { "" } else { "s" })?;
    if faults.unlisted > 0 {
        write!(f, ", the first {} shown", faults.listed.len())?;
    }
    Ok(())
}

/// What a fault says, without where it is.
#[derive(Debug)]
pub(super) struct Message {
    found: Option<String>,
    problem: String,
    suggestion: Option<String>,
}

impl Message {
    /// A message that only says what is wrong.
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self { found: None, problem: problem.into(), suggestion: None }
    }

    /// Adds what stands in the file.
    pub(super) fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Adds what was probably meant, if that is known.
    pub(super) fn suggest(mut self, suggestion: Option<&str>) -> Self {
        self.suggestion = suggestion.map(str::to_owned);
        self
    }
}

/// Gathers faults by their byte offset while the file is read.
#[derive(Debug)]
pub(super) struct Report<'t> {
    text: &'t str,
    /// The offset of the first byte of every line.
    lines: Vec<usize>,
    noted: Vec<(usize, String, Message)>,
    unlisted: usize,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(after_breaks).collect();
        Self { text, lines, noted: Vec::new(), unlisted: 0 }
    }

    /// Notes a fault at a byte offset of the text.
    pub(super) fn add(&mut self, offset: usize, path: Path<'_>, message: Message) {
        if self.noted.len() < MAX_FAULTS {
            self.noted.push((offset, path.to_string(), message));
        } else {
            self.unlisted += 1;
        }
    }

    /// The line of a byte offset, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).max(1)
    }

    /// The byte offset of a line and a byte column, both from 1, as other parsers report them.
    pub(super) fn offset(&self, line: usize, byte_column: usize) -> usize {
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        (start + byte_column.saturating_sub(1)).min(self.text.len())
    }

    /// The faults in the order of the file, or `None` when there are none.
    pub(super) fn finish(mut self) -> Option<Faults> {
        if self.noted.is_empty() {
            return None;
        }
        let mut noted = std::mem::take(&mut self.noted);
        noted.sort_by_key(|(offset, ..)| *offset);
        // A file may be one long line, so columns are counted once over the text, not once a fault.
        let mut counted = Position { line: 0, offset: 0, column: 0 };
        let mut listed = Vec::with_capacity(noted.len());
        for (offset, path, message) in noted {
            counted = self.advance(counted, offset);
            let Message { found, problem, suggestion } = message;
            listed.push(Fault {
                line: counted.line,
                column: counted.column,
                path,
                found,
                problem,
                suggestion,
            });
        }
        Some(Faults { listed, unlisted: self.unlisted })
    }

    fn advance(&self, from: Position, offset: usize) -> Position {
        let line = self.line(offset);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let (from, column) = if line == from.line { (from.offset, from.column) } else { (start, 1) };
        let passed = self.text.as_bytes().get(from..offset).unwrap_or_default();
        // A code point begins at every byte that does not continue one.
        let code_points = passed.iter().filter(|byte| !matches!(byte, 0x80..=0xBF)).count();
        Position { line, offset: offset.max(from), column: column + code_points }
    }
}

/// A byte offset with its line and column.
#[derive(Debug, Clone, Copy)]
struct Position {
    line: usize,
    offset: usize,
    column: usize,
}
