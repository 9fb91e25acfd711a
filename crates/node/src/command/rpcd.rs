//! `rpcd list|call`: what OpenWrt's rpcd asks of a program under /usr/libexec/rpcd. One JSON document in, one out; an error
//! is a document too, and the exit status is 0, since rpcd hides everything of a program that fails.

use super::output::Output;
use super::{join, leave};
use crate::api::{ApiRequest, Ask};
use crate::cli::{self, Rpcd, RpcdCall};
use crate::client::Client;
use crate::config::{Config, render};
use crate::error::{CliError, Exit, Trouble};
use crate::files::{Layout, atomic};
use crate::schema::{ActionReply, DoctorReport, PingReply, Problem, Schema, StatusReport};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::Read as _;

/// Octets of the largest arguments.
const MOST: u64 = 64 << 10;

/// The methods, each with an example of every argument: its type is what counts.
const METHODS: &str = r#"{"status":{},"join":{"link":"","name":"","size":0,"ssid":"","lans":[],"contact":""},"leave":{},"request_size":{"size":0},"test":{"to":""}}"#;

pub(super) fn run(command: &Rpcd, layout: &Layout, output: &Output) -> Exit {
    match command {
        Rpcd::List => output.text(&format!("{METHODS}\n")),
        Rpcd::Call(RpcdCall { method }) => {
            let mut arguments = Vec::new();
            let read = std::io::stdin().lock().take(MOST + 1).read_to_end(&mut arguments);
            let answer = match read {
                Ok(_) => call(method, &arguments, layout, &output.for_programs()),
                Err(error) => {
                    Err(CliError::new(Trouble::BadRequest, format!("the arguments cannot be read: {error}")))
                }
            };
            match answer {
                // `join` and `leave` have said their document themselves.
                Ok(None) => {}
                Ok(Some(document)) => output.text(&(document + "\n")),
                Err(error) => output.text(&(error.to_json() + "\n")),
            }
        }
    }
    Exit::Ok
}

/// Carries a method out; the document, or nothing if it was written already.
fn call(
    method: &str,
    arguments: &[u8],
    layout: &Layout,
    output: &Output,
) -> Result<Option<String>, CliError> {
    let client = Client::new(layout);
    match method {
        "status" => {
            read::<Nothing>(arguments)?;
            client.raw(&ApiRequest::Status).map(Some)
        }
        "join" => {
            let Joining { link, name, size, ssid, lans, contact } = read(arguments)?;
            let said = |text: Option<String>| text.filter(|text| !text.is_empty());
            let join = cli::Join {
                link,
                name: said(name),
                size: size.filter(|size| *size != 0).map(length).transpose()?,
                ssid: said(ssid),
                lans,
                contact: said(contact),
                listen: None,
            };
            join::run(&join, layout, output).map(|_| None)
        }
        "leave" => {
            read::<Nothing>(arguments)?;
            leave::run(layout, output).map(|_| None)
        }
        "request_size" => request_size(length(read::<Size>(arguments)?.size)?, layout).map(Some),
        "test" => test(&client, &read::<Test>(arguments)?).map(Some),
        _ => {
            Err(CliError::new(Trouble::BadRequest, "there is no such method")
                .hint("'ln6d rpcd list' lists them"))
        }
    }
}

fn read<T: DeserializeOwned>(arguments: &[u8]) -> Result<T, CliError> {
    let fits = arguments.len() as u64 <= MOST;
    let arguments = if arguments.iter().all(u8::is_ascii_whitespace) { b"{}" } else { arguments };
    let wrong =
        |why: String| CliError::new(Trouble::BadRequest, format!("the arguments are not as expected: {why}"));
    if !fits {
        return Err(wrong("too long".to_owned()));
    }
    serde_json::from_slice(arguments).map_err(|error| wrong(error.to_string()))
}

fn length(size: i64) -> Result<u8, CliError> {
    u8::try_from(size)
        .ok()
        .filter(|size| (16..=128).contains(size))
        .ok_or_else(|| CliError::new(Trouble::BadRequest, format!("a size is 16 to 128, not {size}")))
}

/// Notes what to ask for. A node that holds a prefix keeps it until an administrator resizes it.
fn request_size(size: u8, layout: &Layout) -> Result<String, CliError> {
    let mut config = Config::load(layout)?;
    config.join.size = Some(size);
    atomic::replace(&layout.config, render(&config).as_bytes())?;
    layout.hand_over(&layout.config)?;
    Ok(ActionReply { done: "noted".to_owned(), ..ActionReply::default() }.to_json())
}

