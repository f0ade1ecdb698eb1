//! Every row of the table of fields: what is allowed, what is the default, what is a fault.

use chrono_tz::Tz;
use serde_json::{Value, json};

use super::{super::parse, faults};
use crate::{
    Timestamp,
    catalogue::{
        Definition, EventSource, GoalDefinition, GoalKind, OnExpiry, Operator, ProgressMode, RewardKind,
        Rotation, RotationKind, Schedule, Weekday,
    },
};

/// A catalogue of two challenges with only what is required.
fn smallest() -> Value {
    let goal = |id: &str| {
        json!({
            "goalId": id, "name": "G", "eventSource": "statistic",
            "requirement": { "statCode": "kills", "operator": ">=", "targetValue": 10 },
            "reward": { "type": "ITEM", "rewardId": "hat", "quantity": 1 }
        })
    };
    json!({ "challenges": [
        { "challengeId": "c", "name": "C", "goals": [goal("g"), goal("h")] },
        { "challengeId": "d", "name": "D", "goals": [goal("i")] }
    ]})
}

/// The smallest catalogue with values replaced or added (or removed, with null) by JSON pointer;
/// `G` stands for the first goal, `C` for the first challenge.
fn changed(changes: &[(&str, Value)]) -> String {
    let mut catalogue = smallest();
    for (pointer, value) in changes {
        let pointer = match pointer.split_at(1) {
            ("G", rest) => format!("/challenges/0/goals/0{rest}"),
            ("C", rest) => format!("/challenges/0{rest}"),
            _ => (*pointer).to_owned(),
        };
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
        let parent =
            catalogue.pointer_mut(parent).expect("the parent exists").as_object_mut().expect("an object");
        if value.is_null() {
            parent.remove(key);
        } else {
            parent.insert(key.to_owned(), value.clone());
        }
    }
    catalogue.to_string()
}

fn read(changes: &[(&str, Value)]) -> Definition {
    parse(&changed(changes)).unwrap_or_else(|faults| panic!("{changes:?}: {faults}"))
}

pub(super) fn read_goal(changes: &[(&str, Value)]) -> GoalDefinition {
    read(changes).challenges[0].goals[0].clone()
}

fn read_rotation(rotation: Value) -> Rotation {
    read_goal(&[("G/rotation", rotation)]).rotation.expect("a rotation")
}

/// The faults without their positions.
pub(super) fn messages(changes: &[(&str, Value)]) -> Vec<String> {
    let unplaced = |line: String| line.split_once(' ').map(|(_, rest)| rest.to_owned()).unwrap_or(line);
    faults(&changed(changes)).into_iter().map(unplaced).collect()
}

/// Asserts that each change alone gives exactly one fault, at a path and with a message; paths
/// begin at the first goal unless they begin at the root.
fn assert_each_is_one_fault(cases: &[(&str, Value, &str)]) {
    for (pointer, value, message) in cases {
        let expected = if message.starts_with("challenges") {
            (*message).to_owned()
        } else {
            format!("challenges[0].goals[0].{message}")
        };
        assert_eq!(messages(&[(pointer, value.clone())]), [expected], "{pointer} = {value}");
    }
}

#[test]
fn the_smallest_catalogue_has_every_default() {
    let goal = read_goal(&[]);
    assert_eq!((goal.id.as_str(), goal.name.as_str(), goal.description.as_str()), ("g", "G", ""));
    assert_eq!(goal.kind, GoalKind::Absolute);
    assert_eq!(goal.event_source, EventSource::Statistic);
    assert!(!goal.default_assigned);
    assert_eq!(goal.time_zone, Tz::UTC);
    assert_eq!(goal.requirement.stat_code, "kills");
    assert_eq!(goal.requirement.operator, Operator::AtLeast);
    assert_eq!(goal.requirement.target_value, 10);
    assert_eq!(goal.requirement.mode, ProgressMode::Absolute);
    assert_eq!(
        (goal.reward.kind, goal.reward.id.as_str(), goal.reward.quantity),
        (RewardKind::Item, "hat", 1)
    );
    assert_eq!((goal.prerequisites, goal.rotation), (vec![], None));
}

