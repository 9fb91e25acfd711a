//! Where answers and errors go: tables and sentences for people, one document of JSON for programs.

use crate::error::{CliError, Trouble};
use crate::render::{Render, Style};
use crate::schema::Schema;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

/// How this call wants to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    json: bool,
    yes: bool,
    sink: fn(&str),
}

/// A reader that has gone away (`| head`) is no error.
fn to_stdout(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

impl Output {
    pub(super) fn new(json: bool, yes: bool) -> Self {
        Output { json, yes, sink: to_stdout }
    }

    /// For tests: as for programs, but nothing is written.
    #[cfg(test)]
    pub(super) fn silent(yes: bool) -> Self {
        Output { json: true, yes, sink: |_| {} }
    }

    /// The same, for programs, which cannot be asked.
    pub(super) fn for_programs(self) -> Self {
        Output { json: true, yes: true, ..self }
    }

    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Writes lines as they are.
    pub(super) fn text(self, text: &str) {
        (self.sink)(text);
    }

    pub(super) fn show<T: Render + Schema>(self, what: T) {
        let text = if self.json { what.to_json() + "\n" } else { what.render(Style::of_stdout()) };
        self.text(&text);
    }

    pub(super) fn error(self, error: &CliError) {
        if self.json {
            self.text(&(error.to_json() + "\n"));
        } else {
            let _ = writeln!(io::stderr(), "ln6d: {error}");
        }
    }

    /// A word beside the answer, for people only.
    pub(super) fn note(self, text: &str) {
        if !self.json {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Whether a person will be asked before something that hurts.
    #[cfg(feature = "broker")]
    pub(super) fn can_ask(self) -> bool {
        !self.yes && !self.json && io::stdin().is_terminal()
    }

    /// Asks before something that cannot be taken back.
    pub(super) fn confirm(self, question: &str) -> Result<(), CliError> {
        if self.yes {
            return Ok(());
        }
        if self.json || !io::stdin().is_terminal() {
            return Err(CliError::new(Trouble::ConfirmationNeeded, question));
        }
        let _ = write!(io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        match (read, answer.trim()) {
            (Ok(_), "y" | "Y" | "yes") => Ok(()),
            _ => Err(CliError::new(Trouble::Cancelled, "not confirmed")),
        }
    }
}
