//! The command line's side of the API.

use crate::api::ApiRequest;
use crate::error::{CliError, Exit, Trouble};
use crate::files::Layout;
use crate::schema::Named;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;

/// Largest answer read, octets.
const MOST: usize = 64 << 20;
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
        serde_json::from_str::<Named<T>>(&text).map(|named| named.body).map_err(|error| {
            CliError::new(Trouble::BadRequest, format!("the daemon's answer is not understood: {error}"))
                .hint("the daemon and this command may be of different versions: restart the daemon")
        })
    }

    /// Asks, and returns the answer as it came.
    pub fn raw(&self, request: &ApiRequest) -> Result<String, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CliError::new(Trouble::Internal, error.to_string()))?;
        let answered = runtime.block_on(async { tokio::time::timeout(PATIENCE, self.ask(request)).await });
        answered.unwrap_or_else(|_| {
            Err(CliError::new(
                Trouble::NoAnswer,
                format!("the daemon on {} does not answer", self.socket.display()),
            ))
        })
    }

    async fn ask(&self, request: &ApiRequest) -> Result<String, CliError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        let broken = |error: hyper::Error| {
            CliError::new(Trouble::DaemonUnreachable, format!("the connection to the daemon broke: {error}"))
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let parts = request.to_http();
        let built = Request::builder()
            .method(parts.method)
            .uri(&parts.path)
            .header("host", "ln6d")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(parts.body)));
        let built = built.map_err(|error| CliError::new(Trouble::Internal, error.to_string()))?;
        let exchange = async {
            let response = sender.send_request(built).await.map_err(broken)?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MOST).collect().await;
            let body = body.map_err(|error| {
                CliError::new(Trouble::DaemonUnreachable, format!("the answer broke off: {error}"))
            })?;
            read(status, &body.to_bytes())
        };
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            // The connection may end as soon as the answer is here; the answer is still to be read.
            _ = connection => exchange.await,
        }
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
