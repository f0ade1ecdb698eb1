//! What game clients ask all the time: browsing, polling, starting a session.

use crate::{
    Result,
    bench::{Bench, Pair, load},
    catalogues::{self, Mix},
    figures::{Goal, Row, Sample, middle},
    generator::{Call, Plan, Pressure, Protocol, Source},
    http, players,
    process::Floor,
    report::Report,
    requests::Http,
    stand::{Kind, PLAYERS, Stand},
};

const WORK: &str = "browse";
const PATH: &str = "/challenge/v1/challenges";
const INITIALIZE: &str = "/challenge/v1/challenges/initialize";
const STATIC: &str = "/static";
/// As browsers and game clients keep them open.
const CONNECTIONS: usize = 32;
/// Players who poll.
const POLLERS: u32 = 64;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for kind in Kind::BOTH {
        let stand = Stand::new(bench, kind, &catalogues::events(500, 10, Mix::Usual)?, PLAYERS)?;
        let one = http::get(stand.product.http, PATH, &format!("x-mock-user-id: {}\r\n", players::id(0)))?;
        if one.status != 200 {
            return Err(format!("browsing was answered with {}", one.status).into());
        }
        let bytes = one.body.len();
        let kilobytes = bytes / 1_000;
        let (large, small) = (Floor::echo(bytes)?, Floor::echo(0)?);
        let browse = |headers: &str| Http::new("GET", PATH, headers, PLAYERS);
        let least = |postgres, sqlite| Goal::AtLeast(if kind == Kind::Postgres { postgres } else { sqlite });

        let what = format!("{}, 500 goals ({kilobytes} KB)", kind.name());
        let pair = beside_static(bench, &large, &stand, 200, &mut browse("")?)?;
        report.add(row(what.clone(), "static, as long", &pair, least(0.5, 0.7)));
        let pair = beside_static(bench, &large, &stand, 200, &mut browse("accept-encoding: zstd\r\n")?)?;
        report.add(row(format!("{what}, zstd"), "static, as long, plain", &pair, Goal::AtLeast(0.25)));

        let pair = beside_static(bench, &small, &stand, 304, &mut Polls::new(&stand)?)?;
        report.add(row(format!("{}, unchanged (304)", kind.name()), "small static", &pair, least(0.2, 0.6)));

        let mut sessions = Http::new("POST", INITIALIZE, "", PLAYERS)?;
        let pair = beside_static(bench, &small, &stand, 200, &mut sessions)?;
        let what = format!("{}, initialize of a returning player", kind.name());
        report.add(row(what, "small static", &pair, least(0.2, 0.6)));
        stand.stop()?;
    }
    Ok(())
}

/// The plan of requests over HTTP/1.1 at saturation.
pub(super) fn plan(bench: &Bench, address: std::net::SocketAddr, status: u16) -> Plan {
    Plan { connections: CONNECTIONS, ..bench.plan(address, Protocol::Http1(status), Pressure::Closed(1)) }
}

fn beside_static(
    bench: &Bench,
    floor: &Floor,
    stand: &Stand<'_>,
    status: u16,
    requests: &mut dyn Source,
) -> Result<Pair> {
    let mut still = Http::new("GET", STATIC, "", 0)?;
    bench.turns(
        || load(&plan(bench, floor.address, 200), &mut still, &mut || floor.usage()),
        || load(&plan(bench, stand.product.http, status), requests, &mut || stand.usage()),
    )
}

fn row(what: String, floor_is: &str, pair: &Pair, goal: Goal) -> Row {
    Row {
        work: WORK,
        what,
        unit: "/s",
        product: pair.product(|sample| sample.rate),
        floor: pair.floor(|sample| sample.rate),
        floor_is: floor_is.to_owned(),
        goal,
        calls: pair.calls(),
        notes: [
            ("p95 ms", middle(&pair.product, |sample| sample.p95)),
            ("service us", middle(&pair.product, |sample| sample.server_cpu)),
            ("database us", middle(&pair.product, |sample| sample.database_cpu)),
            ("floor us", middle(&pair.floor, Sample::cpu)),
            ("generator us", middle(&pair.product, |sample| sample.generator_cpu)),
            ("log bytes each", middle(&pair.product, |sample| sample.log_bytes)),
        ]
        .into(),
    }
}

/// Requests with the tag of what each player has seen last.
struct Polls {
    requests: Vec<Vec<u8>>,
    next: usize,
}

impl Polls {
    fn new(stand: &Stand<'_>) -> Result<Self> {
        let requests = (0..POLLERS)
            .map(|player| {
                let who = format!("x-mock-user-id: {}\r\n", players::id(player));
                let reply = http::get(stand.product.http, PATH, &who)?;
                let tag = reply.header("etag").ok_or("browsing gives no ETag")?;
                Ok(format!("GET {PATH} HTTP/1.1\r\nhost: bench\r\n{who}if-none-match: {tag}\r\n\r\n")
                    .into_bytes())
            })
            .collect::<Result<_>>()?;
        Ok(Self { requests, next: 0 })
    }
}

impl Source for Polls {
    fn next(&mut self) -> Call<'_> {
        self.next = (self.next + 1) % self.requests.len();
        Call { kind: 0, path: 0, player: b"", body: &self.requests[self.next] }
    }
}
