//! Sends a request to the upstream: attempts, time limits, and the answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::access::Observation;
use crate::config::Service;
use crate::headers::is_idempotent;
use crate::reply::Reply;
use crate::sending::{Broken, Deadline, RequestBody, Sending};
use crate::upstream::{BoxError, Protocol, Target, Upstream, UpstreamError, is_connect_timeout};

/// A request as the upstream is to see it.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
}

enum Failure {
    Upstream(UpstreamError),
    ClientTimeout,
    ClientGone,
}

impl From<Broken> for Failure {
    fn from(_: Broken) -> Self {
        Self::ClientGone
    }
}

/// Sends `request` to `service`, and repeats it where nginx's `proxy_next_upstream` with `error` and
/// `timeout` repeats it.
///
/// An attempt is repeated if it failed in transport or took too long, never after an answer. Once
/// something was sent, only idempotent requests are repeated.
pub(crate) async fn forward<U: Upstream>(
    upstream: &U,
    service: &Service,
    request: Outbound,
) -> Result<Response<Body>, Reply> {
    let Outbound {
        method,
        uri,
        headers,
        body,
    } = request;
    let target = Target {
        host: service.host.clone(),
        port: service.port,
        protocol: service.protocol,
        connect_timeout: service.connect_timeout,
    };
    let version = match service.protocol {
        Protocol::Http => Version::HTTP_11,
        Protocol::Grpc => Version::HTTP_2,
    };
    let idempotent = is_idempotent(&method);
    let mut attempt = 0;
    loop {
        let (attempt_body, sending) = body.attempt();
        let mut request = Request::new(attempt_body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        *request.version_mut() = version;
        *request.headers_mut() = headers.clone();
        let sent = send(upstream, service, target.clone(), request, &sending).await;
        let error = match sent {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return Err(Reply::failure(StatusCode::BAD_GATEWAY));
            }
            Ok(response) => return Ok(response),
            Err(Failure::ClientTimeout) => {
                return Err(Reply::failure(StatusCode::REQUEST_TIMEOUT));
            }
            Err(Failure::ClientGone) => return Err(Reply::failure(StatusCode::BAD_REQUEST)),
            Err(Failure::Upstream(error)) => error,
        };
        let repeatable = match &error {
            UpstreamError::Resolve(_) => false,
            UpstreamError::Connect(_) => true,
            UpstreamError::Timeout | UpstreamError::Broken(_) => idempotent,
        };
        tracing::warn!(
            service = service.name,
            attempt,
            error = &error as &dyn std::error::Error,
            "the upstream failed"
        );
        if !repeatable || attempt >= service.retries || !body.is_whole() {
            return Err(answer(&error));
        }
        attempt += 1;
    }
}

/// One attempt, until the head of the answer.
async fn send<U: Upstream>(
    upstream: &U,
    service: &Service,
    target: Target,
    request: Request<Body>,
    sending: &Sending,
) -> Result<Response<Body>, Failure> {
    let mut answer = std::pin::pin!(upstream.send(target, request));
    let deadline = || sending.deadline(service.write_timeout, service.read_timeout);
    loop {
        // While the body is sent, the gateway waits for the client and the upstream in turn, so the
        // deadline changes.
        let (Deadline::Client(until) | Deadline::Upstream(until)) = deadline()?;
        tokio::select! {
            biased;
            answer = &mut answer => {
                // A body that broke off explains the failure of the request.
                deadline()?;
                return answer.map_err(Failure::Upstream);
            }
            () = sending.turned() => continue,
            () = sleep_until(until) => {}
        }
        match deadline()? {
            Deadline::Upstream(until) if until <= Instant::now() => {
                return Err(Failure::Upstream(UpstreamError::Timeout));
            }
            Deadline::Client(until) if until <= Instant::now() => {
                return Err(Failure::ClientTimeout);
            }
            _ => {}
        }
    }
}

fn answer(error: &UpstreamError) -> Reply {
    match error {
        UpstreamError::Resolve(_) => {
            Reply::error(StatusCode::SERVICE_UNAVAILABLE, "name resolution failed")
        }
        UpstreamError::Timeout => Reply::failure(StatusCode::GATEWAY_TIMEOUT),
        UpstreamError::Connect(cause) if is_connect_timeout(cause) => {
            Reply::failure(StatusCode::GATEWAY_TIMEOUT)
        }
        UpstreamError::Connect(_) | UpstreamError::Broken(_) => {
            Reply::failure(StatusCode::BAD_GATEWAY)
        }
    }
}

/// A body on its way to the client: bounded in how long the upstream may pause, and observed to
/// its end. nginx passes the trailers of gRPC only.
pub(crate) struct Outgoing {
    inner: Body,
    trailers: bool,
    read_timeout: Duration,
    /// Runs only while the gateway waits for the upstream. A slow client does not count.
    pause: Option<Pin<Box<Sleep>>>,
    _observation: Observation,
}

impl Outgoing {
    pub(crate) fn new(
        inner: Body,
        trailers: bool,
        read_timeout: Duration,
        observation: Observation,
    ) -> Self {
        Self {
            inner,
            trailers,
            read_timeout,
            pause: None,
            _observation: observation,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the upstream paused for too long within its answer")]
struct Paused;

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.pause = None;
            let frame = frame.filter(|frame| {
                this.trailers || !frame.as_ref().is_ok_and(|frame| frame.is_trailers())
            });
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let read_timeout = this.read_timeout;
        let pause = this
            .pause
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(read_timeout)));
        pause.as_mut().poll(cx).map(|()| Some(Err(Paused.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
