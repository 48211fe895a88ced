//! What the commands and the HTTP interface say by themselves.

use std::io;
use std::path::PathBuf;

use super::{Entry, Samples, samples, section};
use crate::cli::CommandError;
use crate::http::Refusal;
use crate::jose::{LoadKeyError, MakeKeyError};
use crate::transport::{FailureCause, SendError};

pub(super) fn messages() -> String {
    [
        section(commands(), |error| {
            Entry::of(error).hint(error.hint()).exit(error.exit())
        }),
        section(refusals(), |refusal| {
            Entry::of(refusal)
                .hint(refusal.hint())
                .status(refusal.status().as_u16())
        }),
    ]
    .concat()
}

fn commands() -> Samples<CommandError> {
    let path = || PathBuf::from("keys/bff.pem");
    let denied = || io::Error::from_raw_os_error(13);
    let kid = || "k1".parse().unwrap();
    let refused = |status, hint: Option<&str>| CommandError::Refused {
        status,
        detail: "what it says".to_owned(),
        hint: hint.map(str::to_owned),
    };
    samples!(CommandError {
        CannotWriteKey: [CommandError::CannotWriteKey { path: path(), source: denied() }]
        CannotWriteToken: [CommandError::CannotWriteToken { path: path(), source: denied() }]
        KeyExists: [CommandError::KeyExists(path())]
        Log: [CommandError::Log("invalid filter directive".to_owned())]
        MakeKey: [MakeKeyError(openssl::error::ErrorStack::get()).into()]
        NoAdminToken: [CommandError::NoAdminToken]
        NoClient: [CommandError::NoClient]
        NoIdp: [CommandError::NoIdp]
        NoIdpAdminToken: [
            CommandError::NoIdpAdminToken { on_standard_input: false },
            CommandError::NoIdpAdminToken { on_standard_input: true },
        ]
        NoPassphrase: [CommandError::NoPassphrase]
        NotHealthy: [CommandError::NotHealthy {
            url: "http://127.0.0.1:8000/readyz".to_owned(),
            status: 503,
        }]
        NotPromoted: [CommandError::NotPromoted(kid())]
        OddIdpAdminToken: [CommandError::OddIdpAdminToken]
        OrderFailed: [CommandError::OrderFailed]
        OrderForgotten: [CommandError::OrderForgotten]
        OrderLeft: [CommandError::OrderLeft("SIGTERM")]
        OrderTooLong: [CommandError::OrderTooLong { seconds: 120 }]
        OtherKey: [CommandError::OtherKey(kid())]
        OtherVersion: [CommandError::OtherVersion {
            url: "http://127.0.0.1:8000/admin/status".to_owned(),
            error: "missing field `keys` at line 1 column 2".to_owned(),
        }]
        Passphrase: [CommandError::Passphrase]
        ReadKey: [CommandError::ReadKey { path: path(), source: denied() }]
        Refused: [
            refused(401, None),
            refused(403, Some("its own hint")),
            refused(409, Some("its own hint")),
            refused(500, None),
            refused(504, None),
        ]
        RegistrationOff: [CommandError::RegistrationOff]
        ServiceUnreachable: [CommandError::ServiceUnreachable(SendError::NotSent {
            url: "http://127.0.0.1:8000/admin/status".to_owned(),
            source: io::Error::from_raw_os_error(111).into(),
            cause: FailureCause::Refused,
        })]
        Sign: [super::keys::unsigned().into()]
        Stopped: [CommandError::Stopped("SIGTERM")]
        TokenFileExists: [CommandError::TokenFileExists(PathBuf::from("iat"))]
        UnusableKey: [CommandError::UnusableKey { path: path(), source: LoadKeyError::PassphraseMissing }]
    })
}

fn refusals() -> Samples<Refusal> {
    use axum::http::StatusCode;
    let allowed = "what is allowed";
    samples!(Refusal {
        BodyCut: [Refusal::BodyCut]
        BodyLate: [Refusal::BodyLate]
        Method: [Refusal::Method]
        NoAdminToken: [Refusal::NoAdminToken]
        NoAnswer: [Refusal::NoAnswer]
        NotAuthorized: [Refusal::NotAuthorized]
        NotFound: [Refusal::NotFound]
        NotJson: [Refusal::NotJson { allowed }]
        RegistrationOff: [Refusal::RegistrationOff]
        Server: [Refusal::Server(StatusCode::INTERNAL_SERVER_ERROR)]
        TooLarge: [Refusal::TooLarge]
        Unforeseen: [Refusal::Unforeseen(StatusCode::LENGTH_REQUIRED)]
        UnknownAlgorithm: [Refusal::UnknownAlgorithm]
        UnknownMode: [Refusal::UnknownMode]
        WrongBody: [Refusal::WrongBody { allowed }]
        WrongQuery: [Refusal::WrongQuery { allowed }]
    })
}
