//! What the daemon says is in the way, as guests read it: neither where other nodes are nor what a file of the machine says.

use ln6_api::schema::Problem;
use std::net::{IpAddr, SocketAddr};

/// The same problem for everybody's eyes.
pub(crate) fn veiled(problem: &Problem) -> Problem {
    let message = match problem.code.as_str() {
        "broker_unreachable" => "no answer from the broker".to_owned(),
        "broker_name_unknown" => "the broker's name cannot be looked up".to_owned(),
        // It quotes what it does not understand.
        code if code.starts_with("config_") => "the configuration has a mistake".to_owned(),
        _ => without_addresses(&problem.message),
    };
    let hint = problem.hint.as_deref().map(without_addresses);
    Problem { message, hint, ..problem.clone() }
}

/// Text with dots in place of every address, with port or without.
fn without_addresses(text: &str) -> String {
    let veil = |word: &str| {
        let outside = |c: char| !c.is_ascii_hexdigit() && !":[]".contains(c);
        let bare = word.trim_matches(outside).trim_end_matches(':').trim_end_matches(outside);
        let is_address = |text: &str| {
            let inner = text.trim_start_matches('[').trim_end_matches(']');
            text.parse::<SocketAddr>().is_ok() || inner.parse::<IpAddr>().is_ok()
        };
        if is_address(bare) { word.replace(bare, "…") } else { word.to_owned() }
    };
    text.split_inclusive(' ').map(veil).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_left_out_and_prefixes_names_and_times_stay() {
        for (text, shown) in [
            ("no answer from 198.51.100.2:6695, [2001:db8::7]:6695.", "no answer from …, …."),
            ("'198.51.100.2' and (2001:db8::7): both", "'…' and (…): both"),
            (
                "2001:db8:4812::/56 on br-lan since 12:30, 1.5 MB, a face",
                "2001:db8:4812::/56 on br-lan since 12:30, 1.5 MB, a face",
            ),
        ] {
            assert_eq!(without_addresses(text), shown);
        }
    }
}
