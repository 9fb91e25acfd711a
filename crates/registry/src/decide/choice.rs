//! Which prefix somebody gets.

use super::Draft;
use crate::policy::{Admission, Pool};
use crate::pool::{Taken, free_host_in, sparse_in};
use crate::proposal::proposed_slot;
use crate::refusal::Refusal;
use ln6_types::Prefix;

/// What somebody would like.
pub(super) struct Wish<'w> {
    /// Exactly this one.
    pub(super) prefix: Option<Prefix>,
    /// What the same key held before.
    pub(super) before: Option<Prefix>,
    pub(super) name: &'w str,
    pub(super) ssid: Option<&'w str>,
    pub(super) size: Option<u8>,
    /// Whether the pools' policy binds (it does not bind an administrator).
    pub(super) bound: bool,
    /// Whether the size binds also where another one is reserved under the name.
    pub(super) firm: bool,
    /// Whether a key list asks: pools that admit by one come before others.
    pub(super) listed: bool,
}

impl Draft<'_> {
    /// The named prefix; else the one held before; else the one reserved; else the one proposed by the network name;
    /// else the free one farthest from its neighbours.
    pub(super) fn choose(&self, wish: &Wish<'_>) -> Result<Prefix, Refusal> {
        let subnets = self.registry.taken_for_subnets(wish.name, None);
        let hosts = self.registry.taken(wish.name, None);
        if let Some(prefix) = wish.prefix {
            return self.exactly(prefix, &subnets, &hosts);
        }
        let fits = |prefix: &Prefix| wish.size.is_none_or(|size| size == prefix.len());
        let reserved = self.registry.reservations.values().filter(|r| r.name.as_deref() == Some(wish.name));
        let reserved = reserved.map(|r| r.prefix).filter(|prefix| fits(prefix) || !wish.firm);
        let own = wish.before.into_iter().filter(fits).chain(reserved);
        if let Some(prefix) = own.into_iter().find(|prefix| self.exactly(*prefix, &subnets, &hosts).is_ok()) {
            return Ok(prefix);
        }
        let mut pools = self.pools_for(wish.size, wish.bound)?;
        let by_list = |pool: &Pool| pool.admission == Admission::KeyList;
        if pools.iter().any(|(pool, _)| by_list(pool) == wish.listed) {
            pools.retain(|(pool, _)| by_list(pool) == wish.listed);
        } else if !wish.listed && !wish.firm {
            // What only listed keys are given does not follow from what somebody asks for.
            let others: Vec<&Pool> = self.registry.pools.values().filter(|p| p.open && !by_list(p)).collect();
            if let (false, Some(size)) = (others.is_empty(), wish.size) {
                return Err(size_refused(&others, size));
            }
        }
        let proposed = pools.iter().find_map(|(pool, size)| {
            let slot = proposed_slot(pool.prefix, *size, wish.ssid?)?;
            (*size <= 64 && subnets.overlapping(slot).is_none()).then_some(slot)
        });
        let sparse = || {
            pools.iter().find_map(|(pool, size)| match size {
                128 => free_host_in(pool.hosts?, &hosts, self.entropy),
                _ => sparse_in(pool.prefix, *size, &subnets),
            })
        };
        let size = pools.first().map_or(64, |(_, size)| *size);
        proposed.or_else(sparse).ok_or(Refusal::PoolExhausted { size })
    }

    /// A named prefix, if it can be given.
    fn exactly(&self, prefix: Prefix, subnets: &Taken<'_>, hosts: &Taken<'_>) -> Result<Prefix, Refusal> {
        let pool = self.registry.pool_of(prefix).ok_or(Refusal::OutsidePool(prefix))?;
        if !pool.gives(prefix.len()) {
            return Err(size_refused(&[pool], prefix.len()));
        }
        let in_block = prefix.len() == 128 && pool.hosts.is_some_and(|block| block.covers(prefix));
        match if in_block { hosts } else { subnets }.overlapping(prefix) {
            Some(with) => Err(Refusal::Overlap { prefix, with }),
            None => Ok(prefix),
        }
    }

    /// Whether some open pool gives this size.
    pub(super) fn given_somewhere(&self, size: u8, bound: bool) -> Result<(), Refusal> {
        self.pools_for(Some(size), bound).map(drop)
    }

    /// Whether some open pool gives this size to who is in no key list.
    pub(super) fn given_to_strangers(&self, size: u8) -> Result<(), Refusal> {
        let pools = self.registry.pools.values();
        let open: Vec<&Pool> = pools.filter(|p| p.open && p.admission != Admission::KeyList).collect();
        if open.iter().any(|pool| pool.offers(size)) { Ok(()) } else { Err(size_refused(&open, size)) }
    }

    fn pools_for(&self, size: Option<u8>, bound: bool) -> Result<Vec<(&Pool, u8)>, Refusal> {
        let open: Vec<&Pool> = self.registry.pools.values().filter(|pool| pool.open).collect();
        if open.is_empty() {
            return Err(Refusal::NoPool);
        }
        let give = |pool: &Pool, size| if bound { pool.offers(size) } else { pool.gives(size) };
        let fitting: Vec<(&Pool, u8)> = open
            .iter()
            .map(|pool| (*pool, size.unwrap_or(pool.default_len)))
            .filter(|(pool, size)| give(pool, *size))
            .collect();
        match size {
            Some(size) if fitting.is_empty() => Err(size_refused(&open, size)),
            _ if fitting.is_empty() => Err(Refusal::NoPool),
            _ => Ok(fitting),
        }
    }
}

pub(super) fn size_refused(pools: &[&Pool], size: u8) -> Refusal {
    let largest = pools.iter().map(|pool| pool.largest).min().unwrap_or(64);
    let smallest = pools.iter().map(|pool| pool.smallest).max().unwrap_or(64);
    Refusal::SizeOutsidePolicy { size, largest, smallest }
}