#[test]
fn challenges() {
    assert_eq!(read(&[("/challenges", json!([]))]), Definition::default());
    assert_eq!(read(&[("C/description", json!("x"))]).challenges[0].description, "x");
    assert_eq!(read(&[("C/challengeId", json!("ß".repeat(100)))]).challenges.len(), 2);
    assert_each_is_one_fault(&[
        ("/challenges", json!({}), "challenges: found an object; allowed: a list"),
        (
            "C/challengeId",
            json!(null),
            "challenges[0].challengeId: missing; required (older spelling: \"id\")",
        ),
        (
            "C/challengeId",
            json!(""),
            "challenges[0].challengeId: found \"\"; the id is empty; allowed: 1 to 100 characters, no control characters",
        ),
        (
            "C/challengeId",
            json!(7),
            "challenges[0].challengeId: found 7; allowed: 1 to 100 characters, no control characters",
        ),
        (
            "C/challengeId",
            json!("a\tb"),
            "challenges[0].challengeId: found \"a\\tb\"; the id has a control character; allowed: 1 to 100 characters, no control characters",
        ),
        (
            "C/challengeId",
            json!("d"),
            "challenges[1].challengeId: found \"d\"; already the id of the challenge on line 1; ids are unique",
        ),
        ("C/name", json!(null), "challenges[0].name: missing; required"),
        ("C/name", json!(" \n"), "challenges[0].name: found \" \\n\"; allowed: text that is not empty"),
        ("C/description", json!(["x"]), "challenges[0].description: found a list; allowed: text"),
        ("C/goals", json!(null), "challenges[0].goals: missing; required"),
        ("C/goals", json!([]), "challenges[0].goals: found an empty list; allowed: at least one goal"),
        ("C/goals", json!([3]), "challenges[0].goals[0]: found 3; allowed: an object"),
        (
            "C/gaols",
            json!([]),
            "challenges[0].gaols: unknown field; allowed: challengeId, name, description, goals, rotation; did you mean \"goals\"?",
        ),
    ]);
}

#[test]
fn goal_ids_and_texts() {
    assert_eq!(read_goal(&[("G/goalId", json!("a:b c"))]).id, "a:b c");
    let too_long = "x".repeat(101);
    let shown = "x".repeat(60);
    assert_each_is_one_fault(&[
        ("G/goalId", json!(null), "goalId: missing; required (older spelling: \"id\")"),
        (
            "G/goalId",
            json!(too_long),
            &format!(
                "goalId: found \"{shown}…\"; the id is longer than 100 characters; allowed: 1 to 100 characters, no control characters"
            ),
        ),
        (
            "G/goalId",
            json!("i"),
            "challenges[1].goals[0].goalId: found \"i\"; already the id of the goal on line 1; ids are unique",
        ),
        ("G/name", json!(null), "name: missing; required"),
        ("G/name", json!(""), "name: found \"\"; allowed: text that is not empty"),
        ("G/description", json!(1.5), "description: found 1.5; allowed: text"),
        // Written in alphabetical order: "goalId" stands before "id".
        ("G/id", json!("g2"), "id: another spelling of \"goalId\" on line 1; keep one of them"),
        (
            "G/name!",
            json!(0),
            "challenges[0].goals[0][\"name!\"]: unknown field; allowed: goalId, name, description, type, eventSource, daily, defaultAssigned, timeZone, requirement, reward, prerequisites, rotation, unclaimed, onChange; did you mean \"name\"?",
        ),
    ]);
}

