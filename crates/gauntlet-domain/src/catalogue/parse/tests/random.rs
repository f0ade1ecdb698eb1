//! Random files: the parser never panics, faults lie within the text, and what is accepted holds
//! what a definition promises and survives being written and read again.

use std::collections::HashSet;

use chrono_tz::TZ_VARIANTS;
use proptest::{collection::vec, option, prelude::*, sample};

use super::{super::parse, NEWER, OLDER, SAMPLE, TEN_FAULTS};
use crate::{
    Timestamp,
    catalogue::{
        ChallengeDefinition, ChangePolicy, Definition, EventSource, GoalDefinition, GoalKind, OnExpiry,
        Operator, ProgressMode, Requirement, Reward, RewardKind, Rotation, RotationKind, Schedule, Weekday,
        to_json,
    },
    limits::check_id,
};

/// Everything that must hold for any text.
fn check(text: &str) {
    match parse(text) {
        Ok(definition) => {
            let strict: Result<serde_json::Value, _> =
                serde_json::from_str(text.trim_start_matches('\u{FEFF}'));
            assert!(strict.is_ok(), "accepted what is not JSON: {strict:?}");
            check_promises(&definition);
            assert_eq!(parse(&to_json(&definition)).as_ref(), Ok(&definition));
        }
        Err(faults) => {
            assert!(!faults.as_slice().is_empty());
            let lines: Vec<&str> = text.trim_start_matches('\u{FEFF}').split('\n').collect();
            for fault in faults.as_slice() {
                let line = lines.get(fault.line - 1).unwrap_or_else(|| panic!("no such line: {fault}"));
                assert!((1..=line.chars().count() + 1).contains(&fault.column), "no such column: {fault}");
                assert!(!fault.to_string().contains('\n'), "a fault is one line: {fault}");
            }
            let places: Vec<_> = faults.as_slice().iter().map(|fault| (fault.line, fault.column)).collect();
            assert!(places.is_sorted());
        }
    }
}

fn check_promises(definition: &Definition) {
    let ids: HashSet<&str> = definition.goal_ids().collect();
    assert_eq!(ids.len(), definition.goal_ids().count());
    for challenge in &definition.challenges {
        assert!(check_id(&challenge.id).is_ok() && !challenge.name.is_empty() && !challenge.goals.is_empty());
        for goal in &challenge.goals {
            assert!(check_id(&goal.id).is_ok() && !goal.name.is_empty());
            assert!(
                goal.requirement.target_value > 0 && goal.reward.quantity > 0 && !goal.reward.id.is_empty()
            );
            assert!(goal.prerequisites.iter().all(|id| ids.contains(id.as_str()) && *id != goal.id));
            let daily = matches!(goal.kind, GoalKind::Daily | GoalKind::Increment { daily: true });
            assert!(!(daily && goal.rotation.is_some()));
        }
    }
}

/// A change to a file: at a place (as a share of its length) some bytes go and others come.
pub(in crate::catalogue) fn mutation() -> impl Strategy<Value = (f64, usize, String)> {
    let pieces = sample::select(vec![
        "",
        "",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\\",
        "\\u12",
        "\\ud800",
        "//",
        "/*",
        "'",
        "null",
        "true",
        "-1",
        "1e400",
        "0x1",
        "99999999999999999999",
        "\n",
        "\u{a0}",
        "é",
        "\u{1F3C6}",
        "\"id\":1,",
        "daily",
        "0 0 31 2 *",
    ]);
    (0.0..1.0, 0_usize..12, prop_oneof![pieces.prop_map(str::to_owned), ".{0,4}"])
}

pub(in crate::catalogue) fn mutate(text: &str, mutations: &[(f64, usize, String)]) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for (place, removed, added) in mutations {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a small file"
        )]
        let at = (letters.len() as f64 * place) as usize;
        let end = (at + removed).min(letters.len());
        letters.splice(at..end, added.chars());
    }
    letters.into_iter().collect()
}

