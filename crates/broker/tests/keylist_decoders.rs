//! No octets make the key list's and LibreNet6's readers panic, and what they say can be printed.

use ln6_broker::keylist::{Entry, Source, blobs, listing, shown, tree};
use ln6_broker::librenet6::hosts;
use proptest::prelude::*;

fn printable(text: &str) -> bool {
    text.chars().all(|c| (' '..='~').contains(&c) || c == '…')
}

/// Octets that look like what is read, more often than chance would have it.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&[u8]> = vec![
        b"key",
        b"sign",
        b"size",
        b"contact",
        b" = ",
        b"=",
        b"\"",
        b"\\",
        b"#",
        b"\n",
        b"\t",
        b"\0",
        b"Subnet",
        b"/64",
        b"2001:db8::",
        b"10.0.0.0",
        b"100644 blob ",
        b"8baef1b4abc478178b004d62031cf7fe6db6f903",
        b" 12",
        b"\xff",
        b"\xe2\x80\xae",
        b"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        b"https://",
        b"@",
        b":",
        b"-",
    ];
    let piece = prop_oneof![3 => prop::sample::select(words).prop_map(<[u8]>::to_vec), 1 => prop::collection::vec(any::<u8>(), 0..4)];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn an_entry_is_read_or_refused_in_printable_words(text in octets()) {
        match Entry::parse(&text) {
            Ok(entry) => prop_assert!(entry.size.is_none_or(|size| (16..=128).contains(&size))),
            Err(why) => prop_assert!(printable(&why.to_string()), "{why}"),
        }
    }

    #[test]
    fn what_git_prints_is_read_or_refused(output in octets(), contents in octets()) {
        if let Some(files) = tree(&output) {
            let list = listing(&files, |ids| Some(ids.iter().map(|_| contents.clone()).collect()));
            for complaint in list.into_iter().flat_map(|list| list.complaints) {
                prop_assert!(printable(&complaint.about), "{complaint:?}");
            }
        }
        let _ = blobs(&output, &["8baef1b4abc478178b004d62031cf7fe6db6f903"]);
    }

    #[test]
    fn a_hosts_folder_is_read_without_overlaps(files in prop::collection::vec((octets(), octets()), 0..6)) {
        let read = hosts(&files);
        let all: Vec<_> = read.iter().flat_map(|host| &host.subnets).collect();
        for (index, subnet) in all.iter().enumerate() {
            prop_assert!((16..=64).contains(&subnet.len()));
            prop_assert!(all[..index].iter().all(|other| !other.overlaps(**subnet)));
        }
        prop_assert!(read.iter().all(|host| printable(&host.file) && host.notes.iter().all(|note| printable(note))));
    }

    #[test]
    fn an_address_never_becomes_an_option_or_another_protocol(text in octets()) {
        let text = String::from_utf8_lossy(&text).into_owned();
        if let Ok(source) = Source::parse(&text) {
            prop_assert!(!source.expose().starts_with('-') && !source.expose().contains("::/") && printable(source.expose()));
        }
        prop_assert!(printable(&shown(text.as_bytes())));
    }
}
