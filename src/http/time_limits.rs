//! How long an order may take: to be read, and to be answered.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;

use super::problem::Problem;
use super::refusal::Refusal;

/// Longest body of a request, in bytes.
pub(super) const MAX_BODY: usize = 16 * 1024;

/// Longest time for the body of a request, once its header is read.
const READING: Duration = Duration::from_secs(10);

/// Longest time for an answer, once the request is read.
const ANSWERING: Duration = Duration::from_secs(10);

/// Reads the request, then has it answered. A caller who sends too slowly gets 408 (RFC 9110
/// §15.5.9), and may send it again. If the answer takes too long, that is 504: the order may still
/// be carried out.
pub(super) async fn limited(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = match timeout(READING, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Problem::from(Refusal::BodyCut).into_response(),
        Err(_) => return Problem::from(Refusal::BodyLate).into_response(),
    };
    let request = Request::from_parts(head, Body::from(body));
    if let Ok(response) = timeout(ANSWERING, next.run(request)).await {
        return response;
    }
    Problem::from(Refusal::NoAnswer).into_response()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::Router;
    use axum::body::{Bytes, HttpBody};
    use axum::middleware::from_fn;
    use axum::routing::post;
    use hyper::body::Frame;
    use tower::ServiceExt as _;

    use super::*;

    /// A body that never ends.
    struct Stalled;

    impl HttpBody for Stalled {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_request_is_408_and_a_slow_answer_504() {
        let router = || {
            Router::new()
                .route("/slow", post(async || pending::<()>().await))
                .route("/fast", post(async |_: Bytes| ()))
                .layer(from_fn(limited))
        };
        let ask = async |path: &str, body: Body| {
            let request = Request::post(path).body(body).unwrap();
            router().oneshot(request).await.unwrap().status().as_u16()
        };

        assert_eq!(ask("/fast", Body::from("{}")).await, 200);
        assert_eq!(ask("/fast", Body::new(Stalled)).await, 408);
        assert_eq!(ask("/slow", Body::empty()).await, 504);
    }
}
