//! Everybody moves from one pool to another, with both prefixes for a while.

use super::Draft;
use super::tenancy::DELEGATIONS_PER_HOLDER;
use crate::event::What;
use crate::id::{DelegationId, HolderId};
use crate::policy::Pool;
use crate::pool::{Taken, free_host_in, sparse_in};
use crate::refusal::Refusal;
use crate::registry::{Delegation, DelegationState};
use ln6_types::Prefix;
use std::collections::BTreeMap;

impl<'a> Draft<'a> {
    pub(super) fn renumber(&mut self, from: Prefix, to: Prefix) -> Result<(), Refusal> {
        let registry = self.registry;
        let old = registry.pools.get(&from).ok_or(Refusal::NotFound("pool"))?;
        let new = registry.pools.get(&to).filter(|pool| pool.open && from != to).ok_or(Refusal::NoPool)?;
        let moving = |d: &&Delegation| d.state == DelegationState::Active && from.covers(d.prefix);
        let moves: Vec<&'a Delegation> = registry.delegations.values().filter(moving).collect();
        let mut successors: BTreeMap<HolderId, Vec<Prefix>> = BTreeMap::new();
        let mut given = registry.taken_for_subnets("", None);
        let mut hosts = registry.taken("", None);
        let until = self.after(registry.policy.move_span);
        // Same places first, so that whoever has to look for another one takes nobody's.
        let same: Vec<Option<Prefix>> =
            moves.iter().map(|d| same_place(d.prefix, from, new, &given)).collect();
        same.iter().flatten().for_each(|prefix| given.insert(*prefix));
        for (delegation, same) in moves.iter().zip(same) {
            let holder = registry.holders.get(&delegation.holder).ok_or(Refusal::NotFound("holder"))?;
            let gained = successors.entry(holder.id).or_default();
            if holder.delegations.len() + gained.len() >= DELEGATIONS_PER_HOLDER {
                return Err(Refusal::TooMany("prefixes of a holder that would have to move"));
            }
            let prefix = match same {
                Some(prefix) => prefix,
                None => self.another_place(delegation.prefix, new, &given, &hosts)?,
            };
            given.insert(prefix);
            hosts.insert(prefix);
            gained.push(prefix);
            let id = DelegationId(self.next_id());
            self.push(What::Granted { id, holder: holder.id, prefix });
            self.push(What::Retiring { id: delegation.id, until });
        }
        for (id, gained) in successors {
            let Some(holder) = registry.holders.get(&id) else { continue };
            let prefixes: Vec<Prefix> = self.live_prefixes(holder).into_iter().chain(gained).collect();
            self.reissue(holder, holder.roles, &prefixes);
        }
        if old.open {
            self.push(What::PoolSet(Pool { open: false, ..old.clone() }));
        }
        Ok(())
    }

    /// The free place farthest from its neighbours.
    fn another_place(
        &self,
        old: Prefix,
        pool: &Pool,
        given: &Taken<'_>,
        hosts: &Taken<'_>,
    ) -> Result<Prefix, Refusal> {
        let size = old.len();
        if !pool.gives(size) {
            return Err(Refusal::SizeOutsidePolicy { size, largest: pool.largest, smallest: pool.smallest });
        }
        let found = match size {
            128 => {
                let mut entropy = *self.entropy;
                // Each from a place of its own: the old number is different for each.
                let mixed = entropy.iter_mut().zip(old.network().octets());
                mixed.for_each(|(octet, own)| *octet ^= own);
                pool.hosts.and_then(|block| free_host_in(block, hosts, &entropy))
            }
            _ => sparse_in(pool.prefix, size, given),
        };
        found.ok_or(Refusal::PoolExhausted { size })
    }
}

/// The same place in the other pool, if that is free. Single hosts always get another number.
fn same_place(old: Prefix, from: Prefix, pool: &Pool, given: &Taken<'_>) -> Option<Prefix> {
    let size = old.len();
    let offset = old.network().to_bits() - from.network().to_bits();
    let index = offset.checked_shr(128 - u32::from(size)).unwrap_or(0);
    let slot = pool.prefix.part(size, index).filter(|_| size < 128 && pool.gives(size))?;
    given.overlapping(slot).is_none().then_some(slot)
}