/// Swaps two pieces of a text that were cut at commas.
fn swap(text: &str, one: usize, other: usize) -> String {
    let mut pieces: Vec<&str> = text.split(',').collect();
    let count = pieces.len();
    pieces.swap(one % count, other % count);
    pieces.join(",")
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let words = sample::select(vec![
        "challenges",
        "goals",
        "goalId",
        "id",
        "name",
        "type",
        "daily",
        "rotation",
        "schedule",
        "duration",
        "requirement",
        "reward",
        "prerequisites",
        "eventSource",
        "timeZone",
        "onExpiry",
        "global",
        "per_user",
        "absolute",
        "start",
        "end",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        words.clone().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Into::into),
            vec((words.clone(), inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn changed_samples_never_panic(
        which in sample::select(vec![SAMPLE, OLDER, NEWER, TEN_FAULTS]),
        changes in vec(mutation(), 1..6),
        swaps in option::of((any::<usize>(), any::<usize>())),
    ) {
        let text = mutate(which, &changes);
        check(&swaps.map_or(text.clone(), |(one, other)| swap(&text, one, other)));
    }

    #[test]
    fn swapped_pieces_never_panic(which in sample::select(vec![SAMPLE, OLDER]), one: usize, other: usize) {
        check(&swap(which, one, other));
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,40}|[\\[\\]{}\",:0-9a-z\\\\/* \n-]{0,60}") {
        check(&text);
    }

    #[test]
    fn any_json_never_panics(value in any_json()) {
        check(&value.to_string());
        check(&serde_json::json!({ "challenges": [{ "id": "c", "name": "C", "goals": [value], "rotation": value }] }).to_string());
    }

    #[test]
    fn any_schedule_never_panics(line in "[0-9*/,LW#? A-Z@+-]{0,24}|([0-9*/,LW#A-F-]{1,6} ){4}[0-9*/,LW#A-F-]{1,6}") {
        let rotation = serde_json::json!({ "type": "global", "schedule": line });
        check(&serde_json::json!({ "challenges": [{ "id": "c", "name": "C", "goals": [], "rotation": rotation }] }).to_string());
    }

    #[test]
    fn written_definitions_read_back_the_same(definition in any_definition()) {
        let text = to_json(&definition);
        prop_assert_eq!(parse(&text), Ok(definition), "{}", text);
    }
}

fn any_id() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,20}"
}

fn any_filled() -> impl Strategy<Value = String> {
    ".{0,10}[a-z]"
}

fn any_zone() -> impl Strategy<Value = chrono_tz::Tz> {
    sample::select(TZ_VARIANTS.to_vec())
}

fn any_rotation() -> impl Strategy<Value = Rotation> {
    let schedule = prop_oneof![
        Just(Schedule::Daily),
        Just(Schedule::Weekly),
        Just(Schedule::Monthly),
        (0..60, 0..24, 1..29)
            .prop_map(|(minute, hour, day)| Schedule::Cron(format!("{minute} {hour} {day} * *"))),
        (0_i64..4_000_000_000_000, 1_i64..100_000_000_000).prop_map(|(start, length)| {
            let start = Timestamp::from_millis(start);
            Schedule::Window { start, end: start.plus_millis(length) }
        }),
    ];
    let kind = prop_oneof![
        schedule.prop_map(RotationKind::Global),
        (1..=u32::MAX).prop_map(|duration_seconds| RotationKind::PerUser { duration_seconds }),
    ];
    let week_start =
        sample::select(vec![Weekday::Monday, Weekday::Wednesday, Weekday::Saturday, Weekday::Sunday]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (flags, kind, any_zone(), week_start).prop_map(
        |((enabled, reset, reselect), kind, time_zone, week_start)| Rotation {
            enabled,
            kind,
            on_expiry: OnExpiry { reset_progress: reset, allow_reselection: reselect },
            time_zone,
            week_start,
        },
    )
}

/// A goal without prerequisites, whose id is still to be made unique.
fn any_goal() -> impl Strategy<Value = GoalDefinition> {
    let kinds = vec![
        GoalKind::Absolute,
        GoalKind::Increment { daily: false },
        GoalKind::Increment { daily: true },
        GoalKind::Daily,
    ];
    let what = (sample::select(kinds), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let texts = (any_id(), any_filled(), ".{0,30}", any_id(), any_filled());
    let numbers = (1..=i32::MAX, 1..=i32::MAX);
    let policy =
        sample::select(vec![ChangePolicy::Keep, ChangePolicy::UpgradeIfEasier, ChangePolicy::Restart]);
    (what, texts, numbers, any_zone(), option::of(any_rotation()), policy).prop_map(
        |(
            (kind, login, assigned, relative, wallet),
            (id, name, description, stat_code, reward),
            (target_value, quantity),
            zone,
            rotation,
            on_change,
        )| {
            let daily = matches!(kind, GoalKind::Daily | GoalKind::Increment { daily: true });
            let rotation = rotation.filter(|_| !daily);
            let zoned = daily || rotation.is_some();
            let relative = relative && kind == GoalKind::Absolute;
            GoalDefinition {
                id,
                name,
                description,
                kind,
                event_source: if login { EventSource::Login } else { EventSource::Statistic },
                default_assigned: assigned,
                time_zone: if zoned { zone } else { chrono_tz::Tz::UTC },
                requirement: Requirement {
                    stat_code,
                    operator: Operator::AtLeast,
                    target_value,
                    mode: if relative { ProgressMode::Relative } else { ProgressMode::Absolute },
                },
                reward: Reward {
                    kind: if wallet { RewardKind::Wallet } else { RewardKind::Item },
                    id: reward,
                    quantity,
                },
                prerequisites: Vec::new(),
                rotation,
                on_change,
            }
        },
    )
}

/// Any definition that keeps its promises: ids get a number, and goals wait only for earlier ones.
pub(in crate::catalogue) fn any_definition() -> impl Strategy<Value = Definition> {
    let goal = (any_goal(), any::<prop::sample::Index>(), any::<bool>());
    let challenge = (any_id(), any_filled(), ".{0,20}", vec(goal, 1..5));
    vec(challenge, 0..4).prop_map(|challenges| {
        let mut ids: Vec<String> = Vec::new();
        let mut definition = Definition::default();
        for (number, (id, name, description, goals)) in challenges.into_iter().enumerate() {
            let mut kept = Vec::new();
            for (mut goal, needed, waits) in goals {
                goal.id = format!("{}-{}", ids.len(), goal.id);
                if waits && !ids.is_empty() {
                    goal.prerequisites = vec![ids[needed.index(ids.len())].clone()];
                }
                ids.push(goal.id.clone());
                kept.push(goal);
            }
            definition.challenges.push(ChallengeDefinition {
                id: format!("{number}-{id}"),
                name,
                description,
                goals: kept,
            });
        }
        definition
    })
}
