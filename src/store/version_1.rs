//! Documents of format version 1, as the release before wrote them.

use serde_json::{Map, Value, json};

use super::bad_document::{BadDocument, checksum};

/// The format read here.
pub(super) const VERSION: u64 = 1;

/// Turns the members of an intact document into those of the present format.
///
/// # Errors
///
/// [`BadDocument::Checksum`] if it was changed after it was written.
pub(super) fn upgrade(members: &mut Map<String, Value>) -> Result<(), BadDocument> {
    let written = members.shift_remove("checksum");
    // It covers the compact form, whatever the layout.
    let text = serde_json::to_vec(members).map_err(|_| BadDocument::Checksum)?;
    if written != Some(json!(format!("sha256:{}", checksum(&text)))) {
        return Err(BadDocument::Checksum);
    }
    let projections = projections(members);
    if let Some(Value::Object(client)) = members.get_mut("registration") {
        let (spent, since) = (
            client.shift_remove("tokens"),
            client.shift_remove("gone_since"),
        );
        let client_id = client.get("client_id").cloned();
        if let Some(spent) = spent {
            members.insert("spent".to_owned(), spent);
        }
        if let Some(since) = since {
            let gone = json!({"client_id": client_id, "since": since});
            members.insert("gone".to_owned(), gone);
        }
        members.insert("projections".to_owned(), projections);
    }
    if let Some(audience) = members.shift_remove("audience") {
        let known = json!({"issuer": audience.get("issuer"), "audience": audience.get("value")});
        members.insert("idp".to_owned(), known);
    }
    Ok(())
}

/// What was sent counts as confirmed; what the keys call for is wanted.
fn projections(members: &Map<String, Value>) -> Value {
    let ring = members.get("ring").unwrap_or(&Value::Null);
    let sent = members
        .get("registration")
        .and_then(|client| client.get("sent"));
    let sent = sent.unwrap_or(&Value::Null);
    let mut projections = Map::new();
    let alg = sent.get("token_endpoint_auth_signing_alg");
    if let (Some(alg), Some(wanted)) = (alg, ring.pointer("/current/jwk/alg")) {
        let projection = json!({"wanted": wanted, "confirmed": alg});
        projections.insert("signing_alg".to_owned(), projection);
    }
    if let Some(keys) = sent.pointer("/jwks/keys").and_then(Value::as_array) {
        let confirmed = sorted(keys.iter().filter_map(|key| key.get("kid")));
        let named = ["/current", "/next"]
            .iter()
            .filter_map(|name| ring.pointer(name));
        let previous = ring.get("previous").and_then(Value::as_array);
        let wanted = named.chain(previous.into_iter().flatten());
        let wanted = sorted(wanted.filter_map(|key| key.pointer("/jwk/kid")));
        let projection = json!({"wanted": wanted, "confirmed": confirmed});
        projections.insert("jwks".to_owned(), projection);
    }
    Value::Object(projections)
}
/// Key IDs, in the order in which they are compared.
fn sorted<'a>(kids: impl Iterator<Item = &'a Value>) -> Vec<&'a Value> {
    let mut kids: Vec<_> = kids.collect();
    kids.sort_unstable_by_key(|kid| kid.as_str());
    kids
}
