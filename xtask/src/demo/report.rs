//! Steps with names and times, for a reader or for a script.

use anyhow::Result;
use serde_json::json;
use std::time::{Duration, Instant};

/// Prints each step as it ends.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    begin: Instant,
    passed: u32,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, begin: Instant::now(), passed: 0 }
    }

    /// Does one step. The text it returns is shown beside its name.
    pub(crate) fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<Done<T>>) -> Result<T> {
        let begin = Instant::now();
        let outcome = work();
        let took = begin.elapsed();
        match outcome {
            Ok(done) => {
                self.passed += 1;
                self.print(name, true, took, &done.shown);
                Ok(done.value)
            }
            Err(error) => {
                self.print(name, false, took, &format!("{error:#}"));
                Err(error.context(format!("step `{name}` failed")))
            }
        }
    }

    fn print(&self, name: &str, ok: bool, took: Duration, shown: &str) {
        if self.json {
            let line = json!({ "schema": "ln6d.demo/1", "step": name, "ok": ok,
                               "seconds": round(took), "shown": shown });
            println!("{line}");
            return;
        }
        let mark = if ok { "  ok " } else { "FAIL " };
        println!("{mark} {:6.2} s  {name}", took.as_secs_f32());
        for line in shown.lines() {
            println!("               {line}");
        }
    }

    /// Shows a program's own output in full.
    pub(crate) fn show(&self, title: &str, text: &str) {
        if self.json {
            println!("{}", json!({ "schema": "ln6d.demo/1", "title": title, "text": text }));
        } else {
            println!("\n--- {title}\n{}\n", text.trim_end());
        }
    }

    /// The last line.
    pub(crate) fn close(&self, ok: bool) {
        let took = self.begin.elapsed();
        if self.json {
            println!(
                "{}",
                json!({ "schema": "ln6d.demo/1", "ok": ok, "passed": self.passed, "seconds": round(took) })
            );
        } else if ok {
            println!("demo: all {} steps held, {:.1} s", self.passed, took.as_secs_f32());
        } else {
            println!("demo: FAILED after {} steps, {:.1} s", self.passed, took.as_secs_f32());
        }
    }
}

/// A step's result and what to show of it.
#[derive(Debug)]
pub(crate) struct Done<T> {
    value: T,
    shown: String,
}

/// A step that has nothing to hand on.
pub(crate) fn done(shown: impl Into<String>) -> Result<Done<()>> {
    done_with((), shown)
}

/// A step that has a value for later ones.
pub(crate) fn done_with<T>(value: T, shown: impl Into<String>) -> Result<Done<T>> {
    Ok(Done { value, shown: shown.into() })
}

/// Seconds to the millisecond.
fn round(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
