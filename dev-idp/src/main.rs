//! The `dev-idp` program.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Parser, Subcommand};
use dev_idp::{AudiencePolicy, Config, DevIdp, Exchange, JwksCachePolicy, Reach};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

const ADMIN_TOKEN: &str = "DEV_IDP_ADMIN_TOKEN";
const ADMIN_TOKEN_FILE: &str = "DEV_IDP_ADMIN_TOKEN_FILE";
const WARNING: &str = "development identity provider: never put it on a network you do not own";

/// A development identity provider: dynamic client registration and the token endpoint, with
/// faults on demand.
///
/// The admin token comes from `DEV_IDP_ADMIN_TOKEN` or the file that `DEV_IDP_ADMIN_TOKEN_FILE`
/// names.
#[derive(Parser)]
#[command(version, verbatim_doc_comment, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Exits 0 if a provider answers at this URL, else 1.
    Healthcheck {
        /// Where to ask.
        #[arg(long, default_value = "http://127.0.0.1:8002/healthz")]
        url: String,
    },
}

#[derive(Args)]
struct Serve {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8002")]
    listen: SocketAddr,
    /// Permit private addresses, because this runs in a container; refused where it does not.
    #[arg(long)]
    container: bool,
    /// Origin under which others reach it; the issuer is this and /api/oidc.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Policy and client profiles (YAML); the shipped ones without it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the clients are kept (YAML); in memory without it.
    #[arg(long, value_name = "FILE")]
    clients: Option<PathBuf>,
    /// Write a fresh initial access token there at start.
    #[arg(long, value_name = "FILE")]
    iat_out: Option<PathBuf>,
    /// Write a generated admin token there, if none is set.
    #[arg(long, value_name = "FILE")]
    admin_token_out: Option<PathBuf>,
    /// Cache of JWK Sets: none, fixed:SECONDS, honour-max-age[:MIN], refetch-on-miss[:COOLDOWN].
    #[arg(long, default_value = "refetch-on-miss", value_name = "POLICY")]
    jwks_cache: JwksCachePolicy,
    /// How many nodes take the connections in turn, each with a cache of its own.
    #[arg(long, default_value = "1", value_name = "NUMBER")]
    nodes: NonZero<usize>,
    /// Audience of client assertions: any, issuer, endpoint.
    #[arg(long, default_value = "any", value_name = "POLICY")]
    audience: AudiencePolicy,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Healthcheck { url }) => healthcheck(&url).await,
        None => serve(cli.serve).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&mut io::stderr(), format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Serve) -> anyhow::Result<()> {
    let mut builder = DevIdp::builder()
        .listen(options.listen)
        .jwks_cache(options.jwks_cache)
        .nodes(options.nodes)
        .audience(options.audience);
    if options.container {
        builder = builder.reach(Reach::Container);
    }
    if let Some(url) = options.base_url {
        builder = builder.base_url(url);
    }
    if let Some(file) = options.config {
        builder = builder.config(Config::load(&file)?);
    }
    if let Some(file) = options.clients {
        builder = builder.clients_file(file);
    }
    let admin_token = admin_token()?;
    match (&admin_token, &options.admin_token_out) {
        (Some(token), _) => builder = builder.admin_token(token),
        // Whoever read the file before a restart holds the same token afterwards.
        (None, Some(file)) => {
            if let Some(token) = kept_secret(file) {
                builder = builder.admin_token(&token);
            }
        }
        (None, None) => bail!(
            "no admin token: set {ADMIN_TOKEN} or {ADMIN_TOKEN_FILE}, or let one be generated with \
             --admin-token-out FILE"
        ),
    }

    // Before anything is announced: until then a signal has its default action.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let idp = builder
        .start()
        .await
        .with_context(|| format!("cannot serve on {}", options.listen))?;
    let exchanges = idp.subscribe();
    if let (None, Some(file)) = (&admin_token, &options.admin_token_out) {
        write_secret(file, idp.admin_token())?;
    }
    if let Some(file) = &options.iat_out {
        write_secret(file, &idp.mint_iat())?;
    }
    let mut out = io::stdout();
    say(&mut out, format_args!("{WARNING}"));
    say(
        &mut out,
        format_args!("listening on {}, issuer {}", idp.address(), idp.issuer()),
    );
    tokio::select! {
        () = log(exchanges) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    idp.shutdown().await;
    say(&mut out, format_args!("stopped"));
    Ok(())
}

/// The token in `file`, if an earlier run has left one there.
fn kept_secret(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let token = text.trim();
    (token.len() >= SHORTEST_TOKEN).then(|| token.to_owned())
}

/// Shortest text that is taken for a token of an earlier run, in characters.
const SHORTEST_TOKEN: usize = 16;

/// One line for each exchange.
async fn log(mut exchanges: broadcast::Receiver<Exchange>) {
    let mut out = io::stdout();
    loop {
        match exchanges.recv().await {
            Ok(exchange) => say(&mut out, format_args!("{exchange}")),
            Err(RecvError::Lagged(missed)) => {
                say(&mut out, format_args!("({missed} exchanges not shown)"));
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn healthcheck(url: &str) -> anyhow::Result<()> {
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(3))
        .no_proxy()
        .build()?;
    let status = http.get(url).send().await?.status();
    ensure!(status.is_success(), "{url} answers {status}");
    Ok(())
}

fn admin_token() -> anyhow::Result<Option<String>> {
    let token = match (variable(ADMIN_TOKEN)?, variable(ADMIN_TOKEN_FILE)?) {
        (Some(_), Some(_)) => bail!("set {ADMIN_TOKEN} or {ADMIN_TOKEN_FILE}, not both"),
        (None, Some(file)) => {
            let text = fs::read_to_string(&file)
                .with_context(|| format!("{ADMIN_TOKEN_FILE}: cannot read {file}"))?;
            Some(text.trim().to_owned())
        }
        (token, None) => token,
    };
    if let Some(token) = &token {
        ensure!(
            token.len() >= 16,
            "the admin token is shorter than 16 characters"
        );
    }
    Ok(token)
}

/// A variable of the environment; empty is unset, as compose passes it.
#[expect(
    clippy::disallowed_methods,
    reason = "the two variables of this program, read once"
)]
fn variable(name: &str) -> anyhow::Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) => Ok((!value.is_empty()).then_some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => bail!("{name} is not UTF-8"),
    }
}

/// Writes a file that its owner alone can read, in place of one that is there.
#[expect(
    clippy::disallowed_methods,
    reason = "this program has no layer for files"
)]
fn write_secret(file: &Path, secret: &str) -> anyhow::Result<()> {
    let write = || {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        writeln!(options.open(file)?, "{secret}")
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// A closed pipe does not stop the provider.
fn say(out: &mut impl io::Write, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").ok();
}
