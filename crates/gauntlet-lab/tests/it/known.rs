//! Servers whose latencies and failures are known: what the lab measures must be that.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_lab::{DriftEnd, DriftFound, Exit, Plan, Receiver, Report, parse_scenario};
use tokio::sync::Mutex;

use crate::{
    faults::SESSIONS,
    lab::{plan, report, says},
    stub::{Faults, Stub},
};

/// Arrivals that browse, whatever the answers take.
fn arrivals(seconds: u32, rate: u32) -> String {
    format!(
        r#"
name = "test"
duration = "{seconds}s"
players = {{ count = 5, prepare = "none" }}
[[arrivals]]
name = "api"
rate = {rate}.0
mix = [{{ share = 1, steps = [{{ call = "browse" }}] }}]
"#
    )
}

/// Runs that measure do so one after the other.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Measures until the lab says that its calls began in time, which on a machine that does other work
/// they may not; `None`: they never did, and such a run says nothing, right or wrong.
async fn measured<T>(one: impl AsyncFn() -> (Report, T)) -> Option<(Report, T)> {
    for _ in 0..5 {
        let _alone = ALONE.lock().await;
        let (report, more) = one().await;
        let lag = report.validity.iter().find(|check| check.name == "start lag, p99").unwrap();
        if lag.holds {
            return Some((report, more));
        }
    }
    println!("not measured: the machine is too busy");
    None
}

async fn browse(scenario: &str, faults: Faults) -> (Report, Stub) {
    let stub = Stub::start(Faults { bare: true, ..faults }, None).await;
    let report = report(plan(parse_scenario(scenario).unwrap(), &stub, None)).await;
    (report, stub)
}

fn quantile(report: &Report, percent: f64) -> f64 {
    let quantiles = &report.endpoints[0].ok.quantiles;
    quantiles.iter().find(|quantile| (quantile.percent - percent).abs() < 1e-9).unwrap().ms
}

