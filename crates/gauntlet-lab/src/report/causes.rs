//! Why what failed has failed: a sentence for each cause, with the number that it explains.

use super::CauseFound;
use crate::{
    collect::Collected,
    recorder::{Bucket, Recorder},
    report::quantiles::ms,
    units::{float, thousands},
};

/// What of the server's own figures is told beside a cause.
const BESIDE: [(&str, &str); 4] = [
    ("sheds", "sheds"),
    ("store errors", "store errors"),
    ("pool time-outs", "pool time-outs"),
    ("pool: wait", "s of waiting for connections"),
];

/// Seconds within which failures count as the first moment of a run.
const FIRST_MOMENT: f64 = 1.5;

/// All causes; the greatest first, and those that the scenario expects last.
pub(super) fn find(recorder: &Recorder, collected: &[Collected]) -> Vec<CauseFound> {
    let mut all: Vec<CauseFound> =
        recorder.buckets.all.iter().map(|bucket| one(bucket, recorder, collected)).collect();
    all.sort_by_key(|cause| (cause.expected, std::cmp::Reverse(cause.count)));
    all
}

/// The name of a bucket in charts.
pub(super) fn name(bucket: &Bucket, recorder: &Recorder) -> String {
    let endpoint = recorder.endpoints.get(bucket.endpoint).map_or("", |endpoint| endpoint.name.as_str());
    format!("{endpoint}: {}, {}", bucket.class, bucket.reason)
}

fn one(bucket: &Bucket, recorder: &Recorder, collected: &[Collected]) -> CauseFound {
    let (endpoint, calls) = recorder
        .endpoints
        .get(bucket.endpoint)
        .map_or((String::new(), 0), |endpoint| (endpoint.name.clone(), endpoint.count()));
    let seconds = |micros: u64| ms(micros) / 1000.0;
    let (first_seconds, last_seconds) = (seconds(bucket.first), seconds(bucket.last));
    let median_ms = ms(bucket.service.value_at_quantile(0.5));
    let mut cause = CauseFound {
        sentence: String::new(),
        endpoint,
        class: bucket.class.clone(),
        reason: bucket.reason.clone(),
        expected: bucket.expected,
        count: bucket.count,
        first_seconds,
        last_seconds,
        median_ms,
        examples: bucket.examples.clone(),
    };
    cause.sentence = sentence(&cause, calls, collected);
    cause
}

fn sentence(cause: &CauseFound, calls: u64, collected: &[Collected]) -> String {
    let CauseFound { endpoint, class, reason, count, median_ms, .. } = cause;
    let share = if *count == calls {
        format!("every one of the {} calls of {endpoint}", thousands(calls))
    } else {
        let percent = float(*count) / float(calls.max(1)) * 100.0;
        format!("{} of {} calls of {endpoint} ({percent:.2} %)", thousands(*count), thousands(calls))
    };
    let how = match (cause.expected, reason.as_str()) {
        (true, _) => format!("were refused as expected: {class}, {reason}"),
        (false, "no body") => format!("were refused with {class} and no body"),
        (false, _) => format!("failed: {class}, {reason}"),
    };
    let when = if cause.last_seconds <= FIRST_MOMENT {
        "all in the first second".to_owned()
    } else if *count == 1 {
        format!("at second {:.1}", cause.first_seconds)
    } else {
        format!("between second {:.1} and {:.1}", cause.first_seconds, cause.last_seconds)
    };
    let mut text = format!("{share} {how}, {when}, after {median_ms:.1} ms in the median.");
    if !cause.expected {
        let beside = beside(cause, collected);
        if !beside.is_empty() {
            text.push_str(" Meanwhile the server counted ");
            text.push_str(&beside.join(", "));
            text.push('.');
        }
    }
    text
}

/// The server's own figures in the steps in which the cause was seen.
fn beside(cause: &CauseFound, collected: &[Collected]) -> Vec<String> {
    let Some(metrics) = collected.iter().find(|collected| collected.name == "server metrics") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (track, word) in BESIDE {
        let Some(track) = metrics.tracks.iter().find(|known| known.name == track) else { continue };
        // A point is the growth a second since the point before.
        let mut before = 0.0;
        let mut sum = 0.0;
        for (at, rate) in &track.points {
            if *at >= cause.first_seconds && before <= cause.last_seconds {
                sum += rate * (at - before);
            }
            before = *at;
        }
        if sum >= 0.5 {
            found.push(format!("{sum:.0} {word}"));
        }
    }
    found
}
