//! How the key list stands.

use super::status::problems;
use super::units::{ago, span};
use super::{Render, Style};
use crate::schema::KeyListReport;
use std::fmt::Write as _;

impl Render for KeyListReport {
    fn render(&self, style: Style) -> String {
        let state = match self.state.as_str() {
            "current" => style.paint.good("current"),
            "new" => style.paint.dim("not looked at yet"),
            other => style.paint.warn(other),
        };
        let mut out = format!("Key list {}: {state}\n", style.paint.bold(&self.name));
        problems(&mut out, self.problem.as_slice(), style.paint);
        out.push('\n');
        let mut line = |label: &str, text: String| {
            let _ = writeln!(out, "  {} {text}", style.paint.dim(&format!("{label:<9}")));
        };
        let branch = self.branch.as_ref().map_or_else(String::new, |branch| format!(", branch {branch}"));
        line("From", format!("{}{branch}, every {}", self.url, span(self.every_seconds)));
        let out_by_it =
            if self.suspended > 0 { format!(", {} suspended", self.suspended) } else { String::new() };
        line("Nodes", format!("{} in{out_by_it}", self.nodes));
        if let Some(commit) = &self.commit {
            let changed = self.changed.map_or_else(String::new, |at| format!(", {}", ago(at, style.now)));
            line("Applied", format!("{commit}{changed}"));
        }
        self.waiting.iter().for_each(|commit| line("Waits", commit.clone()));
        self.checked.iter().for_each(|at| line("Looked", ago(*at, style.now)));
        for held in &self.held {
            line("Would go", format!("{} ({})", held.name, held.what));
        }
        for complaint in &self.complaints {
            let _ = writeln!(out, "  {} {}: {}", style.paint.warn("!"), complaint.about, complaint.text);
        }
        if self.more_complaints > 0 {
            let _ = writeln!(out, "  … and {} more", self.more_complaints);
        }
        out
    }
}
