//! HTTP over a socket of the file system: the API's, and the page's for a proxy.
#![allow(dead_code)] // each test program uses a part of it
#![allow(unreachable_pub)] // a module of test programs, not of a library

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP's status.
    pub status: u16,
    /// The heads as they came, in small letters.
    pub head: Vec<(String, String)>,
    /// What is in it.
    pub body: String,
}

impl Answer {
    /// All values of a head.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// As JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

/// Asks once, on a connection of its own.
pub fn ask(socket: &Path, method: &str, path: &str, heads: &[(&str, &str)], body: &str) -> Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in heads {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes())?;
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets)?;
    read(&octets)
}

fn read(octets: &[u8]) -> Result<Answer> {
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n").context("no whole answer")?;
    let head = std::str::from_utf8(&octets[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?.parse()?;
    let head: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = octets[end + 4..].to_vec();
    let is = |name: &str, value: &str| head.iter().any(|(key, said)| key == name && said == value);
    if is("transfer-encoding", "chunked") {
        body = chunks(&body)?;
    } else if let Some((_, len)) = head.iter().find(|(key, _)| key == "content-length") {
        ensure!(body.len() == len.parse::<usize>()?, "the answer was cut");
    }
    Ok(Answer { status, head, body: String::from_utf8_lossy(&body).into_owned() })
}

fn chunks(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").context("no chunk")?;
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..end])?, 16)?;
        if len == 0 {
            return Ok(whole);
        }
        whole.extend_from_slice(rest.get(end + 2..end + 2 + len).context("the answer was cut")?);
        rest = rest.get(end + 2 + len + 2..).context("the answer was cut")?;
    }
}

/// The API of a broker.
#[derive(Clone, Debug)]
pub struct Api(pub PathBuf);

impl Api {
    /// Reads.
    pub fn get(&self, word: &str) -> Result<Value> {
        let answer = ask(&self.0, "GET", &format!("/api/v1/{word}"), &[], "")?;
        ensure!(answer.status == 200, "{word}: {} {}", answer.status, answer.body);
        answer.json()
    }

    /// Changes: the status, and what was answered. An error if no whole answer came: then nobody knows.
    pub fn post(&self, word: &str, body: &Value) -> Result<(u16, Value)> {
        let answer = ask(&self.0, "POST", &format!("/api/v1/{word}"), &[], &body.to_string())?;
        Ok((answer.status, answer.json()?))
    }
}
