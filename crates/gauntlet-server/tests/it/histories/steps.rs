//! What histories are made of, and the catalogue that they play in.

use std::fmt::Write as _;

use chrono::DateTime;
use chrono_tz::Tz;
use proptest::{collection::vec, prelude::*};

use crate::world::{Def, Event, Kind, Policy, Turn, Unclaimed, What};

const fn def(
    id: &'static str,
    kind: Kind,
    stat: Option<&'static str>,
    target: i32,
    zone: Tz,
    default: bool,
    needs: &'static [&'static str],
) -> Def {
    let challenge = if id.as_bytes()[0] == b'c' { "c" } else { "d" };
    let daily = matches!(kind, Kind::Daily);
    let turn = if daily { Turn::Nightly } else { Turn::Never };
    let unclaimed = Unclaimed::Forfeit;
    Def {
        challenge,
        id,
        kind,
        stat,
        target,
        zone,
        default,
        needs,
        turn,
        reset: daily,
        reselect: daily,
        unclaimed,
        quantity: 1,
        policy: Policy::Keep,
    }
}

/// A goal with a rotation.
const fn rotating(def: Def, turn: Turn, reset: bool, reselect: bool, unclaimed: Unclaimed) -> Def {
    let challenge = if def.id.as_bytes()[0] == b'e' { "e" } else { "f" };
    Def { challenge, turn, reset, reselect, unclaimed, ..def }
}

/// Every kind of goal, fed by logins and by statistics, with prerequisites across challenges.
pub(crate) const DEFS: &[Def] = &[
    def("c1", Kind::Absolute, Some("kills"), 10, Tz::UTC, true, &[]),
    def("c2", Kind::Relative, Some("kills"), 10, Tz::UTC, false, &[]),
    def("c3", Kind::Increment, Some("kills"), 10, Tz::UTC, false, &[]),
    def("c4", Kind::DailyIncrement, Some("kills"), 2, Tz::UTC, false, &[]),
    def("c5", Kind::Daily, Some("kills"), 1, Tz::UTC, true, &[]),
    def("c6", Kind::Absolute, None, 3, Tz::UTC, false, &[]),
    def("d1", Kind::Increment, Some("wins"), 4, Tz::UTC, false, &["c1", "c5"]),
    def("d2", Kind::Increment, None, 2, Tz::UTC, true, &[]),
    def("d3", Kind::Daily, None, 1, Tz::Asia__Tokyo, true, &[]),
    def("d4", Kind::DailyIncrement, None, 2, Tz::America__Santiago, false, &[]),
    def("d5", Kind::Daily, Some("wins"), 1, Tz::Europe__Berlin, false, &["d3"]),
    def("d6", Kind::Relative, None, 2, Tz::UTC, false, &[]),
    def("d7", Kind::Daily, Some("wins"), 1, Tz::America__Santiago, true, &["c3"]),
    rotating(
        def("e1", Kind::Increment, Some("kills"), 6, Tz::UTC, true, &[]),
        Turn::Every(3_600_000),
        true,
        true,
        Unclaimed::Grace(5_400_000),
    ),
    rotating(
        def("e2", Kind::Absolute, Some("kills"), 10, Tz::UTC, true, &[]),
        Turn::Nightly,
        false,
        true,
        Unclaimed::Forfeit,
    ),
    rotating(
        def("e3", Kind::Increment, None, 2, Tz::UTC, true, &[]),
        Turn::Every(1_000_000),
        true,
        false,
        Unclaimed::Forfeit,
    ),
    rotating(
        def("e4", Kind::Absolute, None, 2, Tz::Asia__Tokyo, true, &[]),
        Turn::Nightly,
        true,
        true,
        Unclaimed::Grant,
    ),
    rotating(
        def("e5", Kind::Relative, Some("kills"), 10, Tz::America__Santiago, true, &["c5"]),
        Turn::Nightly,
        true,
        true,
        Unclaimed::Grace(7_200_000),
    ),
    rotating(
        def("e6", Kind::Increment, Some("wins"), 8, Tz::UTC, true, &[]),
        Turn::Every(20_000_000),
        false,
        false,
        Unclaimed::Forfeit,
    ),
    rotating(
        def("e7", Kind::Relative, Some("wins"), 10, Tz::UTC, true, &[]),
        Turn::Every(3_000_000),
        false,
        true,
        Unclaimed::Forfeit,
    ),
    rotating(
        def("e8", Kind::Absolute, Some("wins"), 10, Tz::Pacific__Kiritimati, true, &[]),
        Turn::Nightly,
        true,
        true,
        Unclaimed::Forfeit,
    ),
    rotating(
        def("f1", Kind::Increment, Some("kills"), 5, Tz::UTC, true, &[]),
        // From Wednesday on.
        Turn::Weekly(2),
        true,
        true,
        Unclaimed::Grace(7_200_000),
    ),
    rotating(
        def("f2", Kind::Relative, Some("kills"), 10, Tz::Europe__Berlin, true, &[]),
        Turn::Weekly(6),
        true,
        true,
        Unclaimed::Grant,
    ),
    rotating(
        def("f3", Kind::Increment, Some("wins"), 5, Tz::Etc__GMTPlus12, true, &[]),
        Turn::Monthly,
        true,
        true,
        Unclaimed::Forfeit,
    ),
    rotating(
        def("f4", Kind::Absolute, Some("wins"), 10, Tz::Pacific__Kiritimati, true, &[]),
        Turn::Monthly,
        false,
        true,
        Unclaimed::Forfeit,
    ),
    rotating(
        // The hour that comes twice when clocks go back, and is skipped when they go forward.
        def("f5", Kind::Increment, None, 2, Tz::Europe__Berlin, true, &["f1"]),
        Turn::DailyAt(10),
        true,
        true,
        Unclaimed::Grace(3_600_000),
    ),
    rotating(
        def("f6", Kind::Increment, Some("kills"), 6, Tz::Etc__GMTPlus12, true, &[]),
        // Sunday at a quarter to eight in the evening.
        Turn::WeeklyAt(6, 79),
        true,
        false,
        Unclaimed::Forfeit,
    ),
];

