//! What a command has done, in a few lines that end with the next step.

use super::status::problems;
use super::units::{day, round_trip};
use super::{Render, Style};
#[cfg(feature = "broker")]
use crate::schema::OffloadList;
use crate::schema::{
    ActionReply, DoctorReport, KeyReply, PathKind, PingReply, ReloadReply, SetupReply, Severity,
};
use std::fmt::Write as _;

/// What `replace` has done when it made a link.
const INVITED: &str = "replacement_invited";

impl Render for ActionReply {
    fn render(&self, style: Style) -> String {
        if let (Some(link), Some(name)) = (&self.link, self.name.as_deref().filter(|_| self.done == INVITED))
        {
            let until = self.until.map_or_else(String::new, |until| format!(", until {}", day(until)));
            return format!(
                "A new node can take the place of {} with this link{until}; until it does, nothing changes.\n\n{}\n\n\
                 There: ln6d join LINK\n",
                style.paint.bold(name),
                style.paint.bold(link)
            );
        }
        let mut out = style.paint.good(&capital(&self.done.replace('_', " ")));
        if let Some(name) = &self.name {
            let _ = write!(out, " {}", style.paint.bold(name));
        }
        if !self.prefixes.is_empty() {
            let all: Vec<_> = self.prefixes.iter().map(ToString::to_string).collect();
            let _ = write!(out, ": {}", all.join(", "));
        }
        out.push('\n');
        out
    }
}

#[cfg(feature = "broker")]
impl Render for crate::schema::WishReport {
    fn render(&self, style: Style) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            if !value.is_empty() {
                let _ = writeln!(out, "{name:<13}{value}");
            }
        };
        line(
            "Asked for",
            self.size.map_or_else(|| "what the broker usually gives".to_owned(), |size| format!("/{size}")),
        );
        line("Network name", self.ssid.clone().unwrap_or_default());
        let proposals: Vec<_> =
            self.proposals.iter().map(|prefix| style.paint.bold(&prefix.to_string())).collect();
        line("Stands for", proposals.join(", "));
        line("LANs", self.lans.join(", "));
        line("Contact", self.contact.clone().unwrap_or_default());
        if self.waits {
            out.push_str("This node belongs to no network yet and waits for an invitation.\n");
        }
        out
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

impl Render for PingReply {
    fn render(&self, style: Style) -> String {
        let way = match (self.path, self.endpoint, &self.through) {
            (Some(PathKind::Relayed), _, Some(through)) => format!("through {through}"),
            (Some(PathKind::Relayed), ..) => "relayed".to_owned(),
            (_, Some(endpoint), _) => format!("directly by {endpoint}"),
            _ => "directly".to_owned(),
        };
        format!(
            "{} ({}): {} {way}\n",
            style.paint.bold(&self.name),
            self.address,
            round_trip(self.rtt_seconds)
        )
    }
}

impl Render for ReloadReply {
    fn render(&self, style: Style) -> String {
        if self.changes.is_empty() {
            return "Nothing has changed.\n".to_owned();
        }
        let mut out = String::new();
        for change in &self.changes {
            let state = if change.needs_restart {
                style.paint.warn("at the next start")
            } else {
                style.paint.good("applied")
            };
            let _ = writeln!(out, "{}: {state}", change.what);
        }
        out
    }
}

#[cfg(feature = "broker")]
impl Render for OffloadList {
    fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for row in &self.offloads {
            let used = if row.used { style.paint.good("used") } else { style.paint.warn("not used") };
            let _ = writeln!(out, "{}  {used}", row.name);
        }
        out
    }
}

impl Render for DoctorReport {
    fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for passed in &self.passed {
            let _ = writeln!(out, "{} {passed}", style.paint.good("✓"));
        }
        problems(&mut out, &self.findings, style.paint);
        let count = |severity| self.findings.iter().filter(|finding| finding.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let words = match (errors, warnings) {
            (0, 0) if self.findings.is_empty() => style.paint.good("All is well."),
            (0, 0) => {
                let things = if self.findings.len() == 1 { "thing" } else { "things" };
                style.paint.good(&format!("Nothing is broken; {} {things} to know.", self.findings.len()))
            }
            (0, warnings) => style.paint.warn(&format!("{warnings} to look after, nothing broken.")),
            (errors, 0) => style.paint.bad(&format!("{errors} broken.")),
            (errors, warnings) => style.paint.bad(&format!("{errors} broken, {warnings} to look after.")),
        };
        let _ = writeln!(out, "\n{words}");
        out
    }
}

impl Render for SetupReply {
    fn render(&self, style: Style) -> String {
        let mut out = match self.done.as_str() {
            "initialised" => format!("{} is the broker of a new network.\n", style.paint.bold(&self.name)),
            "prepared" => format!(
                "{} is ready to be a broker of the network, once its root has signed.\n",
                style.paint.bold(&self.name)
            ),
            "updated" => {
                format!("{} is set up anew, in the network it was in.\n", style.paint.bold(&self.name))
            }
            _ => format!("{} is ready to join.\n", style.paint.bold(&self.name)),
        };
        problems(&mut out, &self.problems, style.paint);
        out.push('\n');
        let mut line = |label: &str, text: String| {
            let _ = writeln!(out, "  {} {text}", style.paint.dim(&format!("{label:<8}")));
        };
        self.network.iter().for_each(|network| line("Network", network.to_string()));
        self.pools.iter().for_each(|pool| line("Pool", pool.to_string()));
        self.address.iter().for_each(|address| line("Address", address.to_string()));
        self.key.iter().for_each(|key| line("Key", key.to_string()));
        self.files.iter().for_each(|file| line("Wrote", file.clone()));
        if !self.kept.is_empty() {
            line("Kept", self.kept.join(", "));
        }
        if let Some(root) = &self.root_key {
            let _ = write!(
                out,
                "\nThe root key is in {}. Whoever has it owns the network.\n\
                 Move it to a safe place away from this machine; it is not needed to run.\n",
                style.paint.bold(root)
            );
        }
        if let Some(link) = &self.setup_link {
            let _ = write!(
                out,
                "\nThe admin page is served by 'ln6d admin', beside 'ln6d run'. This link makes its first administrator,\n\
                 once and within a day:\n{}\n",
                style.paint.bold(link)
            );
        }
        let _ = writeln!(out, "\nNext: {}", style.paint.bold(&self.next));
        out
    }
}

#[cfg(feature = "broker")]
impl Render for crate::schema::PageReply {
    fn render(&self, style: Style) -> String {
        let mut out = format!("The admin page is at {}\n", style.paint.bold(&self.address));
        if let Some(tunnel) = &self.tunnel {
            let _ =
                writeln!(out, "From another machine: {}, then the same address", style.paint.bold(tunnel));
        }
        if let Some(link) = &self.setup_link {
            let _ = write!(
                out,
                "\nThis link makes an administrator, once and within a day:\n{}\n",
                style.paint.bold(link)
            );
        }
        out
    }
}

impl Render for KeyReply {
    fn render(&self, style: Style) -> String {
        let mut out = String::new();
        let mut line = |label: &str, text: String| {
            let _ = writeln!(out, "{} {text}", style.paint.dim(&format!("{label:<10}")));
        };
        line("Key", self.key.to_string());
        line("Signs with", self.sign.to_string());
        line("Router-id", self.router_id.to_string());
        self.address.iter().for_each(|address| line("Address", address.to_string()));
        self.network.iter().for_each(|network| line("Network", network.to_string()));
        out
    }
}
