//! The way to the daemon: its API socket, and nothing else. Whatever the page can do, a program can do there.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ln6_api::request::{ACTOR_HEADER, Parts};
use ln6_api::{ApiError, ApiRequest, CliError, Exit, Trouble};
use serde::de::DeserializeOwned;
use std::any::Any;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

/// Largest answer read, octets.
const MOST: usize = 16 << 20;
/// How long an answer may take; a question for events may wait 30 s by itself.
const PATIENCE: Duration = Duration::from_secs(40);
/// Questions under way at once. The daemon serves 32.
const AT_ONCE: usize = 8;
/// An answer is good for so long.
const FRESH: Duration = Duration::from_secs(2);
/// For whom the page reads by itself: its account is not heard without a name. Nothing that is read is noted down.
const ITSELF: &str = "token:page";
/// Answers kept.
const KEPT: usize = 24;

/// What a backend is asked: an answer in JSON, or a refusal.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Bytes, ApiError>> + Send + 'a>>;

/// Whoever answers for the daemon.
pub trait Backend: Send + Sync + 'static {
    /// Carries one request out for `actor` (`admin:NAME` or `token:NAME`; empty for the page itself).
    fn ask<'a>(&'a self, actor: &'a str, parts: Parts) -> Answer<'a>;
}

/// The daemon's socket.
pub struct Socket {
    path: PathBuf,
}

impl Socket {
    /// At `path`.
    pub fn new(path: &Path) -> Socket {
        Socket { path: path.to_owned() }
    }

    async fn exchange(&self, actor: &str, parts: Parts) -> Result<Bytes, ApiError> {
        let stream = UnixStream::connect(&self.path).await.map_err(|error| {
            let message = format!("no daemon answers on {}: {}", self.path.display(), error.kind());
            CliError::new(Trouble::DaemonUnreachable, message)
        })?;
        let broken = |error: hyper::Error| {
            CliError::new(Trouble::DaemonUnreachable, format!("the connection to the daemon broke: {error}"))
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = Request::builder()
            .method(parts.method)
            .uri(&parts.path)
            .header("host", "ln6d")
            .header("content-type", "application/json");
        let request = request
            .header(ACTOR_HEADER, if actor.is_empty() { ITSELF } else { actor })
            .body(Full::new(Bytes::from(parts.body)))
            .map_err(|error| CliError::new(Trouble::BadRequest, format!("this cannot be asked: {error}")))?;
        let asked = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MOST).collect().await.map_err(|error| {
                CliError::new(Trouble::DaemonUnreachable, format!("the answer broke off: {error}"))
            })?;
            read(status, body.to_bytes())
        };
        let mut asked = std::pin::pin!(asked);
        tokio::select! {
            answer = &mut asked => answer,
            // The connection may end as soon as the answer is here; the answer is still to be read.
            _ = connection => asked.await,
        }
    }
}

fn read(status: u16, body: Bytes) -> Result<Bytes, ApiError> {
    if status == 200 {
        return Ok(body);
    }
    Err(CliError::from_json(status, &body).unwrap_or_else(|| CliError {
        exit: Exit::from_status(status),
        ..CliError::new(Trouble::BadRequest, format!("the daemon answered with status {status}"))
    }))
}

impl Backend for Socket {
    fn ask<'a>(&'a self, actor: &'a str, parts: Parts) -> Answer<'a> {
        Box::pin(async move {
            let asked = tokio::time::timeout(PATIENCE, self.exchange(actor, parts)).await;
            asked.unwrap_or_else(|_| Err(CliError::new(Trouble::NoAnswer, "the daemon does not answer")))
        })
    }
}

type Kept = (Instant, Arc<dyn Any + Send + Sync>);

/// A backend with a short memory, so that many browsers cost the daemon no more than one.
pub struct Desk {
    backend: Box<dyn Backend>,
    kept: Mutex<HashMap<String, Kept>>,
    room: Semaphore,
}

impl Desk {
    /// In front of `backend`.
    pub fn new(backend: Box<dyn Backend>) -> Desk {
        Desk { backend, kept: Mutex::new(HashMap::new()), room: Semaphore::new(AT_ONCE) }
    }

    /// Asks something that changes nothing; the answer may be two seconds old.
    pub async fn get<T: DeserializeOwned + Send + Sync + 'static>(
        &self,
        request: ApiRequest,
    ) -> Result<Arc<T>, ApiError> {
        let parts = request.to_http();
        if let Some(answer) = self.known(&parts.path) {
            return Ok(answer);
        }
        let _room = self.room.acquire().await;
        // Whoever was before in the queue may have asked the same.
        if let Some(answer) = self.known(&parts.path) {
            return Ok(answer);
        }
        let (path, now) = (parts.path.clone(), Instant::now());
        let answer: Arc<T> = Arc::new(parse(&self.backend.ask("", parts).await?)?);
        let mut kept = self.kept();
        kept.retain(|_, (at, _)| now.duration_since(*at) < FRESH);
        if kept.len() < KEPT {
            kept.insert(path, (now, Arc::<T>::clone(&answer)));
        }
        Ok(answer)
    }

    /// An answer that is still good.
    fn known<T: Send + Sync + 'static>(&self, path: &str) -> Option<Arc<T>> {
        let kept = self.kept();
        let (at, answer) = kept.get(path)?;
        if at.elapsed() < FRESH { Arc::clone(answer).downcast::<T>().ok() } else { None }
    }

    /// Changes something, or asks what a change would do, for `actor`; what was remembered is forgotten.
    pub async fn act<T: DeserializeOwned>(&self, actor: &str, request: &ApiRequest) -> Result<T, ApiError> {
        let answer = self.raw(actor, request.to_http()).await;
        self.kept().clear();
        parse(&answer?)
    }

    /// Asks, and gives the answer as it came.
    pub async fn raw(&self, actor: &str, parts: Parts) -> Result<Bytes, ApiError> {
        let _room = self.room.acquire().await;
        self.backend.ask(actor, parts).await
    }

    /// Waits for something to happen. Takes no room from those who do not wait.
    pub async fn wait(&self, request: &ApiRequest) -> Result<Bytes, ApiError> {
        self.backend.ask("", request.to_http()).await
    }

    /// Forgets what was remembered.
    pub fn forget(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads an answer of the daemon.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| {
        CliError::new(Trouble::BadRequest, format!("the daemon's answer is not understood: {error}"))
            .hint("the daemon and the page may be of different versions: restart both")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ln6_api::schema::{PeerList, Schema as _};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Answers after others had their turn, and counts.
    struct Slow(Arc<AtomicUsize>);

    impl Backend for Slow {
        fn ask<'a>(&'a self, _: &'a str, _: Parts) -> Answer<'a> {
            Box::pin(async move {
                self.0.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(Bytes::from(PeerList::default().to_json()))
            })
        }
    }

    #[tokio::test]
    async fn many_who_ask_the_same_at_the_same_moment_cost_no_more_than_a_few() {
        let asked = Arc::new(AtomicUsize::new(0));
        let desk = Desk::new(Box::new(Slow(Arc::clone(&asked))));
        let all = (0..200).map(|_| desk.get::<PeerList>(ApiRequest::Peers));
        for answer in futures_util::future::join_all(all).await {
            answer.expect("an answer");
        }
        let asked = asked.load(Ordering::Relaxed);
        assert!(asked <= AT_ONCE, "the daemon was asked {asked} times");
    }
}
