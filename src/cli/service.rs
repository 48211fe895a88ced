//! How a command talks to the service that runs on this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::Value;

use super::{Exit, Failure};
use crate::config::ListenConfig;
use crate::idp::{HttpClient, SendError, ServiceAnswer, ServiceClient};

/// Where a listener can be called from its own machine.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// A client of the running service's `/admin`.
pub(super) fn client(listen: &ListenConfig) -> Result<ServiceClient, Failure> {
    let Some(token) = listen.admin_token.clone() else {
        return Err(Failure::new(
            Exit::Configuration,
            anyhow::anyhow!("a service runs here, and there is no administrator's token for it"),
            "set BFF_ADMIN_TOKEN (or BFF_ADMIN_TOKEN_FILE) to the service's",
        ));
    };
    let http = HttpClient::new(None)
        .map_err(|error| Failure::new(Exit::Failure, error, "see the cause of it"))?;
    let address = reachable(listen.admin_listen.unwrap_or(listen.listen));
    Ok(ServiceClient::new(http, address, token))
}

/// The body of a success, or the failure that the service told.
pub(super) fn accepted(answer: ServiceAnswer) -> Result<Value, Failure> {
    let text = |name: &str| answer.body.get(name).and_then(Value::as_str);
    let detail = text("detail").unwrap_or("the service gave no reason");
    let (exit, hint) = match answer.status {
        200..=299 => return Ok(answer.body),
        401 | 403 => (
            Exit::NotAccepted,
            "set BFF_ADMIN_TOKEN to the value that the service was started with",
        ),
        502 => (Exit::Unavailable, "`bff status` and the log say more"),
        _ => (Exit::Failure, "`bff status` and the log say more"),
    };
    let error = anyhow::anyhow!("HTTP {}: {detail}", answer.status);
    Err(Failure::new(exit, error, hint))
}

/// The failure to reach the service at all.
pub(super) fn unreachable(error: SendError) -> Failure {
    Failure::new(
        Exit::Failure,
        error,
        "is `bff serve` running? BFF_LISTEN and BFF_ADMIN_LISTEN say where it is looked for",
    )
}
