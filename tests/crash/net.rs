//! What lies between the program and the IdP: every request is a step.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bff::transport::HttpClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::steps::{Fault, Kind, Steps};

/// The wires of one run after the other.
#[derive(Debug)]
pub(crate) struct Wires {
    /// Made once: it reads the trust anchors of the system.
    pub(crate) http: HttpClient,
    steps: Mutex<Option<Arc<Steps>>>,
    jwks: Mutex<Option<Vec<u8>>>,
    posts: Mutex<Vec<Post>>,
    writes: Mutex<Vec<String>>,
}

/// One registration that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// Its `Authorization`.
    pub(crate) token: Option<String>,
    /// Whether the program has received a refusal, so that it knows the token to be unspent.
    pub(crate) refused: bool,
}

const BAD_GATEWAY: &[u8] =
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops";

impl Wires {
    pub(crate) fn new() -> Self {
        Self {
            http: HttpClient::new(None).unwrap(),
            steps: Mutex::default(),
            jwks: Mutex::default(),
            posts: Mutex::default(),
            writes: Mutex::default(),
        }
    }

    /// From now on, requests are steps of this run.
    pub(crate) fn connect(&self, steps: Option<Arc<Steps>>) {
        *lock(&self.steps) = steps;
        *lock(&self.jwks) = None;
    }

    /// What the program serves.
    pub(crate) fn publish(&self, jwks: Vec<u8>) {
        *lock(&self.jwks) = Some(jwks);
    }

    /// The registrations sent since the last call of [`Wires::forget`].
    pub(crate) fn posts(&self) -> Vec<Post> {
        lock(&self.posts).clone()
    }

    /// The changes sent, each as its method.
    pub(crate) fn writes(&self) -> Vec<String> {
        lock(&self.writes).clone()
    }

    pub(crate) fn forget(&self) {
        lock(&self.posts).clear();
        lock(&self.writes).clear();
    }

    fn step(
        &self,
        kind: Kind,
        what: impl FnOnce() -> String,
    ) -> Option<(Arc<Steps>, Option<Fault>)> {
        let steps = lock(&self.steps).clone()?;
        let fault = steps.take(kind, what);
        Some((steps, fault))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listener on a free port.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Passes requests on to `idp`.
pub(crate) async fn proxy(listener: TcpListener, idp: SocketAddr, wires: Arc<Wires>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let wires = Arc::clone(&wires);
        tokio::spawn(async move {
            // A connection that ends early is what this is about.
            drop(pass_on(stream, idp, &wires).await);
        });
    }
}

/// Serves the JWK Set.
pub(crate) async fn serve_jwks(listener: TcpListener, wires: Arc<Wires>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let wires = Arc::clone(&wires);
        tokio::spawn(async move {
            read(&mut stream).await?;
            let step = wires.step(Kind::Fetch, || "fetch of the JWK Set".to_owned());
            match step {
                Some((_, None | Some(Fault::KillAfter | Fault::KillNext))) => {}
                Some((steps, Some(Fault::KillBefore))) => {
                    steps.kill();
                    return Ok(());
                }
                _ => return Ok(()),
            }
            let Some(body) = lock(&wires.jwks).clone() else {
                return Ok(());
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await
        });
    }
}

async fn pass_on(mut stream: TcpStream, idp: SocketAddr, wires: &Wires) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let request = read(&mut stream).await?;
    let Some((steps, fault)) = wires.step(Kind::Request, || shown(&request.line)) else {
        return Ok(());
    };
    if steps.is_dead() || fault == Some(Fault::KillBefore) {
        steps.kill();
        return Ok(());
    }
    let method = request.line.split(' ').next().unwrap_or_default();
    let post = method == "POST" && request.line.contains("/dcr/register ");
    if post {
        lock(&wires.posts).push(Post {
            token: request.authorization.clone(),
            refused: false,
        });
    }
    if post || !matches!(method, "GET" | "POST") {
        lock(&wires.writes).push(method.to_owned());
    }
    if fault == Some(Fault::Fail) {
        return Ok(());
    }
    let answer = ask(idp, &request).await?;
    match fault {
        Some(Fault::KillAfter) => {
            steps.kill();
            return Ok(());
        }
        Some(Fault::FailAfter) => return Ok(()),
        Some(Fault::BadGateway) => return stream.write_all(BAD_GATEWAY).await,
        Some(Fault::KillWithin | Fault::FailWithin) => {
            stream.write_all(&answer[..answer.len() / 2]).await?;
            if fault == Some(Fault::KillWithin) {
                steps.kill();
            }
            return Ok(());
        }
        Some(Fault::KillNext) => steps.doom(),
        _ => {}
    }
    let status: u16 = std::str::from_utf8(&answer[9..12])
        .unwrap()
        .parse()
        .unwrap();
    if post && (300..500).contains(&status) {
        lock(&wires.posts).last_mut().unwrap().refused = true;
    }
    stream.write_all(&answer).await
}

struct Request {
    line: String,
    authorization: Option<String>,
    /// All of it, asking for the connection to be closed.
    bytes: Vec<u8>,
}

async fn read(stream: &mut TcpStream) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let header = |name: &str| {
        text.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let authorization = header("authorization");
    let line = text.lines().next().unwrap_or_default().to_owned();
    bytes.splice(head..head, b"\r\nconnection: close".iter().copied());
    Ok(Request {
        line,
        authorization,
        bytes,
    })
}

async fn ask(idp: SocketAddr, request: &Request) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(idp).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&request.bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// A request line without the identifiers that differ from run to run.
fn shown(line: &str) -> String {
    let line = line.trim_end_matches(" HTTP/1.1");
    match line.split_once("client-") {
        Some((before, after)) => {
            let rest = after.find('/').map_or("", |at| &after[at..]);
            format!("{before}*{rest}")
        }
        None => line.to_owned(),
    }
}
