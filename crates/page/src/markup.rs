//! HTML that is known to be safe, and the pieces that are easier made in code than in a template.

use ln6_types::Prefix;
use std::fmt::{self, Write as _};
use std::net::Ipv6Addr;

/// HTML. Only this file and what draws pictures makes it, and escapes what it was given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Markup(pub(crate) String);

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Markup {}

impl askama::FastWritable for Markup {
    fn write_into<W: fmt::Write + ?Sized>(&self, out: &mut W, _: &dyn askama::Values) -> askama::Result<()> {
        out.write_str(&self.0).map_err(askama::Error::from)
    }
}

/// `text` as it may stand in HTML, in attributes as well. What turns the reading direction or hides is shown as �.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_treacherous(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Characters that make a text look like another one: controls, direction marks, invisible joins.
pub(crate) const fn is_treacherous(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// What people outside wrote, for a template to escape: at most `most` characters, none of them treacherous.
pub(crate) fn tame(text: &str, most: usize) -> String {
    let mut out: String =
        text.chars().take(most).map(|c| if is_treacherous(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}

/// An icon of the sprite, decorative: a word always stands beside it.
pub(crate) fn icon(name: &str) -> Markup {
    let href = crate::asset::ICONS.path();
    Markup(format!(
        "<svg class=\"icon\" aria-hidden=\"true\" width=\"20\" height=\"20\"><use href=\"{href}#{name}\"/></svg>"
    ))
}

/// A prefix whose common part is dimmed, so that the digits that differ stand out, and which breaks at colons only.
///
/// `within` is what everything in the list has in common: digits that it fixes are dimmed.
pub(crate) fn prefix(prefix: Prefix, within: Option<Prefix>) -> Markup {
    let text = prefix.network().to_string();
    let dim = within.filter(|whole| whole.covers(prefix)).map_or(0, |whole| common(&text, prefix, whole));
    let mut out = String::with_capacity(text.len() * 2 + 64);
    out.push_str("<span class=\"px\">");
    if dim > 0 {
        out.push_str("<span class=\"px-common\">");
        groups(&mut out, &text[..dim]);
        out.push_str("</span>");
    }
    groups(&mut out, &text[dim..]);
    let _ = write!(out, "<span class=\"px-len\">/{}</span></span>", prefix.len());
    Markup(out)
}

/// An address that breaks at colons.
pub(crate) fn address(address: Ipv6Addr) -> Markup {
    let mut out = String::from("<span class=\"px\">");
    groups(&mut out, &address.to_string());
    out.push_str("</span>");
    Markup(out)
}

fn groups(out: &mut String, text: &str) {
    for c in text.chars() {
        out.push(c);
        if c == ':' {
            out.push_str("<wbr>");
        }
    }
}

/// How many characters of `text`, which is `prefix`'s network, are fixed by `whole`.
fn common(text: &str, prefix: Prefix, whole: Prefix) -> usize {
    let fixed = usize::from(whole.len() / 4);
    if prefix == whole {
        return 0;
    }
    let segments = prefix.network().segments();
    let mut at = 0;
    let mut nibbles = 0;
    for (index, segment) in segments.iter().enumerate() {
        if text[at..].starts_with(':') && !text[at..].starts_with("::") && index > 0 {
            at += 1;
        }
        if text[at..].starts_with("::") {
            return at;
        }
        let digits = format!("{segment:x}");
        if !text[at..].starts_with(&digits) {
            return at;
        }
        let leading = 4 - digits.len();
        if nibbles + 4 > fixed {
            let within = fixed.saturating_sub(nibbles).saturating_sub(leading).min(digits.len());
            return at + within;
        }
        nibbles += 4;
        at += digits.len();
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimmed(text: &str, within: &str) -> String {
        let shown = prefix(text.parse().expect("prefix"), Some(within.parse().expect("prefix"))).0;
        let plain = |html: &str| html.replace("<wbr>", "");
        let start = shown.split("px-common\">").nth(1).unwrap_or_default();
        plain(start.split("</span>").next().unwrap_or_default())
    }

    #[test]
    fn the_digits_that_a_pool_fixes_are_dimmed() {
        assert_eq!(dimmed("2001:db8:4812:3400::/56", "2001:db8:4800::/40"), "2001:db8:48");
        assert_eq!(dimmed("2001:db8:4812::/48", "2001:db8::/32"), "2001:db8:");
        assert_eq!(dimmed("2001:db8:12::/48", "2001:db8::/40"), "2001:db8:");
        assert_eq!(dimmed("2001:db8::/48", "2001:db8::/32"), "2001:db8");
        assert_eq!(dimmed("2001:db8:4800::/40", "2001:db8:4800::/40"), "");
        assert_eq!(dimmed("2001:db9::/48", "2001:db8::/32"), "");
    }

    #[test]
    fn no_prefix_breaks_the_cut() {
        for len in 0..=128 {
            for text in ["::", "2001:db8::1", "1::2:3:4:5:6", "fd00:0:0:1:1:0:0:1", "::ffff:1.2.3.4"] {
                let address: Ipv6Addr = text.parse().expect("address");
                for outer in 0..=len {
                    prefix(Prefix::new(address, len), Some(Prefix::new(address, outer)));
                }
            }
        }
    }

    #[test]
    fn what_people_wrote_cannot_become_html_or_turn_the_text_around() {
        assert_eq!(escape("<b a='\"'>&"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
        assert_eq!(escape("a\u{202e}b\0"), "a\u{fffd}b\u{fffd}");
        assert_eq!(tame("abc\u{200b}", 3), "abc…");
    }
}
