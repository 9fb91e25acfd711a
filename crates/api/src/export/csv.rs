//! Tables for spreadsheets (RFC 4180).

use super::{cost, label};
use crate::schema::{GraphReport, PathKind, PrefixRow};

/// Links, one a line.
pub fn links_csv(graph: &GraphReport) -> String {
    let mut out = line(&["from", "to", "kind", "path", "cost", "rtt_seconds"].map(String::from));
    for link in &graph.links {
        let path = match link.path {
            Some(PathKind::Direct) => "direct",
            Some(PathKind::Relayed) => "relayed",
            None => "",
        };
        out += &line(&[
            label(graph, link.from),
            label(graph, link.to),
            link.kind.clone(),
            path.to_owned(),
            cost(graph, link).map(|cost| cost.to_string()).unwrap_or_default(),
            link.rtt_seconds.map(|rtt| rtt.to_string()).unwrap_or_default(),
        ]);
    }
    out
}

/// Who holds which prefix, one a line; several keys stand in one cell with spaces between.
pub fn prefixes_csv(rows: &[PrefixRow]) -> String {
    let mut out = line(&["prefix", "holder", "state", "since", "until", "keys"].map(String::from));
    for row in rows {
        out += &line(&[
            row.prefix.to_string(),
            row.holder.clone(),
            row.state.clone(),
            row.since.map(|since| since.to_string()).unwrap_or_default(),
            row.until.map(|until| until.to_string()).unwrap_or_default(),
            row.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        ]);
    }
    out
}

fn line(cells: &[String]) -> String {
    cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A cell; what a spreadsheet would take for a formula is marked as text.
fn quoted(cell: &str) -> String {
    let cell =
        if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_cells() {
        assert_eq!(
            line(&["a", "b,c", "d\"e", "=1+1", "f\ng"].map(String::from)),
            "a,\"b,c\",\"d\"\"e\",'=1+1,\"f\ng\"\r\n"
        );
    }
}
