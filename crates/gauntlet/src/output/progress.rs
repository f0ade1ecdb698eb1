//! How far a load run is, or the way through a store: a bar in a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use gauntlet_lab::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use super::Output;

/// Pause between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(10);

/// Shows progress on standard error.
pub(crate) struct LoadProgress {
    output: Output,
    bar: Option<ProgressBar>,
    told: Option<(Instant, &'static str)>,
}

impl LoadProgress {
    /// Nothing is shown yet.
    pub(crate) fn new(output: Output) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(100);
            // With a template that cannot be read the bar would look plain; a test reads it.
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style);
            }
            bar
        });
        Self { output, bar, told: None }
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, progress: &Progress) {
        let text = line(progress);
        if let Some(bar) = &self.bar {
            bar.set_position(percent(progress));
            bar.set_message(text);
            return;
        }
        let due = self.told.is_none_or(|(at, stage)| stage != progress.stage || at.elapsed() >= LINES);
        if due && !progress.stage.is_empty() {
            self.output.note(&text);
            self.told = Some((Instant::now(), progress.stage));
        }
    }

    /// Leaves the terminal as it was.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Shows on standard error how many rows are done.
pub(crate) struct RowsProgress {
    output: Output,
    what: &'static str,
    bar: Option<ProgressBar>,
    told: Instant,
}

impl RowsProgress {
    /// Nothing is shown yet. `what` says what is counted.
    pub(crate) fn new(output: Output, what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(ProgressBar::no_length);
        Self { output, what, bar, told: Instant::now() }
    }

    /// So many are done, of so many if that is known.
    pub(crate) fn show(&mut self, done: u64, of: Option<u64>) {
        let template = if of.is_some() { ROWS_OF } else { ROWS };
        let Some(bar) = &self.bar else {
            if self.told.elapsed() >= LINES {
                let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
                self.output.note(&format!("{done}{of} {}", self.what));
                self.told = Instant::now();
            }
            return;
        };
        if bar.length() != of
            && let Ok(style) = ProgressStyle::with_template(template)
        {
            bar.set_style(style);
        }
        if let Some(of) = of {
            bar.set_length(of);
        }
        bar.set_message(self.what);
        bar.set_position(done);
    }

    /// Leaves the terminal as it was.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

const ROWS_OF: &str = "{bar:30} {pos} of {len} {msg}, {eta} left";
const ROWS: &str = "{spinner} {pos} {msg}, {per_sec}";

const TEMPLATE: &str = "{bar:30} {pos:>3} % {msg}";

fn percent(progress: &Progress) -> u64 {
    let part = match progress.stage {
        "preparing" => f64::from(progress.prepared) / f64::from(progress.to_prepare.max(1)),
        "running" => progress.seconds / progress.of.max(1.0),
        _ => 1.0,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
    let percent = (part.clamp(0.0, 1.0) * 100.0) as u64;
    percent
}

fn line(progress: &Progress) -> String {
    let Progress { prepared, to_prepare, seconds, of, done, failed, undelivered, in_flight, users, .. } =
        progress;
    match progress.stage {
        "preparing" => format!("preparing players: {prepared} of {to_prepare}"),
        "running" => format!(
            "{seconds:.0} of {of:.0} s: {done} calls and events, {failed} failed, {undelivered} undelivered, \
             {in_flight} under way, {users} users"
        ),
        "checking" => "checking the ledger".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_s_template_can_be_read() {
        for template in [TEMPLATE, ROWS, ROWS_OF] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
        let progress = Progress { stage: "running", seconds: 15.0, of: 60.0, done: 7, ..Progress::default() };
        assert_eq!(percent(&progress), 25);
        assert_eq!(
            line(&progress),
            "15 of 60 s: 7 calls and events, 0 failed, 0 undelivered, 0 under way, 0 users"
        );
    }
}
