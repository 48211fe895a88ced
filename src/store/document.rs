//! The one document that holds the state.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::sha::sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::keyring::KeyRing;
use crate::registration::{Attempt, Audience, Journal, MintedIat, Orphan, Registered};

/// All that must survive a restart, but for the private keys.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct State {
    /// The keys; none before the first one is made or imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<KeyRing>,
    /// The client we are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registered>,
    /// A registration whose outcome is not settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// An initial access token that was minted and has not been spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minted: Option<MintedIat>,
    /// Clients that nothing of ours uses any more and that may still exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphans: Vec<Orphan>,
    /// Which `aud` was seen to be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// What happened.
    #[serde(default)]
    pub journal: Journal,
}

/// Counts the commits of a state; 0 is the state before the first one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Rev(u64);

/// What is wrong with a document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadDocument {
    /// It was changed after it was written.
    #[error("its checksum does not fit")]
    Checksum,
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// It is not JSON, or not the JSON of a state.
    #[error("it does not parse: {0}")]
    Parse(String),
    /// Its format is newer than this program.
    #[error("its format version is {0}")]
    Version(u64),
}

/// The format written.
const VERSION: u64 = 1;

#[derive(Deserialize, Serialize)]
struct Document {
    version: u64,
    rev: Rev,
    #[serde(flatten)]
    state: State,
}

impl Rev {
    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number itself.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Writes a document down, with its checksum.
pub(super) fn encode(state: &State, rev: Rev) -> Result<Vec<u8>, serde_json::Error> {
    let document = serde_json::to_value(Document {
        version: VERSION,
        rev,
        state: state.clone(),
    })?;
    let mut members = match document {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let checksum = checksum(&members)?;
    members.insert("checksum".to_owned(), Value::String(checksum));
    let mut text = serde_json::to_vec_pretty(&members)?;
    text.push(b'\n');
    Ok(text)
}

/// Reads a document and checks that it is the one that was written.
pub(super) fn decode(text: &[u8]) -> Result<(State, Rev), BadDocument> {
    // The messages of the parser quote what they find, and the document holds a token.
    let parse = |error: serde_json::Error| {
        BadDocument::Parse(format!("line {} column {}", error.line(), error.column()))
    };
    let mut members: Map<String, Value> = serde_json::from_slice(text).map_err(parse)?;
    let written = members.shift_remove("checksum");
    match members.get("version").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(newer) if newer > VERSION => return Err(BadDocument::Version(newer)),
        _ => return Err(BadDocument::Parse("no version".to_owned())),
    }
    if written != Some(Value::String(checksum(&members).map_err(parse)?)) {
        return Err(BadDocument::Checksum);
    }
    let document: Document = serde_json::from_value(Value::Object(members))
        .map_err(|_| BadDocument::Parse("not the members of a state".to_owned()))?;
    Ok((document.state, document.rev))
}

/// Of the compact form, so that only what is said counts, not how it is laid out.
fn checksum(members: &Map<String, Value>) -> Result<String, serde_json::Error> {
    let digest = sha256(&serde_json::to_vec(members)?);
    Ok(format!("sha256:{}", URL_SAFE_NO_PAD.encode(digest)))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::jose::{Algorithm, SigningKey};
    use crate::oauth::{ClientMetadata, Management};
    use crate::secret::Secret;

    #[test]
    fn a_state_reads_back_whole_with_its_token() {
        let state = state();

        let (read, rev) = decode(&encode(&state, Rev(7)).unwrap()).unwrap();

        assert_eq!(rev, Rev(7));
        assert_eq!(read.ring, state.ring);
        let management = read.registration.unwrap().management.unwrap();
        assert_eq!(management.token.expose(), "rat-value");
    }

    #[test]
    fn any_changed_byte_is_noticed_and_never_quoted() {
        let text = encode(&state(), Rev(7)).unwrap();
        let white = |byte: u8| byte.is_ascii_whitespace();

        for index in (0..text.len()).filter(|&index| !white(text[index])) {
            let mut changed = text.clone();
            changed[index] ^= 1;
            if white(changed[index]) {
                continue;
            }
            let error = decode(&changed).unwrap_err().to_string();
            assert!(!error.contains("rat-value"), "{error}");
        }
    }

    #[test]
    fn a_truncated_document_is_bad_at_every_length() {
        let text = encode(&state(), Rev(7)).unwrap();

        for length in 0..text.len() - 2 {
            assert!(decode(&text[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_newer_format_is_told_apart_from_a_broken_one() {
        let text = String::from_utf8(encode(&state(), Rev(7)).unwrap()).unwrap();

        let newer = text.replace("\"version\": 1", "\"version\": 2");

        assert_eq!(
            decode(newer.as_bytes()).unwrap_err(),
            BadDocument::Version(2)
        );
    }

    fn state() -> State {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        State {
            ring: Some(KeyRing::new(key.public().clone(), Timestamp::UNIX_EPOCH)),
            registration: Some(Registered {
                issuer: "https://idp.example".to_owned(),
                client_id: "c1".to_owned(),
                management: Some(Management {
                    uri: "https://idp.example/c1".parse().unwrap(),
                    token: Secret::new("rat-value"),
                }),
                sent: ClientMetadata::default(),
                granted: ClientMetadata::default(),
                registered_at: Timestamp::UNIX_EPOCH,
                tokens: Vec::new(),
                unconfirmed: None,
                unmanageable: None,
                gone_since: None,
            }),
            ..State::default()
        }
    }
}
