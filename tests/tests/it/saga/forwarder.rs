//! Between a process and the functions that it calls: HTTP/2, trailers included.

use std::{
    collections::BTreeMap, convert::Infallible, future::pending, net::SocketAddr, sync::Arc,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;
use zerocart_test_support::clients::Body;

use super::boundary::{Boundaries, Crossing, Pass};

/// Where functions are, by their names.
pub(crate) type Addresses = BTreeMap<&'static str, SocketAddr>;

/// Passes requests for `http://<function>.localhost:<port>` on.
pub(crate) async fn serve(listener: TcpListener, functions: Addresses, boundaries: Boundaries) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let forwarder = Arc::new(Forwarder {
        client: Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build(connector),
        functions,
        boundaries,
    });
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let forwarder = Arc::clone(&forwarder);
        let service = service_fn(move |request| {
            let forwarder = Arc::clone(&forwarder);
            async move { Ok::<_, Infallible>(forwarder.answer(request).await) }
        });
        tokio::spawn(async move {
            let http = auto::Builder::new(TokioExecutor::new()).http2_only();
            // It ends when the process ends in any way.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

struct Forwarder {
    client: Client<HttpConnector, Full<Bytes>>,
    functions: Addresses,
    boundaries: Boundaries,
}

impl Forwarder {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return pending().await;
        };
        let request = Request::from_parts(parts, Full::new(body.to_bytes()));
        // A request that was sent continues, even if its sender ends.
        let relayed = tokio::spawn(async move { self.relay(request).await });
        match relayed.await {
            Ok(Some(response)) => response,
            _ => pending().await,
        }
    }

    /// The function's answer; none when nobody gets one any more.
    async fn relay(&self, request: Request<Full<Bytes>>) -> Option<Response<Body>> {
        let host = request.uri().host().unwrap_or_default();
        let function = host.split('.').next().unwrap_or_default().to_owned();
        let address = self.functions.get(function.as_str())?;
        let counted = request.uri().path() != "/health";
        let pass = |crossing| match counted {
            true => self.boundaries.pass(crossing),
            false => self.boundaries.pass_uncounted(),
        };
        let late = match pass(Crossing::Request(function.clone())) {
            Pass::On => None,
            Pass::Lost => return None,
            Pass::Held(held) => {
                held.released().await;
                Some(held)
            }
        };
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("http://{address}{path}")
            .parse()
            .expect("an address and a path are a URI");
        let answer = self.client.request(Request::from_parts(parts, body)).await;
        let answer = match answer {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                body.collect().await.map(|body| (parts, body)).ok()
            }
            Err(_) => None,
        };
        drop(late);
        let Pass::On = pass(Crossing::Answer(function)) else {
            return None;
        };
        let Some((parts, body)) = answer else {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            return Some(response);
        };
        let trailers = body.trailers().cloned().map(Ok);
        let body = Full::new(body.to_bytes()).with_trailers(std::future::ready(trailers));
        Some(Response::from_parts(parts, Body::new(body)))
    }
}
