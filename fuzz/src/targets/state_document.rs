//! The state document, as found on the volume.

use bff::state::{Rev, State};
use bff::store::encoding::{decode, encode, seal};

use crate::checks;

/// Reads a document as it is and, since a changed one has a wrong checksum, under a right one.
///
/// What can be read can be written, and is then read back the same; an error quotes nothing.
pub fn state_document(data: &[u8]) {
    check(data);
    let covered = b",\n  \"checksum\": ";
    let end = data
        .windows(covered.len())
        .rposition(|window| window == covered)
        .unwrap_or(data.len());
    let mut text = data[..end].to_vec();
    if end < data.len() {
        text.extend_from_slice(b"\n}");
    }
    if let Some(text) = seal(text) {
        check(&text);
    }
}

fn check(text: &[u8]) {
    match decode(text) {
        Ok((state, rev)) => round(&state, rev),
        Err(error) => checks::is_tidy(&error.to_string()),
    }
}

fn round(state: &State, rev: Rev) {
    let text = checks::commits(state, rev);
    let next = encode(state, rev.next()).expect("the next revision");
    assert!(rev.next() == rev || next != text);
    // What is asked of a document at every start answers, whatever it holds.
    let _ = (state.verdict(), state.stored(), state.publishes_revoked());
    if let Some(ring) = state.ring() {
        let published: Vec<_> = ring.published().collect();
        assert!(published.contains(&&ring.current().jwk));
    }
}
