//! What is measured: one module for each sort of work.

mod browse;
mod catalogue;
mod document;
mod events;
mod latency;
mod memory;
mod million;
mod overload;
mod select;
mod stream;
mod unused;

use clap::ValueEnum;

use crate::{Result, bench::Bench, report::Report};

/// A sort of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Events acknowledged after their commit, 500 calls in flight.
    Events,
    /// Events on one long call, 2,000 in flight.
    Stream,
    /// How long an event takes at 500 a second.
    Latency,
    /// Events that change nothing.
    Unused,
    /// What the size of the catalogue costs an event, in instructions.
    Catalogue,
    /// Browsing 500 goals, polling, starting a session.
    Browse,
    /// Selections and claims at 300 a second.
    Select,
    /// Resident memory.
    Memory,
    /// The size of the live document, and what many active goals cost.
    Document,
    /// A million stored players.
    Million,
    /// From half of what the service can do to five times as much, and back.
    Overload,
}

/// All, in the order in which they are measured.
pub(crate) const ALL: &[Work] = &[
    Work::Events,
    Work::Stream,
    Work::Latency,
    Work::Unused,
    Work::Catalogue,
    Work::Browse,
    Work::Select,
    Work::Memory,
    Work::Document,
    Work::Million,
    Work::Overload,
];

impl Work {
    /// As `--only` takes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Stream => "stream",
            Self::Latency => "latency",
            Self::Unused => "unused",
            Self::Catalogue => "catalogue",
            Self::Browse => "browse",
            Self::Select => "select",
            Self::Memory => "memory",
            Self::Document => "document",
            Self::Million => "million",
            Self::Overload => "overload",
        }
    }

    /// Measures it and adds its rows.
    pub(crate) fn measure(self, bench: &Bench, report: &mut Report) -> Result<()> {
        match self {
            Self::Events => events::measure(bench, report),
            Self::Stream => stream::measure(bench, report),
            Self::Latency => latency::measure(bench, report),
            Self::Unused => unused::measure(bench, report),
            Self::Catalogue => catalogue::measure(bench, report),
            Self::Browse => browse::measure(bench, report),
            Self::Select => select::measure(bench, report),
            Self::Memory => memory::measure(bench, report),
            Self::Document => document::measure(bench, report),
            Self::Million => million::measure(bench, report),
            Self::Overload => overload::measure(bench, report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_out() {
        let names: Vec<_> = Work::value_variants().iter().map(|work| work.name().to_owned()).collect();
        let taken: Vec<_> = Work::value_variants()
            .iter()
            .filter_map(|work| work.to_possible_value().map(|value| value.get_name().to_owned()))
            .collect();
        assert_eq!((names.len(), &names), (ALL.len(), &taken));
    }
}
