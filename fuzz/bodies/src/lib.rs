//! What the fuzzer does with its input: one function for each target, with assertions inside; this crate never fuzzes by
//! itself. `fuzz/fuzz_targets` hands the functions to libFuzzer, `tests/corpus.rs` replays the committed corpora.
//!
//! An input is a little program: its first octets choose what is done, so that the fuzzer also comes behind signatures,
//! checksums and seals, which it could never guess.
#![forbid(unsafe_code)]
// A body's panic is its finding.
#![allow(clippy::unwrap_used)]

mod api;
mod babel;
mod config;
mod control;
mod handshake;
mod input;
mod key_list;
mod librenet6;
mod link;
mod membership;
mod ndp;
mod netlink;
mod peer_message;
mod registry;
mod relay;
mod relayed;
mod root_papers;
mod router;
mod seeds;
mod statement;
mod transport;
mod tun;
mod vnet;

/// Forwarders back to back, as the forwarder's own tests have them.
#[path = "../../../crates/overlay-core/tests/net/hosts.rs"]
mod net;

pub use api::api_request;
pub use babel::babel_packet;
pub use config::config;
pub use control::control_event;
pub use handshake::handshake_message;
pub use key_list::key_list;
pub use librenet6::librenet6_hosts;
pub use link::link;
pub use membership::membership;
pub use ndp::ndp;
pub use netlink::netlink;
pub use peer_message::peer_message;
pub use registry::registry_event;
pub use relay::relay_frame_body as relay_frame;
pub use relayed::relayed_datagram;
pub use root_papers::root_papers;
pub use router::babel_router;
pub use seeds::seeds;
pub use statement::certificate;
pub use transport::transport_datagram;
pub use tun::tun_packet;
pub use vnet::vnet_header;

/// A target's name and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("api_request", api_request),
    ("babel_packet", babel_packet),
    ("babel_router", babel_router),
    ("certificate", certificate),
    ("config", config),
    ("control_event", control_event),
    ("handshake_message", handshake_message),
    ("key_list", key_list),
    ("librenet6_hosts", librenet6_hosts),
    ("link", link),
    ("membership", membership),
    ("ndp", ndp),
    ("netlink", netlink),
    ("peer_message", peer_message),
    ("registry_event", registry_event),
    ("relay_frame", relay_frame),
    ("relayed_datagram", relayed_datagram),
    ("root_papers", root_papers),
    ("transport_datagram", transport_datagram),
    ("tun_packet", tun_packet),
    ("vnet_header", vnet_header),
];
