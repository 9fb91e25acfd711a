//! Logs go to standard error: with the time on a terminal, without it in the journal, which has its own.

use crate::error::{CliError, Trouble};
use crate::schema::Time;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Metadata};

/// The level in force; can be changed while the process runs.
#[derive(Clone)]
pub struct LogLevel(Arc<AtomicU8>);

impl LogLevel {
    /// From now on.
    pub fn set(&self, level: Level) {
        self.0.store(level as u8, Ordering::Relaxed);
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

    fn of_tracing(level: tracing::Level) -> Level {
        match level {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        }
    }
}

/// Starts logging for the life of the process. Fails if something else in the process logs already.
pub fn start(level: Level) -> Result<LogLevel, CliError> {
    let in_force = LogLevel(Arc::new(AtomicU8::new(level as u8)));
    let lines = Lines {
        level: in_force.clone(),
        time: std::env::var_os("JOURNAL_STREAM").is_none(),
        target: level >= Level::Debug,
        // Whoever reads no longer is told nothing.
        sink: |line: &str| drop(io::stderr().lock().write_all(line.as_bytes())),
    };
    tracing::subscriber::set_global_default(lines)
        .map_err(|error| CliError::new(Trouble::Internal, format!("logging cannot be started: {error}")))?;
    Ok(in_force)
}

/// One line for each event. There are no spans: nothing of ours opens one.
struct Lines<F> {
    level: LogLevel,
    time: bool,
    target: bool,
    sink: F,
}

impl<F: Fn(&str) + 'static> Subscriber for Lines<F> {
    /// Asked anew each time, since the level may change.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Level::of_tracing(*metadata.level()) as u8 <= self.level.0.load(Ordering::Relaxed)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        if self.time {
            let since =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let second = Time::from_secs(since.as_secs()).to_string();
            text.put(format_args!("{}.{:06}Z ", second.trim_end_matches('Z'), since.subsec_micros()));
        }
        text.put(format_args!("{:>5}", event.metadata().level().as_str()));
        if self.target {
            text.put(format_args!(" {}:", event.metadata().target()));
        }
        event.record(&mut text);
        text.0.push('\n');
        (self.sink)(&text.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// A line in the making. Whatever is put in, it stays one line and leaves the terminal alone.
struct Text(String);

impl Text {
    fn put(&mut self, what: fmt::Arguments<'_>) {
        // Only a value's own Display or Debug can fail, and then the line is what it came to.
        let _ = self.write_fmt(what);
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                c if c.is_control() => self.0.extend(c.escape_default()),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.put(format_args!(" {value:?}")),
            name => self.put(format_args!(" {name}={value:?}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.put(format_args!(" {value}")),
            _ => self.record_debug(field, &value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn an_event_is_one_line_of_message_and_fields_and_its_level_counts() {
        static SEEN: Mutex<String> = Mutex::new(String::new());
        let level = LogLevel(Arc::new(AtomicU8::new(Level::Info as u8)));
        let sink = |line: &str| SEEN.lock().expect("lock").push_str(line);
        let lines = Lines { level: level.clone(), time: false, target: false, sink };
        tracing::subscriber::with_default(lines, || {
            tracing::info!(peer = 7, name = "a\n\u{1b}[31m", error = %"b\nc", "came {}", "up");
            tracing::debug!("unheard");
            level.set(Level::Debug);
            tracing::debug!("heard");
            level.set(Level::Warn);
            tracing::info!("unheard");
            tracing::warn!(code = "x");
        });
        let expected = concat!(
            " INFO came up peer=7 name=\"a\\n\\u{1b}[31m\" error=b\\nc\n",
            "DEBUG heard\n",
            " WARN code=\"x\"\n",
        );
        assert_eq!(*SEEN.lock().expect("lock"), expected);
    }

    #[test]
    fn each_level_has_its_word() {
        for (word, level) in Level::ALL {
            assert_eq!(Level::of(word), Some(level));
            assert_eq!(level.word(), word);
        }
        assert_eq!(Level::of("verbose"), None);
    }
}
