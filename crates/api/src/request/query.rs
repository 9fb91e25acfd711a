//! The query of a GET: `?key=value&…`, bounded, each key once, none unknown.

use crate::error::{ApiError, CliError, Trouble};
use std::fmt::{Display, Write as _};
use std::str::FromStr;

/// Octets of a query.
const MOST: usize = 2048;

/// A query being read: each value is taken once.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn read(text: Option<&str>) -> Result<Self, ApiError> {
        let text = text.unwrap_or_default();
        if text.len() > MOST {
            return Err(bad(format!("the query has more than {MOST} octets")));
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(key), Some(value)) = (decode(key), decode(value)) else {
                return Err(bad("the query is not percent-encoded UTF-8".to_owned()));
            };
            if pairs.iter().any(|(known, _)| *known == key) {
                return Err(bad(format!("the query says {key} twice")));
            }
            pairs.push((key, value));
        }
        Ok(Query(pairs))
    }

    /// The value of `key`, if there is one; an empty value is none.
    pub(super) fn take<T: FromStr<Err: Display>>(&mut self, key: &str) -> Result<Option<T>, ApiError> {
        let Some(at) = self.0.iter().position(|(known, _)| known == key) else { return Ok(None) };
        let (_, value) = self.0.swap_remove(at);
        if value.is_empty() {
            return Ok(None);
        }
        value.parse().map(Some).map_err(|error| bad(format!("{key} in the query: {error}")))
    }

    /// The value of `key`, which must be there.
    #[cfg(feature = "registry")]
    pub(super) fn need<T: FromStr<Err: Display>>(&mut self, key: &str) -> Result<T, ApiError> {
        self.take(key)?.ok_or_else(|| bad(format!("the query needs {key}=…")))
    }

    /// Whatever was not taken is unknown.
    pub(super) fn end(self) -> Result<(), ApiError> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => Err(bad(format!("there is no question '{}' here", clip(key)))),
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

fn bad(message: String) -> ApiError {
    CliError::new(Trouble::BadRequest, message)
}

/// Percent-decoding, `+` for a space; `None` if it is no UTF-8 or an escape is cut off.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                (high * 16 + low) as u8
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// A query being written.
pub(super) struct Asked(String);

impl Asked {
    pub(super) fn of(word: &str) -> Self {
        Asked(word.to_owned())
    }

    /// Adds `key=value`, if there is a value.
    pub(super) fn with(mut self, key: &str, value: Option<impl Display>) -> Self {
        let Some(value) = value else { return self };
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(key);
        self.0.push('=');
        for byte in value.to_string().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => {
                    self.0.push(char::from(byte));
                }
                other => {
                    // Writing to a string cannot fail.
                    let _ = write!(self.0, "%{other:02X}");
                }
            }
        }
        self
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let text = "¿quién? 100% a&b=c+d\n";
        let written =
            Asked::of("x").with("text", Some(text)).with("none", None::<u8>).with("n", Some(7)).text();
        assert!(written.bytes().all(|byte| byte.is_ascii_graphic()), "{written}");
        let mut query = Query::read(written.split_once('?').map(|(_, query)| query)).expect("query");
        assert_eq!(query.take::<String>("text").expect("text").as_deref(), Some(text));
        assert_eq!(query.take::<u8>("n").expect("number"), Some(7));
        query.end().expect("nothing else");
    }

    #[test]
    fn what_is_unknown_doubled_too_long_or_no_text_is_refused() {
        let refused = |text: &str| {
            let read = Query::read(Some(text)).and_then(|mut query| {
                query.take::<u8>("n")?;
                query.end()
            });
            read.expect_err("refused").code
        };
        for text in ["m=1", "n=1&n=2", "n=256", "n=%f", "n=%zz", "n=%ff", &"n=".repeat(2000)] {
            assert_eq!(refused(text), "bad_request", "{text}");
        }
        assert!(Query::read(Some("")).and_then(Query::end).is_ok());
    }
}