#[test]
fn kinds_and_flags() {
    for (kind, daily, expected) in [
        ("absolute", json!(false), GoalKind::Absolute),
        ("increment", json!(null), GoalKind::Increment { daily: false }),
        ("increment", json!(true), GoalKind::Increment { daily: true }),
        ("daily", json!(false), GoalKind::Daily),
    ] {
        assert_eq!(read_goal(&[("G/type", json!(kind)), ("G/daily", daily)]).kind, expected);
    }
    assert_eq!(read_goal(&[("G/eventSource", json!("login"))]).event_source, EventSource::Login);
    assert!(read_goal(&[("G/defaultAssigned", json!(true))]).default_assigned);
    assert_each_is_one_fault(&[
        (
            "G/type",
            json!("abslute"),
            "type: found \"abslute\"; allowed: absolute, increment, daily; did you mean \"absolute\"?",
        ),
        (
            "G/type",
            json!("Daily"),
            "type: found \"Daily\"; allowed: absolute, increment, daily; did you mean \"daily\"?",
        ),
        ("G/type", json!(true), "type: found true; allowed: absolute, increment, daily"),
        ("G/eventSource", json!(null), "eventSource: missing; required (older spelling: \"event_source\")"),
        (
            "G/eventSource",
            json!("stat"),
            "eventSource: found \"stat\"; allowed: login, statistic; did you mean \"statistic\"?",
        ),
        ("G/daily", json!(true), "daily: found true; allowed: true only with type increment"),
        ("G/daily", json!("yes"), "daily: found \"yes\"; allowed: true, false"),
        ("G/defaultAssigned", json!(1), "defaultAssigned: found 1; allowed: true, false"),
    ]);
    assert_eq!(
        messages(&[("G/type", json!("daily")), ("G/daily", json!(true))]),
        ["challenges[0].goals[0].daily: found true; allowed: true only with type increment"]
    );
}

#[test]
fn time_zones() {
    for with in [
        ("G/type", json!("daily")),
        ("G/rotation", json!({ "type": "global", "schedule": "daily" })),
        ("C/rotation", json!({ "type": "global", "schedule": "daily" })),
    ] {
        assert_eq!(read_goal(&[("G/timeZone", json!("Asia/Kolkata")), with]).time_zone, Tz::Asia__Kolkata);
    }
    let problem = "allowed: an IANA time zone, such as \"UTC\" or \"Europe/Paris\"";
    for (written, suggestion) in [
        ("Europe/Berln", "; did you mean \"Europe/Berlin\"?"),
        ("berlin", "; did you mean \"Europe/Berlin\"?"),
        ("America/Los Angeles", "; did you mean \"America/Los_Angeles\"?"),
        ("+02:00", ""),
        ("", ""),
    ] {
        assert_eq!(
            messages(&[("G/type", json!("daily")), ("G/timeZone", json!(written))]),
            [format!("challenges[0].goals[0].timeZone: found {written:?}; {problem}{suggestion}")]
        );
    }
    assert_each_is_one_fault(&[(
        "G/timeZone",
        json!("Europe/Berlin"),
        "timeZone: found \"Europe/Berlin\"; allowed only with type daily, daily true or a rotation",
    )]);
}

#[test]
fn requirements() {
    assert_eq!(
        read_goal(&[("G/requirement/targetValue", json!(i32::MAX))]).requirement.target_value,
        i32::MAX
    );
    let relative = ("G/requirement/progressMode", json!("relative"));
    assert_eq!(read_goal(std::slice::from_ref(&relative)).requirement.mode, ProgressMode::Relative);
    let range = "allowed: a whole number from 1 to 2147483647";
    assert_each_is_one_fault(&[
        ("G/requirement", json!(null), "requirement: missing; required"),
        ("G/requirement", json!([]), "requirement: found an empty list; allowed: an object"),
        (
            "G/requirement/statCode",
            json!(null),
            "requirement.statCode: missing; required (older spelling: \"stat_code\")",
        ),
        (
            "G/requirement/statCode",
            json!(""),
            "requirement.statCode: found \"\"; the id is empty; allowed: 1 to 100 characters, no control characters",
        ),
        ("G/requirement/operator", json!(null), "requirement.operator: missing; required"),
        ("G/requirement/operator", json!(">"), "requirement.operator: found \">\"; allowed: >="),
        (
            "G/requirement/targetValue",
            json!(null),
            "requirement.targetValue: missing; required (older spelling: \"target_value\")",
        ),
        ("G/requirement/targetValue", json!(0), &format!("requirement.targetValue: found 0; {range}")),
        ("G/requirement/targetValue", json!(-5), &format!("requirement.targetValue: found -5; {range}")),
        (
            "G/requirement/targetValue",
            json!(2_147_483_648_u64),
            &format!("requirement.targetValue: found 2147483648; {range}"),
        ),
        ("G/requirement/targetValue", json!(2.5), &format!("requirement.targetValue: found 2.5; {range}")),
        (
            "G/requirement/targetValue",
            json!("10"),
            &format!("requirement.targetValue: found \"10\"; {range}"),
        ),
        (
            "G/requirement/progressMode",
            json!("relativ"),
            "requirement.progressMode: found \"relativ\"; allowed: absolute, relative; did you mean \"relative\"?",
        ),
    ]);
    for kind in ["increment", "daily"] {
        assert_eq!(
            messages(&[("G/type", json!(kind)), relative.clone()]),
            [
                "challenges[0].goals[0].requirement.progressMode: found \"relative\"; allowed: relative only with type absolute"
            ]
        );
    }
}

