//! Accepts connections, with limits that a slow or greedy peer cannot get around.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::app::Shutdown;

/// Longest time for the header of a request, from the end of the one before.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest header of a request, in bytes.
const MAX_HEADER: usize = 32 * 1024;

/// Most connections at a time; more wait.
const MAX_CONNECTIONS: usize = 1024;

/// Pause after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until the service stops; then lets present requests finish.
///
/// `axum::serve` has no time limit for headers, so that a peer could hold a connection for
/// ever; this one has.
pub async fn serve(listener: Arc<TcpListener>, router: Router, shutdown: Shutdown) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            () = shutdown.begun() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, stop) = (router.clone(), shutdown.clone());
                shutdown.spawn(async move {
                    connection(stream, router, stop).await;
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn Error,
                    "Could not accept a connection"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, shutdown: Shutdown) {
    // Answers are small: waiting to fill a packet only delays them.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.begun() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection => result,
                () = shutdown.aborted() => return,
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(
            error = &error as &dyn Error,
            "A connection ended with an error"
        );
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_finish_its_header_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let listener = Arc::new(listener);
        shutdown.spawn(serve(listener, Router::new(), shutdown.clone()));
        let start = Instant::now();

        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        let mut answer = Vec::new();
        slow.read_to_end(&mut answer).await.unwrap();

        assert!(start.elapsed() >= HEADER_TIMEOUT);
        assert!(start.elapsed() < HEADER_TIMEOUT * 2);
    }
}
