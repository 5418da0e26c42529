//! One client for every way to call a function, and one form for what comes back, so that one
//! table of a test can expect the same of all of them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tonic::{Code, Status, client::GrpcService, metadata::MetadataMap};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;
use tonic_web::{GrpcWebCall, GrpcWebClientService};
use tower::service_fn;
use zerocart_auth::Token;
use zerocart_proto::{rpc::Rpc, validate::Violation};
use zerocart_runtime::Kind;

use crate::functions::PATIENCE;

pub use tonic::body::Body;

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

/// What came back, in a form that JSON and gRPC share.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    /// OK, or the error's code: over JSON the problem's `code`.
    pub code: Code,
    /// The status of the HTTP response: 200 over gRPC, whatever `code` is.
    pub http_status: u16,
    /// The error's message: over JSON the problem's `detail`. Empty for OK.
    pub message: String,
    /// The fields that are wrong: the problem's `errors`, google.rpc.BadRequest.
    pub fields: Vec<Violation>,
    /// The header Retry-After (whole seconds), google.rpc.RetryInfo.
    pub retry_after: Option<Duration>,
    /// An error's `trace_id`, the id in google.rpc.RequestInfo.
    pub trace_id: Option<String>,
    /// Members of the problem of the error's own, the metadata of google.rpc.ErrorInfo.
    pub metadata: BTreeMap<String, String>,
    /// The headers; over gRPC with the trailers.
    pub headers: HeaderMap,
    /// The response. Over JSON there with any success status.
    pub response: Option<T>,
}

impl<T> Outcome<T> {
    /// The response of a call that succeeded.
    ///
    /// # Panics
    ///
    /// When it failed.
    #[track_caller]
    pub fn ok(self) -> T {
        match self.response {
            Some(response) => response,
            None => panic!("{:?} ({}): {}", self.code, self.http_status, self.message),
        }
    }

    /// The names of the fields that are wrong.
    pub fn field_names(&self) -> Vec<&str> {
        self.fields.iter().map(|v| v.field.as_str()).collect()
    }

    /// The value of a header; none when it is absent or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn of_status(status: &Status, http_status: u16) -> Self {
        let details = status.get_error_details();
        let mut metadata = BTreeMap::new();
        if let Some(info) = details.error_info() {
            assert_eq!(info.reason, name(status.code()), "the reason is the code");
            metadata.extend(info.metadata.clone());
        }
        let violations = details.bad_request().map(|bad| &bad.field_violations);
        Self {
            code: status.code(),
            http_status,
            message: status.message().to_owned(),
            fields: violations
                .into_iter()
                .flatten()
                .map(|v| Violation {
                    field: v.field.clone(),
                    description: v.description.clone(),
                })
                .collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            trace_id: details.request_info().map(|info| info.request_id.clone()),
            metadata,
            headers: status.metadata().clone().into_headers(),
            response: None,
        }
    }
}

/// A client of one function by one way. A clone shares its connections.
#[derive(Clone, Debug)]
pub struct Client {
    wire: Wire,
    address: SocketAddr,
    headers: HeaderMap,
    http: legacy::Client<HttpConnector, Body>,
}

