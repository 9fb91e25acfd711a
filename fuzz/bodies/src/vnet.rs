//! The header in front of what the TUN gives.

use crate::input::Input;
use ln6_netio::tun::vnet::{HEADER_LEN, decode, encode};
use ln6_overlay_core::forwarder::batch::GsoKind;

/// A length and a header. What is accepted lies within the packet, and reads back as written.
pub fn vnet_header(data: &[u8]) {
    let mut input = Input::new(data);
    let (len, header) = (usize::from(input.word()), input.array::<HEADER_LEN>());
    let Some(gso) = decode(&header, len) else { return };
    assert_eq!(decode(&encode(&gso), len), Some(gso));
    if gso.needs_csum {
        assert!(usize::from(gso.csum_start) + usize::from(gso.csum_offset) + 2 <= len);
    }
    if gso.kind != GsoKind::None {
        assert!(gso.size > 0 && gso.needs_csum && usize::from(gso.hdr_len) <= len);
    }
}
