//! mac1: whoever knows a node's public key can write it, everybody else is dropped before any Diffie-Hellman.

use crate::blake;
use crate::message::{Kind, MACS};
use ln6_types::PublicKey;
use subtle::ConstantTimeEq as _;

const LABEL_MAC1: &[u8] = b"mac1----";

/// Where mac1 begins in a handshake message; `None` if it is none.
pub(crate) fn mac1_at(message: &[u8]) -> Option<usize> {
    matches!(Kind::of(message)?, Kind::Initiation | Kind::Response).then(|| message.len() - MACS)
}

/// Whether an initiation or a response claims to hold a cookie: without one, mac2 is all zeros.
pub fn has_mac2(message: &[u8]) -> bool {
    mac1_at(message).is_some_and(|at| message[at + 16..] != [0; 16])
}

/// The key of mac1 for messages to one receiver; computed once.
#[derive(Clone)]
pub struct Mac1Key([u8; 32]);

impl Mac1Key {
    /// For messages to the holder of this key.
    pub fn of(receiver: &PublicKey) -> Self {
        Mac1Key(blake::hash(LABEL_MAC1, &[receiver.as_bytes()]))
    }

    pub(crate) fn compute(&self, before: &[u8]) -> [u8; 16] {
        blake::mac16(&self.0, &[before])
    }

    /// The message as one whose mac1 is right; `None` if it is wrong, or if this is no initiation and no response.
    pub fn check<'a>(&self, message: &'a [u8]) -> Option<Checked<'a>> {
        let at = mac1_at(message)?;
        let mac1 = message[at..].first_chunk::<16>()?;
        let right: bool = self.compute(&message[..at]).ct_eq(mac1).into();
        right.then_some(Checked { message, at })
    }

    /// Whether this is an initiation or a response with the right mac1.
    pub fn verify_mac1(&self, message: &[u8]) -> bool {
        self.check(message).is_some()
    }
}

/// An initiation or a response whose mac1 is right. Only such a message is worth a cookie.
#[derive(Clone, Copy)]
pub struct Checked<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Checked<'a> {
    /// The whole message.
    pub fn message(&self) -> &'a [u8] {
        self.message
    }

    /// What mac2 is computed over.
    pub(crate) fn before_mac2(&self) -> &'a [u8] {
        &self.message[..self.at + 16]
    }

    pub(crate) fn mac1(&self) -> &'a [u8] {
        &self.message[self.at..self.at + 16]
    }

    pub(crate) fn mac2(&self) -> &'a [u8] {
        &self.message[self.at + 16..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{INITIATION_LEN, RESPONSE_LEN};
    use proptest::prelude::*;

    fn signed(kind: Kind, len: usize, key: &Mac1Key) -> Vec<u8> {
        let mut message = vec![0x17; len];
        kind.write_head(&mut message);
        let mac1 = key.compute(&message[..len - 32]);
        message[len - 32..len - 16].copy_from_slice(&mac1);
        message
    }

    #[test]
    fn only_the_receiver_it_was_written_for_accepts_a_message() {
        let (key, other) = (Mac1Key::of(&PublicKey([1; 32])), Mac1Key::of(&PublicKey([2; 32])));
        for (kind, len) in [(Kind::Initiation, INITIATION_LEN), (Kind::Response, RESPONSE_LEN)] {
            let message = signed(kind, len, &key);
            assert!(key.verify_mac1(&message));
            assert!(!other.verify_mac1(&message));
            for at in 0..len - 16 {
                let mut changed = message.clone();
                changed[at] ^= 0x10;
                assert!(!key.verify_mac1(&changed), "octet {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_datagram_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!Mac1Key::of(&PublicKey([1; 32])).verify_mac1(&bytes));
        }
    }
}
