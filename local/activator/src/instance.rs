//! One instance: its start until it is ready, and its end.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use http::uri::PathAndQuery;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout};

use crate::answer::{Kind, Refusal};
use crate::connection::{Connection, SendError};
use crate::launcher::{Exit, Launch, Launcher, Running};
use crate::manifest::{Ksvc, Liveness};
use crate::options::Options;

/// A probe that is not answered is given up after this time and sent again.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection breaks a moment before the exit of its process is known.
const EXIT_NOTICE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Instance {
    running: Running,
    connection: Connection,
    pub(crate) started_at: SystemTime,
    started: Instant,
    launched: Instant,
    ready: OnceLock<Instant>,
    /// A request has been told as the cause of its start.
    caused: AtomicBool,
}

impl Instance {
    /// Binds the socket and launches; the instance is not ready yet.
    pub(crate) fn launch(
        function: &Ksvc,
        revision: String,
        launcher: &dyn Launcher,
    ) -> Result<Self, Refusal> {
        let cannot_start = |error: std::io::Error| {
            let detail = format!("{} cannot be started: {error}", function.name);
            Refusal::new(Kind::Failed, detail)
        };
        let started = Instant::now();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(cannot_start)?;
        let address = listener.local_addr().map_err(cannot_start)?;
        let running = launcher
            .launch(Launch {
                function,
                listener,
                revision,
            })
            .map_err(cannot_start)?;
        Ok(Self {
            running,
            connection: Connection::new(address),
            started_at: SystemTime::now(),
            started,
            launched: Instant::now(),
            ready: OnceLock::new(),
            caused: AtomicBool::new(false),
        })
    }

    /// When its start began, when its process was there, and when it was ready; none before that.
    pub(crate) fn start_times(&self) -> Option<(Instant, Instant, Instant)> {
        Some((self.started, self.launched, *self.ready.get()?))
    }

    /// Whether no request counts as the cause of its start yet. From now on, one does.
    pub(crate) fn first_caused(&self) -> bool {
        !self.caused.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.pid
    }

    /// Waits until the readiness probe succeeds, and answers how long that took.
    pub(crate) async fn ready(
        &self,
        function: &Ksvc,
        options: &Options,
    ) -> Result<Duration, Refusal> {
        let path = path(&function.readiness_path);
        let probing = async {
            let good = |status| status == 200;
            while !timeout(PROBE_TIMEOUT, self.connection.probe(&path, good))
                .await
                .unwrap_or(false)
            {
                sleep(options.probe_interval).await;
            }
        };
        let name = &function.name;
        let (kind, detail) = tokio::select! {
            biased;
            () = probing => {
                let ready = *self.ready.get_or_init(Instant::now);
                return Ok(ready - self.started);
            }
            exit = self.exited() => (
                Kind::Failed,
                format!("{name} exited before it was ready: {}", exit.description),
            ),
            () = sleep(options.start_timeout) => (
                Kind::Late,
                format!(
                    "{name} was not ready within {} ms: GET {} did not answer 200",
                    options.start_timeout.as_millis(),
                    function.readiness_path,
                ),
            ),
        };
        // For the engine's log only. A client does not get a function's output.
        tracing::warn!(function = function.name, detail, log = ?self.running.log.lines(), "not started");
        Err(Refusal::new(kind, detail))
    }

    pub(crate) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, SendError> {
        self.connection.send(request).await
    }

    /// Why a request got no answer: the exit of the process, if that is the reason.
    pub(crate) async fn autopsy(&self, function: &str, cause: &str) -> Refusal {
        match timeout(EXIT_NOTICE, self.exited()).await {
            Ok(exit) => {
                let exit = exit.description;
                let log = self.running.log.lines();
                tracing::warn!(function, exit, ?log, "ended during a request");
                let detail = format!("{function} ended during the request: {exit}");
                Refusal::new(Kind::Failed, detail)
            }
            Err(_) => Refusal::new(
                Kind::Failed,
                format!("{function} broke off the request: {cause}"),
            ),
        }
    }

    /// Whether the instance has ended, or does within a moment.
    pub(crate) async fn is_gone(&self) -> bool {
        timeout(EXIT_NOTICE, self.exited()).await.is_ok()
    }

    /// Resolves when the instance has ended.
    pub(crate) async fn exited(&self) -> Exit {
        self.running.exited().await
    }

    /// Resolves when the instance has failed its liveness probe too often; never without one.
    pub(crate) async fn hung(&self, liveness: Option<&Liveness>) {
        let Some(liveness) = liveness else {
            return std::future::pending().await;
        };
        let path = path(&liveness.path);
        let good = |status| (200..400).contains(&status);
        let mut failures = 0;
        sleep(liveness.initial_delay).await;
        while failures < liveness.failure_threshold {
            sleep(liveness.period).await;
            let alive = timeout(liveness.timeout, self.connection.probe(&path, good)).await;
            failures = if alive.unwrap_or(false) {
                0
            } else {
                failures + 1
            };
        }
    }

    /// Asks the instance to end, then makes it end.
    pub(crate) async fn stop(&self, grace: Duration) -> Exit {
        self.running.stop(grace).await
    }

    pub(crate) async fn kill(&self) -> Exit {
        self.running.kill().await
    }
}

/// Loaded manifests are checked for it. A `Function` that code made may have any value.
fn path(text: &str) -> PathAndQuery {
    text.parse()
        .unwrap_or_else(|_| PathAndQuery::from_static("/"))
}
