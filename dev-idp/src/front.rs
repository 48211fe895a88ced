//! What happens to every request before and after its handler: faults, and the record.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tower::ServiceExt as _;

use crate::exchange::Exchange;
use crate::fault::{Endpoint, Fault, Verdict};
use crate::jwks_cache::Node;
use crate::provider::{Context, Provider};
use crate::refusal::{Note, Refusal};
use crate::token;

/// Longest request body, in octets.
const MAX_REQUEST: usize = 64 * 1024;
/// Longest answer, in octets; no handler comes near it.
const MAX_ANSWER: usize = 1024 * 1024;

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Dropped {}

/// Answers one request, and records it before the caller can see the answer.
pub(crate) async fn answer(
    provider: Arc<Provider>,
    node: Node,
    router: Router,
    request: Request<Body>,
) -> Result<Response, Dropped> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_REQUEST).await;
    let endpoint = Endpoint::of(&parts.method, parts.uri.path());
    let context = Arc::new(take_faults(&provider, node, endpoint));
    let faults = &context.faults;
    let at = provider.now();
    let octets = body.as_deref().unwrap_or_default();
    let mut exchange = Exchange::received(at, endpoint, &parts, octets, faults);

    let repeated = faults
        .iter()
        .find_map(|fault| repeat(fault, &parts.headers, octets));
    let response = if let Some(response) = repeated {
        response
    } else if let Some(response) = instead(&provider, &context) {
        response
    } else if let Ok(body) = body {
        let mut request = Request::from_parts(parts, Body::from(body));
        request.extensions_mut().insert(Arc::clone(&context));
        match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    } else {
        Refusal::of_status(StatusCode::PAYLOAD_TOO_LARGE, false).into_response()
    };
    let (mut response, body) = spoil(response, faults).await;
    response
        .headers_mut()
        .insert(header::DATE, http_date(context.now));

    let dropped = faults
        .iter()
        .any(|fault| matches!(fault, Fault::DropBefore { .. } | Fault::DropAfter { .. }));
    exchange.answered((!dropped).then(|| response.status()), &body);
    exchange.note = response
        .extensions()
        .get::<Note>()
        .map(|note| note.0.clone());
    provider.journal.record(exchange);

    for fault in faults {
        if let Fault::Delay { millis, .. } = fault {
            tokio::time::sleep(Duration::from_millis(*millis)).await;
        }
    }
    if dropped {
        return Err(Dropped);
    }
    *response.body_mut() = if faults
        .iter()
        .any(|fault| matches!(fault, Fault::CutBody { .. }))
    {
        Body::new(CutBody::of(&body))
    } else {
        Body::from(body)
    };
    Ok(response)
}

fn take_faults(provider: &Provider, node: Node, endpoint: Endpoint) -> Context {
    let faults = provider.faults.take(endpoint);
    let mut now = provider.now();
    for fault in &faults {
        match fault {
            Fault::ClockSkew { seconds } => {
                now = now
                    .checked_add(SignedDuration::from_secs(*seconds))
                    .unwrap_or(now);
            }
            Fault::ForgetClients => {
                // The file may be gone as well; what counts is that the memory is.
                provider.forget_clients().ok();
            }
            _ => {}
        }
    }
    Context {
        endpoint,
        faults,
        node,
        now,
    }
}

