//! Traffic over time, the graph, and a block of addresses as a map.

use super::books::tone;
use super::lists::{empty, short};
use super::table::{Cell, Table, Tone, toned};
use super::units::bytes;
use super::{Render, Style};
use crate::schema::{GraphReport, SpaceReport, TrafficReport, TrafficSeries};
use ln6_types::RouterId;
use std::fmt::Write as _;

/// Heights of a column, from nothing to all.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns of a series.
const WIDTH: usize = 60;

fn bars(series: &TrafficSeries) -> String {
    let both: Vec<u64> =
        series.rx_bytes.iter().zip(&series.tx_bytes).map(|(rx, tx)| rx.saturating_add(*tx)).collect();
    let width = both.len().div_ceil(WIDTH).max(1);
    let columns: Vec<u64> = both.chunks(width).map(|part| part.iter().sum()).collect();
    let most = columns.iter().copied().max().unwrap_or(0).max(1);
    columns.iter().map(|sum| BARS[(sum.saturating_mul(8).div_ceil(most)).min(8) as usize]).collect()
}

impl Render for TrafficReport {
    fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for series in &self.series {
            let sum = |all: &[u64]| bytes(all.iter().sum());
            let _ = writeln!(
                out,
                "{} {}  {} received, {} sent",
                style.paint.dim(&format!("{:<6}", series.span)),
                bars(series),
                sum(&series.rx_bytes),
                sum(&series.tx_bytes)
            );
        }
        if self.peers.is_empty() {
            return out;
        }
        let mut table = Table::new(&["PEER", ">NOW IN", ">OUT", ">DAY IN", ">OUT", ">MONTH IN", ">OUT"]);
        let rate = |rate: f64| format!("{}/s", bytes(rate as u64));
        for row in &self.peers {
            let name = if row.name.is_empty() { short(&row.key) } else { row.name.clone() };
            table.row(vec![
                Cell::toned(name, Tone::Bold),
                rate(row.rx_bytes_per_second).into(),
                rate(row.tx_bytes_per_second).into(),
                bytes(row.day_rx_bytes).into(),
                bytes(row.day_tx_bytes).into(),
                bytes(row.month_rx_bytes).into(),
                bytes(row.month_tx_bytes).into(),
            ]);
        }
        format!("{out}\n{}", table.render(style.paint))
    }
}

impl Render for GraphReport {
    fn render(&self, style: Style) -> String {
        if self.links.is_empty() {
            return empty("This node is connected with nobody.");
        }
        let name = |id: RouterId| {
            let node = self.nodes.iter().find(|node| node.router_id == id).map(|node| node.name.as_str());
            node.filter(|name| !name.is_empty()).map_or_else(|| id.to_string(), str::to_owned)
        };
        let mut table = Table::new(&["FROM", "TO", "BY", ">COST"]);
        for link in &self.links {
            let by = if link.kind == "session" { Tone::Good } else { Tone::Dim };
            table.row(vec![
                name(link.from).into(),
                Cell::toned(name(link.to), Tone::Bold),
                Cell::toned(link.kind.clone(), by),
                Cell::or_dash(link.cost.map(|cost| cost.to_string())),
            ]);
        }
        table.render(style.paint)
    }
}

/// One letter for a state; a legend is below the map.
const LETTERS: [(&str, char); 9] = [
    ("outside", ' '),
    ("free", '.'),
    ("partly", '+'),
    ("delegated", '#'),
    ("suspended", 's'),
    ("revoked", 'x'),
    ("quarantined", 'q'),
    ("reserved", 'r'),
    ("hosts", 'h'),
];

impl Render for SpaceReport {
    fn render(&self, style: Style) -> String {
        let mut out = format!("{}\n\n     ", style.paint.bold(&self.block.to_string()));
        (0..16).for_each(|column| out.push_str(&format!(" {column:x}")));
        for (index, cell) in self.cells.iter().enumerate() {
            if index % 16 == 0 {
                let _ = write!(out, "\n   {:x} ", index / 16);
            }
            let letter =
                LETTERS.iter().find(|(state, _)| *state == cell.state).map_or('?', |(_, letter)| *letter);
            let _ = write!(out, " {}", toned(style.paint, &letter.to_string(), tone(&cell.state)));
        }
        out.push_str("\n\n");
        for (state, letter) in LETTERS.iter().skip(1) {
            let count = self.cells.iter().filter(|cell| cell.state == *state).count();
            if count > 0 {
                let _ = writeln!(out, "   {letter}  {state}: {count}");
            }
        }
        let named = self.cells.iter().filter(|cell| cell.holder.is_some() && cell.inside.is_none());
        for cell in named.take(32) {
            let _ = writeln!(out, "   {}  {}", cell.prefix, cell.holder.as_deref().unwrap_or_default());
        }
        out
    }
}
