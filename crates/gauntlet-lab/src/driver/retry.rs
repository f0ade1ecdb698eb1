//! What a client that follows `docs/errors.md` repeats, and after which pause.

use std::time::Duration;

use fastrand::Rng;

use crate::{outcome::Cause, scenario::Call};

/// Longest pause before its random part.
const LONGEST: Duration = Duration::from_secs(30);

/// How often a reason may be repeated, and after how long for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Advice {
    Never,
    Once,
    Yes(Duration),
}

fn advice(cause: &Cause) -> Advice {
    let second = Duration::from_secs(1);
    match cause.reason.as_str() {
        "REWARD_PENDING" | "OVERLOADED" | "RATE_LIMITED" | "CONFLICT" | "STORE_UNAVAILABLE" => {
            Advice::Yes(second)
        }
        "SIGN_IN_UNAVAILABLE" => Advice::Yes(5 * second),
        "DEADLINE_EXCEEDED" | "INTERNAL" => Advice::Once,
        _ => match cause.class.as_str() {
            // Made by the connection, not by the service.
            "no connection" | "connection broken" | "gRPC Unavailable" => Advice::Yes(second),
            "timed out" | "gRPC Internal" | "gRPC Unknown" | "gRPC Cancelled" => Advice::Once,
            _ => Advice::Never,
        },
    }
}

/// The pause before the next try; `None`: it is not repeated. `tried`: how often it was, 1 or more.
pub(super) fn pause(cause: &Cause, call: &Call, tried: u32, rng: &mut Rng) -> Option<Duration> {
    // A second draw would draw again: only what is known not to have been done is repeated.
    if matches!(call, Call::RandomSelect { .. }) && cause.doubtful {
        return None;
    }
    let first = match advice(cause) {
        Advice::Never => return None,
        Advice::Once if tried > 1 => return None,
        Advice::Once => Duration::from_secs(1),
        Advice::Yes(first) => first,
    };
    let first = cause.retry_after.map_or(first, Duration::from_secs);
    let doubled = first.saturating_mul(1 << (tried - 1).min(10)).min(LONGEST.max(first));
    Some(doubled + doubled.mul_f64(rng.f64() / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{of_http, of_status, of_transport};

    fn of(reason: &str) -> Cause {
        of_http(503, format!("{{\"details\":[{{\"reason\":\"{reason}\"}}]}}").as_bytes())
    }

    /// Whether the pause is that long, with a random part of up to a half of it.
    fn is_about(cause: &Cause, call: &Call, tried: u32, seconds: Option<u64>) -> bool {
        let pause = pause(cause, call, tried, &mut Rng::with_seed(1));
        let expected = seconds.map(Duration::from_secs);
        match (pause, expected) {
            (Some(pause), Some(expected)) => pause >= expected && pause <= expected.mul_f64(1.5),
            (pause, expected) => pause == expected,
        }
    }

    #[test]
    fn what_the_page_on_errors_advises_is_done() {
        let draw = Call::RandomSelect { challenge: String::new(), count: 1, exclude_active: false };
        for (reason, call, tried, expected) in [
            ("OVERLOADED", &Call::Initialize, 1, Some(1)),
            ("OVERLOADED", &Call::Initialize, 3, Some(4)),
            ("OVERLOADED", &Call::Initialize, 20, Some(30)),
            ("OVERLOADED", &draw, 1, Some(1)),
            ("STORE_UNAVAILABLE", &Call::Claim, 2, Some(2)),
            ("STORE_UNAVAILABLE", &draw, 1, None),
            ("SIGN_IN_UNAVAILABLE", &Call::Claim, 1, Some(5)),
            ("INTERNAL", &Call::Claim, 1, Some(1)),
            ("INTERNAL", &Call::Claim, 2, None),
            ("GOAL_NOT_COMPLETED", &Call::Claim, 1, None),
            ("REWARD_UNCERTAIN", &Call::Claim, 1, None),
        ] {
            assert!(is_about(&of(reason), call, tried, expected), "{reason}, try {tried}");
        }
        let told = Cause { retry_after: Some(7), ..of("RATE_LIMITED") };
        assert!(is_about(&told, &Call::Claim, 1, Some(7)));
        assert!(is_about(&of_transport("no connection", "", false), &Call::Login, 1, Some(1)));
        assert!(is_about(&of_http(400, b""), &Call::Claim, 1, None));
        let cancelled = of_status(&tonic::Status::cancelled("operation was canceled"));
        assert!(
            is_about(&cancelled, &Call::Login, 1, Some(1)) && is_about(&cancelled, &Call::Login, 2, None)
        );
    }
}
