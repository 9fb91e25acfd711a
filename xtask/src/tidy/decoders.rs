//! Every decoder of what others send has a fuzz target.

use super::assert_none;
use crate::workspace::root;
use std::path::Path;

/// A file, the function in it that decodes, and the name of its fuzz target.
type Decoder = (&'static str, &'static str, &'static str);

/// Whoever writes a decoder adds a line here and a file to the fuzz targets.
const DECODERS: &[Decoder] = &[
    ("crates/crypto/src/message.rs", "of", "handshake_message"),
    ("crates/crypto/src/message.rs", "read_transport_header", "handshake_message"),
    ("crates/crypto/src/handshake.rs", "read", "handshake_message"),
    ("crates/crypto/src/handshake.rs", "finish", "handshake_message"),
    ("crates/crypto/src/cookie.rs", "open_reply", "handshake_message"),
    ("crates/crypto/src/mac.rs", "check", "handshake_message"),
    ("crates/crypto/src/canonical.rs", "decode", "certificate"),
    ("crates/crypto/src/certificate.rs", "read", "certificate"),
    ("crates/crypto/src/revocation.rs", "read", "certificate"),
    ("crates/crypto/src/record.rs", "read", "certificate"),
    ("crates/crypto/src/link.rs", "from_str", "link"),
    ("crates/types/src/prefix.rs", "decode", "certificate"),
    ("crates/types/src/prefix.rs", "parse_strict", "config"),
    ("crates/types/src/key.rs", "from_str", "config"),
    ("crates/routing/src/wire/decode.rs", "decode", "babel_packet"),
    ("crates/routing/src/router/receive.rs", "receive", "babel_router"),
    ("crates/overlay-core/src/forwarder/outside.rs", "outside", "transport_datagram"),
    ("crates/overlay-core/src/forwarder/ipv6.rs", "read", "transport_datagram"),
    ("crates/overlay-core/src/forwarder/coalesce.rs", "offer", "transport_datagram"),
    ("crates/crypto/src/message.rs", "read_relayed_header", "relayed_datagram"),
    ("crates/overlay-core/src/forwarder/keys.rs", "open_relayed", "relayed_datagram"),
    ("crates/overlay-core/src/forwarder/frame.rs", "read", "relay_frame"),
    ("crates/overlay-core/src/forwarder/frame.rs", "message_body", "peer_message"),
    ("crates/overlay-core/src/forwarder/inside.rs", "inside", "tun_packet"),
    ("crates/overlay-core/src/forwarder/split.rs", "of", "tun_packet"),
    ("crates/overlay-core/src/forwarder/icmp.rs", "may_answer", "tun_packet"),
    ("crates/overlay-core/src/control.rs", "handle_event", "control_event"),
    ("crates/overlay-core/src/control/babel.rs", "parse", "control_event"),
    ("crates/overlay-core/src/control/message.rs", "decode", "peer_message"),
    ("crates/overlay-core/src/control/message/body.rs", "read", "peer_message"),
    ("crates/overlay-core/src/control/message/join.rs", "read", "peer_message"),
    ("crates/overlay-core/src/control/membership.rs", "offer", "membership"),
    ("crates/netio/src/tun/vnet.rs", "decode", "vnet_header"),
    ("crates/host/src/ndp.rs", "decode", "ndp"),
    ("crates/host/src/netlink/wire.rs", "messages", "netlink"),
    ("crates/host/src/netlink/wire.rs", "answer", "netlink"),
    ("crates/registry/src/event.rs", "deserialize", "registry_event"),
    ("crates/registry/src/apply.rs", "apply", "registry_event"),
    ("crates/node/src/config.rs", "parse", "config"),
    ("crates/node/src/files/armour.rs", "read", "root_papers"),
    ("crates/node/src/files/certificate.rs", "read", "root_papers"),
    ("crates/node/src/files/request.rs", "read", "root_papers"),
    ("crates/broker/src/keylist/entry.rs", "parse", "key_list"),
    ("crates/broker/src/keylist/listing.rs", "listing", "key_list"),
    ("crates/broker/src/keylist/tree.rs", "tree", "key_list"),
    ("crates/broker/src/keylist/tree.rs", "blobs", "key_list"),
    ("crates/broker/src/librenet6.rs", "hosts", "librenet6_hosts"),
    ("crates/api/src/request.rs", "from_http", "api_request"),
];

fn complaints(root: &Path, decoders: &[Decoder]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, function, target) in decoders {
        match std::fs::read_to_string(root.join(file)) {
            Err(_) => complaints.push(format!("{file}, which decodes, does not exist")),
            Ok(text) if !text.contains(&format!("fn {function}")) => {
                complaints.push(format!("{file} has no function {function}"));
            }
            Ok(_) => {}
        }
        let path = format!("fuzz/fuzz_targets/{target}.rs");
        if !root.join(&path).exists() {
            complaints.push(format!("{function} of {file} has no fuzz target {path}"));
        }
    }
    complaints
}

#[test]
fn every_decoder_has_a_fuzz_target() {
    assert_none(&complaints(root(), DECODERS));
}

#[test]
fn a_decoder_without_file_function_or_target_is_found() {
    let here = "xtask/src/tidy/decoders.rs";
    assert_eq!(complaints(root(), &[("gone.rs", "decode", "none")]).len(), 2);
    assert_eq!(complaints(root(), &[(here, concat!("decode_", "nothing"), "none")]).len(), 2);
    assert_eq!(complaints(root(), &[(here, "complaints", "none")]).len(), 1);
}
