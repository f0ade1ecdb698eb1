//! Every splice is held against what serde writes of the same messages.

use std::collections::HashMap;

use gauntlet_domain::{
    Command, Context, Effects, Event, EventWhat, GoalNumber, GrantEnd, GrantKey, Player, ReceiptKey, Reply,
    catalogue::parse, count_event, decide,
};
use gauntlet_proto::service as proto;
use gauntlet_store::Stored;

use super::*;

/// Ids and names with everything that JSON has to escape, a prerequisite, a daily goal.
const CATALOGUE: &str = r#"{"challenges": [
    {"id": "a \"quoted\" one", "name": "tabs\tand\nlines", "description": "\u0000\u001f\\/ ünïcode \ud83c\udfc6", "goals": [
        {"id": "kills", "name": "k", "eventSource": "statistic", "defaultAssigned": true,
         "requirement": {"statCode": "k", "operator": ">=", "targetValue": 10},
         "reward": {"type": "ITEM", "rewardId": "r\"1", "quantity": 2147483647}},
        {"id": "today", "name": "t", "type": "daily", "eventSource": "login", "defaultAssigned": true,
         "requirement": {"statCode": "l", "operator": ">=", "targetValue": 1},
         "reward": {"type": "WALLET", "rewardId": "g", "quantity": 1}}]},
    {"id": "b", "name": "b", "goals": [
        {"id": "later", "name": "l", "eventSource": "statistic", "prerequisites": ["kills", "today"],
         "requirement": {"statCode": "k", "operator": ">=", "targetValue": 2147483647},
         "reward": {"type": "ITEM", "rewardId": "r", "quantity": 1}}]}
]}"#;

fn catalogue(version: u32) -> Arc<Catalogue> {
    let definition = parse(CATALOGUE).expect("a catalogue");
    let numbers: HashMap<String, GoalNumber> =
        definition.goal_ids().map(str::to_owned).zip((1..).map(GoalNumber)).collect();
    Arc::new(Catalogue::new(definition, version, &numbers).expect("numbered"))
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-24T12:00:00Z").expect("a time")
}

/// Players from none at all to one who has claimed, each with the time at which they look.
fn players(catalogue: &Catalogue) -> Vec<(Option<Player>, Timestamp)> {
    let context = Context { catalogue, now: now(), seed: 1, late_window_ms: 600_000 };
    let mut effects = Effects::default();
    let mut player = Player::new();
    let mut seen = vec![(None, now()), (Some(player.clone()), now())];
    decide(&mut player, &Command::Initialize, &context, &mut effects).expect("initialized");
    seen.push((Some(player.clone()), now()));
    for (what, id) in [
        (EventWhat::Stat { code: "k".into(), value: 7.0, increment: 0.0 }, "1"),
        (EventWhat::Stat { code: "k".into(), value: 1e300, increment: 0.0 }, "2"),
        (EventWhat::Login, "3"),
    ] {
        let key = ReceiptKey { source: "s".into(), kind: "k".into(), id: id.into() };
        let event = Event { what, key, at: now() };
        count_event(&mut player, &event, &[], &context, &mut effects);
        seen.push((Some(player.clone()), now()));
    }
    let claim = Command::BeginClaim { challenge: "a \"quoted\" one".into(), goal: "kills".into() };
    let begun = decide(&mut player, &claim, &context, &mut effects).expect("begun");
    let Reply::ClaimBegun { order, .. } = begun else { panic!("{begun:?}") };
    seen.push((Some(player.clone()), now()));
    let GrantKey { goal, cycle, epoch } = order.key;
    for end in [GrantEnd::Uncertain("?".into()), GrantEnd::Granted] {
        let settle = Command::SettleClaim { key: GrantKey { goal, cycle, epoch }, end };
        decide(&mut player, &settle, &context, &mut effects).expect("settled");
        seen.push((Some(player.clone()), now()));
    }
    // The daily goal begins anew, and a clock that stepped back sees it too.
    seen.push((Some(player.clone()), now().plus_millis(86_400_000)));
    seen.push((Some(player), now().plus_millis(-86_400_000)));
    seen
}

