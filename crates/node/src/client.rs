//! The command line's side of the API.

use crate::api::ApiRequest;
use crate::error::{CliError, Exit, Trouble};
use crate::files::Layout;
use serde::de::DeserializeOwned;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Largest answer read, octets.
const MOST: usize = 64 << 20;
/// Octets read at once.
const PIECE: usize = 16 << 10;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the daemon of one node.
pub struct Client {
    socket: PathBuf,
    config: PathBuf,
    command: String,
}

impl Client {
    /// For the node of `layout`.
    pub fn new(layout: &Layout) -> Self {
        Client {
            socket: layout.socket.clone(),
            config: layout.config.clone(),
            command: layout.command.clone(),
        }
    }

    /// Asks, and reads the answer.
    pub fn get<T: DeserializeOwned>(&self, request: &ApiRequest) -> Result<T, CliError> {
        let text = self.raw(request)?;
        // The name of the schema in front is one more key than `T` looks for.
        serde_json::from_str::<T>(&text).map_err(|error| {
            CliError::new(Trouble::BadRequest, format!("the daemon's answer is not understood: {error}"))
                .hint("the daemon and this command may be of different versions: restart the daemon")
        })
    }

    /// Asks, and returns the answer as it came.
    pub fn raw(&self, request: &ApiRequest) -> Result<String, CliError> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|error| self.unreachable(&error))?;
        let answer = exchange(&mut stream, request).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => CliError::new(
                Trouble::NoAnswer,
                format!("the daemon on {} does not answer", self.socket.display()),
            ),
            _ => CliError::new(
                Trouble::DaemonUnreachable,
                format!("the connection to the daemon broke: {error}"),
            ),
        })?;
        let (status, body) = split(&answer).ok_or_else(|| {
            CliError::new(Trouble::DaemonUnreachable, "the answer broke off, or is not the daemon's")
        })?;
        read(status, body)
    }

    /// Why nobody answers: we may not ask, no node is set up, or its daemon does not run.
    fn unreachable(&self, error: &io::Error) -> CliError {
        if error.kind() == io::ErrorKind::NotFound
            && let Err(no_config) = std::fs::metadata(&self.config)
        {
            return match no_config.kind() {
                io::ErrorKind::NotFound => self.nothing_here(),
                _ => CliError::file("read", &self.config, &no_config).hint("repeat the command with sudo"),
            };
        }
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                CliError::new(Trouble::NotPermitted, format!("you may not open {}", self.socket.display()))
                    .hint("repeat the command with sudo")
            }
            _ => CliError::new(
                Trouble::DaemonUnreachable,
                format!("no daemon listens on {}", self.socket.display()),
            )
            .hint(self.start_hint()),
        }
    }

    fn nothing_here(&self) -> CliError {
        CliError::new(Trouble::NoConfig, "no node is set up here").hint(format!(
            "begin with '{0} init …' (a new network) or '{0} join LINK' (an existing one)",
            self.command
        ))
    }

    fn start_hint(&self) -> String {
        let service = if self.command == "ln6d" { " (or 'systemctl start ln6d')" } else { "" };
        format!("start it with '{} run'{service}", self.command)
    }
}

/// Sends a request and reads all that comes: HTTP/1.1 with one request a connection.
fn exchange(stream: &mut UnixStream, request: &ApiRequest) -> io::Result<Vec<u8>> {
    let end = Instant::now() + PATIENCE;
    let parts = request.to_http();
    let head = format!(
        "{} {} HTTP/1.1\r\nhost: ln6d\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        parts.method,
        parts.path,
        parts.body.len()
    );
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&[head.as_bytes(), parts.body.as_ref()].concat())?;
    let (mut answer, mut piece) = (Vec::new(), [0; PIECE]);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(answer),
            Ok(_) if answer.len() > MOST => return Err(io::Error::other("the answer is too long")),
            Ok(len) => answer.extend_from_slice(&piece[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The daemon refused before it had read everything: what it said counts.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !answer.is_empty() => {
                return Ok(answer);
            }
            Err(error) => return Err(error),
        }
    }
}

/// The status and the body of a whole answer of known length.
fn split(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    Some((status, answer.get(end + 4..)?.get(..length)?))
}

fn read(status: u16, body: &[u8]) -> Result<String, CliError> {
    if status == 200 {
        return String::from_utf8(body.to_vec())
            .map(|text| text.trim_end().to_owned())
            .map_err(|_| CliError::new(Trouble::BadRequest, "the daemon's answer is not text"));
    }
    Err(CliError::from_json(status, body).unwrap_or_else(|| CliError {
        exit: Exit::from_status(status),
        ..CliError::new(Trouble::BadRequest, format!("the daemon answered with status {status}"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::atomic::tests::TestDir;

    #[test]
    fn an_answer_is_taken_apart_and_nothing_less_than_a_whole_one() {
        let whole = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\ndate: x\r\n\r\n{}";
        assert_eq!(split(whole), Some((404, &b"{}"[..])));
        for len in 0..whole.len() {
            assert_eq!(split(&whole[..len]), None, "{len}");
        }
        assert_eq!(split(b"HTTP/1.1 200 OK\r\n\r\n{}"), None);
        assert_eq!(split(b"SSH-2.0-x\r\n\r\n"), None);
    }

    #[test]
    fn without_a_daemon_the_command_to_start_it_is_named() {
        let dir = TestDir::new();
        std::fs::write(dir.path().join("ln6d.toml"), "").expect("write");
        let error =
            Client::new(&Layout::under(dir.path())).raw(&ApiRequest::Status).expect_err("nobody there");
        assert_eq!((error.code.as_ref(), error.exit), ("daemon_unreachable", Exit::Unreachable));
        assert_eq!(error.hint, Some(format!("start it with 'ln6d --dir {} run'", dir.path().display())));
    }

    #[test]
    fn where_no_node_is_set_up_that_is_said() {
        let dir = TestDir::new();
        let error =
            Client::new(&Layout::under(dir.path())).raw(&ApiRequest::Peers).expect_err("nobody there");
        assert_eq!((error.code.as_ref(), error.exit), ("no_config", Exit::NotFound));
    }
}
