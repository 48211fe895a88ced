//! What we want, what we last sent and what the IdP has: three ways to differ.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::Registered;
use crate::oauth::{ClientMetadata, SERVER_ONLY_MEMBERS, shown_text};

/// The members of a registration that are not as they should be.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Drift(pub Vec<Drifted>);

/// One of them. A value that is missing was not asked for, not sent, or is not known.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Drifted {
    /// The name of the member.
    pub member: String,
    /// What the configuration calls for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Value>,
    /// What was last sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Value>,
    /// What the IdP has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<Value>,
}

/// What an update does to redirect URIs (`DCR_REDIRECT_UPDATE_MODE`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RedirectUpdate {
    /// Ours, and those that others have added at the IdP; those that we take away are removed.
    #[default]
    Auto,
    /// Ours beside all that the IdP has.
    Merge,
    /// Those that the IdP has.
    None,
    /// Ours alone.
    Replace,
}

pub(super) const REDIRECT_URIS: &str = "redirect_uris";

/// Members that identify the client, and are not compared.
pub(super) const IDENTITY: [&str; 2] = ["client_id", "software_statement"];

impl Drift {
    /// Compares. `idp` is what the IdP says that it has, where it was asked.
    ///
    /// A desired value that was not sent has drifted. So has a value that the IdP has changed since
    /// its last answer. A value that the IdP put in place of ours in that answer is its decision,
    /// and is not asked for again (RFC 7591 §3.2.1).
    pub fn between(
        desired: &ClientMetadata,
        registered: &Registered,
        idp: Option<&ClientMetadata>,
        redirects: RedirectUpdate,
    ) -> Self {
        let sent = &registered.sent;
        let mut names: Vec<&String> = desired.0.keys().collect();
        names.extend(sent.0.keys().filter(|name| !desired.0.contains_key(*name)));
        let drifted = names.into_iter().filter(|name| {
            let name = name.as_str();
            if IDENTITY.contains(&name) || SERVER_ONLY_MEMBERS.contains(&name) {
                return false;
            }
            if name == REDIRECT_URIS && redirects == RedirectUpdate::None {
                return false;
            }
            !same(desired, sent, name)
                || idp.is_some_and(|idp| changed_there(desired, registered, idp, name, redirects))
        });
        Self(
            drifted
                .map(|name| Drifted {
                    member: name.clone(),
                    desired: desired.get(name).cloned(),
                    sent: sent.get(name).cloned(),
                    idp: idp.unwrap_or(&registered.granted).get(name).cloned(),
                })
                .collect(),
        )
    }

    /// Whether all is as it should be.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The settings that these members follow from.
    pub fn settings(&self) -> Vec<&'static str> {
        let mut settings: Vec<_> = self.0.iter().map(Drifted::setting).collect();
        settings.dedup();
        settings
    }

    /// The names of the members.
    pub fn members(&self) -> Vec<&str> {
        self.0
            .iter()
            .map(|drifted| drifted.member.as_str())
            .collect()
    }
}

impl Drifted {
    /// The setting that this member follows from.
    pub fn setting(&self) -> &'static str {
        match self.member.as_str() {
            "client_name" => "DCR_CLIENT_NAME",
            "client_profile" => "DCR_CLIENT_PROFILE",
            "grant_types" | "response_types" => "DCR_GRANT_TYPES",
            "jwks" | "jwks_uri" => "DCR_JWKS",
            REDIRECT_URIS => "DCR_REDIRECT_URIS",
            "scope" => "DCR_SCOPE",
            "token_endpoint_auth_signing_alg" => "BFF_SIGNING_ALG",
            _ => "DCR_EXTRA_METADATA",
        }
    }
}

/// Whether the IdP's value is neither ours nor the one it told us of.
fn changed_there(
    desired: &ClientMetadata,
    registered: &Registered,
    idp: &ClientMetadata,
    name: &str,
    redirects: RedirectUpdate,
) -> bool {
    if idp.get(name).is_none() || same(desired, idp, name) || same(&registered.granted, idp, name) {
        return false;
    }
    if name == REDIRECT_URIS && redirects != RedirectUpdate::Replace {
        let (ours, theirs) = (desired.set(name), idp.set(name));
        let (ours, theirs) = (ours.unwrap_or_default(), theirs.unwrap_or_default());
        return !ours.iter().all(|uri| theirs.contains(uri));
    }
    true
}

/// Lists whose order has a meaning: "in order of preference" (`OpenID` Connect Dynamic Client
/// Registration 1.0 §2).
const ORDERED: [&str; 1] = ["default_acr_values"];

/// Lists and scopes are compared as sets where their order means nothing, everything else as it
/// is. Servers also send a list of one for a text.
pub(super) fn same(a: &ClientMetadata, b: &ClientMetadata, name: &str) -> bool {
    if name == "jwks"
        && let (Some(a), Some(b)) = (a.get(name).and_then(kids), b.get(name).and_then(kids))
    {
        return a == b;
    }
    let is_list = |metadata: &ClientMetadata| match metadata.get(name) {
        Some(Value::Array(items)) => items.iter().all(Value::is_string),
        Some(_) => false,
        None => true,
    };
    if name == "scope" || (is_list(a) && is_list(b)) {
        if ORDERED.contains(&name) {
            return a.list(name) == b.list(name);
        }
        // An absent list and an empty one are equal.
        return a.set(name).unwrap_or_default() == b.set(name).unwrap_or_default();
    }
    match (a.text(name), b.text(name)) {
        (Some(a), Some(b)) => a == b,
        _ => a.get(name) == b.get(name),
    }
}

