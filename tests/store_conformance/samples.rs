//! States to commit, and what can be seen of them.

use bff::jose::{Algorithm, Kid, SigningKey};
use bff::oauth::{AssertionType, ClientMetadata, EndpointUrl, Management};
use bff::registration::{AuthenticationOutcome, MintedIat, Proof, Registered};
use bff::secret::Secret;
use bff::state::{Adoption, Rev, State};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What no error may quote.
pub(crate) const SECRETS: [&str; 3] = ["rat-secret", "iat-secret", "pem-secret"];

/// The member that [`mark`] writes to. This program does not know it, and so keeps it.
const MARKS: &str = "marks";

/// A state with keys, a client with this metadata, and both kinds of tokens.
pub(crate) fn state(metadata: &Value) -> State {
    let now = Timestamp::UNIX_EPOCH;
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let metadata = ClientMetadata(metadata.as_object().unwrap().clone());
    let client = Registered {
        management: Some(Management {
            uri: EndpointUrl::parse("https://idp.example/c1", false).unwrap(),
            token: Secret::new("rat-secret"),
        }),
        ..Registered::new("https://idp.example", "c1", metadata.clone(), metadata, now)
    };
    let mut state = State::default();
    state.first_key(key.public().clone(), "made", now).unwrap();
    state.adopt(client, None, Adoption::Registered, now);
    let minted = MintedIat {
        token: Secret::new("iat-secret"),
        at: now,
        valid_at: None,
        expires_at: None,
    };
    state.mint(minted, now);
    state.intend_key(&kid("next/key"), Algorithm::PS256, now);
    let proof = Proof {
        outcome: AuthenticationOutcome::Accepted,
        audience: Some("https://idp.example/token".to_owned()),
        assertion_type: Some(AssertionType::Jwt),
        ..Proof::new(key.kid().clone(), now)
    };
    state.learn_proof("https://idp.example", "token_endpoint", "c1", &proof);
    state
}

/// A state that JSON can hold and no parser with a limit reads back.
pub(crate) fn too_deep() -> State {
    let deep = (0..200).fold(json!("rat-secret"), |inner, _| json!([inner]));
    state(&json!({ "deep": deep }))
}

pub(crate) fn pem(name: &str) -> Secret {
    Secret::new(format!(
        "-----BEGIN PRIVATE KEY-----\npem-secret {name}\n-----END PRIVATE KEY-----\n"
    ))
}

pub(crate) fn kid(text: &str) -> Kid {
    text.parse().unwrap()
}

pub(crate) fn json(state: &State) -> Value {
    serde_json::to_value(state).unwrap()
}

/// Leaves a mark in a state.
pub(crate) fn mark(state: &mut State, mark: u64) {
    let mut members = json(state);
    match members.get_mut(MARKS).and_then(Value::as_array_mut) {
        Some(marks) => marks.push(json!(mark)),
        None => members[MARKS] = json!([mark]),
    }
    *state = serde_json::from_value(members).unwrap();
}

pub(crate) fn marked(state: &State, number: u64) -> State {
    let mut state = state.clone();
    mark(&mut state, number);
    state
}

/// The marks of a state, in the order in which they were left.
pub(crate) fn marks(state: &State) -> Vec<u64> {
    let marks = json(state).get(MARKS).cloned().unwrap_or(json!([]));
    serde_json::from_value(marks).unwrap()
}

/// The revision `number`.
pub(crate) fn rev(number: u64) -> Rev {
    serde_json::from_value(json!(number)).unwrap()
}
