//! One call, from its headers to its answer, the same for JSON and gRPC.
//!
//! In this order: a place to run, the caller, the deadline, the request, access, the rules of its
//! fields, the preconditions of HTTP, the idempotency key, void tokens, the handler. Then the outcome is logged and
//! counted, once.

use std::{
    any::Any,
    future::Future,
    num::NonZeroU64,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use http::HeaderMap;
use prost::Message;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tracing::{Instrument, field};
use zerocart_auth::{Identity, Keys, Token, Verifier};
use zerocart_core::{
    Call, Error, Function, Idempotency, Invalid, Kind, Readiness, Request, Response, Setup, Start,
    error::chain,
    metrics::Metrics,
    trace::{Kind as SpanKind, Recorder, Span, Trace, TraceContext},
};
use zerocart_proto::{
    rpc::{Info, Rpc},
    validate::{Validate, Violations},
};
use zerocart_resilience::bulkhead::{self, Bulkhead};

use self::spans::{Spans, end, success_status};
use crate::{
    health::Probed,
    precondition,
    voids::{Ages, VoidCheck},
};

mod spans;

/// What every function is configured with.
#[derive(Debug)]
pub(crate) struct Settings {
    verifier: Verifier,
    bulkhead: Bulkhead,
    timeout: Option<Duration>,
    pub(crate) ages: Ages,
}

impl Settings {
    pub(crate) fn from_setup(setup: &mut Setup) -> Result<Self, Invalid> {
        let user = setup.require::<Keys>("AUTH_USER_KEYS");
        let service = setup.require::<Keys>("AUTH_SERVICE_KEYS");
        let max_in_flight = setup.or("MAX_IN_FLIGHT", 100);
        // Lower than the contract's limit only in tests; never higher (see Runtime::timeout).
        let timeout = setup
            .optional::<NonZeroU64>("CALL_TIMEOUT_MS")
            .map(|ms| ms.map(|ms| Duration::from_millis(ms.get())));
        let ages = Ages::from_setup(setup);
        let verifier = Verifier::new(&user?, &service?).map_err(|error| {
            setup.problem(format!("AUTH_USER_KEYS, AUTH_SERVICE_KEYS: {error}"));
            Invalid
        });
        // Nothing waits here: the platform in front of a function queues, and knows better.
        let bulkhead = Bulkhead::new(bulkhead::Config {
            max_in_flight: max_in_flight?,
            max_waiting: 0,
            ..Default::default()
        })
        .map_err(|error| {
            setup.problem(format!("MAX_IN_FLIGHT: {error}"));
            Invalid
        });
        Ok(Self {
            verifier: verifier?,
            bulkhead: bulkhead?,
            timeout: timeout?,
            ages: ages?,
        })
    }
}

/// How a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Json,
    Grpc,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Grpc => "grpc",
        }
    }
}

/// A request as it came in, before the rules of its fields.
pub(crate) struct Read<T> {
    pub(crate) message: T,
    /// What only its JSON can tell: the fields that are not there.
    pub(crate) violations: Violations,
}

impl<T> From<T> for Read<T> {
    fn from(message: T) -> Self {
        Self {
            message,
            violations: Violations::default(),
        }
    }
}

/// The outcome of a call, with what its answer says beside it.
pub(crate) struct Answer<T> {
    pub(crate) result: Result<T, Error>,
    pub(crate) trace: TraceContext,
    /// Whether this was the first call of the process.
    pub(crate) cold: bool,
}

/// A function with everything around it. Clones share it.
pub(crate) struct Runtime<F>(Arc<Inner<F>>);

struct Inner<F> {
    function: F,
    settings: Settings,
    voids: VoidCheck,
    metrics: Metrics,
    readiness: Readiness,
    recorder: Recorder,
    warm: AtomicBool,
    start: Start,
    spans: Spans,
}

impl<F: Function> Probed for Inner<F> {
    fn info(&self) -> &'static Info {
        Runtime::<F>::INFO
    }

    fn health(&self) -> Map<String, Value> {
        self.function.health()
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn readiness(&self) -> &Readiness {
        &self.readiness
    }
}

