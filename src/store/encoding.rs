//! The document as text.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::bad_document::{BadDocument, checksum};
use super::version_1;
use crate::state::{Rev, State};

/// A state that could not be read back, so that it was not written.
#[derive(Debug, thiserror::Error)]
#[error("the state does not survive being written and read")]
pub struct NotReadable;

/// The format written.
const VERSION: u64 = 2;

/// What stands between the members that the checksum covers and the checksum.
const BEFORE_CHECKSUM: &[u8] = b",\n  \"checksum\": \"sha256:";

/// What stands behind the checksum.
const AFTER_CHECKSUM: &[u8] = b"\"\n}\n";

#[derive(Deserialize, Serialize)]
struct Document<S> {
    version: u64,
    rev: Rev,
    #[serde(flatten)]
    state: S,
}

/// Encodes a document with a checksum over its bytes, and proves that it can be read back.
///
/// # Errors
///
/// [`NotReadable`]; such a document must not replace one that is.
pub fn encode(state: &State, rev: Rev) -> Result<Vec<u8>, NotReadable> {
    let text = written(state, rev)?;
    let (read, read_rev) = decode(&text).map_err(|_| NotReadable)?;
    if read_rev == rev && written(&read, rev)? == text {
        Ok(text)
    } else {
        Err(NotReadable)
    }
}

fn written(state: &State, rev: Rev) -> Result<Vec<u8>, NotReadable> {
    let version = VERSION;
    let document = Document {
        version,
        rev,
        state,
    };
    let text = serde_json::to_vec_pretty(&document).map_err(|_| NotReadable)?;
    seal(text).ok_or(NotReadable)
}

/// Adds the checksum to the text of an object; none if it does not end as [`encode`] lets it end.
pub fn seal(mut text: Vec<u8>) -> Option<Vec<u8>> {
    text.truncate(text.strip_suffix(b"\n}")?.len());
    let checksum = checksum(&text);
    text.extend_from_slice(BEFORE_CHECKSUM);
    text.extend_from_slice(checksum.as_bytes());
    text.extend_from_slice(AFTER_CHECKSUM);
    Some(text)
}

/// Reads a document and checks that it is the one that was written.
///
/// # Errors
///
/// [`BadDocument`], which never quotes the document: it holds a token.
pub fn decode(text: &[u8]) -> Result<(State, Rev), BadDocument> {
    let mut members: Map<String, Value> = serde_json::from_slice(text).map_err(|error| {
        BadDocument::Parse(format!("line {} column {}", error.line(), error.column()))
    })?;
    match members.get("version").and_then(Value::as_u64) {
        Some(VERSION) if is_intact(text) => drop(members.shift_remove("checksum")),
        Some(VERSION) => return Err(BadDocument::Checksum),
        Some(version_1::VERSION) => version_1::upgrade(&mut members)?,
        Some(newer) if newer > VERSION => return Err(BadDocument::Version(newer)),
        _ => return Err(BadDocument::Parse("no version".to_owned())),
    }
    let document: Document<State> =
        serde_json::from_value(Value::Object(members)).map_err(|_| BadDocument::Contents)?;
    Ok((document.state, document.rev))
}

