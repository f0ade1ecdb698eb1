//! Durations as people write them.

use std::time::Duration;

/// Reads `500ms`, `2s`, `1.5s`, `10m` or `4h`.
///
/// # Errors
/// What is wrong and what is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write one such as 500ms, 90s, 10m or 4h");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let number: f64 = text[..split].parse().map_err(|_| wrong())?;
    let seconds = match &text[split..] {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// Reads `2s..4s`, or one duration for both ends.
pub(crate) fn parse_range(text: &str) -> Result<(Duration, Duration), String> {
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    let (low, high) = (parse_duration(low.trim())?, parse_duration(high.trim())?);
    if low > high {
        return Err(format!("{text:?}: the first duration must not be longer than the second"));
    }
    Ok((low, high))
}

/// A duration in milliseconds for reports.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Counts as numbers of reports and rates: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// A count with commas between thousands.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_ranges_are_read() {
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("30m"), Ok(Duration::from_secs(1800)));
        assert_eq!(parse_range("2s..4s"), Ok((Duration::from_secs(2), Duration::from_secs(4))));
        for text in ["", "10", "s", "-1s", "1 s", "1d", "1e400s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_range("4s..2s").is_err());
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
