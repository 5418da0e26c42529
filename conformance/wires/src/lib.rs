//! One client for every way to call a function, and one form for what comes back, so that one
//! table of a test can expect the same of all of them.

mod codec;
mod connect;
mod outcome;

use std::{
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message;
use serde_json::{Map, Value};
use tonic::{client::GrpcService, metadata::MetadataMap};
use tonic_web::{GrpcWebCall, GrpcWebClientService};
use tower::service_fn;
use zerocart_auth::Token;
use zerocart_proto::rpc::{Info, Rpc};

use codec::Raw;
use connect::Http;
pub use outcome::{Outcome, Reply, Unusable};
pub use tonic::body::Body;

/// How long an answer may take: longer than any call, so that only what hangs is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to call a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// JSON over HTTP/1.1.
    Http1,
    /// JSON over h2c.
    Http2,
    /// gRPC over h2c.
    Grpc,
    /// gRPC-Web, binary, over HTTP/1.1.
    GrpcWeb,
}

impl Wire {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Http1, Self::Http2, Self::Grpc, Self::GrpcWeb];

    /// Whether it speaks JSON.
    pub fn is_json(self) -> bool {
        matches!(self, Self::Http1 | Self::Http2)
    }
}

/// A client of one base URL by one way. A clone shares its connections.
#[derive(Clone, Debug)]
pub struct Client {
    wire: Wire,
    base: Uri,
    headers: HeaderMap,
    http: Http,
}

impl Client {
    /// A client of the function at `address`.
    pub fn new(wire: Wire, address: SocketAddr) -> Self {
        let base = format!("http://{address}").parse();
        Self::to(wire, base.expect("an address is a URI")).expect("http needs no certificates")
    }

    /// A client of the server at the URL `base`: `http` or `https`, a host, and perhaps a path that
    /// goes before all others.
    ///
    /// # Errors
    ///
    /// When `base` is no such URL, or this machine has no certificates to trust for `https`.
    pub fn to(wire: Wire, base: Uri) -> Result<Self, Unusable> {
        Self::from_source(wire, base, None)
    }

    /// As [`to`](Self::to), from an address of this machine: a gateway that counts requests by
    /// address counts its requests alone. None leaves the choice to the system.
    ///
    /// # Errors
    ///
    /// As [`to`](Self::to).
    pub fn from_source(wire: Wire, base: Uri, source: Option<IpAddr>) -> Result<Self, Unusable> {
        let http2 = matches!(wire, Wire::Http2 | Wire::Grpc);
        Ok(Self {
            wire,
            http: connect::client(&base, http2, source)?,
            base,
            headers: HeaderMap::new(),
        })
    }

    /// The way by which it calls.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// The same client, as the subject of `token`.
    #[must_use]
    pub fn bearer(self, token: &Token) -> Self {
        self.header("authorization", &token.to_authorization())
    }

    /// The same client, with one more header (over gRPC: metadata) in each request.
    ///
    /// # Panics
    ///
    /// When it is no header.
    #[must_use]
    pub fn header(self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::try_from(value).expect("this is the value of a header");
        self.header_value(name, value)
    }

    /// As [`header`](Self::header), with a value that may be no text.
    #[must_use]
    pub fn header_value(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// Calls `R`.
    ///
    /// # Panics
    ///
    /// When there is no answer, or one that is not as the contract says.
    pub async fn call<R: Rpc>(&self, request: &R::Request) -> Outcome<R::Response> {
        let outcome = self.try_call::<R>(request).await;
        outcome.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Calls `R`.
    ///
    /// # Errors
    ///
    /// When there is no answer, or one that is not as the contract says.
    pub async fn try_call<R: Rpc>(
        &self,
        request: &R::Request,
    ) -> Result<Outcome<R::Response>, Unusable> {
        match self.wire {
            Wire::Http1 | Wire::Http2 => {
                let reply = self.try_send(http_request::<R>(request)).await?;
                reply.try_outcome()
            }
            Wire::Grpc | Wire::GrpcWeb => {
                let message = request.encode_to_vec().into();
                self.try_message(R::INFO.grpc_path, message).await
            }
        }
    }

    /// Calls a gRPC path with any bytes as the message.
    ///
    /// # Errors
    ///
    /// When there is no answer, or one that is not as the contract says.
    ///
    /// # Panics
    ///
    /// When `path` is no path, or this client speaks JSON.
    pub async fn try_message<T: Message + Default + 'static>(
        &self,
        path: &'static str,
        message: Bytes,
    ) -> Result<Outcome<T>, Unusable> {
        let (http, status) = (self.http.clone(), Arc::new(AtomicU16::new(0)));
        let seen = Arc::clone(&status);
        if self.wire == Wire::GrpcWeb {
            let web = service_fn(move |request: Request<GrpcWebCall<Body>>| {
                let (http, seen) = (http.clone(), Arc::clone(&seen));
                async move { watched(&http, request.map(Body::new), &seen).await }
            });
            let web = GrpcWebClientService::new(web);
            return self.unary(web, path, message, &status).await;
        }
        assert_eq!(self.wire, Wire::Grpc, "a message goes by gRPC");
        let native = service_fn(move |request: Request<Body>| {
            let (http, seen) = (http.clone(), Arc::clone(&seen));
            async move { watched(&http, request, &seen).await }
        });
        self.unary(native, path, message, &status).await
    }

    async fn unary<T: Message + Default + 'static, S: GrpcService<Body>>(
        &self,
        service: S,
        path: &'static str,
        message: Bytes,
        http_status: &AtomicU16,
    ) -> Result<Outcome<T>, Unusable>
    where
        S::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
        <S::ResponseBody as http_body::Body>::Error: Into<BoxError>,
    {
        let mut grpc = tonic::client::Grpc::with_origin(service, self.base.clone());
        let ready: Result<(), BoxError> = grpc.ready().await.map_err(Into::into);
        ready.expect("this service is always ready");
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        let path = PathAndQuery::from_static(path);
        let result = bounded(grpc.unary(request, path, Raw::<T>(PhantomData))).await?;
        let http_status = http_status.load(Ordering::Relaxed);
        match result {
            Ok(response) => {
                let (metadata, message, _) = response.into_parts();
                let headers = metadata.into_headers();
                Ok(Outcome::of_message(message, headers, http_status))
            }
            // Not one byte of an answer came: the status is tonic's own.
            Err(status) if http_status == 0 => Err(Unusable::new(format!(
                "no answer from {}: {status:?}",
                self.base
            ))),
            Err(status) => {
                let outcome = Outcome::of_status(&status, http_status);
                outcome.map_err(|unusable| unusable.with_status(http_status))
            }
        }
    }

