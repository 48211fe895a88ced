//! What an answer of the registration endpoint means (RFC 7591 §3.2).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::kept::{COMPARED, kept};
use super::record::{Attempt, RawAnswer, Registered};
use super::refused::{Refused, is_proxy};
use crate::oauth::{
    ClientInformation, ClientMetadata, EndpointUrl, InvalidInformation, Management,
    ManagementAccess, SentSecrets, answer_text, not_json_text, shown_url,
};

/// What an answer of the registration endpoint means.
#[derive(Clone, Debug)]
pub enum RegistrationOutcome {
    /// A client exists that we can work with.
    Granted {
        /// The client.
        registered: Registered,
        /// Where the IdP has granted something else than was asked (RFC 7591 §3.2.1).
        differences: Vec<Difference>,
    },
    /// No client was made.
    Refused(Refused),
    /// A client exists that we cannot work with.
    Unusable {
        /// The client, to be deleted.
        registered: Registered,
        /// The authentication method granted.
        granted: String,
    },
    /// A client may exist.
    Unknown(String),
}

/// One member of the metadata that is not as asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Difference {
    /// The name of the member.
    pub member: String,
    /// Our value.
    pub asked: String,
    /// The IdP's value.
    pub granted: String,
}

impl RegistrationOutcome {
    /// Reads the answer to `attempt`.
    pub fn of(attempt: &Attempt, answer: &RawAnswer) -> Self {
        let body = answer.body.expose().as_bytes();
        match answer.status {
            // The RFC says 201; some servers answer with another success and the same body.
            200..=299 => match ClientInformation::parse(body) {
                Ok(information) => Self::granted(attempt, information, answer),
                Err(InvalidInformation::NotAnObject) => Self::Unknown(format!(
                    "HTTP {}, but the answer is {}",
                    answer.status,
                    not_json_text(body, &answer.sent)
                )),
                Err(error) => {
                    let error = answer.sent.redacted(&error.to_string());
                    Self::Unknown(format!("HTTP {}, but {error}", answer.status))
                }
            },
            // 303 is how a server says that the request was carried out (RFC 9110 §15.4.4), and
            // after other redirects nobody knows, unless a proxy only names the same address.
            307 | 308 | 400..=407 | 409..=499 => {
                Self::Refused(Refused::of(&attempt.endpoint, answer))
            }
            300..=399
                if answer
                    .location
                    .as_deref()
                    .is_some_and(|location| is_proxy(&attempt.endpoint, location)) =>
            {
                Self::Refused(Refused::of(&attempt.endpoint, answer))
            }
            status => {
                let sent = &answer.sent;
                let challenge = answer.challenge.as_deref();
                let said = answer_text(status, body, challenge, sent);
                let location = answer.location.as_deref();
                let location = location.map(|location| {
                    format!(" (Location: {})", sent.redacted(&shown_url(location)))
                });
                let location = location.unwrap_or_default();
                Self::Unknown(match said {
                    Some(said) => format!("HTTP {status}{location}: {said}"),
                    None => format!("HTTP {status}{location}"),
                })
            }
        }
    }

    fn granted(attempt: &Attempt, information: ClientInformation, answer: &RawAnswer) -> Self {
        let sent = &answer.sent;
        let mut differences = compare(attempt, &information, sent);
        let management = match management(attempt, &information.access, sent) {
            Ok(management) => management,
            Err(difference) => {
                differences.push(difference);
                None
            }
        };
        let method = information.metadata.get("token_endpoint_auth_method");
        if method.is_none() && information.has_secret {
            differences.push(Difference {
                member: "token_endpoint_auth_method".to_owned(),
                asked: "private_key_jwt".to_owned(),
                granted: "not said, and a client_secret was issued".to_owned(),
            });
        }
        let method_fits = method.is_none()
            || information.metadata.text("token_endpoint_auth_method") == Some("private_key_jwt");
        let method = method.map(ToString::to_string).unwrap_or_default();
        let method = sent.shown(&method);
        let (metadata, cut) = kept(&attempt.asked, information.metadata);
        differences.extend(cut.into_iter().map(|member| Difference {
            asked: shown(&attempt.asked, &member, sent),
            member: sent.shown(&member),
            granted: "too long to be stored".to_owned(),
        }));
        let registered = Registered {
            management,
            open: attempt.token.is_none(),
            ..Registered::new(
                &attempt.issuer,
                information.client_id,
                attempt.asked.clone(),
                metadata,
                answer.received_at,
            )
        };
        if method_fits {
            Self::Granted {
                registered,
                differences,
            }
        } else {
            Self::Unusable {
                registered,
                granted: method,
            }
        }
    }
}

