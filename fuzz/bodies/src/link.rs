//! Invitation links.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ln6_crypto::Link;
use ln6_crypto::keys::hash;

pub(crate) const SCHEME: &str = "ln6://join/";

/// A link, or the body of one to which the checksum is added here. A link has one spelling.
pub fn link(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let text = if first & 1 == 0 { String::from_utf8_lossy(rest).into_owned() } else { around(rest) };
    let Ok(link) = text.parse::<Link>() else { return };
    assert_eq!(link.check(), Ok(()));
    let shown = link.to_string();
    assert_eq!(shown.parse::<Link>().as_ref(), Ok(&link));
    let code = text.trim_matches(|c: char| c.is_whitespace() || c == '<' || c == '>');
    assert_eq!(code.get(SCHEME.len()..), shown.get(SCHEME.len()..), "another spelling of the same");
    if let Some(secret) = link.secret.filter(|secret| *secret != [0; 16]) {
        assert!(!format!("{link:?}").contains(&format!("{secret:?}")), "the secret is shown");
    }
}

/// A body as a link.
pub(crate) fn around(body: &[u8]) -> String {
    let sum = hash(b"ln6d link v1", &[body]);
    format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode([body, &sum[..4]].concat()))
}
