//! Stock WireGuard clients inside a holder's delegation.

use super::Draft;
use crate::event::What;
use crate::name::valid_name;
use crate::pool::{Taken, free_host_in, sparse_in};
use crate::refusal::Refusal;
use crate::registry::{Delegation, DelegationState, HolderState, KeyState, Leaf};
use ln6_types::{Prefix, PublicKey};

const LEAVES_PER_HOLDER: usize = 1024;

impl Draft<'_> {
    pub(super) fn register_leaf(
        &mut self,
        host: PublicKey,
        name: &str,
        key: PublicKey,
        size: Option<u8>,
    ) -> Result<(), Refusal> {
        let registry = self.registry;
        let record =
            registry.keys.get(&host).filter(|r| r.state == KeyState::Active).ok_or(Refusal::KeyUnknown)?;
        let holder = registry.holders.get(&record.holder).ok_or(Refusal::KeyUnknown)?;
        if holder.state != HolderState::Active {
            return Err(Refusal::Suspended);
        }
        if !valid_name(name) {
            return Err(Refusal::NameInvalid(name.chars().take(64).collect()));
        }
        if let Some(known) = registry.leaves.get(&key) {
            return if known.holder == holder.id { Ok(()) } else { Err(Refusal::KeyTaken) };
        }
        if registry.keys.contains_key(&key) {
            return Err(Refusal::KeyTaken);
        }
        let siblings = || registry.leaves.values().filter(|leaf| leaf.holder == holder.id);
        if siblings().any(|leaf| leaf.name == name) {
            return Err(Refusal::NameTaken(name.to_owned()));
        }
        if siblings().count() >= LEAVES_PER_HOLDER {
            return Err(Refusal::TooMany("stock clients of this holder"));
        }
        let size = size.unwrap_or(128);
        let mut active = self.delegations_of(holder).filter(|d| d.state == DelegationState::Active);
        let taken: Taken<'_> = siblings().map(|leaf| leaf.prefix).collect();
        let found = active.find_map(|d| part_of(d, size, &taken, self.entropy));
        let prefix = found.ok_or(Refusal::PoolExhausted { size })?;
        let name = name.to_owned();
        self.push(What::LeafAdded(Leaf { key, host, holder: holder.id, name, prefix }));
        Ok(())
    }

    pub(super) fn remove_leaf(&mut self, key: PublicKey) -> Result<(), Refusal> {
        self.registry.leaves.get(&key).ok_or(Refusal::NotFound("stock client"))?;
        self.push(What::LeafRemoved { key });
        Ok(())
    }
}

/// A part of a delegation: hosts from its last /64, subnets anywhere but in its first and last, which are the LAN's
/// and the hosts'.
fn part_of(whole: &Delegation, size: u8, taken: &Taken<'_>, entropy: &[u8; 32]) -> Option<Prefix> {
    let prefix = whole.prefix;
    let last = prefix.part(64, (1u128 << (64 - prefix.len().min(64))) - 1);
    match size {
        128 if prefix.len() < 128 => free_host_in(last.unwrap_or(prefix), taken, entropy),
        _ if size > prefix.len() && size <= 64 => {
            let mut taken = taken.clone();
            [prefix.part(64, 0), last].into_iter().flatten().for_each(|lan| taken.insert(lan));
            sparse_in(prefix, size, &taken)
        }
        _ => None,
    }
}
