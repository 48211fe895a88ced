//! Why a request is refused before anything is done.

use axum::http::StatusCode;

/// Why a request is refused, whatever it orders.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The body is cut off, or too long.
    #[error("the body must be complete and at most 16 KiB")]
    BodyCut,
    /// The body comes too slowly.
    #[error("the request was not received within 10 s")]
    BodyLate,
    /// There is no method of that name.
    #[error("method not allowed; see the Allow header")]
    Method,
    /// Nobody may order anything.
    #[error("no administrator's token is configured")]
    NoAdminToken,
    /// The answer takes too long.
    #[error("the IdP or the disk has not answered within 10 s")]
    NoAnswer,
    /// There is nothing there.
    #[error("no such resource")]
    NotFound,
    /// A credential is missing, or not accepted.
    #[error("the administrator's token is missing, or is not the configured one")]
    NotAuthorized,
    /// Registration is off.
    #[error("registration is off")]
    RegistrationOff,
    /// Something failed that nobody foresaw.
    #[error("the request could not be carried out")]
    Server(StatusCode),
    /// The body is too long.
    #[error("the body must be at most 16 KiB")]
    TooLarge,
    /// What nobody foresaw.
    #[error("the request cannot be served")]
    Unforeseen(StatusCode),
    /// An algorithm that is not known.
    #[error("`alg` is not known")]
    UnknownAlgorithm,
    /// A mode that is not known.
    #[error("`mode` is not known")]
    UnknownMode,
    /// JSON of another form than the order.
    #[error("the body is not the order that this resource takes")]
    WrongBody {
        /// What it takes.
        allowed: &'static str,
    },
    /// What is not JSON.
    #[error("the body is not JSON")]
    NotJson {
        /// What it takes.
        allowed: &'static str,
    },
    /// Parameters where there are none, or others.
    #[error("the query is not one that this resource takes")]
    WrongQuery {
        /// What it takes.
        allowed: &'static str,
    },
}

impl Refusal {
    /// The refusal of an answer of axum or tower.
    pub(super) fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::Method,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            _ if status.is_server_error() => Self::Server(status),
            _ => Self::Unforeseen(status),
        }
    }

    /// The status of the answer (RFC 9110 §15).
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BodyCut | Self::NotJson { .. } | Self::WrongQuery { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::BodyLate => StatusCode::REQUEST_TIMEOUT,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoAdminToken => StatusCode::FORBIDDEN,
            Self::NoAnswer => StatusCode::GATEWAY_TIMEOUT,
            Self::NotAuthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::RegistrationOff => StatusCode::CONFLICT,
            Self::Server(status) | Self::Unforeseen(status) => status,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownAlgorithm | Self::UnknownMode | Self::WrongBody { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        }
    }

    /// What the caller can do now.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::BodyCut | Self::BodyLate => "send it again",
            Self::Method | Self::NotFound | Self::Unforeseen(_) => {
                "README.md lists what can be asked"
            }
            Self::NoAdminToken => "set BFF_ADMIN_TOKEN (or BFF_ADMIN_TOKEN_FILE) and restart",
            Self::NoAnswer => {
                "what was ordered may still be carried out: see /admin/status before you order it \
                 again"
            }
            Self::NotAuthorized => "send `Authorization: Bearer` with the value of BFF_ADMIN_TOKEN",
            Self::RegistrationOff => "set DCR_ENABLED and IDP_BASE_URL, then restart",
            Self::Server(_) => "the reason is in the log of the service",
            Self::TooLarge => "send less: an order is a small JSON object",
            Self::UnknownAlgorithm => {
                "it must be one of ES256, ES384, EdDSA, Ed25519, PS256, PS384, PS512, RS256, \
                 RS384, RS512"
            }
            Self::UnknownMode => "it must be `scheduled`, `now` or `compromised`",
            Self::NotJson { allowed }
            | Self::WrongBody { allowed }
            | Self::WrongQuery { allowed } => allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Algorithm;

    #[test]
    fn every_algorithm_is_named_to_who_asks_for_another() {
        for alg in Algorithm::ALL {
            assert!(
                Refusal::UnknownAlgorithm.hint().contains(alg.name()),
                "{alg}"
            );
        }
    }
}
