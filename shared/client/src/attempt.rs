//! One attempt of a call: the request, the response, and its verdict.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};
use zerocart_auth::Token;
use zerocart_core::{
    Kind,
    error::BoxError,
    trace::{Kind as SpanKind, Span, Trace},
};
use zerocart_resilience::{
    breaker::{BreakerOpen, Outcome},
    bulkhead::BulkheadFull,
    deadline::Elapsed,
};

use crate::{
    callee::Callee,
    failure::kind,
    grpc::{self, Answer, Foreign, Unreadable},
    sidecar::{self, Carried, NoWay},
    transport::{BoxFuture, Transport},
};

/// What a function gets at least before a deadline of the caller's that passes is held against it:
/// a caller chooses its deadline, and a short one must not open the breaker for everybody. Half of
/// what the function may take, and never less than this.
const FAIR_CHANCE: Duration = Duration::from_millis(250);

/// A call on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// The request, in its frame.
    pub(crate) message: Bytes,
    /// When the whole call began.
    pub(crate) began: Instant,
    /// When the whole call ends.
    pub(crate) deadline: Instant,
    /// The circuit breaker's generation that admitted it, where one did and was known.
    pub(crate) admitted: Option<u64>,
    /// The state of the circuit breaker when it admitted the call, where there is one.
    pub(crate) breaker: Option<&'static str>,
    /// The caller's span; inside an attempt, that of the attempt.
    pub(crate) trace: Trace,
    pub(crate) token: Option<Token>,
    pub(crate) trail: Arc<Trail>,
}

/// The results of the attempts of one call.
#[derive(Debug, Default)]
pub(crate) struct Trail(Mutex<Steps>);

#[derive(Debug, Default)]
struct Steps {
    sent: u32,
    answered: u32,
    /// When the attempt began that has no end yet.
    running: Option<Instant>,
    /// Attempts that were begun.
    begun: u32,
    /// An attempt failed, and nothing excuses the function.
    blamed: bool,
    /// The sidecar is waited for: the last try got no further.
    waits: bool,
}

impl Trail {
    /// Whether the function may have got the message.
    pub(crate) fn was_sent(&self) -> bool {
        self.steps().sent > 0
    }

    /// Whether it has answered as often as it may have got it.
    pub(crate) fn all_answered(&self) -> bool {
        let steps = self.steps();
        steps.answered >= steps.sent
    }

    /// When the attempt began that has no end yet, if there is one.
    pub(crate) fn running(&self) -> Option<Instant> {
        self.steps().running
    }

    /// Whether any attempt failed without excuse.
    pub(crate) fn is_blamed(&self) -> bool {
        self.steps().blamed
    }

    /// Whether the last try got no further than the sidecar of this process.
    pub(crate) fn waits_for_sidecar(&self) -> bool {
        self.steps().waits
    }

    /// Gives the number of the attempt, from 1 on.
    fn begin(&self, at: Instant) -> u32 {
        let mut steps = self.steps();
        steps.running = Some(at);
        steps.begun += 1;
        steps.begun
    }

