//! What there is in the end, and what to do with it.

use std::fs;

use anyhow::Context as _;
use bff::cli::Running;
use dev_idp::DevIdp;

use crate::screen::{INDENT, Line, Screen, Style};
use crate::stage::Files;

/// The member of `clients.yaml` that is derived from a secret.
const HASH: &str = "registration_access_token_sha256: ";

/// Shows the client, the proof, where to click and what to paste.
pub(crate) fn show(
    screen: &mut Screen,
    running: &Running,
    idp: &DevIdp,
    files: &Files,
) -> anyhow::Result<()> {
    screen.blank()?;
    screen.rule("what there is now")?;

    screen.heading(&format!(
        "The client, in the IdP's {}",
        files.short(&files.clients())
    ))?;
    for line in fs::read_to_string(files.clients())?.lines() {
        screen.line(&yaml(line))?;
    }

    let proof = running.app.status.proof().context("there is no proof")?;
    screen.heading("The proof")?;
    screen.fact("key", proof.kid.as_str())?;
    screen.fact("audience", proof.audience.as_deref().unwrap_or("?"))?;
    screen.line(
        &Line::indented(INDENT)
            .with(Style::Name, format!("{:<11} ", "outcome"))
            .with(Style::Good, proof.outcome.word()),
    )?;

    let bff = format!("http://{}", running.address);
    screen.heading("To click")?;
    screen.fact("JWK Set", &format!("{bff}/.well-known/jwks.json"))?;
    screen.fact("health", &format!("{bff}/healthz"))?;
    screen.fact("metrics", &format!("{bff}/metrics"))?;
    let discovery = format!("{}/.well-known/openid-configuration", idp.issuer());
    screen.fact("the IdP", &discovery)?;

    screen.heading("To paste")?;
    screen.line(&Line::indented(INDENT).plain(format!(
        "curl -s -H \"Authorization: Bearer $(cat {})\" \\",
        files.admin_token().display()
    )))?;
    screen.line(&Line::indented(INDENT + 2).plain(format!("{bff}/admin/status")))?;
    screen.line(&Line::indented(INDENT).plain(format!("curl -si {bff}/.well-known/jwks.json")))?;
    let log = files.directory().join(crate::log::FILE);
    screen.line(&Line::indented(INDENT).plain(format!("less {}", log.display())))?;
    Ok(())
}

/// A line of `clients.yaml`, its names and what is derived from a secret apart.
fn yaml(line: &str) -> Line {
    let start = Line::indented(INDENT);
    if let Some((before, _)) = line.split_once(HASH) {
        return start
            .plain(before)
            .with(Style::Name, HASH)
            .with(Style::Masked, "***");
    }
    match line.split_once(": ") {
        Some((name, value)) => start
            .with(Style::Name, name)
            .with(Style::Faint, ": ")
            .plain(value),
        None if line.ends_with(':') => start.with(Style::Name, line),
        None => start.plain(line),
    }
}
