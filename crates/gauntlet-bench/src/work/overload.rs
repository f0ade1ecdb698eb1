//! From half of what the service can do to five times as much, and back.
//!
//! The service and its database have one core, and the generator has another: what it costs to
//! send a flood is not taken from those who are served. "Capacity" is what a number of calls open
//! at a time comes to on that core.

use std::{net::SocketAddr, time::Duration};

use gauntlet_domain::catalogue::LOAD_STATS;

use crate::{
    Result,
    bench::Bench,
    catalogues::{self, Mix},
    figures::{Goal, Row, Usage, millis},
    generator::{self, Call, Outcome, Plan, Pressure, Protocol, Source},
    machine, players,
    report::Report,
    requests::{Events, Http, STAT_PATH},
    stand::{Kind, PLAYERS, Stand},
};

const WORK: &str = "overload";
const FACTORS: [f64; 7] = [0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0];
/// Of the peak, at five times the capacity.
const GOODPUT: f64 = 0.8;
/// Up to this factor nothing is to be refused, but for one call in so many.
const HEALTHY: f64 = 0.8;
const REFUSED: f64 = 0.001;
/// When all is to be normal again, in seconds.
const AFTER: u32 = 30;
/// Most memory, in megabytes.
const MEMORY: f64 = 150.0;
const PATH: &str = "/challenge/v1/challenges";

/// What is asked, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Browses of 500 goals, compressed, on 8 connections of HTTP/2.
    Browses,
    /// The same on connections of HTTP/1.1 with one call each.
    BrowsesHttp1,
    /// Events with a call each, over gRPC on 8 connections.
    Events,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Browses => "browses, HTTP/2",
            Self::BrowsesHttp1 => "browses, HTTP/1.1",
            Self::Events => "events, gRPC",
        }
    }

    fn source(self) -> Result<Box<dyn Source>> {
        Ok(match self {
            Self::Browses => Box::new(Browses { player: players::id(0).into_bytes(), next: 0 }),
            Self::BrowsesHttp1 => Box::new(Http::new("GET", PATH, "accept-encoding: zstd\r\n", PLAYERS)?),
            Self::Events => Box::new(Events::new(PLAYERS, &LOAD_STATS)?),
        })
    }

    fn protocol(self) -> Protocol {
        match self {
            Self::Browses => Protocol::Get(PATH.to_owned()),
            Self::BrowsesHttp1 => Protocol::Http1(200),
            Self::Events => Protocol::Grpc(vec![STAT_PATH.to_owned()]),
        }
    }

    fn address(self, stand: &Stand<'_>) -> SocketAddr {
        if self == Self::Events { stand.product.events } else { stand.product.http }
    }

    /// Connections of a flood, and the most calls that each may have open.
    const fn flood(self) -> (usize, usize) {
        if matches!(self, Self::BrowsesHttp1) { (1_000, 1) } else { (8, 1_500) }
    }

    /// Connections that find the capacity, and the calls that each has open.
    const fn closed(self) -> (usize, usize) {
        match self {
            Self::Browses => (8, 4),
            Self::BrowsesHttp1 => (32, 1),
            Self::Events => (8, 64),
        }
    }
}

/// Players in turn.
struct Browses {
    player: Vec<u8>,
    next: u64,
}

impl Source for Browses {
    fn next(&mut self) -> Call<'_> {
        self.next = self.next.wrapping_add(7_919) % u64::from(PLAYERS);
        let digits = format!("{:08}", self.next);
        let at = self.player.len() - digits.len();
        self.player[at..].copy_from_slice(digits.as_bytes());
        Call { kind: 0, path: 0, player: &self.player, body: b"" }
    }
}

/// Gives the service and its database the first core, and this thread the second.
fn apart(bench: &Bench) -> Result<Stand<'_>> {
    // What is started now inherits it, and the service starts as many threads as it has cores.
    machine::keep_on(None, 0..1)?;
    machine::keep_on(Some(bench.cluster().postmaster()), 0..1)?;
    let stand = Stand::new(bench, Kind::Postgres, &catalogues::events(500, 10, Mix::Usual)?, PLAYERS);
    machine::keep_on(None, 1..2)?;
    stand
}

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let all = machine::cores();
    if all < 2 {
        return Err("a flood needs a core of its own beside the service's".into());
    }
    let measured = [What::Browses, What::BrowsesHttp1, What::Events]
        .into_iter()
        .try_for_each(|what| sweep(bench, what, report));
    // The works after this one share all cores again.
    machine::keep_on(None, 0..all)?;
    machine::keep_on(Some(bench.cluster().postmaster()), 0..all)?;
    measured
}

