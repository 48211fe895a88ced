//! How the story shows what happens: exchanges with the provider, and the log of `bff`.

use std::io;
use std::pin::pin;
use std::time::Duration;

use console::{Style, style};
use dev_idp::{Direction, Endpoint, Exchange};
use reqwest::StatusCode;
use serde_json::Value;
use tracing::Level;

use crate::events::Event;
use crate::story::Story;

/// Time between two looks at the events.
const LOOK: Duration = Duration::from_millis(20);
/// The members of the IdP's metadata that are shown.
const METADATA: [&str; 3] = ["issuer", "registration_endpoint", "token_endpoint"];

impl Story {
    /// Shows what happens until `work` is done; `caller` sends the requests to the provider. The
    /// first request of a step is shown in full, later ones of its kind on one line.
    pub(crate) async fn watch<T>(
        &mut self,
        caller: &str,
        work: impl Future<Output = T>,
    ) -> io::Result<T> {
        let mut work = pin!(work);
        loop {
            let done = tokio::time::timeout(LOOK, &mut work).await;
            for event in self.events.take() {
                match event {
                    Event::Exchanged(exchange) => self.exchange(caller, *exchange)?,
                    Event::Logged(level, message) => self.message(level, &message)?,
                }
            }
            if let Ok(done) = done {
                return Ok(done);
            }
        }
    }

    /// Shows a request line or a status.
    pub(crate) fn show(&mut self, arrow: &str, what: &str) -> io::Result<()> {
        let first = format!("    {arrow}  ");
        self.screen.text(&Style::new(), &first, "        ", what)
    }

    fn message(&mut self, level: Level, message: &str) -> io::Result<()> {
        let look = match level {
            Level::INFO => Style::new().dim(),
            _ => Style::new().red(),
        };
        self.screen.text(&look, "    | ", "    |   ", message)
    }

    fn exchange(&mut self, caller: &str, exchange: Exchange) -> io::Result<()> {
        if exchange.direction == Direction::Fetched {
            self.fetches.push(exchange);
            return Ok(());
        }
        let first = !self.shown.contains(&exchange.endpoint);
        let Some((title, why)) = step(exchange.endpoint).filter(|_| first) else {
            self.fetches()?;
            return self.one_line(&format!("{caller} -> IdP"), &exchange);
        };
        self.shown.push(exchange.endpoint);
        self.screen.step(title, why)?;
        let request = format!("{} {}", exchange.method, exchange.target);
        self.show(&format!("{caller} -> IdP"), &request)?;
        if let Some(authorization) = &exchange.authorization {
            let header = format!("        Authorization: {authorization}");
            self.screen.line(header)?;
        }
        self.body(&exchange.request, |_, _| true)?;
        self.fetches()?;
        let status = outcome(exchange.status);
        self.show(&format!("{caller} <- IdP"), &status)?;
        self.body(&exchange.answer, |name, value| match exchange.endpoint {
            Endpoint::Discovery => METADATA.contains(&name),
            // What only repeats the request is left out.
            _ => exchange.request.get(name) != Some(value),
        })
    }

    fn fetches(&mut self) -> io::Result<()> {
        for fetch in std::mem::take(&mut self.fetches) {
            self.one_line("IdP -> bff", &fetch)?;
        }
        Ok(())
    }

    fn one_line(&mut self, arrow: &str, exchange: &Exchange) -> io::Result<()> {
        let status = outcome(exchange.status);
        let error = exchange.answer.get("error").and_then(Value::as_str);
        let error = error.unwrap_or_default();
        let what = format!("{} {}  {status} {error}", exchange.method, exchange.target);
        self.show(arrow, what.trim_end())
    }

    /// Shows some members of a JSON object, and how many others there are.
    pub(crate) fn body(
        &mut self,
        body: &Value,
        is_shown: impl Fn(&str, &Value) -> bool,
    ) -> io::Result<()> {
        let Value::Object(members) = body else {
            return Ok(());
        };
        let mut shown = members.clone();
        shown.retain(|name, value| is_shown(name, value));
        let note = match members.len() - shown.len() {
            0 => String::new(),
            others => format!("  ... and {others} more"),
        };
        self.screen.json(&Value::Object(shown), &note)
    }
}

/// A status as it is shown.
pub(crate) fn outcome(status: Option<u16>) -> String {
    match status.and_then(|status| StatusCode::from_u16(status).ok()) {
        Some(status) if status.is_success() => style(status).green().to_string(),
        Some(status) => style(status).bold().to_string(),
        None => style("no answer").red().to_string(),
    }
}

/// The step that begins with the first request to an endpoint, and the reason for it.
fn step(endpoint: Endpoint) -> Option<(&'static str, &'static str)> {
    match endpoint {
        Endpoint::Mint => Some((
            "The IdP's administrator mints an initial access token",
            "The token is good for one registration within the next ten minutes. `bff mint-iat` \
             sends the same request.",
        )),
        Endpoint::Discovery => Some((
            "bff fetches the IdP's metadata",
            "bff is given only IDP_BASE_URL, and finds the endpoints in the metadata (RFC 8414). \
             The issuer in the metadata must be exactly that URL.",
        )),
        Endpoint::Register => Some((
            "bff registers the client",
            "bff records on disk that it is about to register before it sends the request, and \
             stores the answer before it parses it: a crash at any point loses neither the \
             client nor the token. The IdP fetches the JWK Set before it answers.",
        )),
        Endpoint::Token => Some((
            "bff proves that the IdP accepts its key",
            "bff sends a client assertion that it signed with the key (RFC 7523), and an \
             authorization code that it made up. The IdP authenticates the client before it \
             looks at the code, so the error invalid_grant means that it accepts the key. To be \
             sure, bff then sends a wrong signature and a key that the IdP cannot know: both must \
             get another answer. The assertion is shown decoded and without its signature.",
        )),
        _ => None,
    }
}