#[test]
fn rewards() {
    assert_eq!(read_goal(&[("G/reward/type", json!("WALLET"))]).reward.kind, RewardKind::Wallet);
    assert_each_is_one_fault(&[
        ("G/reward", json!(null), "reward: missing; required"),
        ("G/reward/type", json!(null), "reward.type: missing; required"),
        (
            "G/reward/type",
            json!("item"),
            "reward.type: found \"item\"; allowed: ITEM, WALLET; did you mean \"ITEM\"?",
        ),
        (
            "G/reward/rewardId",
            json!(null),
            "reward.rewardId: missing; required (older spelling: \"reward_id\")",
        ),
        ("G/reward/rewardId", json!(""), "reward.rewardId: found \"\"; allowed: text that is not empty"),
        ("G/reward/quantity", json!(null), "reward.quantity: missing; required"),
        (
            "G/reward/quantity",
            json!(0),
            "reward.quantity: found 0; allowed: a whole number from 1 to 2147483647",
        ),
        (
            "G/reward/quantity",
            json!(1e300),
            "reward.quantity: found 1e+300; allowed: a whole number from 1 to 2147483647",
        ),
    ]);
}

#[test]
fn prerequisites() {
    let needs = |goal: &'static str, ids: Value| (format!("/challenges/{goal}/prerequisites"), ids);
    assert_eq!(read_goal(&[("G/prerequisites", json!(["h", "i"]))]).prerequisites, ["h", "i"]);
    assert_each_is_one_fault(&[
        ("G/prerequisites", json!("h"), "prerequisites: found \"h\"; allowed: a list"),
        (
            "G/prerequisites",
            json!([1]),
            "prerequisites[0]: found 1; allowed: 1 to 100 characters, no control characters",
        ),
        ("G/prerequisites", json!(["h", "x"]), "prerequisites[1]: found \"x\"; no goal has this id"),
        (
            "G/prerequisites",
            json!(["h", "h"]),
            "prerequisites[1]: found \"h\"; listed twice; the first is on line 1",
        ),
        (
            "G/prerequisites",
            json!(["g"]),
            "prerequisites[0]: found \"g\"; a goal cannot be its own prerequisite",
        ),
    ]);
    let cycle = [
        needs("0/goals/0", json!(["h"])),
        needs("0/goals/1", json!(["i"])),
        needs("1/goals/0", json!(["g"])),
    ];
    let cycle: Vec<(&str, Value)> =
        cycle.iter().map(|(pointer, ids)| (pointer.as_str(), ids.clone())).collect();
    assert_eq!(
        messages(&cycle),
        [
            "challenges[1].goals[0].prerequisites[0]: found \"g\"; these goals wait for each other: g -> h -> i -> g"
        ]
    );
    // Two ways to the same goal are no cycle.
    assert_eq!(
        messages(&[
            ("G/prerequisites", json!(["h", "i"])),
            ("/challenges/0/goals/1/prerequisites", json!(["i"]))
        ]),
        [""; 0]
    );
    // A goal with a fault of its own still exists for others.
    assert_eq!(
        messages(&[("G/prerequisites", json!(["i"])), ("/challenges/1/goals/0/name", json!(7))]),
        ["challenges[1].goals[0].name: found 7; allowed: text that is not empty"]
    );
}

