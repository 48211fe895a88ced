//! Keys, the state, files and rotations.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use openssl::error::ErrorStack;

use super::{Entry, Samples, samples, section};
use crate::app::{KeysError, OpenAppError, Panicked, ReencryptError};
use crate::cli::Failure;
use crate::disk::NotAFile;
use crate::jose::{Algorithm, KeyType, Kid, LoadKeyError, MakeKeyError, SignError, SigningKey};
use crate::keyring::{NoRoom, TooSoon};
use crate::local_files::{OpenError, OutletError};
use crate::rotator::RotateError;
use crate::service::ServiceError;
use crate::state::{Rev, RingRefusal};
use crate::store::{
    BOTH_BAD, BadDocument, CommitError, FULL, KEY_MISSING, KEY_READABLE, KeyStoreError, LoadError,
    Place, READABLE, WRITABLE,
};

const STATE: &str = "/var/lib/bff/state.json";
const KEY: &str = "/var/lib/bff/keys/key-1.pem";

pub(super) fn messages() -> String {
    [
        section(open_app(), |error| Entry::of(error).hint(error.hint())),
        section(open(), |error| {
            let class = ServiceError::Open(again(error).into()).class();
            Entry::of(error).hint(error.hint()).class(class)
        }),
        section(load(), |error| Entry::of(error).hint(error.hint())),
        section(bad_document(), |error| Entry::of(error)),
        section(commit(), |error| Entry::of(error).hint(error.hint())),
        section(key_store(), |error| Entry::of(error).hint(error.hint())),
        section(keys(), |error| Entry::of(error).hint(error.hint())),
        section(load_key(), |error| Entry::of(error).hint(error.hint())),
        section(reencrypt(), |error| Entry::of(error).hint(error.hint())),
        section(rotate(), |error| Entry::of(error).hint(error.hint())),
        section(ring(), |error| {
            let error = RotateError::from(error.clone());
            Entry::of(&error).hint(error.hint())
        }),
        section(outlet(), |error| Entry::of(error).hint(error.hint())),
        section(single(), |text| Entry::text(text.clone())),
        exits(),
    ]
    .concat()
}

fn denied() -> io::Error {
    io::Error::from_raw_os_error(13)
}

fn kid() -> Kid {
    "key-1".parse().unwrap()
}

fn place(path: &str) -> Place {
    Place::file(Path::new(path))
}

pub(super) fn not_committed() -> CommitError {
    CommitError::NotCommitted {
        place: place(STATE),
        source: io::Error::from_raw_os_error(28),
        hint: FULL,
    }
}

pub(super) fn locked() -> OpenError {
    OpenError::Locked {
        path: PathBuf::from("/var/lib/bff/bff.lock"),
        owner: "process 17 on host-a".to_owned(),
    }
}

fn full() -> NoRoom {
    NoRoom {
        published: 3,
        until: "2026-01-02T03:04:05Z".parse().unwrap(),
    }
}

fn make() -> MakeKeyError {
    MakeKeyError(ErrorStack::get())
}

fn open_app() -> Samples<OpenAppError> {
    samples!(OpenAppError {
        Keys: [KeysError::KeyOfClientMissing.into()]
        Load: [unreadable().into()]
        Open: [locked().into()]
    })
}

fn open() -> Samples<OpenError> {
    let unusable = |code| OpenError::Unusable {
        path: PathBuf::from("/var/lib/bff"),
        source: io::Error::from_raw_os_error(code),
    };
    samples!(OpenError {
        Group: [OpenError::Group { group: 1234 }]
        Locked: [locked()]
        Unusable: [unusable(13), unusable(17)]
    })
}

/// One of the same variant, which has the same class.
fn again(error: &OpenError) -> OpenError {
    match error {
        OpenError::Group { group } => OpenError::Group { group: *group },
        _ => locked(),
    }
}

fn unreadable() -> LoadError {
    LoadError::Unreadable {
        place: place(STATE),
        source: denied(),
        hint: READABLE,
    }
}

