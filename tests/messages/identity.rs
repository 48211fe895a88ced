//! The IdP, the registration and the proof.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{Entry, Samples, samples, section};
use crate::app::{NoSigner, Panicked, Stopping, Unsettled};
use crate::config::{ConfigError, Origin};
use crate::idp::{DiscoveryError, IdpAdminError};
use crate::oauth::{InvalidInformation, InvalidMetadata, InvalidUrl, OAuthError};
use crate::registrar::{AdoptError, BootstrapError, EndpointsError, ProofError, RegistrationError};
use crate::registration::{Blocked, Difference, InvalidAdoptee, Proof, Refused, RefusedBecause};
use crate::service::ServiceError;
use crate::state::{ClientRefusal, RingRefusal};
use crate::store::CommitError;
use crate::transport::{ClientError, FailureCause, HttpClient, SendError};

const IDP: &str = "https://idp.example/api/oidc";
const REGISTER: &str = "https://idp.example/api/oidc/dcr/register";

pub(super) fn messages() -> String {
    let failure = |cause: FailureCause| SendError::NotSent {
        url: IDP.to_owned(),
        source: io::Error::other(cause.text().unwrap_or("the cause")).into(),
        cause,
    };
    [
        section(bootstrap(), |error| {
            Entry::of(error).hint(error.hint()).class(error.class())
        }),
        section(adopt(), |error| {
            Entry::of(error).hint(error.hint()).class(error.class())
        }),
        section(invalid_adoptee(), |error| {
            Entry::of(error).hint(error.hint())
        }),
        section(proof(), |error| {
            Entry::of(error).hint(error.hint()).class(error.class())
        }),
        section(registration(), |error| {
            Entry::of(error).hint(error.hint()).class(error.class())
        }),
        section(refusals(), |refused| {
            let refused = refused_because(*refused);
            let error = RegistrationError::Refused {
                refused,
                with_token: true,
            };
            Entry::of(&error).hint(error.hint()).class(error.class())
        }),
        section(endpoints(), |error| {
            Entry::of(error).hint(error.hint()).class(error.class())
        }),
        section(discovery(), |error| {
            let hint = error.hint();
            let class = EndpointsError::Discovery(again(error)).class();
            Entry::of(error).hint(hint).class(class)
        }),
        section(admin(), |error| Entry::of(error).hint(error.hint())),
        section(blocked(), |blocked| {
            let error = BootstrapError::Blocked(blocked.clone());
            Entry::of(&error).hint(error.hint()).class(error.class())
        }),
        section(unsettled(), |unsettled| {
            Entry::text(unsettled.to_string()).hint(unsettled.hint())
        }),
        section(causes(), |cause| {
            let error = failure(*cause);
            let entry = Entry::of(&error);
            match error.hint() {
                Some(hint) => entry.hint(hint),
                None => entry,
            }
        }),
        section(no_signer(), |error| Entry::of(error).hint(error.hint())),
        section(service(), |error| {
            Entry::of(error).hint(error.hint()).class(error.class())
        }),
        section(client_refusal(), |error| Entry::of(error)),
        // The cause is in the words of OpenSSL, with the lines of its source.
        section(client(), |error| Entry::text(error.to_string())),
        section(invalid_url(), |error| Entry::of(error)),
        section(invalid_information(), |error| Entry::of(error)),
        section(invalid_metadata(), |error| Entry::of(error)),
        section(difference(), |difference| {
            Entry::text(difference.to_string())
        }),
    ]
    .concat()
}

fn commit() -> CommitError {
    super::keys::not_committed()
}

fn bootstrap() -> Samples<BootstrapError> {
    samples!(BootstrapError {
        Adopt: [AdoptError::from(InvalidAdoptee::ClientId).into()]
        Blocked: [BootstrapError::Blocked(gone(true, false))]
        Commit: [BootstrapError::Commit(commit())]
        Endpoints: [EndpointsError::NoEndpoint { name: "token_endpoint" }.into()]
        NoToken: [BootstrapError::NoToken(Box::new(ConfigError {
            name: "DCR_IAT_FILE".to_owned(),
            origin: Origin::Environment,
            problem: "cannot read \"/run/iat\": No such file or directory".to_owned(),
        }))]
        Panicked: [BootstrapError::Panicked(Panicked)]
        Proof: [ProofError::NoClient.into()]
        Refused: [BootstrapError::Refused(ClientRefusal::NoAttempt)]
        Registration: [BootstrapError::Registration(RegistrationError::NotSent(unreachable()))]
        Stopping: [Stopping.into()]
    })
}

