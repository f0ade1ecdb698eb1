//! Faults of servers that the lab must find.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_lab::{Compared, Exit, GateEnd, Plan, Progress, Report, compare, parse_scenario, run};
use tokio::sync::watch;

use crate::{
    lab::{plan, report_of, says},
    stub::{Faults, Stub},
};

/// Twenty users with short sessions. The run ends when they have had them, however slow the machine.
pub(crate) const SESSIONS: &str = r#"
name = "test"
duration = "120s"
players = { count = 20, prepare = "none" }
[[users]]
name = "players"
count = 20
sessions = 2
[[users.steps]]
call = "initialize"
wait = "50ms..100ms"
[[users.steps]]
call = "batch-select"
challenge = "daily-challenges"
goals = ["daily-login", "daily-10-kills"]
wait = "20ms"
[[users.steps]]
call = "stat"
stats = ["enemy_kills"]
highest = 999
wait = "20ms"
[[users.steps]]
call = "browse"
remember = true
[[users.steps]]
call = "claim"
[[thresholds]]
of = "all"
measure = "failed"
limit = 0.01
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_fault_has_a_clean_ledger() {
    let (report, claims) = report_of(SESSIONS, Faults::default()).await;
    assert_eq!((report.failed, report.states.differing_players), (0, 0), "{:#?}", report.states);
    assert_eq!((report.states.players, report.states.undecided), (20, 0));
    assert!(
        report.grants.is_clean() && report.grants.claims_ok == claims && claims > 10,
        "{:?}",
        report.grants
    );
    assert_eq!(report.grants.grants, claims);
    assert!(report.states.events_acknowledged >= 20);
    assert_ne!(report.verdict.code, Exit::Ledger.code());
    assert!(report.gates.iter().all(|gate| gate.end != GateEnd::Failed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_twice_as_slow_is_worse_than_two_others() {
    let (mut before, _) = report_of(SESSIONS, Faults::default()).await;
    // The machine may have been busy, and the samples few; what is tested is the comparison.
    before.verdict.code = 0;
    let quantiles = |report: &mut Report, change: &dyn Fn(f64) -> f64| {
        for quantile in report.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.ok.quantiles) {
            quantile.ms = change(quantile.ms);
            (quantile.low_ms, quantile.high_ms) = (quantile.ms * 0.99, quantile.ms * 1.01);
            quantile.thin = false;
        }
    };
    quantiles(&mut before, &|ms| ms);
    let changed = |change: &dyn Fn(f64) -> f64| {
        let mut report = before.clone();
        quantiles(&mut report, change);
        report
    };
    let (noisy, slow, fast) = (changed(&|ms| ms * 1.03), changed(&|ms| ms * 2.0), changed(&|ms| ms / 2.0));
    let exit = |now: &Report, before: &[Report]| compare(now, before).exit();
    let baselines = [before.clone(), noisy.clone()];
    assert_eq!(exit(&slow, &baselines), Exit::Regression);
    assert_eq!((exit(&fast, &baselines), exit(&noisy, &baselines)), (Exit::Pass, Exit::Pass));
    assert!(compare(&fast, &baselines).rows.iter().all(|row| row.verdict == Compared::Better));
    let alone = compare(&slow, &baselines[..1]);
    assert!(alone.exit() == Exit::Pass && alone.rows.iter().all(|row| row.verdict == Compared::Unsure));
    slow_elsewhere(slow, &baselines);
}

fn slow_elsewhere(mut slow: Report, baselines: &[Report]) {
    slow.environment.insert("cores".to_owned(), "64".to_owned());
    let comparison = compare(&slow, baselines);
    assert_eq!(comparison.exit(), Exit::NoBaseline);
    assert!(comparison.not_comparable[0].starts_with("the machine (cores) differs"), "{comparison:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_causes_of_the_old_run_are_named_with_their_counts() {
    let faults = Faults { refuse_claims: true, too_many_clients: 7, ..Faults::default() };
    let (report, claims) = report_of(SESSIONS, faults).await;
    let counts: BTreeMap<(&str, &str), u64> = report
        .causes
        .iter()
        .map(|cause| ((cause.endpoint.as_str(), cause.reason.as_str()), cause.count))
        .collect();
    let expected = BTreeMap::from([
        (("claim", "no body"), claims),
        (("initialize", "FATAL: sorry, too many clients already (connection #)"), 7),
    ]);
    assert_eq!(counts, expected);
    assert!(claims > 10);
    assert_eq!((report.failed, report.unexplained), (claims + 7, 0), "the causes add up to the failures");
    assert!(says(
        &report,
        &format!("every one of the {claims} calls of claim were refused with HTTP 400 and no body")
    ));
    assert!(says(
        &report,
        "7 of 40 calls of initialize (17.50 %) failed: HTTP 500, FATAL: sorry, too many clients"
    ));
    assert!(says(&report, "all in the first second"), "all users begin in the same moment");
    assert!(report.causes.iter().all(|cause| !cause.examples.is_empty() && cause.examples.len() <= 3));
    let gate = &report.gates[0];
    assert_eq!(gate.end, GateEnd::Failed);
    assert!(matches!(report.verdict.code, 2 | 3), "a busy machine may make the run invalid, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_are_not_as_checked_are_failures_that_were_carried_out() {
    let scenario = SESSIONS
        .replace(
            "call = \"initialize\"",
            "call = \"initialize\"\ncheck = [{ at = \"/assignedGoals\", min = 1 }]",
        )
        .replace("call = \"claim\"", "call = \"claim\"\ncheck = [{ at = \"/status\", is = \"claimed\" }]")
        .replace(
            "challenge = \"daily",
            "check = [{ at = \"/selectedGoals\", min = 3 }]\nchallenge = \"daily",
        );
    // The stub assigns nothing, as it tells, and two goals are asked for.
    let (report, claims) = report_of(&scenario, Faults::default()).await;
    let causes =
        report.causes.iter().map(|cause| (cause.endpoint.as_str(), cause.reason.as_str(), cause.count));
    let expected =
        [("initialize", "/assignedGoals at least 1", 40), ("batch-select", "/selectedGoals at least 3", 40)];
    assert_eq!(causes.collect::<std::collections::BTreeSet<_>>(), expected.into());
    assert!(
        report.causes.iter().all(|cause| cause.class == "HTTP 200, check failed"),
        "{:#?}",
        report.causes
    );
    let of_initialize = report.causes.iter().find(|cause| cause.endpoint == "initialize").unwrap();
    assert_eq!(of_initialize.examples[0].body, "[]", "what was there instead");
    assert_eq!((report.states.differing_players, report.states.undecided), (0, 0), "{:#?}", report.states);
    assert!(report.grants.is_clean() && report.grants.claims_ok == claims && claims > 10);
    assert_eq!(report.gates[0].end, GateEnd::Failed);
}

/// Events for players of whom each has one goal that follows the statistic.
const EVENTS: &str = r#"
name = "test"
duration = "120s"
players = { count = 400, prepare = "all" }
[catalogue]
[[users]]
name = "players"
count = 400
sessions = 1
[[users.steps]]
call = "batch-select"
challenge = "daily-challenges"
goals = ["daily-10-kills"]
wait = "10ms"
[[users.steps]]
call = "stat"
stats = ["enemy_kills"]
highest = 999
"#;

#[tokio::test(flavor = "multi_thread")]
async fn lost_events_are_counted_exactly_and_named() {
    let lose = vec![3, 50, 51, 399];
    let (report, _) = report_of(EVENTS, Faults { lose: lose.clone(), ..Faults::default() }).await;
    assert_eq!(report.states.events_acknowledged, 400, "they were all acknowledged");
    let states = &report.states;
    assert_eq!(states.differing_players, 4, "{states:#?}");
    assert_eq!((states.lost_events, states.unexplained_players), (4, 0));
    assert_eq!(report.verdict.code, Exit::Ledger.code());
    assert!(says(
        &report,
        "of 4 players are not what was acknowledged; 4 acknowledged events that were not counted explain it"
    ));
    assert!(states.examples.iter().all(|example| example.explanation.contains("(enemy_kills = ")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_grant_breaks_the_ledger() {
    let (report, claims) = report_of(SESSIONS, Faults { grant_twice: true, ..Faults::default() }).await;
    assert_eq!((report.grants.doubled, report.grants.grants), (claims, 2 * claims));
    assert_eq!((report.grants.missing, report.grants.unasked), (0, 0));
    assert_eq!(report.verdict.code, Exit::Ledger.code());
    assert!(says(&report, &format!("{claims} rewards were granted beyond the one that a claim is worth")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_a_report_of_what_there_is() {
    let stub = Stub::start(Faults::default(), None).await;
    let mut scenario = parse_scenario(SESSIONS).unwrap();
    scenario.duration = Duration::from_secs(3600);
    scenario.users[0].sessions = 1_000_000;
    let plan = plan(scenario, &stub, None);
    let (stop, stopped) = watch::channel(false);
    let (tell, mut progress) = watch::channel(Progress::default());
    let stopping = async {
        progress.wait_for(|progress| progress.done > 50).await.unwrap();
        stop.send_replace(true);
    };
    let (report, ()) = tokio::join!(run(plan, stopped, tell), stopping);
    let report = report.unwrap();
    assert!(report.complete && report.scenario.stopped_early);
    assert_eq!(report.states.differing_players, 0, "{:#?}", report.states);
    assert!(says(&report, "stopped before its time"));
    assert!(says(&report, "the server does not post its grants to the lab"));
}

/// Ten arrivals a second at a server that answers after 300 ms, with places for one.
const CROWDED: &str = r#"
name = "test"
duration = "2s"
players = { count = 5, prepare = "none" }
[[arrivals]]
name = "api"
rate = 10.0
in_flight = 1
mix = [{ share = 1, steps = [{ call = "browse" }] }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn load_that_was_not_delivered_makes_a_run_invalid() {
    let faults = Faults { delay: Duration::from_millis(300), ..Faults::default() };
    let (report, _) = report_of(CROWDED, faults).await;
    let due = report.arithmetic.iter().find(|line| line.what == "arrivals").unwrap();
    assert!((due.offered.unwrap() - 20.0).abs() < 1e-9 && due.achieved <= 8.0, "{due:?}");
    assert_eq!(report.verdict.code, Exit::Invalid.code());
    assert!(says(&report, "undelivered arrivals is"));
    let browse = &report.endpoints[0];
    assert!(browse.ok.service_p50_ms >= 299.0, "{browse:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_and_not_a_report() {
    let stub = Stub::start(Faults::default(), None).await;
    let plan = Plan {
        events: Some("http://127.0.0.1:1".to_owned()),
        ..plan(parse_scenario(SESSIONS).unwrap(), &stub, None)
    };
    let (_stop, stopped) = watch::channel(false);
    let (tell, _progress) = watch::channel(Progress::default());
    let error = run(plan, stopped, tell).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot reach http://127.0.0.1:1"), "{error}");
}
