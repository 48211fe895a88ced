//! What an answer of the client configuration endpoint means (RFC 7592 §2).

use super::RawAnswer;
use crate::oauth::{ClientInformation, OAuthError};

/// The conclusion drawn from an answer to a read, an update or a deletion.
///
/// None of them says that the client is gone: a server that has lost the token, the client or
/// the wish to manage it answers the same (standards.md MGT-19).
#[derive(Clone, Debug)]
pub enum Managed {
    /// Done, without a word about the client.
    Done,
    /// The client as it is now.
    Is(Box<ClientInformation>),
    /// 401 or 404: the token is not valid any more, or the client is not there.
    NotAccepted(u16),
    /// The server does not do this for this client, whatever the token.
    NotOffered(u16),
    /// The server refuses this content.
    Refused(u16, Option<OAuthError>),
    /// The server is not well, or not to be understood.
    Unknown(u16),
}

impl Managed {
    /// Reads an answer.
    pub fn of(answer: &RawAnswer) -> Self {
        let body = answer.body.expose().as_bytes();
        match answer.status {
            200 | 201 => match ClientInformation::parse(body) {
                Ok(information) => Self::Is(Box::new(information)),
                Err(_) => Self::Done,
            },
            202..=299 => Self::Done,
            status @ (401 | 404 | 410) => Self::NotAccepted(status),
            status @ (403 | 405 | 501) => Self::NotOffered(status),
            status @ 400..=499 if !matches!(status, 408 | 429) => {
                Self::Refused(status, OAuthError::parse(body))
            }
            status => Self::Unknown(status),
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
            Managed::of(&RawAnswer::new(
                status,
                body.as_bytes(),
                Timestamp::UNIX_EPOCH,
            ))
        };

        assert!(matches!(of(200, r#"{"client_id":"c1"}"#), Managed::Is(_)));
        assert!(matches!(of(200, ""), Managed::Done));
        assert!(matches!(of(204, ""), Managed::Done));
        assert!(matches!(of(401, ""), Managed::NotAccepted(401)));
        assert!(matches!(of(404, "<html>"), Managed::NotAccepted(404)));
        assert!(matches!(of(403, ""), Managed::NotOffered(403)));
        assert!(matches!(of(405, ""), Managed::NotOffered(405)));
        assert!(matches!(of(400, "{}"), Managed::Refused(400, None)));
        assert!(matches!(of(500, ""), Managed::Unknown(500)));
        assert!(matches!(of(302, ""), Managed::Unknown(302)));
        assert!(matches!(of(429, ""), Managed::Unknown(429)));
    }
}
