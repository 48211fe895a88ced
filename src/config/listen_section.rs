//! Listeners.

use std::net::SocketAddr;

use super::parse;
use super::reader::Reader;
use super::section::Section;
use super::settings::{BFF_ADMIN_LISTEN, BFF_ADMIN_TOKEN, BFF_LISTEN};
use crate::secret::Secret;

/// Shortest admin token that is not warned about, in characters.
const SHORT_TOKEN: usize = 16;

/// Where the service listens.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// The public listener; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The second listener, for `/admin` and `/metrics`; never the same as the first.
    pub admin_listen: Option<SocketAddr>,
    /// The bearer token of `/admin`; without one every call is refused.
    pub admin_token: Option<Secret>,
}

impl Section for ListenConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let listen = reader.value(BFF_LISTEN, parse::socket_address);
        let mut admin_listen = reader.optional(BFF_ADMIN_LISTEN, parse::socket_address);
        let admin_token = reader.secret(BFF_ADMIN_TOKEN, parse::token);

        if let (Some(listen), Some(Some(admin))) = (listen, admin_listen)
            && collide(listen, admin)
        {
            admin_listen = reader.wrong(
                BFF_ADMIN_LISTEN,
                format!(
                    "expected another port than BFF_LISTEN ({listen}), got {admin}; leave it unset \
                     to serve both on one listener"
                ),
            );
        }
        if let Some(Some(token)) = &admin_token
            && token.expose().len() < SHORT_TOKEN
        {
            reader.warn(
                BFF_ADMIN_TOKEN.name,
                format!("is shorter than {SHORT_TOKEN} characters, so it can be guessed"),
            );
        }
        Some(Self {
            listen: listen?,
            admin_listen: admin_listen?,
            admin_token: admin_token?,
        })
    }
}

fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}
