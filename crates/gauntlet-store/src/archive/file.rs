//! The file: a line that says what it is, a line for each row, a line that says how many there were.

use std::{
    fmt::Write as _,
    io::{self, BufRead, Write},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Source, Table, Target, row::Row, schema};
use crate::contract::Error;

/// The form of the file.
const FORMAT: u32 = 1;

/// Why a file was not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] Error),
    /// The file could not be written or read.
    #[error("the file cannot be read or written")]
    File(#[from] io::Error),
    /// The store is of another release.
    #[error(
        "the store has the schema of migration {found}, and this release that of {wanted}; run `gauntlet migrate` first, or use the release that wrote it"
    )]
    Schema {
        /// The store's.
        found: i32,
        /// Ours.
        wanted: i32,
    },
    /// The file is of another form or release.
    #[error(
        "the file is of form {form} and schema {schema}; this release reads form {FORMAT} and schema {}",
        super::schema()
    )]
    Release {
        /// Its form.
        form: u32,
        /// Its schema.
        schema: i32,
    },
    /// A line is not what it has to be.
    #[error("line {line}: {problem}")]
    Line {
        /// Counts from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// The last line is missing.
    #[error("the file ends before its last line: it was cut off")]
    CutOff,
    /// The target is not empty.
    #[error("the target has {0} rows already; only an empty store can be filled")]
    NotEmpty(u64),
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    gauntlet_archive: u32,
    schema: i32,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    end: Summary,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// How many rows of each table.
    pub rows: Counts,
    /// The SHA-256 of all lines but the last, with their line ends, in hexadecimal digits.
    pub sha256: String,
}

/// Rows of each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the tables")]
pub struct Counts {
    pub goals: u64,
    pub catalogues: u64,
    pub receipts_since: u64,
    pub players: u64,
    pub receipts: u64,
    pub older_receipts: u64,
    pub grants: u64,
    pub journal: u64,
    pub due: u64,
}

impl Counts {
    /// The count of a table.
    pub const fn of(&mut self, table: Table) -> &mut u64 {
        match table {
            Table::Goals => &mut self.goals,
            Table::Catalogues => &mut self.catalogues,
            Table::ReceiptsSince => &mut self.receipts_since,
            Table::Players => &mut self.players,
            Table::Receipts => &mut self.receipts,
            Table::OlderReceipts => &mut self.older_receipts,
            Table::Grants => &mut self.grants,
            Table::Journal => &mut self.journal,
            Table::Due => &mut self.due,
        }
    }
}

/// Writes all rows of a store. `tell` hears of the rows done and of how many there are.
///
/// # Errors
/// A store that does not answer or has another schema; a file that cannot be written.
pub async fn export(
    source: &mut dyn Source,
    out: &mut (dyn Write + Send),
    tell: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Summary, ArchiveError> {
    let (found, wanted) = (source.schema().await?, schema());
    if found != wanted {
        return Err(ArchiveError::Schema { found, wanted });
    }
    let mut all = 0;
    for table in Table::ALL {
        all += source.count(table).await?;
    }
    let mut sha = Sha256::new();
    let mut rows = Counts::default();
    let mut done = 0;
    let mut text = line(&First { gauntlet_archive: FORMAT, schema: wanted })?;
    for table in Table::ALL {
        let mut last: Option<Row> = None;
        loop {
            let page = source.page(table, last.as_ref()).await?;
            for row in &page {
                text.push_str(&line(row)?);
            }
            sha.update(text.as_bytes());
            out.write_all(text.as_bytes())?;
            text.clear();
            *rows.of(table) += page.len() as u64;
            done += page.len() as u64;
            tell(done, all);
            match page.into_iter().next_back() {
                Some(row) => last = Some(row),
                None => break,
            }
        }
    }
    let summary = Summary { rows, sha256: hexadecimal(&sha.finalize()) };
    out.write_all(line(&Last { end: summary.clone() })?.as_bytes())?;
    out.flush()?;
    Ok(summary)
}

/// Reads a file into an empty store, all of it or nothing. `tell` hears of the rows done.
///
/// # Errors
/// A target that is not empty or does not answer; a file that cannot be read, is of another release, was changed or cut off.
pub async fn import(
    target: Box<dyn Target>,
    file: &mut (dyn BufRead + Send),
    tell: &mut (dyn FnMut(u64) + Send),
) -> Result<Summary, ArchiveError> {
    let mut target = target;
    let found = target.rows().await?;
    if found > 0 {
        return Err(ArchiveError::NotEmpty(found));
    }
    let mut lines = Lines { file, sha: Sha256::new(), number: 0, rows: Counts::default(), last: None };
    lines.first()?;
    let mut batch: Vec<Row> = Vec::new();
    let mut done = 0;
    let summary = loop {
        let next = lines.next()?;
        let full = match (&next, batch.first()) {
            (_, None) => false,
            (Next::Row(row), Some(first)) => {
                row.table() != first.table() || batch.len() >= super::PAGE as usize
            }
            (Next::End(_), Some(_)) => true,
        };
        if full {
            done += batch.len() as u64;
            target.put(std::mem::take(&mut batch)).await?;
            tell(done);
        }
        match next {
            Next::Row(row) => batch.push(*row),
            Next::End(summary) => break summary,
        }
    };
    target.finish().await?;
    Ok(summary)
}

/// What a line is.
enum Next {
    Row(Box<Row>),
    End(Summary),
}

/// The lines of a file, held against its rules.
struct Lines<'a> {
    file: &'a mut (dyn BufRead + Send),
    sha: Sha256,
    number: u64,
    rows: Counts,
    last: Option<Row>,
}