/// The same as a catalogue file.
pub(crate) fn catalogue_text(defs: &[Def]) -> String {
    let mut text = String::from(r#"{"challenges":["#);
    for challenge in ["c", "d", "e", "f"] {
        let comma = if challenge == "c" { "" } else { "," };
        let _ = write!(text, r#"{comma}{{"challengeId":"{challenge}","name":"{challenge}","goals":["#);
        for (at, def) in defs.iter().filter(|def| def.challenge == challenge).enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{}", goal_text(def));
        }
        text.push_str("]}");
    }
    text.push_str("]}");
    text
}

fn goal_text(def: &Def) -> String {
    let kind = match def.kind {
        Kind::Absolute | Kind::Relative => r#""absolute""#,
        Kind::Increment => r#""increment""#,
        Kind::DailyIncrement => r#""increment","daily":true"#,
        Kind::Daily => r#""daily""#,
    };
    let mode = if def.kind == Kind::Relative { "relative" } else { "absolute" };
    let zone = match def.kind {
        Kind::Daily | Kind::DailyIncrement => format!(r#""timeZone":"{}","#, def.zone),
        _ => rotation_text(def),
    };
    let unclaimed = match def.unclaimed {
        Unclaimed::Forfeit => String::new(),
        Unclaimed::Grace(length) => format!(r#""unclaimed":{{"grace":{}}},"#, length / 1000),
        Unclaimed::Grant => r#""unclaimed":"grant","#.to_owned(),
    };
    let policy = match def.policy {
        Policy::Keep => "keep",
        Policy::UpgradeIfEasier => "upgrade_if_easier",
        Policy::Restart => "restart",
    };
    let (source, stat) = def.stat.map_or(("login", "logins"), |stat| ("statistic", stat));
    format!(
        r#"{{"goalId":"{0}","name":"{0}","type":{kind},"eventSource":"{source}",{zone}{unclaimed}
            "defaultAssigned":{1},"prerequisites":{2:?},
            "requirement":{{"statCode":"{stat}","operator":">=","targetValue":{3},"progressMode":"{mode}"}},
            "reward":{{"type":"ITEM","rewardId":"r-{0}","quantity":{4}}},"onChange":"{policy}"}}"#,
        def.id, def.default, def.needs, def.target, def.quantity
    )
}

/// The rotation of a goal, with a comma behind it.
fn rotation_text(def: &Def) -> String {
    let when = match def.turn {
        Turn::Never => return String::new(),
        Turn::Nightly => format!(r#""type":"global","schedule":"daily","timeZone":"{}""#, def.zone),
        Turn::Weekly(first) => {
            let day = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
                [usize::try_from(first).expect("a day")];
            format!(r#""type":"global","schedule":"weekly","weekStart":"{day}","timeZone":"{}""#, def.zone)
        }
        Turn::Monthly => format!(r#""type":"global","schedule":"monthly","timeZone":"{}""#, def.zone),
        Turn::DailyAt(quarters) => {
            format!(r#""type":"global","schedule":"{} * * *","timeZone":"{}""#, clock(quarters), def.zone)
        }
        Turn::WeeklyAt(first, quarters) => {
            let (clock, day) = (clock(quarters), (first + 1) % 7);
            format!(r#""type":"global","schedule":"{clock} * * {day}","timeZone":"{}""#, def.zone)
        }
        Turn::Every(length) => format!(r#""type":"per_user","duration":{}"#, length / 1000),
    };
    format!(
        r#""rotation":{{{when},"onExpiry":{{"resetProgress":{},"allowReselection":{}}}}},"#,
        def.reset, def.reselect
    )
}

/// Minute and hour of a cron line.
fn clock(quarters: i64) -> String {
    format!("{} {}", quarters % 4 * 15, quarters / 4)
}

/// How a goal changes: what it is after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edit {
    goal: &'static str,
    policy: Policy,
    target: i32,
    quantity: i32,
    /// Whether it needs what it needed at first, or nothing.
    needs: bool,
    /// Whether it counts the other statistic.
    other_stat: bool,
    unclaimed: Unclaimed,
}

impl Edit {
    /// The goals after some changes, as the next version of the catalogue.
    pub(crate) fn all(edits: &[Self], before: &[Def]) -> &'static [Def] {
        let mut defs = before.to_vec();
        for edit in edits {
            let (def, first) =
                defs.iter_mut().zip(DEFS).find(|(def, _)| def.id == edit.goal).expect("a goal");
            def.policy = edit.policy;
            def.target = edit.target;
            def.quantity = edit.quantity;
            def.needs = if edit.needs { first.needs } else { &[] };
            def.stat = first.stat.map(|stat| match stat {
                "kills" if edit.other_stat => "wins",
                "wins" if edit.other_stat => "kills",
                stat => stat,
            });
            def.unclaimed = if first.reset { edit.unclaimed } else { first.unclaimed };
        }
        Vec::leak(defs)
    }
}

/// How the platform answers a grant. It can neither take our key nor be searched, so that every
/// answer is an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted,
    Refused,
    Lost,
}

/// Which door an event takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Platform,
    CloudEvents,
}

/// One step of a history.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Initialize,
    /// Challenge, goal, active.
    SetActive(&'static str, &'static str, bool),
    /// Challenge, goals, `replace_existing`.
    Batch(&'static str, Vec<&'static str>, bool),
    /// Challenge, count, `replace_existing`, `exclude_active`.
    Random(&'static str, i32, bool, bool),
    Claim(&'static str, &'static str, Answer),
    /// A claim whose platform does not answer yet.
    Hold(&'static str, &'static str),
    /// The platform answers one of them.
    Release(usize, Answer),
    /// An event so many seconds from now; `None`: it does not say when.
    Event(What, Option<i64>, Door),
    /// One of the platform without an id.
    Nameless(What),
    /// Delivers an event again.
    Again(usize),
    /// Moves the clock, in seconds, either way.
    Wait(i64),
    /// Moves the clock to so many seconds before the end of a goal's cycle that a calendar knows.
    Boundary(usize, i64),
    /// A new catalogue comes into use.
    Change(Vec<Edit>),
}

/// An event, and how it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) event: Event,
    pub(crate) id: String,
    pub(crate) door: Door,
    /// Whether it says when it happened.
    pub(crate) dated: bool,
}

/// A step that knows everything but the state of the player.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Call(Step),
    Event(Sent),
}

/// Gives every step its time and every event its name and time. No two events count for the same
/// millisecond: their order would be that of a hash of their ids, which the model does not know.
pub(crate) fn resolve(begin: &str, steps: &[Step]) -> Vec<(i64, Op)> {
    let begin = DateTime::parse_from_rfc3339(begin).expect("a time").timestamp();
    let (mut clock, mut ops, mut sent) = (begin, Vec::new(), Vec::<(Sent, i64)>::new());
    for (at, step) in (0..).zip(steps) {
        let now = clock * 1000 + 500 + at;
        let mut send = |what: &What, at: Option<i64>, id: String, door| {
            let key = if id.is_empty() { id.clone() } else { format!("{door:?} {what:?} {id}") };
            let event = Event { key, at: at.unwrap_or(now), what: what.clone() };
            let event = Sent { event, id, door, dated: at.is_some() };
            ops.push((now, Op::Event(event.clone())));
            event
        };
        match step {
            Step::Event(what, offset, door) => {
                let time = offset.map(|offset| (clock + offset) * 1000 + at);
                let event = send(what, time, format!("e{at}"), *door);
                // One that does not say when is another event when it comes again.
                sent.extend(time.map(|_| (event, now)));
            }
            Step::Nameless(what) => drop(send(what, Some(clock * 1000 + at), String::new(), Door::Platform)),
            Step::Again(index) if !sent.is_empty() => {
                let (event, first) = &sent[*index % sent.len()];
                // Receipts live for a day.
                if now - first < 86_400_000 {
                    ops.push((now, Op::Event(event.clone())));
                }
            }
            Step::Again(_) => {}
            Step::Wait(seconds) => clock += seconds,
            Step::Boundary(index, before) => {
                let ends = |def: &&Def| def.end_of(def.cycle(now, None), None);
                let calendars: Vec<_> = DEFS.iter().filter(|def| ends(def).is_some()).collect();
                let end = ends(&calendars[*index % calendars.len()]).expect("it ends");
                clock = clock.max(end / 1000 - before);
            }
            call => ops.push((now, Op::Call(call.clone()))),
        }
    }
    ops
}

/// The same with events that come one after the other, less than a second apart, in another order.
pub(crate) fn shuffle_events(ops: &[(i64, Op)], mut seed: u64) -> Vec<(i64, Op)> {
    let mut shuffled = ops.to_vec();
    let together = |one: &(i64, Op), next: &(i64, Op)| {
        let events = matches!((&one.1, &next.1), (Op::Event(_), Op::Event(_)));
        events && (0..1_000).contains(&(next.0 - one.0))
    };
    for group in shuffled.chunk_by_mut(together) {
        let times: Vec<i64> = group.iter().map(|(now, _)| *now).collect();
        group.sort_by_cached_key(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 32
        });
        for ((now, _), time) in group.iter_mut().zip(times) {
            *now = time;
        }
    }
    shuffled
}

