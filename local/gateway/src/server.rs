//! The gateway's sockets: HTTP/1.1 and HTTP/2 in the clear on one port.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use zerocart_framing::Linger;
use zerocart_telemetry::Recorder;

use crate::config::{Config, Consumers, ConsumersError};
use crate::connection::Connection;
use crate::gateway::{Shared, handle};
use crate::intake::Room;
use crate::plugins::prometheus::Metrics;
use crate::router::Router;
use crate::status::Status;
use crate::trusted::Trusted;
use crate::upstream::{BoxError, Upstream};

/// How long a client may take for a request's headers, or idle between two requests (nginx's
/// `client_header_timeout`).
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_HEADERS: usize = 100;
/// All of nginx's `large_client_header_buffers`, four of 8 KiB. That each line has to fit into one of them
/// is looked at in `gateway`.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// How long a connection that is closed because it asked for nothing may take to end, in which its first
/// request may still be answered.
const SILENT_GRACE: Duration = Duration::from_secs(5);
const MAX_CONCURRENT_STREAMS: u32 = 256;
/// A peer that disappears without closing its connection is noticed within twice this time.
const HTTP2_PING: Duration = Duration::from_secs(30);
/// How long requests may go on after the shutdown signal, by default.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The gateway: serves a Kong file.
///
/// Clones share everything.
#[derive(Debug)]
pub struct Gateway<U> {
    shared: Arc<Shared<U>>,
    /// Those of the file.
    consumers: Consumers,
    trusted: Arc<Trusted>,
    recorder: Recorder,
    drain_timeout: Duration,
}

impl<U> Clone for Gateway<U> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            consumers: self.consumers.clone(),
            trusted: Arc::clone(&self.trusted),
            recorder: self.recorder.clone(),
            drain_timeout: self.drain_timeout,
        }
    }
}

impl<U: Upstream> Gateway<U> {
    /// A gateway for the routes of `config` that lets in the tokens of `consumers` and of the
    /// file's own consumers.
    ///
    /// # Errors
    /// When two consumers or two of their keys have one name.
    pub fn new(config: Config, consumers: Consumers, upstream: U) -> Result<Self, ConsumersError> {
        let mut config = config;
        let of_file = std::mem::take(&mut config.consumers);
        let credentials = of_file.clone().merge(consumers).credentials()?;
        let shared = Shared {
            global: std::mem::take(&mut config.global),
            router: Router::new(config),
            credentials: RwLock::new(Arc::new(credentials)),
            metrics: Arc::new(Metrics::new()),
            room: Room::default(),
            status: Status::default(),
            upstream,
        };
        Ok(Self {
            shared: Arc::new(shared),
            consumers: of_file,
            trusted: Arc::default(),
            recorder: Recorder::default(),
            drain_timeout: DRAIN_TIMEOUT,
        })
    }