fn sweep(bench: &Bench, what: What, report: &mut Report) -> Result<()> {
    let stand = apart(bench)?;
    let mut source = what.source()?;
    let (connections, streams) = what.closed();
    let plan = bench.plan(what.address(&stand), what.protocol(), Pressure::Closed(streams));
    let mut run = |plan: &Plan| generator::run(plan, &mut *source, &mut || stand.usage());
    run(&Plan { connections, ..plan.clone() })?;
    let capacity = good(&run(&Plan { connections, ..plan.clone() })?);
    let (connections, most) = what.flood();
    let flood = |factor: f64| Plan {
        connections,
        pressure: Pressure::Flood { rate: capacity * factor, most },
        ..plan.clone()
    };
    let mut steps = Vec::new();
    for factor in FACTORS {
        crate::progress(&format!("{}: {factor} times {capacity:.0}/s", what.name()));
        steps.push((factor, run(&flood(factor))?));
    }
    let after = recovered(&mut run, &flood(0.5))?;
    let peak = steps.iter().map(|(_, outcome)| good(outcome)).fold(0.0, f64::max);
    for (factor, outcome) in &steps {
        report.add(step(what, *factor, outcome, capacity, peak));
        if *factor <= HEALTHY {
            report.add(refused(what, *factor, outcome));
        }
    }
    let limit = |name: &str, unit, seen, limit| Row {
        work: WORK,
        what: format!("{}: {name}", what.name()),
        unit,
        product: vec![seen],
        floor: vec![limit],
        floor_is: "limit".to_owned(),
        goal: Goal::AtMost(1.0),
        calls: 0,
        notes: [].into(),
    };
    report.add(limit("nothing refused again after", "s", f64::from(after), f64::from(AFTER)));
    report.add(limit("most memory", "MB", machine::peak(stand.product.pid())?, MEMORY));
    stand.stop()?;
    Ok(())
}

/// How many seconds after the flood the last call was refused.
fn recovered(run: &mut dyn FnMut(&Plan) -> Result<Outcome<Usage>>, flood: &Plan) -> Result<u32> {
    let one = Plan { warm_up: Duration::ZERO, length: Duration::from_secs(1), ..flood.clone() };
    for second in 0..AFTER {
        let outcome = run(&one)?;
        if outcome.refused + outcome.unsent == 0 {
            return Ok(second);
        }
    }
    Ok(AFTER + 1)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn good(outcome: &Outcome<Usage>) -> f64 {
    outcome.calls as f64 / outcome.seconds
}

/// The good answers of one step, beside the best step's.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn step(what: What, factor: f64, outcome: &Outcome<Usage>, capacity: f64, peak: f64) -> Row {
    let each_second = |calls: u64| calls as f64 / outcome.seconds;
    let (before, after) = &outcome.samples;
    let cores = |of: fn(&Usage) -> f64| (of(after) - of(before)) / outcome.seconds;
    let at = |quantile| millis(outcome.times[0].value_at_quantile(quantile));
    let five_times = factor >= FACTORS[FACTORS.len() - 1];
    Row {
        work: WORK,
        what: format!("{}, {factor} times the capacity: good answers", what.name()),
        unit: "/s",
        product: vec![good(outcome)],
        floor: vec![peak],
        floor_is: "best step".to_owned(),
        goal: if five_times { Goal::AtLeast(GOODPUT) } else { Goal::None },
        calls: outcome.calls,
        notes: [
            ("offered/s", capacity * factor),
            ("refused/s", each_second(outcome.refused)),
            ("not sent/s", each_second(outcome.unsent)),
            ("p50 ms", at(0.5)),
            ("p99 ms", at(0.99)),
            ("cores of the service", cores(|usage| usage.server)),
            ("cores of the database", cores(|usage| usage.database)),
            ("cores of the generator", cores(|usage| usage.generator)),
        ]
        .into(),
    }
}

/// The refusals of a step within the capacity.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn refused(what: What, factor: f64, outcome: &Outcome<Usage>) -> Row {
    let answered = outcome.calls + outcome.refused;
    Row {
        work: WORK,
        what: format!("{}, {factor} times the capacity: refused", what.name()),
        unit: "calls",
        product: vec![outcome.refused as f64],
        floor: vec![answered as f64 * REFUSED],
        floor_is: "one in a thousand".to_owned(),
        goal: Goal::AtMost(1.0),
        calls: answered,
        notes: [].into(),
    }
}
