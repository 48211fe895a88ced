//! Wire types of the OAuth specifications (RFC 6749, 7523, 7591, 7592, 8414). No I/O.

mod answer_text;
mod assertion;
mod client;
mod endpoint_url;
mod error;
mod json_members;
mod server;
mod shown_text;
mod transport_security;

pub use answer_text::{LONGEST_ANSWER, answer_text, not_json_text, page_text};
pub use assertion::{AssertionClaims, AssertionType, CLIENT_ASSERTION_TYPE};
pub use client::{
    ClientInformation, ClientMetadata, InitialAccessToken, InvalidInformation, Management,
    ManagementAccess, SERVER_ONLY_MEMBERS, is_client_id,
};
pub use endpoint_url::{EndpointUrl, InvalidUrl, percent_encoded, shown_url};
pub use error::OAuthError;
pub use server::{InvalidMetadata, ServerMetadata, well_known_locations};
pub use shown_text::{SentSecrets, is_odd, shown_text};
