//! What must hold whatever bytes come in. The fuzz targets call these functions with what libFuzzer
//! makes up; `crates/gauntlet-server/tests/it/corpus.rs` calls them with every file of `corpus/`,
//! so that they run on every toolchain. They panic where a promise is broken.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use gauntlet_domain::{
    Catalogue, Command, Context, Effects, Event, EventOutcome, EventWhat, GoalNumber, Player, Timestamp,
    catalogue, count_event, decide, limits::check_id, view_goal,
};
use gauntlet_proto::{events, iam::UserLoggedIn, statistic::StatItemUpdated};
use gauntlet_server::{
    ingest::{CloudEvent, Incoming, inspect},
    split_cloud_events,
};
use prost::Message as _;

/// A section whose tag no release uses.
const UNKNOWN_SECTION: &[u8] = &[99, 3, b'n', b'e', b'w'];
/// When everything here happens.
fn now() -> Timestamp {
    Timestamp::parse("2026-11-24T12:00:00Z").expect("a time")
}

/// The bytes of a stored document. Decoding never panics, what it accepts is written stably,
/// sections of a newer release are kept, and the rules can work with it.
pub fn document(bytes: &[u8]) {
    settled(bytes);
    let Ok(player) = Player::decode(bytes, None) else { return };
    let written = player.encode_live();
    let again = Player::decode(&written, None).expect("what was written can be read");
    assert_eq!(again.encode_live(), written, "written twice, the document is the same");
    assert_eq!(again.live().len(), player.live().len());

    let with_new = [bytes, UNKNOWN_SECTION].concat();
    let newer = Player::decode(&with_new, None).expect("an unknown section disturbs nothing");
    assert_eq!(newer.encode_live(), [written.as_slice(), UNKNOWN_SECTION].concat(), "and is kept");

    let mut whole = Player::decode(bytes, Some(None)).expect("it was read before");
    for (index, _) in every_kind().goals_with_indexes() {
        let _shown = view_goal(Some(&whole), every_kind(), index, now());
    }
    let mut effects = Effects::default();
    decide(&mut whole, &Command::Initialize, &context(now()), &mut effects).expect("is never refused");
    for what in [EventWhat::Login, kills(3.0, 1.0)] {
        count_twice(&mut whole, &event(what));
    }
}

/// A document with something of every kind in it, as `corpus/document/played` has it.
pub fn played() -> Vec<u8> {
    let mut player = Player::new();
    let mut effects = Effects::default();
    let yesterday = context(now().plus_millis(-86_400_000));
    decide(&mut player, &Command::Initialize, &yesterday, &mut effects).expect("is never refused");
    for (at, what) in [kills(12.0, 2.0), EventWhat::Login, kills(19.5, 7.5)].into_iter().enumerate() {
        let late = context(now().plus_millis(-60_000_000 * (2 - i64::try_from(at).unwrap_or(0))));
        let mut event = Event { at: late.now, ..event(what) };
        event.key.id = format!("played-{at}");
        count_event(&mut player, &event, &[], &late, &mut effects);
    }
    for goal in ["absolute", "today"] {
        let (challenge, goal) = ("statistics".to_owned(), goal.to_owned());
        let claim = Command::BeginClaim { challenge, goal };
        decide(&mut player, &claim, &context(now()), &mut effects).expect("is completed");
    }
    player.encode_live()
}

/// The same bytes as the settled part.
fn settled(bytes: &[u8]) {
    let live = Player::new().encode_live();
    let Ok(player) = Player::decode(&live, Some(Some(bytes))) else { return };
    let Some(written) = player.encode_settled() else { return };
    let again = Player::decode(&live, Some(Some(&written))).expect("what was written can be read");
    assert_eq!(again.encode_settled(), Some(written.clone()), "written twice, it is the same");
    let with_new = [bytes, UNKNOWN_SECTION].concat();
    let newer = Player::decode(&live, Some(Some(&with_new))).expect("an unknown section disturbs nothing");
    assert_eq!(newer.encode_settled(), Some([written.as_slice(), UNKNOWN_SECTION].concat()));
}

