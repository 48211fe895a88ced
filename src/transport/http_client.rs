//! The client, and one request of it.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::time::Instant;
use url::form_urlencoded;

use super::answer::Answer;
use super::failure_cause::FailureCause;
use super::send_error::SendError;
use crate::oauth::{EndpointUrl, InvalidUrl, LONGEST_ANSWER, SentSecrets, shown_url};
use crate::secret::Secret;

pub use reqwest::Method;

/// Sends requests to one IdP: no redirects, no proxy, a new connection for each request.
///
/// A bearer token must not travel where a redirect or an environment variable sends it, and a
/// connection that is used again can die between two requests, and then it is unknown whether the
/// second one arrived.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    deadline: Option<Instant>,
}

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is not one certificate among the extra trust anchors.
    #[error("the file of trust anchors holds no certificate")]
    NoTrustAnchor,
    /// The extra trust anchors are not certificates.
    #[error("the file of trust anchors holds a certificate that cannot be read")]
    TrustAnchors(#[source] reqwest::Error),
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] reqwest::Error),
}

/// The addresses of `localhost`, whatever the hosts file or the network says (RFC 6761 §6.3): it
/// is where tokens may go unencrypted. The port is the one of the URL.
const LOCALHOST: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];

/// Longest time to connect, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time for a request and its answer. Some IdPs fetch our JWK Set in between.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a request gets that begins just before its deadline.
const LEAST: Duration = Duration::from_secs(2);

impl HttpClient {
    /// A client that trusts the system's roots, and the PEM certificates of `trust_anchors`.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn new(trust_anchors: Option<&[u8]>) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("bff/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .resolve_to_addrs("localhost", &LOCALHOST)
            .resolve_to_addrs("localhost.", &LOCALHOST)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        if let Some(pem) = trust_anchors {
            let anchors =
                reqwest::Certificate::from_pem_bundle(pem).map_err(ClientError::TrustAnchors)?;
            if anchors.is_empty() {
                return Err(ClientError::NoTrustAnchor);
            }
            builder = builder.tls_certs_merge(anchors);
        }
        let client = builder.build().map_err(ClientError::Tls)?;
        Ok(Self {
            client,
            deadline: None,
        })
    }

    /// The same for requests that have no effect, and that are given up at `deadline`: then their
    /// answer is of no use any more.
    #[must_use]
    pub fn until(&self, deadline: Option<Instant>) -> Self {
        Self {
            client: self.client.clone(),
            deadline,
        }
    }

    /// A request to `url`, not yet sent. A URL to which nothing may be sent, or that would be sent
    /// as another one, is an error of [`Request::send`].
    pub fn request(&self, method: Method, url: &str) -> Request {
        Request {
            builder: self.client.request(method, url).header(ACCEPT, JSON),
            client: self.client.clone(),
            deadline: self.deadline,
            url: shown_url(url),
            // Who configures or discovers a URL says whether `http:` is permitted.
            invalid: EndpointUrl::parse(url, true).err(),
            sent: SentSecrets::default(),
        }
    }
}

/// A request in the making.
#[derive(Debug)]
pub struct Request {
    client: reqwest::Client,
    deadline: Option<Instant>,
    builder: RequestBuilder,
    /// Where it goes, for messages.
    url: String,
    invalid: Option<InvalidUrl>,
    sent: SentSecrets,
}

const JSON: &str = "application/json";

impl Request {
    /// Sends `token` as `Authorization: Bearer` (RFC 6750 §2.1).
    #[must_use]
    pub fn bearer(self, token: &Secret) -> Self {
        self.holding(token)
            .with(|builder| builder.bearer_auth(token.expose()))
    }

    /// Sends `body` as JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        let body = body.to_string();
        self.with(|builder| builder.header(CONTENT_TYPE, JSON).body(body))
    }

    /// Sends `parameters` as a form.
    #[must_use]
    pub fn form<'a>(self, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        self.with(|builder| {
            builder
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body)
        })
    }

    /// Notes a secret in the body: some servers repeat what they refuse, and it is not to be shown.
    #[must_use]
    pub fn holding(mut self, secret: &Secret) -> Self {
        self.sent.add(secret);
        self
    }

    /// Sends it once, and reads the answer.
    ///
    /// # Errors
    ///
    /// [`SendError`] says whether the request may have been received.
    pub async fn send(self) -> Result<Answer, SendError> {
        let url = self.url;
        if let Some(invalid) = self.invalid {
            return Err(SendError::NotSent {
                url,
                source: invalid.into(),
                cause: FailureCause::Url,
            });
        }
        let mut builder = self.builder;
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            builder = builder.timeout(left.clamp(LEAST, TIMEOUT));
        }
        let request = builder.build().map_err(|error| not_sent(&url, error))?;
        let response = self.client.execute(request).await.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                not_sent(&url, error)
            } else {
                unknown(&url, innermost(&error.without_url()))
            }
        })?;
        let status = response.status().as_u16();
        let field = |name: &HeaderName| header(response.headers(), name);
        let date = field(&DATE).and_then(http_date);
        let retry_after = field(&RETRY_AFTER).and_then(|text| retry_after(text, date));
        let location = field(&LOCATION).map(str::to_owned);
        let challenge = field(&WWW_AUTHENTICATE).map(str::to_owned);
        let body = read(response)
            .await
            .map_err(|source| unknown(&url, source))?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer {
            status,
            date,
            retry_after,
            location,
            challenge,
            body: Secret::new(body),
            sent: self.sent,
        })
    }

    fn with(self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        Self {
            builder: change(self.builder),
            ..self
        }
    }
}

