//! The activator: finds the function of a request, gives the request to an instance, and reports
//! numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::serve::ListenerExt;
use futures_util::future::join_all;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};

use crate::answer::{Caller, Kind, Refusal};
use crate::causes::{Cause, Causes};
use crate::connection::SendError;
use crate::launcher::Launcher;
use crate::manifest::Ksvc;
use crate::options::Options;
use crate::pool::Pool;
use crate::span::Activation;
use crate::status::FunctionStatus;
use crate::stream::Stream;

/// How often a request of which nothing was sent is given to another instance.
const ATTEMPTS: usize = 3;

/// The largest head of a request, in bytes, counted as HTTP/2 does (RFC 9113, section 6.5.2). Functions
/// take half as much again. Requests of all clients share a connection to an instance, and a head far
/// above what it takes would end that connection for all of them.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Runs functions on demand. Clones share everything.
#[derive(Clone)]
pub struct Activator {
    pools: Arc<BTreeMap<String, Arc<Pool>>>,
    causes: Causes,
}

impl fmt::Debug for Activator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activator")
            .field("functions", &self.pools.keys())
            .finish()
    }
}

impl Activator {
    /// An activator for these functions, all at zero (or at their `min-scale`).
    ///
    /// Must be called inside a tokio runtime. Call [`shutdown`](Self::shutdown) at the end.
    #[must_use]
    pub fn new(
        functions: impl IntoIterator<Item = Ksvc>,
        launcher: impl Launcher,
        options: Options,
    ) -> Self {
        let launcher: Arc<dyn Launcher> = Arc::new(launcher);
        let pool = |function: Ksvc| {
            let name = function.name.clone();
            (
                name,
                Pool::new(function, Arc::clone(&launcher), options.clone()),
            )
        };
        Self {
            pools: Arc::new(functions.into_iter().map(pool).collect()),
            causes: Causes::default(),
        }
    }

    /// Gives a request from outside to an instance of the function, starting one if need be.
    ///
    /// The instance's answer is passed on as it comes, trailers included. If there is none, the
    /// activator answers itself, with problem details or, to `application/grpc`, with a status: 404
    /// for an unknown function, 502 if it fails to start or dies, 503 if too many requests are
    /// held, 504 if it is not ready or does not answer in time.
    ///
    /// `Server-Timing` of the answer names the starts that the request caused, in this function and in
    /// those that were called for it in the same trace: `cold-start;desc="get-user";dur=31.4`, with
    /// milliseconds. Only the answer to the first request that the instance got names its start.
    pub async fn handle(&self, function: &str, request: Request<Body>) -> Response<Body> {
        self.pass(function, request, true).await
    }

    async fn pass(&self, function: &str, request: Request<Body>, outside: bool) -> Response<Body> {
        let caller = Caller::of(request.headers());
        let answer = match self.pools.get(function) {
            Some(_) if head_bytes(&request) > MAX_HEAD_BYTES => {
                let detail = format!("its path and headers are over {MAX_HEAD_BYTES} bytes");
                Err(Refusal::new(Kind::TooLarge, detail))
            }
            Some(pool) => {
                let mut request = request;
                let mut activation = pool.spans.begin(&mut request);
                let recorded = outside.then(|| self.causes.begin(request.headers()));
                let cause = match &recorded {
                    Some(recorded) => Some(recorded.cause()),
                    None => self.causes.of(request.headers()),
                };
                let mut answer = forward(pool, request, &mut activation, cause.as_deref()).await;
                activation.answered(&answer);
                if let (Some(recorded), Ok(response)) = (recorded, &mut answer) {
                    recorded.tell(response.headers_mut());
                }
                answer
            }
            None => {
                let detail = format!("there is no function {function:?}");
                Err(Refusal::new(Kind::Unknown, detail))
            }
        };
        answer.unwrap_or_else(|refusal| refusal.answer(&caller))
    }

