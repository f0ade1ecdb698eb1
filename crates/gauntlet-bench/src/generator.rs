//! The load generator: one thread, sockets that do not block, requests put together from prepared
//! bytes. It shares two cores with what it measures, so every microsecond that it saves is one
//! that the server can be seen to use; a client made for programs costs more than the servers
//! under test. What it does cost is measured like everything else and reported.
//!
//! - **Closed** load keeps a number of calls in flight: it finds the rate at saturation.
//! - **Open** load begins calls by the clock, whatever the server does, and takes times from the
//!   moment a call was meant to begin: a server that stalls is charged for all that it delayed.
//! - **Flood** is an open load beyond what the server can do: refusals are counted, and what is
//!   answered after its end is not.

mod connection;
mod flights;
mod frames;
mod get;
mod h1;
mod h2;
mod hpack;
mod stream;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{Failure, Result};
use connection::Connection;
use flights::Flight;

/// How calls are put on a connection, and answers taken off it.
trait Wire: Send {
    /// Appends what comes before the first call.
    fn hello(&mut self, out: &mut Vec<u8>);

    /// Whether flow control lets this call begin.
    fn has_room(&self, call: &Call<'_>) -> bool;

    /// Begins a call: the next number, counted from 0.
    fn begin(&mut self, call: &Call<'_>, out: &mut Vec<u8>);

    /// Appends what `begin` has kept back to send it together.
    fn flush(&mut self, _out: &mut Vec<u8>) {}

    /// Takes received bytes; answers how many of them are done with.
    ///
    /// # Errors
    /// A call that did not go well, or a peer that breaks the protocol: either spoils the figures.
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>, answers: &mut Vec<Answer>) -> Result<usize>;
}

/// A call that was answered.
#[derive(Debug, Clone, Copy)]
struct Answer {
    number: u64,
    /// For want of room, and not well.
    refused: bool,
}

/// What to call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// Which sort of call it is, for figures of its own; smaller than [`Plan::kinds`].
    pub(crate) kind: usize,
    /// Which of the paths of [`Protocol::Grpc`].
    pub(crate) path: usize,
    /// The player who calls, for gRPC; empty: nobody.
    pub(crate) player: &'a [u8],
    /// The encoded message, or the whole request over HTTP/1.
    pub(crate) body: &'a [u8],
}

/// Where calls come from.
pub(crate) trait Source {
    /// The next call.
    fn next(&mut self) -> Call<'_>;
}

/// What is spoken.
#[derive(Debug, Clone)]
pub(crate) enum Protocol {
    /// Unary gRPC calls of these paths.
    Grpc(Vec<String>),
    /// Messages on one call of this path for each connection.
    Publish(String),
    /// HTTP/1.1; every answer must have this status.
    Http1(u16),
    /// GET requests of this path over HTTP/2.
    Get(String),
}

impl Protocol {
    fn wire(&self, refusals: bool) -> Box<dyn Wire> {
        match self {
            Self::Grpc(paths) => Box::new(h2::Unary::new(paths, refusals)),
            Self::Publish(path) => Box::new(stream::Publish::new(path)),
            Self::Http1(status) => Box::new(h1::Http1::new(*status, refusals)),
            Self::Get(path) => Box::new(get::Get::new(path, refusals)),
        }
    }
}

/// How hard to press.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pressure {
    /// So many calls in flight on each connection.
    Closed(usize),
    /// So many calls a second over all connections.
    Open(f64),
    /// The same without patience: a call that finds so many of every connection unanswered is not
    /// sent, refusals are answers, and what is answered when the time is over does not count.
    Flood { rate: f64, most: usize },
    /// Every connection makes so many calls one after another, then it is over: nothing is warmed
    /// up and everything is counted.
    Count(usize),
}

/// A load.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    pub(crate) connections: usize,
    pub(crate) pressure: Pressure,
    /// Not counted.
    pub(crate) warm_up: Duration,
    /// Counted.
    pub(crate) length: Duration,
    /// How many sorts of calls there are.
    pub(crate) kinds: usize,
}

/// What a load saw.
#[derive(Debug)]
pub(crate) struct Outcome<U> {
    /// Calls that went well and were counted.
    pub(crate) calls: u64,
    /// Calls that were refused, and those that were not sent; of a flood only.
    pub(crate) refused: u64,
    pub(crate) unsent: u64,
    /// How long they took together.
    pub(crate) seconds: f64,
    /// Microseconds from the (intended) start to the answer, by sort of call.
    pub(crate) times: Vec<Histogram<u64>>,
    /// Longest time without any answer, in milliseconds.
    pub(crate) longest_gap: f64,
    /// What `sample` gave at the beginning and at the end of the counted time.
    pub(crate) samples: (U, U),
}

