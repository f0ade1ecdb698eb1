//! Calls in flight on one connection: numbered in the order in which they begin, ended in any.

use std::collections::VecDeque;

/// A call that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flight {
    /// When it began, or was meant to begin, in nanoseconds of the run.
    pub(super) started: u64,
    /// Which sort of call it is.
    pub(super) kind: usize,
    /// Whether it is counted.
    pub(super) counted: bool,
}

/// The calls of one connection.
#[derive(Debug, Default)]
pub(super) struct Flights {
    /// The number of the first in `ring`.
    base: u64,
    ring: VecDeque<Option<Flight>>,
    open: usize,
}

impl Flights {
    /// Calls that have not ended.
    pub(super) const fn open(&self) -> usize {
        self.open
    }

    /// Notes a call that begins.
    pub(super) fn begin(&mut self, flight: Flight) {
        self.ring.push_back(Some(flight));
        self.open += 1;
    }

    /// Ends the call with this number; `None`: there is no such call.
    pub(super) fn end(&mut self, number: u64) -> Option<Flight> {
        let at = usize::try_from(number.checked_sub(self.base)?).ok()?;
        let flight = self.ring.get_mut(at)?.take()?;
        self.open -= 1;
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.base += 1;
        }
        Some(flight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_end_in_any_order_and_once() {
        let mut flights = Flights::default();
        let flight = |started| Flight { started, kind: 0, counted: true };
        for started in 0..4 {
            flights.begin(flight(started));
        }
        for number in [2, 0, 1] {
            assert_eq!(flights.end(number), Some(flight(number)));
            assert_eq!(flights.end(number), None);
        }
        flights.begin(flight(4));
        assert_eq!((flights.end(4), flights.end(3)), (Some(flight(4)), Some(flight(3))));
        assert_eq!((flights.end(5), flights.open()), (None, 0));
    }
}
