//! Requests, prepared once; only what differs from call to call is written over.

use std::sync::atomic::{AtomicU64, Ordering};

use gauntlet_domain::catalogue::generate::DAILY_CHALLENGE;
use gauntlet_proto::{
    service::{BatchSelectRequest, ClaimRewardRequest, RandomSelectRequest},
    statistic::{StatItem, StatItemUpdated},
};
use prost::Message as _;

use crate::{
    Result,
    generator::{Call, Source},
    players,
};

/// The platform's event, one call each.
pub(crate) const STAT_PATH: &str = "/accelbyte.social.statistic.v1.StatisticStatItemUpdatedService/OnMessage";
/// Many events on one call.
pub(crate) const PUBLISH_PATH: &str = "/gauntlet.events.v1.EventStream/Publish";
/// The paths of [`Selections`], by kind.
pub(crate) const SELECTION_PATHS: [&str; 3] = [
    "/service.Service/BatchSelectGoals",
    "/service.Service/RandomSelectGoals",
    "/service.Service/ClaimGoalReward",
];

/// Values of statistics are below this.
const VALUES: u64 = 1_000;

/// An id with as many characters as those that are written over it.
const EVENT_ID: &str = "0123456789abcdef";
/// A value whose bytes stand out.
const VALUE: f64 = 123_456.789;

/// Spreads consecutive numbers.
fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// Ids of events must not come twice over all loads of a run.
fn first_number() -> u64 {
    static LOADS: AtomicU64 = AtomicU64::new(1);
    LOADS.fetch_add(1, Ordering::Relaxed) << 40
}

/// An encoded event and where its varying parts stand.
#[derive(Debug, Clone)]
struct Template {
    bytes: Vec<u8>,
    id: usize,
    player: usize,
    value: usize,
}

impl Template {
    fn new(stat: &str, player: &str) -> Result<Self> {
        let event = StatItemUpdated {
            id: EVENT_ID.to_owned(),
            user_id: player.to_owned(),
            payload: Some(StatItem {
                stat_code: stat.to_owned(),
                latest_value: VALUE,
                inc: 1.0,
                ..StatItem::default()
            }),
            ..StatItemUpdated::default()
        };
        let bytes = event.encode_to_vec();
        Ok(Self {
            id: position(&bytes, EVENT_ID.as_bytes())?,
            player: position(&bytes, player.as_bytes())?,
            value: position(&bytes, &VALUE.to_le_bytes())?,
            bytes,
        })
    }
}

fn position(bytes: &[u8], part: &[u8]) -> Result<usize> {
    let found = bytes.windows(part.len()).position(|window| window == part);
    found.ok_or_else(|| "a prepared request lacks its varying part".into())
}

/// Writes the last digits of a number over the bytes.
fn write_digits(bytes: &mut [u8], mut number: u64) {
    for byte in bytes.iter_mut().rev() {
        *byte = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn write_hex(bytes: &mut [u8], mut number: u64) {
    for byte in bytes.iter_mut().rev() {
        *byte = b"0123456789abcdef"[usize::try_from(number & 15).unwrap_or(0)];
        number >>= 4;
    }
}

/// Digits at the end of [`players::id`].
const DIGITS: usize = 8;

/// Statistics of random players with random values.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    templates: Vec<Template>,
    players: u64,
    next: u64,
}

impl Events {
    /// Of players 0 to `players`, for these statistics in turn.
    pub(crate) fn new(players: u32, stats: &[&str]) -> Result<Self> {
        Self::of(&players::id(0), players, stats)
    }

    /// Of players who are in no store.
    pub(crate) fn of_strangers(players: u32, stats: &[&str]) -> Result<Self> {
        Self::of("nobody-00000000", players, stats)
    }

    fn of(player: &str, players: u32, stats: &[&str]) -> Result<Self> {
        let templates = stats.iter().map(|stat| Template::new(stat, player)).collect::<Result<_>>()?;
        Ok(Self { templates, players: u64::from(players.max(1)), next: first_number() })
    }
}

impl Source for Events {
    fn next(&mut self) -> Call<'_> {
        let (number, mixed) = (self.next, mix(self.next));
        self.next += 1;
        let stats = self.templates.len() as u64;
        let template = &mut self.templates[usize::try_from(mixed % stats).unwrap_or(0)];
        write_hex(&mut template.bytes[template.id..][..EVENT_ID.len()], number);
        let digits = template.player + players::id(0).len() - DIGITS;
        write_digits(&mut template.bytes[digits..][..DIGITS], (mixed / stats) % self.players);
        #[expect(clippy::cast_precision_loss, reason = "below 1,000")]
        let value = (number % VALUES) as f64;
        template.bytes[template.value..][..8].copy_from_slice(&value.to_le_bytes());
        Call { kind: 0, path: 0, player: b"", body: &template.bytes }
    }
}

