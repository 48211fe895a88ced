//! What is stored of the metadata in an answer.

use serde_json::Value;

use crate::oauth::ClientMetadata;

/// The members that are compared, each as a set where it is a list or a scope.
pub(super) const COMPARED: [&str; 7] = [
    "client_id",
    "token_endpoint_auth_signing_alg",
    "jwks_uri",
    "redirect_uris",
    "grant_types",
    "response_types",
    "scope",
];

/// The largest member that is kept, in bytes of JSON; one that was asked for may be twice as long
/// as it was asked for.
const MEMBER_BYTES: usize = 4 * 1024;

/// The largest metadata that is kept, in bytes of JSON.
const METADATA_BYTES: usize = 64 * 1024;

/// The deepest nesting that is kept; the document has to be read back.
const LEVELS: usize = 32;

/// The members of an answer that were asked for or are compared, and the names of those that are
/// too long or nested too deeply to be kept.
///
/// A member is kept whole or not at all: a part of it would differ from what was asked for, while
/// one that is missing is unknown.
pub fn kept(asked: &ClientMetadata, answer: ClientMetadata) -> (ClientMetadata, Vec<String>) {
    let mut answer = answer;
    let mut kept = ClientMetadata::default();
    let (mut bytes, mut cut) = (0, Vec::new());
    let names = asked.0.keys().map(String::as_str);
    let compared = COMPARED.into_iter().chain(["token_endpoint_auth_method"]);
    for name in compared.chain(names) {
        let Some(value) = answer.0.shift_remove(name) else {
            continue;
        };
        let length = length(&value);
        let asked_for = asked.0.get(name).map_or(0, self::length);
        let fits = length <= MEMBER_BYTES.max(asked_for.saturating_mul(2))
            && bytes + length <= METADATA_BYTES
            && !is_deeper_than(&value, LEVELS);
        if fits {
            bytes += length;
            kept.0.insert(name.to_owned(), value);
        } else {
            cut.push(name.to_owned());
        }
    }
    (kept, cut)
}

fn length(value: &Value) -> usize {
    value.to_string().len()
}

fn is_deeper_than(value: &Value, levels: usize) -> bool {
    let inside = |item: &Value| is_deeper_than(item, levels.saturating_sub(1));
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(inside),
        Value::Object(members) => levels == 0 || members.values().any(inside),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_members_that_were_asked_for_or_are_compared_are_kept() {
        let asked = metadata(&json!({"client_name": "n", "contacts": ["a"]}));
        let answer = metadata(&json!({
            "client_name": "n", "contacts": ["b"], "scope": "openid", "jwks_uri": "u",
            "token_endpoint_auth_method": "private_key_jwt", "logo_uri": "x", "added": 1e-13,
        }));

        let (kept, cut) = kept(&asked, answer);

        let expected = json!({
            "client_name": "n", "contacts": ["b"], "scope": "openid", "jwks_uri": "u",
            "token_endpoint_auth_method": "private_key_jwt",
        });
        assert_eq!(kept, metadata(&expected));
        assert_eq!(cut, [""; 0]);
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_named_and_left_out() {
        let asked = metadata(&json!({"deep": 1, "deepest": 1, "float": 1.5, "long": 1, "ours": 1}));
        let answer = metadata(&json!({
            "deep": nested(LEVELS), "deepest": nested(LEVELS + 1), "float": 1.000_000_000_000_1e-7,
            "long": "x".repeat(MEMBER_BYTES), "scope": "x".repeat(MEMBER_BYTES - 2),
            "stranger": "x".repeat(MEMBER_BYTES),
        }));

        let (kept, cut) = kept(&asked, answer.clone());

        assert_eq!(cut, ["deepest", "long"]);
        for name in ["deep", "float", "scope"] {
            assert_eq!(kept.get(name), answer.get(name), "{name}");
        }
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<ClientMetadata>(&text).unwrap(), kept);
    }

    #[test]
    fn a_member_may_be_twice_as_long_as_it_was_asked_for() {
        let uris = |count| json!({"redirect_uris": vec!["https://app.example/cb"; count]});
        let asked = metadata(&uris(400));
        let of = |count| kept(&asked, metadata(&uris(count))).1;

        assert_eq!(of(799), [""; 0]);
        assert_eq!(of(801), ["redirect_uris"]);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_bounded_and_was_in_the_answer(
            lengths in proptest::collection::vec(0_usize..6_000, 0..40),
        ) {
            let members = lengths.iter().enumerate();
            let members = members.map(|(index, length)| (index.to_string(), json!("x".repeat(*length))));
            let answer = ClientMetadata(members.collect());
            let names = answer.0.keys().map(|name| (name.clone(), json!(1)));
            let asked = ClientMetadata(names.collect());

            let (kept, cut) = kept(&asked, answer.clone());

            prop_assert_eq!(kept.0.len() + cut.len(), answer.0.len());
            prop_assert!(kept.0.iter().all(|(name, value)| answer.get(name) == Some(value)));
            let bytes: usize = kept.0.values().map(length).sum();
            prop_assert!(bytes <= METADATA_BYTES);
        }
    }

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(1), |value, _| json!([value]))
    }

    fn metadata(value: &Value) -> ClientMetadata {
        ClientMetadata(value.as_object().unwrap().clone())
    }
}