fn load() -> Samples<LoadError> {
    samples!(LoadError {
        BothBad: [LoadError::BothBad {
            place: place(STATE),
            current: BadDocument::Checksum,
            previous: BadDocument::Missing,
            hint: BOTH_BAD,
        }]
        NewerContents: [LoadError::NewerContents { place: place(STATE) }]
        NewerVersion: [LoadError::NewerVersion { place: place(STATE), version: 9 }]
        Unreadable: [
            unreadable(),
            LoadError::Unreadable {
                place: place(STATE),
                source: io::Error::other(NotAFile),
                hint: NotAFile::HINT,
            },
        ]
    })
}

fn bad_document() -> Samples<BadDocument> {
    samples!(BadDocument {
        Checksum: [BadDocument::Checksum]
        Contents: [BadDocument::Contents]
        Missing: [BadDocument::Missing]
        Parse: [BadDocument::Parse("EOF while parsing an object at line 1 column 1".to_owned())]
        Version: [BadDocument::Version(9)]
    })
}

fn commit() -> Samples<CommitError> {
    samples!(CommitError {
        Conflict: [CommitError::Conflict { base: Rev::default(), found: Rev::default().next() }]
        NotCommitted: [not_committed()]
        Unknown: [CommitError::Unknown {
            place: place(STATE),
            source: io::Error::from_raw_os_error(5),
            hint: WRITABLE,
        }]
    })
}

fn missing() -> KeyStoreError {
    KeyStoreError::Missing {
        place: place(KEY),
        hint: KEY_MISSING,
    }
}

fn key_store() -> Samples<KeyStoreError> {
    samples!(KeyStoreError {
        Exists: [KeyStoreError::Exists { place: place(KEY) }]
        Missing: [missing()]
        Unreadable: [KeyStoreError::Unreadable {
            place: place(KEY),
            source: denied(),
            hint: KEY_READABLE,
        }]
        Unwritable: [KeyStoreError::Unwritable {
            place: place(KEY),
            source: denied(),
            hint: WRITABLE,
        }]
    })
}

fn keys() -> Samples<KeysError> {
    let directory = || PathBuf::from("/var/lib/bff/keys");
    let path = || PathBuf::from("/etc/bff/signing.pem");
    let damaged = |source| KeysError::Damaged { kid: kid(), source };
    samples!(KeysError {
        Commit: [not_committed().into()]
        Damaged: [
            damaged(LoadKeyError::BadPassphrase),
            damaged(LoadKeyError::Damaged { label: "PRIVATE KEY".to_owned() }),
        ]
        Exchanged: [KeysError::Exchanged { kid: kid() }]
        File: [KeysError::File { kid: kid(), source: missing() }]
        Import: [KeysError::Import {
            path: path(),
            source: LoadKeyError::SeveralKeys { count: 2 },
        }]
        KeyOfClientMissing: [KeysError::KeyOfClientMissing]
        Make: [make().into()]
        Refused: [RingRefusal::KeyExists.into()]
        Strays: [KeysError::Strays {
            directory: directory(),
            names: vec!["old".to_owned(), "older".to_owned()],
        }]
        Unlisted: [KeysError::Unlisted { directory: directory(), source: denied() }]
        Unreadable: [
            KeysError::Unreadable { path: path(), source: io::Error::from_raw_os_error(2) },
            KeysError::Unreadable { path: path(), source: denied() },
        ]
        Unwritable: [KeysError::Unwritable { path: path(), source: denied() }]
    })
}

fn load_key() -> Samples<LoadKeyError> {
    let of = |text: &str| SigningKey::from_pem(text.as_bytes(), None, None, None).unwrap_err();
    samples!(LoadKeyError {
        AlgorithmMismatch: [LoadKeyError::AlgorithmMismatch {
            alg: Algorithm::RS256,
            key_type: KeyType::P256,
        }]
        BadPassphrase: [LoadKeyError::BadPassphrase]
        Damaged: [LoadKeyError::Damaged { label: "PRIVATE KEY".to_owned() }]
        NoPem: [of("\u{0}\u{1}\u{2}"), of(""), of("{}"), of("some text")]
        NoPrivateKey: [
            LoadKeyError::NoPrivateKey { label: "CERTIFICATE".to_owned() },
            LoadKeyError::NoPrivateKey { label: "OPENSSH PRIVATE KEY".to_owned() },
        ]
        OpenSshEd25519: [LoadKeyError::OpenSshEd25519]
        PassphraseMissing: [LoadKeyError::PassphraseMissing]
        SeveralKeys: [LoadKeyError::SeveralKeys { count: 2 }]
        Unsound: [LoadKeyError::Unsound]
        Unsupported: [LoadKeyError::Unsupported { found: "a DSA key".to_owned() }]
    })
}

