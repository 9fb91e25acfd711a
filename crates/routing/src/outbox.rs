//! What waits to be sent to one link or one neighbour. Updates are kept as keys: they say what is true when they leave.

use crate::{Key, wire::Tlv};
use std::collections::BTreeSet;

/// TLVs beyond this many wait for nobody.
const MOST_TLVS: usize = 8192;
/// Among this many a repeated one is noticed.
const COMPARED: usize = 64;

/// Gathered TLVs.
#[derive(Default)]
pub(crate) struct Outbox {
    tlvs: Vec<Tlv>,
    pub(crate) updates: BTreeSet<Key>,
}

impl Outbox {
    /// Appends a TLV unless it waits already.
    pub(crate) fn push(&mut self, tlv: Tlv) {
        let known = self.tlvs.iter().take(COMPARED).any(|waiting| *waiting == tlv);
        if self.tlvs.len() < MOST_TLVS && !known {
            self.tlvs.push(tlv);
        }
    }

    pub(crate) fn take_tlvs(&mut self) -> Vec<Tlv> {
        core::mem::take(&mut self.tlvs)
    }

    /// Takes at most `most` updates.
    pub(crate) fn take_updates(&mut self, most: usize) -> BTreeSet<Key> {
        match self.updates.iter().nth(most).copied() {
            None => core::mem::take(&mut self.updates),
            Some(first_left) => {
                let left = self.updates.split_off(&first_left);
                core::mem::replace(&mut self.updates, left)
            }
        }
    }
}
