//! A request's way through the gateway: route, plugins, upstream, answer.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, RETRY_AFTER, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, Parts as UriParts, PathAndQuery, Scheme};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
};
use http_body::Body as _;

use zerocart_telemetry::Recorder;

use crate::access::Observation;
use crate::config::Route;
use crate::connection::Connection;
use crate::headers::{self, Forwarded, REQUEST_ID};
use crate::intake::{Refused, Room};
use crate::path::{BadPath, escape, normalize};
use crate::plugins::PluginSet;
use crate::plugins::cors::{Cors, Preflight};
use crate::plugins::jwt::{self, Credentials};
use crate::plugins::prometheus::Metrics;
use crate::plugins::rate_limiting::Subject;
use crate::plugins::request_size_limiting::RequestSizeLimiting;
use crate::proxy::{self, Outbound, Outgoing};
use crate::reply::{Asked, Reply, is_grpc};
use crate::router::{Match, Query, Router};
use crate::status::Status;
use crate::trusted::{Sender, Trusted};
use crate::upstream::{Protocol, Upstream};

/// The longest request line, and the longest header (one of nginx's `large_client_header_buffers`).
const MAX_LINE_BYTES: usize = 8 * 1024;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared<U> {
    pub(crate) router: Router,
    /// The plugins for a request without a route.
    pub(crate) global: PluginSet,
    pub(crate) credentials: RwLock<Arc<Credentials>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) room: Room,
    pub(crate) status: Status,
    pub(crate) upstream: U,
}