/// The same event of every player once, one after another: to complete goals.
#[derive(Debug, Clone)]
pub(crate) struct OneEach {
    templates: Vec<Template>,
    next: u64,
    first: u64,
}

impl OneEach {
    pub(crate) fn new(stats: &[&str]) -> Result<Self> {
        let templates =
            stats.iter().map(|stat| Template::new(stat, &players::id(0))).collect::<Result<_>>()?;
        Ok(Self { templates, next: 0, first: first_number() })
    }
}

impl Source for OneEach {
    fn next(&mut self) -> Call<'_> {
        let stats = self.templates.len() as u64;
        let (stat, player) = (self.next % stats, self.next / stats);
        let template = &mut self.templates[usize::try_from(stat).unwrap_or(0)];
        write_hex(&mut template.bytes[template.id..][..EVENT_ID.len()], self.first + self.next);
        let digits = template.player + players::id(0).len() - DIGITS;
        write_digits(&mut template.bytes[digits..][..DIGITS], player);
        self.next += 1;
        Call { kind: 0, path: 0, player: b"", body: &template.bytes }
    }
}

/// An HTTP request of one player after another.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    bytes: Vec<u8>,
    player: Option<usize>,
    players: u64,
    next: u64,
}

impl Http {
    /// `headers` are whole lines. With `players` > 0 the request is made by random players of so
    /// many.
    pub(crate) fn new(method: &str, path: &str, headers: &str, players: u32) -> Result<Self> {
        let who = if players > 0 { format!("x-mock-user-id: {}\r\n", players::id(0)) } else { String::new() };
        let body = if method == "POST" { "content-length: 0\r\n" } else { "" };
        let bytes =
            format!("{method} {path} HTTP/1.1\r\nhost: bench\r\n{who}{headers}{body}\r\n").into_bytes();
        let player = if players > 0 { Some(position(&bytes, players::id(0).as_bytes())?) } else { None };
        Ok(Self { bytes, player, players: u64::from(players), next: 0 })
    }
}

impl Source for Http {
    fn next(&mut self) -> Call<'_> {
        if let Some(at) = self.player {
            let digits = at + players::id(0).len() - DIGITS;
            write_digits(&mut self.bytes[digits..][..DIGITS], mix(self.next) % self.players);
            self.next += 1;
        }
        Call { kind: 0, path: 0, player: b"", body: &self.bytes }
    }
}

/// Batch-select, random-select and claim in turn, as kinds 0, 1 and 2.
///
/// Every call changes something: selections replace each other, and each claim is of a goal that
/// was not claimed before. Player and goal of the next claim are counted over all loads.
#[derive(Debug, Clone)]
pub(crate) struct Selections {
    batch: (Vec<u8>, [usize; 3]),
    random: Vec<u8>,
    claims: Vec<Vec<u8>>,
    player: Vec<u8>,
    players: u64,
    next: u64,
}

/// Goals of a daily pool that are named by number: the first three have names of their own.
const NUMBERED: std::ops::Range<u64> = 4..501;

