//! `bff mint-iat`.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use secrecy::zeroize::Zeroizing;

use super::context::{Context, block_on, under_signals};
use super::exit::{Exit, Failure};
use super::output;
use crate::app::Shutdown;
use crate::config::MintConfig;
use crate::idp::{IdpAdminClient, MintRequest};
use crate::local_files::write_private_file;
use crate::registrar::http_client;
use crate::secret::Secret;

/// The administrator's token comes from `BOOTSTRAP_ADMIN_TOKEN`, `BOOTSTRAP_ADMIN_TOKEN_FILE` or
/// standard input.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// A name for the token in the IdP's records.
    #[arg(long, default_value = "bff")]
    label: String,
    /// Its lifetime in seconds; the IdP decides without it.
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u64>,
    /// How many registrations it is good for.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    max_uses: u32,
    /// Writes the token there, readable by its owner alone, instead of printing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn command(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let config = context.read::<MintConfig>()?;
    let admin_token = match config.idp_admin_token {
        Some(token) => token,
        None => from_standard_input()?,
    };
    // A token that could then not be written would be lost.
    if let Some(out) = &arguments.out
        && out.exists()
    {
        return Err(exists(out));
    }
    let client = IdpAdminClient::new(
        http_client(&config.idp)?,
        config.idp.admin_base_url,
        admin_token,
    );
    let wanted = MintRequest {
        label: Some(arguments.label.clone()),
        expires_in: arguments.expires_in,
        max_uses: Some(arguments.max_uses),
    };
    let mint = async move { Ok(client.mint_initial_access_token(&wanted).await?) };
    let shutdown = Shutdown::new();
    let minted = block_on(under_signals(&shutdown, mint))??;
    let token = minted.token.0;
    match &arguments.out {
        Some(out) => {
            let contents = Secret::new(format!("{}\n", token.expose()));
            write_private_file(out, &contents)
                .with_context(|| format!("cannot write {}", out.display()))
                .map_err(|error| {
                    let hint = "choose a directory that can be written, then mint another token";
                    Failure::new(Exit::Failure, error, hint)
                })?;
            output::note(&format!("wrote the token to {}", out.display()));
        }
        None => output::line(token.expose()),
    }
    if let Some(expires) = minted.expires {
        output::note(&format!("it expires at {expires}"));
    }
    Ok(())
}

fn from_standard_input() -> Result<Secret, Failure> {
    let missing = |what: &'static str| {
        Failure::new(
            Exit::Configuration,
            anyhow::anyhow!(what),
            "set BOOTSTRAP_ADMIN_TOKEN or BOOTSTRAP_ADMIN_TOKEN_FILE, or give the token on \
             standard input",
        )
    };
    if io::stdin().is_terminal() {
        return Err(missing("there is no administrator's token"));
    }
    let mut line = Zeroizing::new(String::new());
    io::stdin().read_line(&mut line)?;
    match line.trim() {
        "" => Err(missing(
            "there is no administrator's token on standard input",
        )),
        token if token.contains(|c: char| c.is_control() || c.is_whitespace()) => Err(missing(
            "the token on standard input holds characters that a token cannot have",
        )),
        token => Ok(Secret::new(token)),
    }
}

fn exists(path: &std::path::Path) -> Failure {
    Failure::new(
        Exit::Failure,
        anyhow::anyhow!("{} exists already", path.display()),
        "name another file with --out, or remove that one: nothing was minted",
    )
}
