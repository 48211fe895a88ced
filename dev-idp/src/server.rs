//! The listener and its connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::front::{self, Dropped};
use crate::jwks_cache::Node;
use crate::provider::Provider;
use crate::surroundings::Surroundings;

/// Longest time for a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a graceful stop waits for requests under way.
const GRACE: Duration = Duration::from_secs(2);

/// From where the provider may be reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reach {
    /// From this machine only.
    #[default]
    Loopback,
    /// Also over private addresses, because it runs in a container.
    Container,
}

/// Whether a development identity provider may listen at `address`: on loopback; if it is asked
/// for, on private addresses inside a container, or on a network of a container engine.
///
/// # Errors
///
/// It may not; the text says what to do.
pub fn may_listen(
    address: IpAddr,
    reach: Reach,
    surroundings: &Surroundings,
) -> Result<(), String> {
    let private = match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    };
    if address.is_loopback() {
        return Ok(());
    }
    if !private && !address.is_unspecified() {
        return Err(format!(
            "a development identity provider never listens on a public address like {address}"
        ));
    }
    match reach {
        Reach::Loopback => Err(format!(
            "a development identity provider listens on loopback only, not on {address}; inside a \
             container say --container"
        )),
        Reach::Container if surroundings.in_container || surroundings.is_of_containers(address) => {
            Ok(())
        }
        Reach::Container => Err(format!(
            "--container is for a container, and this is none: there is no /.dockerenv and no \
             /run/.containerenv, and neither control group nor mounts are those of a container, \
             so others could reach {address}; listen on loopback, or on the address of a container \
             network"
        )),
    }
}

/// A listener and everything that runs for it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    tasks: TaskTracker,
    /// No new connections; those that are open finish their request.
    stop: CancellationToken,
    /// Everything ends now.
    kill: CancellationToken,
}

impl Server {
    /// Serves `router` on `listener` until stopped or dropped, as `nodes` nodes that take the
    /// connections in turn.
    ///
    /// # Errors
    ///
    /// The listener has no address.
    pub(crate) fn start(
        listener: TcpListener,
        provider: Arc<Provider>,
        router: Router,
        nodes: NonZero<Node>,
    ) -> io::Result<Self> {
        let server = Self {
            address: listener.local_addr()?,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
        };
        let tasks = server.tasks.clone();
        let stop = server.stop.clone();
        let kill = server.kill.clone();
        server.tasks.spawn(async move {
            for node in (0..nodes.get()).cycle() {
                let stream = tokio::select! {
                    () = stop.cancelled() => break,
                    accepted = listener.accept() => accepted,
                };
                match stream {
                    Ok((stream, _)) => {
                        let connection = Connection {
                            provider: Arc::clone(&provider),
                            node,
                            router: router.clone(),
                            tasks: tasks.clone(),
                            stop: stop.clone(),
                            kill: kill.clone(),
                        };
                        tasks.spawn(connection.serve(stream));
                    }
                    // Out of file descriptors, most likely: some will be closed soon.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Ok(server)
    }

    /// Finishes the requests under way, for a while, and stops.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait())
            .await
            .is_err()
        {
            self.kill.cancel();
            self.tasks.wait().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        self.kill.cancel();
    }
}

struct Connection {
    provider: Arc<Provider>,
    node: Node,
    router: Router,
    tasks: TaskTracker,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        stream.set_nodelay(true).ok();
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let answer = front::answer(
                Arc::clone(&self.provider),
                self.node,
                self.router.clone(),
                request.map(Body::new),
            );
            // A task of its own: a caller that hangs up does not undo what it asked for.
            let kill = self.kill.clone();
            let task = self
                .tasks
                .spawn(async move { kill.run_until_cancelled(answer).await });
            async move {
                match task.await {
                    Ok(Some(answer)) => answer,
                    Ok(None) | Err(_) => Err(Dropped),
                }
            }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
        );
        // An error here is a connection that ended early, which is the caller's affair.
        tokio::select! {
            ended = connection.as_mut() => return drop(ended),
            () = self.stop.cancelled() => connection.as_mut().graceful_shutdown(),
            () = self.kill.cancelled() => return,
        }
        self.kill.run_until_cancelled(connection).await;
    }
}
