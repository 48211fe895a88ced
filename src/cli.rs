//! The command line: the only module that prints.

mod assertion;
mod exit;
mod healthcheck;
mod keys;
mod mint_iat;
mod output;
mod register;
mod rotate;
mod serve;
mod service;
mod status;

pub use exit::Exit;
pub use exit::Failure;
pub use serve::Running;
pub use serve::run as serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::config::{Env, Overrides, Section, Sources};

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
    Serve(serve::Arguments),
    /// Mints an initial access token at the IdP and prints it, and nothing else.
    MintIat(mint_iat::Arguments),
    /// Registers or updates the client now, through the running service if there is one.
    Register(register::Arguments),
    /// Shows keys, registration and what happened.
    Status,
    /// Has the running service replace the key that signs.
    Rotate(rotate::Arguments),
    /// Makes, lists or imports signing keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Asks the service on this machine whether it is ready: exits 0 or 1.
    Healthcheck(healthcheck::Arguments),
    /// Prints a client assertion of the stored client, good for one request in 60 seconds.
    Assertion(assertion::Arguments),
}

/// What every command gets.
struct Context {
    env: Env,
    config: Option<PathBuf>,
    overrides: Overrides,
    json: bool,
}

impl Context {
    /// Reads the part of the configuration that a command needs.
    fn read<S: Section>(&self) -> Result<S, Failure> {
        let sources = Sources::open(&self.env, self.config.as_deref(), &self.overrides);
        let (section, warnings) = sources.read::<S>()?;
        for warning in warnings {
            output::warn(&warning.to_string());
        }
        Ok(section)
    }
}

/// Runs the program with the arguments and the environment of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that was asked for goes to standard output, and is no error.
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
        None => serve::command(context, &serve::Arguments::default()),
        Some(Command::Serve(arguments)) => serve::command(context, &arguments),
        Some(Command::MintIat(arguments)) => mint_iat::command(&context, &arguments),
        Some(Command::Register(arguments)) => register::command(&context, &arguments),
        Some(Command::Status) => status::command(&context),
        Some(Command::Rotate(arguments)) => rotate::command(&context, &arguments),
        Some(Command::Keys(command)) => keys::command(&context, &command),
        Some(Command::Healthcheck(arguments)) => healthcheck::command(&context, &arguments),
        Some(Command::Assertion(arguments)) => assertion::command(&context, &arguments),
    };
    match result {
        Ok(()) => Exit::Success.into(),
        Err(failure) => {
            failure.report();
            failure.exit.into()
        }
    }
}

/// Runs the service, on as many threads as there are processors.
fn block_on_all<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}

/// Runs what waits, for a command that does one thing.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}
