//! A port that is known before anybody listens on it.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A loopback port that is ours, and on which one process may listen.
///
/// The socket that holds it never listens itself: with `SO_REUSEADDR` on both sides the system
/// lets another socket listen there, and gives the port to nobody who asks for a free one.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    _holder: Socket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let holder = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        holder.set_reuse_address(true).unwrap();
        holder
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        Self {
            address: holder.local_addr().unwrap().as_socket().unwrap(),
            _holder: holder,
        }
    }

    /// The URL of a path at whoever listens there.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
