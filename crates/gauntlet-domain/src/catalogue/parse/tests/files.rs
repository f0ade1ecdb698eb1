//! Whole files: the sample, the two spellings, files with many faults, and files that are no JSON.

use super::{
    super::{MAX_BYTES, MAX_FAULTS, parse},
    NEWER, OLDER, SAMPLE, TEN_FAULTS, faults,
};
use crate::catalogue::{EventSource, GoalKind, ProgressMode, RewardKind, RotationKind, to_json};

#[test]
fn both_spellings_say_the_same() {
    let older = parse(OLDER).unwrap();
    assert_eq!(older, parse(NEWER).unwrap());
    assert_eq!(older.goal_ids().collect::<Vec<_>>(), ["snowballs", "snowman", "visit", "streak"]);
    assert_eq!(older, parse(&to_json(&older)).unwrap());
}

#[test]
fn the_sample_shows_everything_the_format_can_do() {
    let sample = parse(SAMPLE).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(parse(&to_json(&sample)).unwrap(), sample);
    let goals: Vec<_> = sample.challenges.iter().flat_map(|challenge| &challenge.goals).collect();
    assert_eq!((sample.challenges.len(), goals.len()), (6, 29));
    for kind in [
        GoalKind::Absolute,
        GoalKind::Increment { daily: false },
        GoalKind::Increment { daily: true },
        GoalKind::Daily,
    ] {
        for source in [EventSource::Login, EventSource::Statistic] {
            assert!(
                goals.iter().any(|goal| goal.kind == kind && goal.event_source == source),
                "{kind:?} {source:?}"
            );
        }
    }
    assert!(
        goals.iter().any(|goal| goal.requirement.mode == ProgressMode::Relative && goal.rotation.is_some())
    );
    assert!(goals.iter().any(|goal| goal.reward.kind == RewardKind::Wallet));
    let rotations = || goals.iter().filter_map(|goal| goal.rotation.as_ref());
    assert!(
        rotations()
            .any(|rotation| matches!(rotation.kind, RotationKind::PerUser { duration_seconds: 259_200 }))
    );
    assert!(rotations().any(|rotation| !rotation.enabled));
    // What the first minutes of the README use.
    let quick = goals.iter().find(|goal| goal.id == "first-blood").unwrap();
    assert!(
        quick.default_assigned
            && quick.requirement.target_value == 10
            && quick.requirement.stat_code == "enemy_kills"
    );
    let login = goals.iter().find(|goal| goal.id == "daily-login").unwrap();
    assert!(
        login.default_assigned && login.kind == GoalKind::Daily && login.event_source == EventSource::Login
    );
}

#[test]
fn ten_faults_are_reported_at_once() {
    let expected = "\
catalogue.json:5:15 challenges[0].name: found \"\"; allowed: text that is not empty
catalogue.json:10:19 challenges[0].goals[0].type: found \"abslute\"; allowed: absolute, increment, daily; did you mean \"absolute\"?
catalogue.json:12:82 challenges[0].goals[0].requirement.targetValue: found 0; allowed: a whole number from 1 to 2147483647
catalogue.json:13:21 challenges[0].goals[0].reward.quantity: missing; required
catalogue.json:13:58 challenges[0].goals[0].reward.quantty: unknown field; allowed: type, rewardId, quantity; did you mean \"quantity\"?
catalogue.json:16:21 challenges[0].goals[1].goalId: found \"kills\"; already the id of the goal on line 8; ids are unique
catalogue.json:18:36 challenges[0].goals[1].eventSource: another spelling of \"event_source\" on line 18; keep one of them
catalogue.json:20:31 challenges[0].goals[1].reward.type: found \"GOLD\"; allowed: ITEM, WALLET
catalogue.json:21:29 challenges[0].goals[1].prerequisites[0]: found \"kils\"; no goal has this id; did you mean \"kills\"?
catalogue.json:22:10: found \",\"; not JSON: a comma stands only between two items
10 faults";
    let found = parse(TEN_FAULTS).unwrap_err();
    assert_eq!(found.in_file("catalogue.json").to_string(), expected);
    assert_eq!(found.to_string(), expected.replace("catalogue.json:", ""));
    assert_eq!((found.count(), found.as_slice()[1].suggestion.as_deref()), (10, Some("absolute")));
}

