//! Everything that the program says: data to standard output, all else to standard error.
//!
//! The only module that prints. Logs of a running service go their own way (`logging`).

mod progress;

use std::{
    error::Error,
    fmt::Display,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
};

use serde::Serialize;

pub(crate) use progress::{LoadProgress, RowsProgress};

use crate::settings::Fault;

/// Why a command ended without doing what it was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    messages: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    /// A failure with one message.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { messages: vec![message.into()], hints: Vec::new() }
    }

    /// A failure of something that was being done, with all causes of the error.
    pub(crate) fn caused(doing: impl Display, error: &dyn Error) -> Self {
        Self::new(format!("{doing}: {}", chain(error)))
    }

    /// Adds what the user may do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<Vec<Fault>> for Failure {
    fn from(faults: Vec<Fault>) -> Self {
        let mut hints: Vec<String> = Vec::new();
        for fault in &faults {
            if let Some(hint) = &fault.wrong.hint {
                // With several faults a hint alone would not say which one it is about.
                hints.push(if faults.len() == 1 {
                    hint.clone()
                } else {
                    format!("{}: {hint}", fault.source)
                });
            }
        }
        Self { messages: faults.iter().map(ToString::to_string).collect(), hints }
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some libraries print their cause themselves.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}

/// Rows in columns that are as wide as their widest cell; each row a line.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default());
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Where the program's words go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    colour: bool,
}

impl Output {
    /// Colours only for a terminal, and only when they are wanted.
    pub(crate) fn new(no_colour: bool) -> Self {
        Self { colour: !no_colour && io::stderr().is_terminal() }
    }

    /// Whether standard error takes colours.
    pub(crate) const fn colour(self) -> bool {
        self.colour
    }

    /// Writes what the user asked for.
    #[expect(clippy::unused_self, reason = "all words go through the output that commands are given")]
    pub(crate) fn data(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // The reader has seen enough, as `head` does: not our failure.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::caused("cannot write to standard output", &error)),
            Ok(()) => Ok(()),
        }
    }

    /// Writes what the user asked for as JSON, on lines of its own.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.data(&(text + "\n")),
            Err(error) => Err(Failure::caused("cannot write the answer as JSON", &error)),
        }
    }

    /// Says what clap makes of a command line that is not a command; answers whether that is what
    /// was asked for. Help and version go to standard output, errors to standard error: clap knows
    /// which is which, and about colours.
    #[expect(clippy::unused_self, reason = "all words go through the output that commands are given")]
    pub(crate) fn usage(self, error: &clap::Error) -> bool {
        error.print().is_ok() && !error.use_stderr()
    }

    /// Says something that is not what the user asked for.
    pub(crate) fn note(self, text: &str) {
        self.line("", "", text);
    }

    /// Warns.
    pub(crate) fn warning(self, text: &str) {
        self.line("\x1b[1;33m", "warning: ", text);
    }

    /// Says why it failed, and what to do.
    pub(crate) fn failure(self, failure: &Failure) {
        for message in &failure.messages {
            self.line("\x1b[1;31m", "error: ", message);
        }
        for hint in &failure.hints {
            self.line("\x1b[1;36m", "hint: ", hint);
        }
    }

    fn line(self, colour: &str, label: &str, text: &str) {
        let (start, end) = if self.colour && !label.is_empty() { (colour, "\x1b[0m") } else { ("", "") };
        // Nobody is left to tell when standard error is gone.
        _ = writeln!(io::stderr().lock(), "{start}{label}{end}{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no database")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_are_told_once() {
        let refused = io::Error::from(ErrorKind::ConnectionRefused);
        assert_eq!(chain(&Outer(refused)), "no database: connection refused");
        let failure = Failure::caused("migrate", &Outer(io::Error::other("gone"))).hint("start it");
        assert_eq!(failure.messages, ["migrate: no database: gone"]);
        assert_eq!(failure.hints, ["start it"]);
    }
}
