//! Why a connection failed.

use std::error::Error;
use std::io;

use openssl::error::{Error as Reason, ErrorStack};

/// Why a connection failed, as far as it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureCause {
    /// The server's certificate is outside its period of validity.
    CertificateExpired,
    /// The name does not resolve.
    Dns,
    /// The server's certificate is for another name.
    NameMismatch,
    /// The server does not speak TLS.
    NotTls,
    /// Something else.
    Other,
    /// Nothing listens there.
    Refused,
    /// It took too long.
    TimedOut,
    /// The server's certificate is from an authority that is not trusted.
    UnknownAuthority,
    /// Nothing may be sent to this URL.
    Url,
}

/// How OpenSSL words the outcome of a verification (`X509_verify_cert_error_string`), in
/// parentheses at the end of the error.
const VERIFICATION: [(&str, FailureCause); 8] = [
    (
        "(certificate has expired)",
        FailureCause::CertificateExpired,
    ),
    (
        "(certificate is not yet valid)",
        FailureCause::CertificateExpired,
    ),
    ("(hostname mismatch)", FailureCause::NameMismatch),
    ("(IP address mismatch)", FailureCause::NameMismatch),
    ("(self-signed certificate)", FailureCause::UnknownAuthority),
    (
        "(self-signed certificate in certificate chain)",
        FailureCause::UnknownAuthority,
    ),
    (
        "(unable to get local issuer certificate)",
        FailureCause::UnknownAuthority,
    ),
    (
        "(unable to verify the first certificate)",
        FailureCause::UnknownAuthority,
    ),
];

/// Reasons of OpenSSL for what is not a TLS record.
const NOT_TLS: [&str; 4] = [
    "wrong version number",
    "http request",
    "packet length too long",
    "record layer failure",
];