impl<U> Shared<U> {
    /// The present keys. A request keeps those that it began with.
    fn credentials(&self) -> Arc<Credentials> {
        let credentials = self.credentials.read();
        Arc::clone(&credentials.unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where a request comes from.
#[derive(Debug)]
struct Origin<'a> {
    connection: &'a Connection,
    sender: Sender,
}

/// What the plugins add to the answer, whether the upstream or the gateway gives it.
#[derive(Debug, Default)]
struct Marks {
    /// Whether the plugins of the route ran. The global ones mark the answer if they did not.
    ran: bool,
    cors: Option<(Arc<Cors>, Option<HeaderValue>)>,
    correlation: Option<(HeaderName, HeaderValue)>,
    limits: HeaderMap,
}

/// Answers a request.
pub(crate) async fn handle<U: Upstream>(
    shared: &Shared<U>,
    trusted: &Trusted,
    recorder: &Recorder,
    connection: &Connection,
    request: Request<Body>,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let origin = Origin {
        connection,
        sender: trusted.sender(connection.peer.ip(), &parts.headers),
    };
    let http2 = parts.version == Version::HTTP_2;
    let is_head = parts.method == Method::HEAD;
    let asked = Asked::of(&parts);
    let id = HeaderValue::try_from(headers::random_id().simple().to_string())
        .expect("hexadecimal digits are visible ASCII");
    let mut seen = Observation::new(&shared.metrics, &parts.method, id);
    seen.begin_span(recorder, &parts.headers);
    let mut marks = Marks::default();
    // Discarding a body asks the client to send it. A client that waits for `100 Continue` must not
    // be asked.
    let discardable = !http2 && !parts.headers.contains_key(http::header::EXPECT);
    let mut body = Some(body);
    let answer = exchange(
        shared, &origin, &mut parts, &mut body, &mut seen, &mut marks,
    )
    .await;
    let refused = answer.is_err();
    if let Some(unread) = body.filter(|_| refused && discardable) {
        zerocart_framing::discard(unread).await;
    }
    let mut response = match answer {
        Ok(response) => from_upstream(response),
        Err(reply) => reply.into_response(asked, &seen.request_id),
    };
    let route = seen.route.as_deref().filter(|_| marks.ran);
    let plugins = route.map_or(&shared.global, |route| &route.plugins);
    if !marks.ran {
        identify(plugins, &origin, &mut parts, &mut marks);
        mark_for_browsers(plugins, &parts, &mut marks);
    }
    let headers = response.headers_mut();
    for (name, value) in marks.limits {
        // A value without a name belongs to the name before it. There is none.
        if let Some(name) = name {
            headers.insert(name, value);
        }
    }
    if let Some((name, value)) = marks.correlation {
        headers.insert(name, value);
    }
    if let Some((cors, origin)) = marks.cors {
        cors.decorate(origin.as_ref(), headers);
    }
    if let Some(transformer) = &plugins.response_transformer {
        transformer.transform(headers);
    }
    if is_head {
        without_body(&mut response);
    }
    seen.status = response.status().as_u16();
    let read_timeout = seen.route.as_ref().map_or_else(
        || std::time::Duration::MAX,
        |route| route.service.read_timeout,
    );
    let trailers = seen.route.as_ref().is_some_and(|route| route.grpc);
    response.map(|body| Body::new(Outgoing::new(body, trailers, read_timeout, seen)))
}

/// correlation-id.
fn identify(plugins: &PluginSet, origin: &Origin<'_>, parts: &mut Parts, marks: &mut Marks) {
    if let Some(plugin) = &plugins.correlation_id {
        marks.correlation = plugin.identify(&mut parts.headers, origin.connection);
    }
}

/// cors, of an answer that is none to a preflight.
fn mark_for_browsers(plugins: &PluginSet, parts: &Parts, marks: &mut Marks) {
    if let Some(cors) = &plugins.cors {
        marks.cors = Some((Arc::clone(cors), parts.headers.get(ORIGIN).cloned()));
    }
}

/// Keeps the head, which says how long the body would be, if that is known.
fn without_body(response: &mut Response<Body>) {
    let length = response.body().size_hint().exact();
    if let Some(length) = length.filter(|length| *length > 0) {
        let headers = response.headers_mut();
        headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    *response.body_mut() = Body::empty();
}

async fn exchange<U: Upstream>(
    shared: &Shared<U>,
    origin: &Origin<'_>,
    parts: &mut Parts,
    body: &mut Option<Body>,
    seen: &mut Observation,
    marks: &mut Marks,
) -> Result<Response<Body>, Reply> {
    let connection = origin.connection;
    let framing = connection.framing.check(parts.version, &parts.headers);
    if let Some(refused) = framing {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        return Err(Reply::failure(refused.status()).with_headers(headers));
    }
    if !is_method(&parts.method) {
        return Err(Reply::failure(StatusCode::BAD_REQUEST));
    }
    check_lines(parts)?;
    let raw_path = parts.uri.path().to_owned();
    let path = normalize(&raw_path);
    if path == Err(BadPath::Invalid) || headers::has_duplicate(&parts.headers) {
        return Err(Reply::failure(StatusCode::BAD_REQUEST));
    }
    let authority = authority(parts)?;
    let host = authority.as_ref().map_or(String::new(), host);
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(Reply::failure(StatusCode::METHOD_NOT_ALLOWED));
    }
    let path = path.map_err(|_| no_route())?;

    let query = Query {
        method: &parts.method,
        host: &host,
        port: connection.local.port(),
        path: &path,
        headers: &parts.headers,
    };
    let Match { route, matched } = shared.router.find(&query).ok_or_else(no_route)?;
    seen.route = Some(Arc::clone(route));
    check_protocol(route, parts)?;

    let limit_bytes = plugins(shared, origin, route, &path, parts, seen, marks)?;
    let mut whole = None;
    if let (Some(limit_bytes), Some(unread)) = (limit_bytes, body.as_mut()) {
        let taken = shared.room.take(unread, limit_bytes).await;
        whole = Some(taken.map_err(|why| not_taken(why, &parts.headers))?);
    }

    let service = &route.service;
    let prefix = (route.strip_path && matched > 0).then(|| &path[..matched]);
    let upstream_path = match route.grpc {
        // nginx's grpc_pass sends what the client wrote.
        true => raw_path.clone(),
        false => upstream_path(route, prefix.map_or(0, str::len), &path),
    };
    let trailers = headers::takes_trailers(&parts.headers);
    headers::strip_hop_by_hop(&mut parts.headers);
    Forwarded {
        sender: origin.sender,
        port: connection.local.port(),
        host: &host,
        path: &raw_path,
        prefix,
    }
    .apply(&mut parts.headers);
    parts.headers.insert(REQUEST_ID, seen.request_id.clone());
    seen.parent(&mut parts.headers);
    let authority = match authority {
        Some(authority) if route.preserve_host => authority,
        _ => service_authority(&service.host, service.port)?,
    };
    let grpc = service.protocol == Protocol::Grpc;
    let host = HeaderValue::from_str(authority.as_str())
        .map_err(|_| Reply::failure(StatusCode::BAD_REQUEST))?;
    headers::address(&mut parts.headers, &host, grpc, trailers);

    let unread = body.take().unwrap_or_default();
    let outbound = Outbound {
        method: parts.method.clone(),
        uri: uri(authority, &upstream_path, parts.uri.query())?,
        headers: std::mem::take(&mut parts.headers),
        body: match &whole {
            Some(whole) => whole.bytes.clone().into(),
            None => unread.into(),
        },
    };
    seen.sent = Some(tokio::time::Instant::now());
    let response = proxy::forward(&shared.upstream, service, outbound).await?;
    drop(whole);
    seen.answered = Some(tokio::time::Instant::now());
    Ok(response)
}

fn not_taken(why: Refused, client_headers: &HeaderMap) -> Reply {
    match why {
        Refused::TooLarge => RequestSizeLimiting::exceeded(client_headers),
        Refused::TooSlow => Reply::failure(StatusCode::REQUEST_TIMEOUT),
        Refused::Broken => Reply::failure(StatusCode::BAD_REQUEST),
        Refused::NoRoom => {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            Reply::failure(StatusCode::SERVICE_UNAVAILABLE).with_headers(headers)
        }
    }
}

/// Runs the route's plugins in Kong's order. Returns the number of body bytes to let through, where
/// they are counted.
fn plugins<U>(
    shared: &Shared<U>,
    origin: &Origin<'_>,
    route: &Route,
    path: &str,
    parts: &mut Parts,
    seen: &mut Observation,
    marks: &mut Marks,
) -> Result<Option<u64>, Reply> {
    let plugins = &route.plugins;
    marks.ran = true;
    identify(plugins, origin, parts, marks);
    if let Some(cors) = &plugins.cors {
        match cors.preflight(&parts.method, &parts.headers) {
            Some(Preflight::Answer(reply)) => return Err(reply),
            Some(Preflight::Continue) => {}
            None => mark_for_browsers(plugins, parts, marks),
        }
    }
    if let Some(jwt) = &plugins.jwt {
        seen.identity = jwt.authenticate(parts, &shared.credentials(), SystemTime::now())?;
    }
    jwt::identify(seen.identity.as_deref(), &mut parts.headers);
    let limit_bytes = match &plugins.request_size_limiting {
        Some(limiting) => Some(limiting.check(&parts.headers)?),
        None => None,
    };
    if let Some(limiting) = &plugins.rate_limiting {
        let subject = Subject {
            ip: origin.sender.client,
            identity: seen.identity.as_deref(),
            headers: &parts.headers,
            path,
            service: &route.service.name,
        };
        marks.limits = limiting.take(&subject, SystemTime::now())?;
    }
    if let Some(transformer) = &plugins.request_transformer {
        transformer.transform(&mut parts.headers);
    }
    if let Some(termination) = &plugins.request_termination {
        return Err(termination.answer());
    }
    Ok(limit_bytes)
}

/// The letters that nginx knows in the name of a method.
fn is_method(method: &Method) -> bool {
    let known = |byte: u8| byte.is_ascii_uppercase() || b"_-".contains(&byte);
    method.as_str().bytes().all(known)
}

/// A line has to fit into one of nginx's buffers, with what stands around it: `GET`, ` HTTP/1.1`, `: `.
fn check_lines(parts: &Parts) -> Result<(), Reply> {
    let target = parts.uri.path_and_query().map_or(0, |p| p.as_str().len());
    if parts.method.as_str().len() + target + " HTTP/1.1\r\n".len() + 1 > MAX_LINE_BYTES {
        return Err(Reply::failure(StatusCode::URI_TOO_LONG));
    }
    let long = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() + ": \r\n".len() > MAX_LINE_BYTES
    };
    match parts.headers.iter().any(long) {
        true => Err(Reply::long_line()),
        false => Ok(()),
    }
}

fn no_route() -> Reply {
    let message = "no Route matched with those values";
    Reply::error(StatusCode::NOT_FOUND, message)
}

/// Kong chooses the route by path first, and then refuses a request of another protocol.
fn check_protocol(route: &Route, parts: &Parts) -> Result<(), Reply> {
    if !route.grpc {
        return Ok(());
    }
    if !is_grpc(&parts.headers) {
        let message = "Non-gRPC request matched gRPC route";
        return Err(Reply::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    if parts.version != Version::HTTP_2 {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("HTTP/2"));
        let reply = Reply::error(StatusCode::UPGRADE_REQUIRED, "Please use HTTP2 protocol");
        return Err(reply.with_headers(headers));
    }
    Ok(())
}

/// The gateway adds nothing about itself.
fn from_upstream(mut response: Response<Body>) -> Response<Body> {
    headers::strip_hop_by_hop(response.headers_mut());
    *response.version_mut() = Version::default();
    response
}

/// The host that the request is for. nginx takes `:authority` for a `Host` header, and wants one from
/// HTTP/1.1 on (RFC 9112, section 3.2).
fn authority(parts: &Parts) -> Result<Option<Authority>, Reply> {
    let bad = || Reply::failure(StatusCode::BAD_REQUEST);
    let host = parts.headers.get(HOST);
    let host = host.map(|host| Authority::try_from(host.as_bytes()).map_err(|_| bad()));
    let authority = match (parts.uri.authority(), host.transpose()?) {
        (Some(_), Some(_)) if parts.version == Version::HTTP_2 => return Err(bad()),
        (Some(_), None) if parts.version == Version::HTTP_11 => return Err(bad()),
        (None, None) if parts.version >= Version::HTTP_11 => return Err(bad()),
        (of_uri, of_header) => of_uri.cloned().or(of_header),
    };
    match &authority {
        Some(authority) if authority.as_str().contains('@') => Err(bad()),
        Some(authority) if authority.host().contains("..") => Err(bad()),
        _ => Ok(authority),
    }
}

/// The name alone, in one spelling.
fn host(authority: &Authority) -> String {
    let host = authority.host().to_ascii_lowercase();
    host.strip_suffix('.').map(str::to_owned).unwrap_or(host)
}

fn service_authority(host: &str, port: u16) -> Result<Authority, Reply> {
    let text = if port == 80 {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    text.parse()
        .map_err(|_| Reply::failure(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The path for the upstream: the service's own, then what is left of the request's.
fn upstream_path(route: &Route, stripped: usize, path: &str) -> String {
    let rest = escape(path[stripped..].trim_start_matches('/'));
    match route.service.path.as_deref() {
        None | Some("/") => format!("/{rest}"),
        Some(base) if rest.is_empty() => base.to_owned(),
        Some(base) => format!("{}/{rest}", base.trim_end_matches('/')),
    }
}

fn uri(authority: Authority, path: &str, query: Option<&str>) -> Result<Uri, Reply> {
    let bad = |_| Reply::failure(StatusCode::BAD_REQUEST);
    let path = match query {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")).map_err(bad)?,
        None => PathAndQuery::try_from(path).map_err(bad)?,
    };
    let mut parts = UriParts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|_| Reply::failure(StatusCode::BAD_REQUEST))
}
