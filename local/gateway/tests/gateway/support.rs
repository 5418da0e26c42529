//! A gateway, an upstream that says what it saw, and clients.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use zerocart_gateway::{Config, Consumers, Gateway, HttpUpstream, JwtKey};

/// Nothing in these tests takes this long, however slow the machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Running {
    pub(crate) port: u16,
    pub(crate) gateway: Gateway<HttpUpstream>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(config: &str, consumers: Consumers) -> Self {
        let config = Config::parse("test.yml", config).unwrap();
        let gateway = Gateway::new(config, consumers, HttpUpstream::new()).unwrap();
        Self::of(gateway).await
    }

    pub(crate) async fn of(gateway: Gateway<HttpUpstream>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = gateway.clone();
        let serving = tokio::spawn(async move {
            server.serve(listener, async { drop(stopped.await) }).await;
        });
        Self {
            port,
            gateway,
            stop: Some(stop),
            serving,
        }
    }

    pub(crate) fn ask_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn stopped(self) {
        tokio::time::timeout(DEADLINE, self.serving)
            .await
            .unwrap()
            .unwrap();
    }

    /// Sends an HTTP/1.1 request on a connection of its own.
    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Answer {
        let request = request.body(Full::new(body.into())).unwrap();
        self.send_body(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path), "").await
    }

    pub(crate) async fn send_body<B>(&self, request: Request<B>) -> Answer
    where
        B: hyper::body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut parts, body) = request.into_parts();
        parts.uri = format!("http://127.0.0.1:{}{}", self.port, parts.uri)
            .parse()
            .unwrap();
        // As clients of an API do; without it, nginx's own errors are text.
        let json = http::HeaderValue::from_static("application/json");
        parts.headers.entry("accept").or_insert(json);
        let client: Client<_, B> = Client::builder(TokioExecutor::new()).build_http();
        let sent = client.request(Request::from_parts(parts, body));
        let response = tokio::time::timeout(DEADLINE, sent).await.unwrap().unwrap();
        Answer::read(response).await
    }

    /// Sends bytes as they are, and returns all that comes back.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        self.send_bytes(bytes, false).await
    }

    /// Sends bytes as they are and nothing after them, and returns all that comes back.
    pub(crate) async fn half(&self, bytes: &[u8]) -> String {
        self.send_bytes(bytes, true).await
    }

    async fn send_bytes(&self, bytes: &[u8], end: bool) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        if end {
            stream.shutdown().await.unwrap();
        }
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        // A connection that was reset after its answer has answered.
        tokio::time::timeout(DEADLINE, reading).await.unwrap().ok();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) async fn read(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let body = tokio::time::timeout(DEADLINE, body.collect())
            .await
            .unwrap()
            .unwrap();
        let trailers = body.trailers().cloned();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_bytes(),
            trailers,
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self
            .headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"));
        value.to_str().unwrap()
    }
}

/// An upstream on a port of its own.
pub(crate) struct Echo {
    pub(crate) port: u16,
    seen: Arc<AtomicUsize>,
}

impl Echo {
    /// Answers with what it saw; `/grpc.…` paths get a gRPC answer with trailers.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        counter.fetch_add(1, Ordering::SeqCst);
                        async move { Ok::<_, Infallible>(echo(request).await) }
                    });
                    let io = TokioIo::new(stream);
                    let builder = auto::Builder::new(TokioExecutor::new());
                    builder.serve_connection(io, service).await.ok();
                });
            }
        });
        Self { port, seen }
    }

    /// How many requests came here.
    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

async fn echo(request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if parts.uri.path().starts_with("/grpc.") {
        return grpc_echo(parts.headers, &parts.uri, body);
    }
    let Ok(body) = body.collect().await else {
        return Response::builder()
            .status(StatusCode::BAD_REQUEST)
            .body(Body::empty())
            .unwrap();
    };
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into())
        })
        .collect();
    let saw = json!({
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "version": format!("{:?}", parts.version),
        "headers": headers,
        "body": String::from_utf8_lossy(&body.to_bytes()),
    });
    let mut response = Response::builder();
    if parts.headers.contains_key("x-name-yourself") {
        response = response
            .header("server", "envoy")
            .header("x-envoy-upstream-service-time", "1");
    }
    response
        .header("content-type", "application/json")
        .header("x-upstream", "yes")
        .header("keep-alive", "timeout=5")
        .body(Body::from(saw.to_string()))
        .unwrap()
}

/// Sends every data frame back as it comes, then what was seen as trailers.
fn grpc_echo(mut headers: HeaderMap, uri: &http::Uri, body: Incoming) -> Response<Body> {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    headers.insert("path", path.parse().unwrap());
    let mut body = body;
    let (mut sender, echoed) = http_body_util::Channel::<Bytes, Infallible>::new(1);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data()
                && sender.send_data(data).await.is_err()
            {
                return;
            }
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        for name in ["path", "te", "x-consumer-username", "user-key"] {
            if let Some(value) = headers.get(name) {
                trailers.insert(
                    http::HeaderName::try_from(format!("saw-{name}")).unwrap(),
                    value.clone(),
                );
            }
        }
        sender.send_trailers(trailers).await.ok();
    });
    Response::builder()
        .header("content-type", "application/grpc")
        .body(Body::new(echoed))
        .unwrap()
}

/// A body that is sent in chunks, without a length.
pub(crate) fn chunked(
    chunks: &'static [&'static [u8]],
) -> impl hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static {
    let frames = chunks
        .iter()
        .map(|chunk| Ok(Frame::data(Bytes::from_static(chunk))));
    StreamBody::new(futures_util::stream::iter(frames))
}

/// A key that signs tokens, and the consumers that have its public half.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    name: String,
}

impl Signer {
    pub(crate) fn new(name: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        Self {
            pair,
            name: name.to_owned(),
        }
    }

    pub(crate) fn key(&self) -> JwtKey {
        let mut der = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec();
        der.extend(self.pair.public_key().as_ref());
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        );
        JwtKey {
            key: self.name.clone(),
            rsa_public_key: pem,
        }
    }

    pub(crate) fn consumers(&self) -> Consumers {
        Consumers::one("zerocart-users", [self.key()]).unwrap()
    }

    /// A token that expires `lifetime_s` from now; negative: that has expired.
    pub(crate) fn token(&self, lifetime_s: i64) -> String {
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": self.name});
        self.sign(&header, lifetime_s)
    }

    pub(crate) fn sign(&self, header: &Value, lifetime_s: i64) -> String {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let expires = i64::try_from(now.as_secs()).unwrap() + lifetime_s;
        let claims = json!({"sub": "user-1", "exp": expires});
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }
}

/// A file with one HTTP service `s` on `port`: fields, routes and plugins in YAML flow style.
pub(crate) fn config(port: u16, service: &str, routes: &str, plugins: &str) -> String {
    format!(
        "_format_version: \"3.0\"\n\
         services:\n\
         - {{name: s, host: 127.0.0.1, port: {port}, {service}\n\
         \x20  routes: [{routes}]}}\n\
         plugins: [{plugins}]\n"
    )
}