#[test]
fn rotations() {
    let weekly = json!({ "type": "global", "schedule": "weekly" });
    let defaults = Rotation {
        enabled: true,
        kind: RotationKind::Global(Schedule::Weekly),
        on_expiry: OnExpiry { reset_progress: false, allow_reselection: false },
        time_zone: Tz::UTC,
        week_start: Weekday::Monday,
    };
    assert_eq!(read_rotation(weekly.clone()), defaults);
    assert_eq!(
        read_rotation(json!({
            "enabled": false, "type": "global", "schedule": "weekly", "timeZone": "Asia/Tokyo", "weekStart": "Sunday",
            "onExpiry": { "resetProgress": true, "allowReselection": true }
        })),
        Rotation {
            enabled: false,
            on_expiry: OnExpiry { reset_progress: true, allow_reselection: true },
            time_zone: Tz::Asia__Tokyo,
            week_start: Weekday::Sunday,
            ..defaults.clone()
        }
    );
    // A challenge's rotation is for its goals that have none; zones: its own, else the goal's.
    let zone = ("G/timeZone", json!("Asia/Tokyo"));
    let own = json!({ "type": "per_user", "duration": 60 });
    let read = read(&[("C/rotation", weekly), ("/challenges/0/goals/1/rotation", own), zone]);
    let of = |challenge: usize, goal: usize| read.challenges[challenge].goals[goal].rotation.clone();
    assert_eq!(of(0, 0), Some(Rotation { time_zone: Tz::Asia__Tokyo, ..defaults.clone() }));
    assert_eq!(of(0, 1).map(|own| own.kind), Some(RotationKind::PerUser { duration_seconds: 60 }));
    assert_eq!(of(1, 0), None);
}

#[test]
fn schedules_and_durations() {
    let at = |text| Timestamp::parse(text).expect(text);
    for (written, expected) in [
        (json!("daily"), Schedule::Daily),
        (json!("monthly"), Schedule::Monthly),
        (json!("30 4 * * MON-FRI"), Schedule::Cron("30 4 * * MON-FRI".to_owned())),
        (json!("0 0 29 2 *"), Schedule::Cron("0 0 29 2 *".to_owned())),
        (
            json!({ "start": "2026-11-24T00:00:00+01:00", "end": "2026-12-24T00:00:00.5Z" }),
            Schedule::Window { start: at("2026-11-23T23:00:00Z"), end: at("2026-12-24T00:00:00.500Z") },
        ),
    ] {
        let rotation = read_rotation(json!({ "type": "global", "schedule": written }));
        assert_eq!(rotation.kind, RotationKind::Global(expected));
    }
    for (written, seconds) in [
        (json!(1), 1),
        (json!(u32::MAX), u32::MAX),
        (json!("7d"), 604_800),
        (json!("12h"), 43_200),
        (json!("30m"), 1_800),
        (json!("90s"), 90),
    ] {
        let rotation = read_rotation(json!({ "type": "per_user", "duration": written }));
        assert_eq!(rotation.kind, RotationKind::PerUser { duration_seconds: seconds });
    }
}

/// The faults of a rotation of the first goal, without position and path of the rotation.
fn rotation_messages(rotation: &Value) -> Vec<String> {
    let shorten = |line: &String| {
        line.trim_start_matches("challenges[0].goals[0].rotation").trim_start_matches('.').to_owned()
    };
    messages(&[("G/rotation", rotation.clone())]).iter().map(shorten).collect()
}

