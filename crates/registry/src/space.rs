//! The nibble map: a block as 16 × 16 cells, the two hexadecimal digits below it.

use crate::id::DelegationId;
use crate::registry::{DelegationState, Registry};
use ln6_types::Prefix;
use serde::Serialize;

/// What a cell mostly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CellState {
    /// In no pool.
    Outside,
    /// Nothing of it is given or kept.
    Free,
    /// All of it is one active (or retiring) delegation, or part of a larger one.
    Delegated,
    /// All of it is a delegation of a suspended holder, or part of one.
    Suspended,
    /// All of it is a delegation of a revoked holder, which may still come back, or part of one.
    Revoked,
    /// All of it is kept until no certificate names it any more.
    Quarantined,
    /// All of it is reserved.
    Reserved,
    /// Single hosts are numbered from it.
    Hosts,
    /// Parts of it are taken.
    Partly,
}

/// One of the 256 cells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// Where.
    pub prefix: Prefix,
    /// What it mostly is.
    pub state: CellState,
    /// How much of it is taken: 0 to 1.
    pub share: f64,
    /// Delegations that begin in it.
    pub delegations: usize,
    /// The holder, if all of it (or all that is delegated in it) is one holder's, or is reserved for that name.
    pub holder: Option<String>,
    /// What it is a part of, if that is larger than the cell.
    pub inside: Option<Prefix>,
}

/// A block and its cells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Space {
    /// The block that is shown: the one asked for, made larger to a multiple of 4 bits, at most a /120.
    pub block: Prefix,
    /// 256 cells in order of address: row by the first digit, column by the second.
    pub cells: Vec<Cell>,
}

/// Something that takes room.
struct Taken {
    prefix: Prefix,
    state: CellState,
    holder: Option<String>,
}

impl Registry {
    /// The two hexadecimal digits below `block` as a map of 256 cells.
    ///
    /// A block whose length is no multiple of 4 is rounded to the next shorter one (a /42 shows its /40; what lies outside
    /// the pools is `Outside`); one longer than /120 to /120, whose cells are single addresses. Where a live delegation
    /// lies in what its holder has let go of, the live one counts.
    pub fn space(&self, block: Prefix) -> Space {
        let len = block.len().min(120) / 4 * 4;
        let block = Prefix::new(block.network(), len);
        let cell = |index: u128| block.part(len + 8, index).map(|prefix| self.cell(prefix));
        Space { block, cells: (0..256).filter_map(cell).collect() }
    }

    fn cell(&self, prefix: Prefix) -> Cell {
        let mut cell =
            Cell { prefix, state: CellState::Free, share: 0.0, delegations: 0, holder: None, inside: None };
        if let Some(around) = self.around(prefix) {
            cell.delegations = usize::from(around.prefix == prefix && around.state.is_delegation());
            (cell.state, cell.share, cell.holder) = (around.state, 1.0, around.holder);
            cell.inside = (around.prefix != prefix).then_some(around.prefix);
            return cell;
        }
        let inside = self.inside(prefix);
        cell.delegations = inside.iter().filter(|taken| taken.state.is_delegation()).count();
        let mut end: Option<Prefix> = None;
        for taken in &inside {
            if end.is_none_or(|end| !end.covers(taken.prefix)) {
                cell.share += (-f64::from(taken.prefix.len() - prefix.len())).exp2();
                end = Some(taken.prefix);
            }
        }
        let mut names = inside.iter().map(|taken| taken.holder.as_deref());
        let first = names.next().flatten();
        cell.holder = first.filter(|first| names.all(|name| name == Some(first))).map(str::to_owned);
        let in_pool = self.pools.values().any(|pool| pool.prefix.overlaps(prefix));
        cell.state = match () {
            () if !in_pool => CellState::Outside,
            () if inside.is_empty() => CellState::Free,
            () => CellState::Partly,
        };
        cell
    }

    fn room_of(&self, id: DelegationId) -> Option<Taken> {
        let d = self.delegations.get(&id)?;
        let state = match d.state {
            DelegationState::Active | DelegationState::Retiring { .. } => CellState::Delegated,
            DelegationState::Suspended => CellState::Suspended,
            DelegationState::Revoked { .. } => CellState::Revoked,
            DelegationState::Quarantined { .. } => CellState::Quarantined,
        };
        Some(Taken { prefix: d.prefix, state, holder: self.holders.get(&d.holder).map(|h| h.name.clone()) })
    }

    /// What takes all of `prefix`: the nearest around it, a live one before others of the same length.
    fn around(&self, prefix: Prefix) -> Option<Taken> {
        // Nothing is given or kept outside the pools.
        let pool = self.pool_of(prefix)?.prefix.len();
        (pool..=prefix.len()).rev().map(|len| Prefix::new(prefix.network(), len)).find_map(|around| {
            let given = self.given.range((around, DelegationId(0))..=(around, DelegationId(u64::MAX)));
            let given = given.filter_map(|(_, id)| self.room_of(*id));
            let kept = self.reservations.get(&around);
            let kept =
                kept.map(|r| Taken { prefix: around, state: CellState::Reserved, holder: r.name.clone() });
            let hosts = self.pools.values().any(|pool| pool.hosts == Some(around));
            let hosts = hosts.then_some(Taken { prefix: around, state: CellState::Hosts, holder: None });
            given.min_by_key(|taken| taken.state != CellState::Delegated).or(kept).or(hosts)
        })
    }

    /// What takes parts of `prefix`, in order: what covers comes before what it covers.
    fn inside(&self, prefix: Prefix) -> Vec<Taken> {
        let given = self.given.range((prefix, DelegationId(0))..).take_while(|(p, _)| prefix.covers(*p));
        let kept = self.reservations.range(prefix..).take_while(|(p, _)| prefix.covers(**p));
        let hosts = self.pools.values().filter_map(|pool| pool.hosts).filter(|hosts| prefix.covers(*hosts));
        let mut inside: Vec<Taken> = given
            .filter_map(|(_, id)| self.room_of(*id))
            .chain(kept.map(|(prefix, r)| Taken {
                prefix: *prefix,
                state: CellState::Reserved,
                holder: r.name.clone(),
            }))
            .chain(hosts.map(|prefix| Taken { prefix, state: CellState::Hosts, holder: None }))
            .collect();
        inside.sort_by_key(|taken| taken.prefix);
        inside
    }
}

impl CellState {
    const fn is_delegation(self) -> bool {
        matches!(
            self,
            CellState::Delegated | CellState::Suspended | CellState::Revoked | CellState::Quarantined
        )
    }
}