/// An empty histogram of microseconds.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

/// How long answers may be waited for after the last call has begun, and how long nothing at all
/// may happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a load. `sample` is asked when the counted time begins and when it ends.
///
/// # Errors
/// Any call that does not go well, and servers that do not answer.
pub(crate) fn run<U>(
    plan: &Plan,
    source: &mut dyn Source,
    sample: &mut dyn FnMut() -> Result<U>,
) -> Result<Outcome<U>> {
    let refusals = matches!(plan.pressure, Pressure::Flood { .. });
    let connections = (0..plan.connections)
        .map(|_| Connection::open(plan.address, plan.protocol.wire(refusals)))
        .collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    let warm_up = if let Pressure::Count(_) = plan.pressure { Duration::ZERO } else { plan.warm_up };
    let mut load = Load {
        plan,
        connections,
        begun,
        opens: nanos(warm_up),
        closes: nanos(warm_up + plan.length),
        times: (0..plan.kinds).map(|_| histogram()).collect::<Result<_>>()?,
        calls: 0,
        refused: 0,
        unsent: 0,
        planned: 0,
        last_answer: 0,
        longest_gap: 0,
        answers: Vec::new(),
    };
    load.run(source, sample)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

struct Load<'a> {
    plan: &'a Plan,
    connections: Vec<Connection>,
    begun: Instant,
    /// When the counted time begins and ends, in nanoseconds of the run.
    opens: u64,
    closes: u64,
    times: Vec<Histogram<u64>>,
    calls: u64,
    refused: u64,
    unsent: u64,
    /// Calls begun, for an open load.
    planned: u64,
    last_answer: u64,
    longest_gap: u64,
    answers: Vec<Answer>,
}