    fn end(&self, result: &Result<Bytes, CallError>) {
        let mut steps = self.steps();
        steps.running = None;
        let failed = |error: &CallError| error.outcome() == Outcome::Failure;
        steps.blamed |= result.as_ref().err().is_some_and(failed);
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the stack has no response.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The call's deadline passed.
    Deadline(Elapsed),
    /// The circuit breaker is open.
    Open(BreakerOpen),
    /// The bulkhead is full.
    Full(BulkheadFull),
    /// The sidecar of this process has no way to the function, which was not asked.
    NoWay(NoWay),
    /// The attempt's time ran out. `excused`: by a cold start, or without a fair chance.
    Late { excused: bool },
    /// The function answered with a status.
    Answered { status: Box<Status>, excused: bool },
    /// Something in between answered; it need not know what the function did.
    Foreign { answer: Foreign, excused: bool },
    /// No connection, or one that was lost.
    Lost(BoxError),
    /// What came is no answer.
    Garbled(BoxError),
}

impl CallError {
    /// What it says about the function, as the end of an attempt.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            // Of this side.
            Self::Deadline(_) | Self::Open(_) | Self::Full(_) | Self::NoWay(_) => Outcome::Ignore,
            Self::Late { excused: true } | Self::Foreign { excused: true, .. } => Outcome::Ignore,
            Self::Late { excused: false }
            | Self::Foreign { excused: false, .. }
            | Self::Lost(_)
            | Self::Garbled(_) => Outcome::Failure,
            Self::Answered { status, excused } => match status.code() {
                Code::DeadlineExceeded if *excused => Outcome::Ignore,
                Code::DeadlineExceeded
                | Code::Unavailable
                | Code::Internal
                | Code::Unknown
                | Code::DataLoss => Outcome::Failure,
                // Full, which it says itself; or told to stop.
                Code::ResourceExhausted | Code::Cancelled => Outcome::Ignore,
                Code::Ok
                | Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::FailedPrecondition
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unimplemented
                | Code::Unauthenticated => Outcome::Success,
            },
        }
    }
}

impl CallError {
    /// The error in one word, for spans.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Deadline(_) => "deadline_exceeded",
            Self::Open(_) => "breaker_open",
            Self::Full(_) => "bulkhead_full",
            Self::NoWay(_) => "sidecar_not_ready",
            Self::Late { .. } => "timeout",
            Self::Answered { status, .. } => kind(status.code()).name(),
            Self::Foreign { answer, .. } => answer.kind.name(),
            Self::Lost(_) => "connection_lost",
            Self::Garbled(_) => "no_answer",
        }
    }
}

impl From<Elapsed> for CallError {
    fn from(elapsed: Elapsed) -> Self {
        Self::Deadline(elapsed)
    }
}

impl From<BreakerOpen> for CallError {
    fn from(open: BreakerOpen) -> Self {
        Self::Open(open)
    }
}

impl From<BulkheadFull> for CallError {
    fn from(full: BulkheadFull) -> Self {
        Self::Full(full)
    }
}

/// The innermost service: one attempt, within its time.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) callee: Arc<Callee>,
    pub(crate) transport: Arc<dyn Transport>,
    /// The RPC's gRPC path.
    pub(crate) path: &'static str,
    /// The longest that it may take.
    pub(crate) limit: Duration,
    /// Whether a proxy beside this process carries it.
    pub(crate) sidecar: bool,
}

impl tower::Service<Outgoing> for Attempt {
    type Response = Bytes;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Bytes, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut out: Outgoing) -> Self::Future {
        let attempt = self.clone();
        Box::pin(async move {
            let (began, trail) = (Instant::now(), Arc::clone(&out.trail));
            let number = trail.begin(began);
            let mut span = attempt.span(&out);
            if number > 1 {
                span.set("http.request.resend_count", number - 1);
            }
            out.trace = span.trace();
            let result = attempt.run(out, began).await;
            trail.end(&result);
            end(span, &result);
            result
        })
    }
}

/// Ends the span of an attempt.
fn end(mut span: Span, result: &Result<Bytes, CallError>) {
    if !span.is_on() {
        return;
    }
    match result {
        Ok(_) => span.set("rpc.grpc.status_code", 0_u16),
        Err(error) => {
            if let CallError::Answered { status, .. } = error {
                span.set("rpc.grpc.status_code", i64::from(i32::from(status.code())));
            }
            span.fail(error.word(), "");
        }
    }
    span.end();
}

