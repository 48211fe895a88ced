//! An update: what is sent, what is remembered of it, and whether it has arrived.

use serde_json::{Value, json};

use super::desired::is_empty;
use super::drift::{IDENTITY, REDIRECT_URIS, RedirectUpdate, same};
use super::record::Registered;
use crate::oauth::{ClientMetadata, SERVER_ONLY_MEMBERS};

/// Members that nobody else can set: they are the client's identity and its credentials.
const OURS_ALONE: [&str; 5] = [
    "client_id",
    "client_secret",
    "jwks",
    "jwks_uri",
    REDIRECT_URIS,
];

/// The body of an update (RFC 7592 §2.2): complete, from our own configuration, with the
/// issued `client_id`, and without what only the server sets.
///
/// `idp` is what the IdP has, for the redirect URIs that are not ours to take away.
pub fn update_body(
    desired: &ClientMetadata,
    registered: &Registered,
    idp: Option<&ClientMetadata>,
    redirects: RedirectUpdate,
) -> ClientMetadata {
    let mut body = desired.clone();
    for name in SERVER_ONLY_MEMBERS {
        body.0.shift_remove(name);
    }
    body.0
        .insert("client_id".to_owned(), json!(registered.client_id));
    let there = idp.unwrap_or(registered.at_the_idp());
    let uris = merged_redirects(desired, &registered.sent, there, redirects);
    if uris.is_empty() {
        body.0.shift_remove(REDIRECT_URIS);
    } else {
        body.0.insert(REDIRECT_URIS.to_owned(), json!(uris));
    }
    body
}