impl FailureCause {
    /// Reads it from an error and its causes.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let mut next: Option<&(dyn Error + 'static)> = error.source();
        while let Some(error) = next {
            if let Some(cause) = Self::of_one(error) {
                return cause;
            }
            next = error.source();
        }
        Self::Other
    }

    fn of_one(error: &(dyn Error + 'static)) -> Option<Self> {
        let text = error.to_string();
        let verified = VERIFICATION.iter().find(|(end, _)| text.ends_with(end));
        if let Some((_, cause)) = verified {
            return Some(*cause);
        }
        if let Some(stack) = error.downcast_ref::<ErrorStack>() {
            let mut reasons = stack.errors().iter().filter_map(Reason::reason);
            return reasons
                .any(|reason| NOT_TLS.contains(&reason))
                .then_some(Self::NotTls);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::ConnectionRefused => Some(Self::Refused),
                io::ErrorKind::TimedOut => Some(Self::TimedOut),
                _ => None,
            };
        }
        // hyper's own words for a failed look-up.
        (text == "dns error").then_some(Self::Dns)
    }

    /// What an operator has to change, where waiting cannot help.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::CertificateExpired => Some(
                "renew the IdP's certificate, or set the clock of this machine: the certificate \
                 is not valid at this time",
            ),
            Self::NameMismatch => Some(
                "use the name that the IdP's certificate is for in IDP_BASE_URL (and OIDC_ISSUER \
                 for the public one), or have one issued for this name",
            ),
            Self::NotTls => Some(
                "the server does not speak TLS on that port: correct the port in IDP_BASE_URL, or \
                 use http there (BFF_ALLOW_INSECURE_HTTP=true in a container network)",
            ),
            Self::UnknownAuthority => Some(
                "the IdP's certificate is from an authority that is not trusted here: set \
                 BFF_CA_FILE to the PEM of that authority's root",
            ),
            Self::Url => Some(
                "correct the URL in the setting that it is from, such as IDP_BASE_URL, or in the IdP's \
                 metadata",
            ),
            Self::Dns | Self::Other | Self::Refused | Self::TimedOut => None,
        }
    }

    /// The cause in words, where they say more than the error itself.
    pub(crate) fn text(self) -> Option<&'static str> {
        match self {
            Self::CertificateExpired => Some("the certificate has expired or is not yet valid"),
            Self::Dns => Some("the name does not resolve"),
            Self::NameMismatch => Some("the certificate is for another name"),
            Self::NotTls => Some("the server does not speak TLS"),
            Self::Refused => Some("connection refused: nothing listens there"),
            Self::TimedOut => Some("timed out"),
            Self::UnknownAuthority => Some("the certificate is from an unknown authority"),
            Self::Other | Self::Url => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use openssl::asn1::Asn1Time;
    use openssl::bn::BigNum;
    use openssl::hash::MessageDigest;
    use openssl::pkey::{PKey, Private};
    use openssl::ssl::{SslAcceptor, SslMethod};
    use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
    use openssl::x509::{X509, X509NameBuilder};

    use super::super::http_client::{HttpClient, Method};
    use super::*;

    #[tokio::test]
    async fn each_failure_of_tls_is_told_apart_and_says_what_to_change() {
        let authority = Certificate::new("authority", None, 365, None);
        let of = |name, days| Certificate::new(name, Some(name), days, Some(&authority));
        let trusted = authority.x509.to_pem().unwrap();
        let (right, other) = (of("127.0.0.1", 365), of("127.0.0.2", 365));
        let expired = of("127.0.0.1", 0);

        for (certificate, anchors, cause) in [
            (Some(&right), None, FailureCause::UnknownAuthority),
            (Some(&other), Some(&trusted), FailureCause::NameMismatch),
            (
                Some(&expired),
                Some(&trusted),
                FailureCause::CertificateExpired,
            ),
            (None, Some(&trusted), FailureCause::NotTls),
        ] {
            let url = serve(certificate);
            let client = HttpClient::new(anchors.map(Vec::as_slice)).unwrap();

            let error = client.request(Method::GET, &url).send().await.unwrap_err();

            assert_eq!(error.cause(), cause, "{error:?}");
            assert!(error.is_not_sent() && cause.hint().is_some());
        }
        let url = serve(Some(&right));
        let client = HttpClient::new(Some(&trusted)).unwrap();
        assert!(client.request(Method::GET, &url).send().await.is_ok());
    }

    struct Certificate {
        x509: X509,
        key: PKey<Private>,
    }

    impl Certificate {
        fn new(name: &str, ip: Option<&str>, days: u32, issuer: Option<&Self>) -> Self {
            let key = PKey::generate_ed25519().unwrap();
            let mut subject = X509NameBuilder::new().unwrap();
            subject.append_entry_by_text("CN", name).unwrap();
            let subject = subject.build();
            let mut x509 = X509::builder().unwrap();
            x509.set_version(2).unwrap();
            let serial = BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap();
            x509.set_serial_number(&serial).unwrap();
            x509.set_subject_name(&subject).unwrap();
            let issuer_name = issuer.map_or(&*subject, |issuer| issuer.x509.subject_name());
            x509.set_issuer_name(issuer_name).unwrap();
            x509.set_pubkey(&key).unwrap();
            let begin = Asn1Time::from_unix(1_000_000_000).unwrap();
            x509.set_not_before(&begin).unwrap();
            let end = match days {
                0 => Asn1Time::from_unix(1_000_000_001),
                days => Asn1Time::days_from_now(days),
            };
            x509.set_not_after(&end.unwrap()).unwrap();
            let mut constraints = BasicConstraints::new();
            if issuer.is_none() {
                constraints.ca();
            }
            x509.append_extension(constraints.build().unwrap()).unwrap();
            if let Some(ip) = ip {
                let context = x509.x509v3_context(None, None);
                let name = SubjectAlternativeName::new()
                    .ip(ip)
                    .build(&context)
                    .unwrap();
                x509.append_extension(name).unwrap();
            }
            let signer = issuer.map_or(&key, |issuer| &issuer.key);
            x509.sign(signer, MessageDigest::null()).unwrap();
            let x509 = x509.build();
            Self { x509, key }
        }
    }

    /// Answers one connection, over TLS if there is a certificate.
    fn serve(certificate: Option<&Certificate>) -> String {
        use std::io::{Read as _, Write as _};

        const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let acceptor = certificate.map(|certificate| {
            let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
            acceptor.set_certificate(&certificate.x509).unwrap();
            acceptor.set_private_key(&certificate.key).unwrap();
            acceptor.build()
        });
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            match acceptor {
                None => drop(stream.write_all(ANSWER)),
                // A client that refuses the certificate ends the handshake.
                Some(acceptor) => {
                    if let Ok(mut stream) = acceptor.accept(stream) {
                        drop(stream.read(&mut request));
                        drop(stream.write_all(ANSWER));
                    }
                }
            }
        });
        url
    }
}
