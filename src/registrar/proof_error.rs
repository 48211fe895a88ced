//! Why it is not shown that the IdP accepts the key.

use crate::app::{Class, NoSigner};
use crate::jose::LoadKeyError;
use crate::registration::Proof;

/// Why it is not shown that the IdP accepts the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// There is no client to authenticate as.
    #[error("there is no stored registration, and registering is switched off")]
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
                "synchronise both clocks (NTP): an assertion is valid for a minute, by the IdP's \
                 clock; then start again"
            }
            Self::Rejected {
                fetched: false,
                fresh: true,
                ..
            } => {
                "nobody has fetched our JWK Set since this start: the IdP probably cannot or will \
                 not reach BFF_BASE_URL (or DCR_JWKS_URI); make it reachable from the IdP's host, \
                 or set DCR_JWKS=value"
            }
            Self::Rejected { fetched: false, .. } => {
                "nobody has fetched our JWK Set since this start: if the IdP cannot or will not \
                 reach BFF_BASE_URL (or DCR_JWKS_URI), make it reachable from the IdP's host, or \
                 set DCR_JWKS=value; check at the IdP that the client still exists; if it does \
                 not, mint a token with `bff mint-iat` and set DCR_IAT with \
                 DCR_FORCE_REPLACE=true; if BFF_KEYS_DIR or BFF_STATE_DIR was restored, both must \
                 be from the same time"
            }
            Self::Rejected { fresh: false, .. } => {
                "the private key, the published JWK Set and the registered authentication method \
                 must match: check that the client still exists at the IdP, that the IdP can reach \
                 the JWK Set, and that BFF_KEYS_DIR and BFF_STATE_DIR are from the same time; if \
                 the client is gone, mint a token with `bff mint-iat` and set DCR_IAT with \
                 DCR_FORCE_REPLACE=true"
            }
            Self::Rejected { .. } => {
                "the private key, the published JWK Set and the registered authentication method \
                 must match: look in the IdP's log for the client assertion; \
                 BFF_ASSERTION_AUDIENCE, BFF_ASSERTION_TYPE and BFF_SIGNING_ALG change it"
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