#[test]
fn a_splice_is_byte_for_byte_what_serde_writes() {
    let catalogue = catalogue(1);
    let templates = Templates::default();
    let mut different = std::collections::HashSet::new();
    for (player, now) in players(&catalogue) {
        for active_only in [false, true] {
            let browse = |challenge| Browse {
                catalogue: catalogue.clone(),
                stored: player.clone().map(|player| Stored { revision: 1, player }),
                challenge,
                active_only,
                now,
                player: "p".into(),
            };
            let all = browse(None);
            let expected = proto::GetChallengesResponse { challenges: all.messages() };
            let expected = serde_json::to_string(&expected).expect("JSON");
            let spliced = String::from_utf8(templates.of(&catalogue).write(&all).into_vec()).expect("UTF-8");
            assert_eq!(spliced, expected);
            different.insert(spliced);
            for index in catalogue.challenge_indexes() {
                let one = browse(Some(index));
                let expected = serde_json::to_string(&one.messages()[0]).expect("JSON");
                let spliced =
                    String::from_utf8(templates.of(&catalogue).write(&one).into_vec()).expect("UTF-8");
                assert_eq!(spliced, expected);
            }
        }
    }
    assert!(different.len() > 12, "the players do not look alike: {}", different.len());
}

#[test]
fn the_start_of_a_session_is_byte_for_byte_what_serde_writes() {
    let catalogue = catalogue(1);
    let templates = Templates::default();
    let mut different = std::collections::HashSet::new();
    for (player, now) in players(&catalogue) {
        let context = Context { catalogue: &catalogue, now, seed: 1, late_window_ms: 600_000 };
        let (mut player, mut effects) = (player.unwrap_or_else(Player::new), Effects::default());
        let reply = decide(&mut player, &Command::Initialize, &context, &mut effects).expect("initialized");
        let spliced = String::from_utf8(templates.of(&catalogue).initialized(&reply)).expect("UTF-8");
        let expected = crate::api::initialized(&catalogue, reply);
        assert_eq!(spliced, serde_json::to_string(&expected).expect("JSON"));
        different.insert(spliced);
    }
    assert!(different.len() > 4, "the players do not look alike: {}", different.len());
}

#[test]
fn a_template_is_kept_until_a_newer_catalogue_is_asked_for() {
    let (older, newer) = (catalogue(1), catalogue(2));
    let templates = Templates::default();
    let first = templates.of(&older);
    assert!(Arc::ptr_eq(&first, &templates.of(&older)), "made once");
    let second = templates.of(&newer);
    assert!(Arc::ptr_eq(&second, &templates.of(&newer)));
    // A request that began before the reload does not push the newer one out.
    assert!(!Arc::ptr_eq(&first, &templates.of(&older)));
    assert!(Arc::ptr_eq(&second, &templates.of(&newer)));
}

#[test]
fn whoever_keeps_older_terms_is_shown_those() {
    let first = catalogue(1);
    let text = CATALOGUE.replace("\"targetValue\": 10", "\"targetValue\": 20").replace("r\\\"1", "r\\\"2");
    let definition = parse(&text).expect("a catalogue");
    let numbers: HashMap<String, GoalNumber> =
        definition.goal_ids().map(str::to_owned).zip((1..).map(GoalNumber)).collect();
    let second = Catalogue::new(definition, 2, &numbers).expect("numbered").following(&first);
    let (second, templates) = (Arc::new(second), Templates::default());
    let mut kept = 0;
    for (player, now) in players(&first) {
        let player = player.map(|mut player| {
            player.stamp(1, &Context { catalogue: &first, now, seed: 1, late_window_ms: 600_000 });
            let _untold = gauntlet_domain::show_under(&mut player, &second, now);
            player
        });
        kept += usize::from(player.as_ref().is_some_and(|player| !player.held_terms().is_empty()));
        for active_only in [false, true] {
            let stored = player.clone().map(|player| Stored { revision: 1, player });
            let (catalogue, player) = (second.clone(), "p".into());
            let browse = Browse { catalogue, stored, challenge: None, active_only, now, player };
            let expected = proto::GetChallengesResponse { challenges: browse.messages() };
            let spliced = String::from_utf8(templates.of(&second).write(&browse).into_vec()).expect("UTF-8");
            assert_eq!(spliced, serde_json::to_string(&expected).expect("JSON"));
            let holds = browse.document().is_some_and(|player| !player.held_terms().is_empty());
            assert_eq!(spliced.contains("\"targetValue\":10}"), holds, "{spliced}");
        }
        let context = Context { catalogue: &second, now, seed: 1, late_window_ms: 600_000 };
        let (mut player, mut effects) = (player.unwrap_or_else(Player::new), Effects::default());
        let reply = decide(&mut player, &Command::Initialize, &context, &mut effects).expect("initialized");
        let spliced = String::from_utf8(templates.of(&second).initialized(&reply)).expect("UTF-8");
        assert_eq!(spliced, serde_json::to_string(&crate::api::initialized(&second, reply)).expect("JSON"));
    }
    assert!(kept > 4, "{kept}");
}
