//! Why a rotation does not begin.

use crate::app::{KeysError, Panicked, UpdateError};
use crate::jose::{Kid, MakeKeyError};
use crate::keyring::NoRoom;
use crate::state::RingRefusal;
use crate::store::CommitError;

/// Why a rotation does not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// The IdP has the keys by value, and cannot be sent others.
    #[error(
        "the IdP has the keys by value (DCR_JWKS=value) and does not let this client change them: \
         it would never accept another key"
    )]
    CannotPublish,
    /// The same, where keys may be compromised.
    #[error(
        "the IdP has the keys by value (DCR_JWKS=value) and does not let this client change them: \
         it would go on accepting the present key, and refuse the new one"
    )]
    CannotReplace,
    /// The state could not be changed.
    #[error("the rotation cannot be stored")]
    Commit(#[from] CommitError),
    /// The new key could not be kept.
    #[error("the new key cannot be stored")]
    Keys(#[from] KeysError),
    /// The new key could not be made.
    #[error("the new key cannot be made")]
    Make(#[from] MakeKeyError),
    /// The set is full.
    #[error(transparent)]
    NoRoom(NoRoom),
    /// A task of the service panicked.
    #[error(transparent)]
    Panicked(#[from] Panicked),
    /// The state refuses it.
    #[error(transparent)]
    Refused(RingRefusal),
    /// One is under way.
    #[error("a rotation to key `{kid}` is under way{}", left(*.seconds_left))]
    UnderWay {
        /// The key that it introduces.
        kid: Kid,
        /// How long until that key may sign; not known while it is not published.
        seconds_left: Option<u64>,
    },
}

impl From<RingRefusal> for RotateError {
    fn from(refusal: RingRefusal) -> Self {
        match refusal {
            RingRefusal::NoRoom(error) => Self::NoRoom(error),
            RingRefusal::UnderWay(kid) => Self::UnderWay {
                kid,
                seconds_left: None,
            },
            refusal => Self::Refused(refusal),
        }
    }
}

impl From<UpdateError<RingRefusal>> for RotateError {
    fn from(error: UpdateError<RingRefusal>) -> Self {
        match error {
            UpdateError::Commit(error) => Self::Commit(error),
            UpdateError::Refused(refusal) => refusal.into(),
        }
    }
}

impl RotateError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::CannotPublish => {
                "set BOOTSTRAP_ADMIN_TOKEN and restart, or replace the client by one with \
                 DCR_JWKS=uri (a fresh DCR_IAT and DCR_FORCE_REPLACE=true)"
            }
            Self::CannotReplace => {
                "set BOOTSTRAP_ADMIN_TOKEN and restart; or `bff rotate --compromised \
                 --even-if-unpublished`, and give the IdP the new JWK Set by hand"
            }
            Self::Commit(error) => error.hint(),
            Self::Keys(error) => error.hint(),
            Self::Make(_) => "check that the machine has free memory and /dev/urandom",
            Self::NoRoom(_) => "wait until then, or raise BFF_JWK_MAX_KEYS and restart",
            Self::Panicked(_) => "report this as a defect of bff, with the log before it",
            Self::Refused(RingRefusal::Used(_)) => {
                "order another rotation, which makes another key"
            }
            Self::Refused(_) => "`bff rotate --show` shows where the rotation stands",
            Self::UnderWay { .. } => "`bff rotate --show` shows where it stands; wait for it",
        }
    }
}

fn left(seconds: Option<u64>) -> String {
    match seconds {
        Some(0) => ", and waits until the IdP accepts the key".to_owned(),
        Some(seconds) => format!(", for another {seconds} s at least"),
        None => String::new(),
    }
}
