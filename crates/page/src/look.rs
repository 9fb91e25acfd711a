//! What every page needs to know of who is looking: language, colours, name, rights; and the words for it.

use crate::accounts::Role;
use crate::markup::{self, Markup};
use crate::units;
use crate::words::{self, Lang};
use ln6_api::schema::{Severity, Time};
use ln6_types::Prefix;
use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Theme {
    /// As the system has them.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All.
    pub(crate) const ALL: [Theme; 3] = [Theme::Auto, Theme::Light, Theme::Dark];

    /// As in the cookie and in HTML.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// Reads [`word`](Self::word).
    pub(crate) fn of(word: &str) -> Option<Theme> {
        Theme::ALL.into_iter().find(|theme| theme.word() == word)
    }
}

/// A sentence at the head of a page, once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Flash {
    /// Whether it is bad news.
    pub(crate) bad: bool,
    /// The sentence.
    pub(crate) text: String,
}

/// Who looks, and how.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Language.
    pub(crate) lang: Lang,
    /// Colours.
    pub(crate) theme: Theme,
    /// The path that is shown, for the navigation.
    pub(crate) path: String,
    /// With its query, to come back to.
    pub(crate) here: String,
    /// Who is logged in.
    pub(crate) name: String,
    /// What they may do.
    pub(crate) role: Role,
    /// The token for forms of this answer.
    pub(crate) csrf: String,
    /// Requests that wait.
    pub(crate) waiting: u32,
    /// Whether this is the page of a gateway.
    pub(crate) gateway: bool,
    /// Whether one may log in from there.
    pub(crate) may_log_in: bool,
    /// The sentence at the head.
    pub(crate) flash: Option<Flash>,
    /// The present.
    pub(crate) now: Time,
}

/// An entry of the navigation.
pub(crate) struct Entry {
    /// Where to.
    pub(crate) href: &'static str,
    /// Its icon.
    pub(crate) icon: &'static str,
    /// Its word.
    pub(crate) key: &'static str,
}

const ENTRIES: &[Entry] = &[
    Entry { href: "/", icon: "overview", key: "nav.overview" },
    Entry { href: "/requests", icon: "requests", key: "nav.requests" },
    Entry { href: "/prefixes", icon: "prefixes", key: "nav.prefixes" },
    Entry { href: "/gateways", icon: "gateways", key: "nav.gateways" },
    Entry { href: "/topology", icon: "topology", key: "nav.topology" },
    Entry { href: "/traffic", icon: "traffic", key: "nav.traffic" },
    Entry { href: "/activity", icon: "activity", key: "nav.activity" },
    Entry { href: "/health", icon: "health", key: "nav.health" },
    Entry { href: "/settings", icon: "settings", key: "nav.settings" },
];

/// On a gateway.
const GATEWAYS: &[Entry] = &[
    Entry { href: "/", icon: "overview", key: "nav.overview" },
    Entry { href: "/peers", icon: "gateways", key: "nav.peers" },
    Entry { href: "/traffic", icon: "traffic", key: "nav.traffic" },
    Entry { href: "/health", icon: "health", key: "nav.health" },
    Entry { href: "/settings", icon: "settings", key: "nav.settings" },
];

