//! Percentiles with the interval that their number of samples allows.

use hdrhistogram::Histogram;

use super::{Latencies, Quantile};
use crate::{recorder::Tally, units::float};

/// Shown in tables.
const SHOWN: [f64; 6] = [50.0, 90.0, 95.0, 99.0, 99.9, 99.99];
/// Samples above a percentile below which it is thin.
const TAIL: f64 = 10.0;
/// 95 of 100 cases lie within so many standard deviations.
const SPREAD: f64 = 1.96;

/// Microseconds as milliseconds.
pub(super) fn ms(micros: u64) -> f64 {
    float(micros) / 1000.0
}

/// A percentile of a histogram of microseconds, with its interval by order statistics: of n
/// samples, the number below the true percentile is binomial.
pub(super) fn quantile(of: &Histogram<u32>, percent: f64) -> Quantile {
    let (n, q) = (float(of.len()), percent / 100.0);
    let spread = SPREAD * (n * q * (1.0 - q)).sqrt();
    let at = |rank: f64| if n > 0.0 { ms(of.value_at_quantile((rank / n).clamp(0.0, 1.0))) } else { 0.0 };
    Quantile {
        percent,
        ms: at(n * q),
        low_ms: at(n * q - spread),
        high_ms: at(n * q + spread + 1.0),
        thin: n * (1.0 - q) < TAIL,
    }
}

/// What is shown of a tally.
pub(super) fn latencies(of: &Tally) -> Latencies {
    let count = of.count();
    let service = |percent: f64| if count > 0 { ms(of.service.value_at_percentile(percent)) } else { 0.0 };
    Latencies {
        count,
        quantiles: if count == 0 {
            Vec::new()
        } else {
            SHOWN.into_iter().map(|percent| quantile(&of.latency, percent)).collect()
        },
        max_ms: if count > 0 { ms(of.latency.max()) } else { 0.0 },
        service_p50_ms: service(50.0),
        service_p95_ms: service(95.0),
        service_p99_ms: service(99.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_narrow_with_samples_and_few_are_thin() {
        let histogram = |n: u64| {
            let mut histogram = Histogram::<u32>::new(3).unwrap();
            (1..=n).for_each(|number| histogram.record(number * 1_000_000 / n).unwrap());
            histogram
        };
        let (few, many) = (quantile(&histogram(40), 95.0), quantile(&histogram(40_000), 95.0));
        assert!((many.ms - 950.0).abs() < 2.0, "{many:?}");
        assert!(few.thin && !many.thin);
        assert!(few.high_ms >= 999.0 && few.high_ms - few.low_ms > 20.0 * (many.high_ms - many.low_ms));
        assert!(many.low_ms < 950.0 && many.high_ms > 950.0);
    }
}