impl<F> Clone for Runtime<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: Function> Runtime<F> {
    pub(crate) fn new(
        function: F,
        settings: Settings,
        voids: VoidCheck,
        metrics: Metrics,
        readiness: Readiness,
        recorder: Recorder,
        start: Start,
    ) -> Self {
        Self(Arc::new(Inner {
            function,
            settings,
            voids,
            metrics,
            readiness,
            recorder,
            warm: AtomicBool::new(false),
            start,
            spans: Spans::new(Self::INFO),
        }))
    }

    pub(crate) const INFO: &'static Info = &F::Rpc::INFO;

    /// The function as its health sees it.
    pub(crate) fn probed(self) -> Arc<dyn Probed> {
        self.0
    }

    /// The longest that a call may take: the contract's limit, or a lower one from configuration.
    fn timeout(&self) -> Duration {
        let limit = Self::INFO.timeout();
        self.0.settings.timeout.map_or(limit, |t| t.min(limit))
    }

    /// Answers one call. `read` reads and decodes the request; it runs within the deadline.
    pub(crate) async fn answer<R>(
        &self,
        protocol: Protocol,
        headers: &HeaderMap,
        read: R,
    ) -> Answer<Response<F>>
    where
        R: Future<Output = Result<Read<Request<F>>, Error>> + Send,
    {
        let began = Instant::now();
        let context = TraceContext::from_headers(headers);
        let trace = Trace::begin(&self.0.recorder, context);
        let cold = !self.0.warm.swap(true, Ordering::Relaxed);
        let mut recorded = self.span(&trace, protocol);
        if cold {
            recorded.keep();
        }
        let _in_flight = self.0.metrics.begin();
        // Of the highest level, so that no level of the log loses the trace of an error.
        let span = tracing::error_span!(
            "call",
            function = Self::INFO.name,
            trace_id = trace.trace_id(),
            span_id = trace.span_id(),
            parent_id = field::Empty,
            caller = field::Empty,
        );
        if let Some(parent) = trace.parent_id() {
            span.record("parent_id", parent);
        }
        let unanswered = Unanswered {
            metrics: &self.0.metrics,
            span: &span,
            recorded: Some(recorded),
            protocol,
            began,
            cold,
        };
        // Large futures are moved to the heap once, here.
        let result = Box::pin(self.bounded(protocol, began, trace.clone(), headers, read))
            .instrument(span.clone())
            .await;
        let recorded = unanswered.answered();
        let took = began.elapsed();
        let code = result
            .as_ref()
            .map_or_else(|error| error.kind().name(), |_| "OK");
        self.0.metrics.answered(protocol.name(), code, took, cold);
        let on = recorded.is_on();
        span.in_scope(|| report(protocol, code, took, cold, result.as_ref().err(), on));
        if cold {
            self.0.start.record(&trace);
        }
        let status = match &result {
            Ok(message) => success_status::<F::Rpc>(message),
            Err(error) => error.http_status(),
        };
        end(recorded, protocol, status, cold, result.as_ref().err());
        Answer {
            result,
            trace: context,
            cold,
        }
    }

    /// The span of a call that begins.
    fn span(&self, trace: &Trace, protocol: Protocol) -> Span {
        let (name, attributes) = match protocol {
            Protocol::Json => &self.0.spans.json,
            Protocol::Grpc => &self.0.spans.grpc,
        };
        let mut span = trace.root(name.clone(), SpanKind::Server);
        span.set_all(attributes);
        span
    }

