//! The way to functions: HTTP/2 without TLS, over pooled connections, unless the platform gives
//! another.
//!
//! [`Transport`] is the boundary: what a call is, how it is repeated and judged is on this side of
//! it; connections, protocols and signatures are on the other.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, uri::Scheme};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{
        self,
        connect::{
            HttpConnector,
            dns::{GaiResolver, Name},
        },
    },
    rt::{TokioExecutor, TokioTimer},
};
use zerocart_core::error::BoxError;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Called once, when the message is being sent.
pub type OnSend = Box<dyn FnOnce() + Send>;

/// The longest that one attempt to connect may take; what is not there after this long is tried
/// again rather than waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a connection that a call waits on is asked whether it still lives, and how long it may
/// take to say so: a machine that vanished sends no other sign.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// The largest answer, in bytes: what gRPC allows by default.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// A whole response.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, of gRPC: the message in its frame.
    pub body: Bytes,
    /// What followed the body; empty without any.
    pub trailers: HeaderMap,
}

impl Reply {
    /// Reads a response to its end.
    ///
    /// # Errors
    ///
    /// When the connection is lost, or the answer is larger than 4 MiB.
    pub async fn read<B>(response: Response<B>) -> Result<Self, BoxError>
    where
        B: Body<Data: Send, Error: Into<BoxError>>,
    {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Self {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
            trailers,
        })
    }
}

/// The way that a platform gives ([`Platform`](zerocart_core::Platform)) in place of h2c.
#[derive(Clone, Debug)]
pub struct Way(pub Arc<dyn Transport>);

/// How a request gets to a function and its response back.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Whether functions can be called at this base URL: a scheme, an authority and perhaps a path.
    ///
    /// # Errors
    ///
    /// What it must be, without the URL.
    fn check(&self, base: &Uri) -> Result<(), &'static str>;

    /// Sends a gRPC message in its frame, with the headers of gRPC, to a path of the function at
    /// `base`. `on_send` is called before any of the message leaves; without that, the function
    /// cannot have got it.
    fn post(
        &self,
        base: &Uri,
        path: &'static str,
        headers: HeaderMap,
        message: Bytes,
        on_send: OnSend,
    ) -> BoxFuture<'static, Result<Reply, BoxError>>;

    /// Asks a path of the function at `base`, by the connection that calls use.
    fn get(&self, base: &Uri, path: &'static str) -> BoxFuture<'static, Result<Reply, BoxError>>;
}

/// HTTP/2 with prior knowledge, one connection per function.
#[derive(Clone, Debug)]
pub(crate) struct H2c(legacy::Client<HttpConnector<Resolver>, Message>);

impl H2c {
    /// Connects to nothing yet.
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        // Or a message would wait until its head is acknowledged, 40 ms later.
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let (interval, timeout) = KEEP_ALIVE;
        Self(
            legacy::Client::builder(TokioExecutor::new())
                .http2_only(true)
                .timer(TokioTimer::new())
                .http2_keep_alive_interval(interval)
                .http2_keep_alive_timeout(timeout)
                .build(connector),
        )
    }

    fn send(
        &self,
        method: Method,
        base: &Uri,
        path: &'static str,
        headers: HeaderMap,
        body: Message,
    ) -> BoxFuture<'static, Result<Reply, BoxError>> {
        let uri = at(base, path);
        let client = self.0.clone();
        Box::pin(async move {
            let mut request = Request::new(body);
            *request.method_mut() = method;
            *request.uri_mut() = uri?;
            *request.headers_mut() = headers;
            Reply::read(client.request(request).await?).await
        })
    }
}

/// The URL of a path of the function at `base`.
///
/// # Errors
///
/// When the two make no URL.
pub fn at(base: &Uri, path: &str) -> Result<Uri, http::Error> {
    let mut uri = base.clone().into_parts();
    let joined = format!("{}{path}", base.path().trim_end_matches('/'));
    uri.path_and_query = Some(joined.try_into()?);
    Ok(Uri::from_parts(uri)?)
}

impl Transport for H2c {
    fn check(&self, base: &Uri) -> Result<(), &'static str> {
        match base.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => Ok(()),
            Some(scheme) if *scheme == Scheme::HTTPS => {
                Err("must begin with http://; functions are not called over https")
            }
            _ => Err("must begin with http://"),
        }
    }

    fn post(
        &self,
        base: &Uri,
        path: &'static str,
        headers: HeaderMap,
        message: Bytes,
        on_send: OnSend,
    ) -> BoxFuture<'static, Result<Reply, BoxError>> {
        let body = Message::new(message, Some(on_send));
        self.send(Method::POST, base, path, headers, body)
    }

    fn get(&self, base: &Uri, path: &'static str) -> BoxFuture<'static, Result<Reply, BoxError>> {
        let body = Message::new(Bytes::new(), None);
        self.send(Method::GET, base, path, HeaderMap::new(), body)
    }
}

/// A body that tells when it is first taken, which a connection does once it sends it.
pub struct Message {
    bytes: Full<Bytes>,
    on_send: Option<OnSend>,
}

impl Message {
    /// These bytes.
    pub fn new(bytes: Bytes, on_send: Option<OnSend>) -> Self {
        Self {
            bytes: Full::new(bytes),
            on_send,
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").finish_non_exhaustive()
    }
}

impl Body for Message {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(on_send) = self.on_send.take() {
            on_send();
        }
        Pin::new(&mut self.bytes).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.size_hint()
    }
}

/// DNS, but for names that are this machine by definition (RFC 6761, section 6.3).
#[derive(Clone, Debug)]
struct Resolver(GaiResolver);

impl tower::Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        if is_loopback(name.as_str()) {
            // The port is the connector's to set.
            let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            return Box::pin(std::future::ready(Ok(vec![loopback].into_iter())));
        }
        let found = self.0.call(name);
        Box::pin(async move { Ok(found.await?.collect::<Vec<_>>().into_iter()) })
    }
}

fn is_loopback(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_after_that_of_the_base() {
        for (base, url) in [
            ("http://h:81", "http://h:81/health"),
            ("http://h/", "http://h/health"),
            ("https://h/lambda-url/f", "https://h/lambda-url/f/health"),
        ] {
            assert_eq!(at(&base.parse().unwrap(), "/health").unwrap(), url);
        }
    }

    #[test]
    fn names_of_this_machine() {
        for name in [
            "localhost",
            "get-product.localhost",
            "a.b.LOCALHOST",
            "x.localhost.",
        ] {
            assert!(is_loopback(name), "{name}");
        }
        for name in ["localhost.example", "mylocalhost", "get-product.zerocart"] {
            assert!(!is_loopback(name), "{name}");
        }
    }
}
