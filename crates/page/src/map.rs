//! A block of addresses as people read them, in hex digits: 16 × 16 cells, one nibble down, one across.

use ln6_api::schema::{SpaceCell, SpaceReport};
use ln6_types::Prefix;

/// A row of the map.
pub(crate) struct Row {
    /// The digit it stands for.
    pub(crate) digit: String,
    pub(crate) cells: Vec<SpaceCell>,
}

/// The cells in rows of sixteen.
pub(crate) fn rows(space: &SpaceReport) -> Vec<Row> {
    let chunks = space.cells.chunks(16).enumerate();
    chunks.map(|(index, cells)| Row { digit: format!("{index:x}"), cells: cells.to_vec() }).collect()
}

/// The digits across.
pub(crate) fn digits(space: &SpaceReport) -> Vec<String> {
    (0..space.cells.len().min(16)).map(|digit| format!("{digit:x}")).collect()
}

/// A line of the list beside the map: one cell, or a run of equal ones.
pub(crate) struct Line {
    pub(crate) first: Prefix,
    pub(crate) last: Prefix,
    pub(crate) count: u64,
    pub(crate) cell: SpaceCell,
}

/// The cells as a list: neighbours that are free, outside or wholly one thing are one line.
pub(crate) fn lines(space: &SpaceReport) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for cell in &space.cells {
        if let Some(line) = lines.last_mut()
            && line.cell.state == cell.state
            && line.cell.holder == cell.holder
            && !line.cell.deeper
            && !cell.deeper
        {
            line.last = cell.prefix;
            line.count += 1;
            continue;
        }
        lines.push(Line { first: cell.prefix, last: cell.prefix, count: 1, cell: cell.clone() });
    }
    lines
}

/// The blocks around `block`, from the pool down, each two nibbles long.
pub(crate) fn way(pool: Prefix, block: Prefix) -> Vec<Prefix> {
    let mut way = Vec::new();
    let mut len = pool.len();
    while len < block.len() && pool.covers(block) {
        way.push(Prefix::new(block.network(), len));
        len = len.saturating_add(8);
    }
    way.push(block);
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(prefix: &str, state: &str) -> SpaceCell {
        SpaceCell {
            prefix: prefix.parse().expect("prefix"),
            state: state.into(),
            share: 0.0,
            delegations: 0,
            holder: None,
            inside: None,
            deeper: false,
        }
    }

    #[test]
    fn free_neighbours_are_one_line() {
        let block = "2001:db8::/32".parse().expect("prefix");
        let cells = vec![
            cell("2001:db8::/40", "delegated"),
            cell("2001:db8:100::/40", "free"),
            cell("2001:db8:200::/40", "free"),
            cell("2001:db8:300::/40", "reserved"),
        ];
        let space = SpaceReport { block, cells };
        let counts: Vec<_> = lines(&space).iter().map(|line| line.count).collect();
        assert_eq!(counts, [1, 2, 1]);
        assert_eq!(digits(&space), ["0", "1", "2", "3"]);
    }

    #[test]
    fn the_way_leads_from_the_pool_to_the_block() {
        let prefix = |text: &str| text.parse::<Prefix>().expect("prefix");
        let way = way(prefix("2001:db8:4800::/40"), prefix("2001:db8:4812:3400::/56"));
        assert_eq!(
            way,
            [prefix("2001:db8:4800::/40"), prefix("2001:db8:4812::/48"), prefix("2001:db8:4812:3400::/56")]
        );
    }
}
