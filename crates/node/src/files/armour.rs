//! Signed statements as text: small enough to be pasted into a mail or a terminal.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest text that is looked at.
const MOST: usize = 64 * 1024;

/// One statement between its two lines.
pub(crate) fn write(kind: &str, bytes: &[u8]) -> String {
    let mut text = format!("-----BEGIN LN6D {kind}-----\n");
    for line in STANDARD.encode(bytes).as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END LN6D {kind}-----\n")
}

/// The lines between the marks of each statement, with its kind; what lies around them is passed over. A text without any
/// mark is one statement of the kind `plain`, as it was written before there were marks.
pub(crate) fn blocks<'t>(text: &'t str, plain: &str) -> Result<Vec<(String, Vec<&'t str>)>, String> {
    if text.len() > MOST {
        return Err("it is too long".into());
    }
    let lines = || text.lines().map(str::trim);
    let begins = |line: &str| Some(line.strip_prefix("-----BEGIN LN6D ")?.strip_suffix("-----")?.to_owned());
    if !lines().any(|line| begins(line).is_some()) {
        let all = lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        return Ok(vec![(plain.to_owned(), all)]);
    }
    let (mut found, mut open) = (Vec::new(), None::<(String, Vec<&str>)>);
    for line in lines() {
        match &mut open {
            None => open = begins(line).map(|kind| (kind, Vec::new())),
            Some((kind, _)) if line == format!("-----END LN6D {kind}-----") => found.extend(open.take()),
            Some((_, body)) => body.push(line),
        }
    }
    match open {
        Some((kind, _)) => Err(format!("the end of the {} is missing", kind.to_lowercase())),
        None => Ok(found),
    }
}

/// The octets of each statement.
pub(crate) fn read(text: &str, plain: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
    let octets = |(kind, lines): (String, Vec<&str>)| {
        let bytes = STANDARD.decode(lines.concat()).map_err(|_| "it is not base64".to_owned())?;
        Ok((kind, bytes))
    };
    blocks(text, plain)?.into_iter().map(octets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_written_reads_back_among_other_text_and_with_other_line_ends() {
        let (a, b) = ([7u8; 300], [9u8; 3]);
        let text = format!("Dear root,\n\n{}bye\n{}", write("A", &a), write("B C", &b)).replace('\n', "\r\n");
        let read = read(&text, "PLAIN").expect("two");
        assert_eq!(read, [("A".to_owned(), a.to_vec()), ("B C".to_owned(), b.to_vec())]);
        assert_eq!(super::read("# old\nAQID\n", "A"), Ok(vec![("A".to_owned(), vec![1, 2, 3])]));
    }

    #[test]
    fn a_text_that_was_cut_is_named() {
        let text = write("A", &[1; 100]);
        let half = &text[..text.len() - 10];
        assert_eq!(read(half, "A"), Err("the end of the a is missing".to_owned()));
        assert_eq!(read(&"x".repeat(MOST + 1), "A"), Err("it is too long".to_owned()));
    }

    proptest! {
        #[test]
        fn nothing_pasted_panics(text in "(-----BEGIN LN6D [A-C]{1,3}-----|-----END LN6D [A-C]{1,3}-----|[A-Za-z0-9+/=\n ]{0,40}|\\PC{0,9}\n){0,12}") {
            let _ = read(&text, "A");
        }
    }
}
