//! Authorization server metadata.

use bff::idp::{DiscoveryError, MetadataAnswer, metadata_of};
use bff::oauth::{EndpointUrl, SentSecrets, ServerMetadata, well_known_locations};
use bff::state::{Rev, State};
use bff::transport::Answer;

use crate::answer::{answer, split};
use crate::checks;

/// Reads the issuer that is configured, and an answer to the question for its metadata.
///
/// What is accepted has that very issuer and commits; no other status than 200 is accepted; an
/// error is tidy and has a hint.
pub fn discovery(data: &[u8]) {
    let (issuer, data) = split(data, b"\n").unwrap_or((b"https://idp.example", data));
    let issuer = String::from_utf8_lossy(issuer);
    if let Ok(base) = EndpointUrl::parse(&issuer, true) {
        for location in well_known_locations(&base) {
            assert_eq!(location.origin(), base.origin());
            assert!(location.path().contains("/.well-known/"));
        }
    }
    let raw = answer(data);
    let answer = Answer {
        status: raw.status,
        date: None,
        location: raw.location,
        challenge: raw.challenge,
        retry_after: None,
        body: raw.body,
        sent: SentSecrets::default(),
    };
    let location = "https://idp.example/.well-known/openid-configuration";
    let location = EndpointUrl::parse(location, false).expect("an address");
    match metadata_of(&location, &answer, &issuer) {
        Ok(MetadataAnswer::Metadata(metadata)) => accepted(&issuer, &answer, metadata),
        Ok(MetadataAnswer::Nothing(what)) => {
            assert!(!matches!(answer.status, 408 | 429 | 500..));
            checks::is_tidy(&what);
        }
        Err(error) => {
            is_explained(&error);
            assert!(answer.status == 200 || error.is_transient());
        }
    }
}

fn accepted(issuer: &str, answer: &Answer, metadata: ServerMetadata) {
    assert_eq!(metadata.issuer, issuer);
    assert_eq!(answer.status, 200);
    let text = serde_json::to_vec(&metadata).expect("JSON");
    let read: ServerMetadata = serde_json::from_slice(&text).expect("its own text");
    assert_eq!(read, metadata);
    for endpoint in [&metadata.registration_endpoint, &metadata.token_endpoint] {
        match endpoint
            .as_deref()
            .map(|url| EndpointUrl::parse(url, false))
        {
            Some(Ok(url)) => {
                assert_eq!(Some(url.as_str()), endpoint.as_deref());
                checks::is_tidy(&format!("{url} {url:?}"));
            }
            Some(Err(error)) => checks::is_tidy(&error.to_string()),
            None => {}
        }
    }
    let mut state = State::default();
    state.learn_metadata(issuer, metadata);
    checks::commits(&state, Rev::default());
}

fn is_explained(error: &DiscoveryError) {
    checks::is_hint(error.hint());
    // The issuer of the configuration is quoted as it is written there.
    if let DiscoveryError::IssuerMismatch { expected, .. } = error
        && (expected.len() > 1000 || expected.contains(char::is_control))
    {
        return;
    }
    checks::is_tidy(&error.to_string());
}
