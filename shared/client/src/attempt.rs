//! One attempt at a call: what goes out, what comes back, and what that says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};
use zerocart_auth::Token;
use zerocart_resilience::{
    breaker::{BreakerOpen, Outcome},
    bulkhead::BulkheadFull,
    deadline::Elapsed,
};
use zerocart_runtime::{Kind, error::BoxError, trace::TraceContext};

use crate::{
    callee::Callee,
    grpc::{self, Answer, Foreign, Unreadable},
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
    /// When the whole call ends.
    pub(crate) deadline: Instant,
    /// The caller's span.
    pub(crate) trace: TraceContext,
    pub(crate) token: Option<Token>,
    pub(crate) trail: Arc<Trail>,
}

/// What became of the attempts of one call.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    sent: AtomicU32,
    answered: AtomicU32,
}

impl Trail {
    /// Whether the function may have got the message.
    pub(crate) fn was_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed) > 0
    }

    /// Whether it has answered as often as it may have got it.
    pub(crate) fn all_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed) >= self.sent.load(Ordering::Relaxed)
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
    /// What it says about the function, to the circuit breaker.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            // Of this side.
            Self::Deadline(_) | Self::Open(_) | Self::Full(_) => Outcome::Ignore,
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
}

impl tower::Service<Outgoing> for Attempt {
    type Response = Bytes;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Bytes, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, out: Outgoing) -> Self::Future {
        Box::pin(self.clone().run(out))
    }
}

impl Attempt {
    async fn run(self, out: Outgoing) -> Result<Bytes, CallError> {
        let (began, trail) = (Instant::now(), Arc::clone(&out.trail));
        let until = out.deadline.min(began + self.limit);
        let headers = headers(&out, until - began);
        let on_send = Box::new(move || {
            trail.sent.fetch_add(1, Ordering::Relaxed);
        });
        let answer =
            self.transport
                .post(&self.callee.base, self.path, headers, out.message, on_send);
        let Ok(reply) = timeout_at(until, answer).await else {
            let excused = self.excuses_silence(began, until);
            return Err(CallError::Late { excused });
        };
        let answer = match grpc::read(reply.map_err(CallError::Lost)?) {
            Ok(answer) => answer,
            Err(Unreadable::Short) => return Err(CallError::Lost(Unreadable::Short.into())),
            Err(error) => return Err(CallError::Garbled(error.into())),
        };
        let answered = |cold: bool| {
            out.trail.answered.fetch_add(1, Ordering::Relaxed);
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
                let excused =
                    answer.kind == Kind::DeadlineExceeded && self.excuses_silence(began, until);
                Err(CallError::Foreign { answer, excused })
            }
        }
    }

    /// Whether no answer between `began` and `until` says nothing about the function.
    fn excuses_silence(&self, began: Instant, until: Instant) -> bool {
        self.is_unfair(began, until) || self.callee.forgive(began)
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
