//! Writing numbers and times into a reply's bytes, without a formatter and without memory of
//! their own: a reply has thousands of them.

use gauntlet_domain::Timestamp;

const DIGITS: &[u8; 10] = b"0123456789";

/// Two decimal digits for each number below 100.
const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

/// A number in decimal.
pub(super) fn number(out: &mut Vec<u8>, number: i32) {
    if number < 0 {
        out.push(b'-');
    }
    let mut rest = number.unsigned_abs();
    // The largest has 10 digits.
    let mut digits = [0u8; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = DIGITS[(rest % 10) as usize];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A time as [`Timestamp::to_rfc3339`] writes it: UTC, whole seconds. Nothing for no time.
pub(super) fn time(out: &mut Vec<u8>, time: Option<Timestamp>) {
    const DAY: i64 = 86_400;
    let Some(time) = time else { return };
    let seconds = time.seconds();
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    let mut text = *b"0000-00-00T00:00:00Z";
    let fields = [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, of_day / 3600),
        (14, of_day / 60 % 60),
        (17, of_day % 60),
    ];
    for (at, value) in fields {
        let pair = usize::try_from(value).unwrap_or_default() * 2;
        text[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    out.extend_from_slice(&text);
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: years are
/// counted from March, so that the leap day is the last of its year, and in eras of 400 years,
/// which all have the same number of days.
fn date(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    // Day 0 is 1 March of the year 0.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, again and again.
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let (month, next_year) = if from_march < 10 { (from_march + 3, 0) } else { (from_march - 9, 1) };
    (era * 400 + year_of_era + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_formatter_does() {
        let mut values: Vec<i32> = (-1_000..=1_000).chain([i32::MIN, i32::MAX]).collect();
        values
            .extend((0..10).flat_map(|power| [10i32.pow(power), 10i32.pow(power) - 1, -(10i32.pow(power))]));
        for value in values {
            let mut out = Vec::new();
            number(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn times_are_written_as_the_domain_does() {
        let day = 86_400_000;
        let last = Timestamp::from_millis(i64::MAX).millis();
        // Every 17th day of all years, at a time of day that moves.
        let mut millis = Timestamp::from_millis(i64::MIN).millis();
        while millis <= last {
            check(millis);
            millis += 17 * day + 61_001;
        }
        for year in [1, 4, 100, 400, 1900, 1969, 1970, 1972, 2000, 2024, 2026, 2100, 9999] {
            for date in ["01-01T00:00:00Z", "02-28T23:59:59Z", "03-01T00:00:00Z", "12-31T23:59:59Z"] {
                check(Timestamp::parse(&format!("{year:04}-{date}")).unwrap().millis());
            }
        }
        for millis in [-1, 0, 1, 999, 1000, -1000, last] {
            check(millis);
        }
        let mut out = Vec::new();
        time(&mut out, None);
        assert!(out.is_empty());
    }

    fn check(millis: i64) {
        let moment = Timestamp::from_millis(millis);
        let mut out = Vec::new();
        time(&mut out, Some(moment));
        assert_eq!(String::from_utf8(out).unwrap(), moment.to_rfc3339(), "{millis}");
    }
}
