//! Colours of a terminal.

use std::io::IsTerminal as _;

/// Colours, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint(bool);

impl Paint {
    /// Colours on a terminal, unless `NO_COLOR` is set or the terminal is dumb.
    pub fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Paint(wanted && able && std::io::stdout().is_terminal())
    }

    /// No colours.
    pub const fn off() -> Self {
        Paint(false)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Stands out.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Steps back.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Well.
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Not quite well.
    pub fn warn(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// Not well.
    pub fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }
}