fn goal() -> impl Strategy<Value = &'static Def> {
    (0..DEFS.len()).prop_map(|at| &DEFS[at])
}

fn challenge() -> impl Strategy<Value = &'static str> {
    prop_oneof![10 => Just("c"), 10 => Just("d"), 10 => Just("e"), 5 => Just("f"), 1 => Just("nowhere")]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![4 => Just(Answer::Granted), 1 => Just(Answer::Refused), 1 => Just(Answer::Lost)]
}

fn what() -> impl Strategy<Value = What> {
    let number = prop_oneof![
        6 => (-2..15_i32).prop_map(f64::from),
        1 => -20.0..20.0,
        1 => prop::sample::select(vec![f64::MAX, f64::MIN, 2_147_483_647.0, -2_147_483_649.0, 0.0, -0.0]),
    ];
    let code = prop_oneof![6 => Just("kills"), 6 => Just("wins"), 1 => Just("unused")];
    let stat = (code, number.clone(), number).prop_map(|(code, value, increment)| What::Stat {
        code,
        value,
        increment,
    });
    prop_oneof![2 => Just(What::Login), 3 => stat]
}

fn door() -> impl Strategy<Value = Door> {
    prop_oneof![Just(Door::Platform), Just(Door::CloudEvents)]
}

fn offset() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        4 => (-5..=0_i64).prop_map(Some),
        3 => (-700..=90_i64).prop_map(Some),
        // Around the tolerance for assignments, the window, and the future that is believed.
        3 => prop::sample::select(vec![-601, -600, -600, -599, -6, -5, 59, 60, 61]).prop_map(Some),
        // Up to 30 hours late, and far ahead.
        1 => (-108_000..=200_000_i64).prop_map(Some),
        1 => Just(None),
    ]
}