impl Client {
    /// A client of the function at `address`.
    pub fn new(wire: Wire, address: SocketAddr) -> Self {
        let http2 = matches!(wire, Wire::Http2 | Wire::Grpc);
        let mut connector = HttpConnector::new();
        // Or a request's message would wait until its head is acknowledged, 40 ms later.
        connector.set_nodelay(true);
        Self {
            wire,
            address,
            headers: HeaderMap::new(),
            http: legacy::Client::builder(TokioExecutor::new())
                .http2_only(http2)
                .build(connector),
        }
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
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::try_from(value).expect("this is the value of a header");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// Calls `R`.
    ///
    /// # Panics
    ///
    /// When there is no answer, or one that is not as the contract says.
    pub async fn call<R: Rpc>(&self, request: &R::Request) -> Outcome<R::Response> {
        match self.wire {
            Wire::Http1 | Wire::Http2 => self.send(http_request::<R>(request)).await.outcome(),
            Wire::Grpc => {
                let (http, status) = (self.http.clone(), Arc::new(AtomicU16::new(0)));
                let seen = Arc::clone(&status);
                let native = service_fn(move |request: Request<Body>| {
                    let (http, seen) = (http.clone(), Arc::clone(&seen));
                    async move { watched(&http, request, &seen).await }
                });
                self.unary::<R, _>(native, request, &status).await
            }
            Wire::GrpcWeb => {
                let (http, status) = (self.http.clone(), Arc::new(AtomicU16::new(0)));
                let seen = Arc::clone(&status);
                let web = service_fn(move |request: Request<GrpcWebCall<Body>>| {
                    let (http, seen) = (http.clone(), Arc::clone(&seen));
                    async move { watched(&http, request.map(Body::new), &seen).await }
                });
                let web = GrpcWebClientService::new(web);
                self.unary::<R, _>(web, request, &status).await
            }
        }
    }

    async fn unary<R: Rpc, S: GrpcService<Body>>(
        &self,
        service: S,
        message: &R::Request,
        http_status: &AtomicU16,
    ) -> Outcome<R::Response>
    where
        S::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
        <S::ResponseBody as http_body::Body>::Error: Into<BoxError>,
    {
        let mut grpc = tonic::client::Grpc::with_origin(service, self.origin());
        let ready: Result<(), BoxError> = grpc.ready().await.map_err(Into::into);
        ready.expect("this service is always ready");
        let mut request = tonic::Request::new(message.clone());
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        let path = http::uri::PathAndQuery::from_static(R::INFO.grpc_path);
        let codec = ProstCodec::<R::Request, R::Response>::default();
        let result = bounded(grpc.unary(request, path, codec)).await;
        let http_status = http_status.load(Ordering::Relaxed);
        match result {
            Ok(response) => {
                let (metadata, message, _) = response.into_parts();
                Outcome {
                    code: Code::Ok,
                    http_status,
                    message: String::new(),
                    fields: Vec::new(),
                    retry_after: None,
                    trace_id: None,
                    metadata: BTreeMap::new(),
                    headers: metadata.into_headers(),
                    response: Some(message),
                }
            }
            Err(status) => Outcome::of_status(&status, http_status),
        }
    }

    /// Sends a request whose URI is a path, as it is, and reads the whole response.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
        let uri = format!("http://{}{path}", self.address);
        let (mut parts, body) = request.into_parts();
        parts.uri = uri.parse().expect("an address and a path are a URI");
        parts.headers.extend(self.headers.clone());
        let response = bounded(self.http.request(Request::from_parts(parts, body)))
            .await
            .unwrap_or_else(|error| panic!("no answer from {uri}: {error:?}"));
        let (parts, body) = response.into_parts();
        let body = bounded(body.collect()).await;
        let body = body.unwrap_or_else(|error| panic!("half an answer from {uri}: {error:?}"));
        let trailers = body.trailers().cloned();
        Reply {
            status: parts.status,
            headers: parts.headers,
            trailers,
            body: body.to_bytes(),
        }
    }

    /// GET of a path.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path, "")).await
    }

    fn origin(&self) -> Uri {
        let uri = format!("http://{}", self.address).parse();
        uri.expect("an address is a URI")
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Waits for an answer, but not for ever: a test that hangs says nothing.
async fn bounded<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(2 * PATIENCE, answer)
        .await
        .expect("a function answers within its limit")
}

/// Sends a request of tonic's client, and notes the HTTP status, which that client hides.
async fn watched(
    http: &legacy::Client<HttpConnector, Body>,
    request: Request<Body>,
    status: &AtomicU16,
) -> Result<http::Response<Body>, legacy::Error> {
    let response = http.request(request).await?;
    status.store(response.status().as_u16(), Ordering::Relaxed);
    Ok(response.map(Body::new))
}