/// The text of a catalogue file. Parsing never panics, and what it accepts comes back unchanged
/// after it was written.
pub fn catalogue(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match catalogue::parse(text) {
        Ok(definition) => {
            let written = catalogue::to_json(&definition);
            let again = catalogue::parse(&written);
            assert_eq!(again.as_ref().ok(), Some(&definition), "{again:?}\n{written}");
        }
        Err(faults) => assert!(!faults.to_string().is_empty(), "a refusal says why"),
    }
}

/// The body of `POST /v1/events`: splitting and checking never panic, and what is accepted can be
/// counted, once.
pub fn cloud_event(bytes: &[u8]) {
    let Ok(events) = split_cloud_events(bytes) else { return };
    for event in events {
        let Ok(event) = serde_json::from_str::<CloudEvent>(&event) else { continue };
        accept(Incoming::CloudEvent(event));
    }
}

/// A message of the events port, as each of the kinds that there are.
pub fn event_message(bytes: &[u8]) {
    if let Ok(login) = UserLoggedIn::decode(bytes) {
        accept(Incoming::Login(login));
    }
    if let Ok(stat) = StatItemUpdated::decode(bytes) {
        accept(Incoming::Stat(stat));
    }
    let streamed = events::Event::decode(bytes).map(|message| message.event);
    match streamed {
        Ok(Some(events::event::Event::UserLoggedIn(login))) => accept(Incoming::Login(login)),
        Ok(Some(events::event::Event::StatItemUpdated(stat))) => accept(Incoming::Stat(stat)),
        Ok(None) | Err(_) => {}
    }
}

/// What passes the checks is as the rules expect it, and counts once.
fn accept(incoming: Incoming) {
    let Ok((player, event)) = inspect(incoming, now()) else { return };
    assert_eq!(check_id(&player), Ok(()));
    assert!(event.key.id.is_empty() || check_id(&event.key.id).is_ok());
    if let EventWhat::Stat { code, value, increment } = &event.what {
        assert!(check_id(code).is_ok() && value.is_finite() && increment.is_finite());
    }
    // The statistic that the goals here use, so that the numbers get somewhere.
    let what = match event.what {
        EventWhat::Stat { value, increment, .. } => kills(value, increment),
        EventWhat::Login => EventWhat::Login,
    };
    let mut player = Player::new();
    let mut effects = Effects::default();
    let yesterday = context(now().plus_millis(-86_400_000));
    decide(&mut player, &Command::Initialize, &yesterday, &mut effects).expect("is never refused");
    count_twice(&mut player, &Event { what, ..event });
}

/// Counts an event, and again: the second time changes nothing, wherever its receipt is.
fn count_twice(player: &mut Player, event: &Event) {
    let mut effects = Effects::default();
    let outcome = count_event(player, event, &[], &context(now()), &mut effects);
    assert_eq!(
        outcome == EventOutcome::NeedsId,
        event.key.id.is_empty() && outcome != EventOutcome::Unchanged
    );
    for has_left in [false, true] {
        let older = if has_left { std::mem::take(&mut player.head.receipts) } else { Vec::new() };
        let written = player.encode_live();
        let mut again = Player::decode(&written, None).expect("what was written can be read");
        let outcome = count_event(&mut again, event, &older, &context(now()), &mut Effects::default());
        assert_ne!(outcome, EventOutcome::Counted, "{event:?}");
        assert_eq!(again.encode_live(), written, "{event:?}");
    }
}

fn kills(value: f64, increment: f64) -> EventWhat {
    EventWhat::Stat { code: "kills".into(), value, increment }
}

fn event(what: EventWhat) -> Event {
    let key = gauntlet_domain::ReceiptKey { source: "s".into(), kind: "k".into(), id: "e1".into() };
    Event { what, key, at: now().plus_millis(-1_000) }
}

fn context(now: Timestamp) -> Context<'static> {
    Context { catalogue: every_kind(), now, seed: 7, late_window_ms: 600_000 }
}

/// A goal of every kind, all of them default goals, numbered from 1 in the order of the file.
fn every_kind() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Arc<Catalogue>> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let definition = catalogue::parse(include_str!("../corpus/catalogue/every-kind.json"));
        let definition = definition.expect("a good catalogue");
        let numbers: HashMap<String, GoalNumber> =
            definition.goal_ids().map(str::to_owned).zip((1..).map(GoalNumber)).collect();
        Arc::new(Catalogue::new(definition, 1, &numbers).expect("every goal has a number"))
    })
}
