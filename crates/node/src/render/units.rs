//! Numbers as people say them.

use crate::schema::Time;

/// `1.2 MB`: powers of 1000.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(value < 9.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// `38 ms`.
pub fn round_trip(seconds: f64) -> String {
    let millis = seconds * 1000.0;
    match millis {
        m if m < 0.995 => format!("{m:.2} ms"),
        m if m < 9.95 => format!("{m:.1} ms"),
        m if m < 9999.5 => format!("{m:.0} ms"),
        _ => format!("{seconds:.0} s"),
    }
}

/// `3 min`, `2 h`, `159 days`: the greatest unit that fits.
pub fn span(seconds: u64) -> String {
    let plural =
        |count: u64, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min", seconds / 60),
        3600..=86_399 => format!("{} h", seconds / 3600),
        _ => plural(seconds / 86_400, "day", "days"),
    }
}

/// How long ago `then` was, without a word: `3 min`.
pub fn age(then: Time, now: Time) -> String {
    span(now.as_secs().saturating_sub(then.as_secs()))
}

/// `3 min ago`, or `now`.
pub fn ago(then: Time, now: Time) -> String {
    if then >= now { "now".to_owned() } else { format!("{} ago", age(then, now)) }
}

/// `in 159 days`, or how long ago it was.
pub fn in_span(then: Time, now: Time) -> String {
    if then > now { format!("in {}", span(then.as_secs() - now.as_secs())) } else { ago(then, now) }
}

/// The day of a time: `2027-05-01`.
pub(super) fn day(time: Time) -> String {
    time.to_string().chars().take(10).collect()
}

/// The second of a time, for lists: `2026-09-21 14:13:20`.
pub(super) fn second(time: Time) -> String {
    time.to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_have_two_digits_and_a_unit() {
        let said: Vec<_> =
            [0, 999, 1000, 1234, 9_949, 9_951, 999_499, 999_500, 1_200_000, 5_000_000_000, u64::MAX]
                .into_iter()
                .map(bytes)
                .collect();
        assert_eq!(
            said,
            [
                "0 B", "999 B", "1.0 kB", "1.2 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "1.2 MB",
                "5.0 GB", "18 EB"
            ]
        );
    }

    #[test]
    fn ages_and_round_trips_have_one_unit() {
        let now = Time::from_secs(1_000_000);
        assert_eq!(ago(Time::from_secs(999_820), now), "3 min ago");
        assert_eq!(ago(now, now), "now");
        assert_eq!(in_span(Time::from_secs(1_000_000 + 159 * 86_400), now), "in 159 days");
        assert_eq!(in_span(Time::from_secs(1_000_000 - 86_400), now), "1 day ago");
        assert_eq!(round_trip(0.0004), "0.40 ms");
        assert_eq!(round_trip(0.00123), "1.2 ms");
        assert_eq!(round_trip(0.0384), "38 ms");
        assert_eq!(round_trip(12.3), "12 s");
    }
}
