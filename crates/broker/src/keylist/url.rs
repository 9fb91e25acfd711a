//! Where a list may be: the ways `git` can fetch that cannot do anything else.

use std::fmt;
use thiserror::Error;

/// Longest address, in octets.
const LONGEST: usize = 512;

/// How the repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Https,
    Ssh,
    Git,
    File,
}

/// A repository. Shown without the password it may hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    text: String,
    way: Way,
}

/// Why a text is no place for a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SourceError {
    /// Empty, too long, or with characters that no address has.
    #[error("this is no address of a repository")]
    Form,
    /// Another way than those that are allowed.
    #[error(
        "a repository is reached by https://, ssh://, git://, file:// or a path from the root, or as user@host:path"
    )]
    Way,
}

impl Source {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '`' | '\'' | '$' | '<' | '>');
        if text.is_empty() || text.len() > LONGEST || text.starts_with('-') || !text.chars().all(plain) {
            return Err(SourceError::Form);
        }
        let way = match text.split_once("://") {
            Some(("https", rest)) if host(rest) => Way::Https,
            Some(("ssh", rest)) if host(rest) => Way::Ssh,
            Some(("git", rest)) if host(rest) => Way::Git,
            Some(("file", rest)) if rest.starts_with('/') => Way::File,
            Some(_) => return Err(SourceError::Way),
            None if text.contains("::") => return Err(SourceError::Way),
            None if text.starts_with('/') => Way::File,
            None => match text.split_once(':') {
                Some((place, path)) if !place.contains('/') && !path.is_empty() && host(place) => Way::Ssh,
                _ => return Err(SourceError::Way),
            },
        };
        Ok(Source { text: text.to_owned(), way })
    }

    /// As it was written, with its password.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The one way that is allowed, in `git`'s word.
    pub(crate) fn protocol(&self) -> &'static str {
        match self.way {
            Way::Https => "https",
            Way::Ssh => "ssh",
            Way::Git => "git",
            Way::File => "file",
        }
    }

    /// Whether nobody on the way can change what arrives. `git://` can be changed by everyone.
    pub fn is_authentic(&self) -> bool {
        self.way != Way::Git
    }

    /// Whether the address itself holds a secret.
    pub fn has_password(&self) -> bool {
        self.text != self.to_string()
    }
}

/// Whether it begins with a name or address, and not with an option for another program.
fn host(rest: &str) -> bool {
    let place = rest.split('/').next().unwrap_or_default();
    let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
    !place.starts_with('-') && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = || {
            let (scheme, rest) = self.text.split_once("://").filter(|_| self.way == Way::Https)?;
            let place = rest.split('/').next()?;
            let (user, host) = place.rsplit_once('@')?;
            // A token may stand where the name does.
            let user = user.split_once(':').map_or("…".to_owned(), |(name, _)| format!("{name}:…"));
            Some(format!("{scheme}://{user}@{host}{}", &rest[place.len()..]))
        };
        f.write_str(&shown().unwrap_or_else(|| self.text.clone()))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_that_only_fetch_are_taken() {
        let way = |text: &str| Source::parse(text).map(|source| source.protocol());
        assert_eq!(way("https://git.example.org/altermundi/keys.git"), Ok("https"));
        assert_eq!(way("ssh://git@[2001:db8::1]:2222/keys"), Ok("ssh"));
        assert_eq!(way("git@example.org:altermundi/keys.git"), Ok("ssh"));
        assert_eq!(way("/srv/keys.git"), Ok("file"));
        assert_eq!(way("file:///srv/keys.git"), Ok("file"));
        assert_eq!(way("git://example.org/keys"), Ok("git"));
        assert!(!Source::parse("git://example.org/keys").expect("source").is_authentic());
    }

    #[test]
    fn everything_that_could_run_or_reach_something_else_is_refused() {
        for text in [
            "",
            "-uexec",
            "ext::sh -c id",
            "ext::id",
            "fd::3",
            "http://example.org/keys",
            "ftp://example.org/x",
            "keys.git",
            "../keys",
            "ssh://-oProxyCommand=id/x",
            "-oProxyCommand=id:x",
            "git@-oProxyCommand=id:x",
            "https://",
            "https:///x",
            "https://a b/c",
            "https://a/\u{202e}",
            "https://a/\n",
            "file://host/x",
            "a\"b:c",
            "ssh://user@-x/y",
            "transport::https://example.org/x",
        ] {
            assert!(Source::parse(text).is_err(), "{text:?}");
        }
        assert!(Source::parse(&format!("https://a/{}", "x".repeat(600))).is_err());
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = |text: &str| Source::parse(text).expect("source").to_string();
        assert_eq!(shown("https://ana:hunter2@example.org/k"), "https://ana:…@example.org/k");
        assert_eq!(shown("https://ghp_token@example.org/k"), "https://…@example.org/k");
        assert_eq!(shown("ssh://git@example.org/k"), "ssh://git@example.org/k");
        assert!(!format!("{:?}", Source::parse("https://ana:hunter2@example.org/k")).contains("hunter2"));
    }
}
