//! The listeners: bounded connections, bounded patience.

use crate::app::{App, From};
use crate::front::router;
use crate::live;
use crate::tls::Tls;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// Of these, so many from elsewhere. The rest is for this machine: however many strangers hold what they opened, an
/// administrator still comes in by a tunnel, and a proxy by its socket.
const FROM_AFAR: usize = CONNECTIONS - 32;
/// How long the head of a request may take, and the beginning of TLS before it.
const HEAD: Duration = Duration::from_secs(10);
/// How long the body of a request may take: nothing sent here is large.
const BODY: Duration = Duration::from_secs(15);
/// How long a connection may last; streams of news end before.
const CONNECTION: Duration = Duration::from_secs(900);
/// Largest head of a request, octets.
const LARGEST: usize = 16 * 1024;

/// Where browsers, or a proxy in front of them, come in.
pub enum Door {
    /// By TCP; with TLS, or as it is.
    Tcp(TcpListener, Option<Tls>),
    /// By a socket of this machine: a proxy.
    Unix(UnixListener),
}

/// What a connection runs on.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Door {
    /// Waits for the next one, and says where it is from.
    async fn next(&self) -> io::Result<(Box<dyn Stream>, From)> {
        match self {
            Door::Tcp(listener, _) => {
                let (stream, from) = listener.accept().await?;
                // Answers are small and are written whole.
                let _ = stream.set_nodelay(true);
                let from = from.ip().to_canonical();
                // This machine under another of its addresses: the near end of an SSH tunnel.
                let here = stream.local_addr().is_ok_and(|local| local.ip().to_canonical() == from);
                let from = if here { IpAddr::V6(Ipv6Addr::LOCALHOST) } else { from };
                Ok((Box::new(stream), From(from)))
            }
            Door::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), From(IpAddr::V6(Ipv6Addr::LOCALHOST))))
            }
        }
    }

    fn tls(&self) -> Option<&Tls> {
        match self {
            Door::Tcp(_, tls) => tls.as_ref(),
            Door::Unix(_) => None,
        }
    }
}

/// The connections that may be open at once.
struct Room {
    all: Arc<Semaphore>,
    afar: Arc<Semaphore>,
}

/// A connection's share of it.
type Place = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

impl Room {
    fn new() -> Room {
        Room { all: Arc::new(Semaphore::new(CONNECTIONS)), afar: Arc::new(Semaphore::new(FROM_AFAR)) }
    }

    /// Waits until one more may be accepted.
    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// The place of one that was accepted; none if those from elsewhere have all of theirs.
    fn place(&self, one: OwnedSemaphorePermit, from: From) -> Option<Place> {
        if from.0.is_loopback() {
            return Some((one, None));
        }
        Arc::clone(&self.afar).try_acquire_owned().ok().map(|far| (one, Some(far)))
    }
}

/// A body that has to be there in time.
struct Hurried {
    body: Incoming,
    end: Pin<Box<Sleep>>,
}

impl hyper::body::Body for Hurried {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves the page at all its doors for ever.
pub async fn serve(app: Arc<App>, doors: Vec<Door>) {
    let room = Arc::new(Room::new());
    tokio::spawn(live::watch(Arc::clone(&app)));
    let open = doors.into_iter().map(|door| watch(Arc::clone(&app), door, Arc::clone(&room)));
    futures_util::future::join_all(open).await;
}

async fn watch(app: Arc<App>, door: Door, room: Arc<Room>) {
    loop {
        let Some(one) = room.wait().await else { return };
        let (stream, from) = match door.next().await {
            Ok(accepted) => accepted,
            // Out of descriptors, or the client is gone: nothing to serve now.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Who is turned away is hung up on: the others behind it in the queue are not to wait for its patience.
        let Some(place) = room.place(one, from) else { continue };
        let (app, tls) = (Arc::clone(&app), door.tls().map(Tls::acceptor));
        tokio::spawn(async move {
            let _place = place;
            let Some(tls) = tls else { return exchange(app, stream, from).await };
            // Who speaks no TLS here, or too slowly, concerns only itself.
            if let Ok(Ok(stream)) = tokio::time::timeout(HEAD, tls.accept(stream)).await {
                exchange(app, Box::new(stream), from).await;
            }
        });
    }
}

async fn exchange(app: Arc<App>, stream: Box<dyn Stream>, from: From) {
    let service = router(&app);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(from);
        let request: Request = request.map(|body| {
            // Most requests have none, and need no clock.
            if hyper::body::Body::is_end_stream(&body) {
                return Body::empty();
            }
            Body::new(Hurried { body, end: Box::pin(tokio::time::sleep(BODY)) })
        });
        hyper::service::Service::call(&TowerToHyperService::new(service.clone()), request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LARGEST).keep_alive(true);
    let served = http.serve_connection(TokioIo::new(stream), service);
    // A client that breaks off or is too slow concerns only itself.
    let _ = tokio::time::timeout(CONNECTION, served).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[tokio::test]
    async fn however_many_come_from_elsewhere_there_is_room_for_this_machine() {
        let room = Room::new();
        let (afar, here) = (From(Ipv4Addr::new(192, 168, 1, 77).into()), From(Ipv4Addr::LOCALHOST.into()));
        let mut open = Vec::new();
        for _ in 0..FROM_AFAR {
            open.push(room.place(room.wait().await.expect("room"), afar).expect("a place"));
        }
        for _ in 0..CONNECTIONS {
            assert!(room.place(room.wait().await.expect("room"), afar).is_none(), "strangers have theirs");
        }
        while open.len() < CONNECTIONS {
            open.push(room.place(room.wait().await.expect("room"), here).expect("a place for this machine"));
        }
        assert_eq!(room.all.available_permits(), 0);
        drop(open.remove(0));
        assert!(room.place(room.wait().await.expect("room"), afar).is_some(), "who goes makes room");
    }
}