impl Load<'_> {
    fn run<U>(
        &mut self,
        source: &mut dyn Source,
        sample: &mut dyn FnMut() -> Result<U>,
    ) -> Result<Outcome<U>> {
        let (mut before, mut after) = (None, None);
        loop {
            let now = self.now();
            if before.is_none() && now >= self.opens {
                before = Some((sample()?, self.now()));
                self.last_answer = self.now();
            }
            let over = self.over(now);
            if after.is_none() && over {
                after = Some((sample()?, now));
            }
            if !over {
                self.begin_calls(source)?;
            }
            let open: usize = self.connections.iter().map(Connection::open_calls).sum();
            if over && open == 0 {
                break;
            }
            if now > self.closes.max(self.last_answer) + nanos(PATIENCE) {
                return Err(format!("{open} calls were not answered within {PATIENCE:?}").into());
            }
            self.wait(over)?;
            self.take_answers(over)?;
        }
        let (Some((first, from)), Some((last, until))) = (before, after) else {
            return Err("the load ended before it began".into());
        };
        let seconds = Duration::from_nanos(until - from).as_secs_f64();
        let times = std::mem::take(&mut self.times);
        #[expect(clippy::cast_precision_loss, reason = "a time for people")]
        let longest_gap = self.longest_gap as f64 / 1e6;
        let (calls, refused, unsent) = (self.calls, self.refused, self.unsent);
        Ok(Outcome { calls, refused, unsent, seconds, times, longest_gap, samples: (first, last) })
    }

    fn now(&self) -> u64 {
        nanos(self.begun.elapsed())
    }

    /// Whether no more calls begin.
    fn over(&self, now: u64) -> bool {
        match self.plan.pressure {
            Pressure::Count(each) => self.planned >= (each * self.plan.connections) as u64,
            // What was planned begins, however late the generator is.
            Pressure::Open(rate) => now >= self.closes && due(self.planned, rate) >= self.closes,
            Pressure::Closed(_) | Pressure::Flood { .. } => now >= self.closes,
        }
    }

    /// Begins all calls that are due and writes them.
    fn begin_calls(&mut self, source: &mut dyn Source) -> Result<()> {
        match self.plan.pressure {
            Pressure::Closed(streams) => self.fill(source, streams, u64::MAX),
            Pressure::Count(each) => self.fill(source, 1, (each * self.plan.connections) as u64),
            Pressure::Open(rate) => self.begin_due(source, rate),
            Pressure::Flood { rate, most } => self.begin_flood(source, rate, most),
        }
        for connection in &mut self.connections {
            connection.write()?;
        }
        Ok(())
    }

    fn fill(&mut self, source: &mut dyn Source, streams: usize, most: u64) {
        let now = self.now();
        let counting = matches!(self.plan.pressure, Pressure::Count(_));
        for connection in &mut self.connections {
            while connection.open_calls() < streams && self.planned < most {
                let call = source.next();
                if !connection.has_room(&call) {
                    break;
                }
                // Calls of a closed load are counted by when they end; see `take_answers`.
                connection.begin(&call, Flight { started: now, kind: call.kind, counted: counting });
                self.planned += 1;
            }
        }
    }

    fn begin_due(&mut self, source: &mut dyn Source, rate: f64) {
        loop {
            let due = due(self.planned, rate);
            if due > self.now() || due >= self.closes {
                return;
            }
            let call = source.next();
            let at = usize::try_from(self.planned % self.plan.connections as u64).unwrap_or(0);
            let connection = &mut self.connections[at];
            // At rates of an open load a window of flow control never fills.
            connection.begin(&call, Flight { started: due, kind: call.kind, counted: due >= self.opens });
            self.planned += 1;
        }
    }

    fn begin_flood(&mut self, source: &mut dyn Source, rate: f64, most: usize) {
        loop {
            let due = due(self.planned, rate);
            if due > self.now() || due >= self.closes {
                return;
            }
            let counted = due >= self.opens;
            let count = self.connections.len();
            let first = usize::try_from(self.planned).unwrap_or(0);
            self.planned += 1;
            let call = source.next();
            let mut turns = (first..first + count).map(|turn| turn % count);
            let has_room =
                |connection: &Connection| connection.open_calls() < most && connection.has_room(&call);
            match turns.find(|at| has_room(&self.connections[*at])) {
                Some(at) => {
                    self.connections[at].begin(&call, Flight { started: due, kind: call.kind, counted });
                }
                None => self.unsent += u64::from(counted),
            }
        }
    }

    /// Waits until a socket is ready, or a call is due.
    fn wait(&mut self, over: bool) -> Result<()> {
        let now = self.now();
        let until = match self.plan.pressure {
            Pressure::Open(rate) | Pressure::Flood { rate, .. } if !over => due(self.planned, rate),
            _ if now < self.opens => self.opens,
            _ if !over => self.closes,
            _ => now + nanos(PATIENCE),
        };
        let time = Timespec::try_from(Duration::from_nanos(until.saturating_sub(now)))?;
        let mut sockets: Vec<PollFd<'_>> = self
            .connections
            .iter()
            .map(|connection| {
                let write = if connection.wants_to_write() { PollFlags::OUT } else { PollFlags::empty() };
                PollFd::from_borrowed_fd(connection.socket(), PollFlags::IN | write)
            })
            .collect();
        match poll(&mut sockets, Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = sockets.iter().map(|socket| !socket.revents().is_empty()).collect();
        drop(sockets);
        for (connection, ready) in self.connections.iter_mut().zip(ready) {
            if ready {
                connection.read(&mut self.answers)?;
            }
            self.answers.push(Answer { number: u64::MAX, refused: false });
        }
        Ok(())
    }

    /// Counts what `wait` has read: the answers of each connection, with a mark after each.
    fn take_answers(&mut self, over: bool) -> Result<()> {
        let now = self.now();
        let counting = now >= self.opens && !over;
        let counts = |flight: &Flight| match self.plan.pressure {
            Pressure::Closed(_) => counting,
            Pressure::Flood { .. } => counting && flight.counted,
            Pressure::Open(_) | Pressure::Count(_) => flight.counted,
        };
        let mut connections = self.connections.iter_mut();
        let mut connection = connections.next();
        let mut any = false;
        for answer in self.answers.drain(..) {
            if answer.number == u64::MAX {
                connection = connections.next();
                continue;
            }
            let flight = connection.as_mut().and_then(|connection| connection.end(answer.number));
            let flight = flight.ok_or_else(|| Failure::from("an answer to a call that nobody made"))?;
            any = true;
            if !counts(&flight) {
                continue;
            }
            if answer.refused {
                self.refused += 1;
            } else {
                self.calls += 1;
                self.times[flight.kind].saturating_record(now.saturating_sub(flight.started) / 1_000);
            }
        }
        if any {
            if counting {
                self.longest_gap = self.longest_gap.max(now.saturating_sub(self.last_answer));
            }
            self.last_answer = now;
        }
        if over {
            for connection in &mut self.connections {
                connection.write()?;
            }
        }
        Ok(())
    }
}

/// When a call of an open load is meant to begin, in nanoseconds of the run.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a run has far fewer than 2^52 nanoseconds"
)]
fn due(number: u64, rate: f64) -> u64 {
    (number as f64 * 1e9 / rate) as u64
}

#[cfg(test)]
mod tests;
