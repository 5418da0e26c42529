//! A client that chooses its own address.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    iter,
    net::{Ipv4Addr, SocketAddr},
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, header};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::TokioExecutor,
};
use tower::Service;
use zerocart_test_support::clients::{Body, Reply, Wire, request};

/// A client from one address of the loopback network. The gateway limits requests per address, as
/// it should; a test that needs more of them comes from several.
#[derive(Clone, Debug)]
pub struct Http {
    authority: String,
    client: Client<HttpConnector<ThisMachine>, Body>,
}

/// Every name is this machine's: the functions' own end in `.localhost`, which not every resolver
/// knows (RFC 6761).
#[derive(Clone, Debug)]
struct ThisMachine;

impl Service<Name> for ThisMachine {
    type Response = iter::Once<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        // The connector takes the port of the URL.
        ready(Ok(iter::once((Ipv4Addr::LOCALHOST, 0).into())))
    }
}

impl Http {
    /// A client of the gateway over HTTP/1.1.
    pub fn new(gateway: SocketAddr, source: Ipv4Addr) -> Self {
        Self::to(gateway.to_string(), source, Wire::Http1)
    }

    /// A client of `authority` on this machine, with what HTTP the wire needs.
    pub fn to(authority: String, source: Ipv4Addr, wire: Wire) -> Self {
        let mut connector = HttpConnector::new_with_resolver(ThisMachine);
        connector.set_local_address(Some(source.into()));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .http2_only(matches!(wire, Wire::Http2 | Wire::Grpc))
            .build(connector);
        Self { authority, client }
    }

    /// Sends a request whose URI is a path, and reads the whole answer.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let (mut parts, body) = request.into_parts();
        let uri = format!("http://{}{}", self.authority, parts.uri);
        parts.uri = uri.parse().expect("an address and a path are a URI");
        let response = self.client.request(Request::from_parts(parts, body)).await;
        let response = response.unwrap_or_else(|error| panic!("no answer from {uri}: {error:?}"));
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole answer");
        Reply {
            status: parts.status,
            headers: parts.headers,
            trailers: body.trailers().cloned(),
            body: body.to_bytes(),
        }
    }

    /// Sends JSON, or nothing when `body` is empty, with headers.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: impl Into<bytes::Bytes>,
        headers: &[(&'static str, &str)],
    ) -> Reply {
        let mut request = request(method, path, body);
        for (name, value) in headers {
            let value = HeaderValue::try_from(*value).expect("this is the value of a header");
            request.headers_mut().insert(*name, value);
        }
        self.send(request).await
    }

    /// Calls by gRPC, with headers. The client must be one for [`Wire::Grpc`].
    pub async fn grpc(
        &self,
        path: &str,
        message: &[u8],
        headers: &[(&'static str, &str)],
    ) -> Reply {
        // A message that is not compressed, with its length.
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).expect("short").to_be_bytes());
        frame.extend(message);
        let mut request = request(Method::POST, path, frame);
        let grpc = HeaderValue::from_static("application/grpc");
        request.headers_mut().insert(header::CONTENT_TYPE, grpc);
        let trailers = HeaderValue::from_static("trailers");
        request.headers_mut().insert(header::TE, trailers);
        for (name, value) in headers {
            let value = HeaderValue::try_from(*value).expect("this is the value of a header");
            request.headers_mut().insert(*name, value);
        }
        self.send(request).await
    }

    /// GET of a path.
    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, "", &[]).await
    }
}