/// What is wrong, and whether somebody answers.
fn test(client: &Client, test: &Test) -> Result<String, CliError> {
    let status: StatusReport = client.get(&ApiRequest::Status)?;
    let findings = client.get::<DoctorReport>(&ApiRequest::Doctor)?.findings;
    let to = test.to.clone().filter(|to| !to.is_empty()).or_else(|| status.exits.reachable.first().cloned());
    let (mut ping, mut error) = (None, None);
    if let Some(to) = &to {
        match client.get::<PingReply>(&ApiRequest::Ping(Ask { to: to.clone() })) {
            Ok(reply) => ping = Some(reply),
            Err(why) => error = Some(why.message),
        }
    }
    let ok =
        ping.is_some() && findings.iter().all(|finding| finding.severity < crate::schema::Severity::Error);
    Ok(TestReport { ok, to, ping, error, findings }.to_json())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Joining {
    link: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    size: Option<i64>,
    #[serde(default)]
    ssid: Option<String>,
    #[serde(default)]
    lans: Vec<String>,
    #[serde(default)]
    contact: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    size: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    #[serde(default)]
    to: Option<String>,
}

/// `ln6d.test/1`.
#[derive(Serialize)]
struct TestReport {
    /// Whether somebody answers and nothing is broken.
    ok: bool,
    /// Whom was asked; the first exit that can be reached if nobody was named.
    to: Option<String>,
    ping: Option<PingReply>,
    error: Option<String>,
    findings: Vec<Problem>,
}

impl Schema for TestReport {
    const SCHEMA: &'static str = "ln6d.test/1";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::atomic::tests::TestDir;

    /// Each line of a transcript: `> METHOD ARGUMENTS`, then what is answered.
    #[test]
    fn without_a_daemon_the_answers_are_as_the_transcript_says() {
        let dir = TestDir::new();
        let layout = Layout::under(dir.path());
        let mut said = format!("> list\n{METHODS}\n");
        for (method, arguments) in [
            ("status", ""),
            ("status", "{\"a\":1}"),
            ("leave", "{}"),
            ("join", "{}"),
            ("join", "{\"link\":\"ln6://join/x\",\"size\":7}"),
            ("join", "{\"link\":\"https://example.net\",\"name\":\"\",\"lans\":[\"br-lan\"]}"),
            ("request_size", "{\"size\":56}"),
            ("request_size", "{\"size\":-1}"),
            ("test", "[]"),
            ("reboot", "{}"),
        ] {
            let answer = call(method, arguments.as_bytes(), &layout, &Output::silent(true));
            let words = answer.unwrap_or_else(|error| Some(error.to_json())).unwrap_or_default();
            said += &format!("> {method} {arguments}\n{words}\n");
        }
        let said = said.replace(&dir.path().display().to_string(), "DIR");
        assert_eq!(said, include_str!("../../tests/rpcd/no-daemon.txt"), "{said}");
    }

    #[test]
    fn a_size_that_is_asked_for_is_in_the_configuration() {
        let dir = TestDir::new();
        let layout = Layout::under(dir.path());
        std::fs::write(&layout.config, "[node]\nname = \"quintana\"\n").expect("file");
        let answer = call("request_size", b"{\"size\":48}", &layout, &Output::silent(true)).expect("noted");
        assert!(answer.expect("a document").starts_with("{\"schema\":\"ln6d.action/1\",\"done\":\"noted\""));
        assert_eq!(Config::load(&layout).expect("reads").join.size, Some(48));
    }

    #[test]
    fn arguments_without_end_are_refused() {
        let dir = TestDir::new();
        let long = vec![b' '; MOST as usize + 1];
        let error =
            call("status", &long, &Layout::under(dir.path()), &Output::silent(true)).expect_err("too long");
        assert_eq!(error.code, "bad_request");
    }

    #[test]
    fn every_method_that_is_listed_is_there() {
        let methods: serde_json::Value = serde_json::from_str(METHODS).expect("json");
        let dir = TestDir::new();
        for method in methods.as_object().expect("methods").keys() {
            let answer = call(method, b"[", &Layout::under(dir.path()), &Output::silent(true));
            let error = answer.expect_err("these are no arguments");
            assert!(error.message.starts_with("the arguments are not"), "{method}: {error}");
        }
    }
}