fn not_sent(url: &str, error: reqwest::Error) -> SendError {
    let cause = FailureCause::of(&error);
    let text = cause.text().map(str::to_owned);
    SendError::NotSent {
        url: url.to_owned(),
        source: text
            .unwrap_or_else(|| innermost(&error.without_url()))
            .into(),
        cause,
    }
}

/// The innermost cause.
fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn unknown(url: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> SendError {
    SendError::Unknown {
        url: url.to_owned(),
        source: source.into(),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A date in any of the three forms of RFC 9110 §5.6.7.
fn http_date(text: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date by the server's own clock. A day at most.
fn retry_after(text: &str, now: Option<Timestamp>) -> Option<Duration> {
    let longest = Duration::from_hours(24);
    let pause = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let until = http_date(text)?.duration_since(now?);
        Duration::try_from(until).unwrap_or_default()
    };
    Some(pause.min(longest))
}

/// The body, or the beginning of one that is too long: its status counts all the same.
async fn read(mut response: Response) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)?
    {
        let room = LONGEST_ANSWER - body.len();
        if let Some(beginning) = chunk.get(..room) {
            body.extend_from_slice(beginning);
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_refused_connection_is_known_not_to_have_been_seen() {
        let url = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            format!("http://{}/", listener.local_addr().unwrap())
        };
        let client = HttpClient::new(None).unwrap();

        let error = client.request(Method::POST, &url).send().await.unwrap_err();

        assert!(error.is_not_sent(), "{error:?}");
    }

    #[tokio::test]
    async fn localhost_is_this_machine() {
        assert!(LOCALHOST.iter().all(|address| address.ip().is_loopback()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = HttpClient::new(None).unwrap();
        let url = format!("http://LocalHost:{port}/");
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        };

        let (answer, ()) = tokio::join!(client.request(Method::GET, &url).send(), serve);

        assert_eq!(answer.unwrap().status, 204);
    }

    #[tokio::test]
    async fn a_url_that_would_be_sent_as_another_one_is_not_called() {
        let client = HttpClient::new(None).unwrap();
        for url in [
            "http://ops:s3cret@127.0.0.1:1/r",
            "http://127.0.0.1:1/a/../r",
        ] {
            let error = client.request(Method::GET, url).send().await.unwrap_err();

            assert_eq!(error.cause(), FailureCause::Url, "{error:?}");
            assert!(!format!("{error:?} {error}").contains("s3cret"));
        }
    }

    #[tokio::test]
    async fn whatever_happens_after_the_request_left_is_unknown() {
        for answer in [
            "",
            "HTTP/1.1 201 Cr",
            "HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\n{\"cl",
        ] {
            let error = exchange(answer, None).await.unwrap_err();
            assert!(!error.is_not_sent(), "{answer:?}: {error:?}");
        }
    }

    #[tokio::test]
    async fn a_token_that_is_repeated_is_kept_and_not_shown() {
        let answer = "HTTP/1.1 400 Bad\r\ncontent-length: 15\r\n\r\nbad token iat-1";

        let answer = exchange(answer, Some(&Secret::new("iat-1"))).await.unwrap();

        assert_eq!(answer.body.expose(), "bad token iat-1");
        assert_eq!(answer.text().as_deref(), Some("\"bad token [REDACTED]\""));
    }

    #[tokio::test]
    async fn the_clock_of_the_idp_is_read_in_every_form() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            let answer = format!(
                "HTTP/1.1 503 No\r\ndate: {date}\r\nretry-after: Sun, 06 Nov 1994 08:50:37 GMT\r\n\
                 location: /elsewhere\r\ncontent-length: 0\r\n\r\n"
            );

            let answer = exchange(&answer, None).await.unwrap();

            assert_eq!(answer.date.unwrap().as_second(), 784_111_777, "{date}");
            assert_eq!(answer.retry_after, Some(Duration::from_mins(1)));
            assert_eq!(answer.location.as_deref(), Some("/elsewhere"));
        }
        assert_eq!(
            retry_after("99999999999999", None),
            Some(Duration::from_hours(24))
        );
    }

    async fn exchange(answer: &str, secret: Option<&Secret>) -> Result<Answer, SendError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = HttpClient::new(None).unwrap();
        let mut request = client.request(Method::POST, &url).json(&Value::Null);
        if let Some(secret) = secret {
            request = request.bearer(secret);
        }
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (result, ()) = tokio::join!(request.send(), serve);
        result
    }
}
