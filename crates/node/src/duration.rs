//! Spans of time as people type them: `45s`, `30m`, `12h`, `7d`, `2w`, `1h30m`.

use std::str::FromStr;
use thiserror::Error;

/// A span in whole seconds, at least one and at most a hundred years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span(u64);

/// Why a text is not a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SpanError {
    /// Not numbers, each with a unit.
    #[error("a span is a number and a unit, such as 30m, 12h, 7d or 2w")]
    Form,
    /// Zero, or beyond a hundred years.
    #[error("a span is at least a second and at most a hundred years")]
    Range,
}

const CENTURY: u64 = 100 * 365 * 86_400;

impl Span {
    /// Whole seconds.
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(SpanError::Form);
        }
        let mut total = 0u64;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let number: u64 = match number.parse() {
                Ok(number) => number,
                Err(_) if digits > 0 => return Err(SpanError::Range),
                Err(_) => return Err(SpanError::Form),
            };
            let mut tail = tail.chars();
            let unit = tail.next().and_then(unit).ok_or(SpanError::Form)?;
            rest = tail.as_str();
            total =
                number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or(SpanError::Range)?;
        }
        if (1..=CENTURY).contains(&total) { Ok(Span(total)) } else { Err(SpanError::Range) }
    }
}

const fn unit(letter: char) -> Option<u64> {
    match letter {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(86_400),
        'w' => Some(7 * 86_400),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(text: &str) -> Result<u64, SpanError> {
        text.parse::<Span>().map(Span::as_secs)
    }

    #[test]
    fn spans_are_numbers_with_units() {
        assert_eq!(secs("45s"), Ok(45));
        assert_eq!(secs("30m"), Ok(1800));
        assert_eq!(secs("12h"), Ok(43_200));
        assert_eq!(secs("7d"), Ok(604_800));
        assert_eq!(secs("2w"), Ok(1_209_600));
        assert_eq!(secs(" 1h30m "), Ok(5400));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "7", "d", "-7d", "7 d", "1.5h", "7y", "7dd", "é"] {
            assert_eq!(secs(text), Err(SpanError::Form), "{text}");
        }
        for text in ["0s", "99999999999999999999d", "18446744073709551615w", "101w5200w"] {
            assert_eq!(secs(text), Err(SpanError::Range), "{text}");
        }
    }
}