fn reencrypt() -> Samples<ReencryptError> {
    samples!(ReencryptError {
        Key: [KeysError::Exchanged { kid: kid() }.into()]
        Load: [unreadable().into()]
        Open: [locked().into()]
        Passphrase: [ReencryptError::Passphrase { kid: kid() }]
    })
}

fn rotate() -> Samples<RotateError> {
    let under_way = |seconds_left| RotateError::UnderWay {
        kid: kid(),
        seconds_left,
    };
    samples!(RotateError {
        CannotPublish: [RotateError::CannotPublish]
        CannotReplace: [RotateError::CannotReplace]
        Commit: [not_committed().into()]
        Keys: [KeysError::File { kid: kid(), source: missing() }.into()]
        Make: [make().into()]
        NoRoom: [RotateError::NoRoom(full())]
        Panicked: [Panicked.into()]
        Refused: [RotateError::Refused(RingRefusal::Used(kid()))]
        UnderWay: [under_way(None), under_way(Some(0)), under_way(Some(90))]
    })
}

fn ring() -> Samples<RingRefusal> {
    samples!(RingRefusal {
        ClientExists: [RingRefusal::ClientExists]
        KeyExists: [RingRefusal::KeyExists]
        NoPreviousKey: [RingRefusal::NoPreviousKey]
        NoRing: [RingRefusal::NoRing]
        NoRoom: [full().into()]
        NotUnderWay: [RingRefusal::NotUnderWay]
        NothingToRetire: [RingRefusal::NothingToRetire]
        OtherKey: [RingRefusal::OtherKey { expected: kid(), found: "key-2".parse().unwrap() }]
        TooSoon: [TooSoon { remaining: Duration::from_secs(90) }.into()]
        UnderWay: [RingRefusal::UnderWay(kid())]
        Used: [RingRefusal::Used(kid())]
    })
}

fn outlet() -> Samples<OutletError> {
    let of = |code, setting| {
        let path = Path::new("/srv/app/client.json");
        OutletError::of(path, io::Error::from_raw_os_error(code), setting)
    };
    (
        "OutletError",
        vec![
            ("AlreadyExists", of(17, "BFF_CLIENT_CRED_PATH")),
            ("ResourceBusy", of(16, "BFF_CLIENT_CRED_PATH")),
            ("PermissionDenied", of(13, "BFF_KEYS_DIR")),
        ],
    )
}

/// Errors that are no enums.
fn single() -> Samples<String> {
    (
        "Others",
        vec![
            ("InvalidKid", "".parse::<Kid>().unwrap_err().to_string()),
            (
                "UnknownAlgorithm",
                "HS256".parse::<Algorithm>().unwrap_err().to_string(),
            ),
            ("NotAFile", NotAFile.to_string()),
            ("SignError", unsigned().to_string()),
        ],
    )
}

pub(super) fn unsigned() -> SignError {
    let signs = SigningKey::generate(Algorithm::ES256).unwrap().named(kid());
    signs.unsigned(&ErrorStack::get())
}

/// What a command makes of errors that have no class.
fn exits() -> String {
    type Sample = fn() -> Failure;

    let of = |failure: Failure| Entry {
        hint: failure.hint,
        ..Entry::text(format!("{:#}", failure.error)).exit(failure.exit)
    };
    let samples: Vec<(&str, Sample)> = vec![
        ("LoadError", || unreadable().into()),
        ("LoadError", || {
            LoadError::NewerContents {
                place: place(STATE),
            }
            .into()
        }),
        ("KeyStoreError", || missing().into()),
        ("ReencryptError", || ReencryptError::from(locked()).into()),
        ("ReencryptError", || {
            ReencryptError::Passphrase { kid: kid() }.into()
        }),
        ("io::Error", || denied().into()),
    ];
    section(("Failure", samples), |sample| of(sample()))
}
