//! The listener: bounded connections, bounded patience.

use crate::app::{App, From};
use crate::front::router;
use crate::live;
use axum::body::Body;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may last; streams of news end before.
const CONNECTION: Duration = Duration::from_secs(900);
/// Largest head of a request, octets.
const LARGEST: usize = 16 * 1024;

/// Serves the page on `listener` for ever.
pub async fn serve(app: Arc<App>, listener: TcpListener) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::spawn(live::watch(Arc::clone(&app)));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Out of descriptors, or the client is gone: nothing to serve now.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            let _place = place;
            connection(app, stream, From(from.ip().to_canonical())).await;
        });
    }
}

async fn connection(app: Arc<App>, stream: TcpStream, from: From) {
    // Answers are small and are written whole.
    let _ = stream.set_nodelay(true);
    exchange(app, stream, from).await;
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(app: Arc<App>, stream: S, from: From) {
    let service = router(&app);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(from);
        let request: Request = request.map(Body::new);
        hyper::service::Service::call(&TowerToHyperService::new(service.clone()), request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LARGEST).keep_alive(true);
    let served = http.serve_connection(TokioIo::new(stream), service);
    // A client that breaks off or is too slow concerns only itself.
    let _ = tokio::time::timeout(CONNECTION, served).await;
}