impl Look {
    /// The sentence for a key.
    pub(crate) fn t(&self, key: &str) -> Cow<'static, str> {
        words::say(self.lang, key)
    }

    /// With one value called `what`.
    pub(crate) fn tf1(&self, key: &str, value: impl AsRef<str>) -> String {
        words::fill(self.lang, key, &[("what", value.as_ref())])
    }

    /// With a number.
    pub(crate) fn tn(&self, key: &str, n: &u64) -> String {
        words::count(self.lang, key, *n)
    }

    /// The word for a state, a role, a kind: `group.word`, or the word itself if nobody has translated it.
    pub(crate) fn word(&self, group: &str, word: &str) -> String {
        let known = words::known(self.lang, &format!("{group}.{word}"));
        known.map_or_else(|| markup::tame(&word.replace('_', " "), 40), str::to_owned)
    }

    /// The navigation.
    pub(crate) fn entries(&self) -> &'static [Entry] {
        match (self.gateway, self.may_rule()) {
            (false, _) => ENTRIES,
            (true, true) => GATEWAYS,
            // What is set there is for administrators alone.
            (true, false) => &GATEWAYS[..GATEWAYS.len() - 1],
        }
    }

    /// Whether an entry of the navigation is the one shown.
    pub(crate) fn is_at(&self, href: &str) -> bool {
        if href == "/" {
            self.path == "/"
        } else {
            self.path == href || self.path.starts_with(&format!("{href}/"))
        }
    }

    /// Whether somebody is logged in.
    pub(crate) fn inside(&self) -> bool {
        !self.name.is_empty()
    }

    /// Whether they may decide about requests and holders.
    pub(crate) fn may_operate(&self) -> bool {
        self.role >= Role::Operator
    }

    /// Whether they may decide about everything.
    pub(crate) fn may_rule(&self) -> bool {
        self.role >= Role::Admin
    }

    /// An icon.
    pub(crate) fn icon(&self, name: &str) -> Markup {
        markup::icon(name)
    }

    /// A prefix.
    pub(crate) fn px(&self, prefix: &Prefix) -> Markup {
        markup::prefix(*prefix, None)
    }

    /// A prefix beside others that have `within` in common.
    pub(crate) fn pxin(&self, prefix: &Prefix, within: &Prefix) -> Markup {
        markup::prefix(*prefix, Some(*within))
    }

    /// An address.
    pub(crate) fn addr(&self, address: &Ipv6Addr) -> Markup {
        markup::address(*address)
    }

    /// What somebody outside wrote, short.
    pub(crate) fn said(&self, text: &str) -> String {
        markup::tame(text, 200)
    }

    /// A moment: how long ago, and exactly.
    pub(crate) fn when(&self, time: &Time) -> Markup {
        let relative = units::relative(self.lang, *time, self.now);
        Markup(format!("<time datetime=\"{time}\" title=\"{time}\">{relative}</time>"))
    }

    /// A moment exactly, in UTC.
    pub(crate) fn exact(&self, time: &Time) -> Markup {
        let text = time.to_string();
        let short = text.get(..16).unwrap_or(&text).replace('T', " ");
        Markup(format!("<time datetime=\"{text}\">{short}</time>"))
    }

    /// A span in seconds.
    pub(crate) fn span(&self, seconds: &u64) -> String {
        units::span(*seconds)
    }

    /// Octets.
    pub(crate) fn octets(&self, n: &u64) -> String {
        units::octets(self.lang, *n)
    }

    /// Octets per second.
    pub(crate) fn rate(&self, n: &f64) -> String {
        format!("{}/s", units::octets(self.lang, n.max(0.0) as u64))
    }

    /// A round trip.
    pub(crate) fn rtt(&self, seconds: &f64) -> String {
        units::round_trip(self.lang, *seconds)
    }

    /// A share.
    pub(crate) fn percent(&self, ratio: &f64) -> String {
        units::percent(self.lang, *ratio)
    }

    /// A number.
    pub(crate) fn whole(&self, n: &u64) -> String {
        units::whole(self.lang, *n)
    }

    /// A number of 32 bits.
    pub(crate) fn whole32(&self, n: &u32) -> String {
        units::whole(self.lang, u64::from(*n))
    }

    /// A bar for a share, with the number for those who do not see it.
    pub(crate) fn bar(&self, ratio: &f64) -> Markup {
        let width = (ratio.clamp(0.0, 1.0) * 100.0).max(if *ratio > 0.0 { 1.5 } else { 0.0 });
        let level = if *ratio > 0.9 {
            "bad"
        } else if *ratio > 0.75 {
            "warn"
        } else {
            "fine"
        };
        Markup(format!(
            "<svg class=\"bar\" aria-hidden=\"true\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\"><rect class=\"bar-all\" width=\"100\" height=\"4\" rx=\"2\"/><rect class=\"bar-{level}\" width=\"{width:.1}\" height=\"4\" rx=\"2\"/></svg>"
        ))
    }

    /// A state as icon and word.
    pub(crate) fn state(&self, state: &str) -> Markup {
        let (class, icon) = match state {
            "active" | "delegated" | "live" | "connected" | "member" | "open" | "up" | "ok" | "current" => {
                ("good", "check")
            }
            "suspended" | "retiring" | "in_grace" | "quarantined" | "relayed" | "silent" | "left"
            | "warning" | "held" => ("warn", "pause"),
            "revoked" | "expired" | "lapsed" | "refused" | "error" | "unreachable" | "unsigned"
            | "rewritten" => ("bad", "cross"),
            "reserved" | "hosts" | "partly" => ("note", "lock"),
            _ => ("dull", "dot"),
        };
        let word = markup::escape(&self.word("state", state));
        Markup(format!("<span class=\"chip {class}\">{}{word}</span>", markup::icon(icon)))
    }

    /// How bad something is, as icon and word.
    pub(crate) fn severity(&self, severity: &Severity) -> Markup {
        let (word, class, icon) = match severity {
            Severity::Error => ("error", "bad", "cross"),
            Severity::Warning => ("warning", "warn", "warning"),
            Severity::Note => ("note", "note", "info"),
        };
        let text = markup::escape(&self.word("severity", word));
        Markup(format!("<span class=\"chip {class}\">{}{text}</span>", markup::icon(icon)))
    }

    /// Where the style is.
    pub(crate) fn style(&self) -> String {
        crate::asset::STYLE.path()
    }

    /// Where the script is.
    pub(crate) fn script(&self) -> String {
        crate::asset::SCRIPT.path()
    }

    /// Where the mark is.
    pub(crate) fn mark(&self) -> String {
        crate::asset::MARK.path()
    }
}

/// A part of a path or a query.
pub(crate) fn encoded(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
