//! Logs go to standard error: with the time on a terminal, without it in the journal, which has its own.

use crate::error::{CliError, Trouble};
use std::io;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

/// The level in force; can be changed while the process runs.
#[derive(Clone)]
pub struct LogLevel(reload::Handle<LevelFilter, Registry>);

impl LogLevel {
    /// From now on.
    pub fn set(&self, level: Level) {
        // The only error is that the subscriber is gone, and then there is nothing to filter.
        let _ = self.0.reload(level.filter());
    }
}

/// How much is said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Level {
    /// What stops the node from doing its job.
    Error,
    /// What will.
    Warn,
    /// Changes of state; quiet otherwise.
    #[default]
    Info,
    /// What the machines do.
    Debug,
    /// Everything but packets.
    Trace,
}

impl Level {
    /// Every level by its word.
    pub const ALL: [(&'static str, Level); 5] = [
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
        ("trace", Level::Trace),
    ];

    /// The level of this word.
    pub fn of(word: &str) -> Option<Level> {
        Level::ALL.iter().find(|(name, _)| *name == word).map(|(_, level)| *level)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        Level::ALL[self as usize].0
    }

    fn filter(self) -> LevelFilter {
        match self {
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        }
    }
}

/// Starts logging for the life of the process. Fails if something else in the process logs already.
pub fn start(level: Level) -> Result<LogLevel, CliError> {
    let (filter, handle) = reload::Layer::new(level.filter());
    let lines = fmt::layer().with_writer(io::stderr).with_target(level >= Level::Debug).with_ansi(false);
    let lines = if std::env::var_os("JOURNAL_STREAM").is_some() {
        lines.without_time().boxed()
    } else {
        lines.boxed()
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|error| CliError::new(Trouble::Internal, format!("logging cannot be started: {error}")))?;
    Ok(LogLevel(handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_its_word() {
        for (word, level) in Level::ALL {
            assert_eq!(Level::of(word), Some(level));
            assert_eq!(level.word(), word);
        }
        assert_eq!(Level::of("verbose"), None);
    }
}
