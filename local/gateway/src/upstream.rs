//! The upstream of a route.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, Version, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiFuture, GaiResolver, Name};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::Service;

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// gRPC, over HTTP/2 in the clear.
    Grpc,
}

/// The Kong service's upstream that a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The service's host, such as `get-user.zerocart.svc.cluster.local`.
    pub host: String,
    /// The service's port.
    pub port: u16,
    /// What the upstream speaks.
    pub protocol: Protocol,
    /// Limit for establishing a connection. It does not cover waiting for a function to start:
    /// the wait for an answer is the gateway's `read_timeout`.
    pub connect_timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The host is not known. Nothing was sent; 503.
    #[error("name resolution failed")]
    Resolve(#[source] BoxError),
    /// No connection. Nothing was sent, so every request may be tried again; 502, or 504 when
    /// its source is an [`std::io::Error`] of the kind `TimedOut`.
    #[error("no connection to the upstream")]
    Connect(#[source] BoxError),
    /// The upstream did not answer in time; 504.
    #[error("the upstream did not answer in time")]
    Timeout,
    /// The connection or the answer was broken after something may have been sent; 502.
    #[error("the exchange with the upstream broke")]
    Broken(#[source] BoxError),
}

/// Sends requests to their upstreams.
///
/// The URI of a request is absolute, with the authority that the upstream is to see. An HTTP/1.1
/// request has the `Host`, too. Clones share connections.
pub trait Upstream: Clone + Send + Sync + 'static {
    /// Sends `request` to `target` and returns the head of the answer.
    ///
    /// Dropping the future cancels the request. The body is polled only when a connection is ready:
    /// a body that was never polled can be sent again.
    fn send(
        &self,
        target: Target,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, UpstreamError>> + Send;
}

/// An upstream that disappears without closing its connection is noticed within twice this time. All
/// calls of a function share one HTTP/2 connection, and would go on waiting on it.
const HTTP2_PING: Duration = Duration::from_secs(10);

type HttpClient = Client<HttpConnector<Resolver>, Body>;

/// Sends requests to the target's own host and port, over pooled connections.
///
/// Over HTTP/2 the `:authority` is always the target's.
#[derive(Debug, Clone, Default)]
pub struct HttpUpstream {
    /// A client has one protocol and one connect timeout, so there is one client for each pair in the
    /// file. A client keeps connections by host and port: JSON and gRPC never share one.
    clients: Arc<Mutex<HashMap<(Protocol, Duration), HttpClient>>>,
}

impl HttpUpstream {
    /// An upstream without connections.
    pub fn new() -> Self {
        Self::default()
    }

    fn client(&self, target: &Target) -> HttpClient {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry((target.protocol, target.connect_timeout))
            .or_insert_with(|| {
                let mut connector = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
                connector.set_connect_timeout(Some(target.connect_timeout));
                connector.set_nodelay(true);
                Client::builder(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .http2_keep_alive_interval(HTTP2_PING)
                    .http2_keep_alive_timeout(HTTP2_PING)
                    .pool_timer(TokioTimer::new())
                    .pool_idle_timeout(Duration::from_secs(60))
                    .http2_only(target.protocol == Protocol::Grpc)
                    .build(connector)
            })
            .clone()
    }
}

impl Upstream for HttpUpstream {
    async fn send(
        &self,
        target: Target,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, UpstreamError> {
        let broken = |error: http::Error| UpstreamError::Broken(error.into());
        let authority: Authority = format!("{}:{}", target.host, target.port)
            .parse()
            .map_err(|error| broken(http::Error::from(error)))?;
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(authority);
        *request.uri_mut() = Uri::from_parts(uri).map_err(|error| broken(error.into()))?;
        prepare(target.protocol, &mut request);
        let response = self
            .client(&target)
            .request(request)
            .await
            .map_err(classify)?;
        Ok(response.map(Body::new))
    }
}

fn prepare(protocol: Protocol, request: &mut Request<Body>) {
    match protocol {
        Protocol::Http => *request.version_mut() = Version::HTTP_11,
        Protocol::Grpc => {
            *request.version_mut() = Version::HTTP_2;
            // HTTP/2 has the authority instead.
            request.headers_mut().remove(header::HOST);
        }
    }
}

fn classify(error: hyper_util::client::legacy::Error) -> UpstreamError {
    if !error.is_connect() {
        return UpstreamError::Broken(error.into());
    }
    if find::<Unresolved>(&error).is_some() {
        return UpstreamError::Resolve(error.into());
    }
    UpstreamError::Connect(error.into())
}

/// Whether a connection was given up for its timeout.
pub(crate) fn is_connect_timeout(error: &BoxError) -> bool {
    find::<std::io::Error>(error.as_ref())
        .is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
}

/// The first error of type `E` in the chain of causes.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The system's resolver, whose errors can be told from those of connecting.
#[derive(Clone)]
struct Resolver(GaiResolver);

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the name does not resolve")]
struct Unresolved(#[source] std::io::Error);

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = Unresolved;
    type Future = Resolving;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        self.0.poll_ready(cx).map_err(Unresolved)
    }

    fn call(&mut self, name: Name) -> Resolving {
        Resolving(self.0.call(name))
    }
}

struct Resolving(GaiFuture);

impl Future for Resolving {
    type Output = Result<GaiAddrs, Unresolved>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx).map_err(Unresolved)
    }
}
