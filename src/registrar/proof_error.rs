//! Why it is not shown that the IdP accepts the key.

use crate::app::{Class, NoSigner};
use crate::jose::LoadKeyError;
use crate::registration::Proof;

/// Why it is not shown that the IdP accepts the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// There is no client to authenticate as.
    #[error("there is no stored registration")]
    NoClient,
    /// The key does not fit the algorithm that the IdP names.
    #[error(transparent)]
    Algorithm(#[from] LoadKeyError),
    /// There is no key to authenticate with.
    #[error(transparent)]
    NoSigner(#[from] NoSigner),
    /// The IdP does not accept the key.
    #[error("the IdP does not accept key `{}` of client `{client_id}`{}", .proof.kid, said(.proof))]
    Rejected {
        /// The client.
        client_id: String,
        /// The proof that failed.
        proof: Box<Proof>,
        /// Whether the JWK Set was fetched since the start.
        fetched: bool,
        /// Whether the client was registered just now.
        fresh: bool,
    },
    /// The IdP did not answer the proof.
    #[error("the IdP did not say whether it accepts key `{}`{}", .0.kid, said(.0))]
    Unproven(Box<Proof>),
}

impl ProofError {
    /// Who has to act.
    pub fn class(&self) -> Class {
        match self {
            Self::NoClient => Class::Configuration,
            Self::Algorithm(_) | Self::NoSigner(_) => Class::Failure,
            Self::Rejected { .. } => Class::NotAccepted,
            Self::Unproven(_) => Class::Unavailable,
        }
    }

    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoClient => {
                "set SKIP_DCR_BOOTSTRAP=false to register, or restore BFF_STATE_DIR from a backup"
            }
            Self::Algorithm(error) => error.hint(),
            Self::NoSigner(error) => error.hint(),
            Self::Rejected { proof, .. } if proof.clocks_differ => {
                "synchronise the clocks of this host and of the IdP (NTP): `exp` and `iat` of an \
                 assertion are compared with the IdP's clock"
            }
            Self::Rejected {
                fetched: false,
                fresh: true,
                ..
            } => {
                "nobody has fetched the JWK Set since this start: make BFF_BASE_URL (or \
                 DCR_JWKS_URI) reachable from the IdP, or set DCR_JWKS=value"
            }
            Self::Rejected { fetched: false, .. } => {
                "nobody has fetched the JWK Set: correct BFF_BASE_URL, or set DCR_JWKS=value; if \
                 the client is gone, set DCR_FORCE_REPLACE=true and a DCR_IAT (`bff mint-iat`)"
            }
            Self::Rejected { fresh: false, .. } => {
                "the client registered at the IdP must match our keys: check it there; to replace \
                 it, set DCR_FORCE_REPLACE=true and a DCR_IAT from `bff mint-iat`"
            }
            Self::Rejected { .. } => {
                "see the IdP's log, and set BFF_ASSERTION_AUDIENCE, BFF_ASSERTION_TYPE or \
                 BFF_SIGNING_ALG; if it reads new clients only later, set BFF_BOOTSTRAP_TIMEOUT=15m"
            }
            Self::Unproven(_) => "check the IdP's health and OIDC_TOKEN_URL, then start again",
        }
    }
}

fn said(proof: &Proof) -> String {
    match &proof.said {
        Some(said) => format!(": {said}"),
        None => String::new(),
    }
}