    async fn bounded<R>(
        &self,
        protocol: Protocol,
        began: Instant,
        trace: Trace,
        headers: &HeaderMap,
        read: R,
    ) -> Result<Response<F>, Error>
    where
        R: Future<Output = Result<Read<Request<F>>, Error>> + Send,
    {
        let _place = self.0.settings.bulkhead.acquire().await.map_err(|full| {
            Error::unavailable("too many calls are being answered", full.retry_after)
        })?;
        let limit = match grpc_timeout(headers)? {
            Some(asked) => asked.min(self.timeout()),
            None => self.timeout(),
        };
        let deadline = began + limit;
        let work =
            AssertUnwindSafe(self.run(protocol, deadline, trace, headers, read)).catch_unwind();
        match tokio::time::timeout_at(deadline, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Error::internal(Panicked(panic_text(panic.as_ref())))),
            Err(_) => Err(Error::new(
                Kind::DeadlineExceeded,
                format!("no answer within {} ms", limit.as_millis()),
            )),
        }
    }

    async fn run<R>(
        &self,
        protocol: Protocol,
        deadline: Instant,
        trace: Trace,
        headers: &HeaderMap,
        read: R,
    ) -> Result<Response<F>, Error>
    where
        R: Future<Output = Result<Read<Request<F>>, Error>> + Send,
    {
        let access = &Self::INFO.access;
        let (token, identity) = self.identify(headers)?.unzip();
        if let Some(identity) = &identity {
            tracing::Span::current().record("caller", identity.subject.as_str());
        }
        // Who needs no look at the request is refused before it is read.
        if access.self_field.is_none() {
            zerocart_auth::authorize(access, identity.as_ref(), None)?;
        } else if identity.is_none() && !access.anyone {
            return Err(zerocart_auth::Denied::Unauthenticated.into());
        }
        let Read {
            message: mut request,
            mut violations,
        } = read.await?;
        request.normalise();
        zerocart_auth::authorize(access, identity.as_ref(), F::Rpc::subject(&request))?;
        request.validate(&mut violations);
        if !violations.is_empty() {
            return Err(Error::invalid(violations));
        }
        // After all that is refused without them, before anything is done (RFC 9110, section 13.2.1).
        // gRPC has no such headers.
        if protocol == Protocol::Json {
            precondition::check(headers, Self::INFO.http_method)?;
        }
        let idempotency = self.idempotency(headers, identity.as_ref(), &request)?;
        let mut cx = Call {
            access,
            identity,
            token,
            deadline,
            idempotency,
            trace,
        };
        // Last, as this may wait for the connection that the handler needs, too.
        match self.0.voids.check(&cx).await {
            Ok(()) => {}
            // Where anyone may call, a token that is not good is no obstacle.
            Err(_) if access.anyone => (cx.identity, cx.token) = (None, None),
            Err(error) => return Err(error),
        }
        self.0.function.call(&cx, request).await
    }

    fn identify(&self, headers: &HeaderMap) -> Result<Option<(Token, Identity)>, Error> {
        let Info {
            access, recognises, ..
        } = Self::INFO;
        // What needs no identity reads none: a client whose token is stale can sign in again.
        if !access.anyone {
            return self.verify(headers);
        }
        if recognises.is_empty() {
            return Ok(None);
        }
        let known = self.verify(headers).ok().flatten();
        Ok(known.filter(|(_, identity)| recognises.contains(&identity.role)))
    }

    /// The caller whom a token names; none without a token.
    fn verify(&self, headers: &HeaderMap) -> Result<Option<(Token, Identity)>, Error> {
        let values = headers
            .get_all(http::header::AUTHORIZATION)
            .iter()
            .map(http::HeaderValue::as_bytes);
        let Some(token) = zerocart_auth::bearer(values)? else {
            return Ok(None);
        };
        let verifier = &self.0.settings.verifier;
        let identity = verifier.verify(&token, SystemTime::now())?;
        Ok(Some((token, identity)))
    }

    fn idempotency(
        &self,
        headers: &HeaderMap,
        identity: Option<&Identity>,
        request: &Request<F>,
    ) -> Result<Option<Idempotency>, Error> {
        let mut keys = headers.get_all("idempotency-key").iter();
        let Some(key) = keys.next().filter(|_| Self::INFO.writes) else {
            return Ok(None);
        };
        if keys.next().is_some() {
            return Err(Error::field("idempotency-key", "must be given once"));
        }
        let caller = identity.map_or("", |identity| identity.subject.as_str());
        Idempotency::new(
            key.as_bytes(),
            caller,
            Self::INFO.name,
            F::Rpc::key_space(request),
            &request.encode_to_vec(),
        )
        .map(Some)
    }
}

