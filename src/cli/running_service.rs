//! How a command talks to the service that runs on this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::command_error::CommandError;
use super::exit::{Exit, Failure};
use crate::app::Class;
use crate::config::ListenConfig;
use crate::secret::Secret;
use crate::transport::{HttpClient, Method};

/// The interface of a running service below `/admin`.
#[derive(Clone, Debug)]
pub(super) struct RunningService {
    http: HttpClient,
    address: SocketAddr,
    token: Secret,
}

impl RunningService {
    /// The service of this configuration.
    pub(super) fn of(listen: &ListenConfig) -> Result<Self, Failure> {
        let Some(token) = listen.admin_token.clone() else {
            return Err(CommandError::NoAdminToken.into());
        };
        Ok(Self {
            http: http_client()?,
            address: reachable(listen.admin_listen.unwrap_or(listen.listen)),
            token,
        })
    }

    /// Asks for `path`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(Method::GET, path, None).await
    }

    /// Orders something at `path`.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, Failure> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// The same; `None` if nothing listens there.
    pub(super) async fn post_if_it_runs<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<Option<T>, Failure> {
        match self.post(path, body).await {
            Ok(answer) => Ok(Some(answer)),
            Err(failure) => match failure.error.downcast_ref() {
                Some(CommandError::ServiceUnreachable(error)) if error.is_not_sent() => Ok(None),
                _ => Err(failure),
            },
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.http.request(method, &url).bearer(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(CommandError::from)?;
        let text = answer.bytes();
        if !matches!(answer.status, 200..=299) {
            let body = serde_json::from_slice(text).unwrap_or_default();
            return Err(refused(answer.status, &body));
        }
        serde_json::from_slice(text).map_err(|error| {
            let error = error.to_string();
            CommandError::OtherVersion { url, error }.into()
        })
    }
}

/// A client that trusts the system's roots.
pub(super) fn http_client() -> Result<HttpClient, Failure> {
    HttpClient::new(None).map_err(|error| Failure {
        exit: Exit::Failure,
        error: error.into(),
        hint: None,
        reported: false,
    })
}

/// Where a listener can be called from its own machine.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The failure that the service answered.
fn refused(status: u16, body: &Value) -> Failure {
    let told = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let detail = told("detail").unwrap_or_else(|| "the service gave no reason".to_owned());
    let class = body.get("class").cloned();
    let class = class.and_then(|class| serde_json::from_value::<Class>(class).ok());
    match (class, told("hint")) {
        (Some(class), Some(hint)) => Failure::new(class.into(), anyhow::anyhow!(detail), hint),
        (_, hint) => CommandError::Refused {
            status,
            detail,
            hint,
        }
        .into(),
    }
}