#[test]
fn faults_of_rotations() {
    for (rotation, expected) in [
        (json!([]), &[": found an empty list; allowed: an object"] as &[&str]),
        (json!({}), &["type: missing; required"]),
        (
            json!({ "type": "globl", "schedule": "dayly", "duration": 0 }),
            &[
                "duration: found 0; allowed: seconds (1 to 4294967295), or a whole number with one of d, h, m, s, such as \"7d\"",
                "schedule: found \"dayly\"; allowed: daily, weekly, monthly, a cron line of five fields, or an object with start and end; did you mean \"daily\"?",
                "type: found \"globl\"; allowed: global, per_user; did you mean \"global\"?",
            ],
        ),
        (json!({ "type": "global" }), &["schedule: missing; required"]),
        (
            json!({ "type": "global", "schedule": "daily", "duration": "1d" }),
            &["duration: found \"1d\"; allowed only with type per_user; global takes a schedule"],
        ),
        (
            json!({ "type": "per_user" }),
            &["duration: missing; required (older spelling: \"duration_seconds\")"],
        ),
        (
            json!({ "type": "per_user", "duration": "1d", "schedule": "daily" }),
            &["schedule: found \"daily\"; allowed only with type global; per_user takes a duration"],
        ),
        (
            json!({ "type": "global", "schedule": "daily", "weekStart": "mon" }),
            &[
                "weekStart: found \"mon\"; allowed: monday, tuesday, wednesday, thursday, friday, saturday, sunday; did you mean \"monday\"?",
            ],
        ),
        (
            json!({ "type": "global", "schedule": "daily", "onExpiry": { "reset": true, "allowReselection": 1 } }),
            &[
                "onExpiry.allowReselection: found 1; allowed: true, false",
                "onExpiry.reset: unknown field; allowed: resetProgress, allowReselection; did you mean \"resetProgress\"?",
            ],
        ),
        (
            json!({ "type": "global", "schedule": {} }),
            &["schedule.start: missing; required", "schedule.end: missing; required"],
        ),
        (
            json!({ "type": "global", "schedule": { "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z" } }),
            &["schedule.end: found \"2026-01-01T00:00:00Z\"; allowed: a time after start"],
        ),
        (
            json!({ "type": "global", "schedule": { "start": "2026-01-01", "end": 5 } }),
            &[
                "schedule.end: found 5; allowed: an RFC 3339 time, such as \"2026-11-24T08:00:00Z\"",
                "schedule.start: found \"2026-01-01\"; allowed: an RFC 3339 time, such as \"2026-11-24T08:00:00Z\"",
            ],
        ),
    ] {
        assert_eq!(rotation_messages(&rotation), expected, "{rotation}");
    }
}

#[test]
fn faults_of_durations_and_cron_lines() {
    for duration in [
        json!("7"),
        json!("d"),
        json!("1w"),
        json!("-1d"),
        json!("+1d"),
        json!("0s"),
        json!("49711d"),
        json!("é"),
        json!(1.5),
    ] {
        let found = rotation_messages(&json!({ "type": "per_user", "duration": duration }));
        assert_eq!(found.len(), 1, "{duration}");
    }
    for (line, problem) in [
        (
            "* * * *",
            "this cron line has 4 fields; allowed: five (minute, hour, day of month, month, day of week)",
        ),
        (
            "0 0 0 * * *",
            "this cron line has 6 fields; allowed: five (minute, hour, day of month, month, day of week)",
        ),
        ("0 0 31 2 *", "this cron line has no date: no month has such a day"),
        ("0 0 * * é", "allowed: a cron line of up to 200 ASCII characters"),
    ] {
        let found = rotation_messages(&json!({ "type": "global", "schedule": line }));
        assert_eq!(found, [format!("schedule: found {line:?}; {problem}")]);
    }
    for line in ["61 0 * * *", "a b c d e", "@daily x x x x", "0 0 5-1 * *", "* * * * 9", "0/0 * * * *"] {
        let found = rotation_messages(&json!({ "type": "global", "schedule": line }));
        assert!(
            matches!(found.as_slice(), [one] if one.contains("; not a cron line: ")),
            "{line}: {found:?}"
        );
    }
}

#[test]
fn daily_goals_take_no_rotation() {
    let rotation = json!({ "type": "global", "schedule": "weekly" });
    for (daily, path, found) in [
        (vec![("G/type", json!("daily"))], "type", "\"daily\""),
        (vec![("G/type", json!("increment")), ("G/daily", json!(true))], "daily", "true"),
    ] {
        let with = |change: (&'static str, Value)| messages(&[daily.clone(), vec![change]].concat());
        assert_eq!(
            with(("G/rotation", rotation.clone())),
            [
                "challenges[0].goals[0].rotation: a daily goal begins anew each day by itself and takes no rotation"
            ]
        );
        assert_eq!(
            with(("C/rotation", rotation.clone())),
            [format!(
                "challenges[0].goals[0].{path}: found {found}; a daily goal takes no rotation, and its challenge has one on line 1"
            )]
        );
    }
}