impl Selections {
    /// For a catalogue of [`crate::catalogues::selections`] and players whose ten goals `goals`
    /// (challenge, goal) are completed.
    pub(crate) fn new(players: u32, goals: &[(String, String)]) -> Result<Self> {
        let names: Vec<String> = (901..904).map(|number| format!("daily-goal-{number}")).collect();
        let batch = BatchSelectRequest {
            challenge_id: DAILY_CHALLENGE.to_owned(),
            goal_ids: names.clone(),
            replace_existing: true,
        }
        .encode_to_vec();
        let mut at = [0; 3];
        for (at, name) in at.iter_mut().zip(&names) {
            *at = position(&batch, name.as_bytes())? + name.len() - 3;
        }
        let random = RandomSelectRequest {
            challenge_id: DAILY_CHALLENGE.to_owned(),
            count: 3,
            replace_existing: true,
            exclude_active: true,
        };
        let claim = |(challenge_id, goal_id): &(String, String)| {
            let (challenge_id, goal_id) = (challenge_id.clone(), goal_id.clone());
            ClaimRewardRequest { challenge_id, goal_id }.encode_to_vec()
        };
        Ok(Self {
            batch: (batch, at),
            random: random.encode_to_vec(),
            claims: goals.iter().map(claim).collect(),
            player: players::id(0).into_bytes(),
            players: u64::from(players),
            next: 0,
        })
    }
}

impl Source for Selections {
    fn next(&mut self) -> Call<'_> {
        let (kind, turn) = (usize::try_from(self.next % 3).unwrap_or(0), self.next / 3);
        self.next += 1;
        // Claims go through all players for one goal, then for the next.
        let player = if kind == 2 { turn % self.players } else { mix(self.next) % self.players };
        let digits = self.player.len() - DIGITS;
        write_digits(&mut self.player[digits..], player);
        let body = match kind {
            0 => {
                let (bytes, positions) = &mut self.batch;
                let count = NUMBERED.end - NUMBERED.start;
                for (at, goal) in positions.iter().zip(turn * 3..) {
                    write_digits(&mut bytes[*at..][..3], NUMBERED.start + goal % count);
                }
                bytes.as_slice()
            }
            1 => self.random.as_slice(),
            _ => {
                let goal = usize::try_from(turn / self.players).unwrap_or(0) % self.claims.len().max(1);
                self.claims[goal].as_slice()
            }
        };
        Call { kind, path: kind, player: &self.player, body }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use gauntlet_domain::catalogue::LOAD_STATS;

    use super::*;

    #[test]
    fn events_are_messages_that_differ() {
        let mut events = Events::new(100, &LOAD_STATS).expect("prepared");
        let (mut ids, mut players, mut stats) = (HashSet::new(), HashSet::new(), HashSet::new());
        for _ in 0..2_000 {
            let event = StatItemUpdated::decode(events.next().body).expect("a message");
            let item = event.payload.expect("a payload");
            assert!(ids.insert(event.id));
            players.insert(event.user_id);
            stats.insert(item.stat_code);
            assert!((0.0..1_000.0).contains(&item.latest_value));
        }
        assert_eq!((players.len(), stats.len()), (100, 5));
        assert!(players.iter().all(|player| player.starts_with("player-000000")));
        let id = StatItemUpdated::decode(Events::new(1, &["a"]).expect("prepared").next().body)
            .expect("a message");
        assert!(ids.insert(id.id), "another load has other ids");
    }

    #[test]
    fn claims_do_not_repeat_and_selections_differ() {
        let goals: Vec<_> = (0..3).map(|goal| ("c".to_owned(), format!("g{goal}"))).collect();
        let mut calls = Selections::new(5, &goals).expect("prepared");
        let (mut claims, mut picks) = (HashSet::new(), HashSet::new());
        for _ in 0..3 * 15 {
            let call = calls.next();
            match call.kind {
                0 => {
                    let request = BatchSelectRequest::decode(call.body).expect("a message");
                    assert_eq!(request.goal_ids.iter().collect::<HashSet<_>>().len(), 3);
                    picks.insert(request.goal_ids);
                }
                1 => assert_eq!(RandomSelectRequest::decode(call.body).expect("a message").count, 3),
                _ => assert!(claims.insert((call.player.to_vec(), call.body.to_vec()))),
            }
        }
        assert_eq!((claims.len(), picks.len()), (15, 15));
    }

    #[test]
    fn http_requests_name_players() {
        let mut http = Http::new("GET", "/x", "accept-encoding: zstd\r\n", 10).expect("prepared");
        let mut seen = HashSet::new();
        for _ in 0..200 {
            seen.insert(String::from_utf8(http.next().body.to_vec()).expect("UTF-8"));
        }
        assert_eq!(seen.len(), 10);
        assert!(seen.iter().all(|request| request.ends_with("\r\naccept-encoding: zstd\r\n\r\n")));
    }
}