/// The key IDs of a JWK Set (RFC 7517 §5); none if a key is without one. A key ID is never used for
/// another key.
fn kids(jwks: &Value) -> Option<BTreeSet<&str>> {
    let keys = jwks.get("keys")?.as_array()?;
    keys.iter().map(|key| key.get("kid")?.as_str()).collect()
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, drifted) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{drifted}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Drifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| match value {
            None => "-".to_owned(),
            Some(Value::String(text)) => shown_text(text),
            Some(value) => shown_text(&value.to_string()),
        };
        write!(
            f,
            "{}: desired {}, sent {}, at the IdP {}",
            self.member,
            shown(&self.desired),
            shown(&self.sent),
            shown(&self.idp)
        )
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    const NONE: Option<&ClientMetadata> = None;

    #[test]
    fn what_was_sent_as_desired_has_not_drifted_whatever_the_idp_made_of_it() {
        let desired = metadata(&json!({"scope": "a b", "redirect_uris": ["u1", "u2"]}));
        let registered = registered(
            &json!({"scope": "b a", "redirect_uris": ["u2", "u1"], "client_id": "wish"}),
            &json!({"scope": "a", "redirect_uris": ["u1", "u2"], "added": true}),
        );

        let drift = Drift::between(&desired, &registered, NONE, RedirectUpdate::Auto);
        assert_eq!(drift, Drift::default());

        let idp = registered.granted.clone();
        let drift = Drift::between(&desired, &registered, Some(&idp), RedirectUpdate::Auto);
        assert_eq!(drift, Drift::default(), "its substitution is not fought");
    }

    #[test]
    fn a_change_here_and_a_change_there_are_both_drift() {
        let desired = metadata(&json!({"scope": "a", "grant_types": ["x"]}));
        let registered = registered(
            &json!({"scope": "a b", "grant_types": ["x"]}),
            &json!({"scope": "a b", "grant_types": ["x"]}),
        );
        let idp = metadata(&json!({"scope": "a b", "grant_types": ["y"]}));

        let drift = Drift::between(&desired, &registered, Some(&idp), RedirectUpdate::Auto);

        assert_eq!(drift.members(), ["scope", "grant_types"]);
    }

    #[test]
    fn a_redirect_uri_that_others_added_is_left_alone_unless_ours_replace_all() {
        let desired = metadata(&json!({"redirect_uris": ["u1"]}));
        let registered = registered(
            &json!({"redirect_uris": ["u1"]}),
            &json!({"redirect_uris": ["u1"]}),
        );
        let idp = metadata(&json!({"redirect_uris": ["u1", "theirs"]}));
        let drifts = |mode| !Drift::between(&desired, &registered, Some(&idp), mode).is_empty();

        assert!(!drifts(RedirectUpdate::Auto));
        assert!(!drifts(RedirectUpdate::Merge));
        assert!(!drifts(RedirectUpdate::None));
        assert!(drifts(RedirectUpdate::Replace));
    }

    #[test]
    fn keys_are_the_same_by_their_ids_in_any_order() {
        let jwks = |kids: &[&str]| {
            let keys: Vec<Value> = kids
                .iter()
                .map(|kid| json!({"kid": kid, "x": kids}))
                .collect();
            json!({"jwks": {"keys": keys}})
        };
        let drifts = |desired: &Value, sent: &Value| {
            let client = registered(sent, sent);
            !Drift::between(&metadata(desired), &client, NONE, RedirectUpdate::Auto).is_empty()
        };

        assert!(!drifts(&jwks(&["a", "b"]), &jwks(&["b", "a"])));
        assert!(drifts(&jwks(&["a", "b"]), &jwks(&["a", "c"])));
        assert!(drifts(&jwks(&["a", "b"]), &jwks(&["a"])));
        let nameless = json!({"jwks": {"keys": [{"x": 1}]}});
        assert!(drifts(&nameless, &json!({"jwks": {"keys": [{"x": 2}]}})));
        assert!(!drifts(&nameless, &nameless));
    }

    #[test]
    fn another_order_is_drift_where_the_order_is_one_of_preference() {
        let drifts = |member: &str| {
            let both = json!({member: ["b", "a"]});
            let desired = metadata(&json!({member: ["a", "b"]}));
            let client = registered(&both, &both);
            !Drift::between(&desired, &client, NONE, RedirectUpdate::Auto).is_empty()
        };

        assert!(drifts("default_acr_values"));
        for member in ["redirect_uris", "grant_types", "post_logout_redirect_uris"] {
            assert!(!drifts(member), "{member}");
        }
        let absent = metadata(&json!({}));
        let empty = registered(&json!({"response_types": []}), &json!({}));
        let drift = Drift::between(&absent, &empty, NONE, RedirectUpdate::Auto);
        assert_eq!(drift, Drift::default(), "an empty list is sent no more");
    }

    fn registered(sent: &Value, granted: &Value) -> Registered {
        let (issuer, at) = ("https://idp.example", Timestamp::UNIX_EPOCH);
        Registered::new(issuer, "c1", metadata(sent), metadata(granted), at)
    }

    fn metadata(value: &Value) -> ClientMetadata {
        ClientMetadata(value.as_object().unwrap().clone())
    }
}
