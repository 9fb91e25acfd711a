//! Numbers, spans and times as people read them.

use crate::words::{Lang, fill};
use ln6_api::schema::Time;

/// A whole number with its thousands apart by a thin space.
pub(crate) fn whole(_lang: Lang, n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (index, c) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

/// Octets: `1.2 MB`. Powers of 1000.
pub(crate) fn octets(lang: Lang, n: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let text = if unit == 0 || value >= 99.95 { format!("{value:.0}") } else { format!("{value:.1}") };
    format!("{}\u{a0}{}", decimal(lang, &text), UNITS[unit])
}

/// A round trip: `38 ms`.
pub(crate) fn round_trip(lang: Lang, seconds: f64) -> String {
    let ms = seconds * 1000.0;
    let text = if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") };
    format!("{}\u{a0}ms", decimal(lang, &text))
}

/// A share from 0 to 1 in per cent; what is there but little is not shown as nothing.
pub(crate) fn percent(lang: Lang, ratio: f64) -> String {
    let value = (ratio * 100.0).clamp(0.0, 100.0);
    if value > 0.0 && value < 0.1 {
        return format!("<{}\u{a0}%", decimal(lang, "0.1"));
    }
    let text = if value > 0.0 && value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") };
    format!("{}\u{a0}%", decimal(lang, &text))
}

fn decimal(lang: Lang, text: &str) -> String {
    if lang == Lang::En { text.to_owned() } else { text.replace('.', ",") }
}

/// A span in its largest unit: `3 min`, `5 h`, `12 d`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}\u{a0}s"),
        120..=7199 => format!("{}\u{a0}min", seconds / 60),
        7200..=172_799 => format!("{}\u{a0}h", seconds / 3600),
        _ => format!("{}\u{a0}d", seconds / 86_400),
    }
}

/// How long ago, or in how long.
pub(crate) fn relative(lang: Lang, time: Time, now: Time) -> String {
    let (then, now) = (time.as_secs(), now.as_secs());
    if then > now {
        fill(lang, "time.in", &[("span", &span(then - now))])
    } else {
        fill(lang, "time.ago", &[("span", &span(now - then))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_unit() {
        assert_eq!(octets(Lang::En, 999), "999\u{a0}B");
        assert_eq!(octets(Lang::En, 1_234_567), "1.2\u{a0}MB");
        assert_eq!(octets(Lang::Es, 1_234_567), "1,2\u{a0}MB");
        assert_eq!(octets(Lang::En, 999_999), "1.0\u{a0}MB");
        assert_eq!(octets(Lang::En, u64::MAX), "18447\u{a0}PB");
        assert_eq!(whole(Lang::En, 1234), "1234");
        assert_eq!(whole(Lang::En, 1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(percent(Lang::En, 0.000_01), "<0.1\u{a0}%");
        assert_eq!(percent(Lang::Pt, 0.0152), "1,5\u{a0}%");
        assert_eq!(round_trip(Lang::En, 0.0384), "38\u{a0}ms");
    }

    #[test]
    fn spans_are_said_in_one_unit() {
        assert_eq!(span(59), "59\u{a0}s");
        assert_eq!(span(3600), "60\u{a0}min");
        assert_eq!(relative(Lang::En, Time::from_secs(100), Time::from_secs(400)), "5\u{a0}min ago");
        assert_eq!(relative(Lang::En, Time::from_secs(400), Time::from_secs(100)), "in 5\u{a0}min");
    }
}