/// Access to the client of an attempt whose answer has a member twice, where no doubt is about that.
pub fn access_despite_repetition(attempt: &Attempt, client_id: &str) -> Option<Management> {
    let answer = attempt.answer.as_ref();
    let answer = answer.filter(|answer| (200..300).contains(&answer.status))?;
    let body = answer.body.expose().as_bytes();
    let access = ManagementAccess::despite_repetition(body, client_id)?;
    management(attempt, &access, &answer.sent).ok().flatten()
}

/// Takes the URI and the token together or not at all, and only on the origin of the registration
/// endpoint: a token that is sent to another origin is disclosed (RFC 7592 §3).
fn management(
    attempt: &Attempt,
    access: &ManagementAccess,
    sent: &SentSecrets,
) -> Result<Option<Management>, Difference> {
    let (uri, token) = match (
        &access.registration_client_uri,
        &access.registration_access_token,
    ) {
        (Some(uri), Some(token)) => (uri, token),
        (None, None) => return Ok(None),
        (uri, _) => {
            return Err(Difference {
                member: "registration_client_uri".to_owned(),
                asked: "with registration_access_token, or neither".to_owned(),
                granted: if uri.is_some() {
                    "without registration_access_token".to_owned()
                } else {
                    "only registration_access_token".to_owned()
                },
            });
        }
    };
    let wrong = |asked| Difference {
        member: "registration_client_uri".to_owned(),
        asked,
        granted: sent.redacted(&shown_url(uri)),
    };
    // Whether `http:` is permitted follows from the origin.
    let uri = EndpointUrl::parse(uri, true).map_err(|error| wrong(error.to_string()))?;
    let endpoint = EndpointUrl::parse(&attempt.endpoint, true).ok();
    if endpoint.is_none_or(|endpoint| endpoint.origin() != uri.origin()) {
        return Err(wrong(format!(
            "on the origin of {}",
            shown_url(&attempt.endpoint)
        )));
    }
    let token = token.clone();
    Ok(Some(Management { uri, token }))
}

fn compare(
    attempt: &Attempt,
    information: &ClientInformation,
    sent: &SentSecrets,
) -> Vec<Difference> {
    let mut got = information.metadata.clone();
    got.0
        .insert("client_id".to_owned(), information.client_id.clone().into());
    let differs = |member: &&str| differs(&attempt.asked, &got, member);
    COMPARED
        .iter()
        .filter(|member| differs(member))
        .map(|member| Difference {
            member: (*member).to_owned(),
            asked: shown(&attempt.asked, member, sent),
            granted: shown(&got, member, sent),
        })
        .collect()
}

/// A member that is missing in the answer is unknown, not different.
fn differs(asked: &ClientMetadata, got: &ClientMetadata, member: &str) -> bool {
    match (asked.set(member), got.set(member)) {
        (Some(asked), Some(got)) => asked != got,
        _ => false,
    }
}