impl Lines<'_> {
    fn read(&mut self) -> Result<String, ArchiveError> {
        let mut text = String::new();
        self.number += 1;
        let read = self.file.read_line(&mut text);
        let read = read.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => self.bad("it is not text"),
            _ => error.into(),
        })?;
        if read == 0 || !text.ends_with('\n') { Err(ArchiveError::CutOff) } else { Ok(text) }
    }

    fn bad(&self, problem: impl Into<String>) -> ArchiveError {
        ArchiveError::Line { line: self.number, problem: problem.into() }
    }

    fn first(&mut self) -> Result<(), ArchiveError> {
        let text = self.read()?;
        let first: First = serde_json::from_str(&text)
            .map_err(|error| self.bad(format!("this is not the beginning of an archive: {error}")))?;
        let (form, found) = (first.gauntlet_archive, first.schema);
        if form != FORMAT || found != schema() {
            return Err(ArchiveError::Release { form, schema: found });
        }
        self.sha.update(text.as_bytes());
        Ok(())
    }

    fn next(&mut self) -> Result<Next, ArchiveError> {
        let text = self.read()?;
        if text.starts_with("{\"end\":") {
            let Last { end } = serde_json::from_str(&text).map_err(|error| self.bad(error.to_string()))?;
            return self.end(end).map(Next::End);
        }
        let row: Row = serde_json::from_str(&text).map_err(|error| self.bad(error.to_string()))?;
        let place = |row: &Row| (row.table(), row.key().0.map(str::to_owned), row.key().1);
        if self.last.as_ref().is_some_and(|last| place(last) >= place(&row)) {
            return Err(self.bad("the rows are not in order, or one stands there twice"));
        }
        self.sha.update(text.as_bytes());
        *self.rows.of(row.table()) += 1;
        self.last = Some(row.clone());
        Ok(Next::Row(Box::new(row)))
    }

    fn end(&mut self, end: Summary) -> Result<Summary, ArchiveError> {
        let found =
            Summary { rows: self.rows, sha256: hexadecimal(&std::mem::take(&mut self.sha).finalize()) };
        if found.rows != end.rows {
            return Err(self.bad(format!("there were {:?}, and there should be {:?}", found.rows, end.rows)));
        }
        if found.sha256 != end.sha256 {
            return Err(self.bad("the checksum differs: the file was changed"));
        }
        Ok(end)
    }
}

fn line(what: &impl Serialize) -> Result<String, io::Error> {
    let mut text = serde_json::to_string(what)?;
    text.push('\n');
    Ok(text)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}
