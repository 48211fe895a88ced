//! An answer of the registration endpoint.

use std::sync::LazyLock;

use bff::jose::{Algorithm, PublicJwk, SigningKey};
use bff::oauth::ClientMetadata;
use bff::registration::{Attempt, Registered, RegistrationOutcome};
use bff::state::{Adoption, Rev, State};
use jiff::Timestamp;
use serde_json::json;

use crate::answer::answer;
use crate::checks;

/// The most that is kept of an answer's metadata, names included.
const KEPT_BYTES: usize = 72 * 1024;

static KEY: LazyLock<PublicJwk> = LazyLock::new(|| {
    let key = SigningKey::generate(Algorithm::EdDsa).expect("OpenSSL makes a key");
    key.public().clone()
});

/// Carries an answer from its receipt to the state that is committed.
///
/// It shows no secret, keeps a bounded part of the metadata, and every state on the way commits.
pub fn registration_answer(data: &[u8]) {
    let now = Timestamp::UNIX_EPOCH;
    let answer = checks::marked(answer(data));
    let attempt = attempt();
    let mut state = State::default();
    state
        .first_key(KEY.clone(), "made", now)
        .expect("there is none yet");
    state.intend(attempt.clone(), false, now);
    state.received(answer.clone()).expect("an attempt is there");
    checks::commits(&state, Rev::default());

    let outcome = RegistrationOutcome::of(&attempt, &answer);

    checks::hides_secrets(&format!("{outcome:?} {answer:?}"));
    match outcome {
        RegistrationOutcome::Granted {
            registered,
            differences,
        } => {
            for difference in differences {
                checks::is_tidy(&difference.to_string());
                checks::hides_secrets(&difference.to_string());
            }
            is_bounded(&registered);
            state.adopt(registered, None, Adoption::Registered, now);
        }
        RegistrationOutcome::Refused(refused) => {
            checks::is_tidy(&refused.to_string());
            checks::hides_secrets(&refused.to_string());
            checks::is_hint(refused.hint());
            state.refused(&refused, now).expect("an attempt is there");
        }
        RegistrationOutcome::Unusable {
            registered,
            granted,
        } => {
            checks::is_tidy(&granted);
            is_bounded(&registered);
            state
                .unusable(registered, &granted, now)
                .expect("an attempt is there");
        }
        RegistrationOutcome::Unknown(what) => {
            checks::is_tidy(&what);
            checks::hides_secrets(&what);
            state
                .outcome_unknown(&what, now)
                .expect("an attempt is there");
        }
    }
    checks::journal_is_tidy(&state);
    checks::commits(&state, Rev::default().next());
}

fn is_bounded(registered: &Registered) {
    let text = serde_json::to_string(&registered.granted).expect("JSON");
    assert!(text.len() <= KEPT_BYTES, "{} bytes are kept", text.len());
    assert!(bff::oauth::is_client_id(&registered.client_id));
    if let Some(management) = &registered.management {
        checks::is_at_the_idp(&management.uri);
    }
}

fn attempt() -> Attempt {
    let asked = json!({
        "client_name": "bff-server",
        "redirect_uris": ["https://app.example/callback"],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "scope": "openid profile",
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "EdDSA",
        "jwks_uri": "https://app.example/.well-known/jwks.json",
        "contacts": ["ops@app.example"],
    });
    Attempt {
        issuer: "https://idp.example".to_owned(),
        endpoint: "https://idp.example/register".to_owned(),
        asked: ClientMetadata(asked.as_object().expect("an object").clone()),
        token: None,
        started_at: Timestamp::UNIX_EPOCH,
        answer: None,
    }
}
