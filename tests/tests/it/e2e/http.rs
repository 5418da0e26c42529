//! A client of the gateway that chooses its own address.

use std::net::{Ipv4Addr, SocketAddr};

use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use zerocart_test_support::clients::{Body, Reply, request};

/// A client over HTTP/1.1, from one address of the loopback network. The gateway limits requests
/// per address, as it should; a test that needs more of them comes from several.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    gateway: SocketAddr,
    client: Client<HttpConnector, Body>,
}

impl Http {
    pub(crate) fn new(gateway: SocketAddr, source: Ipv4Addr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(source.into()));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { gateway, client }
    }

    /// Sends a request whose URI is a path, and reads the whole answer.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let (mut parts, body) = request.into_parts();
        let uri = format!("http://{}{}", self.gateway, parts.uri);
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
    pub(crate) async fn call(
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

    /// GET of a path.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, "", &[]).await
    }
}
