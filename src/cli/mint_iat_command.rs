//! `bff mint-iat`.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use clap::Args;

use super::command_error::CommandError;
use super::context::{Context, block_on, under_signals};
use super::exit::Failure;
use super::output;
use super::standard_input::line_of_standard_input;
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
        return Err(CommandError::TokenFileExists(out.clone()).into());
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
            write_private_file(out, &contents).map_err(|source| {
                let path = out.clone();
                CommandError::CannotWriteToken { path, source }
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

fn from_standard_input() -> Result<Secret, CommandError> {
    let is_odd = |c: char| c.is_control() || c.is_whitespace();
    match line_of_standard_input() {
        None => Err(CommandError::NoIdpAdminToken {
            on_standard_input: !io::stdin().is_terminal(),
        }),
        Some(token) if token.expose().contains(is_odd) => Err(CommandError::OddIdpAdminToken),
        Some(token) => Ok(token),
    }
}