fn call() -> impl Strategy<Value = Step> {
    let names: Vec<&str> = DEFS.iter().map(|def| def.id).chain(["nothing"]).collect();
    let goals = (challenge(), prop::sample::subsequence(names, 0..6), any::<(bool, bool)>());
    let batch = goals.prop_map(|(challenge, mut goals, (replace, strict))| {
        goals.retain(|goal| strict || goal.starts_with(challenge));
        Step::Batch(challenge, goals, replace)
    });
    prop_oneof![
        4 => Just(Step::Initialize),
        8 => (goal(), prop::bool::weighted(0.7)).prop_map(|(goal, on)| Step::SetActive(goal.challenge, goal.id, on)),
        1 => (challenge(), goal(), any::<bool>()).prop_map(|(challenge, goal, on)| Step::SetActive(challenge, goal.id, on)),
        4 => batch,
        1 => Just(Step::Batch("c", vec!["c1", "c1"], false)),
        4 => (challenge(), -1..8_i32, any::<(bool, bool)>())
            .prop_map(|(challenge, count, (replace, exclude))| Step::Random(challenge, count, replace, exclude)),
        7 => (goal(), answer()).prop_map(|(goal, answer)| Step::Claim(goal.challenge, goal.id, answer)),
        1 => (challenge(), goal(), answer()).prop_map(|(challenge, goal, answer)| Step::Claim(challenge, goal.id, answer)),
        3 => goal().prop_map(|goal| Step::Hold(goal.challenge, goal.id)),
        3 => (0..100_usize, answer()).prop_map(|(at, answer)| Step::Release(at, answer)),
    ]
}