fn invalid_adoptee() -> Samples<InvalidAdoptee> {
    let (uri, token) = ("registration_client_uri", "registration_access_token");
    let half = |given, missing| InvalidAdoptee::Half { given, missing };
    samples!(InvalidAdoptee {
        ClientId: [InvalidAdoptee::ClientId]
        Half: [half(uri, token), half(token, uri)]
        Token: [InvalidAdoptee::Token]
        Uri: [InvalidUrl::Fragment.into()]
    })
}

fn adopt() -> Samples<AdoptError> {
    let client_id = || "app".to_owned();
    let proof = |said| Box::new(a_proof(Some(said)));
    samples!(AdoptError {
        Invalid: [InvalidAdoptee::ClientId.into()]
        NotAccepted: [AdoptError::NotAccepted {
            client_id: client_id(),
            proof: proof("HTTP 401: invalid_client"),
        }]
        NotRead: [AdoptError::NotRead { client_id: client_id(), what: "HTTP 503".to_owned() }]
        OtherClient: [AdoptError::OtherClient {
            client_id: client_id(),
            found: "app-2".to_owned(),
        }]
        OtherOrigin: [AdoptError::OtherOrigin { endpoint: REGISTER.to_owned() }]
        TokenNotAccepted: [AdoptError::TokenNotAccepted { client_id: client_id(), status: 401 }]
        Unproven: [AdoptError::Unproven { client_id: client_id(), proof: proof("HTTP 503") }]
    })
}

fn unreachable() -> SendError {
    SendError::NotSent {
        url: REGISTER.to_owned(),
        source: io::Error::from_raw_os_error(111).into(),
        cause: FailureCause::Refused,
    }
}

fn incomplete() -> SendError {
    SendError::Unknown {
        url: REGISTER.to_owned(),
        source: io::Error::from_raw_os_error(104).into(),
    }
}

fn rejected(fetched: bool, fresh: bool, clocks_differ: bool) -> ProofError {
    ProofError::Rejected {
        client_id: "app".to_owned(),
        proof: Box::new(Proof {
            clocks_differ,
            ..a_proof(Some("HTTP 401: invalid_client"))
        }),
        fetched,
        fresh,
    }
}

fn a_proof(said: Option<&str>) -> Proof {
    Proof {
        said: said.map(str::to_owned),
        ..Proof::new(
            "key-1".parse().unwrap(),
            "2026-01-02T03:04:05Z".parse().unwrap(),
        )
    }
}

fn proof() -> Samples<ProofError> {
    samples!(ProofError {
        Algorithm: [crate::jose::LoadKeyError::Unsound.into()]
        NoClient: [ProofError::NoClient]
        NoSigner: [NoSigner::NoKey.into()]
        Rejected: [
            rejected(true, false, true),
            rejected(false, true, false),
            rejected(false, false, false),
            rejected(true, false, false),
            rejected(true, true, false),
        ]
        Unproven: [
            ProofError::Unproven(Box::new(a_proof(Some("HTTP 503")))),
            ProofError::Unproven(Box::new(a_proof(None))),
        ]
    })
}

fn registration() -> Samples<RegistrationError> {
    let unusable = |deleted| RegistrationError::Unusable {
        client_id: "app".to_owned(),
        granted: r#""client_secret_basic""#.to_owned(),
        deleted,
    };
    samples!(RegistrationError {
        AlgorithmNotOffered: [RegistrationError::AlgorithmNotOffered {
            alg: "ES256".to_owned(),
            offered: vec!["RS256".to_owned(), "PS256".to_owned()],
        }]
        Mint: [RegistrationError::Mint(IdpAdminError::NotAccepted {
            url: "https://idp.example/api/admin/dcr/initial-access-tokens".to_owned(),
            status: 403,
            said: Some("insufficient_scope".to_owned()),
        })]
        NotSent: [
            RegistrationError::NotSent(unreachable()),
            RegistrationError::NotSent(SendError::NotSent {
                url: REGISTER.to_owned(),
                source: io::Error::other("certificate verify failed").into(),
                cause: FailureCause::UnknownAuthority,
            }),
        ]
        OutcomeUnknown: [RegistrationError::OutcomeUnknown {
            endpoint: REGISTER.to_owned(),
            what: "HTTP 502".to_owned(),
        }]
        Refused: [RegistrationError::Refused {
            refused: refused_because(RefusedBecause::Token),
            with_token: false,
        }]
        Unusable: [unusable(true), unusable(false)]
    })
}

