//! Client metadata and what a server answers to it (RFC 7591 §2, §3.2.1; RFC 7592 §3).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::endpoint_url::EndpointUrl;
use super::json_members::Members;
use super::shown_text::shown_text;
use crate::secret::Secret;

/// An initial access token (RFC 7591 §3).
///
/// Not `Clone`: sending it consumes it.
#[derive(Debug)]
pub struct InitialAccessToken(pub Secret);

/// Client metadata by member name (RFC 7591 §2), as asked for or as granted.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ClientMetadata(pub Map<String, Value>);

/// The right to read, update and delete a registration (RFC 7592 §3).
///
/// The URI and the token are only used together, so they are one value.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Management {
    /// `registration_client_uri`, to be used exactly as given.
    #[serde(rename = "registration_client_uri")]
    pub uri: EndpointUrl,
    /// `registration_access_token`.
    #[serde(
        rename = "registration_access_token",
        serialize_with = "crate::secret::stored"
    )]
    pub token: Secret,
}

/// A client information response (RFC 7591 §3.2.1), read but not yet judged.
///
/// A `client_secret` is dropped while reading: a `private_key_jwt` client does not need it.
#[derive(Clone, Debug)]
pub struct ClientInformation {
    /// Our identifier at this server.
    pub client_id: String,
    /// Access to the RFC 7592 methods.
    pub access: ManagementAccess,
    /// Whether the server has issued a `client_secret`.
    pub has_secret: bool,
    /// The registered metadata.
    pub metadata: ClientMetadata,
}

/// What an answer says of access to the RFC 7592 methods: both members, one, or none.
#[derive(Clone, Debug, Default)]
pub struct ManagementAccess {
    /// `registration_client_uri`, if it is there.
    pub registration_client_uri: Option<String>,
    /// `registration_access_token`, if it is there.
    pub registration_access_token: Option<Secret>,
}

/// A body that is not a client information response.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidInformation {
    /// There is no client identifier in it.
    #[error("the answer has no client_id")]
    NoClientId,
    /// It is not a JSON object.
    #[error("the answer is not a JSON object")]
    NotAnObject,
    /// The client identifier has other characters than RFC 6749 §A.1 allows, or is too long.
    #[error("the answer has a client_id that is no client identifier (RFC 6749 §A.1)")]
    OddClientId,
    /// A member is there more than once (RFC 8259 §4: its meaning is then unpredictable).
    #[error("the answer has {member} more than once: {}", .values.join(", "))]
    Repeated {
        /// The name of the member.
        member: String,
        /// Its first values as they were written, cut to a sane length; those of a secret member
        /// are not shown, nor objects and lists, in which there can be one.
        values: Vec<String>,
    },
}

/// Members whose values are never shown.
const SECRET_MEMBERS: [&str; 2] = ["client_secret", "registration_access_token"];

/// How many values of a repeated member are shown.
const SHOWN_VALUES: usize = 4;

/// Members that only the server sets, and that an update must not repeat (RFC 7592 §2.2).
pub const SERVER_ONLY_MEMBERS: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];

impl ClientMetadata {
    /// The member `name`, unless it is absent or null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A member that is a text; some servers send a list with one text (`docs/design.md`, "IdPs:
    /// what was seen and what is assumed").
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::String(text) => Some(text),
            Value::Array(items) => match items.as_slice() {
                [Value::String(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// A member that is a list, in its order; empty if it is absent.
    pub fn list(&self, name: &str) -> &[Value] {
        match self.get(name) {
            Some(Value::Array(items)) => items,
            Some(value) => std::slice::from_ref(value),
            None => &[],
        }
    }

    /// A member that is a list of texts, or one text with spaces between them, as a sorted
    /// set; `None` if it is absent.
    pub fn set(&self, name: &str) -> Option<Vec<String>> {
        let mut items: Vec<String> = match self.get(name)? {
            Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
            Value::Array(items) => items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                })
                .collect(),
            other => vec![other.to_string()],
        };
        items.sort_unstable();
        items.dedup();
        Some(items)
    }
}

impl ClientInformation {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`InvalidInformation`] unless it is a JSON object with one `client_id`, and each member once.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidInformation> {
        let mut members = Members::parse(body).ok_or(InvalidInformation::NotAnObject)?;
        if let Some((member, values)) = members.repeated {
            let values = shown(&member, &values);
            let member = shown_text(&member);
            return Err(InvalidInformation::Repeated { member, values });
        }
        let client_id = members.take_text("client_id");
        let client_id = client_id.ok_or(InvalidInformation::NoClientId)?;
        if !is_client_id(&client_id) {
            return Err(InvalidInformation::OddClientId);
        }
        let access = ManagementAccess::taken(&mut members);
        let has_secret = members
            .take_text("client_secret")
            .map(Secret::new)
            .is_some();
        for name in SERVER_ONLY_MEMBERS.into_iter().chain(["client_secret"]) {
            members.read.shift_remove(name);
        }
        Ok(Self {
            client_id,
            access,
            has_secret,
            metadata: ClientMetadata(members.read),
        })
    }
}

impl ManagementAccess {
    /// What a body says of access, whatever else is odd about it, as long as that much is clear.
    pub fn parse(body: &[u8]) -> Self {
        match Members::parse(body) {
            Some(mut members) if members.repeated.is_none() => Self::taken(&mut members),
            _ => Self::default(),
        }
    }