impl Attempt {
    /// A span of the callee's client.
    pub(crate) fn span(&self, out: &Outgoing) -> Span {
        let rpc = self.path.trim_start_matches('/');
        let mut span = out.trace.span(rpc, SpanKind::Client);
        if !span.is_on() {
            return span;
        }
        let (service, method) = rpc.split_once('/').unwrap_or((rpc, ""));
        span.set("rpc.system", "grpc");
        span.set("rpc.service", service);
        span.set("rpc.method", method);
        span.set("faas.invoked_name", self.callee.name);
        if let Some(host) = self.callee.base.host() {
            span.set("server.address", host);
        }
        if let Some(port) = self.callee.base.port_u16() {
            span.set("server.port", port);
        }
        if let Some(state) = out.breaker {
            span.set("zerocart.breaker.state", state);
        }
        span
    }

    async fn run(self, out: Outgoing, began: Instant) -> Result<Bytes, CallError> {
        let trail = Arc::clone(&out.trail);
        let until = out.deadline.min(began + self.limit);
        let headers = headers(&out, until - began);
        let send = || {
            let trail = Arc::clone(&trail);
            let on_send = Box::new(move || {
                let mut steps = trail.steps();
                steps.sent += 1;
                steps.waits = false;
            });
            let (base, message) = (&self.callee.base, out.message.clone());
            let transport = &self.transport;
            transport.post(base, self.path, headers.clone(), message, on_send)
        };
        let carried = match self.sidecar {
            false => match timeout_at(until, send()).await {
                Ok(reply) => Carried::Through(reply),
                Err(_) => Carried::Late,
            },
            true => sidecar::carry(until, send, |waits| trail.steps().waits = waits).await,
        };
        let reply = match carried {
            Carried::Through(reply) => reply,
            Carried::NoWay => return Err(CallError::NoWay(NoWay)),
            Carried::Late if trail.waits_for_sidecar() => return Err(CallError::NoWay(NoWay)),
            Carried::Late => {
                let excused = self.excuses_silence(out.began, began, until);
                return Err(CallError::Late { excused });
            }
        };
        let answer = match grpc::read(reply.map_err(CallError::Lost)?) {
            Ok(answer) => answer,
            Err(Unreadable::Short) => return Err(CallError::Lost(Unreadable::Short.into())),
            Err(error) => return Err(CallError::Garbled(error.into())),
        };
        let answered = |cold: bool| {
            out.trail.steps().answered += 1;
            self.callee.answered();
            if cold {
                let (callee, took_ms) = (self.callee.name, began.elapsed().as_millis());
                tracing::debug!(callee, took_ms, "a function was cold");
            }
        };
        match answer {
            Answer::Message { bytes, cold } => {
                answered(cold);
                Ok(bytes)
            }
            Answer::Status { status, cold } => {
                answered(cold);
                let excused = cold || self.is_unfair(began, until);
                Err(CallError::Answered { status, excused })
            }
            Answer::Foreign(answer) => {
                let excused = match answer.kind {
                    // A mesh decides before it asks the function.
                    Kind::PermissionDenied => self.sidecar,
                    Kind::DeadlineExceeded => self.excuses_silence(out.began, began, until),
                    _ => false,
                };
                Err(CallError::Foreign { answer, excused })
            }
        }
    }

    /// Whether no answer between `began` and `until` says nothing about the function. A cold start
    /// excuses all attempts of the call that met it, which began at `call_began`.
    pub(crate) fn excuses_silence(
        &self,
        call_began: Instant,
        began: Instant,
        until: Instant,
    ) -> bool {
        self.is_unfair(began, until) || self.callee.forgive(call_began)
    }

    /// Whether the caller's deadline left the function too little time.
    fn is_unfair(&self, began: Instant, until: Instant) -> bool {
        until - began < self.limit.min(FAIR_CHANCE.max(self.limit / 2))
    }
}

fn headers(out: &Outgoing, remaining: Duration) -> HeaderMap {
    let mut headers = grpc::headers(remaining);
    // The callee's span becomes a child of the caller's.
    if let Ok(value) = HeaderValue::try_from(out.trace.to_string()) {
        headers.insert("traceparent", value);
    }
    if let Some(token) = &out.token
        && let Ok(mut value) = HeaderValue::try_from(token.to_authorization())
    {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    headers
}
