//! What goes over the wire, as the identity provider recorded it: without secrets.

use std::io;

use axum::http::StatusCode;
use dev_idp::{Direction, Endpoint, Exchange};
use serde_json::Value;

use crate::json;
use crate::screen::{INDENT, Line, Screen, Style};

/// The parameter that authenticates a client (RFC 7521 §4.2).
const ASSERTION: &str = "client_assertion";
/// Column at which bodies begin.
const BODY: usize = INDENT + 4;

/// Shows a request of `caller` with its answer, and in between what the provider fetched to
/// answer it.
pub(crate) fn show(
    screen: &mut Screen,
    exchange: &Exchange,
    caller: &str,
    fetches: &[Exchange],
) -> io::Result<()> {
    let (asked, answered) = telling(exchange.endpoint);
    screen.line(&request_line(exchange, caller))?;
    if let Some(authorization) = &exchange.authorization {
        let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
        screen.line(
            &Line::indented(BODY)
                .with(Style::Name, "Authorization")
                .plain(format!(": {scheme} "))
                .with(Style::Masked, token),
        )?;
    }
    body(screen, &exchange.request, asked)?;
    if let Some(assertion) = exchange.request.get(ASSERTION) {
        screen.line(
            &Line::indented(BODY)
                .with(Style::Name, ASSERTION)
                .with(Style::Faint, ", decoded and without its signature:"),
        )?;
        for part in ["header", "claims"] {
            let label = Line::indented(BODY).with(Style::Faint, format!("{part}  "));
            for line in json::lay_out(&assertion[part], label, screen.width()) {
                screen.line(&line)?;
            }
        }
    }
    for fetch in fetches {
        screen.line(&one_line(fetch, caller))?;
    }
    let answer = Line::indented(INDENT).with(Style::Faint, arrow(exchange, caller, "◀─"));
    screen.line(&with_status(answer.plain("  "), exchange.status))?;
    body(screen, &exchange.answer, answered)
}

/// An exchange in one line, with what decides it.
pub(crate) fn one_line(exchange: &Exchange, caller: &str) -> Line {
    let mut line = with_status(
        request_line(exchange, caller).with(Style::Faint, "  →  "),
        exchange.status,
    );
    if let Some(error) = exchange.answer.get("error").and_then(Value::as_str) {
        line.push(Style::Plain, format!(" {error}"));
    }
    line
}

/// Shows a request of the operator to `bff`, whole.
pub(crate) fn show_own(
    screen: &mut Screen,
    request: &str,
    sent: &Value,
    status: u16,
    answer: &Value,
) -> io::Result<()> {
    let (method, path) = request.split_once(' ').unwrap_or((request, ""));
    screen.line(
        &Line::indented(INDENT)
            .with(Style::Faint, "you ─▶ bff")
            .plain("  ")
            .with(Style::Strong, method)
            .plain(format!(" {path}")),
    )?;
    let answered = Line::indented(INDENT)
        .with(Style::Faint, "you ◀─ bff")
        .plain("  ");
    let bodies = [
        (sent, None),
        (answer, Some(with_status(answered, Some(status)))),
    ];
    for (body, line) in bodies {
        if let Some(line) = line {
            screen.line(&line)?;
        }
        if !body.is_null() {
            for line in json::lay_out(body, Line::indented(BODY), screen.width()) {
                screen.line(&line)?;
            }
        }
    }
    Ok(())
}

/// The members of a request and of its answer that tell what happens.
fn telling(endpoint: Endpoint) -> (&'static [&'static str], &'static [&'static str]) {
    match endpoint {
        Endpoint::Mint => (
            &["label", "expires_in", "max_uses"],
            &["token", "expires_at"],
        ),
        Endpoint::Discovery => (&[], &["issuer", "registration_endpoint", "token_endpoint"]),
        Endpoint::Register => (
            &[
                "client_id",
                "client_profile",
                "token_endpoint_auth_method",
                "token_endpoint_auth_signing_alg",
                "jwks_uri",
                "redirect_uris",
                "scope",
            ],
            &[
                "client_id",
                "registration_client_uri",
                "registration_access_token",
            ],
        ),
        _ => (
            &["grant_type", "code", "client_id"],
            &["error", "error_description", "access_token"],
        ),
    }
}

fn request_line(exchange: &Exchange, caller: &str) -> Line {
    Line::indented(INDENT)
        .with(Style::Faint, arrow(exchange, caller, "─▶"))
        .plain("  ")
        .with(Style::Strong, &exchange.method)
        .plain(format!(" {}", exchange.target))
}

/// Who talks to whom; of a fetch it is the provider that asks.
fn arrow(exchange: &Exchange, caller: &str, arrow: &str) -> String {
    match exchange.direction {
        Direction::Fetched => format!("IdP {arrow} bff"),
        Direction::Received => format!("{caller} {arrow} IdP"),
    }
}

fn with_status(line: Line, status: Option<u16>) -> Line {
    let Some(status) = status else {
        return line.with(Style::Bad, "no answer");
    };
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let style = if status < 300 {
        Style::Good
    } else {
        Style::Strong
    };
    line.with(style, format!("{status} {reason}"))
}

fn body(screen: &mut Screen, value: &Value, names: &[&str]) -> io::Result<()> {
    let (picked, others) = json::pick(value, names);
    if picked.as_object().is_none_or(serde_json::Map::is_empty) {
        return Ok(());
    }
    // It is shown apart.
    let others = others - usize::from(value.get(ASSERTION).is_some());
    let mut lines = json::lay_out(&picked, Line::indented(BODY), screen.width());
    if others > 0
        && let Some(last) = lines.last_mut()
    {
        let more = format!("  … {others} more");
        if last.width() + more.chars().count() > screen.width() {
            lines.push(Line::indented(BODY).with(Style::Faint, more));
        } else {
            last.push(Style::Faint, more);
        }
    }
    for line in &lines {
        screen.line(line)?;
    }
    Ok(())
}
