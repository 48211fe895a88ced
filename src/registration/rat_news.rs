//! What an answer says of the registration access token that was sent for it (RFC 7592 §3).

use super::kept::kept;
use super::record::{RawAnswer, Seen};
use crate::oauth::{ClientInformation, ClientMetadata, InvalidInformation, ManagementAccess};

/// What is stored of an answer before anything else is done with it.
#[derive(Clone, Debug, Default)]
pub struct RatNews {
    /// A new token, a new URI; the old ones stay where there is none (RFC 7592 §3).
    pub access: ManagementAccess,
    /// Whether the answer is that to a read.
    pub was_read: bool,
    /// What a read has shown.
    pub seen: Option<Seen>,
}

impl RatNews {
    /// Reads the answer to a request for this client; none if the token may be void all the same.
    ///
    /// `sent` is what was last asked for.
    pub fn of(
        answer: &RawAnswer,
        client_id: &str,
        sent: &ClientMetadata,
        was_read: bool,
    ) -> Option<Self> {
        let body = answer.body.expose().as_bytes();
        let news = Self {
            was_read,
            ..Self::default()
        };
        match answer.status {
            200..=299 if body.is_empty() => Some(news),
            200..=299 => match ClientInformation::parse(body) {
                Ok(information) if information.client_id == client_id => Some(Self {
                    seen: was_read.then(|| Seen {
                        at: answer.received_at,
                        metadata: kept(sent, information.metadata).0,
                    }),
                    access: information.access,
                    ..news
                }),
                Err(InvalidInformation::NoClientId) => Some(Self {
                    access: ManagementAccess::parse(body),
                    ..news
                }),
                Err(InvalidInformation::Repeated { .. }) => Some(Self {
                    access: ManagementAccess::despite_repetition(body, client_id)?,
                    ..news
                }),
                // It is about another client, or cannot be read.
                Ok(_) | Err(_) => None,
            },
            // The server, or one behind it, may have done what it was asked.
            408 | 500 | 502..=599 => None,
            _ => Some(news),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_token_is_taken_from_every_success_that_is_not_about_another_client() {
        let token = |status, body: &str| {
            let news = news(status, body)?;
            let token = news.access.registration_access_token?;
            Some(token.expose().to_owned())
        };
        let rat = r#""registration_access_token":"new""#;

        for status in [200, 201, 202, 203, 299] {
            assert_eq!(token(status, &format!("{{{rat}}}")).as_deref(), Some("new"));
            let ours = format!(r#"{{"client_id":"c1",{rat}}}"#);
            assert_eq!(token(status, &ours).as_deref(), Some("new"));
            let odd = format!(r#"{{"client_id":7,{rat}}}"#);
            assert_eq!(token(status, &odd).as_deref(), Some("new"));
            let other = format!(r#"{{"client_id":"c2",{rat}}}"#);
            assert!(news(status, &other).is_none(), "{status}");
        }
        assert_eq!(token(400, &format!("{{{rat}}}")), None);
    }

    #[test]
    fn a_token_is_taken_though_another_member_comes_twice() {
        let token = |members: &str| {
            let body = format!(r#"{{{members},"registration_access_token":"new"}}"#);
            let token = news(200, &body)?.access.registration_access_token?;
            Some(token.expose().to_owned())
        };

        for ours in [r#""client_id":"c1","a":1,"a":2"#, r#""a":1,"a":2"#] {
            assert_eq!(token(ours).as_deref(), Some("new"), "{ours}");
        }
        for unclear in [
            r#""client_id":"c2","a":1,"a":2"#,
            r#""client_id":"c1","client_id":"c2""#,
            r#""client_id":"c1","registration_access_token":"other""#,
        ] {
            assert_eq!(token(unclear), None, "{unclear}");
        }
    }

    #[test]
    fn a_token_may_be_void_after_an_answer_that_cannot_be_read_and_after_a_fault() {
        for (status, body) in [
            (200, "<html>"),
            (200, r#"{"client_id":"c1","a":1,"a":2}"#),
            (408, ""),
            (500, "{}"),
            (502, "<html>"),
            (504, ""),
        ] {
            assert!(news(status, body).is_none(), "{status} {body}");
        }
        for status in [204, 302, 400, 401, 403, 404, 405, 429, 501] {
            assert!(news(status, "").is_some(), "{status}");
        }
    }

    #[test]
    fn a_read_shows_what_the_idp_has() {
        let body = r#"{"client_id":"c1","scope":"openid","stranger":1}"#;

        let seen = news(200, body).unwrap().seen.unwrap();

        assert_eq!(seen.metadata.text("scope"), Some("openid"));
        assert_eq!(seen.metadata.get("stranger"), None);
    }

    fn news(status: u16, body: &str) -> Option<RatNews> {
        let answer = RawAnswer::new(status, body.as_bytes(), Timestamp::UNIX_EPOCH);
        RatNews::of(&answer, "c1", &ClientMetadata::default(), true)
    }
}