    /// Sends a request whose URI is a path, as it is, and reads the whole response.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let reply = self.try_send(request).await;
        reply.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Sends a request whose URI is a path, as it is, and reads the whole response.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn try_send(&self, request: Request<Body>) -> Result<Reply, Unusable> {
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
        let base = self.base.to_string();
        let uri = format!("{}{path}", base.trim_end_matches('/'));
        let (mut parts, body) = request.into_parts();
        parts.uri = uri.parse().expect("a base URL and a path are a URI");
        parts.headers.extend(self.headers.clone());
        let response = bounded(self.http.request(Request::from_parts(parts, body))).await?;
        let response =
            response.map_err(|error| Unusable::new(format!("no answer from {uri}: {error:?}")))?;
        let (parts, body) = response.into_parts();
        let body = bounded(body.collect()).await?;
        let body =
            body.map_err(|error| Unusable::new(format!("half an answer from {uri}: {error:?}")))?;
        let trailers = body.trailers().cloned();
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            trailers,
            body: body.to_bytes(),
        })
    }

    /// GET of a path.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path, "")).await
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Waits for an answer, but not for ever: a test that hangs says nothing.
async fn bounded<T>(answer: impl Future<Output = T>) -> Result<T, Unusable> {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.map_err(|_| Unusable::new(format!("no answer within {PATIENCE:?}")))
}

/// Sends a request of tonic's client, and notes the HTTP status, which that client hides.
async fn watched(
    http: &Http,
    request: Request<Body>,
    status: &AtomicU16,
) -> Result<http::Response<Body>, legacy::Error> {
    let response = http.request(request).await?;
    status.store(response.status().as_u16(), Ordering::Relaxed);
    Ok(response.map(Body::new))
}

/// A request with a body of JSON, or without one when `body` is empty.
///
/// # Panics
///
/// When `path` is no path.
pub fn request(method: Method, path: &str, body: impl Into<Bytes>) -> Request<Body> {
    let body = body.into();
    let mut request = Request::builder().method(method).uri(path);
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request.body(Body::new(Full::new(body)));
    request.expect("a path makes a request")
}

/// The HTTP request of `R`, as its binding says. Its URI is a path.
///
/// # Panics
///
/// Never for a message of the contract.
pub fn http_request<R: Rpc>(message: &R::Request) -> Request<Body> {
    let json = serde_json::to_value(message).expect("a message is JSON");
    let Value::Object(fields) = json else {
        panic!("a message is a JSON object");
    };
    let (method, path, body) = bind(&R::INFO, fields);
    request(method, &path, body)
}

/// Method, path and body of an RPC whose request has these fields, as its binding says: fields are
/// taken by the path, the rest is the body or the query. Nothing looks at what they hold.
///
/// # Panics
///
/// Never for an RPC of the contract.
pub fn bind(info: &Info, mut fields: Map<String, Value>) -> (Method, String, Bytes) {
    let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let text = |value: Value| value.as_str().map_or(value.to_string(), Into::into);
    let segments = info.http_path.split('/').map(|segment| {
        let parameter = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
        match parameter {
            Some(field) => escape(&fields.remove(field).map(text).unwrap_or_default()),
            None => segment.to_owned(),
        }
    });
    let mut path = segments.collect::<Vec<_>>().join("/");
    let mut body = Bytes::new();
    if info.http_body {
        body = Value::Object(fields).to_string().into();
    } else if !fields.is_empty() {
        let pairs = fields
            .into_iter()
            // A query cannot hold a list; an empty one needs no place.
            .filter(|(_, value)| value.as_array().is_none_or(|list| !list.is_empty()))
            .map(|(name, value)| format!("{name}={}", escape(&text(value))));
        path = format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"));
    }
    let method = info.http_method.parse().expect("a method");
    (method, path, body)
}
