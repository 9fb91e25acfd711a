//! From a mesh's network name to the slot it would have had in LibreNet6: LibreMesh's own algorithm.

use ln6_types::Prefix;
use md5::{Digest as _, Md5};

/// `%N1 … %N16`: the MD5 of the network name and one newline (LibreMesh hashes what `echo` prints).
pub fn network_id(ssid: &str) -> [u8; 16] {
    let mut md5 = Md5::new();
    md5.update(ssid.as_bytes());
    md5.update(b"\n");
    md5.finalize().into()
}

/// The slot of length `len` that the network name points at: the first bits of its id fill what lies between the
/// pool's length and `len`. `None` if `len` is shorter than the pool or above 128.
pub fn proposed_slot(pool: Prefix, len: u8, ssid: &str) -> Option<Prefix> {
    let width = u32::from(len.checked_sub(pool.len())?);
    let id = u128::from_be_bytes(network_id(ssid));
    let index = if width == 0 { 0 } else { id >> (128 - width) };
    pool.part(len, index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_published_networks_give_the_published_prefixes() {
        let pool: Prefix = "2a00:1508:a00::/40".parse().expect("pool");
        let ula: Prefix = "fd00::/8".parse().expect("ula");
        for (ssid, id, classic, unique) in [
            (
                "LibreMesh.org",
                [0x0d, 0xfe, 0x46, 0x8c, 0xe8, 0x8a],
                "2a00:1508:a0d:fe00::/56",
                "fd0d:fe46:8ce8::/48",
            ),
            (
                "quintanalibre.org.ar",
                [0xee, 0x3e, 0xd9, 0xf6, 0x3a, 0xbd],
                "2a00:1508:aee:3e00::/56",
                "fdee:3ed9:f63a::/48",
            ),
            (
                "Freifunk",
                [0x11, 0x1b, 0xe2, 0xe5, 0x8f, 0xdd],
                "2a00:1508:a11:1b00::/56",
                "fd11:1be2:e58f::/48",
            ),
            (
                "red ñandú",
                [0x92, 0x06, 0xbb, 0x99, 0xa4, 0x2a],
                "2a00:1508:a92:600::/56",
                "fd92:6bb:99a4::/48",
            ),
        ] {
            assert_eq!(network_id(ssid)[..6], id, "{ssid}");
            assert_eq!(proposed_slot(pool, 56, ssid).map(|p| p.to_string()).as_deref(), Some(classic));
            assert_eq!(proposed_slot(ula, 48, ssid).map(|p| p.to_string()).as_deref(), Some(unique));
        }
    }

    #[test]
    fn a_slot_is_never_larger_than_its_pool() {
        let pool: Prefix = "2001:db8::/40".parse().expect("pool");
        assert_eq!(proposed_slot(pool, 40, "x"), Some(pool));
        assert_eq!(proposed_slot(pool, 39, "x"), None);
        assert_eq!(proposed_slot(pool, 129, "x"), None);
        assert_eq!(proposed_slot(Prefix::ALL, 128, "x").map(Prefix::len), Some(128));
    }
}