    /// Lets in the tokens of `consumers` from now on, in place of those that it was given before.
    ///
    /// # Errors
    /// As [`new`](Self::new); then nothing has changed.
    pub fn replace_consumers(&self, consumers: Consumers) -> Result<(), ConsumersError> {
        let credentials = self.consumers.clone().merge(consumers).credentials()?;
        let shared = self.shared.credentials.write();
        *shared.unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials);
        Ok(())
    }

    /// Sets how long requests may go on after the shutdown signal; 30 s by default. What is left
    /// then is cut off.
    #[must_use]
    pub fn with_drain_timeout(mut self, drain_timeout: Duration) -> Self {
        self.drain_timeout = drain_timeout;
        self
    }

    /// Sets the proxies whose `X-Forwarded-*` headers are believed; none by default.
    #[must_use]
    pub fn with_trusted(mut self, trusted: Trusted) -> Self {
        self.trusted = Arc::new(trusted);
        self
    }

    /// Sets where the gateway's spans go; nowhere by default. Then each request that is sent on has the
    /// gateway's span as its parent.
    #[must_use]
    pub fn with_recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = recorder;
        self
    }

    /// Serves `listener` until `shutdown`, then finishes what runs, up to the drain timeout.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let (shared, trusted) = (Arc::clone(&self.shared), Arc::clone(&self.trusted));
        let recorder = self.recorder.clone();
        shared.status.set_serving(true);
        let shutdown = async {
            shutdown.await;
            self.shared.status.set_serving(false);
        };
        serve(
            listener,
            shutdown,
            self.drain_timeout,
            Some(Arc::clone(&shared)),
            move |connection, request: Request<Incoming>| {
                let (shared, trusted) = (Arc::clone(&shared), Arc::clone(&trusted));
                let recorder = recorder.clone();
                async move {
                    shared.status.requested();
                    let request = request.map(Body::new);
                    handle(&shared, &trusted, &recorder, &connection, request).await
                }
            },
        )
        .await;
    }

    /// Serves `GET /status`, `/status/ready` and `/metrics`, the paths of Kong's status port, on a
    /// listener of its own. `/status/ready` is 503 before [`serve`](Self::serve) and from its
    /// shutdown on.
    pub async fn serve_status(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let shared = Arc::clone(&self.shared);
        serve(
            listener,
            shutdown,
            self.drain_timeout,
            None::<Arc<Shared<U>>>,
            move |_, request: Request<Incoming>| {
                let shared = Arc::clone(&shared);
                async move {
                    let (method, path) = (request.method(), request.uri().path());
                    shared.status.answer(&shared.metrics, method, path)
                }
            },
        )
        .await;
    }

    /// All metrics, in the OpenMetrics text format.
    pub fn metrics_text(&self) -> String {
        self.shared.metrics.text()
    }
}

/// `counted` counts the connections, if it is there.
async fn serve<U, H, F>(
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
    drain_timeout: Duration,
    counted: Option<Arc<Shared<U>>>,
    handler: H,
) where
    U: Upstream,
    H: Fn(Arc<Connection>, Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let mut shutdown = std::pin::pin!(shutdown);
    let (close, closing) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut serial = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: some will be free in a moment.
                tracing::warn!(error = &error as &dyn std::error::Error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        serial += 1;
        let closing = closing.clone();
        let handler = handler.clone();
        let counted = counted.clone();
        connections.spawn(async move {
            let _active = counted.as_ref().map(|shared| shared.status.connected());
            let linger = Linger::of(&stream);
            if let Err(error) = connection(stream, peer, serial, closing, handler).await {
                tracing::debug!(error = &*error, "a connection ended early");
            }
            linger.end().await;
        });
    }
    drop(listener);
    // The receiver may be gone.
    close.send(true).ok();
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain_timeout, drained).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "cut off after the drain timeout"
        );
        connections.shutdown().await;
    }
}

async fn connection<H, F>(
    stream: TcpStream,
    peer: SocketAddr,
    serial: u64,
    mut closing: watch::Receiver<bool>,
    handler: H,
) -> Result<(), BoxError>
where
    H: Fn(Arc<Connection>, Request<Incoming>) -> F,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let (stream, framing) = zerocart_framing::watch(stream);
    let connection = Arc::new(Connection::new(peer, local, serial, framing));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEADER_BYTES)?)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING);
    let asked = Arc::new(AtomicBool::new(false));
    let ask = Arc::clone(&asked);
    let service = service_fn(move |request| {
        ask.store(true, Ordering::Relaxed);
        let answer = handler(Arc::clone(&connection), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    // The builder's own limit begins when it knows the version, which it never learns from a client
    // that sends nothing.
    let silent = async {
        tokio::time::sleep(HEADER_TIMEOUT).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    };
    let silent = tokio::select! {
        served = serving.as_mut() => return served,
        () = silent => true,
        _ = closing.wait_for(|closing| *closing) => false,
    };
    serving.as_mut().graceful_shutdown();
    if silent {
        // After that time, the connection is cut.
        let ended = tokio::time::timeout(SILENT_GRACE, serving).await;
        return ended.unwrap_or(Ok(()));
    }
    serving.await
}