    /// What a body says of access to this client though a member comes twice; none if that much is
    /// not clear.
    pub fn despite_repetition(body: &[u8], client_id: &str) -> Option<Self> {
        const NEEDED: [&str; 3] = [
            "client_id",
            "registration_access_token",
            "registration_client_uri",
        ];
        let mut members = Members::parse(body)?;
        let is_clear = |name: &str| members.unclear.iter().all(|unclear| unclear != name);
        let told = members.read.get("client_id");
        let ours = told.is_none_or(|told| *told == *client_id);
        if !ours || !NEEDED.into_iter().all(is_clear) {
            return None;
        }
        let access = Self::taken(&mut members);
        access.registration_access_token.is_some().then_some(access)
    }

    fn taken(members: &mut Members) -> Self {
        Self {
            registration_client_uri: members.take_text("registration_client_uri"),
            registration_access_token: members
                .take_text("registration_access_token")
                .map(Secret::new),
        }
    }
}

/// What an error shows of the values of a repeated member.
fn shown(member: &str, values: &[String]) -> Vec<String> {
    if SECRET_MEMBERS.contains(&member) {
        return vec!["values that are not shown".to_owned()];
    }
    let first = values.iter().take(SHOWN_VALUES);
    let mut shown: Vec<String> = first
        .map(|value| match value.as_bytes().first() {
            Some(b'{') => "an object".to_owned(),
            Some(b'[') => "a list".to_owned(),
            _ => shown_text(value),
        })
        .collect();
    if values.len() > SHOWN_VALUES {
        shown.push("and more".to_owned());
    }
    shown
}

/// Whether a text can be a client identifier: visible ASCII and spaces (RFC 6749 §A.1), and not so
/// long that no header field could carry it.
pub fn is_client_id(text: &str) -> bool {
    let is_vschar = |octet: u8| (0x20..=0x7e).contains(&octet);
    !text.is_empty() && text.len() <= 1024 && text.bytes().all(is_vschar)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_needs_a_client_id_and_nothing_else() {
        let parse = |body: &str| ClientInformation::parse(body.as_bytes());

        assert_eq!(parse(r#"{"client_id":"c1"}"#).unwrap().client_id, "c1");
        assert_eq!(
            parse(r#"{"client_id":""}"#).unwrap_err(),
            InvalidInformation::NoClientId
        );
        assert_eq!(
            parse("<html>").unwrap_err(),
            InvalidInformation::NotAnObject
        );
        for odd in ["a\\u001bb", "a\\nb", "caf\\u00e9", &"x".repeat(1025)] {
            let body = format!(r#"{{"client_id":"{odd}"}}"#);
            assert_eq!(parse(&body).unwrap_err(), InvalidInformation::OddClientId);
        }
    }

    #[test]
    fn a_repeated_member_is_shown_unless_it_is_secret() {
        let parse = |body: &str| ClientInformation::parse(body.as_bytes()).unwrap_err();

        let error = parse(r#"{"client_id":"c1","client_id":"c2"}"#).to_string();
        assert!(error.contains(r#""c1", "c2""#), "{error}");

        let error = parse(
            r#"{"client_id":"c1","registration_access_token":"r1","registration_access_token":"r2"}"#,
        );
        assert!(!error.to_string().contains("r1"), "{error}");
    }

    #[test]
    fn a_repeated_member_is_shown_in_short_and_without_what_is_inside() {
        let parse = |body: &str| ClientInformation::parse(body.as_bytes()).unwrap_err();

        let members = vec![r#""n\u001b":1"#; 1000].join(",");
        let error = parse(&format!("{{{members}}}")).to_string();
        assert!(error.ends_with("1, 1, 1, 1, and more"), "{error}");
        assert!(!error.contains('\u{1b}'), "{error}");

        let nested = r#"{"registration_access_token":"rat-value"}"#;
        let error = parse(&format!(r#"{{"a":{nested},"a":[{nested}]}}"#)).to_string();
        assert!(error.ends_with("an object, a list"), "{error}");

        let long = "x".repeat(10_000);
        let error = parse(&format!(r#"{{"a":"{long}","a":1}}"#)).to_string();
        assert!(error.len() < 1_000, "{error}");
    }

    #[test]
    fn access_is_found_where_the_rest_says_nothing() {
        let body = br#"{"registration_access_token":"rat-value"}"#;

        let access = ManagementAccess::parse(body);

        let token = access.registration_access_token.unwrap();
        assert_eq!(token.expose(), "rat-value");
        assert!(access.registration_client_uri.is_none());
    }

    #[test]
    fn an_issued_secret_is_dropped_and_the_token_does_not_print() {
        let body = json!({
            "client_id": "c1", "client_secret": "s3cret", "client_secret_expires_at": 0,
            "registration_access_token": "rat-value", "registration_client_uri": "https://i/c1",
            "contacts": null, "scope": "openid",
        });

        let information = ClientInformation::parse(body.to_string().as_bytes()).unwrap();

        let printed = format!("{information:?}");
        assert!(!printed.contains("s3cret"), "{printed}");
        assert!(!printed.contains("rat-value"), "{printed}");
        assert_eq!(information.metadata.text("scope"), Some("openid"));
        assert_eq!(information.metadata.get("contacts"), None);
    }

    #[test]
    fn a_list_of_one_is_a_text_and_a_scope_is_a_set() {
        let Value::Object(members) = json!({
            "token_endpoint_auth_method": ["private_key_jwt"], "scope": "b a b",
        }) else {
            unreachable!()
        };
        let metadata = ClientMetadata(members);

        assert_eq!(
            metadata.text("token_endpoint_auth_method"),
            Some("private_key_jwt")
        );
        assert_eq!(metadata.set("scope").unwrap(), ["a", "b"]);
    }
}