fn is_intact(text: &[u8]) -> bool {
    let length = checksum(b"").len();
    let intact = || {
        let text = text.strip_suffix(AFTER_CHECKSUM)?;
        let (text, written) = text.split_at_checked(text.len().checked_sub(length)?)?;
        let covered = text.strip_suffix(BEFORE_CHECKSUM)?;
        Some(checksum(covered).as_bytes() == written)
    };
    intact() == Some(true)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::jose::{Algorithm, SigningKey};
    use crate::oauth::{ClientMetadata, EndpointUrl, Management};
    use crate::registration::Registered;
    use crate::secret::Secret;
    use crate::state::Adoption;

    #[test]
    fn a_state_reads_back_whole_with_its_token() {
        let state = state(&json!({"scope": "openid"}));

        let (read, rev) = decode(&encode(&state, rev(7)).unwrap()).unwrap();

        assert_eq!(rev.number(), 7);
        assert_eq!(read.ring(), state.ring());
        let management = read.registration().unwrap().management.as_ref();
        assert_eq!(management.unwrap().token.expose(), "rat-value");
    }

    #[test]
    fn any_changed_byte_is_noticed_and_never_quoted() {
        let text = encode(&state(&json!({})), rev(7)).unwrap();

        for index in 0..text.len() {
            let mut changed = text.clone();
            changed[index] ^= 1;
            let error = decode(&changed).unwrap_err().to_string();
            assert!(!error.contains("rat-value"), "{error}");
        }
    }

    #[test]
    fn a_truncated_document_is_bad_at_every_length() {
        let text = encode(&state(&json!({})), rev(7)).unwrap();

        for length in 0..text.len() {
            assert!(decode(&text[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_newer_format_is_told_apart_from_a_broken_one() {
        let text = String::from_utf8(encode(&state(&json!({})), rev(7)).unwrap()).unwrap();

        let newer = text.replace("\"version\": 2", "\"version\": 3");

        assert_eq!(
            decode(newer.as_bytes()).unwrap_err(),
            BadDocument::Version(3)
        );
    }

    #[test]
    fn what_is_intact_and_not_understood_is_newer_and_not_damaged() {
        let written = encode(&state(&json!({})), rev(7)).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        let unknown = json!("something_new");
        let attempt = json!({"started_at": "not a time"});
        for (place, value) in [
            ("/ring/current/jwk/alg", unknown.clone()),
            ("/ring/current/jwk/kty", unknown.clone()),
            ("/registration/management", unknown.clone()),
            ("/registration/registered_at", unknown.clone()),
            ("/journal", json!({"entries": []})),
            ("/attempt", attempt),
            (
                "/restored",
                json!({"since": "1970-01-01T00:00:00Z", "reason": 7}),
            ),
            ("/rev", json!("seven")),
        ] {
            let mut newer = written.clone();
            let (parent, member) = place.rsplit_once('/').unwrap();
            newer.pointer_mut(parent).unwrap()[member] = value;

            let error = decode(&sealed(newer)).err();

            assert_eq!(error, Some(BadDocument::Contents), "{place}");
        }
    }

    #[test]
    fn odd_numbers_survive_and_what_does_not_is_not_written() {
        let odd = state(&json!({"x": 3.899_367_208_872_129e-13, "y": 1e300, "z": -0.0}));
        let (read, _) = decode(&encode(&odd, rev(1)).unwrap()).unwrap();
        let sent = |state: &State| state.registration().unwrap().sent.clone();
        assert_eq!(sent(&read), sent(&odd));

        let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
        assert!(encode(&state(&json!({ "deep": deep })), rev(1)).is_err());
    }

    #[test]
    fn what_a_newer_version_has_added_is_kept() {
        let mut state = serde_json::to_value(state(&json!({}))).unwrap();
        state["added"] = json!({"later": true});
        state["journal"][0]["event"] = json!("something_new");
        let state: State = serde_json::from_value(state).unwrap();

        let (read, _) = decode(&encode(&state, rev(1)).unwrap()).unwrap();

        let read = serde_json::to_value(read).unwrap();
        assert_eq!(read["added"], json!({"later": true}));
        assert_eq!(read["journal"][0]["event"], "something_new");
    }

    fn state(sent: &Value) -> State {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let mut state = State::default();
        state.first_key(key.public().clone(), "made", now).unwrap();
        let sent = ClientMetadata(sent.as_object().unwrap().clone());
        let client = Registered {
            management: Some(Management {
                uri: EndpointUrl::parse("https://idp.example/c1", false).unwrap(),
                token: Secret::new("rat-value"),
            }),
            ..Registered::new("https://idp.example", "c1", sent.clone(), sent, now)
        };
        state.adopt(client, None, Adoption::Registered, now);
        state
    }

    fn rev(number: u64) -> Rev {
        serde_json::from_value(json!(number)).unwrap()
    }

    /// The text of a document with these members, as a program would write it that knows them.
    fn sealed(mut members: Value) -> Vec<u8> {
        members.as_object_mut().unwrap().shift_remove("checksum");
        seal(serde_json::to_vec_pretty(&members).unwrap()).unwrap()
    }
}
