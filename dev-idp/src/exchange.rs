//! What went over the wire, with every secret masked.

mod mask;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::broadcast;

use crate::fault::{Endpoint, Fault};
use crate::token;

/// Exchanges kept; the oldest go first.
const KEPT: usize = 10_000;

/// Which way a request went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// Somebody called this provider.
    Received,
    /// This provider fetched a client's JWK Set.
    Fetched,
}

/// One request and its answer. Secrets are masked, so it may be shown and logged.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When the request came, on the provider's clock.
    pub at: Timestamp,
    /// Which way the request went.
    pub direction: Direction,
    /// Where it went; [`Endpoint::Any`] for a fetch and for what is not an endpoint.
    pub endpoint: Endpoint,
    /// The HTTP method.
    pub method: String,
    /// Path and query, the values of the query masked except `client_id`; of a fetch the URL.
    pub target: String,
    /// `Bearer #` and a fingerprint, by which a token is recognised and not learnt; another
    /// scheme by its name.
    pub authorization: Option<String>,
    /// The status sent; `None`: the connection was closed, or the fetch got no answer.
    pub status: Option<u16>,
    /// The body that came, forms as an object. A client assertion is shown as its header and
    /// claims, without the signature; a code and its verifier by their fingerprints.
    pub request: Value,
    /// The body that was answered, or would have been.
    pub answer: Value,
    /// The faults that happened to it.
    pub faults: Vec<Fault>,
    /// Whether it asked to change a registration (RFC 7591, RFC 7592).
    pub write: bool,
    /// The true reason of a refusal that the caller is told less about.
    pub note: Option<String>,
}

impl Exchange {
    pub(crate) fn received(
        at: Timestamp,
        endpoint: Endpoint,
        parts: &Parts,
        body: &[u8],
        faults: &[Fault],
    ) -> Self {
        let authorization = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .map(|value| match value.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                    format!("{scheme} #{}", token::fingerprint(token))
                }
                Some((scheme, _)) => scheme.to_owned(),
                None => "?".to_owned(),
            });
        Self {
            at,
            direction: Direction::Received,
            endpoint,
            method: parts.method.to_string(),
            target: mask::target(&parts.uri),
            authorization,
            status: None,
            request: mask::request(&parts.headers, body),
            answer: Value::Null,
            faults: faults.to_vec(),
            write: endpoint.writes(),
            note: None,
        }
    }

    pub(crate) fn fetched(at: Timestamp, url: &str, status: Option<u16>) -> Self {
        Self {
            at,
            direction: Direction::Fetched,
            endpoint: Endpoint::Any,
            method: "GET".to_owned(),
            target: url.to_owned(),
            authorization: None,
            status,
            request: Value::Null,
            answer: Value::Null,
            faults: Vec::new(),
            write: false,
            note: None,
        }
    }

    pub(crate) fn answered(&mut self, status: Option<StatusCode>, body: &[u8]) {
        self.status = status.map(|status| status.as_u16());
        self.answer = mask::answer(body);
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self
            .status
            .map_or_else(|| "closed".to_owned(), |status| status.to_string());
        let arrow = match self.direction {
            Direction::Received => "<-",
            Direction::Fetched => "->",
        };
        write!(
            f,
            "{:.3} {arrow} {} {} {status}",
            self.at, self.method, self.target
        )?;
        if let Some(client) = self.client_id() {
            write!(f, " client={client:?}")?;
        }
        if let Some(error) = self.answer.get("error").and_then(Value::as_str) {
            write!(f, " error={error}")?;
        }
        if let Some(description) = self.answer.get("error_description") {
            write!(f, " {description}")?;
        }
        if let Some(note) = &self.note {
            write!(f, " reason={note:?}")?;
        }
        for fault in &self.faults {
            let json = serde_json::to_string(fault).map_err(|_| fmt::Error)?;
            write!(f, " fault={json}")?;
        }
        Ok(())
    }
}

impl Exchange {
    fn client_id(&self) -> Option<&str> {
        [&self.answer, &self.request]
            .into_iter()
            .find_map(|body| body.get("client_id")?.as_str())
    }
}

/// All exchanges so far, and a stream of those to come.
#[derive(Debug)]
pub(crate) struct Journal {
    kept: Mutex<VecDeque<Exchange>>,
    live: broadcast::Sender<Exchange>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            kept: Mutex::default(),
            live: broadcast::Sender::new(1024),
        }
    }

    pub(crate) fn record(&self, exchange: Exchange) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(exchange.clone());
        // An error only says that nobody is listening.
        self.live.send(exchange).ok();
    }

    pub(crate) fn all(&self) -> Vec<Exchange> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Exchange> {
        self.live.subscribe()
    }
}
