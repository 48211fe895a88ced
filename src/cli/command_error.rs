//! What goes wrong in a command itself, and not in what it calls.

use std::io;
use std::path::PathBuf;

use super::exit::{Exit, Failure};
use crate::jose::{Kid, LoadKeyError, MakeKeyError, SignError};
use crate::transport::SendError;

/// What goes wrong in a command itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// A token without a file to be written to.
    #[error("cannot write {}", .path.display())]
    CannotWriteToken {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key without a file to be written to.
    #[error("cannot write {}", .path.display())]
    CannotWriteKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of a key that is there already.
    #[error("{} exists already", .0.display())]
    KeyExists(PathBuf),
    /// A key that cannot be made or written as PEM.
    #[error(transparent)]
    MakeKey(#[from] MakeKeyError),
    /// The log.
    #[error("cannot start the log: {0}")]
    Log(String),
    /// Nobody may ask the running service.
    #[error("a service runs here, and BFF_ADMIN_TOKEN is not set")]
    NoAdminToken,
    /// No client to sign for.
    #[error("no client is registered yet")]
    NoClient,
    /// No administrator's token of the IdP.
    #[error("there is no administrator's token{}", if *.on_standard_input { " on standard input" } else { "" })]
    NoIdpAdminToken {
        /// Whether it was to come from there.
        on_standard_input: bool,
    },
    /// No IdP.
    #[error("no IdP is configured")]
    NoIdp,
    /// The health check of this service.
    #[error("{url} answers HTTP {status}")]
    NotHealthy {
        /// What was asked.
        url: String,
        /// What was answered.
        status: u16,
    },
    /// A rotation that was waited for.
    #[error("key `{0}` does not sign, and the rotation to it is over")]
    NotPromoted(Kid),
    /// An administrator's token that is none.
    #[error("the token on standard input holds characters that a token cannot have")]
    OddIdpAdminToken,
    /// An order that failed without a word.
    #[error("the order failed in the service")]
    OrderFailed,
    /// An order of an earlier run of the service.
    #[error("the service does not know the order: it was started again meanwhile")]
    OrderForgotten,
    /// An order that is not waited for any more, because a signal came.
    #[error("stopped by {0}; the order goes on in the service")]
    OrderLeft(&'static str),
    /// An order that is not waited for any more.
    #[error("the order is still under way after {seconds} s")]
    OrderTooLong {
        /// How long it was waited for.
        seconds: u64,
    },
    /// A key file with another key than the one of the state.
    #[error("the file of key `{0}` holds another key than the one that is published")]
    OtherKey(Kid),
    /// A service of another version.
    #[error("{url} gave an answer that this version does not know: {error}")]
    OtherVersion {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        error: String,
    },
    /// A passphrase that contradicts `--clear`.
    #[error("BFF_KEY_PASSPHRASE is set")]
    Passphrase,
    /// No passphrase, and no `--clear`.
    #[error("BFF_KEY_PASSPHRASE is not set")]
    NoPassphrase,
    /// A PEM file that cannot be read.
    #[error("cannot read {}", .path.display())]
    ReadKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Registration is off.
    #[error("registration is off")]
    RegistrationOff,
    /// The service refuses the request.
    #[error("HTTP {status}: {detail}")]
    Refused {
        /// The status.
        status: u16,
        /// What it says.
        detail: String,
        /// Its own hint.
        hint: Option<String>,
    },
    /// The service does not answer.
    #[error(transparent)]
    ServiceUnreachable(#[from] SendError),
    /// An assertion that cannot be made.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A signal.
    #[error("stopped by {0}")]
    Stopped(&'static str),
    /// A file for a token that is there already.
    #[error("{} exists already", .0.display())]
    TokenFileExists(PathBuf),
    /// A PEM that is not a usable key.
    #[error("{} cannot be used as a signing key", .path.display())]
    UnusableKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LoadKeyError,
    },
}

impl CommandError {
    /// How the command ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Log(_)
            | Self::NoAdminToken
            | Self::NoIdp
            | Self::NoIdpAdminToken { .. }
            | Self::NoPassphrase
            | Self::OddIdpAdminToken
            | Self::Passphrase
            | Self::RegistrationOff
            | Self::UnusableKey { .. } => Exit::Configuration,
            Self::Refused {
                status: 401 | 403, ..
            } => Exit::NotAccepted,
            Self::OrderTooLong { .. }
            | Self::Refused {
                status: 502 | 504, ..
            } => Exit::Unavailable,
            _ => Exit::Failure,
        }
    }

    /// What an operator can do now.
    pub(crate) fn hint(&self) -> &str {
        match self {
            Self::CannotWriteToken { .. } => {
                "choose a directory that can be written, then mint another token"
            }
            Self::CannotWriteKey { .. } => {
                "name a file with --out in a directory that can be written"
            }
            Self::KeyExists(_) => {
                "a key file is never replaced: name another file with --out, or use --if-missing"
            }
            Self::MakeKey(_) | Self::Sign(_) => {
                "check that the machine has free memory and /dev/urandom"
            }
            Self::Log(_) => "check BFF_LOG",
            Self::NoAdminToken => "set BFF_ADMIN_TOKEN (or BFF_ADMIN_TOKEN_FILE) to the service's",
            Self::NoClient => {
                "let `bff serve` register one; BFF_KEYS_DIR and BFF_STATE_DIR name where it is kept"
            }
            Self::NoIdp => "set IDP_BASE_URL",
            Self::NoIdpAdminToken { .. } | Self::OddIdpAdminToken => {
                "set BOOTSTRAP_ADMIN_TOKEN or BOOTSTRAP_ADMIN_TOKEN_FILE, or give the token on \
                 standard input"
            }
            Self::NoPassphrase => {
                "set it (or BFF_KEY_PASSPHRASE_FILE), or store the keys in clear with --clear"
            }
            Self::NotHealthy { .. } => "/healthz and the log of `bff serve` name the cause",
            Self::NotPromoted(_) => "`bff status` shows what happened",
            Self::OrderFailed => "`bff status` and the log say more",
            Self::OrderForgotten | Self::Stopped(_) => {
                "`bff status` shows what was done; run the command again to go on"
            }
            Self::OrderLeft(_) => "`bff status` shows how it goes on",
            Self::OrderTooLong { .. } => {
                "`bff status` shows how it goes on; BFF_BOOTSTRAP_TIMEOUT says how long it is tried"
            }
            Self::OtherKey(_) => "restore the file from a backup of BFF_KEYS_DIR",
            Self::OtherVersion { .. } => "run the same version as the service",
            Self::Passphrase => "unset it, or leave out --clear",
            Self::ReadKey { .. } => "name a PEM file that can be read",
            Self::Refused { status: 401, .. } => {
                "set BFF_ADMIN_TOKEN to the value that the service was started with"
            }
            Self::Refused { hint, .. } => hint
                .as_deref()
                .unwrap_or("`bff status` and the log say more"),
            Self::RegistrationOff => "set IDP_BASE_URL, and DCR_ENABLED=true if it is false",
            Self::ServiceUnreachable(_) => {
                "start `bff serve`, or set BFF_LISTEN or BFF_ADMIN_LISTEN to where it listens"
            }
            Self::TokenFileExists(_) => {
                "name another file with --out, or remove that one: nothing was minted"
            }
            Self::UnusableKey { source, .. } => source.hint(),
        }
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let (exit, hint) = (error.exit(), error.hint().to_owned());
        Self::new(exit, error, hint)
    }
}