fn refusals() -> Samples<RefusedBecause> {
    samples!(RefusedBecause {
        ClientExists: [RefusedBecause::ClientExists]
        Endpoint: [RefusedBecause::Endpoint]
        JwksUri: [RefusedBecause::JwksUri]
        Metadata: [RefusedBecause::Metadata]
        Policy: [RefusedBecause::Policy]
        Proxy: [RefusedBecause::Proxy]
        RateLimit: [RefusedBecause::RateLimit]
        RedirectUri: [RefusedBecause::RedirectUri]
        Rights: [RefusedBecause::Rights]
        Scope: [RefusedBecause::Scope]
        SoftwareStatement: [RefusedBecause::SoftwareStatement]
        Token: [RefusedBecause::Token]
    })
}

/// A refusal as servers word it.
fn refused_because(because: RefusedBecause) -> Refused {
    let said = |error: &str, description: &str| {
        Some(OAuthError {
            error: error.to_owned(),
            error_description: Some(description.to_owned()),
        })
    };
    let (status, error) = match because {
        RefusedBecause::ClientExists => (409, None),
        RefusedBecause::Endpoint => (307, None),
        RefusedBecause::Policy => (403, None),
        RefusedBecause::Proxy => (308, None),
        RefusedBecause::JwksUri => (
            400,
            said("invalid_client_metadata", "cannot fetch jwks_uri"),
        ),
        RefusedBecause::Metadata => (400, said("invalid_client_metadata", "grant not allowed")),
        RefusedBecause::RateLimit => (429, None),
        RefusedBecause::RedirectUri => (400, said("invalid_redirect_uri", "not allowed")),
        RefusedBecause::Rights => (403, said("insufficient_scope", "no right to register")),
        RefusedBecause::Scope => (400, said("invalid_scope", "not allowed")),
        RefusedBecause::SoftwareStatement => (400, said("unapproved_software_statement", "no")),
        RefusedBecause::Token => (401, said("invalid_token", "expired")),
    };
    Refused {
        status,
        error,
        said: (status == 307).then(|| "an HTML page titled \"Sign in\"".into()),
        location: match status {
            307 => Some("https://idp.example/login".to_owned()),
            308 => Some("https://idp.example/register/".to_owned()),
            _ => None,
        },
        retry_after_s: (status == 429).then_some(120),
        because,
    }
}

fn endpoints() -> Samples<EndpointsError> {
    let wrong = |url: &str, reason| EndpointsError::Endpoint {
        name: "token_endpoint",
        url: url.to_owned(),
        reason,
    };
    samples!(EndpointsError {
        Client: [ClientError::NoTrustAnchor.into()]
        Discovery: [EndpointsError::Discovery(DiscoveryError::NotFound {
            locations: vec![format!("{IDP}/.well-known/openid-configuration (HTTP 404)")],
        })]
        Endpoint: [
            wrong("http://idp.example/token", InvalidUrl::Insecure),
            wrong("/token", InvalidUrl::Syntax),
        ]
        NoEndpoint: [
            EndpointsError::NoEndpoint { name: "token_endpoint" },
            EndpointsError::NoEndpoint { name: "registration_endpoint" },
        ]
        TrustAnchors: [EndpointsError::TrustAnchors {
            path: PathBuf::from("/etc/bff/ca.pem"),
            source: io::Error::from_raw_os_error(2),
        }]
    })
}