fn shown(metadata: &ClientMetadata, member: &str, sent: &SentSecrets) -> String {
    sent.shown(&metadata.set(member).unwrap_or_default().join(" "))
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: asked for `{}`, granted `{}`",
            self.member, self.asked, self.granted
        )
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::super::refused::RefusedBecause;
    use super::*;

    #[test]
    fn a_200_counts_as_a_201_and_the_answer_is_the_truth() {
        let (registered, differences) = granted_by(
            200,
            &json!({
                "client_id": "c1", "scope": "openid", "redirect_uris": ["https://b/cb", "https://a/cb"],
                "token_endpoint_auth_method": ["private_key_jwt"], "grant_types": null,
            }),
        );

        assert_eq!(registered.granted.text("scope"), Some("openid"));
        assert_eq!(
            differences,
            [Difference {
                member: "scope".to_owned(),
                asked: "openid profile".to_owned(),
                granted: "openid".to_owned(),
            }],
            "order and absence are no difference"
        );
    }

    #[test]
    fn another_authentication_method_is_a_client_we_cannot_use() {
        let answer = answer(
            201,
            &json!({"client_id": "c1", "token_endpoint_auth_method": "client_secret_basic"}),
        );

        let RegistrationOutcome::Unusable { granted, .. } =
            RegistrationOutcome::of(&attempt(), &answer)
        else {
            panic!("accepted")
        };

        assert_eq!(granted, r#""client_secret_basic""#);
    }

    #[test]
    fn what_was_granted_is_shown_and_remembered_in_short() {
        let long = format!("\u{1b}{}", "x".repeat(10_000));
        let (_, differences) = granted_by(201, &json!({"client_id": "c1", "scope": long}));
        let body = json!({"client_id": "c1", "token_endpoint_auth_method": long});

        let RegistrationOutcome::Unusable { granted, .. } =
            RegistrationOutcome::of(&attempt(), &answer(201, &body))
        else {
            panic!("accepted")
        };

        for text in [granted, differences[0].to_string()] {
            assert!(text.len() < 1_000, "{text}");
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }

    #[test]
    fn a_registration_token_is_never_taken_to_another_origin() {
        let (registered, differences) = granted_by(
            201,
            &json!({
                "client_id": "c1", "registration_access_token": "rat",
                "registration_client_uri": "https://elsewhere.example/c1",
            }),
        );

        assert!(registered.management.is_none());
        assert_eq!(differences[0].member, "registration_client_uri");
    }

    #[test]
    fn the_uri_is_kept_with_its_query() {
        let uri = "https://idp.example/r?client_id=c1&t=1";
        let (registered, _) = granted_by(
            201,
            &json!({
                "client_id": "c1", "registration_access_token": "rat",
                "registration_client_uri": uri,
            }),
        );

        assert_eq!(registered.management.unwrap().uri.as_str(), uri);
    }

    #[test]
    fn a_uri_that_cannot_be_called_as_written_is_named_and_not_used() {
        for uri in [
            "https://idp.example/r/../c1?token=s3cret",
            "https://ops:s3cret@idp.example/c1",
            "https://idp.example/c1#s3cret",
            "c1?token=s3cret",
        ] {
            let (registered, differences) = granted_by(
                201,
                &json!({
                    "client_id": "c1", "registration_access_token": "rat",
                    "registration_client_uri": uri,
                }),
            );

            assert!(registered.management.is_none(), "{uri}");
            let shown = differences[0].to_string();
            assert!(shown.starts_with("registration_client_uri: "), "{shown}");
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let answer = RawAnswer {
            retry_after_s: Some(120),
            ..RawAnswer::new(429, b"", Timestamp::UNIX_EPOCH)
        };

        let RegistrationOutcome::Refused(refused) = RegistrationOutcome::of(&attempt(), &answer)
        else {
            panic!("not refused")
        };

        assert_eq!(refused.to_string(), "HTTP 429 (try again in 120 s)");
        assert!(refused.hint().contains("bff register"));
    }

    #[test]
    fn what_may_have_made_a_client_is_unknown() {
        for (status, body) in [
            (201, "<html>"),
            (200, ""),
            (201, "{}"),
            (502, "<html>"),
            (204, ""),
            (202, ""),
            (301, ""),
            (303, ""),
            (408, ""),
            (201, r#"{"client_id":"c1","client_id":"c2"}"#),
            (201, r#"{"client_id":"c\u001b[2J"}"#),
        ] {
            let answer = RawAnswer::new(status, body.as_bytes(), Timestamp::UNIX_EPOCH);
            let outcome = RegistrationOutcome::of(&attempt(), &answer);
            assert!(
                matches!(outcome, RegistrationOutcome::Unknown(_)),
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn every_refusal_leads_to_the_setting_that_mends_it() {
        let table = [
            (401, "", "bff mint-iat"),
            (400, r#"{"error":"access_denied"}"#, "a policy"),
            (400, r#"{"error":"invalid_token"}"#, "DCR_IAT"),
            (403, "", "have it changed"),
            (
                400,
                r#"{"error":"invalid_redirect_uri"}"#,
                "DCR_REDIRECT_URIS",
            ),
            (400, r#"{"error":"invalid_scope"}"#, "policy.allowed_scopes"),
            (
                400,
                r#"{"error":"invalid_client_metadata","error_description":"Invalid claim: 'scope'"}"#,
                "DCR_SCOPE",
            ),
            (
                400,
                r#"{"error":"invalid_client_metadata","error_description":"jwks_uri unreachable"}"#,
                "DCR_JWKS=value",
            ),
            (
                400,
                r#"{"error":"invalid_client_metadata"}"#,
                "DCR_GRANT_TYPES",
            ),
            (
                400,
                r#"{"error":"invalid_software_statement"}"#,
                "DCR_SOFTWARE_STATEMENT",
            ),
            (403, r#"{"error":"insufficient_scope"}"#, "may not register"),
            (
                400,
                r#"{"error":"invalid_client_metadata","error_description":"client_id must not be sent"}"#,
                "DCR_GRANT_TYPES",
            ),
            (307, "", "DCR_REGISTRATION_ENDPOINT"),
            (404, "<html>", "DCR_REGISTRATION_ENDPOINT"),
        ];

        for (status, body, word) in table {
            let answer = RawAnswer::new(status, body.as_bytes(), Timestamp::UNIX_EPOCH);
            let RegistrationOutcome::Refused(refused) =
                RegistrationOutcome::of(&attempt(), &answer)
            else {
                panic!("{status} {body}")
            };
            assert!(
                refused.hint().contains(word),
                "{refused}: {}",
                refused.hint()
            );
        }
    }

    #[test]
    fn a_refusal_quotes_where_a_redirect_leads_and_what_a_challenge_says() {
        let refused = |status, location: Option<&str>, challenge: Option<&str>| {
            let answer = RawAnswer {
                location: location.map(str::to_owned),
                challenge: challenge.map(str::to_owned),
                ..RawAnswer::new(status, b"", Timestamp::UNIX_EPOCH)
            };
            match RegistrationOutcome::of(&attempt(), &answer) {
                RegistrationOutcome::Refused(refused) => refused,
                other => panic!("{other:?}"),
            }
        };

        let redirect = refused(307, Some("https://idp.example/\u{1b}login/"), None);
        assert_eq!(
            redirect.to_string(),
            "HTTP 307 (Location: https://idp.example/\\u{1b}login/)"
        );
        let challenge = r#"Bearer error="insufficient_scope", error_description="no""#;
        let rights = refused(401, None, Some(challenge));
        assert_eq!(rights.because, RefusedBecause::Rights);
        for status in [301, 302, 307, 308] {
            let proxy = refused(status, Some("https://idp.example/register/"), None);
            assert_eq!(proxy.because, RefusedBecause::Proxy, "{status}");
        }
        assert_eq!(rights.to_string(), "HTTP 401: insufficient_scope (no)");
    }

    fn granted_by(status: u16, body: &Value) -> (Registered, Vec<Difference>) {
        match RegistrationOutcome::of(&attempt(), &answer(status, body)) {
            RegistrationOutcome::Granted {
                registered,
                differences,
            } => (registered, differences),
            other => panic!("{other:?}"),
        }
    }

    fn answer(status: u16, body: &Value) -> RawAnswer {
        RawAnswer::new(status, body.to_string().as_bytes(), Timestamp::UNIX_EPOCH)
    }

    fn attempt() -> Attempt {
        let Value::Object(asked) = json!({
            "scope": "openid profile", "redirect_uris": ["https://a/cb", "https://b/cb"],
            "grant_types": ["authorization_code"],
        }) else {
            unreachable!()
        };
        Attempt {
            issuer: "https://idp.example".to_owned(),
            endpoint: "https://idp.example/register".to_owned(),
            asked: ClientMetadata(asked),
            token: None,
            started_at: Timestamp::UNIX_EPOCH,
            answer: None,
        }
    }
}
