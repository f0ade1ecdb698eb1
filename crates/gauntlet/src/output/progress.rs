//! How far a load run is: a bar in a terminal, a line now and then elsewhere.

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
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
        let progress = Progress { stage: "running", seconds: 15.0, of: 60.0, done: 7, ..Progress::default() };
        assert_eq!(percent(&progress), 25);
        assert_eq!(
            line(&progress),
            "15 of 60 s: 7 calls and events, 0 failed, 0 undelivered, 0 under way, 0 users"
        );
    }
}
