//! A `hosts/` folder of LibreNet6.

use crate::input::Input;
use ln6_broker::librenet6::{Host, hosts};
use ln6_registry::valid_name;
use ln6_types::Prefix;
use std::collections::BTreeSet;

const FILES: usize = 12;

/// Files of any names with any contents. Names are names and each is one host's, no subnet is held twice or is none that can be
/// reserved, all that is told can be printed, and the order in which the files come does not matter.
pub fn librenet6_hosts(data: &[u8]) {
    let mut input = Input::new(data);
    let mut files: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    while !input.is_empty() && files.len() < FILES {
        let name = input.chunk(80).to_vec();
        if !files.iter().any(|(other, _)| *other == name) {
            files.push((name, input.chunk(600).to_vec()));
        }
    }
    let found = hosts(&files);
    assert!(found.len() <= files.len());
    check(&found);
    files.reverse();
    assert_eq!(hosts(&files), found);
}

fn check(found: &[Host]) {
    let names: Vec<&str> = found.iter().filter_map(|host| host.name.as_deref()).collect();
    assert!(names.iter().all(|name| valid_name(name)));
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let mut held: Vec<Prefix> = Vec::new();
    for host in found {
        assert!(host.subnets.len() <= 64 && host.keys.len() <= 2);
        for subnet in &host.subnets {
            assert!(
                (16..=64).contains(&subnet.len()) && subnet.network().segments()[0] >> 13 == 1,
                "{subnet}"
            );
            assert!(!held.iter().any(|other| other.overlaps(*subnet)), "{subnet} is held twice");
            held.push(*subnet);
        }
        for told in host.notes.iter().chain([&host.file]) {
            assert!(told.chars().all(|c| (' '..='~').contains(&c) || c == '…'), "{told:?}");
        }
    }
}