fn discovery() -> Samples<DiscoveryError> {
    let location = || format!("{IDP}/.well-known/openid-configuration");
    samples!(DiscoveryError {
        IssuerMismatch: [DiscoveryError::IssuerMismatch {
            location: location(),
            found: format!("{IDP}/"),
            expected: IDP.to_owned(),
        }]
        NotFound: [DiscoveryError::NotFound {
            locations: vec![
                format!("{} (HTTP 404)", location()),
                "https://idp.example/.well-known/oauth-authorization-server (an HTML page titled \"Sign in\")"
                    .to_owned(),
            ],
        }]
        NotReady: [DiscoveryError::NotReady {
            location: location(),
            status: 503,
            said: Some("an HTML page titled \"Starting\"".to_owned()),
            retry_after: Some(Duration::from_secs(30)),
        }]
        Unreachable: [
            DiscoveryError::Unreachable(unreachable()),
            DiscoveryError::Unreachable(incomplete()),
        ]
    })
}

/// One of the same variant, which has the same class.
fn again(error: &DiscoveryError) -> DiscoveryError {
    match error {
        DiscoveryError::Unreachable(_) => DiscoveryError::Unreachable(unreachable()),
        DiscoveryError::NotReady { status, .. } => DiscoveryError::NotReady {
            location: String::new(),
            status: *status,
            said: None,
            retry_after: None,
        },
        _ => DiscoveryError::NotFound {
            locations: Vec::new(),
        },
    }
}

fn admin() -> Samples<IdpAdminError> {
    let url = || "https://idp.example/api/admin/dcr/initial-access-tokens".to_owned();
    let refused = |status, said: Option<&str>| IdpAdminError::Refused {
        url: url(),
        status,
        said: said.map(str::to_owned),
    };
    samples!(IdpAdminError {
        NoToken: [IdpAdminError::NoToken {
            url: url(),
            status: 200,
            instead: "with an HTML page titled \"Sign in\"".to_owned(),
        }]
        NotAccepted: [IdpAdminError::NotAccepted { url: url(), status: 401, said: None }]
        Refused: [
            refused(404, None),
            refused(400, Some("invalid_request")),
            refused(503, None),
        ]
        Unreachable: [IdpAdminError::Unreachable(unreachable())]
    })
}

fn blocked() -> Samples<Blocked> {
    let unknown = |with_token| Blocked::OutcomeUnknown {
        issuer: IDP.to_owned(),
        with_token,
    };
    samples!(Blocked {
        ClientGone: [gone(true, false), gone(false, false), gone(true, true)]
        IssuerChanged: [Blocked::IssuerChanged {
            stored: IDP.to_owned(),
            configured: "https://other.example".to_owned(),
        }]
        OutcomeUnknown: [unknown(true), unknown(false)]
        RequestRefused: [Blocked::RequestRefused {
            said: "HTTP 403".to_owned(),
            again_at: "2026-11-30T12:00:00Z".parse().unwrap(),
            left_s: 1_800,
        }]
        Restored: [Blocked::Restored]
        TokenRefused: [token_refused(true), token_refused(false)]
        TokenSpent: [Blocked::TokenSpent]
        Unusable: [Blocked::Unusable {
            said: "token_endpoint_auth_method \"client_secret_basic\"".to_owned(),
        }]
    })
}

fn unsettled() -> Samples<Unsettled> {
    let at = || "2026-11-30T12:00:00Z".parse().unwrap();
    let client_id = || "app".to_owned();
    let attempt = |present: Option<&str>| Unsettled::Attempt {
        issuer: IDP.to_owned(),
        started_at: at(),
        with_token: true,
        present: present.map(str::to_owned),
    };
    let gone = |certain| Unsettled::Gone {
        client_id: client_id(),
        since: at(),
        certain,
        open: false,
    };
    samples!(Unsettled {
        Attempt: [attempt(None), attempt(Some("app"))]
        Candidate: [Unsettled::Candidate {
            client_id: "app-2".to_owned(),
            present: Some(client_id()),
            rejected_s: 120,
        }]
        Gone: [gone(true), gone(false)]
        Orphan: [Unsettled::Orphan {
            client_id: client_id(),
            issuer: IDP.to_owned(),
            since: at(),
        }]
        Restored: [Unsettled::Restored {
            since: at(),
            reason: "revision 7 is used after revision 9".to_owned(),
        }]
    })
}

fn gone(certain: bool, open: bool) -> Blocked {
    Blocked::ClientGone {
        client_id: "app".to_owned(),
        issuer: IDP.to_owned(),
        certain,
        open,
    }
}

