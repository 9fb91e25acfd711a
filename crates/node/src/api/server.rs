//! The server: a few connections at a time, each with a time limit, each request with a size limit.

use super::{ACTOR_HEADER, ActingFor, ApiRequest, Caller, Reply, Service};
use crate::error::{ApiError, CliError, Trouble};
use crate::files::owned;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// Largest request body, octets.
const MOST: usize = 64 * 1024;
/// Connections served at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 32;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may last.
const CONNECTION: Duration = Duration::from_secs(60);
/// The path of a socket has at most so many octets (`sun_path` without its final zero).
const SOCKET_PATH: usize = 107;

/// Who may change things: root, and the account of the daemon. The page's account may, too, but only for somebody whom
/// it names. Everybody else who can open the socket may read.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// The daemon's account.
    pub own: u32,
    /// The page's account.
    pub page: Option<u32>,
}

impl Access {
    /// With this process' account and the page's.
    pub fn of_this_process(page: Option<u32>) -> Self {
        Access { own: nix::unistd::Uid::effective().as_raw(), page }
    }

    /// Whether `uid` may ask for changes in its own name.
    pub const fn may_change(self, uid: u32) -> bool {
        uid == 0 || uid == self.own
    }

    /// For whom `uid` asks `request`, if it may; `actor` is what the header says.
    ///
    /// # Errors
    /// `bad_request` for a header that is none, `not_permitted` for who may not.
    pub fn caller(
        self,
        uid: Option<u32>,
        actor: Option<&str>,
        request: &ApiRequest,
    ) -> Result<Caller, ApiError> {
        let trusted = uid.is_some_and(|uid| self.may_change(uid));
        let page = uid.is_some() && uid == self.page;
        match actor.map(str::parse::<ActingFor>).transpose()? {
            Some(_) if !trusted && !page => Err(denied("only the page's account may ask for somebody else")
                .hint("name it in the configuration: user = … under [page]")),
            Some(_) if request.is_for_the_machine() => {
                Err(denied("this is confirmed on the machine itself").hint("type 'ln6d confirm' there"))
            }
            Some(actor) => Ok(Caller::For(actor)),
            None if page && !trusted => Err(denied("the page's account asks for somebody, or not at all")
                .hint(format!("say for whom: {ACTOR_HEADER}: admin:NAME"))),
            None if request.changes() && !trusted => {
                Err(denied("only root and the daemon's own account may change something")
                    .hint("repeat the command with sudo"))
            }
            None => Ok(Caller::Machine),
        }
    }
}

/// Opens the socket, mode 0660. Call it with the lock held: what a dead daemon left there is removed.
pub fn bind(path: &Path) -> Result<UnixListener, CliError> {
    if path.as_os_str().len() > SOCKET_PATH {
        let message = format!("{} is too long for the path of a socket", path.display());
        return Err(CliError::new(Trouble::SocketPathTooLong, message));
    }
    let listener = owned::listen(path).and_then(|listener| {
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    });
    listener.map_err(|error| CliError::file("listen on", path, &error))
}

/// Serves the API for ever. Runs on one task; dropping it closes every connection.
pub async fn serve<S: Service>(listener: UnixListener, access: Access, service: &S) {
    let accept = || async { listener.accept().await.map(|(stream, _)| stream) };
    each(accept, |stream| async move {
        let uid = peer(&stream);
        let answer = |request| -> Answering<'_> { Box::pin(answer(request, uid, access, service)) };
        connection(Box::new(stream), &answer).await;
    })
    .await;
}

/// Serves `GET /metrics` for ever, to whoever can open a connection.
pub async fn serve_metrics<S: Service>(listener: TcpListener, service: &S) {
    let accept = || async { listener.accept().await.map(|(stream, _)| stream) };
    each(accept, |stream| async move {
        connection(Box::new(stream), &|request| Box::pin(metrics(request, service))).await;
    })
    .await;
}

async fn metrics<S: Service>(request: Request<Incoming>, service: &S) -> Response<Full<Bytes>> {
    response(match (request.method().as_str(), request.uri().path()) {
        ("GET", "/metrics") => service.call(Caller::Machine, ApiRequest::Metrics).await,
        (_, path) => {
            Err(CliError::new(Trouble::NotFound, format!("there is no {path}")).hint("GET /metrics"))
        }
    })
}

