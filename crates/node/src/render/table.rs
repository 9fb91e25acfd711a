//! Tables: columns as wide as what is in them, headings dim, nothing wrapped.

use super::Paint;

/// A cell: its text, and how it is shown.
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

/// How a cell is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
}

impl Cell {
    pub(super) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Cell { text: text.into(), tone }
    }

    /// Dim `-` for nothing.
    pub(super) fn or_dash(text: Option<String>) -> Self {
        match text.filter(|text| !text.is_empty()) {
            Some(text) => Cell::toned(text, Tone::Plain),
            None => Cell::toned("-", Tone::Dim),
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::toned(text, Tone::Plain)
    }
}

/// Rows under headings. A heading that begins with `>` makes its column flush right.
pub(super) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(headings: &[&'static str]) -> Self {
        Table { headings: headings.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.headings.len());
        self.rows.push(cells);
    }

    /// Columns in which every row has a dash say nothing, and are left out.
    pub(super) fn render(&self, paint: Paint) -> String {
        let told = |column: &usize| self.rows.iter().any(|row| row[*column].text != "-");
        let columns: Vec<usize> = (0..self.headings.len()).filter(told).collect();
        let widths: Vec<usize> = columns.iter().map(|column| self.width(*column)).collect();
        let mut out = String::new();
        let heading = |column: usize| (self.headings[column].trim_start_matches('>'), Tone::Dim);
        self.line(&mut out, paint, &columns, &widths, heading);
        for row in &self.rows {
            self.line(&mut out, paint, &columns, &widths, |column| {
                (row[column].text.as_str(), row[column].tone)
            });
        }
        out
    }

    fn width(&self, column: usize) -> usize {
        let heading = self.headings[column].trim_start_matches('>').chars().count();
        self.rows.iter().map(|row| row[column].text.chars().count()).max().unwrap_or(0).max(heading)
    }

    fn line<'a>(
        &self,
        out: &mut String,
        paint: Paint,
        columns: &[usize],
        widths: &[usize],
        cell: impl Fn(usize) -> (&'a str, Tone),
    ) {
        let last = columns.len().saturating_sub(1);
        for (at, (&column, &width)) in columns.iter().zip(widths).enumerate() {
            let (text, tone) = cell(column);
            let gap = " ".repeat(width.saturating_sub(text.chars().count()));
            let right = self.headings[column].starts_with('>');
            if right {
                out.push_str(&gap);
            }
            out.push_str(&toned(paint, text, tone));
            if at != last {
                out.push_str(if right { "" } else { &gap });
                out.push_str("  ");
            }
        }
        out.push('\n');
    }
}

pub(super) fn toned(paint: Paint, text: &str, tone: Tone) -> String {
    match tone {
        Tone::Plain => text.to_owned(),
        Tone::Bold => paint.bold(text),
        Tone::Dim => paint.dim(text),
        Tone::Good => paint.good(text),
        Tone::Warn => paint.warn(text),
        Tone::Bad => paint.bad(text),
    }
}
