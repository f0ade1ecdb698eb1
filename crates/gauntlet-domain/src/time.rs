//! Points in time, as numbers: the domain never asks what time it is.

use chrono::{DateTime, SecondsFormat, Utc};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z (negative before). Leap seconds do
/// not exist here, as in Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 time between the years 1 and 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time, such as 2026-11-24T08:00:00Z")]
pub struct ParseTimeError;

/// The milliseconds that RFC 3339 can write: years 1 to 9999.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

impl Timestamp {
    /// From milliseconds since the epoch; clamped to the years 1 to 9999, which every text
    /// format of ours can show.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(*RANGE.start(), *RANGE.end()))
    }

    /// From whole seconds since the epoch; clamped like [`Timestamp::from_millis`].
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The same time without its milliseconds. Documents keep times of assignment, completion
    /// and claim in whole seconds, so they are made whole before they are compared.
    #[must_use]
    pub const fn whole_seconds(self) -> Self {
        Self(self.0 - self.0.rem_euclid(1000))
    }

    /// This time moved by a number of milliseconds, either way.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// Reads an RFC 3339 time with any offset; digits below a millisecond are cut off.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, ParseTimeError> {
        let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| ParseTimeError)?;
        let millis = parsed.timestamp_millis();
        if RANGE.contains(&millis) { Ok(Self(millis)) } else { Err(ParseTimeError) }
    }

    /// As RFC 3339 in UTC with whole seconds, the way the API shows times.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.utc().to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    /// The same point in time for calendar arithmetic.
    #[must_use]
    pub fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self::from_millis(time.timestamp_millis())
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets_and_fractions_and_shows_whole_seconds_in_utc() {
        for (text, millis, shown) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("2026-11-24T08:00:00.987654+02:00", 1_795_500_000_987, "2026-11-24T06:00:00Z"),
            ("1969-12-31T23:59:59.5Z", -500, "1969-12-31T23:59:59Z"),
        ] {
            let time = Timestamp::parse(text).expect(text);
            assert_eq!((time.millis(), time.to_rfc3339().as_str()), (millis, shown), "{text}");
        }
        for text in ["", "2026-11-24", "2026-13-01T00:00:00Z", "now", "0000-01-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(text), Err(ParseTimeError), "{text}");
        }
    }

    #[test]
    fn stays_within_what_can_be_shown() {
        assert_eq!(Timestamp::from_millis(i64::MAX).to_rfc3339(), "9999-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_seconds(i64::MIN).to_rfc3339(), "0001-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_millis(-1).whole_seconds().millis(), -1000);
    }
}