async fn each<T, A, F>(accept: impl Fn() -> A, handle: impl Fn(T) -> F)
where
    A: Future<Output = io::Result<T>>,
    F: Future<Output = ()>,
{
    let mut open = FuturesUnordered::new();
    loop {
        let room = open.len() < CONNECTIONS;
        tokio::select! {
            Some(()) = open.next(), if !open.is_empty() => {}
            accepted = accept(), if room => match accepted {
                Ok(stream) => open.push(handle(stream)),
                // Out of descriptors, or the client is gone: nothing to serve now.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
}

/// What a connection runs on.
trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// The answer to come.
type Answering<'a> = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + 'a>>;

/// Serves one connection. Behind pointers, so that the HTTP machine is in the program once and not for each kind of
/// socket.
async fn connection<'a>(stream: Box<dyn Stream>, answer: &'a dyn Fn(Request<Incoming>) -> Answering<'a>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MOST).keep_alive(true);
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let served = http.serve_connection(TokioIo::new(stream), service);
    // A client that breaks off or is too slow concerns only itself.
    let _ = tokio::time::timeout(CONNECTION, served).await;
}

fn peer(stream: &UnixStream) -> Option<u32> {
    stream.peer_cred().ok().map(|cred| cred.uid())
}

async fn answer<S: Service>(
    request: Request<Incoming>,
    uid: Option<u32>,
    access: Access,
    service: &S,
) -> Response<Full<Bytes>> {
    let read = async {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MOST).collect().await.map_err(|_| {
            CliError::new(
                Trouble::BadRequest,
                format!("the request did not arrive whole, or has more than {MOST} octets"),
            )
        })?;
        let actor = actor(&head.headers)?;
        let (path, query) = (head.uri.path(), head.uri.query());
        let request = ApiRequest::from_http(head.method.as_str(), path, query, &body.to_bytes())?;
        access.caller(uid, actor.as_deref(), &request).map(|who| (who, request))
    };
    let slow = || Err(CliError::new(Trouble::NoAnswer, "the request did not arrive in time"));
    let result = match tokio::time::timeout(HEAD, read).await.unwrap_or_else(|_| slow()) {
        Ok((who, request)) => service.call(who, request).await,
        Err(error) => Err(error),
    };
    response(result)
}

/// The one header that says for whom; several, or one that is no text, are none.
fn actor(headers: &hyper::HeaderMap) -> Result<Option<String>, ApiError> {
    let mut all = headers.get_all(ACTOR_HEADER).iter();
    let Some(first) = all.next() else { return Ok(None) };
    match (first.to_str(), all.next()) {
        (Ok(text), None) => Ok(Some(text.to_owned())),
        _ => Err(CliError::new(Trouble::BadRequest, format!("{ACTOR_HEADER} is said once, in ASCII"))),
    }
}

fn denied(message: &str) -> ApiError {
    CliError::new(Trouble::NotPermitted, message)
}

fn response(result: Result<Reply, ApiError>) -> Response<Full<Bytes>> {
    let (status, kind, mut text) = match result {
        Ok(Reply::Json(text)) => (200, "application/json", text),
        Ok(Reply::Text(text)) => (200, "text/plain; version=1.0.0; charset=utf-8", text),
        Err(error) => (error.exit.status(), "application/json", error.to_json()),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let built = Response::builder()
        .status(status)
        .header("content-type", kind)
        .header("ln6d-version", env!("CARGO_PKG_VERSION"))
        .body(Full::new(Bytes::from(text)));
    built.unwrap_or_else(|_| Response::new(Full::new(Bytes::new())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use crate::files::Layout;
    use crate::files::atomic::tests::TestDir;
    use crate::schema::{ActionReply, EventList, Schema as _};

    struct Echo;

    impl Service for Echo {
        async fn call(&self, _: Caller, request: ApiRequest) -> Result<Reply, ApiError> {
            match request {
                ApiRequest::Events(events) => {
                    Ok(Reply::of(EventList { events: Vec::new(), next: events.after }))
                }
                ApiRequest::Leave => {
                    Ok(Reply::of(ActionReply { done: "left".into(), ..ActionReply::default() }))
                }
                ApiRequest::Metrics => Ok(Reply::Text("ln6d_build_info 1\n".into())),
                _ => Err(CliError::new(Trouble::NotABroker, "this node is no broker")),
            }
        }
    }

    /// Runs `ask` in a thread of its own against a server in this one.
    fn with_server<T: Send + 'static>(own: u32, ask: impl FnOnce(Client) -> T + Send + 'static) -> T {
        let dir = TestDir::new();
        let layout = Layout::under(dir.path());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let listener = bind(&layout.socket).expect("socket");
            let client = Client::new(&layout);
            let asked = tokio::task::spawn_blocking(move || ask(client));
            tokio::select! {
                () = serve(listener, Access { own, page: None }, &Echo) => unreachable!("serves for ever"),
                result = asked => result.expect("asked"),
            }
        })
    }

    fn me() -> u32 {
        nix::unistd::Uid::effective().as_raw()
    }

    #[test]
    fn questions_are_answered_over_the_socket() {
        let events = with_server(me(), |client| {
            client.get::<EventList>(&ApiRequest::Events(super::super::Events { after: 9, wait: 0 }))
        });
        assert_eq!(events.expect("answer").next, 9);
        let raw = with_server(me(), |client| client.raw(&ApiRequest::Leave)).expect("answer");
        assert!(
            raw.starts_with(&format!("{{\"schema\":\"{}\",\"done\":\"left\"", ActionReply::SCHEMA)),
            "{raw}"
        );
    }

    #[test]
    fn a_refusal_arrives_with_its_code_and_exit_status() {
        let error = with_server(me(), |client| client.raw(&ApiRequest::Status)).expect_err("refused");
        assert_eq!(error, CliError::new(Trouble::NotABroker, "this node is no broker"));
    }

    #[test]
    fn only_root_and_the_daemons_account_may_change() {
        let access = Access { own: 990, page: Some(991) };
        let asks = |uid, actor, request: &ApiRequest| {
            access.caller(Some(uid), actor, request).map_err(|error| error.code.into_owned())
        };
        let denied = || Err("not_permitted".to_owned());
        for uid in [0, 990] {
            assert_eq!(asks(uid, None, &ApiRequest::Leave), Ok(Caller::Machine));
        }
        assert_eq!(asks(1000, None, &ApiRequest::Leave), denied());
        assert_eq!(asks(1000, None, &ApiRequest::Status), Ok(Caller::Machine));
        assert_eq!(access.caller(None, None, &ApiRequest::Leave).map_err(|e| e.code.into_owned()), denied());
    }

    #[test]
    fn the_pages_account_asks_for_somebody_or_not_at_all() {
        let access = Access { own: 990, page: Some(991) };
        let asks = |uid, actor, request: &ApiRequest| {
            access.caller(Some(uid), actor, request).map_err(|error| error.code.into_owned())
        };
        let denied = || Err("not_permitted".to_owned());
        let ana = Ok(Caller::For(ActingFor::Admin("ana".into())));
        for uid in [0, 990, 991] {
            assert_eq!(asks(uid, Some("admin:ana"), &ApiRequest::Leave), ana);
            assert_eq!(asks(uid, Some("admin:ana"), &ApiRequest::Status), ana);
            assert_eq!(asks(uid, Some("root"), &ApiRequest::Status), Err("bad_request".to_owned()));
        }
        assert_eq!(asks(991, None, &ApiRequest::Status), denied());
        assert_eq!(asks(991, None, &ApiRequest::Leave), denied());
        assert_eq!(asks(1000, Some("admin:ana"), &ApiRequest::Status), denied());
        let nobody = Access { own: 990, page: None };
        assert!(nobody.caller(Some(991), Some("admin:ana"), &ApiRequest::Status).is_err());
    }

    #[cfg(feature = "broker")]
    #[test]
    fn what_is_confirmed_is_confirmed_on_the_machine() {
        use crate::api::{Confirm, RegistryRequest};
        let access = Access { own: 990, page: Some(991) };
        let confirm = ApiRequest::Registry(RegistryRequest::Confirm(Confirm { code: "x".into() }));
        assert_eq!(access.caller(Some(0), None, &confirm), Ok(Caller::Machine));
        for uid in [0, 990, 991] {
            let error = access.caller(Some(uid), Some("admin:ana"), &confirm).expect_err("denied");
            assert_eq!(error.code, "not_permitted");
        }
        assert!(access.caller(Some(991), None, &confirm).is_err());
        assert!(access.caller(Some(1000), None, &confirm).is_err());
    }

    #[test]
    fn a_socket_left_by_a_dead_daemon_is_replaced_and_others_cannot_open_it() {
        let dir = TestDir::new();
        let path = dir.path().join("ln6d.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            drop(bind(&path).expect("first"));
            let _again = bind(&path).expect("second");
            assert_eq!(crate::files::layout::mode(&path), Some(0o660));
            let long = dir.path().join("x".repeat(120));
            assert_eq!(bind(&long).expect_err("too long").code, "socket_path_too_long");
        });
    }

    #[test]
    fn a_body_that_is_too_large_is_refused() {
        let request = ApiRequest::Ping(super::super::Ask { to: "x".repeat(MOST + 1) });
        let error = with_server(me(), move |client| client.raw(&request)).expect_err("refused");
        assert_eq!(error.code, "bad_request");
    }
}
