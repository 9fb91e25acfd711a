//! Dates and times of day in UTC (RFC 3339), without time zones or calendars: a library for those is larger than all
//! that is said on the API.

use std::fmt;

const DAY: u64 = 86_400;
/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;
/// Days before the month in a year that begins with March.
const BEFORE: [u64; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];
/// Days from the first of March of year 0 to 1970.
const EPOCH: u64 = 719_468;

/// A text that is no moment since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadTime;

impl fmt::Display for BadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time since 1970 as in RFC 3339, such as 2026-11-24T12:00:00Z")
    }
}

impl std::error::Error for BadTime {}

/// Days since 1970 of a date; the year counts from March, so that a leap day is its last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let leaps = year / 4 - year / 100 + year / 400;
    (year * 365 + leaps + BEFORE[month as usize] + day - 1).checked_sub(EPOCH)
}

/// Year, month and day of a number of days since 1970.
fn date(days: u64) -> (u64, u64, u64) {
    // A few years too late for late dates, never too early.
    let mut year = 1970 + days / 365;
    while self::days(year, 1, 1).is_some_and(|first| first > days) {
        year -= 1;
    }
    let starts = |month| self::days(year, month, 1).is_some_and(|first| first <= days);
    let month = (1..=12).rev().find(|month| starts(*month)).unwrap_or(1);
    (year, month, days - self::days(year, month, 1).unwrap_or(0) + 1)
}

/// Writes a moment, `secs` seconds after 1970.
pub(super) fn write(secs: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let secs = secs.min(LAST);
    let (year, month, day) = date(secs / DAY);
    let second = secs % DAY;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

/// Reads a moment as seconds after 1970.
pub(super) fn parse(text: &str) -> Result<u64, BadTime> {
    read(text.as_bytes()).ok_or(BadTime)
}

fn read(text: &[u8]) -> Option<u64> {
    let separators = [(4, &b"-"[..]), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":")];
    if !separators.iter().all(|(at, allowed)| text.get(*at).is_some_and(|octet| allowed.contains(octet))) {
        return None;
    }
    let (year, month, day) = (number(text, 0, 4)?, number(text, 5, 2)?, number(text, 8, 2)?);
    let (hour, minute, second) = (number(text, 11, 2)?, number(text, 14, 2)?, number(text, 17, 2)?);
    // A leap second is the one before it.
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days(year, month, day.max(1))?;
    if date(days) != (year, month, day) {
        return None;
    }
    let local = days * DAY + hour * 3600 + minute * 60 + second.min(59);
    let rest = text.get(19..)?;
    let fraction =
        rest.strip_prefix(b".").map(|digits| digits.iter().take_while(|o| o.is_ascii_digit()).count());
    let zone = match fraction {
        Some(0) => return None,
        Some(digits) => rest.get(digits + 1..)?,
        None => rest,
    };
    match zone {
        b"Z" | b"z" => Some(local),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(zone, 1, 2)?, number(zone, 4, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if *sign == b'+' { local.checked_sub(offset) } else { Some(local + offset) }
        }
        _ => None,
    }
}

/// `len` digits as a number.
fn number(text: &[u8], at: usize, len: usize) -> Option<u64> {
    text.get(at..at + len)?
        .iter()
        .try_fold(0, |sum, octet| octet.is_ascii_digit().then(|| sum * 10 + u64::from(octet - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Time;
    use jiff::Timestamp;

    #[test]
    fn dates_are_those_of_an_independent_calendar() {
        // About every 27 hours until the end of 9998, so that every time of day and every date of a year is among them.
        for secs in (0..253_370_764_800_u64).step_by(98_765) {
            let expected = Timestamp::from_second(secs as i64).expect("in range").to_string();
            let text = Time::from_secs(secs).to_string();
            assert_eq!(text, expected);
            if secs % 7 == 0 {
                assert_eq!(parse(&text), Ok(secs));
            }
        }
    }

    #[test]
    fn offsets_and_fractions_are_understood() {
        for text in [
            "2026-11-24T12:00:00Z",
            "2026-11-24t12:00:00z",
            "2026-11-24 13:30:00.987654321+01:30",
            "2026-11-23T23:59:59.5-12:01",
        ] {
            let expected = text.parse::<Timestamp>().expect("valid").as_second() as u64;
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        assert_eq!(parse("2016-12-31T23:59:60Z"), Ok(1_483_228_799));
    }

    #[test]
    fn what_is_no_time_or_before_1970_is_refused() {
        for text in [
            "",
            "2026",
            "2026-11-24",
            "2026-11-24T12:00:00",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-04-00T00:00:00Z",
            "2026-00-10T00:00:00Z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T12:60:00Z",
            "2026-11-24T12:00:61Z",
            "2026-11-24T12:00:00.Z",
            "2026-11-24T12:00:00+24:00",
            "2026-11-24T12:00:00Zx",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "0000-01-01T00:00:00Z",
            "2026-11-24T12:00:00+0100",
            "+026-11-24T12:00:00Z",
            "2026-11-24T12:00:\u{e9}",
        ] {
            assert_eq!(parse(text), Err(BadTime), "{text}");
        }
    }

    #[test]
    fn beyond_the_year_9999_it_stays_the_last_second() {
        assert_eq!(Time::from_secs(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }
}