#[tokio::test(flavor = "multi_thread")]
async fn five_milliseconds_are_five_milliseconds() {
    let faults = Faults { delay: Duration::from_millis(5), ..Faults::default() };
    let scenario = arrivals(3, 100);
    let Some((report, stub)) = measured(async || browse(&scenario, faults.clone()).await).await else {
        return;
    };
    // Timers have a millisecond's grain and the machine may be busy: the stub says what they took.
    let (median, known) = (quantile(&report, 50.0), stub.median_ms());
    assert!(known >= 5.0, "{known}");
    assert!((0.0..3.0).contains(&(median - known)), "{median} measured, {known} known");
    let service = report.endpoints[0].ok.service_p50_ms;
    assert!((0.0..3.0).contains(&(service - known)), "{service} measured, {known} known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_counts_for_everybody_who_wanted_to_call_meanwhile() {
    let stall = Some((Duration::from_secs(5), Duration::from_millis(500)));
    let (faults, scenario) = (Faults { stall, ..Faults::default() }, arrivals(10, 200));
    let Some((report, _)) = measured(async || browse(&scenario, faults.clone()).await).await else { return };
    // Of ten calls one falls into a stall and waits for 0 to 500 ms, all equally likely: one of a
    // hundred waits longer than 450 ms, and one of twenty longer than 250.
    for (percent, known) in [(99.0, 450.0), (95.0, 250.0)] {
        let measured = quantile(&report, percent);
        assert!((measured - known).abs() <= 0.1 * known, "p{percent}: {measured}, not {known}");
    }
    assert_eq!(report.endpoints[0].ok.count, 2000, "all of them were sent");
}

/// 3,000 calls and 500 events.
const COUNTED: &str = r#"
name = "test"
duration = "120s"
players = { count = 40, prepare = "none" }
[[users]]
name = "players"
count = 30
sessions = 100
steps = [{ call = "browse" }]
[[users]]
name = "platform"
count = 10
sessions = 50
steps = [{ call = "stat", stats = ["enemy_kills"], highest = 9 }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn seven_kinds_of_failures_are_counted_exactly() {
    let (report, _stub) = browse(COUNTED, Faults { seven_failures: true, ..Faults::default() }).await;
    let found: BTreeMap<(&str, &str), u64> = report
        .causes
        .iter()
        .map(|cause| ((cause.class.as_str(), cause.reason.as_str()), cause.count))
        .collect();
    let expected = BTreeMap::from([
        (("HTTP 400", "no body"), 10),
        (("HTTP 429", "OVERLOADED"), 10),
        (("HTTP 503", "STORE_UNAVAILABLE"), 10),
        (("HTTP 500", "deadlock detected (process #)"), 10),
        (("connection broken", "connection closed before message completed"), 10),
        (("HTTP 200, wrong content", "no list of challenges"), 10),
        (("gRPC Unavailable", "replica # is away"), 10),
    ]);
    assert_eq!(found, expected);
    assert_eq!((report.failed, report.unexplained), (70, 0));
    let calls: u64 = report.endpoints.iter().map(|endpoint| endpoint.ok.count + endpoint.failed.count).sum();
    assert_eq!(calls, 3500, "2.00 % of them failed");
    assert!(says(&report, "10 of 3,000 calls of browse (0.33 %)"), "{:#?}", report.causes);
    assert!(says(&report, "10 of 500 calls of stat (2.00 %)"), "{:#?}", report.causes);
}

#[tokio::test(flavor = "multi_thread")]
async fn rising_latency_is_flagged_and_flat_is_not() {
    let delay = Duration::from_millis(20);
    let rising = Faults { delay, growth: Duration::from_millis(15), ..Faults::default() };
    let flat = Faults { delay, ..Faults::default() };
    let scenario = arrivals(8, 100);
    let Some((flat, _)) = measured(async || browse(&scenario, flat.clone()).await).await else { return };
    assert_eq!(median(&flat).end, DriftEnd::Flat, "{:?}", median(&flat));
    assert!(!says(&flat, "p50 of browse"));
    let Some((rising, _)) = measured(async || browse(&scenario, rising.clone()).await).await else { return };
    assert_eq!(median(&rising).end, DriftEnd::Rising, "{:?}", median(&rising));
    assert!(says(&rising, "p50 of browse rises: "));
    // It is said, and fails nothing unless that is asked for.
    assert_ne!(rising.verdict.code, Exit::Threshold.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_can_be_told_to_fail_on_drift() {
    let one = async || {
        let faults = Faults { bare: true, growth: Duration::from_millis(15), ..Faults::default() };
        let stub = Stub::start(faults, None).await;
        let plan = plan(parse_scenario(&arrivals(7, 50)).unwrap(), &stub, None);
        (report(Plan { drift_fails: true, ..plan }).await, ())
    };
    let Some((report, ())) = measured(one).await else { return };
    assert!(matches!(report.verdict.code, 2 | 3), "other tests may have used the processor, too");
    assert_eq!(median(&report).end, DriftEnd::Rising, "{:#?}", report.drift);
}

fn median(report: &Report) -> DriftFound {
    report.drift.figures.iter().find(|found| found.name == "p50 of browse").unwrap().clone()
}

/// The generator has the only thread, and somebody else takes it for 60 ms again and again.
#[tokio::test]
async fn a_starved_generator_never_passes() {
    let mut others = tokio::task::JoinSet::new();
    others.spawn(async {
        loop {
            std::thread::sleep(Duration::from_millis(60));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    for _ in 0..3 {
        let (report, _stub) = browse(&arrivals(1, 100), Faults::default()).await;
        assert_eq!(report.verdict.code, Exit::Invalid.code());
        assert!(says(&report, "start lag, p99 is "), "{:?}", report.verdict);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_without_a_good_signature_are_refused_and_said() {
    for (secret, good) in [(Some(&b"load"[..]), true), (Some(&b"evil"[..]), false), (None, false)] {
        let receiver = Receiver::start(([127, 0, 0, 1], 0).into(), Some("whsec_bG9hZA==")).await.unwrap();
        let stub = Stub::start(Faults { secret, ..Faults::default() }, Some(receiver.url())).await;
        let report = report(plan(parse_scenario(SESSIONS).unwrap(), &stub, Some(receiver))).await;
        let (grants, claims) = (&report.grants, stub.claims());
        assert!(claims > 10, "{claims}");
        if good {
            assert!(grants.is_clean() && grants.grants == claims, "{grants:?}");
        } else {
            assert_eq!((grants.badly_signed_calls, grants.missing), (claims, claims));
            assert_eq!(report.verdict.code, Exit::Ledger.code());
            assert!(says(&report, "grants came without a good signature"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_tries_are_no_failures_and_counted_apart() {
    let receiver = Receiver::start(([127, 0, 0, 1], 0).into(), None).await.unwrap();
    let faults = Faults { overloaded: 6, lost_answers: 3, ..Faults::default() };
    let stub = Stub::start(faults, Some(receiver.url())).await;
    let plan = Plan { retries: 4, ..plan(parse_scenario(SESSIONS).unwrap(), &stub, Some(receiver)) };
    let report = report(plan).await;
    assert_eq!(report.failed, 0, "{:#?}", report.causes);
    let tries: BTreeMap<(&str, &str), (u64, u64)> = report
        .retries
        .iter()
        .map(|found| ((found.endpoint.as_str(), found.reason.as_str()), (found.tries, found.recovered)))
        .collect();
    let expected = BTreeMap::from([
        (("initialize", "OVERLOADED"), (6, 6)),
        // The second try heard that the goal is claimed: by the first one, whose answer was lost.
        (("claim", "STORE_UNAVAILABLE"), (3, 3)),
    ]);
    assert_eq!(tries, expected);
    let initialize = &report.endpoints[0];
    assert_eq!(initialize.ok.count, 40, "a call is one call, however often it was tried");
    assert!(initialize.ok.max_ms >= 1000.0, "its latency has the pause in it: {initialize:?}");
    assert!(report.grants.is_clean() && report.grants.settled_later == 3, "{:?}", report.grants);
    assert_eq!(report.states.differing_players, 0, "{:#?}", report.states);
}
