use super::*;
use crate::outcome::of_http;

fn example() -> Example {
    Example {
        method: "GET".into(),
        path: "/".into(),
        player: "p".into(),
        status: 0,
        body: String::new(),
        at: "0".into(),
    }
}

fn recorder() -> Recorder {
    Recorder::new(&[("browse".to_owned(), false), ("stat".to_owned(), true)], 1_000_000)
}

fn sample(endpoint: usize, intended: u64, started: u64, done: u64) -> Sample {
    Sample { endpoint, intended, started, done }
}

#[test]
fn latency_counts_from_the_intended_start_and_service_from_the_real_one() {
    let mut recorder = recorder();
    recorder.record(sample(0, 1_000, 501_000, 506_000), &Outcome::Ok, example);
    let ok = &recorder.endpoints[0].ok;
    assert_eq!(ok.latency.max() / 1000, 505);
    assert_eq!(ok.service.max() / 1000, 5);
    assert_eq!(recorder.lag.max() / 1000, 500);
}

#[test]
fn failures_are_told_apart_and_add_up() {
    let mut recorder = recorder();
    for number in 0..100_u64 {
        let outcome = match number {
            0..2 => Outcome::Failed(of_http(400, b"")),
            2..5 => Outcome::Failed(of_http(500, b"{\"message\":\"too many clients 7\"}")),
            5..9 => Outcome::Expected(of_http(409, b"{\"details\":[{\"reason\":\"GOAL_ALREADY_CLAIMED\"}]}")),
            _ => Outcome::Ok,
        };
        recorder.record(sample(0, number, number, number + 1000), &outcome, example);
    }
    let counts: Vec<_> =
        recorder.buckets.all.iter().map(|bucket| (bucket.reason.as_str(), bucket.count)).collect();
    assert_eq!(counts, [("no body", 2), ("too many clients #", 3), ("GOAL_ALREADY_CLAIMED", 4)]);
    let browse = &recorder.endpoints[0];
    assert_eq!((browse.ok.count(), browse.expected.count(), browse.failed.count()), (91, 4, 5));
    assert_eq!(recorder.buckets.all[0].examples.len(), 2);
}

#[test]
fn buckets_are_bounded_and_what_does_not_fit_is_unexplained() {
    let mut recorder = recorder();
    for number in 0..1000_u16 {
        recorder.record(sample(0, 0, 0, 1), &Outcome::Failed(of_http(number, b"")), example);
    }
    assert_eq!(recorder.buckets.all.len(), 24);
    assert_eq!(recorder.buckets.unexplained, 976);
}

#[test]
fn steps_of_time_hold_what_ended_in_them() {
    let mut recorder = recorder();
    recorder.series.offer(10);
    recorder.record(sample(0, 10, 10, 2_010), &Outcome::Ok, example);
    recorder.record(sample(1, 3_100_000, 3_100_000, 3_200_000), &Outcome::Failed(of_http(500, b"")), example);
    let rows = recorder.series.rows();
    assert_eq!(rows.len(), 4);
    assert_eq!((rows[0].offered, rows[0].endpoints[0].count), (1, 1));
    assert_eq!(rows[0].endpoints[0].percentiles.map(|p| p[0] / 1000), Some(2));
    assert_eq!((rows[3].endpoints[1].failed, rows[3].failures.get(&0)), (1, Some(&1)));
    assert_eq!(rows[1].endpoints[0].percentiles, None);
}

proptest::proptest! {
    /// Against a plain sort: what three digits promise.
    #[test]
    fn percentiles_are_right_to_a_thousandth(mut values in proptest::collection::vec(1_u64..100_000_000, 1..400)) {
        let mut recorder = recorder();
        for value in &values {
            recorder.record(sample(0, 0, 0, *value), &Outcome::Ok, example);
        }
        values.sort_unstable();
        for quantile in [0.5, 0.9, 0.95, 0.99, 0.999] {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                reason = "a rank among a few hundred values")]
            let rank = ((quantile * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = crate::units::float(values[rank - 1]);
            let shown = crate::units::float(recorder.endpoints[0].ok.latency.value_at_quantile(quantile));
            proptest::prop_assert!((shown - exact).abs() <= exact * 0.001 + 1.0, "{shown} for {exact}");
        }
    }
}