/// A response as it is on the wire.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its trailers.
    pub trailers: Option<HeaderMap>,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The response to JSON: what a success holds, or a problem document (RFC 9457).
    ///
    /// # Panics
    ///
    /// When it is neither.
    #[track_caller]
    pub fn outcome<T: DeserializeOwned>(&self) -> Outcome<T> {
        let mut outcome = Outcome {
            code: Code::Ok,
            http_status: self.status.as_u16(),
            message: String::new(),
            fields: Vec::new(),
            retry_after: None,
            trace_id: None,
            metadata: BTreeMap::new(),
            headers: self.headers.clone(),
            response: None,
        };
        let media_type = outcome.header("content-type").unwrap_or_default();
        if self.status.is_success() {
            assert_eq!(media_type, "application/json", "{}", self.text());
            outcome.response = Some(self.json());
            return outcome;
        }
        assert_eq!(media_type, "application/problem+json", "{}", self.text());
        let mut document: BTreeMap<String, Value> = self.json();
        let mut take = |member: &str| {
            let value = document.remove(member);
            value.unwrap_or_else(|| panic!("a problem without {member}: {}", self.text()))
        };
        let text = |value: Value| value.as_str().map(str::to_owned).unwrap_or_default();
        assert_eq!(take("type"), "about:blank");
        assert_eq!(take("status"), self.status.as_u16());
        assert!(!text(take("title")).is_empty());
        let code = text(take("code"));
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == code);
        let kind = kind.unwrap_or_else(|| panic!("{code:?} is no code"));
        outcome.code = kind.grpc_code();
        outcome.message = text(take("detail"));
        outcome.trace_id = Some(text(take("trace_id")));
        outcome.fields = match document.remove("errors") {
            None => Vec::new(),
            Some(errors) => errors
                .as_array()
                .expect("errors is a list")
                .iter()
                .map(|error| Violation {
                    field: text(error["field"].clone()),
                    description: text(error["description"].clone()),
                })
                .collect(),
        };
        outcome.retry_after = outcome
            .header("retry-after")
            .map(|seconds| Duration::from_secs(seconds.parse().expect("whole seconds")));
        outcome.metadata = document
            .into_iter()
            .map(|(member, value)| (member, value.as_str().map_or(value.to_string(), Into::into)))
            .collect();
        outcome
    }

    /// The gRPC status, from the trailers or, when there is no message, from the headers.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn grpc<T>(&self) -> Outcome<T> {
        let status = self
            .trailers
            .iter()
            .chain([&self.headers])
            .find_map(Status::from_header_map);
        let status = status.unwrap_or_else(|| panic!("no grpc-status in {self:?}"));
        let mut outcome = Outcome::of_status(&status, self.status.as_u16());
        outcome.headers = self.headers.clone();
        outcome
    }
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

/// The HTTP request of `R`, as its binding says.
fn http_request<R: Rpc>(message: &R::Request) -> Request<Body> {
    let json = serde_json::to_value(message).expect("a message is JSON");
    let Value::Object(mut fields) = json else {
        panic!("a message is a JSON object");
    };
    let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let text = |value: Value| value.as_str().map_or(value.to_string(), Into::into);
    let segments = R::INFO.http_path.split('/').map(|segment| {
        let parameter = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
        match parameter {
            Some(field) => escape(&fields.remove(field).map(text).unwrap_or_default()),
            None => segment.to_owned(),
        }
    });
    let mut path = segments.collect::<Vec<_>>().join("/");
    let mut body = Bytes::new();
    if R::INFO.http_body {
        body = Value::Object(fields).to_string().into();
    } else if !fields.is_empty() {
        let pairs = fields
            .into_iter()
            .map(|(name, value)| format!("{name}={}", escape(&text(value))));
        path = format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"));
    }
    let method = R::INFO.http_method.parse().expect("a method");
    request(method, &path, body)
}

fn name(code: Code) -> &'static str {
    let kind = Kind::ALL.into_iter().find(|kind| kind.grpc_code() == code);
    kind.map_or("", Kind::name)
}
