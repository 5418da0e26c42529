//! One h2c connection to an instance, opened when needed and shared by its requests.

use std::io;
use std::net::SocketAddr;

use axum::body::Body;
use http::header::{CONNECTION, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// The instance does flow control. On loopback, a large window saves round trips.
const WINDOW_BYTES: u32 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    sender: Mutex<Option<SendRequest<Body>>>,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Nothing of the request was sent: it can go to another instance.
    Unsent(Box<Request<Body>>, ConnectionError),
    /// The connection broke; the instance may have acted.
    Broken(ConnectionError),
}

/// What went wrong on the connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("cannot connect: {0}")]
    Connect(#[from] io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
}

impl Connection {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            sender: Mutex::new(None),
        }
    }

    /// Sends a request and waits for the head of its response.
    pub(crate) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, SendError> {
        let mut sender = match self.sender().await {
            Ok(sender) => sender,
            Err(cause) => return Err(SendError::Unsent(Box::new(request), cause)),
        };
        match sender.try_send_request(self.prepare(request)).await {
            Ok(response) => Ok(response),
            Err(mut error) => match error.take_message() {
                Some(request) => {
                    let cause = error.into_error().into();
                    Err(SendError::Unsent(Box::new(request), cause))
                }
                None => Err(SendError::Broken(error.into_error().into())),
            },
        }
    }

    /// Whether a GET of `path` answers with a status that `good` accepts.
    pub(crate) async fn probe(&self, path: &PathAndQuery, good: fn(u16) -> bool) -> bool {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from(path.clone());
        let user_agent = HeaderValue::from_static("zerocart-activator");
        request
            .headers_mut()
            .insert(http::header::USER_AGENT, user_agent);
        self.send(request)
            .await
            .is_ok_and(|response| good(response.status().as_u16()))
    }

    async fn sender(&self) -> Result<SendRequest<Body>, ConnectionError> {
        let mut current = self.sender.lock().await;
        if let Some(sender) = &*current
            && !sender.is_closed()
        {
            return Ok(sender.clone());
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(4 * WINDOW_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        let address = self.address;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "a connection to an instance broke");
            }
        });
        *current = Some(sender.clone());
        Ok(sender)
    }

    /// Turns a request of any HTTP version into one for HTTP/2: the host becomes `:authority`, and
    /// headers that concern only the caller's connection are removed (RFC 9113, section 8.2.2).
    fn prepare(&self, mut request: Request<Body>) -> Request<Body> {
        let host = request.headers_mut().remove(HOST);
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.authority = parts
            .authority
            .or_else(|| Authority::try_from(host?.as_bytes()).ok())
            .or_else(|| Authority::try_from(self.address.to_string()).ok());
        parts.scheme = Some(Scheme::HTTP);
        if parts.path_and_query.is_none() {
            parts.path_and_query = Some(PathAndQuery::from_static("/"));
        }
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        *request.version_mut() = Version::HTTP_2;
        strip_connection_headers(request.headers_mut());
        request
    }
}

fn strip_connection_headers(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    if headers.get(TE).is_some_and(|value| value != "trailers") {
        headers.remove(TE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_for_http_1_becomes_one_for_http_2() {
        let connection = Connection::new(([127, 0, 0, 1], 9).into());
        let request = Request::get("/users/1?x=y")
            .header("host", "get-user.zerocart.svc.cluster.local")
            .header("connection", "keep-alive, X-Hop")
            .header("x-hop", "1")
            .header("keep-alive", "timeout=5")
            .header("transfer-encoding", "chunked")
            .header("te", "gzip")
            .header("accept", "application/json")
            .body(Body::empty())
            .unwrap();
        let request = connection.prepare(request);
        assert_eq!(
            request.uri(),
            "http://get-user.zerocart.svc.cluster.local/users/1?x=y"
        );
        assert_eq!(request.version(), Version::HTTP_2);
        let names: Vec<_> = request.headers().keys().collect();
        assert_eq!(names, ["accept"]);
    }

    #[test]
    fn te_trailers_stays_and_a_host_is_made_up_where_none_is() {
        let connection = Connection::new(([127, 0, 0, 1], 9).into());
        let request = Request::post("*").header("te", "trailers");
        let request = connection.prepare(request.body(Body::empty()).unwrap());
        assert_eq!(request.headers()["te"], "trailers");
        assert_eq!(request.uri().authority().unwrap(), "127.0.0.1:9");
    }
}
