//! What answers hold: valid, odd and hostile.

use serde_json::{Map, Value};

use crate::steps::Random;

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Door {
    Delete,
    Discovery,
    Mint,
    Read,
    Register,
    Renew,
    Token,
    Update,
}

/// An answer in its parts.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    fields: Vec<String>,
    pub(crate) body: Vec<u8>,
}

/// How an answer is changed on its way.
#[derive(Clone, Debug)]
pub(crate) enum Odd {
    /// This member has this value, which need not be JSON.
    Member(&'static str, String),
    /// This member comes first with this value, and again as it is.
    Twice(&'static str, String),
    Missing(&'static str),
    /// The body between these bytes.
    Around(Vec<u8>, Vec<u8>),
    Body(Vec<u8>),
    /// In UTF-16, little-endian.
    Utf16,
    Status(u16, Option<String>),
    Field(String),
}

const MEMBERS: [&str; 17] = [
    "application_type",
    "client_id",
    "client_id_issued_at",
    "client_secret",
    "client_secret_expires_at",
    "contacts",
    "grant_types",
    "jwks",
    "jwks_uri",
    "redirect_uris",
    "registration_access_token",
    "registration_client_uri",
    "response_types",
    "scope",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "x_foreign",
];

const VALUES: [&str; 34] = [
    "null",
    "true",
    "0",
    "-0.0",
    "1e-400",
    "1e300",
    "1e400",
    "1e999999999",
    "01",
    "123456789012345678901234567890",
    "9007199254740993",
    "3.899367208872129e-13",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"\\u001b[2J\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\n\"",
    "\"\u{e9}\u{202e}\"",
    "\"a b\"",
    "\"none\"",
    "\"PRIVATE_KEY_JWT\"",
    "\"RS256\"",
    "\"https://elsewhere.example/x\"",
    "\"http://127.0.0.1:1/\"",
    "\"http://[\"",
    "[]",
    "[null]",
    "[\"a\",1,{}]",
    "{}",
    "{\"\":{\"\":[]}}",
    "{\"a\":1,\"a\":2}",
    "",
];

const FIELDS: [&str; 12] = [
    "content-type: text/html",
    "content-type: application/json; charset=utf-16",
    "content-type:",
    "content-encoding: gzip",
    "retry-after: -1",
    "retry-after: 99999999999999999999",
    "retry-after: Mon, 01 Jan 1900 00:00:00 GMT",
    "date: never",
    "date: Thu, 01 Jan 1970 00:00:00 GMT",
    "www-authenticate: Bearer error=\"invalid_token\", error=\"insufficient_scope\"",
    "location: http://[",
    "set-cookie: a=b",
];

const BODIES: [&[u8]; 12] = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"{}",
    b"\"\"",
    b"<html><body>It works</body></html>",
    b"{\"error\":\"invalid_token\"}",
    b"{\"error\":\"invalid_client_metadata\",\"error_description\":\"\\u001b[2J\"}",
    b"{\"error\":{\"a\":[]}}",
    b"\xff\xfe\x00\xd8",
    b"\x00",
];

/// What may stand for an answer to a request that was carried out, without lying about that.
const STATUSES: [u16; 20] = [
    200, 201, 202, 203, 204, 206, 226, 299, 300, 301, 302, 303, 304, 305, 408, 500, 502, 503, 504,
    599,
];

const LOCATIONS: [&str; 5] = [
    "https://elsewhere.example/",
    "/login",
    "/clients/c1",
    "http://[",
    "?a=b",
];

impl Door {
    /// Tells it from a request line.
    pub(crate) fn of(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        Some(match method {
            _ if path.contains("/.well-known/") => Self::Discovery,
            "POST" if path.ends_with("/dcr/register") => Self::Register,
            "POST" if path.ends_with("/initial-access-tokens") => Self::Mint,
            "POST" if path.ends_with("/tokens") => Self::Renew,
            "POST" if path.ends_with("/token") => Self::Token,
            "GET" => Self::Read,
            "PUT" => Self::Update,
            "DELETE" => Self::Delete,
            _ => return None,
        })
    }
}

impl Answer {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.get(9..12)?.parse().ok());
        let framing = |line: &str| {
            let line = line.to_ascii_lowercase();
            line.starts_with("content-length:") || line.starts_with("connection:")
        };
        Self {
            status: status.unwrap_or(502),
            fields: lines
                .filter(|line| !framing(line))
                .map(str::to_owned)
                .collect(),
            body: bytes.get(end + 4..).unwrap_or_default().to_vec(),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Answer\r\n", self.status);
        for field in &self.fields {
            head.push_str(field);
            head.push_str("\r\n");
        }
        let length = self.body.len();
        let framing = format!("content-length: {length}\r\nconnection: close\r\n\r\n");
        head.push_str(&framing);
        let mut bytes = head.into_bytes();
        // Such answers have no body (RFC 9110 §6.4.1).
        if !matches!(self.status, 204 | 304) {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }

    fn set(&mut self, field: &str) {
        let name = field.split(':').next().unwrap_or_default();
        let same = |other: &String| {
            let other = other.split(':').next().unwrap_or_default();
            other.eq_ignore_ascii_case(name)
        };
        self.fields.retain(|other| !same(other));
        self.fields.push(field.to_owned());
    }
}

impl Odd {
    /// Some oddity. The numbers of `random` decide which.
    pub(crate) fn any(random: &mut Random) -> Self {
        match random.below(10) {
            0..=2 => Self::Member(pick(random, &MEMBERS), value(random)),
            3 => Self::Twice(pick(random, &MEMBERS), value(random)),
            4 => Self::Missing(pick(random, &MEMBERS)),
            5 => {
                let (before, after): (&[u8], &[u8]) = pick(
                    random,
                    &[
                        (b"\xef\xbb\xbf", b""),
                        (b"\r\n\t ", b"\n"),
                        (b"", b" and more"),
                        (b"[", b"]"),
                        (b"{\"answer\":", b"}"),
                        (b")]}'\n", b""),
                        (b"\x00", b""),
                        (b"", b"\xff"),
                    ],
                );
                Self::Around(before.to_vec(), after.to_vec())
            }
            6 => Self::Body(pick(random, &BODIES).to_vec()),
            7 => Self::Field(pick(random, &FIELDS).to_owned()),
            8 if random.below(6) == 0 => Self::Utf16,
            _ => {
                let status = pick(random, &STATUSES);
                let location = (300..400).contains(&status) || random.below(8) == 0;
                let location = location.then(|| pick(random, &LOCATIONS).to_owned());
                Self::Status(status, location)
            }
        }
    }

    /// The changed answer. Only a success is changed.
    pub(crate) fn applied(&self, mut answer: Answer) -> Answer {
        if !(200..300).contains(&answer.status) {
            return answer;
        }
        let members = serde_json::from_slice(&answer.body).ok();
        let members: Map<String, Value> = members.unwrap_or_default();
        match self {
            Self::Member(name, value) => {
                answer.body = written(&members, name, Some(value));
            }
            Self::Twice(name, value) => {
                let rest = written(&members, "", None);
                let rest = String::from_utf8_lossy(&rest[1..]).into_owned();
                answer.body = format!("{{{}:{value},{rest}", Value::from(*name)).into_bytes();
            }
            Self::Missing(name) => answer.body = written(&members, name, None),
            Self::Around(before, after) => {
                answer.body = [before, answer.body.as_slice(), after].concat();
            }
            Self::Body(body) => answer.body.clone_from(body),
            Self::Utf16 => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                answer.body = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            }
            Self::Status(status, location) => {
                answer.status = *status;
                if let Some(location) = location {
                    answer.set(&format!("location: {location}"));
                }
            }
            Self::Field(field) => answer.set(field),
        }
        answer
    }
}

/// The members as a JSON object, with one that is left out or has another value.
fn written(members: &Map<String, Value>, name: &str, value: Option<&String>) -> Vec<u8> {
    let others = members.iter().filter(|(other, _)| *other != name);
    let mut all: Vec<String> = others
        .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
        .collect();
    if let Some(value) = value {
        all.push(format!("{}:{value}", Value::from(name)));
    }
    format!("{{{}}}", all.join(",")).into_bytes()
}

fn value(random: &mut Random) -> String {
    match random.below(VALUES.len() + 6) {
        0 => format!("\"{}\"", "x".repeat(300_000)),
        1 => format!("\"{}\"", "y".repeat(5_000)),
        2 => format!("[{}0]", "\"z\",".repeat(5_000)),
        3 => {
            let depth = pick(random, &[100, 127, 128, 5_000]);
            format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
        }
        _ => pick(random, &VALUES).to_owned(),
    }
}

fn pick<T: Copy>(random: &mut Random, all: &[T]) -> T {
    all[random.below(all.len())]
}