/// The answer that repeats a request.
fn repeat(fault: &Fault, headers: &HeaderMap, content: &[u8]) -> Option<Response> {
    let Fault::Repeat { status, body, .. } = fault else {
        return None;
    };
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let content = String::from_utf8_lossy(content);
    let sent = format!("{} {content}", authorization.unwrap_or_default());
    // Inside a JSON string.
    let escaped = sent.replace('\\', "\\\\").replace('"', "\\\"");
    let is_json = body.starts_with('{');
    let body = body.replace("{sent}", if is_json { &escaped } else { &sent });
    let mut response = answer_of(*status, &body);
    for (name, value) in [
        (header::LOCATION, format!("http://127.0.0.1:1/{sent}")),
        (header::RETRY_AFTER, sent.clone()),
        (
            header::WWW_AUTHENTICATE,
            format!("Bearer error=\"invalid_token\", error_description=\"{escaped}\""),
        ),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    Some(response)
}

/// The answer of a fault that keeps the request from being carried out.
fn instead(provider: &Provider, context: &Context) -> Option<Response> {
    context.faults.iter().find_map(|fault| match fault {
        Fault::DropBefore { .. } => Some(StatusCode::OK.into_response()),
        Fault::Redirect { .. } => {
            let elsewhere = format!("{}/elsewhere", provider.base_url);
            let status = StatusCode::TEMPORARY_REDIRECT;
            Some((status, [(header::LOCATION, elsewhere)]).into_response())
        }
        Fault::Status { status, .. } => {
            let status = StatusCode::from_u16(*status).ok()?;
            let at_token = matches!(context.endpoint, Endpoint::Token | Endpoint::Par);
            let mut response = Refusal::of_status(status, at_token).into_response();
            let headers = response.headers_mut();
            match status {
                StatusCode::SERVICE_UNAVAILABLE => {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                }
                StatusCode::METHOD_NOT_ALLOWED => {
                    headers.insert(header::ALLOW, HeaderValue::from_static("HEAD"));
                }
                _ => {}
            }
            Some(response)
        }
        _ => None,
    })
}

/// Applies the faults of an answer; gives its body separately.
async fn spoil(response: Response, faults: &[Fault]) -> (Response, Bytes) {
    let failed = !response.status().is_success() && !response.status().is_redirection();
    let mut response = response;
    for fault in faults {
        match fault {
            Fault::BadGatewayAfter { .. } => {
                let page = Html("<html><body><h1>502 Bad Gateway</h1></body></html>\n");
                response = (StatusCode::BAD_GATEWAY, page).into_response();
            }
            Fault::StatusAfter { status, .. } if !failed => {
                *response.status_mut() = StatusCode::from_u16(*status).unwrap_or(StatusCode::OK);
            }
            Fault::ReplyAfter {
                status,
                location,
                body,
                ..
            } if !failed => {
                response = reply(response, *status, location.as_deref(), body).await;
            }
            Fault::Answer { to, status, body } if ended(&response, *to) => {
                response = answer_of(*status, body);
            }
            Fault::EmptyErrors if failed => response = response.status().into_response(),
            Fault::HtmlErrors if failed => {
                let status = response.status();
                let page = Html(format!("<html><body><h1>{status}</h1></body></html>\n"));
                response = (status, page).into_response();
            }
            _ => {}
        }
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER).await.unwrap_or_default();
    (Response::from_parts(parts, Body::empty()), body)
}

/// An answer in place of a success, made of what the success said.
async fn reply(success: Response, status: u16, location: Option<&str>, body: &str) -> Response {
    let (_, said) = success.into_parts();
    let said = to_bytes(said, MAX_ANSWER).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let said = said.trim();
    let members = said.trim_start_matches('{').trim_end_matches('}');
    let body = body.replace("{answer}", said).replace("{members}", members);
    let mut response = answer_of(status, &body);
    if let Some(location) = location.and_then(|location| HeaderValue::from_str(location).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn ended(response: &Response, so: Verdict) -> bool {
    response.extensions().get() == Some(&so)
}

fn answer_of(status: u16, body: &str) -> Response {
    let random = token::random("").unwrap_or_default();
    let body = body.replace("{random}", &random);
    let kind = if body.starts_with('{') {
        "application/json"
    } else {
        "text/html"
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// RFC 9110 §5.6.7.
fn http_date(time: Timestamp) -> HeaderValue {
    let text = time
        .to_zoned(TimeZone::UTC)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A body that promises its whole length and fails half-way.
struct CutBody {
    half: Option<Bytes>,
    promised: u64,
    flushed: bool,
}

impl CutBody {
    fn of(body: &Bytes) -> Self {
        Self {
            half: Some(body.slice(..body.len() / 2)),
            promised: body.len() as u64,
            flushed: false,
        }
    }
}

impl hyper::body::Body for CutBody {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        // hyper writes what it has when a body is not ready, and nothing after an error.
        if !self.flushed {
            self.flushed = true;
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Dropped)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}
