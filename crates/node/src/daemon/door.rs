//! The door of the daemon: the API socket, whom it is for, and how requests get from there to the loop.

use crate::api::{self, Access, ApiRequest, Caller, Reply, Service};
use crate::config::Config;
use crate::error::{ApiError, CliError, Trouble};
use crate::files::Layout;
use tokio::sync::{mpsc, oneshot};

/// Requests of the command line that may wait.
pub(super) const CALLS: usize = 64;

/// A request of the command line, and where its answer goes.
pub(crate) struct Call {
    #[cfg_attr(not(feature = "broker"), expect(dead_code, reason = "only the registry asks who it is"))]
    pub(crate) who: Caller,
    pub(crate) request: ApiRequest,
    pub(crate) answer: oneshot::Sender<Result<Reply, ApiError>>,
}

/// Requests go to the loop, answers come back.
struct Door(mpsc::Sender<Call>);

impl Service for Door {
    async fn call(&self, who: Caller, request: ApiRequest) -> Result<Reply, ApiError> {
        let stopping = || CliError::new(Trouble::DaemonUnreachable, "the daemon is stopping");
        let (answer, answered) = oneshot::channel();
        self.0.send(Call { who, request, answer }).await.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }
}

/// The page's account. Without it the page is not heard; nothing else suffers.
pub(super) fn page_account(config: &Config) -> Option<nix::unistd::User> {
    let name = config.page.user.as_deref()?;
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) => Some(user),
        _ => {
            tracing::warn!(name, "there is no such account: the admin page cannot ask anything");
            None
        }
    }
}

/// Takes the API socket away again if the start fails: nobody should find the socket of a daemon that is not there.
pub(super) struct Trial(pub(super) Option<std::path::PathBuf>);

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            // Then the next start replaces it.
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// Opens the API socket, for the page's account too. Where the daemon is not root, that account is in its group.
pub(super) fn open(
    layout: &Layout,
    page: Option<&nix::unistd::User>,
) -> Result<tokio::net::UnixListener, CliError> {
    let listener = api::bind(&layout.socket)?;
    if let Some(user) = page.filter(|_| nix::unistd::Uid::effective().is_root()) {
        nix::unistd::chown(&layout.socket, None, Some(user.gid))
            .map_err(|errno| CliError::file("give away", &layout.socket, &errno.into()))?;
    }
    Ok(listener)
}

/// Answers at the socket, and at the address of the metrics if there is one.
pub(super) fn serve(
    listener: tokio::net::UnixListener,
    page: Option<u32>,
    config: &Config,
    calls: mpsc::Sender<Call>,
) -> Result<tokio::task::JoinHandle<()>, CliError> {
    let access = Access::of_this_process(page);
    let metrics = match config.metrics {
        Some(address) => {
            let bound = std::net::TcpListener::bind(address).and_then(|listener| {
                listener.set_nonblocking(true)?;
                tokio::net::TcpListener::from_std(listener)
            });
            let taken = |error| CliError::new(Trouble::PortInUse, format!("metrics on {address}: {error}"));
            Some(bound.map_err(taken)?)
        }
        None => None,
    };
    Ok(tokio::task::spawn_local(async move {
        let door = Door(calls);
        let metrics = async {
            match metrics {
                Some(listener) => api::serve_metrics(listener, &door).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(api::serve(listener, access, &door), metrics);
    }))
}
