//! Sends what is kept to a receiver of OTLP/HTTP
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>), in JSON.
//!
//! Spans wait in a queue that is bounded in bytes. A receiver that is slow or down costs the newest spans,
//! which are counted, and nothing else: nobody waits for it.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
    uri::Scheme,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use percent_encoding::percent_decode_str;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    collector::Collector,
    line::Resource,
    otlp::ExportResponse,
    ring::{Segment, document},
};

/// A batch is sent when it has this size, or is this old.
const BATCH_BYTES: usize = 512 * 1024;
const BATCH_AGE: Duration = Duration::from_secs(1);
/// What waits at most.
const QUEUE_BYTES: usize = 16 << 20;
/// How long a request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// The first pause before a batch is sent again, the longest one, and when it is given up.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const GIVE_UP: Duration = Duration::from_secs(300);
/// How long the last spans may take at the end.
const LAST: Duration = Duration::from_secs(2);
/// At most one line of the log in this time.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// What is read of an answer.
const ANSWER_BYTES: usize = 64 * 1024;

/// Spans that wait for the receiver.
#[derive(Debug)]
pub(crate) struct Queue {
    sealed: VecDeque<Segment>,
    sealed_bytes: usize,
    open: Segment,
    max_bytes: usize,
    /// Spans that found no place, and are not reported yet.
    lost: u64,
}

impl Queue {
    fn new(max_bytes: usize) -> Self {
        Self {
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            open: Segment::new(Instant::now()),
            max_bytes,
            lost: 0,
        }
    }

    pub(crate) fn push(&mut self, trace: u128, resource: &Arc<Resource>, raw: &[u8], now: Instant) {
        if self.sealed_bytes + self.open.bytes() + raw.len() > self.max_bytes {
            self.lost += 1;
            return;
        }
        self.open.push(trace, resource, raw, now);
        if self.open.used() >= BATCH_BYTES {
            self.seal(now);
        }
    }

    fn seal(&mut self, now: Instant) {
        let open = std::mem::replace(&mut self.open, Segment::new(now)).sealed();
        self.sealed_bytes += open.bytes();
        self.sealed.push_back(open);
    }

    pub(crate) fn has_batch(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// The oldest spans; none when there are none.
    fn batch(&mut self) -> Option<Segment> {
        if self.sealed.is_empty() && !self.open.is_empty() {
            self.seal(Instant::now());
        }
        let batch = self.sealed.pop_front()?;
        self.sealed_bytes -= batch.bytes();
        Some(batch)
    }
}

/// A receiver of OTLP/HTTP: its URL, and the headers that it wants. The headers are secret.
#[derive(Clone)]
pub struct Target {
    url: Uri,
    headers: HeaderMap,
}

/// Why there can be no receiver. The text has no secret.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The URL is not one of a receiver.
    #[error("{0}")]
    Url(&'static str),
    /// The text of the headers is not `name=value,name=value`.
    #[error("member {0} must be name=value, with a value in percent-encoding")]
    Header(usize),
    /// There are no certificates to trust.
    #[error("this machine has no certificates to trust")]
    NoCertificates,
}

impl Target {
    /// The receiver at the base URL `url`, to which `/v1/traces` is appended.
    ///
    /// # Errors
    ///
    /// [`TargetError::Url`].
    pub fn new(url: &str) -> Result<Self, TargetError> {
        let wrong = TargetError::Url;
        let form = wrong("must be a base URL such as http://localhost:4318");
        let Ok(base) = url.parse::<Uri>() else {
            return Err(form);
        };
        let scheme = base.scheme().filter(|_| base.host().is_some());
        let known = scheme.is_some_and(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS);
        let Some(authority) = base.authority().filter(|_| known) else {
            return Err(form);
        };
        if authority.as_str().contains('@') {
            return Err(wrong(
                "must have no user and password; OTEL_EXPORTER_OTLP_HEADERS takes credentials",
            ));
        }
        if base.query().is_some() || url.contains('#') {
            return Err(wrong("must have no query and no fragment"));
        }
        let path = base.path().trim_end_matches('/');
        if path.ends_with("/v1/traces") {
            return Err(wrong("must be the base URL, without /v1/traces"));
        }
        let scheme = base.scheme_str().unwrap_or_default();
        let url = format!("{scheme}://{authority}{path}/v1/traces");
        Ok(Self {
            url: url.parse().map_err(|_| form)?,
            headers: HeaderMap::new(),
        })
    }

    /// Adds headers, in the form of the variable `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,name=value`, with
    /// values in percent-encoding.
    ///
    /// # Errors
    ///
    /// [`TargetError::Header`], which has no value.
    pub fn with_headers(mut self, text: &str) -> Result<Self, TargetError> {
        for (place, member) in text.split(',').enumerate() {
            if member.trim().is_empty() {
                continue;
            }
            let header = member.split_once('=').and_then(|(name, value)| {
                let name = HeaderName::try_from(name.trim()).ok()?;
                let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
                let mut value = HeaderValue::from_str(&value).ok()?;
                value.set_sensitive(true);
                Some((name, value))
            });
            let (name, value) = header.ok_or(TargetError::Header(place + 1))?;
            self.headers.append(name, value);
        }
        Ok(self)
    }