#[test]
fn the_root_is_an_object_with_challenges() {
    for (text, expected) in [
        ("", r#"1:1: the file is empty; allowed: an object with a list "challenges""#),
        (" \n ", r#"1:1: the file is empty; allowed: an object with a list "challenges""#),
        ("[]", "1:1: found an empty list; allowed: an object"),
        ("null", "1:1: found null; allowed: an object"),
        ("\n {}", "2:2 challenges: missing; required"),
        (r#"{"challenges":null}"#, "1:15 challenges: found null; allowed: a list"),
        (r#"{"challenges":[],"challenges":[]}"#, "1:18 challenges: written twice; the first is on line 1"),
        (r#"{"challenges":[],"$schema":1}"#, "1:28 $schema: found 1; allowed: text"),
        (r#"{"challenges":[],"version":1}"#, "1:18 version: unknown field; allowed: challenges, $schema"),
    ] {
        assert_eq!(faults(text), [expected], "{text}");
    }
    for good in [r#"{"challenges":[]}"#, "\u{FEFF}{\"challenges\":[],\"$schema\":\"x\"}\r\n"] {
        assert_eq!(faults(good), [""; 0], "{good}");
    }
}

#[test]
fn what_is_not_json_says_where() {
    for (text, expected) in [
        ("{", &["1:1: not JSON: unterminated object"] as &[&str]),
        ("{\n\"challenges\": [", &["2:15: not JSON: unterminated array"]),
        ("{\"challenges\": []} x", &["1:20: not JSON: text cannot contain more than one JSON value"]),
        ("{\"challenges\": [] /* none */}", &["1:19: found \"/* none */\"; not JSON: JSON has no comments"]),
        (
            "{\"challenges\": [1,]}",
            &[
                "1:17 challenges[0]: found 1; allowed: an object",
                "1:18: found \",\"; not JSON: a comma stands only between two items",
            ],
        ),
        (
            "{\"challenges\": [] \"$schema\": \"\"}",
            &["1:19: found \"\\\"$schema\\\"\"; not JSON: a comma is missing before this"],
        ),
        ("{\"challenges\": [],}", &["1:18: found \",\"; not JSON: a comma stands only between two items"]),
        ("{'challenges': []}", &["1:2: not JSON: single-quoted strings are not allowed"]),
        ("{challenges: []}", &["1:2: not JSON: expected string for object property"]),
        (
            "{\"$schema\": \"é\nx\", \"challenges\": []}",
            &["1:15: not JSON: control character (\\u0000-\\u001F) found while parsing a string"],
        ),
        ("{\"challenges\":\u{a0}[]}", &["1:15: not JSON: expected value"]),
        (
            "// a\n{\"challenges\": [],\n",
            &["1:1: not JSON: comments are not allowed", "2:1: not JSON: unterminated object"],
        ),
    ] {
        assert_eq!(faults(text), expected, "{text}");
    }
}

#[test]
fn sizes_have_limits() {
    let big = " ".repeat(MAX_BYTES + 1);
    assert_eq!(faults(&big), ["1:1: the file has 16777217 bytes; allowed: 16777216"]);
    // On a thread with a small stack, as a server's are.
    let deep = || {
        for open in ["[", "{\"a\":", "[{\"challenges\":["] {
            for count in [100, 500, 100_000] {
                assert!(!faults(&open.repeat(count)).is_empty());
            }
        }
        assert!(!faults(&format!("{}{}", "[".repeat(400), "]".repeat(400))).is_empty());
    };
    std::thread::Builder::new().stack_size(1024 * 1024).spawn(deep).unwrap().join().unwrap();

    let many = format!("{{\"challenges\": [{}0]}}", "0,".repeat(5_000));
    let faults = parse(&many).unwrap_err();
    assert_eq!((faults.as_slice().len(), faults.count()), (MAX_FAULTS, 5_001));
    assert!(faults.to_string().ends_with("\n5001 faults, the first 1000 shown"));
}

/// A long chain of prerequisites, and what closes it.
#[test]
fn long_chains_need_no_stack() {
    let goal = |at: usize, needs: usize| {
        format!(
            r#"{{"goalId":"g{at}","name":"G","eventSource":"login","requirement":{{"statCode":"s","operator":">=","targetValue":1}},
            "reward":{{"type":"ITEM","rewardId":"i","quantity":1}},"prerequisites":["g{needs}"]}}"#
        )
    };
    let goals: Vec<String> = (0..20_000).map(|at| goal(at, (at + 1) % 20_000)).collect();
    let text =
        format!(r#"{{"challenges":[{{"challengeId":"c","name":"C","goals":[{}]}}]}}"#, goals.join(",\n"));
    let shown = "g0 -> g1 -> g2 -> g3 -> g4 -> g5 -> g6 -> g7 -> g8 -> g9 -> ... -> g0";
    assert_eq!(
        faults(&text),
        [format!(
            "40000:83 challenges[0].goals[19999].prerequisites[0]: found \"g0\"; these goals wait for each other: {shown}"
        )]
    );
}

/// The designers' page shows a good file, a bad file, and what the bad one gives.
#[test]
fn the_documentation_shows_real_files_and_real_faults() {
    let page = include_str!("../../../../../../docs/catalogue.md");
    let blocks: Vec<&str> = page.split("```").skip(1).step_by(2).collect();
    let files: Vec<&str> =
        blocks.iter().filter_map(|block| block.strip_prefix("json\n{\n  \"challenges\"")).collect();
    let [good, bad] = files[..] else { panic!("two whole files, not {}", files.len()) };
    let whole = |rest: &str| format!("{{\n  \"challenges\"{rest}");
    assert_eq!(faults(&whole(good)), [""; 0]);
    let shown = parse(&whole(bad)).unwrap_err().in_file("season.json").to_string();
    assert!(page.contains(&shown), "the page does not show:\n{shown}");
}
