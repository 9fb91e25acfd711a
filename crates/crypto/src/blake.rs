//! BLAKE2s (RFC 7693) in the two forms WireGuard uses: the hash, and the keyed hash as a MAC.

use blake2::digest::consts::{U16, U32};
use blake2::digest::{FixedOutput as _, KeyInit as _, Update as _};
use blake2::{Blake2s256, Blake2sMac};

/// BLAKE2s-256 over a label and the parts, one after the other.
pub(crate) fn hash(label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut state = Blake2s256::default();
    state.update(label);
    parts.iter().for_each(|part| state.update(part));
    state.finalize_fixed().into()
}

/// Keyed BLAKE2s with 16 octets of output: WireGuard's MAC. Keys of 16 (a cookie) and 32 octets are distinct.
pub(crate) fn mac16<const K: usize>(key: &[u8; K], parts: &[&[u8]]) -> [u8; 16] {
    const { assert!(K <= 32) };
    let mut state = Blake2sMac::<U16>::new_from_slice(key).expect("BLAKE2s takes keys up to 32 octets");
    parts.iter().for_each(|part| state.update(part));
    state.finalize_fixed().into()
}

/// Keyed BLAKE2s with 32 octets of output.
pub(crate) fn mac32(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut state = Blake2sMac::<U32>::new_from_slice(key).expect("BLAKE2s takes keys up to 32 octets");
    parts.iter().for_each(|part| state.update(part));
    state.finalize_fixed().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blake2::digest::VariableOutput as _;
    use blake2::digest::consts::{U20, U28};

    /// The input sequence of RFC 7693, appendix E.
    fn sequence(len: usize, seed: u32) -> Vec<u8> {
        let (mut a, mut b) = (0xDEAD_4BADu32.wrapping_mul(seed), 1u32);
        let next = |_| {
            let t = a.wrapping_add(b);
            (a, b) = (b, t);
            (t >> 24) as u8
        };
        (0..len).map(next).collect()
    }

    fn plain(out: usize, data: &[u8]) -> Vec<u8> {
        let mut state = blake2::Blake2sVar::new(out).expect("output length");
        state.update(data);
        let mut digest = vec![0; out];
        state.finalize_variable(&mut digest).expect("output length");
        digest
    }

    fn keyed(out: usize, key: &[u8], data: &[u8]) -> Vec<u8> {
        macro_rules! mac {
            ($size:ty) => {{
                let mut state = Blake2sMac::<$size>::new_from_slice(key).expect("key");
                state.update(data);
                state.finalize_fixed().to_vec()
            }};
        }
        match out {
            16 => mac16::<16>(key.try_into().expect("16 octets"), &[data]).to_vec(),
            20 => mac!(U20),
            28 => mac!(U28),
            _ => mac32(key.try_into().expect("32 octets"), &[data]).to_vec(),
        }
    }

    #[test]
    fn the_self_test_of_rfc_7693_gives_its_grand_hash() {
        let mut grand = Blake2s256::default();
        for out in [16usize, 20, 28, 32] {
            for len in [0usize, 3, 64, 65, 255, 1024] {
                let data = sequence(len, len as u32);
                grand.update(&plain(out, &data));
                let key = sequence(out, out as u32);
                grand.update(&keyed(out, &key, &data));
            }
        }
        let expected: [u8; 32] = [
            0x6A, 0x41, 0x1F, 0x08, 0xCE, 0x25, 0xAD, 0xCD, 0xFB, 0x02, 0xAB, 0xA6, 0x41, 0x45, 0x1C, 0xEC,
            0x53, 0xC5, 0x98, 0xB2, 0x4F, 0x4F, 0xC7, 0x87, 0xFB, 0xDC, 0x88, 0x79, 0x7F, 0x4C, 0x1D, 0xFE,
        ];
        assert_eq!(<[u8; 32]>::from(grand.finalize_fixed()), expected);
    }

    #[test]
    fn parts_are_hashed_as_one_text() {
        assert_eq!(hash(b"a", &[b"b", b"", b"c"]), hash(b"abc", &[]));
        assert_eq!(mac16(&[1; 32], &[b"ab", b"c"]), mac16(&[1; 32], &[b"abc"]));
        assert_ne!(mac16(&[1; 32], &[b"abc"]), mac16(&[1; 16], &[b"abc"]));
    }
}