    fn client(&self) -> Result<Http, TargetError> {
        let mut roots = RootCertStore::empty();
        if self.url.scheme() == Some(&Scheme::HTTPS) {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(TargetError::NoCertificates);
            }
        }
        let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        Ok(Client::builder(TokioExecutor::new()).build(HttpsConnector::from((tcp, tls))))
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Target").field(&self.url).finish()
    }
}

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A task that sends what a collector keeps.
#[derive(Debug)]
pub struct Forwarding {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Forwarding {
    /// Sends what `collector` keeps from now on. It must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`TargetError::NoCertificates`].
    pub fn start(collector: Collector, target: Target) -> Result<Self, TargetError> {
        Self::start_with(collector, target, QUEUE_BYTES, FIRST_PAUSE)
    }

    fn start_with(
        collector: Collector,
        target: Target,
        max_bytes: usize,
        first_pause: Duration,
    ) -> Result<Self, TargetError> {
        let client = target.client()?;
        collector.current().queue = Some(Queue::new(max_bytes));
        let (stop, stopped) = watch::channel(false);
        let sender = Sender {
            collector,
            target,
            client,
            stopped,
            first_pause,
            reported: None,
            dropped: 0,
        };
        Ok(Self {
            stop,
            task: tokio::spawn(sender.run()),
        })
    }

    /// Sends the last spans, and ends. A receiver that does not take them in time does not get them.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let mut task = self.task;
        if timeout(LAST, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// What a receiver made of a batch.
enum Outcome {
    Taken,
    /// It took all but so many, and says why.
    Partly(u64, String),
    /// It may take the batch later, at this time if it said one.
    Later(String, Option<Duration>),
    /// It will never take it.
    Refused(String),
}

struct Sender {
    collector: Collector,
    target: Target,
    client: Http,
    stopped: watch::Receiver<bool>,
    first_pause: Duration,
    reported: Option<Instant>,
    /// Spans that were dropped, and are not reported yet.
    dropped: u64,
}

impl Sender {
    async fn run(mut self) {
        loop {
            let mut stopped = self.stopped.clone();
            tokio::select! {
                () = self.collector.batch() => {}
                () = tokio::time::sleep(BATCH_AGE) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
            let last = *self.stopped.borrow();
            loop {
                let (batch, lost) = self.next();
                if lost > 0 {
                    self.drop(lost, "the receiver is slower than the spans come");
                }
                let Some(batch) = batch else { break };
                self.send(&batch).await;
            }
            if last {
                return;
            }
        }
    }

    fn next(&self) -> (Option<Segment>, u64) {
        let mut state = self.collector.current();
        let Some(queue) = &mut state.queue else {
            return (None, 0);
        };
        (queue.batch(), std::mem::take(&mut queue.lost))
    }

    /// Sends a batch until it is taken, refused or too old.
    async fn send(&mut self, batch: &Segment) {
        let spans = batch.spans().map(|(_, resource, raw)| (resource, raw));
        let body = Bytes::from(document(spans));
        let (began, mut pause) = (Instant::now(), self.first_pause);
        let all = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        loop {
            match self.post(body.clone()).await {
                Outcome::Taken => {
                    self.collector.state().metrics.forwarded.inc_by(all);
                    return;
                }
                Outcome::Partly(rejected, why) => {
                    let taken = all.saturating_sub(rejected);
                    self.collector.state().metrics.forwarded.inc_by(taken);
                    self.drop(all - taken, &format!("the receiver rejected them: {why}"));
                    return;
                }
                Outcome::Refused(why) => return self.drop(all, &why),
                Outcome::Later(why, after) => {
                    let jitter = rand::random_range(0.5..1.0);
                    let wait = after.unwrap_or(pause.mul_f64(jitter)).min(LONGEST_PAUSE);
                    if began.elapsed() + wait > GIVE_UP {
                        return self.drop(all, &why);
                    }
                    self.report(&why);
                    tokio::time::sleep(wait).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn post(&self, body: Bytes) -> Outcome {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.url.clone();
        *request.headers_mut() = self.target.headers.clone();
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        match timeout(REQUEST_LIMIT, self.answer(request)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Later(format!("no answer: {error}"), None),
            Err(_) => Outcome::Later("no answer in time".to_owned(), None),
        }
    }

    async fn answer(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Outcome, hyper_util::client::legacy::Error> {
        let response = self.client.request(request).await?;
        let (status, after) = (response.status(), retry_after(&response));
        let body = read(response).await;
        Ok(match status {
            _ if status.is_success() => {
                let answer: ExportResponse = serde_json::from_slice(&body).unwrap_or_default();
                let partial = answer.partial_success;
                match partial.rejected_spans {
                    0 => Outcome::Taken,
                    // The text may repeat what it is about, so it is cut.
                    number => {
                        Outcome::Partly(number, partial.error_message.chars().take(200).collect())
                    }
                }
            }
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Outcome::Later(format!("it answers {status}"), after),
            _ => Outcome::Refused(format!("it answers {status}")),
        })
    }

    fn drop(&mut self, spans: u64, why: &str) {
        self.dropped += spans;
        self.collector.state().metrics.dropped.inc_by(spans);
        self.report(why);
    }

    /// Says once in a while what does not work.
    fn report(&mut self, why: &str) {
        if self.reported.is_some_and(|at| at.elapsed() < REPORT_EVERY) {
            return;
        }
        self.reported = Some(Instant::now());
        let dropped = std::mem::take(&mut self.dropped);
        tracing::warn!(url = %self.target.url, why, dropped, "spans cannot be forwarded");
    }
}

/// When the receiver wants to be asked again, in seconds (RFC 9110, section 10.2.3).
fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// The answer's body; empty if it is too long or breaks off.
async fn read(response: Response<Incoming>) -> Bytes {
    let body = Limited::new(response.into_body(), ANSWER_BYTES).collect();
    body.await.map(|body| body.to_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
