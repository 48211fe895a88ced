//! What an answer of the client configuration endpoint means (RFC 7592 §2).

use super::record::RawAnswer;
use crate::oauth::{ClientInformation, OAuthError};

/// What an answer to a read, an update or a deletion means.
///
/// None of them says that the client is gone: a server answers the same whether it has lost the
/// token or the client, or does not offer management any more (RFC 7592 §2.1).
#[derive(Clone, Debug)]
pub enum ManagementOutcome {
    /// Success, and nothing about the client.
    Done,
    /// The client as it is now.
    Is(Box<ClientInformation>),
    /// 401 or 404: the token is not valid any more, or the client is not there.
    NotAccepted(u16),
    /// The server does not do this for this client, whatever the token.
    NotOffered(u16),
    /// The server refuses this content.
    Refused(u16, Option<OAuthError>),
    /// No answer, or one that says nothing about the request: what was received instead.
    Unknown(String),
}

impl ManagementOutcome {
    /// Reads an answer.
    pub fn of(answer: &RawAnswer) -> Self {
        let body = answer.body.expose().as_bytes();
        match answer.status {
            200..=299 => match ClientInformation::parse(body) {
                Ok(information) => Self::Is(Box::new(information)),
                Err(_) => Self::Done,
            },
            status @ (401 | 404 | 410) => Self::NotAccepted(status),
            status @ (403 | 405 | 501) => Self::NotOffered(status),
            status @ 400..=499 if !matches!(status, 408 | 429) => {
                Self::Refused(status, OAuthError::parse(body, &answer.sent))
            }
            status => Self::Unknown(format!("HTTP {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn no_status_means_that_the_client_is_gone() {
        let of = |status: u16, body: &str| {
            ManagementOutcome::of(&RawAnswer::new(
                status,
                body.as_bytes(),
                Timestamp::UNIX_EPOCH,
            ))
        };

        assert!(matches!(
            of(200, r#"{"client_id":"c1"}"#),
            ManagementOutcome::Is(_)
        ));
        for status in [202, 203] {
            let outcome = of(status, r#"{"client_id":"c1"}"#);
            assert!(matches!(outcome, ManagementOutcome::Is(_)), "{status}");
        }
        assert!(matches!(of(200, ""), ManagementOutcome::Done));
        assert!(matches!(of(204, ""), ManagementOutcome::Done));
        assert!(matches!(of(401, ""), ManagementOutcome::NotAccepted(401)));
        assert!(matches!(
            of(404, "<html>"),
            ManagementOutcome::NotAccepted(404)
        ));
        assert!(matches!(of(403, ""), ManagementOutcome::NotOffered(403)));
        assert!(matches!(of(405, ""), ManagementOutcome::NotOffered(405)));
        assert!(matches!(
            of(400, "{}"),
            ManagementOutcome::Refused(400, None)
        ));
        assert!(matches!(of(500, ""), ManagementOutcome::Unknown(_)));
        assert!(matches!(of(302, ""), ManagementOutcome::Unknown(_)));
        assert!(matches!(of(429, ""), ManagementOutcome::Unknown(_)));
    }
}