/// What others have set at the IdP, which has `idp`: a complete update has to repeat it, else it is
/// removed (RFC 7592 §2.2). What we have sent ourselves and do not ask for any more is not foreign.
pub fn foreign_members(
    body: &ClientMetadata,
    registered: &Registered,
    idp: &ClientMetadata,
) -> ClientMetadata {
    let foreign = idp.0.iter().filter(|(name, value)| {
        let name = name.as_str();
        !is_empty(value)
            && !OURS_ALONE.contains(&name)
            && !SERVER_ONLY_MEMBERS.contains(&name)
            && !body.0.contains_key(name)
            && !registered.sent.0.contains_key(name)
    });
    ClientMetadata(
        foreign
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// The body for a server that merges it into what it has: a null removes what we have sent before
/// and do not ask for any more.
pub fn patch_body(body: &ClientMetadata, registered: &Registered) -> ClientMetadata {
    let mut body = body.clone();
    for name in registered.sent.0.keys() {
        if !body.0.contains_key(name) && !IDENTITY.contains(&name.as_str()) {
            body.0.insert(name.clone(), Value::Null);
        }
    }
    body
}

/// What is remembered as sent once an update to `desired` is made: redirect URIs that are left to
/// the IdP were not sent as ours, nor was a request for another identifier.
pub fn recorded(
    mut desired: ClientMetadata,
    registered: &Registered,
    redirects: RedirectUpdate,
) -> ClientMetadata {
    let mut as_before = |name: &str| {
        match registered.sent.get(name) {
            Some(sent) => desired.0.insert(name.to_owned(), sent.clone()),
            None => desired.0.shift_remove(name),
        };
    };
    as_before("client_id");
    if redirects == RedirectUpdate::None {
        as_before(REDIRECT_URIS);
    }
    desired
}

/// Whether an update that asked for `sent` has reached the IdP, which has `idp` now.
///
/// An update is made as a whole (RFC 7592 §2.2), so one member that has changed since the IdP's
/// last answer shows that all were applied; what else differs is the IdP's decision.
pub fn has_arrived(sent: &ClientMetadata, registered: &Registered, idp: &ClientMetadata) -> bool {
    let before = registered.at_the_idp();
    let names = sent.0.keys().chain(registered.sent.0.keys());
    let changed = names.filter(|name| {
        let name = name.as_str();
        !IDENTITY.contains(&name) && !same(sent, &registered.sent, name)
    });
    let mut as_wished = true;
    for name in changed {
        let told =
            before.get(name).is_some() && (idp.get(name).is_some() || sent.get(name).is_none());
        if told && !same(before, idp, name) {
            return true;
        }
        as_wished &= same(sent, idp, name);
    }
    as_wished
}

fn merged_redirects(
    desired: &ClientMetadata,
    sent: &ClientMetadata,
    there: &ClientMetadata,
    redirects: RedirectUpdate,
) -> Vec<String> {
    let list = |metadata: &ClientMetadata| match metadata.get(REDIRECT_URIS) {
        Some(Value::Array(uris)) => uris
            .iter()
            .filter_map(|uri| uri.as_str().map(str::to_owned))
            .collect(),
        Some(Value::String(uri)) => vec![uri.clone()],
        _ => Vec::new(),
    };
    let (ours, sent, theirs): (Vec<String>, Vec<String>, Vec<String>) =
        (list(desired), list(sent), list(there));
    let with = |added: &dyn Fn(&String) -> bool| {
        let mut uris = ours.clone();
        uris.extend(
            theirs
                .iter()
                .filter(|uri| !ours.contains(uri) && added(uri))
                .cloned(),
        );
        uris
    };
    match redirects {
        RedirectUpdate::Replace => ours,
        RedirectUpdate::Merge => with(&|_| true),
        RedirectUpdate::Auto => with(&|uri| !sent.contains(uri)),
        RedirectUpdate::None if theirs.is_empty() => sent,
        RedirectUpdate::None => theirs,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn an_update_is_complete_and_each_mode_treats_redirects_its_own_way() {
        let desired = metadata(&json!({"client_name": "n", "redirect_uris": ["new"]}));
        let registered = registered(
            &json!({"redirect_uris": ["old"]}),
            &json!({"redirect_uris": ["old"]}),
        );
        let idp = metadata(&json!({"redirect_uris": ["old", "theirs"]}));
        let body = |mode| update_body(&desired, &registered, Some(&idp), mode);

        let auto = body(RedirectUpdate::Auto);
        assert_eq!(auto.text("client_id"), Some("c1"));
        assert_eq!(auto.text("client_name"), Some("n"));
        assert_eq!(auto.get("redirect_uris"), Some(&json!(["new", "theirs"])));
        let uris = |mode| body(mode).get("redirect_uris").cloned().unwrap();
        assert_eq!(uris(RedirectUpdate::Replace), json!(["new"]));
        assert_eq!(uris(RedirectUpdate::Merge), json!(["new", "old", "theirs"]));
        assert_eq!(uris(RedirectUpdate::None), json!(["old", "theirs"]));
    }

    #[test]
    fn what_others_have_set_is_repeated_and_what_we_have_sent_before_is_not() {
        let registered = registered(&json!({"scope": "a", "contacts": ["us"]}), &json!({}));
        let body = metadata(&json!({"scope": "b", "client_id": "c1"}));
        let idp = metadata(&json!({
            "client_id": "c1", "scope": "a", "contacts": ["us"], "logo_uri": "u", "theirs": 0,
            "jwks": {"keys": []}, "jwks_uri": "u", "client_secret": "s", "tos_uri": null,
            "client_secret_expires_at": 0, "client_id_issued_at": 1, "response_types": [],
            "registration_client_uri": "u", "registration_access_token": "t",
        }));

        let foreign = foreign_members(&body, &registered, &idp);

        assert_eq!(foreign, metadata(&json!({"logo_uri": "u", "theirs": 0})));
        let patch = patch_body(&body, &registered);
        let expected = json!({"scope": "b", "client_id": "c1", "contacts": null});
        assert_eq!(patch, metadata(&expected));
    }

    #[test]
    fn one_member_that_has_moved_tells_that_an_update_was_made() {
        let registered = registered(
            &json!({"scope": "a", "redirect_uris": ["u1"]}),
            &json!({"scope": "a", "redirect_uris": ["u1"]}),
        );
        let sent = metadata(&json!({"scope": "a b", "redirect_uris": ["u1", "u2"]}));
        let arrived = |idp: &Value| has_arrived(&sent, &registered, &metadata(idp));

        let substituted = json!({"scope": "a", "redirect_uris": ["u1", "u2"]});
        assert!(arrived(&substituted), "the scope is the IdP's decision");
        assert!(!arrived(&registered.granted.0.clone().into()));
        assert!(!arrived(&json!({})), "nothing is known");
    }

    #[test]
    fn redirect_uris_that_are_left_to_the_idp_do_not_count_as_sent() {
        let desired = metadata(&json!({"scope": "b", "redirect_uris": ["new"]}));
        let registered = registered(&json!({"redirect_uris": ["old"]}), &json!({}));
        let of = |mode| recorded(desired.clone(), &registered, mode);

        assert_eq!(of(RedirectUpdate::Auto), desired);
        let none = of(RedirectUpdate::None);
        assert_eq!(none.get("redirect_uris"), Some(&json!(["old"])));
        assert_eq!(none.text("scope"), Some("b"));
    }

    fn registered(sent: &Value, granted: &Value) -> Registered {
        let (issuer, at) = ("https://idp.example", Timestamp::UNIX_EPOCH);
        Registered::new(issuer, "c1", metadata(sent), metadata(granted), at)
    }

    fn metadata(value: &Value) -> ClientMetadata {
        ClientMetadata(value.as_object().unwrap().clone())
    }
}