fn token_refused(with_token: bool) -> Blocked {
    Blocked::TokenRefused {
        said: "HTTP 401: invalid_token".to_owned(),
        with_token,
    }
}

fn causes() -> Samples<FailureCause> {
    samples!(FailureCause {
        CertificateExpired: [FailureCause::CertificateExpired]
        Dns: [FailureCause::Dns]
        NameMismatch: [FailureCause::NameMismatch]
        NotTls: [FailureCause::NotTls]
        Other: [FailureCause::Other]
        Refused: [FailureCause::Refused]
        TimedOut: [FailureCause::TimedOut]
        UnknownAuthority: [FailureCause::UnknownAuthority]
        Url: [FailureCause::Url]
    })
}

fn no_signer() -> Samples<NoSigner> {
    samples!(NoSigner {
        InDoubt: [NoSigner::InDoubt("key-1".parse().unwrap())]
        NotLoaded: [NoSigner::NotLoaded("key-1".parse().unwrap())]
        NoKey: [NoSigner::NoKey]
    })
}

fn service() -> Samples<ServiceError> {
    samples!(ServiceError {
        Bootstrap: [BootstrapError::Panicked(Panicked).into()]
        Commit: [ServiceError::Commit(commit())]
        Listen: [ServiceError::Listen {
            setting: "BFF_LISTEN",
            address: "127.0.0.1:8000".parse().unwrap(),
            source: io::Error::from_raw_os_error(98),
        }]
        Open: [ServiceError::Open(super::keys::locked().into())]
        Refused: [ServiceError::Refused(RingRefusal::NoRing)]
    })
}

fn client_refusal() -> Samples<ClientRefusal> {
    samples!(ClientRefusal {
        NoAttempt: [ClientRefusal::NoAttempt]
        NoCandidate: [ClientRefusal::NoCandidate]
        NoClient: [ClientRefusal::NoClient]
        NoOrphan: [ClientRefusal::NoOrphan("app".to_owned())]
        OtherClient: [ClientRefusal::OtherClient {
            expected: "app".to_owned(),
            found: "app-2".to_owned(),
        }]
    })
}

fn client() -> Samples<ClientError> {
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let wrong = || HttpClient::new(Some(damaged.as_bytes())).unwrap_err();
    let ClientError::TrustAnchors(inner) = wrong() else {
        panic!("another error: {}", wrong())
    };
    samples!(ClientError {
        NoTrustAnchor: [HttpClient::new(Some(b"no certificate")).unwrap_err()]
        TrustAnchors: [wrong()]
        Tls: [ClientError::Tls(inner)]
    })
}

fn invalid_url() -> Samples<InvalidUrl> {
    samples!(InvalidUrl {
        Changed: [InvalidUrl::Changed {
            written: "/a/../b".to_owned(),
            sent: "/b".to_owned(),
        }]
        Character: [InvalidUrl::Character(' ')]
        Credentials: [InvalidUrl::Credentials]
        Fragment: [InvalidUrl::Fragment]
        Insecure: [InvalidUrl::Insecure]
        International: [InvalidUrl::International("xn--bcher-kva.example".to_owned())]
        Syntax: [InvalidUrl::Syntax]
        TooLong: [InvalidUrl::TooLong]
    })
}

fn invalid_information() -> Samples<InvalidInformation> {
    samples!(InvalidInformation {
        NoClientId: [InvalidInformation::NoClientId]
        NotAnObject: [InvalidInformation::NotAnObject]
        OddClientId: [InvalidInformation::OddClientId]
        Repeated: [InvalidInformation::Repeated {
            member: "client_id".to_owned(),
            values: vec![r#""c1""#.to_owned(), r#""c2""#.to_owned()],
        }]
    })
}

fn invalid_metadata() -> Samples<InvalidMetadata> {
    samples!(InvalidMetadata {
        NoIssuer: [InvalidMetadata::NoIssuer]
        NotAnObject: [InvalidMetadata::NotAnObject]
    })
}

fn difference() -> Samples<Difference> {
    let difference = Difference {
        member: "scope".to_owned(),
        asked: "openid profile".to_owned(),
        granted: "openid".to_owned(),
    };
    ("Difference", vec![("scope", difference)])
}