/// A call that has no outcome yet. If it is dropped before, its client went away. That is logged
/// and counted, too, because the handler may have had an effect.
struct Unanswered<'a> {
    metrics: &'a Metrics,
    span: &'a tracing::Span,
    recorded: Option<Span>,
    protocol: Protocol,
    began: Instant,
    cold: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let error = Error::new(Kind::Cancelled, "the client went away");
        let (code, took) = (error.kind().name(), self.began.elapsed());
        let Some(recorded) = self.recorded.take() else {
            return;
        };
        self.metrics
            .answered(self.protocol.name(), code, took, self.cold);
        let on = recorded.is_on();
        self.span
            .in_scope(|| report(self.protocol, code, took, self.cold, Some(&error), on));
        let status = error.http_status();
        end(recorded, self.protocol, status, self.cold, Some(&error));
    }
}

impl Unanswered<'_> {
    /// The call has an outcome.
    fn answered(mut self) -> Span {
        self.recorded.take().expect("a call is answered once")
    }
}

/// `grpc-timeout`: at most 8 digits and a unit
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>). Over JSON it is taken alike.
fn grpc_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(|value| {
        let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
        let valid = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let n: u64 = valid.then(|| digits.parse().ok()).flatten()?;
        match unit {
            "H" => Some(Duration::from_secs(n * 3600)),
            "M" => Some(Duration::from_secs(n * 60)),
            "S" => Some(Duration::from_secs(n)),
            "m" => Some(Duration::from_millis(n)),
            "u" => Some(Duration::from_micros(n)),
            "n" => Some(Duration::from_nanos(n)),
            _ => None,
        }
    });
    match parsed {
        Some(timeout) => Ok(Some(timeout)),
        None => Err(Error::field(
            "grpc-timeout",
            "must be 1 to 8 digits and one of H, M, S, m, u, n",
        )),
    }
}

/// A handler panicked.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {0}")]
struct Panicked(String);

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Logs the outcome, once. What the client is not told, the log is: the chain of causes. Where the call's
/// span is `recorded`, it says the same, so only a failure is logged beside it.
fn report(
    protocol: Protocol,
    code: &str,
    took: Duration,
    cold: bool,
    error: Option<&Error>,
    recorded: bool,
) {
    let duration_ms = took.as_secs_f64() * 1e3;
    let protocol = protocol.name();
    let Some(error) = error else {
        if recorded {
            return;
        }
        tracing::info!(protocol, code, duration_ms, cold_start = cold, "answered");
        return;
    };
    let cause = std::error::Error::source(error)
        .map(chain)
        .unwrap_or_default();
    let reason = error.message();
    let ours = error.http_status() >= 500;
    if ours && matches!(error.kind(), Kind::Internal | Kind::Unavailable) {
        tracing::error!(
            protocol,
            code,
            duration_ms,
            cold_start = cold,
            reason,
            cause,
            "failed"
        );
    } else if !recorded {
        tracing::info!(
            protocol,
            code,
            duration_ms,
            cold_start = cold,
            reason,
            cause,
            "refused"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts() {
        let parse = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", value.parse().unwrap());
            grpc_timeout(&headers)
        };
        assert_eq!(grpc_timeout(&HeaderMap::new()).unwrap(), None);
        for (value, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("300m", Duration::from_millis(300)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(parse(value).unwrap(), Some(expected), "{value}");
        }
        for bad in [
            "",
            "m",
            "5",
            "5x",
            "-1m",
            "+1m",
            "1.5S",
            "123456789m",
            "1 S",
        ] {
            let error = parse(bad).unwrap_err();
            assert_eq!(error.violations()[0].field, "grpc-timeout", "{bad}");
        }
    }
}
