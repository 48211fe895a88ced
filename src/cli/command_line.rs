//! The commands and their flags.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use super::context::Context;
use super::exit::Exit;
use super::{
    assertion_command, healthcheck_command, keys_command, mint_iat_command, register_command,
    rotate_command, serve_command, status_command,
};
use crate::config::{Env, Overrides};

/// Owns an OAuth client's identity: its keys, its JWK Set, its registration.
#[derive(Debug, Parser)]
#[command(
    name = "bff",
    version,
    max_term_width = 100,
    after_help = "Settings come from the environment and from config/bff.toml, which documents \
                  them all. Secrets are never flags: use the environment, NAME_FILE or standard \
                  input.\n\nExit codes: 0 done; 1 failed; 64 wrong command line; 69 IdP \
                  unavailable; 77 a token or key was not accepted; 78 configuration."
)]
struct Cli {
    /// The TOML file to read instead of config/bff.toml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Prints for programs: JSON on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service; this is the default.
    Serve(serve_command::Arguments),
    /// Mints an initial access token at the IdP and prints it, and nothing else.
    MintIat(mint_iat_command::Arguments),
    /// Registers or updates the client now, through the running service if there is one.
    Register(register_command::Arguments),
    /// Shows keys, registration and what happened.
    Status,
    /// Has the running service replace the key that signs.
    Rotate(rotate_command::Arguments),
    /// Makes, lists or imports signing keys.
    #[command(subcommand)]
    Keys(keys_command::Command),
    /// Asks the service on this machine whether it is ready: exits 0 or 1.
    Healthcheck(healthcheck_command::Arguments),
    /// Prints a client assertion of the stored client, good for one request in 60 seconds.
    Assertion(assertion_command::Arguments),
}

/// Runs the program with the arguments and the environment of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that was asked for goes to standard output, and is not an error.
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            drop(error.print());
            return if asked {
                Exit::Success
            } else {
                Exit::CommandLine
            }
            .into();
        }
    };
    let context = Context {
        env: Env::process(),
        config: cli.config,
        overrides: Overrides::default(),
        json: cli.json,
    };
    let result = match cli.command {
        None => serve_command::command(context, &serve_command::Arguments::default()),
        Some(Command::Serve(arguments)) => serve_command::command(context, &arguments),
        Some(Command::MintIat(arguments)) => mint_iat_command::command(&context, &arguments),
        Some(Command::Register(arguments)) => register_command::command(&context, &arguments),
        Some(Command::Status) => status_command::command(&context),
        Some(Command::Rotate(arguments)) => rotate_command::command(&context, &arguments),
        Some(Command::Keys(command)) => keys_command::command(&context, &command),
        Some(Command::Healthcheck(arguments)) => healthcheck_command::command(&context, &arguments),
        Some(Command::Assertion(arguments)) => assertion_command::command(&context, &arguments),
    };
    match result {
        Ok(()) => Exit::Success.into(),
        Err(failure) => {
            failure.report();
            failure.exit.into()
        }
    }
}
