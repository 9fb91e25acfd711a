//! For whom a page or a token service asks.

use crate::error::{ApiError, CliError, Trouble};
use std::fmt;
use std::str::FromStr;

/// The header that says it.
pub const ACTOR_HEADER: &str = "x-ln6d-actor";

/// Characters of a name.
const MOST: usize = 64;

/// Somebody who was authenticated by whoever asks: `admin:NAME` or `token:NAME`. The name is kept in the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ActingFor {
    /// An administrator who has logged in.
    Admin(String),
    /// A program with a token.
    Token(String),
}

impl fmt::Display for ActingFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActingFor::Admin(name) => write!(f, "admin:{name}"),
            ActingFor::Token(name) => write!(f, "token:{name}"),
        }
    }
}

impl FromStr for ActingFor {
    type Err = ApiError;

    /// A name has 1 to 64 of `a-z A-Z 0-9 - _ . @`, so that it can be shown anywhere.
    fn from_str(text: &str) -> Result<Self, ApiError> {
        let bad = || {
            let message = format!("{ACTOR_HEADER} is 'admin:NAME' or 'token:NAME'");
            CliError::new(Trouble::BadRequest, message)
                .hint("a name has 1 to 64 of a-z, A-Z, 0-9, '-', '_', '.' and '@'")
        };
        let (kind, name) = text.split_once(':').ok_or_else(bad)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        if name.is_empty() || name.len() > MOST || !name.chars().all(fits) {
            return Err(bad());
        }
        match kind {
            "admin" => Ok(ActingFor::Admin(name.to_owned())),
            "token" => Ok(ActingFor::Token(name.to_owned())),
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_an_administrator_or_a_token_by_name() {
        for text in ["admin:ana", "token:grafana-1", "admin:ana@example.net"] {
            assert_eq!(text.parse::<ActingFor>().expect("actor").to_string(), text);
        }
        let long = format!("admin:{}", "x".repeat(65));
        for text in
            ["", "ana", "admin:", "root:ana", "admin:a b", "admin:a\nb", "admin:<b>", "admin:ñ", &long]
        {
            assert_eq!(text.parse::<ActingFor>().expect_err("refused").code, "bad_request", "{text}");
        }
    }
}
