//! What lies between the program and the IdP: every request is a step.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bff::app::PublishedJwks;
use bff::transport::HttpClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::contents::{Answer, Door, Odd};
use crate::steps::{Fault, Kind, Steps};

/// The wires of one run after the other.
#[derive(Debug)]
pub(crate) struct Wires {
    /// Made once: it reads the trust anchors of the system.
    pub(crate) http: HttpClient,
    steps: Mutex<Option<Arc<Steps>>>,
    jwks: Mutex<Option<watch::Receiver<Arc<PublishedJwks>>>>,
    posts: Mutex<Vec<Post>>,
    writes: Mutex<Vec<String>>,
    odd: Mutex<Vec<Oddity>>,
    delivered: Mutex<Vec<Delivered>>,
}

/// How answers are changed on their way.
#[derive(Clone, Debug)]
struct Oddity {
    at: Door,
    how: Odd,
    /// To how many answers this still happens; `None`: until it is mended.
    times: Option<u32>,
}

/// An answer that the program has received whole.
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    pub(crate) door: Door,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The answer as the IdP gave it.
    pub(crate) original: Vec<u8>,
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
            odd: Mutex::default(),
            delivered: Mutex::default(),
        }
    }

    /// From now on, requests are steps of this run.
    pub(crate) fn connect(&self, steps: Option<Arc<Steps>>) {
        *lock(&self.steps) = steps;
        *lock(&self.jwks) = None;
    }

    /// What the program serves.
    pub(crate) fn publish(&self, jwks: watch::Receiver<Arc<PublishedJwks>>) {
        *lock(&self.jwks) = Some(jwks);
    }

    /// The registrations sent since the last call of [`Wires::forget`].
    pub(crate) fn posts(&self) -> Vec<Post> {
        lock(&self.posts).clone()
    }

    /// The changes sent, each as its method; `mint` and `renew` to the administration.
    pub(crate) fn writes(&self) -> Vec<String> {
        lock(&self.writes).clone()
    }

    pub(crate) fn forget(&self) {
        lock(&self.posts).clear();
        lock(&self.writes).clear();
    }

    /// Changes answers on their way.
    pub(crate) fn distort(&self, at: Door, how: Odd, times: Option<u32>) {
        lock(&self.odd).push(Oddity { at, how, times });
    }

    /// Ends all that was begun with [`Wires::distort`].
    pub(crate) fn mend(&self) {
        lock(&self.odd).clear();
        lock(&self.delivered).clear();
    }

    /// What was distorted until it is mended.
    pub(crate) fn distorted(&self) -> Vec<Door> {
        lock(&self.odd).iter().map(|odd| odd.at).collect()
    }

    /// Whether something is distorted a counted number of times.
    pub(crate) fn has_counted(&self) -> bool {
        lock(&self.odd).iter().any(|odd| odd.times.is_some())
    }

    /// The answers since the last call.
    pub(crate) fn delivered(&self) -> Vec<Delivered> {
        std::mem::take(&mut lock(&self.delivered))
    }

    fn odd(&self, door: Door) -> Option<Odd> {
        let mut all = lock(&self.odd);
        let odd = all.iter_mut().find(|odd| odd.at == door)?;
        odd.times = odd.times.map(|times| times - 1);
        let how = odd.how.clone();
        all.retain(|odd| odd.times != Some(0));
        Some(how)
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
            let published = lock(&wires.jwks).clone();
            let Some(published) = published else {
                return Ok(());
            };
            let body = published.borrow().body.to_vec();
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
    let door = Door::of(&request.line);
    let administers = matches!(door, Some(Door::Mint | Door::Renew));
    if post || administers || !matches!(method, "GET" | "POST") {
        let what = match door {
            Some(Door::Mint) => "mint",
            Some(Door::Renew) => "renew",
            _ => method,
        };
        lock(&wires.writes).push(what.to_owned());
    }
    if fault == Some(Fault::Fail) {
        return Ok(());
    }
    let answer = Answer::of(&ask(idp, &request).await?);
    let original = answer.body.clone();
    let answer = match door.and_then(|door| wires.odd(door)) {
        Some(odd) => odd.applied(answer),
        None => answer,
    };
    let (status, body) = (answer.status, answer.body.clone());
    let answer = answer.bytes();
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
    // What a server or a proxy says that has not carried the request out.
    let refusal = matches!(status, 307 | 308 | 400..=407 | 409..=499);
    if post && refusal {
        lock(&wires.posts).last_mut().unwrap().refused = true;
    }
    if let Some(door) = door {
        lock(&wires.delivered).push(Delivered {
            door,
            status,
            body,
            original,
        });
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
