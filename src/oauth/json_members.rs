//! The members of a JSON object that a stranger wrote.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::shown_text::shown_text;

/// How many values of one member are shown.
const MAX_SHOWN: usize = 8;

/// The members of an object, each read by itself: one that cannot be read takes no other with it.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Those that can be read, the first of each name.
    pub(super) read: Map<String, Value>,
    /// A name that is there more than once, with its first values, as they are shown.
    pub(super) repeated: Option<(String, Vec<String>)>,
    /// Each name that is there more than once.
    pub(super) unclear: Vec<String>,
}

impl Members {
    /// Reads an object; a byte order mark before it is ignored (RFC 8259 §8.1).
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let Raw(members) = serde_json::from_slice(text).ok()?;
        let mut found = Self::default();
        for (index, (name, value)) in members.iter().enumerate() {
            let same = |(other, _): &&(String, Box<RawValue>)| other == name;
            let earlier = members.iter().take(index).any(|member| same(&member));
            if earlier {
                found.unclear.push(name.clone());
                if found.repeated.is_none() {
                    let values = members.iter().filter(same);
                    let values = values.map(|(_, value)| shown_text(value.get()));
                    let values = values.take(MAX_SHOWN).collect();
                    found.repeated = Some((shown_text(name), values));
                }
            } else if let Ok(value) = serde_json::from_str(value.get()) {
                found.read.insert(name.clone(), value);
            }
        }
        Some(found)
    }

    /// Takes a member out, if it is a text that is not empty.
    pub(super) fn take_text(&mut self, name: &str) -> Option<String> {
        match self.read.shift_remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

/// The members in their order, repeated ones too. Their values are not looked into, so that no
/// depth of nesting is too deep.
struct Raw(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Raw(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_that_cannot_be_read_takes_no_other_with_it() {
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let text = format!("\u{feff}{{\"deep\":{deep},\"client_id\":\"c1\",\"x\":1e-13}}");

        let members = Members::parse(text.as_bytes()).unwrap();

        let expected = json!({"client_id": "c1", "x": 1e-13});
        assert_eq!(Value::Object(members.read), expected);
        assert_eq!(members.repeated, None);
    }

    #[test]
    fn a_repeated_member_is_told_with_all_its_values() {
        let members = Members::parse(br#"{"a":1,"client_id":"x","client_id":"y"}"#).unwrap();

        let values = vec![r#""x""#.to_owned(), r#""y""#.to_owned()];
        assert_eq!(members.repeated, Some(("client_id".to_owned(), values)));
    }

    #[test]
    fn what_is_not_an_object_has_no_members() {
        for text in [
            "",
            "[]",
            "1",
            "<html>",
            "{\"a\":1",
            "{\"a\":1} x",
            "\u{feff}",
        ] {
            assert!(Members::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Members::parse(b"{\"a\":\"\xff\"}").is_none());
    }
}