    /// Answers requests of functions on a listener until `shutdown` resolves, then finishes those in flight.
    ///
    /// The function is the first label of the host: `get-user` of
    /// `get-user.zerocart.svc.cluster.local`. The rest of the host is ignored. HTTP/1.1 and h2c.
    ///
    /// # Errors
    ///
    /// Never for a temporary problem: if a connection cannot be accepted, the next one is awaited.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let activator = self.clone();
        let router = Router::new().fallback(async move |request: Request<Body>| {
            let function = host_label(&request).unwrap_or_default().to_owned();
            activator.pass(&function, request, false).await
        });
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
        });
        axum::serve(listener, router)
            .with_graceful_shutdown(shutdown)
            .await
    }

    /// The status of every function, sorted by name.
    #[must_use]
    pub fn status(&self) -> Vec<FunctionStatus> {
        self.pools.values().map(|pool| pool.status()).collect()
    }

    /// Drains the running instances of the functions that `of` selects: they get no more requests
    /// and finish those that they have. New instances start as requests come.
    ///
    /// Used when the environment of a function has changed. Every request that comes after this
    /// returns is answered in the new environment.
    pub fn renew(&self, of: impl Fn(&str) -> bool) {
        for (_, pool) in self.pools.iter().filter(|(name, _)| of(name)) {
            pool.renew();
        }
    }

    /// Ends every instance and waits for all to have ended.
    ///
    /// Requests in flight get [`Options::drain_timeout`]; held and new ones get a 503.
    pub async fn shutdown(&self) {
        join_all(self.pools.values().map(|pool| pool.shutdown())).await;
    }
}

fn head_bytes<B>(request: &Request<B>) -> usize {
    // Names of pseudo-header fields included; the authority is one of the headers, or as long.
    let uri = request.uri();
    let line = uri.path().len() + uri.query().map_or(0, str::len) + request.method().as_str().len();
    let fields = request.headers().iter();
    fields
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum::<usize>()
        + line
}

async fn forward(
    pool: &Arc<Pool>,
    mut request: Request<Body>,
    activation: &mut Activation<'_>,
    cause: Option<&Cause>,
) -> Result<Response<Body>, Refusal> {
    let function = &pool.function;
    let arrived = Instant::now();
    let respond_by = arrived + function.response_start_timeout;
    let late = |what: &str| {
        let seconds = function.response_start_timeout.as_secs_f64();
        let detail = format!("{} {what} within {seconds} s", function.name);
        Refusal::new(Kind::Late, detail)
    };
    let mut attempt = 1;
    loop {
        let since = Instant::now();
        let (permit, waited) = timeout_at(respond_by, pool.acquire())
            .await
            .map_err(|_| late("had no instance free"))??;
        activation.placed(since, &permit.instance, waited);
        if let Some(cause) = cause {
            cause.placed(&function.name, &permit.instance);
        }
        let sent = timeout_at(respond_by, permit.instance.send(request))
            .await
            .map_err(|_| late("did not begin to answer"))?;
        match sent {
            Ok(response) => {
                let finish_by = arrived + function.timeout;
                return Ok(response.map(|body| Body::new(Stream::new(body, permit, finish_by))));
            }
            Err(SendError::Unsent(unsent, _)) if attempt < ATTEMPTS => {
                if permit.instance.is_gone().await {
                    permit.retire();
                }
                request = *unsent;
                attempt += 1;
            }
            Err(SendError::Unsent(_, cause) | SendError::Broken(cause)) => {
                return Err(permit
                    .instance
                    .autopsy(&function.name, &cause.to_string())
                    .await);
            }
        }
    }
}

/// The first label of the request's host, from `:authority` or `Host`.
fn host_label(request: &Request<Body>) -> Option<&str> {
    let host = match request.uri().host() {
        Some(host) => host,
        None => request.headers().get(http::header::HOST)?.to_str().ok()?,
    };
    host.split(['.', ':']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_is_the_first_label_of_the_host() {
        let table = [
            (
                "/x",
                Some("get-user.zerocart.svc.cluster.local"),
                Some("get-user"),
            ),
            (
                "/x",
                Some("get-user.zerocart.svc.cluster.local:80"),
                Some("get-user"),
            ),
            ("/x", Some("get-user:8080"), Some("get-user")),
            ("http://get-user.other.svc/x", None, Some("get-user")),
            ("/x", None, None),
        ];
        for (uri, host, expected) in table {
            let mut request = Request::get(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let request = request.body(Body::empty()).unwrap();
            assert_eq!(host_label(&request), expected, "{uri} {host:?}");
        }
    }

    #[test]
    fn the_back_off_doubles_up_to_its_maximum() {
        let options = Options::default();
        let backoff: Vec<_> = (0..7)
            .map(|streak| options.backoff_after(streak).as_millis())
            .collect();
        assert_eq!(backoff, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(options.backoff_after(u32::MAX), options.max_backoff);
    }
}
