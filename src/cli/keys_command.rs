//! `bff keys`.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use secrecy::zeroize::Zeroizing;
use serde_json::{Value, json};

use super::command_error::CommandError;
use super::context::{Context, stored};
use super::exit::Failure;
use super::output;
use crate::app::{self, KeyReport, Reencrypted, StatusReport};
use crate::config::{KeysConfig, OldPassphrase};
use crate::disk::HostDisk;
use crate::jose::{Algorithm, SigningKey};
use crate::local_files::write_private_file;
use crate::secret::Secret;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Makes a key and writes its PEM; prints its key ID.
    Generate(Generate),
    /// Reads a PEM and puts it where a first start looks for it; prints its key ID.
    Import(Import),
    /// Shows the keys of the client and what each is for.
    List,
    /// Writes every key file anew with the present passphrase, while the service is stopped.
    Reencrypt(Reencrypt),
}

#[derive(Args, Debug)]
pub(super) struct Generate {
    /// The algorithm the key is for (default: `BFF_SIGNING_ALG`, else ES256).
    #[arg(long)]
    alg: Option<Algorithm>,
    /// Where to write the PEM (default: `BFF_JWT_SIGNING_KEY`, else the keys directory).
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Does nothing if the file already holds a usable key.
    #[arg(long)]
    if_missing: bool,
}

#[derive(Args, Debug)]
pub(super) struct Import {
    /// The PEM to read; `-` is standard input.
    file: PathBuf,
    /// Where to write the PEM (default: `BFF_JWT_SIGNING_KEY`, else the keys directory).
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Reencrypt {
    /// Stores the keys in clear; `BFF_KEY_PASSPHRASE` has to be unset.
    #[arg(long)]
    clear: bool,
}

pub(super) fn command(context: &Context, command: &Command) -> Result<(), Failure> {
    let config = context.read::<KeysConfig>()?;
    match command {
        Command::Generate(arguments) => generate(context, &config, arguments),
        Command::Import(arguments) => import(context, &config, arguments),
        Command::List => list(context, &config),
        Command::Reencrypt(arguments) => reencrypt(context, &config, arguments),
    }
}

fn generate(context: &Context, config: &KeysConfig, arguments: &Generate) -> Result<(), Failure> {
    let alg = arguments.alg.or(config.algorithm);
    let out = arguments.out.as_ref().or(config.signing_key.as_ref());
    if let (true, Some(path)) = (arguments.if_missing, out)
        && path.exists()
    {
        let text = read(path)?;
        let key = parse(&text, config, alg, path)?;
        print_key(context, &key, path);
        return Ok(());
    }
    let key = SigningKey::generate(alg.unwrap_or(Algorithm::ES256)).map_err(CommandError::from)?;
    write(context, config, out, &key)
}

fn import(context: &Context, config: &KeysConfig, arguments: &Import) -> Result<(), Failure> {
    let text = read(&arguments.file)?;
    let key = parse(&text, config, config.algorithm, &arguments.file)?;
    let out = arguments.out.as_ref().or(config.signing_key.as_ref());
    write(context, config, out, &key)
}

fn parse(
    text: &Secret,
    config: &KeysConfig,
    alg: Option<Algorithm>,
    path: &Path,
) -> Result<SigningKey, Failure> {
    SigningKey::from_pem(
        text.expose().as_bytes(),
        config.passphrase.as_ref(),
        alg,
        config.kid.clone(),
    )
    .map_err(|source| {
        let path = path.to_path_buf();
        CommandError::UnusableKey { path, source }.into()
    })
}

fn read(path: &Path) -> Result<Secret, Failure> {
    let mut text = Zeroizing::new(Vec::new());
    let result = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut text).map(|_| ())
    } else {
        fs::read(path).map(|read| text = Zeroizing::new(read))
    };
    result.map_err(|source| {
        let path = path.to_path_buf();
        CommandError::ReadKey { path, source }
    })?;
    Ok(Secret::new(String::from_utf8_lossy(&text)))
}

fn write(
    context: &Context,
    config: &KeysConfig,
    out: Option<&PathBuf>,
    key: &SigningKey,
) -> Result<(), Failure> {
    let path = match out {
        Some(path) => path.clone(),
        None => config
            .keys_dir
            .join(format!("{}.pem", key.kid().file_stem())),
    };
    let pem = key
        .to_pem(config.passphrase.as_ref())
        .map_err(CommandError::from)?;
    if path.exists() {
        return Err(CommandError::KeyExists(path).into());
    }
    write_private_file(&path, &pem).map_err(|source| {
        let path = path.clone();
        CommandError::CannotWriteKey { path, source }
    })?;
    print_key(context, key, &path);
    Ok(())
}

fn print_key(context: &Context, key: &SigningKey, path: &Path) {
    if context.json {
        let value = json!({
            "kid": key.kid(), "alg": key.alg(), "file": path, "jwk": key.public(),
        });
        output::line(&value.to_string());
    } else {
        output::note(&format!("{} key in {}", key.alg(), path.display()));
        output::line(key.kid().as_str());
    }
}

fn list(context: &Context, config: &KeysConfig) -> Result<(), Failure> {
    let keys = StatusReport::of(&stored(config)?, None).keys;
    if context.json {
        output::line(&json!(keys).to_string());
        return Ok(());
    }
    if keys.is_empty() {
        output::note("there are no keys yet: the first start of `bff serve` imports or makes one");
        return Ok(());
    }
    for KeyReport {
        kid,
        alg,
        state,
        created_at,
        published_at,
        ..
    } in &keys
    {
        let published = published_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        output::line(&format!(
            "{:<8}  {alg:<5}  created {created_at}  published {published}  {kid}",
            state.word(),
        ));
    }
    Ok(())
}

fn reencrypt(context: &Context, config: &KeysConfig, arguments: &Reencrypt) -> Result<(), Failure> {
    let OldPassphrase(old) = context.read()?;
    if config.passphrase.is_some() == arguments.clear {
        return Err(if arguments.clear {
            CommandError::Passphrase.into()
        } else {
            CommandError::NoPassphrase.into()
        });
    }
    let disk = Arc::new(HostDisk);
    let done = app::reencrypt(disk, config, old.as_ref(), &app::owner())?;
    if context.json {
        let keys = done
            .iter()
            .map(|key| json!({"kid": key.kid, "written": key.written}));
        let keys: Value = keys.collect();
        output::line(&keys.to_string());
        return Ok(());
    }
    if done.is_empty() {
        output::note("there are no keys yet");
    }
    for Reencrypted { kid, written } in &done {
        let what = if *written { "written" } else { "unchanged" };
        output::line(&format!("{what:<9}  {kid}"));
    }
    Ok(())
}