/// Any step.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![
        4 => 0..100_i64,
        3 => 500..2_000_i64,
        2 => 0..40_000_i64,
        1 => 0..130_000_i64,
        1 => -5..0_i64,
    ];
    prop_oneof![
        10 => call(),
        10 => (what(), offset(), door()).prop_map(|(what, offset, door)| Step::Event(what, offset, door)),
        1 => what().prop_map(Step::Nameless),
        4 => (0..100_usize).prop_map(Step::Again),
        4 => wait.prop_map(Step::Wait),
        2 => boundary(),
    ]
}

/// Any step, and catalogues that change.
pub(crate) fn living_step() -> impl Strategy<Value = Step> {
    prop_oneof![6 => step(), 1 => vec(edit(), 1..8).prop_map(Step::Change)]
}

fn boundary() -> impl Strategy<Value = Step> {
    // All those that end within a day come first.
    let which = prop_oneof![4 => 0..8_usize, 1 => 0..100_usize];
    (which, -3..40_i64).prop_map(|(which, before)| Step::Boundary(which, before))
}

fn edit() -> impl Strategy<Value = Edit> {
    let policy = prop::sample::select(vec![Policy::Keep, Policy::UpgradeIfEasier, Policy::Restart]);
    let unclaimed = prop::sample::select(vec![
        Unclaimed::Forfeit,
        Unclaimed::Grace(1_800_000),
        Unclaimed::Grace(90_000_000),
        Unclaimed::Grant,
    ]);
    let flags = (any::<bool>(), prop::bool::weighted(0.2));
    let terms = (policy, 1..15_i32, 1..4_i32, flags, unclaimed);
    (goal(), terms).prop_map(|(def, (policy, target, quantity, (needs, other_stat), unclaimed))| Edit {
        goal: def.id,
        policy,
        target,
        quantity,
        needs,
        other_stat,
        unclaimed,
    })
}

/// Any step but draws, with events that come within the late window, with a time and an id.
pub(crate) fn step_in_window() -> impl Strategy<Value = Step> {
    let late = (what(), -590..=55_i64, door());
    prop_oneof![
        6 => call().prop_filter("draws", |step| !matches!(step, Step::Random(..))),
        24 => late.prop_map(|(what, offset, door)| Step::Event(what, Some(offset), door)),
        6 => (0..100_usize).prop_map(Step::Again),
        2 => (0..500_i64).prop_map(Step::Wait),
        2 => boundary(),
    ]
}
