//! A client that an operator has named, to be made ours.

use super::rat_news::RatNews;
use super::record::Registered;
use crate::oauth::{EndpointUrl, InvalidUrl, Management, is_client_id};
use crate::secret::Secret;

/// A client that is to become ours, and how it is managed where an operator knows that.
#[derive(Clone, Debug)]
pub struct Adoptee {
    client_id: String,
    management: Option<Management>,
}

/// What an operator has named is no client.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidAdoptee {
    /// A text that is no client identifier.
    #[error("the client_id is no client identifier (RFC 6749 §A.1)")]
    ClientId,
    /// URI and token are one unit, and only one of them was given.
    #[error("only {given} was given, without {missing}")]
    Half {
        /// What was given.
        given: &'static str,
        /// What was not.
        missing: &'static str,
    },
    /// A token that cannot be one.
    #[error("the registration access token holds characters that a token cannot have")]
    Token,
    /// The URI cannot be called as it is written.
    #[error("the registration_client_uri cannot be used")]
    Uri(#[from] InvalidUrl),
}

impl Adoptee {
    /// A client by its identifier, and its `registration_client_uri` and
    /// `registration_access_token`: both or none (RFC 7592 §3).
    ///
    /// # Errors
    ///
    /// [`InvalidAdoptee`].
    pub fn new(
        client_id: String,
        uri: Option<&str>,
        token: Option<Secret>,
    ) -> Result<Self, InvalidAdoptee> {
        if !is_client_id(&client_id) {
            return Err(InvalidAdoptee::ClientId);
        }
        let (uri_name, token_name) = ("registration_client_uri", "registration_access_token");
        let half = |given, missing| Err(InvalidAdoptee::Half { given, missing });
        let management = match (uri, token) {
            (None, None) => None,
            (Some(_), None) => return half(uri_name, token_name),
            (None, Some(_)) => return half(token_name, uri_name),
            (Some(uri), Some(token)) => {
                let is_odd = |c: char| !c.is_ascii_graphic();
                if token.expose().is_empty() || token.expose().contains(is_odd) {
                    return Err(InvalidAdoptee::Token);
                }
                // Whether `http:` is permitted follows from the origin.
                let uri = EndpointUrl::parse(uri, true)?;
                Some(Management { uri, token })
            }
        };
        Ok(Self {
            client_id,
            management,
        })
    }

    /// Its identifier.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// How it is managed, where that was given.
    pub fn management(&self) -> Option<&Management> {
        self.management.as_ref()
    }
}

impl InvalidAdoptee {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ClientId => {
                "name the client as the IdP does: visible ASCII, at most 1024 characters"
            }
            Self::Half { .. } => {
                "give --registration-client-uri and the token on standard input, or neither: the \
                 client is then adopted, and cannot be changed from here"
            }
            Self::Token => {
                "give the registration access token alone, on one line of standard input"
            }
            Self::Uri(_) => "give the registration_client_uri exactly as the IdP has given it",
        }
    }
}

impl Registered {
    /// Takes over what a read with a token that was given has shown. `is_known` says that it is known
    /// what the client was asked for; else it is brought to the configuration.
    pub fn read_with(&mut self, given: &Management, news: RatNews, is_known: bool) {
        let before = Self {
            management: Some(given.clone()),
            ..self.clone()
        };
        self.management.clone_from(&before.management);
        self.renew(&news.access);
        self.read_renews |= !self.is_managed_like(&before);
        if let Some(seen) = news.seen {
            if !is_known {
                self.sent = seen.metadata.clone();
            }
            self.granted = seen.metadata.clone();
            self.seen = Some(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::oauth::{ClientMetadata, ManagementAccess};
    use crate::registration::Seen;

    const URI: &str = "https://idp.example/c1";

    #[test]
    fn uri_and_token_are_one_unit() {
        let new = |uri, token: Option<&str>| {
            let token = token.map(Secret::new);
            Adoptee::new("c1".to_owned(), uri, token)
        };

        assert!(new(None, None).unwrap().management().is_none());
        assert!(new(Some(URI), Some("rat")).unwrap().management().is_some());
        for half in [new(Some(URI), None), new(None, Some("rat"))] {
            assert!(matches!(half, Err(InvalidAdoptee::Half { .. })), "{half:?}");
        }
        for odd in ["", "two words", "caf\u{e9}", "a\u{1b}"] {
            let odd = new(Some(URI), Some(odd));
            assert!(matches!(odd, Err(InvalidAdoptee::Token)), "{odd:?}");
        }
        let fragment = new(Some("https://idp.example/c1#f"), Some("rat"));
        assert!(matches!(fragment, Err(InvalidAdoptee::Uri(_))));
        let odd = Adoptee::new("a\nb".to_owned(), None, None);
        assert!(matches!(odd, Err(InvalidAdoptee::ClientId)));
    }

    #[test]
    fn what_a_read_shows_is_what_an_unknown_client_was_asked_for() {
        let metadata = |scope: &str| {
            let members = [("scope".to_owned(), scope.into())];
            ClientMetadata(members.into_iter().collect())
        };
        let given = Management {
            uri: EndpointUrl::parse(URI, false).unwrap(),
            token: Secret::new("given"),
        };
        let read = |is_known| {
            let (asked, at) = (metadata("openid email"), Timestamp::UNIX_EPOCH);
            let mut client = Registered::new("i", "c1", asked.clone(), asked, at);
            let news = RatNews {
                access: ManagementAccess {
                    registration_client_uri: None,
                    registration_access_token: Some(Secret::new("next")),
                },
                was_read: true,
                seen: Some(Seen {
                    at,
                    metadata: metadata("openid"),
                }),
            };
            client.read_with(&given, news, is_known);
            client
        };

        let (known, unknown) = (read(true), read(false));

        assert_eq!(known.sent, metadata("openid email"));
        assert_eq!(unknown.sent, metadata("openid"));
        assert_eq!(known.granted, metadata("openid"));
        assert_eq!(known.management.unwrap().token.expose(), "next");
        assert!(known.read_renews);
    }
}
